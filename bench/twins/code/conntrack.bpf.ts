// A connection's entry, found from either side.
import { array, be16, be32, lruHash, struct, u32, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Tcp, TCP_FLAG } from "@skep/bpf/net";

export const license = "GPL";

const Tuple = struct("Tuple", { source: be32, destination: be32, sourcePort: be16, destinationPort: be16 });
const Connection = struct("Connection", { packets: array(u64, 2), bytes: array(u64, 2), state: u32, pad: u32 });
export const connections = lruHash("connections", { key: Tuple, value: Connection, maxEntries: 4096 });

const SYN_SENT = 1;
const ESTABLISHED = 2;
const CLOSING = 3;

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.protocol !== PROTOCOL.TCP) return XDP.PASS;
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp) return XDP.DROP;
  const bytes = u64(ip.length);
  const tuple = {
    source: ip.source,
    destination: ip.destination,
    sourcePort: tcp.source,
    destinationPort: tcp.destination,
  };
  const own = connections.get(tuple);
  if (own) {
    own.packets[0] += 1n;
    own.bytes[0] += bytes;
    if ((tcp.flags & (TCP_FLAG.FIN | TCP_FLAG.RST)) !== 0) own.state = CLOSING;
    return XDP.PASS;
  }
  const peer = connections.get({
    source: tuple.destination,
    destination: tuple.source,
    sourcePort: tuple.destinationPort,
    destinationPort: tuple.sourcePort,
  });
  if (peer) {
    peer.packets[1] += 1n;
    peer.bytes[1] += bytes;
    if ((tcp.flags & (TCP_FLAG.FIN | TCP_FLAG.RST)) !== 0) peer.state = CLOSING;
    else if (peer.state === SYN_SENT && (tcp.flags & TCP_FLAG.ACK) !== 0) peer.state = ESTABLISHED;
    return XDP.PASS;
  }
  if ((tcp.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK)) !== TCP_FLAG.SYN) return XDP.DROP;
  connections.set(tuple, { packets: [1n, 0n], bytes: [bytes, 0n], state: SYN_SENT, pad: 0 });
  return XDP.PASS;
});
