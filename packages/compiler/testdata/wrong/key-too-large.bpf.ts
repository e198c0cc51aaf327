import { array, hash, struct, u32, u8 } from "@skep/bpf";
const Key = struct("Key", { bytes: array(u8, 600) });
export const m = hash("m", { key: Key, value: u32, maxEntries: 4 });
