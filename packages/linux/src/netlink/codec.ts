/**
 * @module
 * How values lie in netlink payloads: fixed headers and attributes, described by small tables. Host byte order is little-endian on
 * both supported architectures; what the protocol wants in network order says so in its kind (`be16`).
 */

/** Encodes to and decodes from an attribute's payload. Decoders ignore bytes after what they know: newer kernels append. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
  /** True where the payload is a list of attributes: NLA_F_NESTED is set. */
  readonly nested?: boolean;
  /** Name of the attribute at a byte offset of the payload, for the kernel's error reports. */
  pathAt?(bytes: Uint8Array, offset: number): string;
}

type Value<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never;

/** Why a message could not be read; the bytes did not come from this kernel's protocol. */
export class MalformedMessageError extends Error {
  override readonly name = "MalformedMessageError";
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const fieldSizes = { u8: 1, u16: 2, u32: 4, u64: 8, i32: 4, i64: 8, be16: 2, be32: 4 } as const;
export type FieldKind = keyof typeof fieldSizes;
type FieldValue<K> = K extends "u64" | "i64" ? bigint : number;

function readField(data: DataView, at: number, kind: FieldKind): number | bigint {
  switch (kind) {
    case "u8":
      return data.getUint8(at);
    case "u16":
      return data.getUint16(at, true);
    case "u32":
      return data.getUint32(at, true);
    case "i32":
      return data.getInt32(at, true);
    case "u64":
      return data.getBigUint64(at, true);
    case "i64":
      return data.getBigInt64(at, true);
    case "be16":
      return data.getUint16(at, false);
    case "be32":
      return data.getUint32(at, false);
  }
}

function writeField(data: DataView, at: number, kind: FieldKind, value: number | bigint): void {
  switch (kind) {
    case "u8":
      return data.setUint8(at, Number(value));
    case "u16":
      return data.setUint16(at, Number(value), true);
    case "u32":
      return data.setUint32(at, Number(value), true);
    case "i32":
      return data.setInt32(at, Number(value), true);
    case "u64":
      return data.setBigUint64(at, BigInt(value), true);
    case "i64":
      return data.setBigInt64(at, BigInt(value), true);
    case "be16":
      return data.setUint16(at, Number(value), false);
    case "be32":
      return data.setUint32(at, Number(value), false);
  }
}

function scalar<K extends FieldKind>(kind: K): Codec<FieldValue<K>> {
  const size = fieldSizes[kind];
  return {
    encode(value) {
      const bytes = new Uint8Array(size);
      writeField(view(bytes), 0, kind, value);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedMessageError(`${kind} in ${bytes.length} bytes`);
      return readField(view(bytes), 0, kind) as FieldValue<K>;
    },
  };
}

export const u8 = scalar("u8");
export const u16 = scalar("u16");
export const u32 = scalar("u32");
export const u64 = scalar("u64");
export const i32 = scalar("i32");
export const i64 = scalar("i64");
export const be16 = scalar("be16");
export const be32 = scalar("be32");

/** The bytes as they are; decoding copies. */
export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value.slice() };

/** An attribute that says all by being there. */
export const flag: Codec<true> = { encode: () => new Uint8Array(0), decode: () => true };

/** NUL-terminated text. */
export const string: Codec<string> = {
  encode: (value) => new TextEncoder().encode(`${value}\0`),
  decode(value) {
    const end = value.indexOf(0);
    return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  },
};

/** A C struct: fields in order, naturally placed by the table itself (padding is a field whose name starts with `_`). */
export interface StructCodec<F extends Record<string, FieldKind>> {
  /** Bytes. */
  readonly size: number;
  /** Fields left out are 0. */
  encode(value: Partial<StructValue<F>>): Uint8Array;
  decode(bytes: Uint8Array): StructValue<F>;
}
export type StructValue<F> = { readonly [K in keyof F as K extends `_${string}` ? never : K]: FieldValue<F[K]> };

export function struct<F extends Record<string, FieldKind>>(fields: F): StructCodec<F> {
  const table: { name: string; kind: FieldKind; at: number }[] = [];
  let size = 0;
  for (const [name, kind] of Object.entries(fields)) {
    if (!name.startsWith("_")) table.push({ name, kind, at: size });
    size += fieldSizes[kind];
  }
  return {
    size,
    encode(value) {
      const bytes = new Uint8Array(size);
      const data = view(bytes);
      const given = value as Record<string, number | bigint | undefined>;
      for (const { name, kind, at } of table) writeField(data, at, kind, given[name] ?? 0);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedMessageError(`struct of ${size} bytes in ${bytes.length}`);
      const data = view(bytes);
      const value: Record<string, number | bigint> = {};
      for (const { name, kind, at } of table) value[name] = readField(data, at, kind);
      return value as StructValue<F>;
    },
  };
}

