/**
 * @module
 * The compiler's own types: what has a layout in memory, and the integers with their width and sign.
 */
import { layoutStruct, layoutUnion, type FieldShape } from "@skep/bpf";
import type { KernelStruct } from "./kernel-types.ts";

export interface IntT {
  readonly kind: "int";
  readonly name: string;
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
  /** Of the memory; a value is always host order. */
  readonly bigEndian: boolean;
}

export interface BoolT {
  readonly kind: "bool";
  readonly name: "bool";
}

export interface BitsT {
  readonly kind: "bits";
  readonly name: string;
  readonly unit: IntT;
  readonly width: number;
}

export interface Field {
  readonly name: string;
  readonly type: MemoryType;
  readonly offset: number;
  /** Of a bit field: its first bit in the unit at `offset`. */
  readonly shift: number;
}

export interface StructT {
  readonly kind: "struct" | "union";
  readonly name: string;
  readonly fields: readonly Field[];
  readonly size: number;
  readonly align: number;
  /** Of a list's head or a tree's root: what hangs on it, and by which of its fields. */
  readonly graph?: { readonly element: StructT; readonly node: Field };
  /** What an object per CPU has on each. */
  readonly percpu?: StructT;
}

/** A pointer that a map's value or an allocated object owns (BPF_KPTR_*): to a structure of the kernel, or to an allocated object. */
export interface KptrT {
  readonly kind: "kptr";
  readonly name: string;
  /** The type tag in BTF. */
  readonly tag: "kptr" | "kptr_untrusted" | "percpu_kptr";
  readonly to: StructT | null;
  readonly kernel: KernelStruct | null;
}

export interface ArrayT {
  readonly kind: "array";
  readonly name: string;
  readonly element: MemoryType;
  readonly length: number;
}

export type MemoryType = IntT | BoolT | StructT | ArrayT | BitsT | KptrT;

function int(name: string, bits: IntT["bits"], signed: boolean, bigEndian = false): IntT {
  return { kind: "int", name, bits, signed, bigEndian };
}

export const INTS = {
  u8: int("u8", 8, false),
  u16: int("u16", 16, false),
  u32: int("u32", 32, false),
  u64: int("u64", 64, false),
  i8: int("i8", 8, true),
  i16: int("i16", 16, true),
  i32: int("i32", 32, true),
  i64: int("i64", 64, true),
  be16: int("be16", 16, false, true),
  be32: int("be32", 32, false, true),
  be64: int("be64", 64, false, true),
} as const;

export const BOOL: BoolT = { kind: "bool", name: "bool" };

const HOST = { 16: INTS.u16, 32: INTS.u32, 64: INTS.u64, 8: INTS.u8 } as const;

/** The type of the value that is read from memory of the type. */
export function valueInt(type: IntT): IntT {
  return type.bigEndian ? HOST[type.bits] : type;
}

export function sizeOf(type: MemoryType): number {
  switch (type.kind) {
    case "int":
      return type.bits / 8;
    case "bool":
      return 1;
    case "bits":
      return type.unit.bits / 8;
    case "kptr":
      return 8;
    case "array":
      return sizeOf(type.element) * type.length;
    default:
      return type.size;
  }
}

export function alignOf(type: MemoryType): number {
  switch (type.kind) {
    case "int":
      return type.bits / 8;
    case "bool":
      return 1;
    case "bits":
      return type.unit.bits / 8;
    case "kptr":
      return 8;
    case "array":
      return alignOf(type.element);
    default:
      return type.align;
  }
}

export function arrayType(element: MemoryType, length: number): ArrayT {
  return { kind: "array", name: `${element.name}[${length}]`, element, length };
}

export interface NamedType {
  readonly name: string;
  readonly type: MemoryType;
}

function shapeOf(field: NamedType): FieldShape {
  const shape = { name: field.name, size: sizeOf(field.type), align: alignOf(field.type) };
  return field.type.kind === "bits" ? { ...shape, bits: field.type.width } : shape;
}

export function structType(
  kind: "struct" | "union",
  name: string,
  fields: readonly NamedType[],
  options: { packed?: boolean; align?: number } = {},
): StructT {
  const shapes = fields.map(shapeOf);
  const layout = kind === "struct" ? layoutStruct(shapes, options) : layoutUnion(shapes);
  const placed = fields.map((field, at) => ({
    ...field,
    offset: layout.places[at]?.offset ?? 0,
    shift: layout.places[at]?.shift ?? 0,
  }));
  return { kind, name, fields: placed, size: layout.size, align: layout.align };
}

/** What `map.ref(key)` gives: an integer in memory behind the name `value`. */
export function cellType(type: MemoryType): StructT {
  return structType("struct", `Ref<${type.name}>`, [{ name: "value", type }]);
}

export function minOf(type: IntT): bigint {
  return type.signed ? -(1n << BigInt(type.bits - 1)) : 0n;
}

export function maxOf(type: IntT): bigint {
  return type.signed ? (1n << BigInt(type.bits - 1)) - 1n : (1n << BigInt(type.bits)) - 1n;
}

export function fits(value: bigint, type: IntT): boolean {
  return value >= minOf(type) && value <= maxOf(type);
}

export function wrap(value: bigint, type: IntT): bigint {
  return type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value);
}

/** Same layout and meaning; names of structs are theirs alone. */
export function sameType(a: MemoryType, b: MemoryType): boolean {
  if (a === b) return true;
  if (a.kind === "array" && b.kind === "array") return a.length === b.length && sameType(a.element, b.element);
  return a.kind === b.kind && a.name === b.name && a.kind !== "struct" && a.kind !== "union";
}
