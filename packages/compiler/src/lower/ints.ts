/**
 * @module
 * Integers: width, sign and range of every operator. Values of up to 32 bits are `i32` in the IR, normalised by their type.
 */
import type ts from "typescript";
import type { BinaryOp, Inst, Predicate } from "@skep/ir";
import { fits, INTS, maxOf, minOf, wrap, type IntT } from "../types.ts";
import { constInt, describe, type Condition, type IntValue } from "../values.ts";
import type { Cx } from "./cx.ts";

export type Operator = "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>" | ">>>";
export type Comparison = "===" | "!==" | "<" | "<=" | ">" | ">=";

export type TypedInt = IntValue & { readonly type: IntT };

const container = (type: IntT): "i32" | "i64" => (type.bits === 64 ? "i64" : "i32");
const isBitwise = (operator: Operator): boolean => operator === "&" || operator === "|" || operator === "^";

export function typed(inst: Inst, type: IntT, range?: { min: bigint; max: bigint; soft?: boolean }): TypedInt {
  return {
    kind: "int",
    type,
    big: type.bits === 64,
    inst,
    min: range?.min ?? minOf(type),
    max: range?.max ?? maxOf(type),
    ...(range?.soft ? { soft: true } : {}),
  };
}

/** A value that may come from anywhere: the verifier need not know even that it fits its type. */
export function typedSoft(inst: Inst, type: IntT): TypedInt {
  return typed(inst, type, { min: minOf(type), max: maxOf(type), soft: true });
}

const inRange = (value: IntValue, type: IntT): boolean => fits(value.min, type) && fits(value.max, type);

/** The type that a literal has where nothing else says. */
export function defaultType(value: IntValue): IntT {
  if (value.type) return value.type;
  if (value.big) return value.min < 0n ? INTS.i64 : INTS.u64;
  if (inRange(value, INTS.u32)) return INTS.u32;
  if (inRange(value, INTS.i32)) return INTS.i32;
  return value.min < 0n ? INTS.i64 : INTS.u64;
}

/** The instruction whose value, as `type` has it, is `value`: which lies in the type's range or is to be cut to it. */
function widthOf(cx: Cx, value: IntValue, type: IntT, node: ts.Node): Inst {
  const b = cx.emit(node);
  if (value.const !== undefined) return b.const(container(type), wrap(value.const, type));
  const inst = value.inst;
  if (inst === undefined) throw new Error("an integer without a value");
  const wanted = container(type);
  if (inst.type === wanted) return inst;
  if (wanted === "i32") return b.trunc(inst);
  return value.min < 0n ? b.sext(inst) : b.zext(inst);
}

/** As `type`, cut to its width. */
export function convert(cx: Cx, value: IntValue, type: IntT, node: ts.Node): TypedInt {
  if (value.const !== undefined) return constInt(wrap(value.const, type), type) as TypedInt;
  const inst = widthOf(cx, value, type, node);
  const known = inRange(value, type);
  if (known) return typed(inst, type, value);
  if (type.bits >= 32) return typed(inst, type);
  const from = type.bits === 8 ? 8 : 16;
  return typed(cx.emit(node).ext(inst, { from, signed: type.signed, to: "i32" }), type);
}

/** As `type`, of which it must be a value. */
export function coerce(cx: Cx, value: IntValue, type: IntT, node: ts.Node): TypedInt {
  if (!inRange(value, type)) {
    if (value.const !== undefined) cx.refuse(node, "literalDoesNotFit", [describe(value), type.name]);
    cx.refuse(node, "doesNotFit", [describe(value), type.name]);
  }
  return convert(cx, value, type, node);
}

/** The instruction for a value that is coerced to `type` already. */
export function instOf(cx: Cx, value: IntValue, type: IntT, node: ts.Node): Inst {
  return widthOf(cx, value, type, node);
}

