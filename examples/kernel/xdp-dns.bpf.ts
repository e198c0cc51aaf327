// Drops questions for blocked names. Names are compared by their hash; labels are read one byte at a time, as they come.
import { hash, struct, u32, u64, u8, xdp, XDP, type XdpContext } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

const Byte = struct("Byte", { value: u8 });
const Name = struct("Name", { hash: u64 });
export const blocked = hash("blocked", { key: Name, value: u64, maxEntries: 1024 });

const HEADER = 12;
const LONGEST = 64;

/** FNV-1a of the name as it is on the wire, without its final zero, in lower case; null where it is cut or too long. */
function nameHash(ctx: XdpContext, start: u32): u64 | null {
  let sum: u64 = 0xcbf29ce484222325n;
  for (let at = 0; at < LONGEST; at++) {
    const byte = ctx.header(Byte, start + at);
    if (!byte) return null;
    if (byte.value === 0) return sum;
    const lower: u8 = byte.value >= 0x41 && byte.value <= 0x5a ? byte.value | 0x20 : byte.value;
    sum = (sum ^ u64(lower)) * 0x100000001b3n;
  }
  return null;
}

export const names = xdp("names", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP) return XDP.PASS;
  const udp = ctx.header(Udp, Ethernet.size + Ipv4.size);
  if (!udp || udp.destination !== 53) return XDP.PASS;
  const sum = nameHash(ctx, Ethernet.size + Ipv4.size + Udp.size + HEADER);
  if (sum === null) return XDP.PASS;
  const rule = blocked.ref({ hash: sum });
  if (!rule) return XDP.PASS;
  rule.value += 1n;
  return XDP.DROP;
});
