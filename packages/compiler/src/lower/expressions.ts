/**
 * @module
 * Expressions to values.
 */
import ts from "typescript";
import type { MemoryType } from "../types.ts";
import { constBool, constInt, describe, NULL, UNDEFINED, type Value } from "../values.ts";
import { readBinding } from "./bindings.ts";
import { Refused } from "../problems.ts";
import { factsOf } from "../source.ts";
import { printk } from "./printk.ts";
import {
  comparisonOf,
  comparisonValue,
  conditionValue,
  isNullableType,
  lowerCondition,
  presence,
  truth,
} from "./conditions.ts";
import { branch, excerpt, type Cx, type Site, type Target } from "./cx.ts";
import { arithmetic, complement, negative, type Operator } from "./ints.ts";
import { joinSites } from "./join.ts";
import { materializeExpression, memberName, recordOf, stripParens } from "./literals.ts";
import { asBool, asInt, present } from "./memory.ts";
import { patternElement } from "./declare.ts";
import { elementAt } from "./elements.ts";
import { assign, element, member, placeOf, readPlace, writePlace } from "./places.ts";

const OPERATORS: ReadonlyMap<ts.SyntaxKind, Operator> = new Map([
  [ts.SyntaxKind.PlusToken, "+"],
  [ts.SyntaxKind.MinusToken, "-"],
  [ts.SyntaxKind.AsteriskToken, "*"],
  [ts.SyntaxKind.SlashToken, "/"],
  [ts.SyntaxKind.PercentToken, "%"],
  [ts.SyntaxKind.AmpersandToken, "&"],
  [ts.SyntaxKind.BarToken, "|"],
  [ts.SyntaxKind.CaretToken, "^"],
  [ts.SyntaxKind.LessThanLessThanToken, "<<"],
  [ts.SyntaxKind.GreaterThanGreaterThanToken, ">>"],
  [ts.SyntaxKind.GreaterThanGreaterThanGreaterThanToken, ">>>"],
]);

const COMPOUND: ReadonlyMap<ts.SyntaxKind, Operator> = new Map([
  [ts.SyntaxKind.PlusEqualsToken, "+"],
  [ts.SyntaxKind.MinusEqualsToken, "-"],
  [ts.SyntaxKind.AsteriskEqualsToken, "*"],
  [ts.SyntaxKind.SlashEqualsToken, "/"],
  [ts.SyntaxKind.PercentEqualsToken, "%"],
  [ts.SyntaxKind.AmpersandEqualsToken, "&"],
  [ts.SyntaxKind.BarEqualsToken, "|"],
  [ts.SyntaxKind.CaretEqualsToken, "^"],
  [ts.SyntaxKind.LessThanLessThanEqualsToken, "<<"],
  [ts.SyntaxKind.GreaterThanGreaterThanEqualsToken, ">>"],
  [ts.SyntaxKind.GreaterThanGreaterThanGreaterThanEqualsToken, ">>>"],
]);

const LOGICAL_ASSIGNMENT: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
]);

/** A name is met as often as the function around it is inlined, and TypeScript looks it up each time. */
const symbolsBy = new WeakMap<ts.TypeChecker, Map<ts.Identifier, ts.Symbol | undefined>>();

function symbolOf(checker: ts.TypeChecker, node: ts.Identifier): ts.Symbol | undefined {
  const known = symbolsBy.get(checker) ?? new Map<ts.Identifier, ts.Symbol | undefined>();
  symbolsBy.set(checker, known);
  if (!known.has(node)) known.set(node, checker.getSymbolAtLocation(node));
  return known.get(node);
}

function identifier(cx: Cx, node: ts.Identifier): Value {
  if (node.text === "undefined") return UNDEFINED;
  const symbol = symbolOf(cx.unit.checker, node);
  if (!symbol) return cx.refuse(node, "unknownName", [node.text]);
  const binding = cx.env.lookup(symbol);
  const value = binding ? readBinding(cx, binding, node) : cx.unit.moduleValue(symbol, node);
  // Why it has no value was said where it is declared.
  if (value.kind === "poison") throw new Refused(node.text);
  return narrowed(cx, value, node);
}