/** A literal meets a type: it takes it. */
function adopt(cx: Cx, literal: IntValue, type: IntT, options: { node: ts.Node; bitwise: boolean }): TypedInt {
  const { node, bitwise } = options;
  if (literal.const !== undefined && bitwise && literal.const < 0n && -literal.const <= maxOf(type) + 1n) {
    return constInt(wrap(literal.const, type), type) as TypedInt;
  }
  if (literal.const !== undefined && !inRange(literal, type)) {
    const wider = type.bits === 64 ? null : defaultType(literal).name;
    const hint = wider === null ? undefined : `${wider}(...) widens the other operand`;
    cx.refuse(node, "literalDoesNotFit", [describe(literal), type.name], hint);
  }
  return coerce(cx, literal, type, node);
}

/** One type for two operands; literals take the other's. */
export function unify(
  cx: Cx,
  a: IntValue,
  b: IntValue,
  options: { node: ts.Node; bitwise?: boolean },
): readonly [TypedInt, TypedInt, IntT] {
  const { node } = options;
  const bitwise = options.bitwise ?? false;
  if (a.type === null && b.type === null) {
    const range = { min: a.min < b.min ? a.min : b.min, max: a.max > b.max ? a.max : b.max };
    const type = defaultType({ ...a, ...range, big: a.big || b.big });
    return [coerce(cx, a, type, node), coerce(cx, b, type, node), type];
  }
  if (a.type === null && b.type) return [adopt(cx, a, b.type, { node, bitwise }), b as TypedInt, b.type];
  if (b.type === null && a.type) return [a as TypedInt, adopt(cx, b, a.type, { node, bitwise }), a.type];
  const type = commonType(cx, a as TypedInt, b as TypedInt, node);
  return [convert(cx, a, type, node), convert(cx, b, type, node), type];
}

function commonType(cx: Cx, a: TypedInt, b: TypedInt, node: ts.Node): IntT {
  if (a.type === b.type) return a.type;
  if ((a.type.bits === 64) !== (b.type.bits === 64)) return cx.refuse(node, "mixedKinds", [a.type.name, b.type.name]);
  const [narrow, wide] = a.type.bits <= b.type.bits ? [a, b] : [b, a];
  if (narrow.type.signed === wide.type.signed) return wide.type;
  // Unlike signs mix only where no value changes its meaning.
  if (wide.type.signed && inRange(narrow, wide.type)) return wide.type;
  if (narrow.type.signed && inRange(wide, narrow.type)) return narrow.type;
  if (!wide.type.signed && narrow.min >= 0n) return wide.type;
  return cx.refuse(node, "mixedSigns", [a.type.name, b.type.name]);
}

interface Range {
  readonly min: bigint;
  readonly max: bigint;
}

/** All bits up to the highest that is set. */
function fill(value: bigint): bigint {
  return (1n << BigInt(value.toString(2).length)) - 1n;
}

function bitwiseRange(operator: Operator, a: IntValue, b: IntValue): Range | null {
  if (operator === "&") {
    if (a.min < 0n && b.min < 0n) return null;
    const bounds = [a, b].filter((one) => one.min >= 0n).map((one) => one.max);
    return { min: 0n, max: bounds.reduce((x, y) => (x < y ? x : y)) };
  }
  if (a.min < 0n || b.min < 0n) return null;
  const high = a.max > b.max ? a.max : b.max;
  return { min: 0n, max: high === 0n ? 0n : fill(high) };
}

function divisionRange(operator: Operator, a: IntValue, b: IntValue): Range | null {
  if (a.min < 0n || b.min < 0n) return null;
  if (operator === "/") return { min: 0n, max: b.min > 0n ? a.max / b.min : a.max };
  return { min: 0n, max: b.min > 0n && b.max - 1n < a.max ? b.max - 1n : a.max };
}

