/**
 * @module
 * Conditions as control flow: every test becomes a branch, never a value that is tested again.
 */
import ts from "typescript";
import { Refused } from "../problems.ts";
import { factsOf } from "../source.ts";
import { describe, type Condition, type IntValue, type Value } from "../values.ts";
import { branch, negate, type Cx, type Target } from "./cx.ts";
import { compare, defaultType, instOf, type Comparison } from "./ints.ts";
import { asInt, boolInst, present } from "./memory.ts";
import { stripParens } from "./literals.ts";

const COMPARISONS: ReadonlyMap<ts.SyntaxKind, Comparison> = new Map([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "==="],
  [ts.SyntaxKind.EqualsEqualsToken, "==="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsToken, "!=="],
  [ts.SyntaxKind.LessThanToken, "<"],
  [ts.SyntaxKind.LessThanEqualsToken, "<="],
  [ts.SyntaxKind.GreaterThanToken, ">"],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">="],
]);

export function comparisonOf(node: ts.BinaryExpression): Comparison | null {
  return COMPARISONS.get(node.operatorToken.kind) ?? null;
}

function isAbsent(value: Value): boolean {
  return value.kind === "null" || value.kind === "undefined";
}

/** Whether a value is there at all. */
export function presence(cx: Cx, value: Value, node: ts.Node): Condition | boolean {
  switch (value.kind) {
    case "null":
    case "undefined":
      return false;
    case "maybe":
      return value.present;
    case "kernel":
      return value.nullable ? { predicate: "ne", a: value.ptr, b: cx.emit(node).null() } : true;
    case "ref":
      if (!value.nullable) return true;
      return value.present ?? { predicate: "ne", a: value.ptr, b: cx.emit(node).null() };
    case "map":
      return value.inst ? { predicate: "ne", a: value.inst, b: cx.emit(node).null() } : true;
    default:
      return true;
  }
}

/** JavaScript's truth: of a reference its presence, of an integer that it is not 0. */
export function truth(cx: Cx, value: Value, node: ts.Node): Condition | boolean {
  switch (value.kind) {
    case "bool":
      if (value.const !== undefined) return value.const;
      return { predicate: "ne", a: boolInst(cx, value, node), b: cx.emit(node).i32(0) };
    case "int": {
      if (value.const !== undefined) return value.const !== 0n;
      const type = defaultType(value);
      const b = cx.emit(node);
      return { predicate: "ne", a: instOf(cx, value, type, node), b: b.const(type.bits === 64 ? "i64" : "i32", 0) };
    }
    case "string":
      return value.text !== "";
    case "poison":
      throw new Refused("no value");
    default:
      return presence(cx, value, node);
  }
}

function compareValues(
  cx: Cx,
  comparison: Comparison,
  pair: readonly [Value, Value],
  node: ts.BinaryExpression,
): Condition | boolean {
  const [a, b] = pair;
  const equality = comparison === "===" || comparison === "!==";
  if (equality && (isAbsent(a) || isAbsent(b))) {
    const there = presence(cx, isAbsent(a) ? b : a, node);
    return comparison === "!==" ? there : negate(there);
  }
  if (a.kind === "string" && b.kind === "string" && equality) return (a.text === b.text) === (comparison === "===");
  if (a.kind === "bool" && b.kind === "bool" && equality) {
    if (a.const !== undefined && b.const !== undefined) return (a.const === b.const) === (comparison === "===");
    return { predicate: comparison === "===" ? "eq" : "ne", a: boolInst(cx, a, node), b: boolInst(cx, b, node) };
  }
  const kinds = new Set([present(a).kind, present(b).kind]);
  if (!kinds.has("int") && !kinds.has("bool"))
    cx.refuse(node, "unsupported", [`comparing ${describe(a)} with ${describe(b)}`]);
  return compare(cx, comparison, [operand(cx, a, node.left), operand(cx, b, node.right)], node);
}

function operand(cx: Cx, value: Value, node: ts.Node): IntValue {
  return asInt(cx, value, node);
}