/** What TypeScript knows to be there is there: the branch that it learned it from is the verifier's too. */
export function narrowed(cx: Cx, value: Value, node: ts.Expression): Value {
  if (value.kind === "maybe" && !isNullableType(cx, node)) return value.value;
  if (value.kind === "kernel" && value.nullable && !isNullableType(cx, node)) return { ...value, nullable: false };
  if (value.kind === "ref" && value.nullable && !isNullableType(cx, node)) {
    const { present: _present, ...rest } = value;
    return { ...rest, nullable: false };
  }
  return value;
}

/** The receiver of `a?.b` and what to do where it is absent. */
interface Chain {
  /** Where the chain ends early. */
  absent: Target | null;
  /** It ends early always: what is behind is not looked at. */
  never: boolean;
}

function chainReceiver(cx: Cx, node: ts.Expression, chain: Chain | null): Value {
  const inner = ts.isParenthesizedExpression(node) ? node : stripParens(node);
  if (
    chain &&
    (ts.isPropertyAccessExpression(inner) || ts.isElementAccessExpression(inner) || ts.isCallExpression(inner))
  ) {
    if (ts.isOptionalChain(inner)) return chainLink(cx, inner, chain);
  }
  return cx.lower.value(cx, node);
}

function chainLink(
  cx: Cx,
  node: ts.PropertyAccessExpression | ts.ElementAccessExpression | ts.CallExpression,
  chain: Chain,
): Value {
  const object = chainReceiver(cx, node.expression, chain);
  if (chain.never) return UNDEFINED;
  if (node.questionDotToken && !guardPresence(cx, object, chain, node)) return UNDEFINED;
  const there = present(object.kind === "ref" || object.kind === "kernel" ? withoutNull(object) : object);
  if (ts.isCallExpression(node)) return cx.lower.call(cx, node, there);
  if (ts.isPropertyAccessExpression(node)) return member(cx, there, node.name.text, node);
  return element(cx, there, node.argumentExpression, { asserted: false, node });
}

/** Goes on where the value is there; false where it never is. */
function guardPresence(cx: Cx, object: Value, chain: Chain, node: ts.Node): boolean {
  const test = presence(cx, object, node);
  if (test === true) return true;
  if (test === false) {
    chain.never = true;
    return false;
  }
  chain.absent ??= cx.target("absent", node);
  const there = cx.target("there", node);
  branch(cx, test, [there, chain.absent], node);
  cx.emit(node).at(there.block);
  return true;
}

/** `a?.b.c`: undefined where a is absent. */
function optionalChain(
  cx: Cx,
  node: ts.PropertyAccessExpression | ts.ElementAccessExpression | ts.CallExpression,
): Value {
  const chain: Chain = { absent: null, never: false };
  const value = chainLink(cx, node, chain);
  if (!chain.absent) return value;
  const b = cx.emit(node);
  const { epoch } = cx;
  return joinSites(
    cx,
    [
      { block: b.current, value, node, epoch },
      { block: chain.absent.block, value: UNDEFINED, node, epoch },
    ],
    { node },
  );
}

function propertyAccess(cx: Cx, node: ts.PropertyAccessExpression): Value {
  if (ts.isOptionalChain(node)) return optionalChain(cx, node);
  const namespace = namespaceMember(cx, node);
  if (namespace) return namespace;
  const object = cx.lower.value(cx, node.expression);
  const value = member(cx, object, node.name.text, node);
  if (!isOwned(object, node.name.text)) return narrowed(cx, value, node);
  // Another CPU may have exchanged it since TypeScript saw it: every read is checked by itself.
  return isNullableType(cx, node) ? value : cx.refuse(node, "readAgain", [excerpt(node)]);
}

