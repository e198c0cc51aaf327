/**
 * @module
 * Layouts as user space has them: descriptors that read and write the bytes that the kernel program has in memory.
 */
import type { BitsType, Fields, FixedArray, IntType, StructOptions, StructType, Type, UnionType } from "./api.ts";
import { layoutStruct, layoutUnion, type FieldShape, type Layout } from "./layout.ts";

/** What a descriptor must do; `offset` counts from the view's start. */
export interface Codec extends Type<unknown> {
  readonly kind: "int" | "bool" | "struct" | "union" | "array" | "bits" | "owned";
  write(view: DataView, offset: number, value: unknown): void;
  read(view: DataView, offset: number): unknown;
  zero(): unknown;
}

export interface IntCodec extends Codec {
  readonly kind: "int";
  readonly signed: boolean;
  readonly bigEndian: boolean;
}

/** Of a struct or a union, in order. */
export interface AggregateCodec extends Codec {
  readonly kind: "struct" | "union";
  readonly members: readonly Member[];
}

export interface ArrayCodec extends Codec {
  readonly kind: "array";
  readonly element: Codec;
  readonly length: number;
}

export interface BitsCodec extends Codec {
  readonly kind: "bits";
  readonly bits: number;
  readonly unit: IntCodec;
}

/** A descriptor made here, whatever type it is declared as. Throws TypeError for anything else. */
export function codecOf(type: Type<unknown>): Codec {
  const codec = type as Codec;
  if (typeof codec?.write !== "function" || typeof codec.read !== "function") {
    throw new TypeError("not a type of @skep/bpf");
  }
  return codec;
}

