// Packets and bytes by IP protocol, one set of counters per CPU.
import { percpuArray, struct, u32, u64, xdp, XDP, type u8, type XdpContext } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, Ipv6, PROTOCOL } from "@skep/bpf/net";
import { skipIpv6Extensions } from "@skep/bpf/parse";

const Count = struct("Count", { packets: u64, bytes: u64 });
export const protocols = percpuArray("protocols", { value: Count, maxEntries: 256 });

function protocolOf(ctx: XdpContext): u8 | null {
  const ethernet = ctx.header(Ethernet, 0);
  switch (ethernet?.type) {
    case ETHERTYPE.IPV4:
      return ctx.header(Ipv4, Ethernet.size)?.protocol ?? null;
    case ETHERTYPE.IPV6:
      return skipIpv6Extensions(ctx, Ethernet.size)?.protocol ?? null;
    default:
      return null;
  }
}

export const count = xdp("count", (ctx) => {
  const protocol = protocolOf(ctx);
  const counter = protocol === null ? null : protocols.get(protocol);
  if (counter) {
    counter.packets += 1n;
    counter.bytes += u64(ctx.length);
  }
  return XDP.PASS;
});
