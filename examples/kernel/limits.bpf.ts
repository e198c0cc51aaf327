// What must hold, said once: the program ends with a verdict where it does not.
import { assert, tc, TC, type Of, type TcContext } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, Tcp } from "@skep/bpf/net";

type Header = Of<typeof Ipv4>;

/** The IPv4 header of a packet that is one, whole, and no fragment. */
function wholeIpv4(ctx: TcContext): Header {
  assert(ctx.protocol === ETHERTYPE.IPV4, TC.OK);
  const ip = ctx.header(Ipv4, Ethernet.size);
  assert(ip, TC.SHOT);
  assert(ip.version === 4 && ip.ihl >= 5, TC.SHOT);
  assert((ip.fragment & 0x3fff) === 0, TC.SHOT);
  return ip;
}

export const check = tc("check", (ctx) => {
  const ip = wholeIpv4(ctx);
  assert(ip.protocol === 6, TC.OK);
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  assert(tcp && tcp.offset >= 5, TC.SHOT);
  // Nothing and everything at once is a scan.
  const scan = tcp.flags === 0 || (tcp.flags & 0x29) === 0x29;
  return scan ? TC.SHOT : TC.PIPE;
});
