/**
 * @module
 * What a BTF type looks like in memory, without names of types and indirections: what codecs and layout hashes are made from.
 */
import type { BtfMember, BtfType, BtfTypes } from "@skep/object";

export type Shape =
  | { readonly kind: "int"; readonly size: 1 | 2 | 4 | 8; readonly signed: boolean; readonly bigEndian: boolean }
  | { readonly kind: "bool"; readonly size: 1 }
  | { readonly kind: "float"; readonly size: 4 | 8 }
  /** `char[n]`: text up to the first zero byte. */
  | { readonly kind: "text"; readonly size: number }
  /** What JavaScript has no better value for: 16-byte integers, C's `void` values. */
  | { readonly kind: "bytes"; readonly size: number }
  /** A pointer that the kernel owns and shows nobody (BPF_KPTR_*): null. */
  | { readonly kind: "owned"; readonly size: 8 }
  | { readonly kind: "array"; readonly size: number; readonly element: Shape; readonly length: number }
  | { readonly kind: "struct" | "union"; readonly size: number; readonly members: readonly Member[] };

export interface Member {
  /** "" for an anonymous struct or union, whose members are the outer's, as in C. */
  readonly name: string;
  readonly shape: Shape;
  /** Bytes from the start of the struct; of a bit field, of its first byte. */
  readonly offset: number;
  /** A bit field: `shift` is below 8, from the low bit of the first byte. */
  readonly bits?: { readonly shift: number; readonly width: number };
}

/** A type that has no size, or that damage in the BTF makes endless. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** Types by value cannot nest without end; damaged BTF can. */
const maxDepth = 32;
const pointer: Shape = { kind: "int", size: 8, signed: false, bigEndian: false };
/** Typedefs whose values are in network order in memory: those of `@skep/bpf` and of the kernel's headers. */
const networkOrder: ReadonlySet<string> = new Set(["be16", "be32", "be64", "__be16", "__be32", "__be64"]);

export function shapeOf(btf: BtfTypes, typeId: number): Shape {
  return shape(btf, typeId, { depth: 0, bigEndian: false });
}

interface Context {
  readonly depth: number;
  readonly bigEndian: boolean;
}

function typeOf(btf: BtfTypes, typeId: number): BtfType {
  const type = btf.types[typeId - (btf.firstId ?? 1)];
  if (!type) throw new ShapeError(typeId === 0 ? "void has no layout" : `there is no type ${typeId}`);
  return type;
}

function shape(btf: BtfTypes, typeId: number, context: Context): Shape {
  const type = typeOf(btf, typeId);
  if (context.depth > maxDepth) throw new ShapeError(`type ${typeId} nests more than ${maxDepth} deep`);
  const inner = { depth: context.depth + 1, bigEndian: false };
  switch (type.kind) {
    case "typedef":
      return shape(btf, type.typeId, { ...inner, bigEndian: context.bigEndian || networkOrder.has(type.name) });
    case "const":
    case "volatile":
    case "restrict":
    case "type_tag":
    case "var":
      return shape(btf, type.typeId, { ...inner, bigEndian: context.bigEndian });
    case "int":
      return intShape(type, context.bigEndian);
    case "enum":
    case "enum64":
      return integer(type.size, type.signed, false);
    case "ptr":
      return isOwned(btf, type.typeId) ? { kind: "owned", size: 8 } : pointer;
    case "float":
      return type.size === 4 || type.size === 8
        ? { kind: "float", size: type.size }
        : { kind: "bytes", size: type.size };
    case "array":
      return arrayShape(btf, type, inner);
    case "struct":
    case "union":
      return { kind: type.kind, size: type.size, members: members(btf, type.members, inner) };
    default:
      throw new ShapeError(`a value cannot have a type of kind ${type.kind}`);
  }
}

const ownedTags: ReadonlySet<string> = new Set(["kptr", "kptr_untrusted", "percpu_kptr"]);

function isOwned(btf: BtfTypes, typeId: number): boolean {
  const target = typeId === 0 ? null : typeOf(btf, typeId);
  return target?.kind === "type_tag" && ownedTags.has(target.name);
}

function integer(size: number, signed: boolean, bigEndian: boolean): Shape {
  if (size === 1 || size === 2 || size === 4 || size === 8) return { kind: "int", size, signed, bigEndian };
  return { kind: "bytes", size };
}

function intShape(type: Extract<BtfType, { kind: "int" }>, bigEndian: boolean): Shape {
  if (type.encoding === "bool" && type.size === 1) return { kind: "bool", size: 1 };
  return integer(type.size, type.encoding === "signed", bigEndian && type.size > 1);
}

function arrayShape(btf: BtfTypes, type: Extract<BtfType, { kind: "array" }>, context: Context): Shape {
  const element = shape(btf, type.typeId, context);
  const size = element.size * type.length;
  return isChar(btf, type.typeId) ? { kind: "text", size } : { kind: "array", size, element, length: type.length };
}

/** C's own `char`: `u8` and `signed char` are numbers. */
function isChar(btf: BtfTypes, typeId: number): boolean {
  const type = typeOf(btf, typeId);
  if (type.kind === "const" || type.kind === "volatile") return isChar(btf, type.typeId);
  return type.kind === "int" && type.name === "char" && type.size === 1;
}

function members(btf: BtfTypes, list: readonly BtfMember[], context: Context): Member[] {
  return list.flatMap((member) => {
    const found = shape(btf, member.typeId, context);
    const offset = member.bitOffset >> 3;
    const isComposite = found.kind === "struct" || found.kind === "union";
    // An unnamed bit field is padding.
    if (member.name === "" && !isComposite) return [];
    if (member.bitSize === 0) return [{ name: member.name, shape: found, offset }];
    return [{ name: member.name, shape: found, offset, bits: { shift: member.bitOffset & 7, width: member.bitSize } }];
  });
}
