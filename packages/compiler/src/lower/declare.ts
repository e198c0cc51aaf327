/**
 * @module
 * Declarations: variables, destructuring, parameters.
 */
import ts from "typescript";
import { describe, UNDEFINED, POISON, type Value } from "../values.ts";
import type { MemoryType } from "../types.ts";
import { variableBinding } from "./bindings.ts";
import type { Cx, DeclaredType } from "./cx.ts";
import { coerce } from "./ints.ts";
import { materialize, materializeExpression, memberName, stripParens } from "./literals.ts";
import { asBool, present } from "./memory.ts";
import { elementAt } from "./elements.ts";
import { member } from "./places.ts";
import { listInMemory } from "./tables.ts";

export function declaredTypeOf(cx: Cx, annotation: ts.TypeNode | undefined): DeclaredType | null {
  return annotation ? cx.unit.declaredType(cx.unit.checker.getTypeFromTypeNode(annotation)) : null;
}

/** The layout of the parameter or field for which `use` stands as an argument. */
function layoutOfUse(cx: Cx, use: ts.Expression): MemoryType | null {
  const type = cx.unit.checker.getContextualType(use);
  if (!type) return null;
  const declared = cx.unit.declaredType(type);
  return declared.kind === "memory" && declared.type ? declared.type : null;
}

/**
 * The layout of an object that was declared without a type: what it is used as says it. Null where uses say nothing, or different
 * things.
 */
function inferLayout(cx: Cx, name: ts.Identifier): MemoryType | null {
  const symbol = cx.unit.checker.getSymbolAtLocation(name);
  const scope = ts.findAncestor(name, (node) => ts.isBlock(node) || ts.isSourceFile(node));
  if (!symbol || !scope) return null;
  let found: MemoryType | null = null;
  let agreed = true;
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && node !== name && node.text === name.text && isUse(node)) {
      if (useSymbol(cx, node) === symbol) {
        const layout = layoutOfUse(cx, node);
        if (layout && found && layout !== found) agreed = false;
        found ??= layout;
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(scope);
  return agreed ? found : null;
}

function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent)) return parent.arguments.includes(node);
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  if (ts.isBinaryExpression(parent))
    return parent.right === node && parent.operatorToken.kind === ts.SyntaxKind.EqualsToken;
  return ts.isReturnStatement(parent) || ts.isShorthandPropertyAssignment(parent);
}

function useSymbol(cx: Cx, node: ts.Identifier): ts.Symbol | undefined {
  if (ts.isShorthandPropertyAssignment(node.parent)) {
    return cx.unit.checker.getShorthandAssignmentValueSymbol(node.parent);
  }
  return cx.unit.checker.getSymbolAtLocation(node);
}

/** A value as its declared type has it. */
export function fitDeclared(cx: Cx, given: Value, declared: DeclaredType | null, node: ts.Node): Value {
  if (given.kind === "poison" || !declared || declared.kind !== "memory" || !declared.type) return given;
  const { type } = declared;
  if (given.kind === "null" || given.kind === "undefined" || (given.kind === "maybe" && declared.nullable))
    return given;
  if (type.kind === "int") {
    const value = present(given);
    if (value.kind !== "int") return cx.refuse(node, "wantsType", [describe(given), type.name]);
    return coerce(cx, value, type, node);
  }
  if (type.kind === "bool") return asBool(cx, given, node);
  if (given.kind === "record" || given.kind === "list") return materialize(cx, given, type, node);
  if (given.kind !== "ref" || given.type !== type) cx.refuse(node, "wantsType", [describe(given), type.name]);
  return given;
}

export function isAssigned(cx: Cx, name: ts.Identifier): boolean {
  const symbol = cx.unit.checker.getSymbolAtLocation(name);
  return symbol !== undefined && cx.unit.assigned.has(symbol);
}

function elementsAssigned(cx: Cx, name: ts.Identifier): boolean {
  const symbol = cx.unit.checker.getSymbolAtLocation(name);
  return symbol !== undefined && cx.unit.assignedElements.has(symbol);
}

/** Gives a name its value: for good, or in a variable where it is assigned later. */
export function declareName(cx: Cx, name: ts.Identifier, value: Value, declared: DeclaredType | null): void {
  if (value.kind === "list" && cx.builder !== null && !isAssigned(cx, name) && elementsAssigned(cx, name)) {
    const memory = listInMemory(cx, value, name);
    if (memory) return cx.declare(name, { kind: "value", value: memory });
  }
  if (value.kind === "poison" || !isAssigned(cx, name)) {
    cx.declare(name, { kind: "value", value });
    return;
  }
  cx.declare(name, variableBinding(cx, name.text, value, name, declared?.type));
}

