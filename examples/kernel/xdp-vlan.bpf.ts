// Takes the VLAN tag off and keeps its number in front of the packet, where tc finds it.
import { config, struct, u16, u32, xdp, XDP, xdpAdjustHead, xdpAdjustMeta } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Vlan } from "@skep/bpf/net";

export const Tag = struct("Tag", { vlan: u32 });
export const mark = config("mark", u32, 1);

export const untag = xdp("untag", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const vlan = ctx.header(Vlan, Ethernet.size);
  if (!ethernet || !vlan || ethernet.type !== ETHERTYPE.VLAN) return XDP.PASS;
  const id: u16 = vlan.tag & 0xfff;
  const type = vlan.type;
  const addresses = { ...ethernet };
  if (xdpAdjustHead(ctx, 4) !== 0) return XDP.ABORTED;
  const moved = ctx.header(Ethernet, 0);
  if (!moved) return XDP.ABORTED;
  moved.destination = addresses.destination;
  moved.source = addresses.source;
  moved.type = type;
  if (mark.value !== 0 && xdpAdjustMeta(ctx, -4) === 0) {
    const tag = ctx.metadata(Tag);
    if (tag) tag.vlan = u32(id);
  }
  return XDP.PASS;
});
