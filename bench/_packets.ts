/** A TCP packet over Ethernet and IPv4. */
export interface PacketShape {
  /** Dotted. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags: number;
  /** Default 64. */
  readonly ttl?: number;
}

export const SYN = 0x02;
export const ACK = 0x10;

const IP = 14;
const TCP = IP + 20;
/** Bytes from the frame's beginning. */
export const TTL_AT = IP + 8;

/** The frame without payload; the TCP checksum is zero. */
export function tcpPacket(shape: PacketShape): Uint8Array {
  const bytes = new Uint8Array(TCP + 20);
  const view = new DataView(bytes.buffer);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
  bytes.set([0x45, 0, 0, 40, 0, 0, 0, 0, shape.ttl ?? 64, 6, 0, 0], IP);
  bytes.set(shape.source.split(".").map(Number), IP + 12);
  bytes.set(shape.destination.split(".").map(Number), IP + 16);
  view.setUint16(IP + 10, checksum(view));
  view.setUint16(TCP, shape.sourcePort);
  view.setUint16(TCP + 2, shape.destinationPort);
  view.setUint32(TCP + 4, 1);
  view.setUint16(TCP + 12, 0x5000 | shape.flags);
  view.setUint16(TCP + 14, 0x2000);
  return bytes;
}

/** Of the IPv4 header (RFC 1071). */
function checksum(view: DataView): number {
  let sum = 0;
  for (let at = IP; at < TCP; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