// ---- attributes ----

const headerSize = 4;
const nestedFlag = 0x8000;
const typeMask = 0x3fff;

/** Netlink aligns headers and attributes to four bytes. */
export const align = (length: number): number => (length + 3) & ~3;

export interface RawAttribute {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Of the attribute's header in the list. */
  readonly offset: number;
  readonly headerSize: number;
}

/** The attributes of a list, payloads as views. Trailing bytes too few for a header are padding. */
export function* readAttributes(list: Uint8Array): IterableIterator<RawAttribute> {
  const data = view(list);
  for (let offset = 0; offset + headerSize <= list.length;) {
    const length = data.getUint16(offset, true);
    if (length < headerSize || offset + length > list.length)
      throw new MalformedMessageError(`attribute of ${length} bytes at ${offset} of ${list.length}`);
    const type = data.getUint16(offset + 2, true) & typeMask;
    yield { type, payload: list.subarray(offset + headerSize, offset + length), offset, headerSize };
    offset += align(length);
  }
}

export function writeAttribute(type: number, payload: Uint8Array, nested = false): Uint8Array {
  const length = headerSize + payload.length;
  if (length > 0xffff) throw new RangeError(`attribute ${type} of ${payload.length} bytes is too long`);
  const bytes = new Uint8Array(align(length));
  const data = view(bytes);
  data.setUint16(0, length, true);
  data.setUint16(2, nested ? type | nestedFlag : type, true);
  bytes.set(payload, headerSize);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Attribute numbers and payloads by name. */
export type AttributeTable = Readonly<Record<string, readonly [type: number, codec: Codec<unknown>]>>;
export type AttributeValues<E extends AttributeTable> = { readonly [K in keyof E]?: Value<E[K][1]> | undefined };

/** A list of attributes, each at most once; unknown ones are skipped when reading, absent ones when writing. */
export function attributes<const E extends AttributeTable>(table: E): Codec<AttributeValues<E>> {
  const byType = new Map(Object.entries(table).map(([name, [type, codec]]) => [type, { name, codec }]));
  return {
    nested: true,
    encode(values) {
      const given = values as Record<string, unknown>;
      const parts: Uint8Array[] = [];
      for (const [name, [type, codec]] of Object.entries(table)) {
        const value = given[name];
        if (value !== undefined) parts.push(writeAttribute(type, codec.encode(value), codec.nested));
      }
      return concat(parts);
    },
    decode(bytes) {
      const values: Record<string, unknown> = {};
      for (const { type, payload } of readAttributes(bytes)) {
        const known = byType.get(type);
        if (known) values[known.name] = known.codec.decode(payload);
      }
      return values as AttributeValues<E>;
    },
    pathAt(bytes, offset) {
      for (const attribute of readAttributes(bytes)) {
        const start = attribute.offset + headerSize;
        if (offset >= start + attribute.payload.length) continue;
        const known = byType.get(attribute.type);
        const name = known?.name ?? `attribute ${attribute.type}`;
        const inner = offset >= start ? known?.codec.pathAt?.(attribute.payload, offset - start) : undefined;
        return inner ? `${name}.${inner}` : name;
      }
      return "";
    },
  };
}

/** A list whose attribute types carry no meaning (index, or one and the same): the payloads in order. */
export function list<T>(item: Codec<T>, type: number | "index" = "index"): Codec<readonly T[]> {
  return {
    nested: true,
    encode: (values) =>
      concat(
        values.map((value, at) => writeAttribute(type === "index" ? at + 1 : type, item.encode(value), item.nested)),
      ),
    decode: (bytes) => [...readAttributes(bytes)].map(({ payload }) => item.decode(payload)),
  };
}

/** Structs back to back. */
export function array<F extends Record<string, FieldKind>>(item: StructCodec<F>): Codec<readonly StructValue<F>[]> {
  return {
    encode: (values) => concat(values.map((value) => item.encode({ ...value } as unknown as Partial<StructValue<F>>))),
    decode(bytes) {
      const values: StructValue<F>[] = [];
      for (let at = 0; at + item.size <= bytes.length; at += item.size) values.push(item.decode(bytes.subarray(at)));
      return values;
    },
  };
}