/** Whether the member is a pointer that memory owns. */
function isOwned(object: Value, name: string): boolean {
  if (object.kind !== "ref" || object.type.kind === "array") return false;
  return object.type.fields.some((field) => field.name === name && field.type.kind === "kptr");
}

/** `module.name` of `import * as module`. */
function namespaceMember(cx: Cx, node: ts.PropertyAccessExpression): Value | null {
  if (!ts.isIdentifier(node.expression)) return null;
  const symbol = cx.unit.checker.getSymbolAtLocation(node.expression);
  const declaration = symbol?.declarations?.[0];
  if (!declaration || !ts.isNamespaceImport(declaration)) return null;
  const target = cx.unit.checker.getSymbolAtLocation(node.name);
  return target ? cx.unit.moduleValue(target, node) : null;
}

/** The value where `test` holds, else the other's. */
function sitesOf(cx: Cx, ways: readonly (readonly [Target, () => Value, ts.Node])[]): Site[] {
  const sites: Site[] = [];
  const { epoch } = cx;
  for (const [target, run, node] of ways) {
    if (!target.reached) continue;
    cx.emit(node).at(target.block);
    cx.epoch = epoch;
    cx.dead = false;
    const value = run();
    if (!cx.dead) sites.push({ block: cx.emit(node).current, value, node, epoch: cx.epoch });
  }
  cx.dead = false;
  return sites;
}

function conditional(cx: Cx, node: ts.ConditionalExpression, expected?: MemoryType): Value {
  if (cx.builder === null) {
    const test = asBool(cx, cx.lower.value(cx, node.condition), node.condition);
    return cx.lower.value(cx, test.const ? node.whenTrue : node.whenFalse, expected);
  }
  const [whenTrue, whenFalse] = [cx.target("then", node), cx.target("else", node)];
  lowerCondition(cx, node.condition, whenTrue, whenFalse);
  const sites = sitesOf(cx, [
    [whenTrue, () => branchValue(cx, node.whenTrue, expected), node.whenTrue],
    [whenFalse, () => branchValue(cx, node.whenFalse, expected), node.whenFalse],
  ]);
  return joinSites(cx, sites, expected ? { node, expected } : { node });
}

/** A literal in a branch is written where a struct is expected. */
function branchValue(cx: Cx, node: ts.Expression, expected?: MemoryType): Value {
  return cx.lower.value(cx, node, expected);
}

/** `a ?? b`, and `a || b`, `a && b` as values. */
function choice(cx: Cx, node: ts.BinaryExpression, expected?: MemoryType): Value {
  const kind = node.operatorToken.kind;
  const left = cx.lower.value(cx, node.left, expected);
  if (cx.builder === null) {
    const test = kind === ts.SyntaxKind.QuestionQuestionToken ? presence(cx, left, node) : truth(cx, left, node);
    const keep = kind === ts.SyntaxKind.AmpersandAmpersandToken ? test === false : test !== false;
    return keep ? left : cx.lower.value(cx, node.right, expected);
  }
  if (cx.dead) return left;
  const test =
    kind === ts.SyntaxKind.QuestionQuestionToken ? presence(cx, left, node.left) : truth(cx, left, node.left);
  const [some, none] = [cx.target("some", node), cx.target("none", node)];
  branch(cx, test, [some, none], node);
  const right = (): Value => cx.lower.value(cx, node.right, expected);
  const there = (): Value => (left.kind === "ref" || left.kind === "kernel" ? withoutNull(left) : present(left));
  const and = kind === ts.SyntaxKind.AmpersandAmpersandToken;
  const sites = sitesOf(cx, [
    [some, and ? right : there, node.left],
    [none, and ? (): Value => absentValue(left) : right, node.right],
  ]);
  return joinSites(cx, sites, expected ? { node, expected } : { node });
}

