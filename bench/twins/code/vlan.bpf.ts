// Takes the outer tag off where it is one that is served, and counts by tag.
import { array, be16, struct, u64, u8, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import { ETHERTYPE, Vlan } from "@skep/bpf/net";

export const license = "GPL";

const Addresses = struct("Addresses", { both: array(u8, 12) });
const Tagged = struct("Tagged", { addresses: Addresses, type: be16, vlan: Vlan });
export const tags = array("tags", { value: u64, maxEntries: 4096 });

export const run = xdp("run", (ctx) => {
  const frame = ctx.header(Tagged, 0);
  if (!frame) return XDP.PASS;
  if (frame.type !== ETHERTYPE.VLAN && frame.type !== ETHERTYPE.QINQ) return XDP.PASS;
  const count = tags.ref(frame.vlan.tag & 0xfff);
  if (!count) return XDP.DROP;
  count.value += 1n;
  const addresses = Addresses.zero();
  addresses.both = frame.addresses.both;
  const moved = ctx.header(Addresses, Vlan.size);
  if (!moved) return XDP.DROP;
  moved.both = addresses.both;
  if (xdpAdjustHead(ctx, Vlan.size) !== 0) return XDP.DROP;
  return XDP.TX;
});
