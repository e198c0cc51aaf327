import type { Mac } from "./address.ts";

/** Reads six hexadecimal pairs between `:` or `-` (`02:42:ac:11:00:02`). Null if it is not that. */
export function parseMac(text: string): Mac | null {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$|^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16));
}

/** Lower case, with colons. */
export function formatMac(mac: Mac): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Same six bytes. */
export function sameMac(a: Mac, b: Mac): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Group bit of the first byte: multicast, and broadcast. */
export function isGroupMac(mac: Mac): boolean {
  return ((mac[0] ?? 0) & 1) === 1;
}
