import { type Address, type Layer, type LayerSpec, type ParsedPacket, parsePacket } from "@skep/net";

/** Why a packet does not get on. */
export type IcmpProblem = "network" | "host" | "port" | "ttl";

/** Type and code (RFC 792, RFC 4443). */
const codes: Readonly<
  Record<IcmpProblem, { readonly v4: readonly [number, number]; readonly v6: readonly [number, number] }>
> = {
  network: { v4: [3, 0], v6: [1, 0] },
  host: { v4: [3, 1], v6: [1, 3] },
  port: { v4: [3, 3], v6: [1, 4] },
  ttl: { v4: [11, 0], v6: [3, 0] },
};

/** RFC 1812 section 4.3.2.3; RFC 4443 section 2.4 (c): the whole stays within the smallest MTU. */
const QUOTED = { ipv4: 548, ipv6: 1232 } as const;

/** The message about a packet; null where there must be none: about an ICMP error, a group, or nobody. */
export function errorLayers(
  packet: ParsedPacket,
  ip: Extract<Layer, { kind: "ipv4" | "ipv6" }>,
  problem: IcmpProblem,
): LayerSpec[] | null {
  const icmp = packet.layers.find(({ kind }) => kind === "icmp" || kind === "icmpv6");
  if (icmp?.kind === "icmp" && icmp.type !== 8) return null;
  if (icmp?.kind === "icmpv6" && icmp.type < 128) return null;
  if (isGroup(ip.destination) || ip.source.bytes.every((byte) => byte === 0)) return null;
  const at = packet.spans[packet.layers.findIndex(({ kind }) => kind === ip.kind)]?.offset ?? 0;
  const bytes = packet.bytes.slice(at, at + QUOTED[ip.kind]);
  const [type, code] = codes[problem][ip.kind === "ipv4" ? "v4" : "v6"];
  return [
    { kind: ip.kind === "ipv4" ? "icmp" : "icmpv6", type, code, rest: 0 },
    { kind: "payload", bytes },
  ];
}

function isGroup({ family, bytes }: Address): boolean {
  const first = bytes[0] ?? 0;
  return family === 4 ? first >= 224 : first === 0xff;
}

/** The answer to an echo request; null for other messages. */
export function echoReply(packet: ParsedPacket, at: number): LayerSpec[] | null {
  const layer = packet.layers[at];
  const body = packet.layers[at + 1];
  const rest: LayerSpec[] = body?.kind === "payload" ? [{ kind: "payload", bytes: body.bytes }] : [];
  if (layer?.kind === "icmp" && layer.type === 8) return [{ kind: "icmp", type: 0, rest: layer.rest }, ...rest];
  if (layer?.kind === "icmpv6" && layer.type === 128) return [{ kind: "icmpv6", type: 129, rest: layer.rest }, ...rest];
  return null;
}

/** What an ICMP error is about: ends and ports of the packet that it quotes, seen by its sender. */
export interface Problem {
  readonly kind: "unreachable" | "refused";
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: "tcp" | "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export function aboutOf(packet: ParsedPacket, at: number): Problem | null {
  const layer = packet.layers[at];
  if (layer?.kind !== "icmp" && layer?.kind !== "icmpv6") return null;
  const isV4 = layer.kind === "icmp";
  if (isV4 ? layer.type !== 3 && layer.type !== 11 : layer.type > 3) return null;
  const isPort = isV4 ? layer.type === 3 && layer.code === 3 : layer.type === 1 && layer.code === 4;
  const quoted = packet.layers[at + 1];
  if (quoted?.kind !== "payload") return null;
  const [ip, transport] = parsePacket(quoted.bytes, { first: "ip" }).layers;
  if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") return null;
  if (transport?.kind !== "tcp" && transport?.kind !== "udp") return null;
  const { source, destination } = ip;
  const { kind: protocol, sourcePort, destinationPort } = transport;
  return { kind: isPort ? "refused" : "unreachable", source, destination, protocol, sourcePort, destinationPort };
}
