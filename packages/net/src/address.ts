/**
 * An IP address. `bytes` has 4 or 16 bytes in network order. Compare with `sameAddress`, use `formatAddress` as a key.
 */
export interface Address {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** A CIDR prefix; host bits are zero unless it stands for an interface's address. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** Six bytes. */
export type Mac = Uint8Array;

/** Four decimal numbers without leading zeros; null for anything else. */
function parseIpv4Bytes(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part)) return null;
    const value = Number(part);
    if (value > 255) return null;
    bytes[i] = value;
  }
  return bytes;
}

/** The groups of one side of `::`; the last may be a dotted IPv4 address. Null if a group is malformed. */
function parseGroups(text: string, dotted: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (dotted && i === parts.length - 1 && part.includes(".")) {
      const v4 = parseIpv4Bytes(part);
      if (v4 === null) return null;
      const view = new DataView(v4.buffer);
      groups.push(view.getUint16(0), view.getUint16(2));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function parseIpv6Bytes(text: string): Uint8Array | null {
  const gap = text.indexOf("::");
  const head = parseGroups(gap < 0 ? text : text.slice(0, gap), gap < 0);
  const tail = gap < 0 ? [] : parseGroups(text.slice(gap + 2), true);
  if (head === null || tail === null) return null;
  const count = head.length + tail.length;
  // RFC 4291 section 2.2: "::" stands for one or more groups.
  if (gap < 0 ? count !== 8 : count > 7) return null;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, group] of head.entries()) view.setUint16(i * 2, group);
  for (const [i, group] of tail.entries()) view.setUint16((8 - tail.length + i) * 2, group);
  return bytes;
}

/** Reads `192.0.2.1` or `2001:db8::1` (also with a dotted end). No zone, no brackets. Null if it is neither. */
export function parseAddress(text: string): Address | null {
  if (text.includes(":")) {
    const bytes = text.length <= 45 ? parseIpv6Bytes(text) : null;
    return bytes && { family: 6, bytes };
  }
  const bytes = parseIpv4Bytes(text);
  return bytes && { family: 4, bytes };
}

/** An address of 4 or 16 bytes in network order, which are copied. Throws a RangeError for another length. */
export function addressOf(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  return { family: bytes.length === 4 ? 4 : 6, bytes: bytes.slice() };
}

/** The IPv4 address of an unsigned number, most significant byte first. */
export function ipv4(value: number): Address {
  return { family: 4, bytes: Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value) };
}

/** The canonical text: RFC 5952 for IPv6 (lower case, longest run of zero groups as `::`, mapped addresses dotted). */
export function formatAddress(address: Address): string {
  const { bytes } = address;
  if (address.family === 4) return bytes.join(".");
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const run = longestZeroRun(groups);
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return text(groups);
  return `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
}

/** The first of the longest runs of zeros. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  }
  return best;
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** The 16 bytes of the address: IPv6 as it is, IPv4 as ::ffff:a.b.c.d. A fresh copy. */
export function mappedBytes(address: Address): Uint8Array {
  if (address.family === 6) return address.bytes.slice();
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes.set(address.bytes, 12);
  return bytes;
}

/** The address in 16 bytes: ::ffff:a.b.c.d becomes the IPv4 address. */
export function fromMappedBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 16) throw new RangeError(`a mapped address has 16 bytes, not ${bytes.length}`);
  return isMapped(bytes) ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes: bytes.slice() };
}

/** Same family and same bytes; a mapped IPv6 address is not its IPv4 address. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && compareBytes(a.bytes, b.bytes) === 0;
}

/** Order: IPv4 before IPv6, then by value. Negative, zero or positive. */
export function compareAddresses(a: Address, b: Address): number {
  return a.family - b.family || compareBytes(a.bytes, b.bytes);
}

/** Order of two byte strings of equal length as unsigned numbers, most significant byte first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The address as an unsigned number. */
export function addressToBigInt(address: Address): bigint {
  let value = 0n;
  for (const byte of address.bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** The address of that family with that value, taken modulo the family's size. */
export function addressFromBigInt(family: 4 | 6, value: bigint): Address {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.bytes[0] === 127 : addressToBigInt(address) === 1n;
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: Address): boolean {
  return address.bytes.every((byte) => byte === 0);
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: Address): boolean {
  const first = address.bytes[0] ?? 0;
  return address.family === 4 ? first >> 4 === 14 : first === 0xff;
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  const [first = 0, second = 0] = address.bytes;
  return address.family === 4 ? first === 169 && second === 254 : first === 0xfe && second >> 6 === 2;
}
