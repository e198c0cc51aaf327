/**
 * @module
 * Lists in memory: constants that are indexed at run time are tables in `.rodata`, also of objects and of lists; lists whose elements are
 * assigned, or whose elements are no constants, lie on the stack.
 */
import type ts from "typescript";
import { constantBytes } from "../constants.ts";
import { alignOf, arrayType, BOOL, INTS, structType, type IntT, type MemoryType, type NamedType } from "../types.ts";
import type { IntValue, ListValue, RefValue, Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { defaultType } from "./ints.ts";
import { materialize } from "./literals.ts";

const SIZES = [INTS.u8, INTS.u16, INTS.u32] as const;

/** The smallest type for literals that takes all; that of the wider numbers where they have types. */
function intOf(ints: readonly IntValue[]): IntT {
  const min = ints.map((int) => int.min).reduce((a, b) => (a < b ? a : b), 0n);
  const max = ints.map((int) => int.max).reduce((a, b) => (a > b ? a : b), 0n);
  const signed = min < 0n;
  if (ints.some((int) => int.big)) return signed ? INTS.i64 : INTS.u64;
  const fitting = SIZES.find((type) => !signed && max < 1n << BigInt(type.bits));
  return signed ? INTS.i32 : (fitting ?? INTS.u64);
}

/** A layout that holds each of the constants; null where there is none. */
function layoutOf(values: readonly Value[]): MemoryType | null {
  if (values.every((value) => value.kind === "int" && value.const !== undefined)) return intOf(values as IntValue[]);
  if (values.every((value) => value.kind === "bool" && value.const !== undefined)) return BOOL;
  if (values.every((value) => value.kind === "list")) return rowsOf(values);
  return fieldsOf(values);
}

function rowsOf(lists: readonly ListValue[]): MemoryType | null {
  const length = lists[0]?.elements.length ?? 0;
  if (lists.some((list) => list.elements.length !== length)) return null;
  const element = layoutOf(lists.flatMap((list) => list.elements));
  return element && arrayType(element, length);
}

/** Of objects with the same names. */
function fieldsOf(values: readonly Value[]): MemoryType | null {
  const records = values.flatMap((value) => (value.kind === "record" ? [value] : []));
  const [first] = records;
  if (!first || records.length !== values.length) return null;
  if (records.some((record) => record.fields.size !== first.fields.size)) return null;
  const fields: NamedType[] = [];
  for (const name of first.fields.keys()) {
    const bindings = records.map((record) => record.fields.get(name));
    const held = bindings.flatMap((binding) => (binding?.kind === "value" ? [binding.value] : []));
    const type = held.length === records.length ? layoutOf(held) : null;
    if (!type) return null;
    fields.push({ name, type });
  }
  return structType("struct", "row", fields);
}

/** A list that is indexed at run time, as memory. */
export function tableOf(cx: Cx, list: ListValue, node: ts.Node): RefValue {
  const element = layoutOf(list.elements);
  if (!element) return arrayOnStack(cx, list, node);
  const array = arrayType(element, list.elements.length);
  const { section, offset } = cx.unit.table(array, constantBytes(cx, array, list, node));
  const ptr = cx.emit(node).data(section, offset);
  const align = alignOf(array);
  return { kind: "ref", type: array, ptr, offset: 0, space: "data", align, nullable: false, readOnly: true };
}

function arrayOnStack(cx: Cx, list: ListValue, node: ts.Node): RefValue {
  const type = commonType(list.elements.map((value) => scalarType(cx, value)));
  if (!type) return cx.refuse(node, "notConstant", ["an element of the list"]);
  return materialize(cx, list, arrayType(type, list.elements.length), node);
}

function scalarType(cx: Cx, value: Value, declared?: MemoryType | null): MemoryType | null {
  if (value.kind === "bool") return BOOL;
  if (value.kind !== "int") return null;
  return declared?.kind === "int" ? declared : defaultType(value);
}

/** The widest of integers of one sign. */
function commonType(types: readonly (MemoryType | null)[]): MemoryType | null {
  const [first] = types;
  if (first?.kind === "bool") return types.every((type) => type?.kind === "bool") ? first : null;
  const ints = types.flatMap((type) => (type?.kind === "int" ? [type] : []));
  const [any] = ints;
  if (!any || ints.length !== types.length || ints.some((type) => type.signed !== any.signed)) return null;
  if (ints.some((type) => (type.bits === 64) !== (any.bits === 64))) return null;
  return ints.reduce((a, b) => (b.bits > a.bits ? b : a));
}

/** The types that a tuple or an array is declared to have, one for each element. */
function declaredElements(cx: Cx, name: ts.Identifier, count: number): (MemoryType | null)[] {
  const { checker } = cx.unit;
  const type = checker.getTypeAtLocation(name);
  const given =
    checker.isTupleType(type) || checker.isArrayType(type) ? checker.getTypeArguments(type as ts.TypeReference) : [];
  const one = checker.isArrayType(type);
  return Array.from({ length: count }, (_, at) => {
    const element = given[one ? 0 : at];
    return (element && cx.unit.declaredType(element).type) ?? null;
  });
}

/** A list of numbers and booleans whose elements are assigned: an array, or for different types a struct with the indices as names. */
export function listInMemory(cx: Cx, list: ListValue, name: ts.Identifier): RefValue | null {
  const declared = declaredElements(cx, name, list.elements.length);
  const types = list.elements.map((value, at) => scalarType(cx, value, declared[at]));
  const common = commonType(types);
  if (common) return materialize(cx, list, arrayType(common, types.length), name);
  const fields = types.flatMap((type, at) => (type ? [{ name: String(at), type }] : []));
  if (fields.length !== types.length) return null;
  const struct = structType("struct", "tuple", fields);
  const values = new Map(list.elements.map((value, at) => [String(at), { kind: "value", value } as const]));
  return materialize(cx, { kind: "record", fields: values, node: name }, struct, name);
}