function encodeWith(codec: Codec, value: unknown): Uint8Array {
  const bytes = new Uint8Array(codec.size);
  codec.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

function decodeWith(codec: Codec, bytes: Uint8Array): unknown {
  if (bytes.length < codec.size) throw new RangeError(`${codec.name} has ${codec.size} bytes, got ${bytes.length}`);
  return codec.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}

function finish<C extends Codec>(parts: Omit<C, "encode" | "decode">): C {
  const codec = parts as C;
  const methods = {
    encode: (value: unknown): Uint8Array => encodeWith(codec, value),
    decode: (bytes: Uint8Array): unknown => decodeWith(codec, bytes),
  };
  return Object.assign(codec, methods);
}

/** Integers up to 32 bits are numbers, of 64 bits bigints. */
function checkedInteger(name: string, range: readonly [bigint, bigint], value: unknown): bigint {
  if (typeof value !== "bigint" && !(typeof value === "number" && Number.isInteger(value))) {
    throw new RangeError(`${name} wants an integer, got ${typeof value} ${String(value)}`);
  }
  const integer = BigInt(value);
  if (integer < range[0] || integer > range[1]) throw new RangeError(`${String(value)} does not fit ${name}`);
  return integer;
}

function writeInteger(view: DataView, offset: number, value: bigint, size: number, little: boolean): void {
  const unsigned = BigInt.asUintN(size * 8, value);
  if (size === 1) view.setUint8(offset, Number(unsigned));
  else if (size === 2) view.setUint16(offset, Number(unsigned), little);
  else if (size === 4) view.setUint32(offset, Number(unsigned), little);
  else view.setBigUint64(offset, unsigned, little);
}

function readInteger(
  view: DataView,
  offset: number,
  codec: Pick<IntCodec, "size" | "signed" | "bigEndian">,
): number | bigint {
  const little = !codec.bigEndian;
  switch (codec.size) {
    case 1:
      return codec.signed ? view.getInt8(offset) : view.getUint8(offset);
    case 2:
      return codec.signed ? view.getInt16(offset, little) : view.getUint16(offset, little);
    case 4:
      return codec.signed ? view.getInt32(offset, little) : view.getUint32(offset, little);
    default:
      return codec.signed ? view.getBigInt64(offset, little) : view.getBigUint64(offset, little);
  }
}

/** Also callable: `u32(x)` wraps x to the type. */
export function integer<T>(
  name: string,
  size: number,
  options: { signed?: boolean; bigEndian?: boolean } = {},
): IntType<T> {
  const signed = options.signed ?? false;
  const bitWidth = BigInt(size * 8);
  const range = signed
    ? ([-(1n << (bitWidth - 1n)), (1n << (bitWidth - 1n)) - 1n] as const)
    : ([0n, (1n << bitWidth) - 1n] as const);
  const convert = (value: number | bigint | boolean): number | bigint => {
    const whole = typeof value === "number" ? BigInt(Math.trunc(value)) : BigInt(value);
    const wrapped = signed ? BigInt.asIntN(size * 8, whole) : BigInt.asUintN(size * 8, whole);
    return size === 8 ? wrapped : Number(wrapped);
  };
  const parts = {
    kind: "int",
    size,
    align: size,
    signed,
    bigEndian: options.bigEndian ?? false,
    write: (view: DataView, offset: number, value: unknown): void =>
      writeInteger(view, offset, checkedInteger(name, range, value), size, !(options.bigEndian ?? false)),
    read: (view: DataView, offset: number): unknown =>
      readInteger(view, offset, { size, signed, bigEndian: options.bigEndian ?? false }),
    zero: (): unknown => (size === 8 ? 0n : 0),
  } as const;
  const callable = Object.defineProperty(convert, "name", { value: name });
  return finish<IntCodec>(Object.assign(callable, parts) as unknown as IntCodec) as unknown as IntType<T>;
}

export function boolean(): Type<boolean> {
  return finish<Codec>({
    kind: "bool",
    name: "bool",
    size: 1,
    align: 1,
    write: (view, offset, value) => view.setUint8(offset, value ? 1 : 0),
    read: (view, offset) => view.getUint8(offset) !== 0,
    zero: () => false,
  }) as Type<boolean>;
}

/** A pointer that the kernel owns and shows nobody: null. */
export function owned(name: string): never {
  return finish<Codec>({
    kind: "owned",
    name,
    size: 8,
    align: 8,
    write: (view, offset) => view.setBigUint64(offset, 0n, true),
    read: () => null,
    zero: () => null,
  }) as never;
}

export function bitField<T>(type: IntType<T>, width: number): BitsType<T> {
  const unit = codecOf(type as Type<unknown>) as IntCodec;
  if (unit.kind !== "int" || unit.bigEndian || unit.signed) throw new TypeError("bit fields are u8, u16, u32 or u64");
  if (!Number.isInteger(width) || width < 1 || width > unit.size * 8)
    throw new RangeError(`${unit.name} has no ${width} bits`);
  return finish<BitsCodec>({
    kind: "bits",
    name: unit.name,
    size: unit.size,
    align: unit.align,
    bits: width,
    unit,
    write: () => {
      throw new TypeError("a bit field is written by its struct");
    },
    read: () => {
      throw new TypeError("a bit field is read by its struct");
    },
    zero: () => unit.zero(),
  }) as unknown as BitsType<T>;
}

export function fixedArray<T, N extends number>(element: Type<T>, length: N): Type<FixedArray<T, N>> {
  const inner = codecOf(element as Type<unknown>);
  if (!Number.isInteger(length) || length < 0) throw new RangeError(`an array has no ${length} elements`);
  return finish<ArrayCodec>({
    kind: "array",
    element: inner,
    length,
    name: `${inner.name}[${length}]`,
    size: inner.size * length,
    align: inner.align,
    write: (view, offset, value) => {
      const items = value as ArrayLike<unknown>;
      if (items === null || typeof items !== "object" || items.length !== length) {
        throw new RangeError(`${inner.name}[${length}] wants ${length} elements`);
      }
      for (let at = 0; at < length; at++) inner.write(view, offset + at * inner.size, items[at]);
    },
    read: (view, offset) => Array.from({ length }, (_, at) => inner.read(view, offset + at * inner.size)),
    zero: () => Array.from({ length }, () => inner.zero()),
  }) as unknown as Type<FixedArray<T, N>>;
}

export interface Member {
  readonly name: string;
  readonly codec: Codec;
  /** Bytes; of a bit field, of its unit. */
  readonly offset: number;
  /** Of a bit field: its first bit in the unit. */
  readonly shift: number;
}

function shapes(fields: Fields): FieldShape[] {
  return Object.entries(fields).map(([name, type]) => {
    const codec = codecOf(type);
    const shape = { name, size: codec.size, align: codec.align };
    return codec.kind === "bits" ? { ...shape, bits: (codec as BitsCodec).bits } : shape;
  });
}

function membersOf(fields: Fields, layout: Layout): Member[] {
  return Object.entries(fields).map(([name, type], at) => ({
    name,
    codec: codecOf(type),
    offset: layout.places[at]?.offset ?? 0,
    shift: layout.places[at]?.shift ?? 0,
  }));
}

function writeBits(view: DataView, offset: number, member: Member, value: unknown): void {
  const { unit, bits } = member.codec as BitsCodec;
  const mask = (1n << BigInt(bits)) - 1n;
  const field = checkedInteger(`${member.name} (${bits} bits)`, [0n, mask], value) << BigInt(member.shift);
  const old = BigInt(readInteger(view, offset, unit)) & ~(mask << BigInt(member.shift));
  writeInteger(view, offset, old | field, unit.size, true);
}

function readBits(view: DataView, offset: number, member: Member): number | bigint {
  const { unit, bits } = member.codec as BitsCodec;
  const value = (BigInt(readInteger(view, offset, unit)) >> BigInt(member.shift)) & ((1n << BigInt(bits)) - 1n);
  return unit.size === 8 ? value : Number(value);
}

function readMembers(view: DataView, offset: number, members: readonly Member[]): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const member of members) {
    const at = offset + member.offset;
    value[member.name] = member.codec.kind === "bits" ? readBits(view, at, member) : member.codec.read(view, at);
  }
  return value;
}

