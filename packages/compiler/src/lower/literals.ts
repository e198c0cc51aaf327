/**
 * @module
 * Object and array literals: written in place where a layout is known, kept as values by name where it is not.
 */
import ts from "typescript";
import { sizeOf, type ArrayT, type MemoryType, type StructT } from "../types.ts";
import { describe, type Binding, type RecordValue, type RefValue, type Value } from "../values.ts";
import { excerpt, type Cx } from "./cx.ts";
import { alignAt, copyToStack, LiteralWriter, present, read, stackRef, writeScalar } from "./memory.ts";
import { readBinding, variableBinding } from "./bindings.ts";
import { coerce } from "./ints.ts";

export function stripParens(node: ts.Expression): ts.Expression {
  let inner = node;
  while (
    ts.isParenthesizedExpression(inner) ||
    ts.isAsExpression(inner) ||
    ts.isSatisfiesExpression(inner) ||
    ts.isNonNullExpression(inner)
  ) {
    inner = inner.expression;
  }
  return inner;
}

export function memberName(cx: Cx, name: ts.PropertyName): string {
  if (ts.isIdentifier(name) || ts.isStringLiteral(name) || ts.isNumericLiteral(name)) return name.text;
  if (ts.isComputedPropertyName(name)) {
    const value = cx.lower.value(cx, name.expression);
    if (value.kind === "string") return value.text;
    if (value.kind === "int" && value.const !== undefined) return String(value.const);
  }
  return cx.refuse(name, "notConstant", ["a computed name"]);
}

interface Into {
  readonly cx: Cx;
  readonly writer: LiteralWriter;
}

function fieldOf(cx: Cx, type: StructT, name: string, node: ts.Node): StructT["fields"][number] {
  const field = type.fields.find((one) => one.name === name);
  return field ?? cx.refuse(node, "unknownField", [type.name, name]);
}

/** Puts an expression at its place; a literal is taken apart. */
function putExpression(
  into: Into,
  type: MemoryType,
  node: ts.Expression,
  place: { offset: number; shift: number },
): void {
  const inner = stripParens(node);
  if ((type.kind === "struct" || type.kind === "union") && ts.isObjectLiteralExpression(inner)) {
    putObject(into, type, inner, place.offset);
    return;
  }
  if (type.kind === "array" && ts.isArrayLiteralExpression(inner)) {
    putArray(into, type, inner, place.offset);
    return;
  }
  putValue(into, type, into.cx.lower.value(into.cx, node, type), { ...place, node });
}

/** Puts a value at its place; objects and lists without a layout are taken apart. */
function putValue(
  into: Into,
  type: MemoryType,
  given: Value,
  place: { offset: number; shift: number; node: ts.Node },
): void {
  const value = present(given);
  const { cx } = into;
  if (value.kind === "record" && (type.kind === "struct" || type.kind === "union")) {
    putRecord(into, type, value, place);
    return;
  }
  if (value.kind === "list" && type.kind === "array") {
    if (value.elements.length !== type.length) cx.refuse(place.node, "wantsType", [describe(value), type.name]);
    const size = sizeOf(type.element);
    value.elements.forEach((element, at) =>
      putValue(into, type.element, element, { offset: place.offset + at * size, shift: 0, node: place.node }),
    );
    return;
  }
  into.writer.add(type, value, place);
}

function putRecord(into: Into, type: StructT, value: RecordValue, place: { offset: number; node: ts.Node }): void {
  const { cx } = into;
  for (const [name, binding] of value.fields) {
    const field = fieldOf(cx, type, name, place.node);
    const at = { offset: place.offset + field.offset, shift: field.shift, node: place.node };
    putValue(into, field.type, readBinding(cx, binding, place.node), at);
  }
  if (type.kind === "union") return;
  const missing = type.fields.find((field) => !value.fields.has(field.name));
  if (missing) cx.refuse(place.node, "missingField", [type.name, missing.name]);
}