function declarePattern(cx: Cx, pattern: ts.BindingPattern, value: Value): void {
  pattern.elements.forEach((part, index) => {
    if (ts.isOmittedExpression(part)) return;
    if (part.dotDotDotToken) {
      declareTarget(cx, part.name, restOf(cx, pattern, value, index), null);
      return;
    }
    let item = ts.isObjectBindingPattern(pattern)
      ? member(cx, value, memberName(cx, part.propertyName ?? (part.name as ts.Identifier)), part)
      : patternElement(cx, value, index, part);
    if (item.kind === "undefined" && part.initializer) item = cx.lower.value(cx, part.initializer);
    declareTarget(cx, part.name, item, null);
  });
}

/** What a pattern's names leave: by name, or the elements from there on. */
function restOf(cx: Cx, pattern: ts.BindingPattern, value: Value, index: number): Value {
  if (ts.isArrayBindingPattern(pattern)) {
    if (value.kind === "list") return { kind: "list", elements: value.elements.slice(index) };
    const length = value.kind === "ref" && value.type.kind === "array" ? value.type.length : 0;
    const count = Math.max(0, length - index);
    return {
      kind: "list",
      elements: Array.from({ length: count }, (_, at) => patternElement(cx, value, index + at, pattern)),
    };
  }
  const taken = new Set(
    pattern.elements.slice(0, index).map((part) => memberName(cx, part.propertyName ?? (part.name as ts.Identifier))),
  );
  const names =
    value.kind === "record"
      ? [...value.fields.keys()]
      : value.kind === "ref" && value.type.kind !== "array"
        ? value.type.fields.map((field) => field.name)
        : cx.refuse(pattern, "wantsType", [describe(value), "a struct"]);
  const fields = names
    .filter((name) => !taken.has(name))
    .map((name) => [name, { kind: "value", value: member(cx, value, name, pattern) }] as const);
  return { kind: "record", fields: new Map(fields), node: pattern };
}

export function patternElement(cx: Cx, value: Value, index: number, node: ts.Node): Value {
  if (value.kind === "list") return value.elements[index] ?? UNDEFINED;
  if (value.kind === "ref" && value.type.kind === "array") {
    if (index >= value.type.length) cx.refuse(node, "outOfRange", [String(index), String(value.type.length)]);
    return elementAt(cx, value, index, node);
  }
  if (value.kind === "ref" && value.type.kind === "struct" && value.type.fields.some((one) => one.name === "0"))
    return member(cx, value, String(index), node);
  return cx.refuse(node, "notIterable", [describe(value)]);
}

export function declareTarget(cx: Cx, name: ts.BindingName, value: Value, declared: DeclaredType | null): void {
  if (ts.isIdentifier(name)) declareName(cx, name, value, declared);
  else if (value.kind === "poison") poisonNames(cx, name);
  else declarePattern(cx, name, value);
}

/** What could not be lowered says nothing more where it is used. */
export function poisonNames(cx: Cx, name: ts.BindingName): void {
  if (ts.isIdentifier(name)) {
    cx.declare(name, { kind: "value", value: POISON });
    return;
  }
  for (const part of name.elements) if (!ts.isOmittedExpression(part)) poisonNames(cx, part.name);
}

function initialValue(cx: Cx, node: ts.VariableDeclaration, declared: DeclaredType | null): Value {
  const { initializer } = node;
  if (!initializer) return emptyValue(cx, node, declared);
  const expected = declared?.type;
  const inner = stripParens(initializer);
  if (!expected && ts.isIdentifier(node.name) && ts.isObjectLiteralExpression(inner)) {
    const layout = inferLayout(cx, node.name);
    if (layout) return materializeExpression(cx, initializer, layout);
  }
  return fitDeclared(cx, cx.lower.value(cx, initializer, expected), declared, initializer);
}

/** `let x: u32;`: what it holds before it is set is of no consequence, TypeScript sees to that. */
function emptyValue(cx: Cx, node: ts.VariableDeclaration, declared: DeclaredType | null): Value {
  const type = declared?.type;
  if (type?.kind === "int") return { kind: "int", type, big: type.bits === 64, const: 0n, min: 0n, max: 0n };
  if (type?.kind === "bool") return { kind: "bool", const: false };
  if (type) return { kind: "null" };
  return cx.refuse(node, "unsupported", ["a variable without a type and a value"]);
}

export function declareVariable(cx: Cx, node: ts.VariableDeclaration): void {
  try {
    const declared = declaredTypeOf(cx, node.type);
    declareTarget(cx, node.name, initialValue(cx, node, declared), declared);
  } catch (error) {
    poisonNames(cx, node.name);
    throw error;
  }
}