function writeMember(view: DataView, offset: number, member: Member, value: unknown): void {
  if (member.codec.kind === "bits") writeBits(view, offset + member.offset, member, value);
  else member.codec.write(view, offset + member.offset, value);
}

function checkName(name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new TypeError(`"${name}" is no name for BTF: letters, digits and _`);
}

/** Every field must be given; padding is zero. */
export function structure<const F extends Fields>(name: string, fields: F, options: StructOptions = {}): StructType<F> {
  checkName(name);
  const layout = layoutStruct(shapes(fields), options);
  const members = membersOf(fields, layout);
  const parts = {
    kind: "struct",
    name,
    size: layout.size,
    align: layout.align,
    fields,
    members,
    write: (view: DataView, offset: number, value: unknown): void => {
      if (value === null || typeof value !== "object") throw new RangeError(`${name} wants an object`);
      for (const member of members) {
        const field = (value as Record<string, unknown>)[member.name];
        if (field === undefined) throw new RangeError(`${name} wants the field ${member.name}`);
        writeMember(view, offset, member, field);
      }
    },
    read: (view: DataView, offset: number): unknown => readMembers(view, offset, members),
    zero: (): unknown => Object.fromEntries(members.map((member) => [member.name, member.codec.zero()])),
  } as const;
  return finish<AggregateCodec>(parts) as unknown as StructType<F>;
}

/** Encoding takes the first field that is given; decoding gives every view. */
export function unionOf<const F extends Fields>(name: string, fields: F): UnionType<F> {
  checkName(name);
  const layout = layoutUnion(shapes(fields));
  const members = membersOf(fields, layout);
  const parts = {
    kind: "union",
    name,
    size: layout.size,
    align: layout.align,
    fields,
    members,
    write: (view: DataView, offset: number, value: unknown): void => {
      if (value === null || typeof value !== "object") throw new RangeError(`${name} wants an object`);
      const given = members.find((member) => (value as Record<string, unknown>)[member.name] !== undefined);
      if (given === undefined) throw new RangeError(`${name} wants one of its fields`);
      writeMember(view, offset, given, (value as Record<string, unknown>)[given.name]);
    },
    read: (view: DataView, offset: number): unknown => readMembers(view, offset, members),
    zero: (): unknown => Object.fromEntries(members.map((member) => [member.name, member.codec.zero()])),
  } as const;
  return finish<AggregateCodec>(parts) as unknown as UnionType<F>;
}
