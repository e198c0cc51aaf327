import { hash, u32 } from "@skep/bpf";
export const m = hash("no-name", { key: u32, value: u32, maxEntries: 4 });
