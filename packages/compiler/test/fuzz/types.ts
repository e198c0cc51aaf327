/**
 * @module
 * The types that random programs use, and how their values are written.
 */
import type { Random } from "../../../ir/test/random.ts";

export const INTS = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"] as const;
export type Int = (typeof INTS)[number];

export const bitsOf = (type: string): number => Number(/\d+$/.exec(type)?.[0]);
export const isSigned = (type: string): boolean => type.startsWith("i");
export const isWide = (type: string): boolean => bitsOf(type) === 64;

export type FieldType =
  | { readonly kind: "int"; readonly type: Int }
  | { readonly kind: "be"; readonly type: "be16" | "be32" | "be64" }
  | { readonly kind: "bool" }
  | { readonly kind: "bits"; readonly type: Int; readonly width: number }
  | { readonly kind: "array"; readonly type: Int; readonly length: number }
  | { readonly kind: "struct"; readonly struct: Struct };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
}

export interface Struct {
  readonly name: string;
  readonly fields: readonly Field[];
}

function printType(type: FieldType): string {
  switch (type.kind) {
    case "bool":
      return "bool";
    case "bits":
      return `bits(${type.type}, ${type.width})`;
    case "array":
      return `array(${type.type}, ${type.length})`;
    case "struct":
      return type.struct.name;
    default:
      return type.type;
  }
}

export function printStruct({ name, fields }: Struct): string {
  const list = fields.map((field) => `${field.name}: ${printType(field.type)}`).join(", ");
  return `const ${name} = struct("${name}", { ${list} });\ntype ${name} = Of<typeof ${name}>;\n`;
}

/** The type of the value that a scalar field gives. */
export function valueTypeOf(type: FieldType): string | null {
  switch (type.kind) {
    case "int":
    case "bits":
      return type.type;
    case "be":
      return `u${bitsOf(type.type)}`;
    case "bool":
      return "bool";
    default:
      return null;
  }
}

function randomField(random: Random): FieldType {
  const kind = random.below(20);
  if (kind < 11) return { kind: "int", type: random.pick(INTS) };
  if (kind < 13) return { kind: "be", type: random.pick(["be16", "be32", "be64"]) };
  if (kind < 14) return { kind: "bool" };
  if (kind < 17) return { kind: "array", type: random.pick(INTS), length: random.pick([2, 3, 4]) };
  const type = random.pick(["u8", "u16", "u32", "u64"] as const);
  return { kind: "bits", type, width: 1 + random.below(bitsOf(type) - 1) };
}

/** A struct of up to `most` fields; the first two hold what atomic operations want. */
export function randomStruct(random: Random, name: string, options: { most: number; inner?: Struct }): Struct {
  const fields: Field[] = [
    { name: "m0", type: { kind: "int", type: random.pick(["u64", "i64"]) } },
    { name: "m1", type: { kind: "int", type: random.pick(["u32", "i32"]) } },
  ];
  const count = 1 + random.below(options.most);
  for (let at = 0; at < count; at++) fields.push({ name: `f${at}`, type: randomField(random) });
  if (options.inner) fields.push({ name: "inner", type: { kind: "struct", struct: options.inner } });
  return { name, fields };
}

const minOf = (type: string): bigint => (isSigned(type) ? -(1n << BigInt(bitsOf(type) - 1)) : 0n);
const maxOf = (type: string): bigint => (1n << BigInt(bitsOf(type) - (isSigned(type) ? 1 : 0))) - 1n;

/** A literal of the type, often near a border. */
export function literal(random: Random, type: string): string {
  const raw = random.value();
  const bits = bitsOf(type);
  const value = isSigned(type) ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
  const known = random.chance(10) ? random.pick([minOf(type), maxOf(type)]) : value;
  return printLiteral(known, type);
}

export function printLiteral(value: bigint, type: string): string {
  const text = `${value}${isWide(type) ? "n" : ""}`;
  return value < 0n ? `(${text})` : text;
}

export function positiveLiteral(random: Random, type: string): string {
  const value = BigInt.asUintN(bitsOf(type) - 1, random.value());
  return printLiteral(value === 0n ? 7n : value, type);
}
