import type { Address } from "./address.ts";
import { formatAddress, parseAddress } from "./address.ts";

/** Decimal 0 to 65535 without leading zeros; null for anything else. */
export function parsePort(text: string): number | null {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return null;
  const port = Number(text);
  return port <= 65535 ? port : null;
}

/** An address with a port. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** Reads `192.0.2.1:80` or `[2001:db8::1]:80`. Null if it is neither. */
export function parseEndpoint(text: string): Endpoint | null {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  if (match === null) return null;
  const bracketed = match[1] !== undefined;
  const address = parseAddress(match[1] ?? match[2] ?? "");
  const port = parsePort(match[3] ?? "");
  if (address === null || port === null || (address.family === 6) !== bracketed) return null;
  return { address, port };
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  const text = formatAddress(address);
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

/** Ports with the same first bits: `port >> (16 - length)` of all of them is that of `port`. */
export interface PortPrefix {
  readonly port: number;
  /** 0 (all ports) to 16 (one). */
  readonly length: number;
}

/** The fewest prefixes that hold exactly the ports from first to last, in order. Empty when last is before first. */
export function portRangeToPrefixes(first: number, last: number): PortPrefix[] {
  const result: PortPrefix[] = [];
  let at = first;
  while (at <= last) {
    let free = 0;
    while (free < 16 && at % 2 ** (free + 1) === 0 && at + 2 ** (free + 1) - 1 <= last) free++;
    result.push({ port: at, length: 16 - free });
    at += 2 ** free;
  }
  return result;
}

/** Protocol numbers (IANA) by the names that policies and flows use. */
export const ipProtocols = {
  hopopts: 0,
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  route: 43,
  fragment: 44,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  none: 59,
  dstopts: 60,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
} as const;