/** A value that may be absent is compared only where it is there; `x === 5` is false where x is absent. */
function compareMaybe(
  cx: Cx,
  comparison: Comparison,
  pair: readonly [Value, Value],
  ways: { node: ts.BinaryExpression; whenTrue: Target; whenFalse: Target },
): void {
  const { node, whenTrue, whenFalse } = ways;
  const [a, b] = pair;
  const optional = [a, b].find((value) => value.kind === "maybe");
  const absentTest = isAbsent(a) || isAbsent(b);
  if (optional?.kind === "maybe" && !absentTest && mayBeUndefined(cx, node)) {
    const there = cx.target("there", node);
    branch(cx, optional.present, [there, comparison === "!==" ? whenTrue : whenFalse], node);
    cx.emit(node).at(there.block);
  }
  branch(cx, compareValues(cx, comparison, pair, node), [whenTrue, whenFalse], node);
}

function mayBeUndefined(cx: Cx, node: ts.BinaryExpression): boolean {
  return [node.left, node.right].some((side) => isNullableType(cx, side));
}

/** Whether TypeScript, after narrowing, still thinks that the expression may be null or undefined. */
export function isNullableType(cx: Cx, node: ts.Expression): boolean {
  const { checker } = cx.unit;
  const known = factsOf(checker, node.getSourceFile(), "nullable");
  const before = known.get(node);
  if (before !== undefined) return before;
  const type = checker.getTypeAtLocation(node);
  const parts = type.isUnion() ? type.types : [type];
  const found = parts.some((part) => (part.flags & (ts.TypeFlags.Null | ts.TypeFlags.Undefined)) !== 0);
  known.set(node, found);
  return found;
}

export function lowerCondition(cx: Cx, expression: ts.Expression, whenTrue: Target, whenFalse: Target): void {
  const node = stripParens(expression);
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    lowerCondition(cx, node.operand, whenFalse, whenTrue);
    return;
  }
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    if (kind === ts.SyntaxKind.AmpersandAmpersandToken || kind === ts.SyntaxKind.BarBarToken) {
      const next = cx.target("and", node);
      if (kind === ts.SyntaxKind.AmpersandAmpersandToken) lowerCondition(cx, node.left, next, whenFalse);
      else lowerCondition(cx, node.left, whenTrue, next);
      if (!next.reached) return;
      cx.emit(node).at(next.block);
      lowerCondition(cx, node.right, whenTrue, whenFalse);
      return;
    }
    const comparison = comparisonOf(node);
    if (comparison) {
      const pair = [cx.lower.value(cx, node.left), cx.lower.value(cx, node.right)] as const;
      if (cx.dead) return;
      compareMaybe(cx, comparison, pair, { node, whenTrue, whenFalse });
      return;
    }
  }
  const value = cx.lower.value(cx, node);
  if (cx.dead) return;
  branch(cx, truth(cx, value, node), [whenTrue, whenFalse], node);
}

/** A comparison as a value. */
export function comparisonValue(cx: Cx, node: ts.BinaryExpression, comparison: Comparison): Value {
  const a = cx.lower.value(cx, node.left);
  const b = cx.lower.value(cx, node.right);
  const optional = a.kind === "maybe" || b.kind === "maybe";
  if (optional) return conditionValue(cx, node);
  const condition = compareValues(cx, comparison, [a, b], node);
  if (typeof condition === "boolean") return { kind: "bool", const: condition };
  return { kind: "bool", inst: cx.emit(node).cmp(condition.predicate, condition.a, condition.b) };
}

/** Any condition as a boolean, by its control flow. */
export function conditionValue(cx: Cx, node: ts.Expression): Value {
  const [whenTrue, whenFalse] = [cx.target("true", node), cx.target("false", node)];
  lowerCondition(cx, node, whenTrue, whenFalse);
  const b = cx.emit(node);
  if (!whenTrue.reached || !whenFalse.reached) {
    b.at(whenTrue.reached ? whenTrue.block : whenFalse.block);
    return { kind: "bool", const: whenTrue.reached };
  }
  const local = b.local("flag", "i32");
  const join = b.block("join");
  b.at(whenTrue.block).set(local, b.i32(1));
  b.jump(join);
  b.at(whenFalse.block).set(local, b.i32(0));
  b.jump(join);
  b.at(join);
  return { kind: "bool", inst: b.get(local) };
}
