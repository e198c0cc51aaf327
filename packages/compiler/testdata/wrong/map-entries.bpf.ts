import { hash, u32 } from "@skep/bpf";
export const m = hash("m", { key: u32, value: u32, maxEntries: 0 });
