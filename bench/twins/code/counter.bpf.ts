// Packets and bytes by class, on tc.
import { percpuArray, struct, tc, TC, u64 } from "@skep/bpf";
import { ETHERTYPE } from "@skep/bpf/net";

export const license = "GPL";

const Counters = struct("Counters", { packets: u64, bytes: u64, largest: u64 });
export const counters = percpuArray("counters", { value: Counters, maxEntries: 8 });

function classOf(protocol: number): number {
  switch (protocol) {
    case ETHERTYPE.IPV4:
      return 1;
    case ETHERTYPE.IPV6:
      return 2;
    case ETHERTYPE.ARP:
      return 3;
    case ETHERTYPE.VLAN:
      return 4;
    default:
      return 0;
  }
}

export const run = tc("run", (ctx) => {
  const counted = counters.get(classOf(ctx.protocol));
  if (!counted) return TC.OK;
  const length = u64(ctx.length);
  counted.packets += 1n;
  counted.bytes += length;
  if (length > counted.largest) counted.largest = length;
  return TC.OK;
});
