/**
 * @module
 * Reading and writing what is not a plain integer of a DataView, and the checks that integers pass before they are written.
 */

/** How a value is named in errors: the path of fields to it. */
export type Path = string;

function refuse(path: Path, value: unknown, wanted: string): never {
  const given = typeof value === "bigint" ? `${value}n` : String(value);
  throw new RangeError(`${path}: ${wanted} wanted, got ${typeof value} ${given}`);
}

/** Integers of up to 32 bits as numbers; bigints that fit are taken too. */
export function narrow(value: unknown, path: Path, range: readonly [number, number]): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < range[0] || number > range[1])
    return refuse(path, value, `an integer from ${range[0]} to ${range[1]}`);
  return number;
}

/** Integers of 64 bits; numbers that are integers are taken too. */
export function wide(value: unknown, path: Path, signed: boolean): bigint {
  if (typeof value !== "bigint" && !Number.isInteger(value)) return refuse(path, value, "a bigint");
  const integer = BigInt(value as bigint | number);
  const wrapped = signed ? BigInt.asIntN(64, integer) : BigInt.asUintN(64, integer);
  return integer === wrapped ? integer : refuse(path, value, signed ? "63 bits and a sign" : "64 bits");
}

export function boolean(value: unknown, path: Path): 0 | 1 {
  if (typeof value !== "boolean") return refuse(path, value, "a boolean");
  return value ? 1 : 0;
}

export function float(value: unknown, path: Path): number {
  return typeof value === "number" ? value : refuse(path, value, "a number");
}

export function object(value: unknown, path: Path): Record<string, unknown> {
  if (value === null || typeof value !== "object") return refuse(path, value, "an object");
  return value as Record<string, unknown>;
}

/** A field that must be given. */
export function given(value: unknown, path: Path): unknown {
  if (value === undefined) throw new RangeError(`${path} is missing`);
  return value;
}

export function items(value: unknown, path: Path, length: number): ArrayLike<unknown> {
  const list = value as ArrayLike<unknown> | null;
  if (list === null || typeof list !== "object" || list.length !== length)
    return refuse(path, value, `an array of ${length} elements`);
  return list;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function readText(view: DataView, at: number, size: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, size);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Zeros after the text; a text may fill all bytes. Bytes are taken as they are. */
export function writeText(view: DataView, at: number, size: number, value: unknown, path: Path): void {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  if (!(bytes instanceof Uint8Array)) return refuse(path, value, "a string");
  if (bytes.length > size) throw new RangeError(`${path}: ${bytes.length} bytes of text do not fit ${size}`);
  const place = new Uint8Array(view.buffer, view.byteOffset + at, size);
  place.fill(0);
  place.set(bytes);
}

export function readBytes(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size).slice();
}

export function writeBytes(view: DataView, at: number, size: number, value: unknown, path: Path): void {
  if (!(value instanceof Uint8Array) || value.length !== size) return refuse(path, value, `${size} bytes`);
  new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
}

export interface Bits {
  /** Below 8, from the low bit of the first byte. */
  readonly shift: number;
  readonly width: number;
  readonly signed: boolean;
  /** The declared type has 64 bits: the value is a bigint. */
  readonly isWide: boolean;
}

/** Bytes are walked: a packed bit field may lie in nine of them, and the struct may end right after. */
export function readBits(view: DataView, at: number, bits: Bits): number | bigint {
  const bytes = (bits.shift + bits.width + 7) >> 3;
  let raw = 0n;
  for (let index = bytes - 1; index >= 0; index--) raw = (raw << 8n) | BigInt(view.getUint8(at + index));
  const field = raw >> BigInt(bits.shift);
  const value = bits.signed ? BigInt.asIntN(bits.width, field) : BigInt.asUintN(bits.width, field);
  return bits.isWide ? value : Number(value);
}

export function writeBits(view: DataView, at: number, bits: Bits, value: unknown, path: Path): void {
  const integer = wide(value, path, bits.signed);
  const wrapped = bits.signed ? BigInt.asIntN(bits.width, integer) : BigInt.asUintN(bits.width, integer);
  if (wrapped !== integer) return refuse(path, value, `${bits.width} bits`);
  const mask = ((1n << BigInt(bits.width)) - 1n) << BigInt(bits.shift);
  const field = (BigInt.asUintN(bits.width, integer) << BigInt(bits.shift)) & mask;
  const bytes = (bits.shift + bits.width + 7) >> 3;
  for (let index = 0; index < bytes; index++) {
    const place = BigInt(index * 8);
    const keep = view.getUint8(at + index) & ~Number((mask >> place) & 0xffn);
    view.setUint8(at + index, keep | Number((field >> place) & 0xffn));
  }
}

/** Least and greatest value of an integer of up to 32 bits. */
export function rangeOf(size: 1 | 2 | 4, signed: boolean): readonly [number, number] {
  const span = 2 ** (size * 8);
  return signed ? [-span / 2, span / 2 - 1] : [0, span - 1];
}
