import { ObjectError } from "../errors.ts";
import { essentialName } from "./flavor.ts";
import { alignOf, sizeOf } from "./query.ts";
import type { BtfKind, BtfMember, BtfOf, BtfType, BtfTypes, BtfView } from "./types.ts";
import { typeName } from "./walk.ts";

/** Kinds that are equal when they look equal. Functions, variables and sections are things, not types. */
const INTERNED: ReadonlySet<BtfKind> = new Set([
  "int",
  "ptr",
  "array",
  "struct",
  "union",
  "enum",
  "enum64",
  "fwd",
  "typedef",
  "volatile",
  "const",
  "restrict",
  "func_proto",
  "float",
  "decl_tag",
  "type_tag",
]);

/** A member for `BtfBuilder.struct`; without `offset` it lies at the next naturally aligned place (of a union: at 0). */
export interface MemberInput {
  readonly name: string;
  readonly typeId: number;
  /** Bytes from the start. */
  readonly offset?: number;
  /** Bits from the start; instead of `offset`. */
  readonly bitOffset?: number;
  /** Bits of a bit field. */
  readonly bitSize?: number;
}

/** Builds BTF. Types that look the same are one type; ids count from 1 in the order of adding. */
export class BtfBuilder implements BtfView {
  readonly firstId = 1;
  private readonly types: (BtfType | null)[] = [];
  private readonly interned = new Map<string, number>();

  /** `from`: types to go on from; their ids stay. */
  constructor(from?: BtfTypes) {
    if (from?.firstId !== undefined && from.firstId !== 1) throw new ObjectError("btf", "cannot build on split types");
    for (const type of from?.types ?? []) {
      this.types.push(type);
      const key = internKey(type);
      if (key !== null && !this.interned.has(key)) this.interned.set(key, this.types.length);
    }
  }

  flavors(name: string): readonly number[] {
    return this.types.flatMap((type, index) =>
      type !== null && essentialName(typeName(type)) === name ? [index + 1] : [],
    );
  }

  /** Adds a type, or finds the one that is the same. */
  add(type: BtfType): number {
    const key = internKey(type);
    const known = key === null ? undefined : this.interned.get(key);
    if (known !== undefined) return known;
    this.types.push(type);
    if (key !== null) this.interned.set(key, this.types.length);
    return this.types.length;
  }

  /** An id for a type that is defined later (recursive structs). */
  reserve(): number {
    this.types.push(null);
    return this.types.length;
  }

  /** Gives a reserved id its type. */
  define(id: number, type: BtfType): number {
    if (this.types[id - 1] !== null) throw new ObjectError("btf", `type ${id} was not reserved, or is defined already`);
    this.types[id - 1] = type;
    return id;
  }

  /** Gives an id another type. */
  replace(id: number, type: BtfType): void {
    if (this.get(id) === null) throw new ObjectError("btf", "void cannot be replaced");
    this.types[id - 1] = type;
  }

  get end(): number {
    return this.types.length + 1;
  }

  /** A reserved id that is not defined yet is a forward declaration. */
  get(id: number): BtfType | null {
    if (id === 0) return null;
    const type = this.types[id - 1];
    if (type === undefined) throw new ObjectError("btf", `there is no type ${id}`);
    return type ?? { kind: "fwd", name: "", isUnion: false };
  }

  named(name: string): readonly number[] {
    return this.types.flatMap((type, index) => (type !== null && typeName(type) === name ? [index + 1] : []));
  }

  intType(name: string, size: number, encoding: BtfOf<"int">["encoding"]): number {
    return this.add({ kind: "int", name, size, bits: encoding === "bool" ? 8 : size * 8, bitOffset: 0, encoding });
  }

  floatType(name: string, size: number): number {
    return this.add({ kind: "float", name, size });
  }

  pointer(typeId: number): number {
    return this.add({ kind: "ptr", typeId });
  }

  /** The index type is the one named `__ARRAY_SIZE_TYPE__`, as clang's. */
  array(typeId: number, length: number): number {
    const indexTypeId = this.intType("__ARRAY_SIZE_TYPE__", 4, "unsigned");
    return this.add({ kind: "array", typeId, indexTypeId, length });
  }

