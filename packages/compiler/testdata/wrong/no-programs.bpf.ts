import { struct, u32 } from "@skep/bpf";
export const A = struct("A", { a: u32 });
