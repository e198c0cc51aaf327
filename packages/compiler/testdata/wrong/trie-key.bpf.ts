import { lpmTrie, struct, u32, u64 } from "@skep/bpf";
const Key = struct("Key", { bits: u64, address: u32 });
export const m = lpmTrie("m", { key: Key, value: u32, maxEntries: 4 });
