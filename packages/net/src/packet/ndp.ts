import type { Address, Mac } from "../address.ts";
import { addressOf } from "../address.ts";
import type { LayerSpec } from "./build.ts";
import type { ParsedPacket } from "./parse.ts";

/** `rest` of an echo request or reply. Both numbers have 16 bits. */
export function echoRest(identifier: number, sequence: number): number {
  return ((identifier << 16) | (sequence & 0xffff)) >>> 0;
}

/** The multicast address that a neighbour solicitation for the IPv6 address goes to (RFC 4291 section 2.7.1). */
export function solicitedNodeAddress(address: Address): Address {
  const bytes = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  bytes.set(address.bytes.subarray(13), 13);
  return { family: 6, bytes };
}

/** The Ethernet address of a multicast address (RFC 1112, RFC 2464). */
export function multicastMac(address: Address): Mac {
  const { bytes } = address;
  if (address.family === 6) return Uint8Array.of(0x33, 0x33, ...bytes.subarray(12));
  return Uint8Array.of(1, 0, 0x5e, (bytes[1] ?? 0) & 0x7f, bytes[2] ?? 0, bytes[3] ?? 0);
}

/** The link-local address that an interface makes of its Ethernet address (RFC 4291 appendix A). */
export function linkLocalAddress(mac: Mac): Address {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac;
  return { family: 6, bytes: Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f) };
}

/** A neighbour solicitation or advertisement (RFC 4861 sections 4.3 and 4.4). */
export interface NeighborMessage {
  readonly kind: "solicitation" | "advertisement";
  readonly target: Address;
  /** The source's (solicitation) or target's (advertisement) Ethernet address, null without that option. */
  readonly mac: Mac | null;
  /** Only of advertisements. */
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

const SOLICITATION = 135;
const ADVERTISEMENT = 136;

/** The ICMPv6 layers of the message; the IPv6 layer outside must have a hop limit of 255. */
export function neighborLayers(message: NeighborMessage): LayerSpec[] {
  const advertisement = message.kind === "advertisement";
  const flags = (message.router ? 0x80 : 0) | (message.solicited ? 0x40 : 0) | (message.override ? 0x20 : 0);
  const option = message.mac === null ? [] : [advertisement ? 2 : 1, 1, ...message.mac];
  return [
    {
      kind: "icmpv6",
      type: advertisement ? ADVERTISEMENT : SOLICITATION,
      rest: advertisement ? (flags << 24) >>> 0 : 0,
    },
    { kind: "payload", bytes: Uint8Array.of(...message.target.bytes, ...option) },
  ];
}

/** The neighbour message in a packet; null if there is none that is well-formed. */
export function neighborMessage(packet: ParsedPacket): NeighborMessage | null {
  const at = packet.layers.findIndex((layer) => layer.kind === "icmpv6");
  const icmp = packet.layers[at];
  const body = packet.layers[at + 1];
  if (icmp?.kind !== "icmpv6" || body?.kind !== "payload" || body.bytes.length < 16) return null;
  if (icmp.code !== 0 || (icmp.type !== SOLICITATION && icmp.type !== ADVERTISEMENT)) return null;
  const advertisement = icmp.type === ADVERTISEMENT;
  const mac = linkOption(body.bytes.subarray(16), advertisement ? 2 : 1);
  if (mac === "malformed") return null;
  const flag = (bit: number) => advertisement && ((icmp.rest >>> 24) & bit) !== 0;
  return {
    kind: advertisement ? "advertisement" : "solicitation",
    target: addressOf(body.bytes.subarray(0, 16)),
    mac,
    router: flag(0x80),
    solicited: flag(0x40),
    override: flag(0x20),
  };
}

/** The Ethernet address in the option of that type. An option of length zero makes the message invalid. */
function linkOption(options: Uint8Array, type: number): Mac | null | "malformed" {
  let found: Mac | null = null;
  for (let at = 0; at < options.length;) {
    const length = (options[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > options.length) return "malformed";
    if (options[at] === type && length === 8) found = options.slice(at + 2, at + 8);
    at += length;
  }
  return found;
}
