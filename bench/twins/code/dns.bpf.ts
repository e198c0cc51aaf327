// The name that a DNS query asks for, hashed without regard to case (FNV-1a), among those that are blocked.
import { be16, hash, struct, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const license = "GPL";

const Dns = struct("Dns", {
  id: be16,
  flags: be16,
  questions: be16,
  answers: be16,
  authorities: be16,
  additional: be16,
});
const Byte = struct("Byte", { value: u8 });
export const blocked = hash("blocked", { key: u32, value: u64, maxEntries: 1024 });

const UDP_AT = Ethernet.size + Ipv4.size;
const DNS_AT = UDP_AT + Udp.size;

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  const udp = ctx.header(Udp, UDP_AT);
  const dns = ctx.header(Dns, DNS_AT);
  if (!ethernet || !ip || !udp || !dns) return XDP.PASS;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP) return XDP.PASS;
  if (udp.destination !== 53 || (dns.flags & 0x8000) !== 0 || dns.questions !== 1) return XDP.PASS;
  let hashed: u32 = 0x811c9dc5;
  let label: u32 = 0;
  for (let i = 0; i < 64; i++) {
    const next = ctx.header(Byte, DNS_AT + Dns.size + i);
    if (!next) return XDP.DROP;
    let byte = next.value;
    if (label === 0) {
      if (byte === 0) break;
      if (byte > 63) return XDP.DROP;
      label = byte;
    } else {
      label -= 1;
      if (byte >= 0x41 && byte <= 0x5a) byte += 32;
    }
    hashed = (hashed ^ byte) * 0x01000193;
  }
  const hits = blocked.ref(hashed);
  if (!hits) return XDP.PASS;
  hits.value += 1n;
  return XDP.DROP;
});
