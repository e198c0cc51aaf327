import type { Address } from "./address.ts";

/** IPv4 as a number, IPv6 as a text of 16 characters: a `Uint8Array` takes a quarter of a kilobyte for four bytes. */
class PackedAddress implements Address {
  readonly #value: number | string;

  constructor(value: number | string) {
    this.#value = value;
  }

  get family(): 4 | 6 {
    return typeof this.#value === "number" ? 4 : 6;
  }

  /** Made anew each time. */
  get bytes(): Uint8Array {
    const value = this.#value;
    if (typeof value === "number") return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
    return Uint8Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
  }
}

/** The same address in little room, for where there are very many. */
export function packAddress(address: Address): Address {
  if (address instanceof PackedAddress) return address;
  const { bytes } = address;
  if (address.family === 6) return new PackedAddress(String.fromCharCode(...bytes));
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return new PackedAddress((a << 24) | (b << 16) | (c << 8) | d);
}
