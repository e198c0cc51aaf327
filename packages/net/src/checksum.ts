import type { Address } from "./address.ts";

/**
 * The ones' complement sum of the bytes as 16-bit big-endian words (RFC 1071), folded to 16 bits but not inverted.
 * Sums add up: `previous` is the sum of what comes before, which must have an even length.
 */
export function onesSum(bytes: Uint8Array, previous = 0): number {
  let sum = previous;
  const even = bytes.length & ~1;
  // Up to 2 ** 37 words stay exact in a double, so the carry is folded once.
  for (let i = 0; i < even; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  if (even !== bytes.length) sum += (bytes[even] ?? 0) << 8;
  return fold(sum);
}

function fold(value: number): number {
  let sum = value;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** The Internet checksum (RFC 1071). Over data that contains its right checksum it is 0. */
export function checksum(bytes: Uint8Array, previous = 0): number {
  return ~onesSum(bytes, previous) & 0xffff;
}

/** The sum of the pseudo header of TCP, UDP (RFC 768, 9293), ICMPv6 and the rest over IPv6 (RFC 8200 section 8.1). */
export function pseudoHeaderSum(
  addresses: { readonly source: Address; readonly destination: Address },
  protocol: number,
  length: number,
): number {
  const sum = onesSum(addresses.destination.bytes, onesSum(addresses.source.bytes));
  return fold(sum + protocol + (length >>> 16) + (length & 0xffff));
}

/**
 * The checksum of a segment (header with its checksum field zero, and data) with its pseudo header. For UDP a result
 * of 0 is sent as 0xffff: that is the caller's matter.
 */
export function transportChecksum(
  addresses: { readonly source: Address; readonly destination: Address },
  protocol: number,
  segment: Uint8Array,
): number {
  return checksum(segment, pseudoHeaderSum(addresses, protocol, segment.length));
}

/** The checksum after one 16-bit word of the data has changed (RFC 1624, equation 3). */
export function updateChecksum16(check: number, before: number, after: number): number {
  return ~fold((~check & 0xffff) + (~before & 0xffff) + (after & 0xffff)) & 0xffff;
}

/** The checksum after a 32-bit word at an even offset has changed. */
export function updateChecksum32(check: number, before: number, after: number): number {
  return updateChecksum16(updateChecksum16(check, before >>> 16, after >>> 16), before, after);
}

/** The checksum after bytes at an even offset were replaced by as many or another number of bytes. */
export function updateChecksum(check: number, before: Uint8Array, after: Uint8Array): number {
  return ~fold((~check & 0xffff) + (~onesSum(before) & 0xffff) + onesSum(after)) & 0xffff;
}
