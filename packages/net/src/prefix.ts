import type { Address, Prefix } from "./address.ts";
import {
  addressFromBigInt,
  addressToBigInt,
  compareAddresses,
  formatAddress,
  parseAddress,
  sameAddress,
} from "./address.ts";

/** Bits of an address of the family. */
export function familyBits(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Reads `10.0.0.0/8` or `2001:db8::/32`, host bits kept (use `networkOf` to clear them). Null if it is neither. */
export function parseInterfacePrefix(text: string): Prefix | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === null || !/^(?:0|[1-9]\d{0,2})$/.test(digits)) return null;
  const length = Number(digits);
  return length <= familyBits(address.family) ? { address, length } : null;
}

/**
 * Reads a network: `10.0.0.0/8`, `2001:db8::/32`, or a bare address, which is a prefix of full length. Host bits
 * are cleared. Null if it is none of these.
 */
export function parsePrefix(text: string): Prefix | null {
  if (!text.includes("/")) {
    const address = parseAddress(text);
    return address && hostPrefix(address);
  }
  const prefix = parseInterfacePrefix(text);
  return prefix && networkOf(prefix);
}

/** `address/length`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** The prefix of full length of one address. */
export function hostPrefix(address: Address): Prefix {
  return { address, length: familyBits(address.family) };
}

/** The prefix with its host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  return { address: maskAddress(prefix.address, prefix.length), length: prefix.length };
}

/** The address with all bits after the first `length` cleared. */
export function maskAddress(address: Address, length: number): Address {
  const bytes = address.bytes.slice();
  for (let i = 0; i < bytes.length; i++) {
    const keep = Math.min(8, Math.max(0, length - i * 8));
    bytes[i] = (bytes[i] ?? 0) & (0xff00 >> keep) & 0xff;
  }
  return { family: address.family, bytes };
}

/** The netmask of that length as an address. */
export function netmask(family: 4 | 6, length: number): Address {
  const bits = familyBits(family);
  return addressFromBigInt(family, ((1n << BigInt(length)) - 1n) << BigInt(bits - length));
}

/** Whether the address is in the prefix; never across families. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
  return prefix.address.family === address.family && commonBits(prefix.address.bytes, address.bytes) >= prefix.length;
}

/** Whether every address of `inner` is in `outer`. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner.address);
}

/** Whether the two share an address. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? prefixCovers(a, b) : prefixCovers(b, a);
}

/** Same family, length and network; host bits do not count. */
export function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && prefixContains(a, b.address);
}

/** Same text: host bits count. */
export function sameInterfacePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && sameAddress(a.address, b.address);
}

/** Order by address, then the shorter prefix first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  return compareAddresses(a.address, b.address) || a.length - b.length;
}

/** Leading bits that two byte strings of equal length share. */
export function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return a.length * 8;
}

/** The prefix over mapped 16-byte addresses: an IPv4 prefix becomes ::ffff:a.b.c.d/(96 + length). */
export function mappedPrefix(prefix: Prefix): Prefix {
  if (prefix.address.family === 6) return prefix;
  const bytes = new Uint8Array(16).fill(0xff, 10, 12);
  bytes.set(prefix.address.bytes, 12);
  return { address: { family: 6, bytes }, length: prefix.length + 96 };
}

/** First and last address. */
export function prefixRange(prefix: Prefix): { readonly first: Address; readonly last: Address } {
  const { family } = prefix.address;
  const first = maskAddress(prefix.address, prefix.length);
  const hosts = (1n << BigInt(familyBits(family) - prefix.length)) - 1n;
  return { first, last: addressFromBigInt(family, addressToBigInt(first) | hosts) };
}

/** How many addresses the prefix has. */
export function prefixSize(prefix: Prefix): bigint {
  return 1n << BigInt(familyBits(prefix.address.family) - prefix.length);
}

/** The address at that distance from the first; null when the prefix is not that large. */
export function addressAt(prefix: Prefix, index: bigint): Address | null {
  if (index < 0n || index >= prefixSize(prefix)) return null;
  return addressFromBigInt(prefix.address.family, addressToBigInt(maskAddress(prefix.address, prefix.length)) + index);
}

/** The fewest prefixes that hold exactly the addresses from first to last, in order. Empty when last is before first. */
export function rangeToPrefixes(first: Address, last: Address): Prefix[] {
  const { family } = first;
  const bits = BigInt(familyBits(family));
  const result: Prefix[] = [];
  const end = addressToBigInt(last);
  let at = addressToBigInt(first);
  if (last.family !== family) return result;
  while (at <= end) {
    let free = 0n;
    while (free < bits && (at & ((1n << (free + 1n)) - 1n)) === 0n && at + (1n << (free + 1n)) - 1n <= end) free++;
    result.push({ address: addressFromBigInt(family, at), length: Number(bits - free) });
    at += 1n << free;
  }
  return result;
}
