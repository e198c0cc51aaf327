/**
 * @module
 * The packet of a trace, its answer, and how it is written in a line.
 */
import { type Address, buildPacket, formatAddress, type LayerSpec, type Mac, parsePacket } from "@skep/net";

export type TracedProtocol = "tcp" | "udp" | "sctp" | "icmp";

export interface TracedPacket {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: TracedProtocol;
  readonly sourcePort: number;
  readonly port: number;
  /** Of TCP: `S`, `SA`, `A`, `FA`, `R`. */
  readonly flags: string;
}

const FLAGS = { F: "fin", S: "syn", R: "rst", P: "psh", A: "ack" } as const;

/** Letters that are no flags of TCP. */
export const wrongFlags = (text: string): string => [...text].filter((letter) => !(letter in FLAGS)).join("");

function flagsOf(text: string): number {
  const bits = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 };
  return [...text].reduce((sum, letter) => sum | bits[FLAGS[letter as keyof typeof FLAGS]], 0);
}

function transport(packet: TracedPacket): LayerSpec {
  const { protocol, sourcePort, port: destinationPort } = packet;
  switch (protocol) {
    case "tcp":
      return { kind: "tcp", sourcePort, destinationPort, flags: flagsOf(packet.flags) };
    case "udp":
      return { kind: "udp", sourcePort, destinationPort };
    case "sctp":
      return { kind: "sctp", sourcePort, destinationPort };
    case "icmp":
      if (packet.source.family === 6)
        return { kind: "icmpv6", type: isAnswer(packet) ? 129 : 128, rest: sourcePort << 16 };
      return { kind: "icmp", type: isAnswer(packet) ? 0 : 8, rest: (sourcePort << 16) >>> 0 };
  }
}

const isAnswer = ({ flags }: TracedPacket): boolean => flags.includes("A");

export function frameOf(packet: TracedPacket, macs: { source: Mac; destination: Mac }): Uint8Array {
  const { source, destination } = packet;
  return buildPacket([
    { kind: "ethernet", ...macs },
    source.family === 6 ? { kind: "ipv6", source, destination } : { kind: "ipv4", source, destination },
    transport(packet),
  ]);
}

/** What the receiver of the frame answers; null where the frame holds nothing that is answered. */
export function answerTo(frame: Uint8Array): TracedPacket | null {
  const ends = endsOf(frame);
  if (!ends) return null;
  const { source, destination, protocol, sourcePort, port } = ends;
  const swapped = protocol === "icmp" ? { sourcePort, port } : { sourcePort: port, port: sourcePort };
  return { ...{ source: destination, destination: source, protocol, flags: "SA" }, ...swapped };
}

interface Ends {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: TracedProtocol;
  readonly sourcePort: number;
  readonly port: number;
}

/** Of the outermost addresses. */
export function endsOf(frame: Uint8Array): Ends | null {
  const { layers } = parsePacket(frame);
  const ip = layers.find((layer) => layer.kind === "ipv4" || layer.kind === "ipv6");
  if (!ip || (ip.kind !== "ipv4" && ip.kind !== "ipv6")) return null;
  const { source, destination } = ip;
  for (const layer of layers) {
    if (layer.kind === "tcp" || layer.kind === "udp" || layer.kind === "sctp")
      return { source, destination, protocol: layer.kind, sourcePort: layer.sourcePort, port: layer.destinationPort };
    if (layer.kind === "icmp" || layer.kind === "icmpv6")
      return { source, destination, protocol: "icmp", sourcePort: layer.rest >>> 16, port: 0 };
  }
  return null;
}

const end = (address: Address, port: number): string =>
  address.family === 6 ? `[${formatAddress(address)}]:${port}` : `${formatAddress(address)}:${port}`;

/** `tcp 10.0.0.1:4000 > 10.0.0.2:80`. */
export function packetText(frame: Uint8Array): string {
  const ends = endsOf(frame);
  if (!ends) return `${frame.length} bytes`;
  const { source, destination, protocol, sourcePort, port } = ends;
  if (protocol === "icmp") return `icmp ${formatAddress(source)} > ${formatAddress(destination)}`;
  return `${protocol} ${end(source, sourcePort)} > ${end(destination, port)}`;
}