function withoutNull(value: Extract<Value, { kind: "ref" | "kernel" }>): Value {
  if (value.kind === "kernel") return { ...value, nullable: false };
  const { present: _present, ...rest } = value;
  return { ...rest, nullable: false };
}

/** What `a && b` is where a is not true. */
function absentValue(left: Value): Value {
  if (left.kind === "ref" || left.kind === "kernel" || left.kind === "maybe" || left.kind === "map") return NULL;
  if (left.kind === "bool") return constBool(false);
  if (left.kind === "int") return constInt(0n, left.type, left.big);
  return left;
}

function isBoolean(cx: Cx, node: ts.Expression): boolean {
  const { checker } = cx.unit;
  const known = factsOf(checker, node.getSourceFile(), "boolean");
  const before = known.get(node);
  if (before !== undefined) return before;
  const { flags } = checker.getTypeAtLocation(node);
  const found = (flags & (ts.TypeFlags.BooleanLike | ts.TypeFlags.BooleanLiteral)) !== 0;
  known.set(node, found);
  return found;
}

function logical(cx: Cx, node: ts.BinaryExpression, expected?: MemoryType): Value {
  const boolean = node.operatorToken.kind !== ts.SyntaxKind.QuestionQuestionToken && cx.builder !== null;
  if (boolean && isBoolean(cx, node)) return conditionValue(cx, node);
  return choice(cx, node, expected);
}

/** Runs `write` with a way out for what must not be stored. */
function withSkip(cx: Cx, node: ts.Node, write: (skip: () => Target) => Value): Value {
  const skip: { target: Target | null } = { target: null };
  const value = write(() => {
    skip.target ??= cx.target("skip", node);
    return skip.target;
  });
  if (skip.target) {
    const b = cx.emit(node);
    if (!cx.dead) b.jump(skip.target.block);
    cx.dead = false;
    b.at(skip.target.block);
  }
  return value;
}

function assignment(cx: Cx, node: ts.BinaryExpression): Value {
  const left = stripParens(node.left);
  if (ts.isObjectLiteralExpression(left) || ts.isArrayLiteralExpression(left)) {
    const value = cx.lower.value(cx, node.right);
    for (const [target, part] of partsOf(cx, left, value)) {
      withSkip(cx, node, (skip) => {
        writePlace(cx, placeOf(cx, target, skip), part, node);
        return part;
      });
    }
    return value;
  }
  return withSkip(cx, node, (skip) => assign(cx, placeOf(cx, node.left, skip), node.right));
}

/** `[a, b] = ...` and `({ x, y: b } = ...)`: what is assigned, with its value; all is read before any of it is written. */
function partsOf(
  cx: Cx,
  pattern: ts.ObjectLiteralExpression | ts.ArrayLiteralExpression,
  value: Value,
): [ts.Expression, Value][] {
  if (ts.isArrayLiteralExpression(pattern)) {
    return pattern.elements.flatMap((target, at): [ts.Expression, Value][] => {
      if (ts.isOmittedExpression(target)) return [];
      if (ts.isSpreadElement(target)) return cx.refuse(target, "unsupported", ["a rest in an assignment"]);
      return [[target, patternElement(cx, value, at, target)]];
    });
  }
  return pattern.properties.map((property): [ts.Expression, Value] => {
    if (ts.isShorthandPropertyAssignment(property)) {
      return [property.name, member(cx, value, property.name.text, property)];
    }
    if (!ts.isPropertyAssignment(property)) return cx.refuse(property, "unsupported", ["a rest in an assignment"]);
    return [property.initializer, member(cx, value, memberName(cx, property.name), property)];
  });
}