/** Where the exact result lies; null where that cannot be told. */
function rangeOf(operator: Operator, a: IntValue, b: IntValue): Range | null {
  switch (operator) {
    case "+":
      return { min: a.min + b.min, max: a.max + b.max };
    case "-":
      return { min: a.min - b.max, max: a.max - b.min };
    case "*": {
      const products = [a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max];
      return {
        min: products.reduce((x, y) => (x < y ? x : y)),
        max: products.reduce((x, y) => (x > y ? x : y)),
      };
    }
    case "/":
    case "%":
      return divisionRange(operator, a, b);
    case "<<":
      return b.const === undefined ? null : { min: a.min << b.const, max: a.max << b.const };
    case ">>":
    case ">>>":
      if (b.const !== undefined) return { min: a.min >> b.const, max: a.max >> b.const };
      return a.min >= 0n ? { min: 0n, max: a.max } : null;
    default:
      return bitwiseRange(operator, a, b);
  }
}

/** Constants by the same rules; null where the operation has no value. */
function fold(operator: Operator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return b === 0n ? 0n : a / b;
    case "%":
      return b === 0n ? a : a % b;
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "<<":
      return a << b;
    default:
      return a >> b;
  }
}

function opcode(operator: Operator, type: IntT): BinaryOp {
  switch (operator) {
    case "+":
      return "add";
    case "-":
      return "sub";
    case "*":
      return "mul";
    case "/":
      return type.signed ? "sdiv" : "udiv";
    case "%":
      return type.signed ? "smod" : "umod";
    case "&":
      return "and";
    case "|":
      return "or";
    case "^":
      return "xor";
    case "<<":
      return "shl";
    default:
      return type.signed ? "ashr" : "lshr";
  }
}

/** Whether the verifier does not know the range that the operation's result has. */
function isSoft(operator: Operator, a: IntValue, b: IntValue): boolean {
  if (operator === "/" || operator === "%") return true;
  const isShift = operator === "<<" || operator === ">>" || operator === ">>>";
  if (isShift && b.const === undefined) return true;
  if (operator !== "&") return a.soft === true || b.soft === true;
  // The mask alone bounds it, whatever the other may be.
  const isMask = (mask: IntValue, other: IntValue): boolean =>
    mask.soft !== true && mask.min >= 0n && (mask.max <= other.max || other.min < 0n);
  return !isMask(a, b) && !isMask(b, a);
}

const UNSIGNED = { 8: INTS.u8, 16: INTS.u16, 32: INTS.u32, 64: INTS.u64 } as const;

function finish(cx: Cx, operator: Operator, operands: readonly [TypedInt, TypedInt, IntT], node: ts.Node): IntValue {
  const [a, b, type] = operands;
  if (a.const !== undefined && b.const !== undefined) {
    return constInt(wrap(fold(operator, a.const, b.const), type), type);
  }
  const inst = cx.emit(node).binary(opcode(operator, type), widthOf(cx, a, type, node), widthOf(cx, b, type, node));
  const range = rangeOf(operator, a, b);
  if (range && fits(range.min, type) && fits(range.max, type)) {
    return typed(inst, type, { ...range, soft: isSoft(operator, a, b) });
  }
  if (type.bits >= 32) return typed(inst, type);
  const from = type.bits === 8 ? 8 : 16;
  return typed(cx.emit(node).ext(inst, { from, signed: type.signed, to: "i32" }), type);
}

function shift(cx: Cx, operator: Operator, pair: readonly [IntValue, IntValue], node: ts.Node): IntValue {
  const [left, count] = pair;
  if (left.type === null && left.const !== undefined && count.const !== undefined) {
    if (count.const < 0n || count.const > 63n) cx.refuse(node, "shiftTooFar", ["a literal", "64"]);
    const value =
      operator === ">>>" ? BigInt.asUintN(32, left.const) >> count.const : fold(operator, left.const, count.const);
    return constInt(value, null, left.big);
  }
  let type = defaultType(left);
  let value = convert(cx, left, type, node);
  if (operator === ">>>" && type.signed) {
    type = UNSIGNED[type.bits];
    value = convert(cx, left, type, node);
  }
  if (count.const !== undefined && (count.const < 0n || count.const >= BigInt(type.bits))) {
    cx.refuse(node, "shiftTooFar", [type.name, String(type.bits)]);
  }
  const by = convert(cx, count, container(type) === "i64" ? INTS.u64 : INTS.u32, node);
  return finish(cx, operator, [value, by, type], node);
}

