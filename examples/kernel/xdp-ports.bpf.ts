// Lets through only what is for an open port; other protocols pass.
import { hash, struct, u16, u8, xdp, XDP, type XdpContext } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Tcp, Udp } from "@skep/bpf/net";

const Port = struct("Port", { port: u16, protocol: u8 });
export const open = hash("open", { key: Port, value: u8, maxEntries: 256 });

/** Destination port of a TCP or UDP packet; null for all others. */
function destinationPort(ctx: XdpContext, protocol: u8, offset: number): u16 | null {
  switch (protocol) {
    case PROTOCOL.TCP:
      return ctx.header(Tcp, offset)?.destination ?? null;
    case PROTOCOL.UDP:
      return ctx.header(Udp, offset)?.destination ?? null;
    default:
      return null;
  }
}

export const ports = xdp("ports", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.version !== 4) return XDP.PASS;
  const { protocol } = ip;
  const port = destinationPort(ctx, protocol, Ethernet.size + ip.ihl * 4);
  if (port === null) return XDP.PASS;
  return open.get({ port, protocol }) === null ? XDP.DROP : XDP.PASS;
});
