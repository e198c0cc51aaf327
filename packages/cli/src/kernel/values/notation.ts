/**
 * @module
 * How addresses are written: dotted quads, IPv6, and MAC addresses.
 */
import { formatAddress, parseAddress } from "@skep/net";

export function macText(bytes: Uint8Array): string | null {
  if (bytes.length !== 6) return null;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Of four or sixteen bytes; null for others. */
export function addressText(bytes: Uint8Array): string | null {
  if (bytes.length === 4) return [...bytes].join(".");
  return bytes.length === 16 ? formatAddress({ family: 6, bytes: bytes.slice() }) : null;
}

/** The bytes of an address in one of these notations; null for other text. */
export function addressBytes(text: string): Uint8Array | null {
  if (/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(text)) return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
  if (!text.includes(":") && !/^\d+(\.\d+){3}$/.test(text)) return null;
  return parseAddress(text)?.bytes ?? null;
}
