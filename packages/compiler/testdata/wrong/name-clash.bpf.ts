import { hash, u32 } from "@skep/bpf";
export const a = hash("connections_of_v4", { key: u32, value: u32, maxEntries: 4 });
export const b = hash("connections_of_v6", { key: u32, value: u32, maxEntries: 4 });
