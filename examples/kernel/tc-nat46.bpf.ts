// IPv4 becomes IPv6 on its way (the addresses of RFC 6052): the kernel makes room, the program writes the header.
import { be32, skbChangeProto, struct, tc, TC, u16, u32, u8 } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, Ipv6 } from "@skep/bpf/net";

/** 64:ff9b::/96 */
const PREFIX = 0x0064ff9b;
const Type = struct("Type", { type: be32 });

export const translate = tc("translate", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (ctx.protocol !== ETHERTYPE.IPV4 || !ip || ip.ihl !== 5) return TC.OK;
  const length: u16 = ip.length - Ipv4.size;
  const nextHeader: u8 = ip.protocol;
  const hopLimit: u8 = ip.ttl;
  const from: u32 = ip.source;
  const to: u32 = ip.destination;
  if (skbChangeProto(ctx, ETHERTYPE.IPV6, 0n) !== 0n) return TC.SHOT;
  const ethernet = ctx.header(Ethernet, 0);
  const six = ctx.header(Ipv6, Ethernet.size);
  if (!ethernet || !six) return TC.SHOT;
  ethernet.type = ETHERTYPE.IPV6;
  six.versionClassFlow = 6 << 28;
  six.length = length;
  six.nextHeader = nextHeader;
  six.hopLimit = hopLimit;
  six.source = { w0: PREFIX, w1: 0, w2: 0, w3: from };
  six.destination = { w0: PREFIX, w1: 0, w2: 0, w3: to };
  return Type.size === 4 ? TC.OK : TC.SHOT;
});