/** `a operator b` of two integers. */
export function arithmetic(cx: Cx, operator: Operator, pair: readonly [IntValue, IntValue], node: ts.Node): IntValue {
  const [a, b] = pair;
  if (operator === "<<" || operator === ">>" || operator === ">>>") return shift(cx, operator, pair, node);
  if ((operator === "/" || operator === "%") && b.const === 0n) cx.refuse(node, "divisionByZero");
  if (a.type === null && b.type === null && a.const !== undefined && b.const !== undefined) {
    return constInt(fold(operator, a.const, b.const), null, a.big || b.big);
  }
  return finish(cx, operator, unify(cx, a, b, { node, bitwise: isBitwise(operator) }), node);
}

export function negative(cx: Cx, value: IntValue, node: ts.Node): IntValue {
  if (value.const !== undefined) {
    const negated = -value.const;
    return constInt(value.type ? wrap(negated, value.type) : negated, value.type, value.big);
  }
  const type = defaultType(value);
  const inst = cx.emit(node).neg(widthOf(cx, value, type, node));
  // Before 6.17 the verifier knows nothing of a negation.
  const range = { min: -value.max, max: -value.min, soft: true };
  if (fits(range.min, type) && fits(range.max, type)) return typed(inst, type, range);
  if (type.bits >= 32) return typed(inst, type);
  return typed(cx.emit(node).ext(inst, { from: type.bits === 8 ? 8 : 16, signed: type.signed, to: "i32" }), type);
}

/** `~value`. */
export function complement(cx: Cx, value: IntValue, node: ts.Node): IntValue {
  if (value.const !== undefined) {
    return constInt(value.type ? wrap(~value.const, value.type) : ~value.const, value.type, value.big);
  }
  const type = defaultType(value);
  const inst = cx.emit(node).not(widthOf(cx, value, type, node));
  if (type.bits >= 32) return typed(inst, type);
  return typed(cx.emit(node).ext(inst, { from: type.bits === 8 ? 8 : 16, signed: type.signed, to: "i32" }), type);
}

const PREDICATES: Readonly<Record<Comparison, readonly [unsigned: Predicate, signed: Predicate]>> = {
  "===": ["eq", "eq"],
  "!==": ["ne", "ne"],
  "<": ["ult", "slt"],
  "<=": ["ule", "sle"],
  ">": ["ugt", "sgt"],
  ">=": ["uge", "sge"],
};

function holds(comparison: Comparison, a: bigint, b: bigint): boolean {
  switch (comparison) {
    case "===":
      return a === b;
    case "!==":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

/** What a comparison is where every value of `a` and `b` gives the same answer. */
function decided(comparison: Comparison, a: IntValue, b: IntValue): boolean | null {
  if (a.const !== undefined && b.const !== undefined) return holds(comparison, a.const, b.const);
  return null;
}

/** A literal that the other operand's type cannot hold decides the comparison: almost surely a mistake. */
function checkLiteral(cx: Cx, literal: IntValue, other: IntValue, node: ts.Node): void {
  if (literal.const === undefined || literal.type !== null || other.type === null) return;
  if (!fits(literal.const, other.type)) cx.refuse(node, "alwaysSame", [other.type.name, String(literal.const)]);
}

export function compare(
  cx: Cx,
  comparison: Comparison,
  pair: readonly [IntValue, IntValue],
  node: ts.Node,
): Condition | boolean {
  const [a, b] = pair;
  checkLiteral(cx, a, b, node);
  checkLiteral(cx, b, a, node);
  const known = decided(comparison, a, b);
  if (known !== null) return known;
  const [left, right, type] = unify(cx, a, b, { node });
  const predicate = PREDICATES[comparison][type.signed ? 1 : 0];
  return { predicate, a: widthOf(cx, left, type, node), b: widthOf(cx, right, type, node) };
}
