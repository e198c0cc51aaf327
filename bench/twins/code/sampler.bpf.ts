// Every fourth packet's addresses and first bytes into a ring.
import { array, be16, be32, percpuArray, ringBuf, struct, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4 } from "@skep/bpf/net";

export const license = "GPL";

const Head = struct("Head", { bytes: array(u8, 32) });
const Sample = struct("Sample", {
  sequence: u64,
  length: u32,
  source: be32,
  destination: be32,
  protocol: u8,
  ttl: u8,
  id: be16,
  head: Head,
});
export const samples = ringBuf("samples", Sample, { bytes: 1 << 22 });
export const seen = percpuArray("seen", { value: u64, maxEntries: 1 });

export const run = xdp("run", (ctx) => {
  const count = seen.ref(0);
  if (!count) return XDP.PASS;
  const sequence = count.value;
  count.value = sequence + 1n;
  if ((sequence & 3n) !== 0n) return XDP.PASS;
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  const head = ctx.header(Head, Ethernet.size);
  if (!ethernet || !ip || !head) return XDP.PASS;
  if (ethernet.type !== ETHERTYPE.IPV4) return XDP.PASS;
  samples.emit({
    sequence,
    length: ctx.length,
    source: ip.source,
    destination: ip.destination,
    protocol: ip.protocol,
    ttl: ip.ttl,
    id: ip.identification,
    head: head,
  });
  return XDP.PASS;
});
