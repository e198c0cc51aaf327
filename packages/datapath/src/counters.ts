import type { RawMap } from "@skep/machine";
import { Metric } from "./bpf/maps.bpf.ts";
import type { Counter } from "./datapath.ts";
import { decodeU32 } from "./encode.ts";

/** Index of a counter: direction times this, and the reason. */
const REASONS = 256;

/** Counters that are not 0, summed over the CPUs, by reason. */
export function readCounters(map: RawMap): Counter[] {
  const counters: Counter[] = [];
  for (const [key, value] of map.entries()) {
    const index = decodeU32(key);
    let packets = 0n;
    let bytes = 0n;
    for (let at = 0; at < value.length; at += Metric.size) {
      const metric = Metric.decode(value.subarray(at, at + Metric.size));
      packets += metric.packets;
      bytes += metric.bytes;
    }
    if (packets === 0n) continue;
    const direction = index >= 2 * REASONS ? "egress" : "ingress";
    counters.push({ reason: index % REASONS, direction, packets, bytes });
  }
  return counters.sort((a, b) => a.reason - b.reason || a.direction.localeCompare(b.direction));
}