  /** `size`: default the end of the last member, rounded up to the alignment. */
  struct(name: string, members: readonly MemberInput[], options: { size?: number; id?: number } = {}): number {
    return this.composite("struct", name, { members, ...options });
  }

  union(name: string, members: readonly MemberInput[], options: { size?: number; id?: number } = {}): number {
    return this.composite("union", name, { members, ...options });
  }

  /** Values beyond 32 bits make it an enum64; a negative value makes it signed. */
  enumType(
    name: string,
    values: Readonly<Record<string, number | bigint>>,
    options: { size?: 1 | 2 | 4 | 8 } = {},
  ): number {
    const entries = Object.entries(values).map(([key, value]) => ({ name: key, value: BigInt(value) }));
    const signed = entries.some(({ value }) => value < 0n);
    const wide = entries.some(({ value }) => BigInt.asIntN(32, value) !== value && BigInt.asUintN(32, value) !== value);
    if (wide || options.size === 8) return this.add({ kind: "enum64", name, size: 8, signed, values: entries });
    const narrow = entries.map((entry) => ({ name: entry.name, value: Number(entry.value) }));
    return this.add({ kind: "enum", name, size: options.size ?? 4, signed, values: narrow });
  }

  typedef(name: string, typeId: number): number {
    return this.add({ kind: "typedef", name, typeId });
  }

  modifier(kind: "const" | "volatile" | "restrict", typeId: number): number {
    return this.add({ kind, name: "", typeId });
  }

  typeTag(name: string, typeId: number): number {
    return this.add({ kind: "type_tag", name, typeId });
  }

  forward(name: string, isUnion = false): number {
    return this.add({ kind: "fwd", name, isUnion });
  }

  funcProto(returnTypeId: number, params: readonly { readonly name: string; readonly typeId: number }[]): number {
    return this.add({ kind: "func_proto", returnTypeId, params });
  }

  /** Always a new id. */
  func(name: string, protoId: number, linkage: BtfOf<"func">["linkage"]): number {
    return this.add({ kind: "func", name, typeId: protoId, linkage });
  }

  /** Always a new id. */
  variable(name: string, typeId: number, linkage: BtfOf<"var">["linkage"]): number {
    return this.add({ kind: "var", name, typeId, linkage });
  }

  /** Always a new id. Entries are sorted by offset, as the kernel wants them. */
  datasec(name: string, size: number, variables: BtfOf<"datasec">["variables"]): number {
    return this.add({ kind: "datasec", name, size, variables: [...variables].sort((a, b) => a.offset - b.offset) });
  }

  /** `componentIndex`: the member or parameter; default the whole. */
  declTag(name: string, typeId: number, componentIndex = -1): number {
    return this.add({ kind: "decl_tag", name, typeId, componentIndex });
  }

  /** What was added so far. Throws `ObjectError` `btf` where a reserved id has no type. */
  build(): BtfTypes {
    const types = this.types.map((type, index) => {
      if (type === null) throw new ObjectError("btf", `type ${index + 1} is reserved but not defined`);
      return type;
    });
    return { types };
  }

  private composite(
    kind: "struct" | "union",
    name: string,
    input: { members: readonly MemberInput[]; size?: number; id?: number },
  ): number {
    const members: BtfMember[] = [];
    let end = 0;
    let align = 1;
    for (const member of input.members) {
      const memberAlign = alignOf(this, member.typeId);
      const next = kind === "union" ? 0 : Math.ceil(end / memberAlign) * memberAlign;
      const bitOffset = member.bitOffset ?? (member.offset ?? next) * 8;
      members.push({ name: member.name, typeId: member.typeId, bitOffset, bitSize: member.bitSize ?? 0 });
      end = Math.max(end, Math.ceil(bitOffset / 8) + (sizeOf(this, member.typeId) ?? 0));
      align = Math.max(align, memberAlign);
    }
    const size = input.size ?? Math.ceil(end / align) * align;
    const type: BtfType = { kind, name, size, members, hasBitfields: members.some(({ bitSize }) => bitSize > 0) };
    return input.id === undefined ? this.add(type) : this.define(input.id, type);
  }
}

/** The type as text with its properties in alphabetical order. */
function internKey(type: BtfType): string | null {
  if (!INTERNED.has(type.kind)) return null;
  const entries = Object.entries(type).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}
