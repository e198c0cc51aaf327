/**
 * @module
 * Keys and values as words: bytes as bpftool takes them, or what the map's types make of `field=value`, JSON and numbers.
 */
import { type BtfView, resolveType, sizeOf } from "@skep/object";
import { type CliError, usageError } from "../../errors.ts";
import { encodeValue, type Input, parseJson } from "./encode.ts";

/** What the words are to become. */
export interface DataType {
  /** `key` or `value`: for messages. */
  readonly what: string;
  /** Bytes. */
  readonly size: number;
  /** Absent: the map has no types. */
  readonly types?: BtfView;
  readonly typeId?: number;
}

function badByte(type: DataType, index: number, word: string): CliError {
  return usageError(`${type.what}, byte ${index + 1}: "${word}" is no byte`);
}

function checkLength(type: DataType, bytes: Uint8Array): Uint8Array {
  if (bytes.length === type.size) return bytes;
  throw usageError(`${type.what}: ${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"} instead of ${type.size}`);
}

/** `hex 0a 0b`, also run together: `hex 0a0b`. */
function hexBytes(words: readonly string[], type: DataType): Uint8Array {
  const bytes: number[] = [];
  for (const word of words) {
    const digits = word.replace(/^0x/i, "");
    const bad = /[^\da-f]/i.exec(digits);
    if (bad !== null || digits === "" || (digits.length > 2 && digits.length % 2 === 1))
      throw badByte(type, bytes.length, word);
    for (const pair of digits.match(/..?/g) ?? []) bytes.push(parseInt(pair, 16));
  }
  return checkLength(type, Uint8Array.from(bytes));
}

/** Decimal, `0x` and, with a leading zero, octal, as strtoul(3) reads them. */
function byteOf(word: string): number | null {
  const value = /^0x[\da-f]+$/i.test(word)
    ? parseInt(word, 16)
    : /^0[0-7]+$/.test(word)
      ? parseInt(word, 8)
      : /^\d+$/.test(word)
        ? Number(word)
        : null;
  return value === null || value > 255 ? null : value;
}

function plainBytes(words: readonly string[], type: DataType): Uint8Array {
  const bytes = words.map((word, index) => {
    const byte = byteOf(word);
    if (byte === null) throw badByte(type, index, word);
    return byte;
  });
  return checkLength(type, Uint8Array.from(bytes));
}

/** `a=1 b.c=2 d[0]=3` as an object. */
export function assignments(words: readonly string[], what: string): Input {
  const root: Record<string, Input> = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    const path = word.slice(0, equals);
    if (equals < 1 || !/^[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[\d+\])*$/.test(path))
      throw usageError(`${what}: "${word}" is no field=value`);
    const names = path.match(/\w+/g) ?? [];
    const last = names.pop() ?? "";
    let at = root;
    for (const name of names) {
      const inner = at[name];
      const next: Record<string, Input> =
        typeof inner === "object" && inner !== null ? (inner as Record<string, Input>) : {};
      at[name] = next;
      at = next;
    }
    if (Object.hasOwn(at, last)) throw usageError(`${what}: ${path} is given twice`);
    at[last] = word.slice(equals + 1);
  }
  return root;
}

/** Numbers without a type: little endian, as many bytes as there are. */
function plainNumber(word: string, type: DataType): Uint8Array {
  if (![1, 2, 4, 8].includes(type.size) || !/^-?(\d+|0x[\da-f]+)$/i.test(word)) return plainBytes([word], type);
  const value = word.startsWith("-") ? -BigInt(word.slice(1)) : BigInt(word);
  const bits = type.size * 8;
  if (BigInt.asUintN(bits, value) !== value && BigInt.asIntN(bits, value) !== value)
    throw usageError(`${type.what}: ${word} does not fit ${bits} bits`);
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, BigInt.asUintN(64, value), true);
  return new Uint8Array(out.buffer, 0, type.size);
}

function isJson(words: readonly string[]): boolean {
  return /^\s*[[{"]/.test(words[0] ?? "");
}

/** The bytes that the words stand for. Throws a `CliError` that says which byte or member is wrong. */
export function parseData(words: readonly string[], type: DataType): Uint8Array {
  const [first] = words;
  if (first === undefined) throw usageError(`the ${type.what} is missing`);
  if (first === "hex") return hexBytes(words.slice(1), type);
  const { types, typeId = 0 } = type;
  // Types that do not describe the whole are of no use.
  const typed = types !== undefined && typeId !== 0 && sizeOf(types, typeId) === type.size ? types : null;
  const needsType = isJson(words) || words.some((word) => word.includes("="));
  if (needsType && typed === null)
    throw usageError(`the map has no types for its ${type.what}: give ${type.size} bytes, or hex and bytes`);
  if (typed !== null) {
    const fail = (run: () => Uint8Array) => named(type.what, run);
    if (isJson(words))
      return fail(() => encodeValue(typed, typeId, parseJson(words.join(" "), type.what), { host: false }));
    if (words.some((word) => word.includes("=")))
      return fail(() => encodeValue(typed, typeId, assignments(words, type.what), { host: true }));
    if (words.length === 1 && type.size !== 1 && !isRecord(typed, typeId))
      return fail(() => encodeValue(typed, typeId, first, { host: true }));
    if (words.length === 1 && byteOf(first) === null)
      return fail(() => encodeValue(typed, typeId, first, { host: true }));
  }
  if (words.length === 1 && type.size !== 1) return plainNumber(first, type);
  return plainBytes(words, type);
}

function isRecord(types: BtfView, typeId: number): boolean {
  const kind = resolveType(types, typeId)?.kind;
  return kind === "struct" || kind === "union" || kind === "datasec";
}

/** Paths begin with what is meant. */
function named(what: string, run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (error) {
    if (what !== "value" && error instanceof Error && error.message.startsWith("value"))
      throw usageError(what + error.message.slice("value".length), { cause: error });
    throw error;
  }
}
