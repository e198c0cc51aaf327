/**
 * @module
 * Addresses with port, protocol and scope as keys of JavaScript maps that sort as Cilium's tables do: by the 16 bytes of the address
 * (IPv4 mapped), port, protocol, scope.
 */
import { type Address, formatAddress, formatEndpoint, mappedBytes } from "@skep/net";
import { protocolName } from "./text.ts";

export interface SocketAddress {
  readonly address: Address;
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
}

/** Character codes of hexadecimal digits. */
const DIGITS = Array.from({ length: 16 }, (_, digit) => digit.toString(16).charCodeAt(0));

/** Of one piece: a text that was put together keeps its parts, which is a third more for each of many keys. */
function hex(bytes: ArrayLike<number>, codes: number[]): void {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    codes.push(DIGITS[byte >> 4] ?? 0, DIGITS[byte & 15] ?? 0);
  }
}

export function hostKey(address: Address): string {
  const codes: number[] = [];
  hex(mappedBytes(address), codes);
  return String.fromCharCode(...codes);
}

/** 32 digits of the address, 4 of the port, 2 of the protocol, one of the scope. */
export function addressKey({ address, port, protocol }: SocketAddress, scope: 0 | 1 = 0): string {
  const codes: number[] = [];
  hex(mappedBytes(address), codes);
  hex([port >> 8, port & 0xff, protocol], codes);
  codes.push(DIGITS[scope] ?? 0);
  return String.fromCharCode(...codes);
}

/** `10.96.0.10:80/TCP`, `[::]:69/UDP`, with `/i` behind it in the internal scope. */
export function addressText({ address, port, protocol }: SocketAddress, scope: 0 | 1 = 0): string {
  return `${formatEndpoint({ address, port })}/${protocolName(protocol)}${scope === 1 ? "/i" : ""}`;
}

/** The host in brackets where it is IPv6. */
export function hostText(address: Address): string {
  return address.family === 6 ? `[${formatAddress(address)}]` : formatAddress(address);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
