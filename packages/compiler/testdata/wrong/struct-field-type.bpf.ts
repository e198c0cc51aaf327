import { hash, struct, u32 } from "@skep/bpf";
const V = struct("V", { a: 3 as never });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
