import { hash, u32 } from "@skep/bpf";
export const a = hash("same", { key: u32, value: u32, maxEntries: 4 });
export const b = hash("same", { key: u32, value: u32, maxEntries: 8 });
