// The largest segment that a SYN offers, counted by its size.
import { array, be16, struct, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Tcp, TCP_FLAG } from "@skep/bpf/net";

export const license = "GPL";

const Kind = struct("Kind", { kind: u8 });
const Option = struct("Option", { kind: u8, length: u8 });
const Mss = struct("Mss", { kind: u8, length: u8, value: be16 });
export const sizes = array("sizes", { value: u64, maxEntries: 64 });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.protocol !== PROTOCOL.TCP) return XDP.PASS;
  let at: u32 = Ethernet.size + ip.ihl * 4;
  const tcp = ctx.header(Tcp, at);
  if (!tcp) return XDP.DROP;
  if ((tcp.flags & TCP_FLAG.SYN) === 0) return XDP.PASS;
  let left: u32 = u32(tcp.offset) * 4 - Tcp.size;
  at += Tcp.size;
  let mss: u32 = 536;
  for (let i = 0; i < 10 && left > 0 && left <= 40; i++) {
    const first = ctx.header(Kind, at);
    if (!first) return XDP.DROP;
    if (first.kind === 0) break;
    if (first.kind === 1) {
      at += 1;
      left -= 1;
      continue;
    }
    const option = ctx.header(Option, at);
    if (!option || option.length < 2) return XDP.DROP;
    if (option.kind === 2) {
      const offered = ctx.header(Mss, at);
      if (!offered) return XDP.DROP;
      mss = offered.value;
      break;
    }
    at += option.length;
    left -= option.length;
  }
  let slot: u32 = mss / 64;
  if (slot > 63) slot = 63;
  const count = sizes.ref(slot);
  if (count) count.value += 1n;
  return XDP.PASS;
});
