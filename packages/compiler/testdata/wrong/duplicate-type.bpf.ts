import { hash, struct, u32, u64 } from "@skep/bpf";
const A = struct("Same", { a: u32 });
const B = struct("Same", { a: u64 });
export const a = hash("a", { key: A, value: B, maxEntries: 4 });
