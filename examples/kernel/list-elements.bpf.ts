// A map's elements as text, of those that count for something.
import { config, hash, iterator, pointedTo, seqPrint, struct, u32, u64 } from "@skep/bpf";
import type { bpf_iter__bpf_map_elem } from "./kernel.js";

export const license = "GPL";
const Key = struct("Key", { id: u32 });
const Use = struct("Use", { packets: u64, bytes: u64 });
export const uses = hash("uses", { key: Key, value: Use, maxEntries: 64 });
export const least = config("least", u64, 1n);

export const elements = iterator("elements", "bpf_map_elem", (ctx: bpf_iter__bpf_map_elem) => {
  const key = pointedTo(Key, ctx.key);
  const use = pointedTo(Use, ctx.value);
  if (!key || !use || use.packets < least.value) return 0;
  seqPrint(ctx)`${key.id}: ${use.packets} packets, ${use.bytes} bytes\n`;
  return 0;
});