function compound(cx: Cx, node: ts.BinaryExpression, operator: Operator): Value {
  return withSkip(cx, node, (skip) => {
    const place = placeOf(cx, node.left, skip);
    const old = asInt(cx, readPlace(cx, place, node.left), node.left);
    const by = asInt(cx, cx.lower.value(cx, node.right), node.right);
    const value = arithmetic(cx, operator, [old, by], node);
    writePlace(cx, place, value, node);
    return value;
  });
}

/** `a ??= b` and the like: assigns where the test says. */
function logicalAssignment(cx: Cx, node: ts.BinaryExpression): Value {
  const kind = node.operatorToken.kind;
  return withSkip(cx, node, (skip) => {
    const place = placeOf(cx, node.left, skip);
    const old = readPlace(cx, place, node.left);
    const test = kind === ts.SyntaxKind.QuestionQuestionEqualsToken ? presence(cx, old, node) : truth(cx, old, node);
    const [yes, no] = [cx.target("yes", node), cx.target("no", node)];
    branch(cx, test, [yes, no], node);
    const [write, rest] = kind === ts.SyntaxKind.AmpersandAmpersandEqualsToken ? [yes, no] : [no, yes];
    const b = cx.emit(node);
    if (write.reached) {
      b.at(write.block);
      assign(cx, place, node.right);
      b.jump(rest.block);
    }
    b.at(rest.block);
    return readPlace(cx, place, node.left);
  });
}

function step(cx: Cx, node: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression): Value {
  const operator: Operator = node.operator === ts.SyntaxKind.PlusPlusToken ? "+" : "-";
  return withSkip(cx, node, (skip) => {
    const place = placeOf(cx, node.operand, skip);
    const old = asInt(cx, readPlace(cx, place, node.operand), node.operand);
    const value = arithmetic(cx, operator, [old, constInt(1n, null, old.big)], node);
    writePlace(cx, place, value, node);
    return ts.isPrefixUnaryExpression(node) ? value : old;
  });
}

function prefix(cx: Cx, node: ts.PrefixUnaryExpression): Value {
  switch (node.operator) {
    case ts.SyntaxKind.PlusPlusToken:
    case ts.SyntaxKind.MinusMinusToken:
      return step(cx, node);
    case ts.SyntaxKind.ExclamationToken:
      return not(cx, node);
    case ts.SyntaxKind.MinusToken:
      return negative(cx, asInt(cx, cx.lower.value(cx, node.operand), node.operand), node);
    case ts.SyntaxKind.TildeToken:
      return complement(cx, asInt(cx, cx.lower.value(cx, node.operand), node.operand), node);
    default:
      return asInt(cx, cx.lower.value(cx, node.operand), node.operand);
  }
}

function not(cx: Cx, node: ts.PrefixUnaryExpression): Value {
  if (cx.builder === null) {
    const value = asBool(cx, cx.lower.value(cx, node.operand), node.operand);
    return constBool(!value.const);
  }
  return conditionValue(cx, node);
}

/** `2 ** 10`: of constants alone. */
function power(cx: Cx, node: ts.BinaryExpression): Value {
  const [base, by] = [node.left, node.right].map((side) => asInt(cx, cx.lower.value(cx, side), side));
  if (base?.const === undefined || by?.const === undefined || by.const < 0n || by.const > 64n)
    return cx.refuse(node, "notConstant", ["a power"], "x * x is the square; 1 << n is a power of two");
  return constInt(base.const ** by.const, null, base.big);
}