function putArray(into: Into, type: ArrayT, node: ts.ArrayLiteralExpression, offset: number): void {
  const size = sizeOf(type.element);
  const { cx } = into;
  if (node.elements.some((element) => ts.isSpreadElement(element))) {
    putValue(into, type, cx.lower.value(cx, node), { offset, shift: 0, node });
    return;
  }
  if (node.elements.length !== type.length)
    cx.refuse(node, "wantsType", [`a list of ${node.elements.length}`, type.name]);
  node.elements.forEach((element, at) =>
    putExpression(into, type.element, element, { offset: offset + at * size, shift: 0 }),
  );
}

/** `{ ...a, x: 1 }`: what follows is written over the copy. */
function putSpread(into: Into, type: StructT, node: ts.SpreadAssignment, offset: number): ReadonlySet<string> {
  const { cx } = into;
  const value = cx.lower.value(cx, node.expression);
  if (value.kind === "record") {
    for (const [name, binding] of value.fields) {
      const field = fieldOf(cx, type, name, node);
      const at = { offset: offset + field.offset, shift: field.shift, node };
      putValue(into, field.type, readBinding(cx, binding, node), at);
    }
    return new Set(value.fields.keys());
  }
  if (value.kind !== "ref" || value.type !== type) cx.refuse(node, "wantsType", [describe(value), type.name]);
  into.writer.add(type, value, { offset, shift: 0, node });
  return new Set(type.fields.map((field) => field.name));
}

function putObject(into: Into, type: StructT, node: ts.ObjectLiteralExpression, offset: number): void {
  const { cx } = into;
  const given = new Set<string>();
  for (const property of node.properties) {
    if (ts.isSpreadAssignment(property)) {
      for (const name of putSpread(into, type, property, offset)) given.add(name);
      continue;
    }
    if (!ts.isPropertyAssignment(property) && !ts.isShorthandPropertyAssignment(property)) {
      return cx.refuse(property, "unsupported", ["a method in a value"]);
    }
    const name = memberName(cx, property.name);
    const field = fieldOf(cx, type, name, property);
    given.add(name);
    const place = { offset: offset + field.offset, shift: field.shift };
    if (ts.isPropertyAssignment(property)) putExpression(into, field.type, property.initializer, place);
    else putValue(into, field.type, shorthandValue(cx, property), { ...place, node: property.name });
  }
  if (type.kind === "union") return;
  const missing = type.fields.find((field) => !given.has(field.name));
  if (missing) cx.refuse(node, "missingField", [type.name, missing.name]);
}

function shorthandValue(cx: Cx, property: ts.ShorthandPropertyAssignment): Value {
  const symbol = cx.unit.checker.getShorthandAssignmentValueSymbol(property);
  if (!symbol) return cx.refuse(property, "unknownName", [property.name.text]);
  const binding = cx.env.lookup(symbol);
  return binding ? readBinding(cx, binding, property.name) : cx.unit.moduleValue(symbol, property.name);
}

/** Writes an expression into memory; a literal without a copy of its own. */
export function writeExpression(cx: Cx, base: RefValue, type: MemoryType, node: ts.Expression): void {
  const local = { ...base, align: alignAt(base.align, 0) };
  const into: Into = { cx, writer: new LiteralWriter(cx, local) };
  putExpression(into, type, node, { offset: 0, shift: 0 });
  into.writer.finish(sizeOf(type), node);
}

/** Writes a value that may have no layout of its own. */
export function writeValue(cx: Cx, base: RefValue, type: MemoryType, value: Value, node: ts.Node): void {
  if (value.kind !== "record" && value.kind !== "list") {
    writeScalar(cx, base, type, value, { offset: 0, shift: 0, node });
    return;
  }
  const into: Into = { cx, writer: new LiteralWriter(cx, base) };
  putValue(into, type, value, { offset: 0, shift: 0, node });
  into.writer.finish(sizeOf(type), node);
}

