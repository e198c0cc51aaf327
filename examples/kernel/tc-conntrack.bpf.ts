// Connection tracking: who may speak is who was spoken to. The state of a TCP connection follows its flags (a part of RFC 9293).
import { be16, be32, ktimeGetNs, lruHash, struct, tc, TC, u64, u8, type Of, type TcContext } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Tcp, TCP_FLAG } from "@skep/bpf/net";

const Tuple = struct("Tuple", { source: be32, destination: be32, sourcePort: be16, destinationPort: be16 });
type Tuple = Of<typeof Tuple>;
export const Connection = struct("Connection", { state: u8, packets: u64, replies: u64, since: u64 });
export const STATE = { NEW: 0, ESTABLISHED: 1, CLOSING: 2 } as const;
export const connections = lruHash("connections", { key: Tuple, value: Connection, maxEntries: 4096 });

interface Segment {
  tuple: Tuple;
  flags: u8;
}

function segment(ctx: TcContext): Segment | null {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== PROTOCOL.TCP) return null;
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp) return null;
  const { source: sourcePort, destination: destinationPort, flags } = tcp;
  return { tuple: { source: ip.source, destination: ip.destination, sourcePort, destinationPort }, flags };
}

export const egress = tc("egress", (ctx) => {
  const seen = segment(ctx);
  if (!seen) return TC.OK;
  const known = connections.get(seen.tuple);
  if (known) {
    known.packets += 1n;
    if (seen.flags & (TCP_FLAG.FIN | TCP_FLAG.RST)) known.state = STATE.CLOSING;
    return TC.OK;
  }
  if ((seen.flags & TCP_FLAG.SYN) === 0) return TC.SHOT;
  connections.set(seen.tuple, { state: STATE.NEW, packets: 1n, replies: 0n, since: ktimeGetNs() });
  return TC.OK;
});

export const ingress = tc("ingress", (ctx) => {
  const seen = segment(ctx);
  if (!seen) return TC.OK;
  const { source, destination, sourcePort, destinationPort } = seen.tuple;
  const turned = { source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort };
  const known = connections.get(turned);
  if (!known) return TC.SHOT;
  known.replies += 1n;
  if (known.state === STATE.NEW && (seen.flags & TCP_FLAG.ACK) !== 0) known.state = STATE.ESTABLISHED;
  return TC.OK;
});