function binary(cx: Cx, node: ts.BinaryExpression, expected?: MemoryType): Value {
  const { kind } = node.operatorToken;
  const operator = OPERATORS.get(kind);
  if (operator) {
    const [left, right] = [cx.lower.value(cx, node.left), cx.lower.value(cx, node.right)];
    if (kind === ts.SyntaxKind.PlusToken && (left.kind === "string" || right.kind === "string"))
      return { kind: "string", text: textPart(cx, left, node.left) + textPart(cx, right, node.right) };
    return arithmetic(cx, operator, [asInt(cx, left, node.left), asInt(cx, right, node.right)], node);
  }
  if (kind === ts.SyntaxKind.AsteriskAsteriskToken) return power(cx, node);
  const comparison = comparisonOf(node);
  if (comparison) return comparisonValue(cx, node, comparison);
  if (kind === ts.SyntaxKind.EqualsToken) return assignment(cx, node);
  const compounded = COMPOUND.get(kind);
  if (compounded) return compound(cx, node, compounded);
  if (LOGICAL_ASSIGNMENT.has(kind)) return logicalAssignment(cx, node);
  switch (kind) {
    case ts.SyntaxKind.AmpersandAmpersandToken:
    case ts.SyntaxKind.BarBarToken:
    case ts.SyntaxKind.QuestionQuestionToken:
      return logical(cx, node, expected);
    case ts.SyntaxKind.CommaToken:
      cx.lower.value(cx, node.left);
      return cx.lower.value(cx, node.right, expected);
    default:
      return cx.refuse(node.operatorToken, "unsupported", [`'${node.operatorToken.getText()}'`]);
  }
}

function listOf(cx: Cx, node: ts.ArrayLiteralExpression): Value {
  const elements: Value[] = [];
  for (const item of node.elements) {
    if (!ts.isSpreadElement(item)) {
      elements.push(cx.lower.value(cx, item));
      continue;
    }
    const value = cx.lower.value(cx, item.expression);
    if (value.kind === "list") elements.push(...value.elements);
    else if (value.kind === "ref" && value.type.kind === "array") {
      for (let at = 0; at < value.type.length; at++) elements.push(elementAt(cx, value, at, item));
    } else cx.refuse(item, "notIterable", [describe(value)]);
  }
  return { kind: "list", elements };
}

function isLayout(type: MemoryType | undefined): type is MemoryType {
  return type !== undefined && (type.kind === "struct" || type.kind === "union" || type.kind === "array");
}

function literal(cx: Cx, node: ts.Expression): Value | null {
  switch (node.kind) {
    case ts.SyntaxKind.NumericLiteral:
      return numeric(cx, node as ts.NumericLiteral);
    case ts.SyntaxKind.BigIntLiteral:
      return constInt(BigInt((node as ts.BigIntLiteral).text.slice(0, -1)), null, true);
    case ts.SyntaxKind.StringLiteral:
    case ts.SyntaxKind.NoSubstitutionTemplateLiteral:
      return { kind: "string", text: (node as ts.StringLiteral).text };
    case ts.SyntaxKind.TrueKeyword:
      return constBool(true);
    case ts.SyntaxKind.FalseKeyword:
      return constBool(false);
    case ts.SyntaxKind.NullKeyword:
      return NULL;
    default:
      return null;
  }
}

function numeric(cx: Cx, node: ts.NumericLiteral): Value {
  const value = Number(node.text);
  if (!Number.isInteger(value)) return cx.refuse(node, "notInteger", [node.getText()]);
  if (!Number.isSafeInteger(value)) return cx.refuse(node, "literalDoesNotFit", [node.getText(), "u32"]);
  return constInt(BigInt(value), null, false);
}

const WRITES = "printk`...` writes values; format(bytes)`...` makes a text of them";

function textPart(cx: Cx, value: Value, node: ts.Expression): string {
  if (value.kind === "string") return value.text;
  if (value.kind === "int" && value.const !== undefined) return String(value.const);
  return cx.refuse(node, "notConstant", ["a part of a string"], WRITES);
}

function template(cx: Cx, node: ts.TemplateExpression): Value {
  const parts = node.templateSpans.map(
    (span) => textPart(cx, cx.lower.value(cx, span.expression), span.expression) + span.literal.text,
  );
  return { kind: "string", text: node.head.text + parts.join("") };
}