/** The value as memory of `type`: itself where it is that already, else written on the stack. */
export function materialize(cx: Cx, given: Value, type: MemoryType, node: ts.Node): RefValue {
  const value = present(given);
  if (value.kind === "ref" && (type.kind === "struct" || type.kind === "union" || type.kind === "array")) {
    if (sizeOf(value.type) !== sizeOf(type)) cx.refuse(node, "wantsType", [describe(value), type.name]);
    // Helpers take no pointers into an arena.
    return value.space === "arena" ? copyToStack(cx, value, node) : value;
  }
  const container: StructT | ArrayT =
    type.kind === "struct" || type.kind === "union" || type.kind === "array"
      ? type
      : { kind: "array", name: type.name, element: type, length: 1 };
  const ref = stackRef(cx, container, node);
  writeValue(cx, ref, type, value, node);
  return ref;
}

/** The same for an expression, whose literals are written in place. */
export function materializeExpression(cx: Cx, node: ts.Expression, type: MemoryType): RefValue {
  const inner = stripParens(node);
  const literal =
    (ts.isObjectLiteralExpression(inner) && (type.kind === "struct" || type.kind === "union")) ||
    (ts.isArrayLiteralExpression(inner) && type.kind === "array");
  if (!literal) return materialize(cx, cx.lower.value(cx, node, type), type, node);
  const ref = stackRef(cx, type as StructT | ArrayT, node);
  writeExpression(cx, ref, type, inner);
  return ref;
}

/** An object literal whose layout nobody has named: its fields live as values. */
export function recordOf(cx: Cx, node: ts.ObjectLiteralExpression): RecordValue {
  const fields = new Map<string, Binding>();
  const context = cx.builder === null ? undefined : cx.unit.checker.getContextualType(node);
  const put = (name: string, given: Value, at: ts.Node): void => {
    const value = context ? asMember(cx, context, { name, value: given, at }) : given;
    const changes = cx.builder !== null && cx.unit.assignedProperties.has(name);
    fields.set(name, changes ? variableBinding(cx, name, value, at) : { kind: "value", value });
  };
  for (const property of node.properties) {
    if (ts.isPropertyAssignment(property)) {
      put(memberName(cx, property.name), cx.lower.value(cx, property.initializer), property);
    } else if (ts.isShorthandPropertyAssignment(property)) {
      put(property.name.text, shorthandValue(cx, property), property);
    } else if (ts.isSpreadAssignment(property)) {
      for (const [name, value] of spreadFields(cx, property)) put(name, value, property);
    } else if (ts.isMethodDeclaration(property)) {
      const name = memberName(cx, property.name);
      put(name, { kind: "function", node: property, env: cx.env, name }, property);
    } else {
      cx.refuse(property, "unsupported", [excerpt(property)]);
    }
  }
  return { kind: "record", fields, node };
}

/** A literal has the type of the member that it is given to. */
function asMember(cx: Cx, context: ts.Type, field: { name: string; value: Value; at: ts.Node }): Value {
  if (field.value.kind !== "int") return field.value;
  const member = cx.unit.checker.getPropertyOfType(context, field.name);
  const declared = member ? cx.unit.declaredType(cx.unit.checker.getTypeOfSymbol(member)) : null;
  return declared?.type?.kind === "int" ? coerce(cx, field.value, declared.type, field.at) : field.value;
}

function spreadFields(cx: Cx, node: ts.SpreadAssignment): [string, Value][] {
  const value = cx.lower.value(cx, node.expression);
  if (value.kind === "record") {
    return [...value.fields].map(([name, binding]) => [name, readBinding(cx, binding, node)]);
  }
  if (value.kind !== "ref" || value.type.kind === "array") cx.refuse(node, "wantsType", [describe(value), "a struct"]);
  const { type } = value;
  return type.fields.map((field) => [
    field.name,
    read(cx, value, field.type, { offset: field.offset, shift: field.shift, node }),
  ]);
}
