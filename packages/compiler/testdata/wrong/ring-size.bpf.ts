import { ringBuf, struct, u32 } from "@skep/bpf";
const E = struct("E", { a: u32 });
export const r = ringBuf("r", E, { bytes: 5000 });
