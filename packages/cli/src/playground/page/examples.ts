/**
 * @module
 * Programs to begin with, right and wrong.
 */

export interface Example {
  readonly name: string;
  readonly title: string;
  readonly text: string;
}

const filter = `// Drops telnet and DNS queries, and counts what it did.
import { hash, struct, u16, u32, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Tcp, Udp } from "@skep/bpf/net";

const Seen = struct("Seen", { packets: u64, bytes: u64 });

/** By verdict: 1 dropped, 2 passed. */
export const verdicts = hash("verdicts", { key: u32, value: Seen, maxEntries: 8 });
/** Ports that something was dropped for. */
export const blocked = hash("blocked", { key: u16, value: u64, maxEntries: 1024 });

function count(verdict: u32, length: u32): number {
  const seen = verdicts.get(verdict);
  if (seen) {
    seen.packets += 1n;
    seen.bytes += u64(length);
  } else verdicts.set(verdict, { packets: 1n, bytes: u64(length) });
  return verdict;
}

function drop(port: u16, length: u32): number {
  const times = blocked.ref(port);
  if (times) times.value += 1n;
  else blocked.set(port, 1n);
  return count(XDP.DROP, length);
}

export const filter = xdp("filter", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet || ethernet.type !== 0x0800) return count(XDP.PASS, ctx.length);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return count(XDP.PASS, ctx.length);
  const at = Ethernet.size + ip.ihl * 4;
  if (ip.protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, at);
    if (tcp && tcp.destination === 23) return drop(23, ctx.length);
  } else if (ip.protocol === PROTOCOL.UDP) {
    const udp = ctx.header(Udp, at);
    if (udp && udp.destination === 53) return drop(53, ctx.length);
  }
  return count(XDP.PASS, ctx.length);
});
`;

const counter = `// Packets and bytes by IPv4 source address.
import { be32, hash, struct, tc, TC, u64 } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4 } from "@skep/bpf/net";

const Source = struct("Source", { address: be32 });
const Traffic = struct("Traffic", { packets: u64, bytes: u64 });

export const traffic = hash("traffic", { key: Source, value: Traffic, maxEntries: 4096 });

export const counter = tc("counter", (ctx) => {
  if (ctx.protocol !== ETHERTYPE.IPV4) return TC.OK;
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return TC.OK;
  const key = { address: ip.source };
  const known = traffic.get(key);
  if (known) {
    known.packets += 1n;
    known.bytes += u64(ctx.length);
  } else traffic.set(key, { packets: 1n, bytes: u64(ctx.length) });
  return TC.OK;
});
`;

const mistake = `// The compiler refuses this: a header that may not be there is read as if it were.
import { xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";

export const ttl = xdp("ttl", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  return ip.ttl > 1 ? XDP.PASS : XDP.DROP;
});
`;

const refused = `// The verifier refuses this: a header that says it is empty is looked at for ever.
import { struct, be16, u32, xdp, XDP } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";

const Option = struct("Option", { kind: be16, length: be16 });

export const walk = xdp("walk", (ctx) => {
  let at: u32 = Ethernet.size;
  while (at < ctx.length) {
    const option = ctx.header(Option, at);
    if (!option) break;
    at += option.length;
  }
  return XDP.PASS;
});
`;

export const examples: readonly Example[] = [
  { name: "xdp-filter", title: "XDP: a filter by port", text: filter },
  { name: "tc-counter", title: "tc: traffic by source address", text: counter },
  { name: "mistake", title: "A mistake that the compiler finds", text: mistake },
  { name: "refused", title: "A program that the verifier refuses", text: refused },
];
