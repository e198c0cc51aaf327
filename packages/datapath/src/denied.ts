/**
 * @module
 * Lists of denied prefixes and their maps. A million of them are a few bytes each, in memory and on their way into the kernel.
 */
import type { RawMap } from "@skep/machine";
import { ipv4, type Prefix } from "@skep/net";
import { Deny6Key } from "./bpf/denied.bpf.ts";
import { decodeAddress, encodeAddress, keyText } from "./encode.ts";

/** Keys that are put together at a time. */
const AT_ONCE = 16_384;
const LENGTHS = 64;
const KEY4 = 8;
const KEY6 = 20;
const PRESENT = Uint8Array.of(1);

/** Numbers in a row that grows. */
class Row {
  #numbers = new Float64Array(1024);
  #length = 0;

  push(number: number): void {
    if (this.#length === this.#numbers.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers[this.#length++] = number;
  }

  get length(): number {
    return this.#length;
  }

  /** In order, each once. The row itself is put into order. */
  sorted(): Float64Array {
    const all = this.#numbers.subarray(0, this.#length).sort();
    let kept = 0;
    for (let at = 0; at < all.length; at++) if (at === 0 || all[at] !== all[at - 1]) all[kept++] = all[at] ?? 0;
    this.#length = kept;
    return this.#numbers.subarray(0, kept);
  }
}

/** Prefixes to deny, of both families. */
export class DeniedPrefixes {
  /** An address as a number, times 64, and the length. */
  readonly #ipv4 = new Row();
  /** Keys of the map as text. */
  readonly #ipv6 = new Set<string>();

  static of(prefixes: Iterable<Prefix>): DeniedPrefixes {
    const made = new DeniedPrefixes();
    for (const prefix of prefixes) made.add(prefix);
    return made;
  }

  add({ address, length }: Prefix): void {
    if (address.family === 6) {
      this.#ipv6.add(keyText(Deny6Key.encode({ prefixLength: length, address: encodeAddress(address) })));
      return;
    }
    const [a = 0, b = 0, c = 0, d = 0] = address.bytes;
    this.addIpv4(((a << 24) | (b << 16) | (c << 8) | d) >>> 0, length);
  }

  /** `address`: its most significant byte first, host bits zero. */
  addIpv4(address: number, length: number): void {
    this.#ipv4.push(address * LENGTHS + length);
  }

  /** How many of a family were added; one that was added twice may count twice. */
  count(family: 4 | 6): number {
    return family === 4 ? this.#ipv4.length : this.#ipv6.size;
  }

  ipv4(): Float64Array {
    return this.#ipv4.sorted();
  }

  get ipv6(): ReadonlySet<string> {
    return this.#ipv6;
  }

  /** Each once: IPv4 in order, then IPv6. */
  *[Symbol.iterator](): IterableIterator<Prefix> {
    for (const number of this.ipv4()) yield { address: ipv4(Math.floor(number / LENGTHS)), length: number % LENGTHS };
    for (const text of this.#ipv6) {
      const { prefixLength, address } = Deny6Key.decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
      yield { address: decodeAddress(address), length: prefixLength };
    }
  }
}

export interface DeniedChange {
  readonly changed: number;
  readonly deleted: number;
}

/** Keys on their way, one behind the other, many at a time. */
class Keys {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #size: number;
  readonly #send: (keys: Uint8Array) => void;
  #length = 0;
  count = 0;

  constructor(size: number, send: (keys: Uint8Array) => void) {
    this.#bytes = new Uint8Array(size * AT_ONCE);
    this.#view = new DataView(this.#bytes.buffer);
    this.#size = size;
    this.#send = send;
  }

  /** Deny4Key: the length as the machine has it, then the address in network order. */
  putIpv4(number: number): void {
    this.#view.setUint32(this.#length, number % LENGTHS, true);
    this.#view.setUint32(this.#length + 4, Math.floor(number / LENGTHS));
    this.#advance();
  }

  putText(text: string): void {
    for (let at = 0; at < text.length; at++) this.#bytes[this.#length + at] = text.charCodeAt(at);
    this.#advance();
  }

  #advance(): void {
    this.count += 1;
    this.#length += this.#size;
    if (this.#length === this.#bytes.length) this.flush();
  }

  flush(): void {
    if (this.#length > 0) this.#send(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
  }
}

/** Brings the map of IPv4 to exactly these: what is new first. */
export function syncDenied4(map: RawMap, prefixes: DeniedPrefixes): DeniedChange {
  const wanted = prefixes.ipv4();
  const row = new Row();
  for (const keys of map.keyRows()) {
    const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
    for (let at = 0; at < keys.length; at += KEY4)
      row.push(view.getUint32(at + 4) * LENGTHS + view.getUint32(at, true));
  }
  const held = row.sorted();
  const written = new Keys(KEY4, (keys) => map.setRows(keys, PRESENT));
  difference(wanted, held, (number) => written.putIpv4(number));
  written.flush();
  const stale = new Keys(KEY4, (keys) => map.deleteRows(keys));
  difference(held, wanted, (number) => stale.putIpv4(number));
  stale.flush();
  return { changed: written.count, deleted: stale.count };
}

/** Of two rows in order: what is in the first alone. */
function difference(of: Float64Array, without: Float64Array, take: (number: number) => void): void {
  let at = 0;
  for (const number of of) {
    while (at < without.length && (without[at] ?? 0) < number) at += 1;
    if (without[at] !== number) take(number);
  }
}

/** Brings the map of IPv6 to exactly these: what is new first. */
export function syncDenied6(map: RawMap, { ipv6: wanted }: DeniedPrefixes): DeniedChange {
  const held = new Set<string>();
  for (const keys of map.keyRows())
    for (let at = 0; at < keys.length; at += KEY6) held.add(keyText(keys.subarray(at, at + KEY6)));
  const written = new Keys(KEY6, (keys) => map.setRows(keys, PRESENT));
  for (const text of wanted) if (!held.has(text)) written.putText(text);
  written.flush();
  const stale = new Keys(KEY6, (keys) => map.deleteRows(keys));
  for (const text of held) if (!wanted.has(text)) stale.putText(text);
  stale.flush();
  return { changed: written.count, deleted: stale.count };
}
