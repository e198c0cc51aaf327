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

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hostKey(address: Address): string {
  let text = "";
  for (const byte of mappedBytes(address)) text += HEX[byte] ?? "";
  return text;
}

/** 32 digits of the address, 4 of the port, 2 of the protocol, one of the scope. */
export function addressKey({ address, port, protocol }: SocketAddress, scope: 0 | 1 = 0): string {
  return `${hostKey(address)}${HEX[port >> 8] ?? ""}${HEX[port & 0xff] ?? ""}${HEX[protocol] ?? ""}${scope}`;
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