export function lowerValue(cx: Cx, node: ts.Expression, expected?: MemoryType): Value {
  const known = literal(cx, node);
  if (known) return known;
  if (ts.isIdentifier(node)) return identifier(cx, node);
  if (ts.isParenthesizedExpression(node) || ts.isSatisfiesExpression(node) || ts.isAsExpression(node)) {
    return cx.lower.value(cx, node.expression, expected);
  }
  if (ts.isNonNullExpression(node)) return asserted(cx, node, expected);
  if (ts.isPropertyAccessExpression(node)) return propertyAccess(cx, node);
  if (ts.isElementAccessExpression(node)) {
    if (ts.isOptionalChain(node)) return optionalChain(cx, node);
    return element(cx, cx.lower.value(cx, node.expression), node.argumentExpression, { asserted: false, node });
  }
  if (ts.isCallExpression(node)) {
    if (ts.isOptionalChain(node)) return optionalChain(cx, node);
    return cx.lower.call(cx, node);
  }
  if (ts.isBinaryExpression(node)) return binary(cx, node, expected);
  if (ts.isPrefixUnaryExpression(node)) return prefix(cx, node);
  if (ts.isPostfixUnaryExpression(node)) return step(cx, node);
  if (ts.isConditionalExpression(node)) return conditional(cx, node, expected);
  return lowerCompound(cx, node, expected);
}

/** `x!`: the author vouches; the verifier has the last word. */
function asserted(cx: Cx, node: ts.NonNullExpression, expected?: MemoryType): Value {
  const inner = stripParens(node.expression);
  if (ts.isElementAccessExpression(inner) && !ts.isOptionalChain(inner)) {
    return element(cx, cx.lower.value(cx, inner.expression), inner.argumentExpression, { asserted: true, node });
  }
  const value = cx.lower.value(cx, node.expression, expected);
  return value.kind === "ref" || value.kind === "kernel" ? withoutNull(value) : present(value);
}

/** `{ ...value }` of a structure is a copy of it, also where no type asks for one: fields that are added keep it from being so. */
function copiedLayout(cx: Cx, node: ts.ObjectLiteralExpression): MemoryType | null {
  const [first, ...rest] = node.properties;
  if (cx.builder === null || !first || !ts.isSpreadAssignment(first)) return null;
  const { type, nullable } = cx.unit.declaredType(cx.unit.checker.getTypeAtLocation(first.expression));
  if (nullable || (type?.kind !== "struct" && type?.kind !== "union")) return null;
  const names = new Set(type.fields.map((field) => field.name));
  return rest.every((one) => namesOf(cx, one).every((name) => names.has(name))) ? type : null;
}

/** Fields that a property of a literal gives. */
function namesOf(cx: Cx, node: ts.ObjectLiteralElementLike): string[] {
  if (!ts.isSpreadAssignment(node)) return [node.name.getText()];
  const { checker } = cx.unit;
  return checker.getPropertiesOfType(checker.getTypeAtLocation(node.expression)).map(({ name }) => name);
}

function lowerCompound(cx: Cx, node: ts.Expression, expected?: MemoryType): Value {
  if (ts.isObjectLiteralExpression(node)) {
    const layout = isLayout(expected) ? expected : copiedLayout(cx, node);
    return layout ? materializeExpression(cx, node, layout) : recordOf(cx, node);
  }
  if (ts.isArrayLiteralExpression(node)) {
    return isLayout(expected) && expected.kind === "array"
      ? materializeExpression(cx, node, expected)
      : listOf(cx, node);
  }
  if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
    return { kind: "function", node, env: cx.env, name: node.name?.text ?? "callback" };
  }
  if (ts.isTemplateExpression(node)) return template(cx, node);
  if (ts.isTaggedTemplateExpression(node)) return printk(cx, node);
  if (ts.isVoidExpression(node)) {
    cx.lower.value(cx, node.expression);
    return UNDEFINED;
  }
  return cx.refuse(node, "unsupported", [excerpt(node)]);
}
