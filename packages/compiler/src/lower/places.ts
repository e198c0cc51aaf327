/**
 * @module
 * Members and elements: of references, objects, lists, types, variables and contexts; read, and assigned.
 */
import ts from "typescript";
import { contextArray, contextField, contextPointer, contextShape, type ContextPointer } from "../contexts.ts";
import { FLOW_KEYS, SOCKET } from "../kernel-structs.ts";
import { alignOf, INTS, sizeOf, type ArrayT, type MemoryType } from "../types.ts";
import {
  constInt,
  describe,
  type ContextField,
  type ContextValue,
  type Place,
  type RefValue,
  type Value,
  type VariableDecl,
} from "../values.ts";
import { Refused } from "../problems.ts";
import { assignBinding, readBinding } from "./bindings.ts";
import { locate, readElement } from "./elements.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { writeExpression, writeValue, stripParens } from "./literals.ts";
import { alignAt, asInt, checkFresh, interior, read, writeScalar } from "./memory.ts";
import { excerpt, type Cx } from "./cx.ts";
import { dynptrMember, isDynptr } from "./dynptr.ts";
import { kernelElement, kernelMember, kernelPlace, loadKernel, storeKernel } from "./kernel.ts";
import { isMapMethod } from "./maps.ts";
import { tableOf } from "./tables.ts";
import { packetLength } from "./packet.ts";

// ---- variables in data sections ----

function isReadOnly(variable: VariableDecl): boolean {
  return variable.section === ".rodata" || variable.section === ".kconfig";
}

/** The memory of a `config` or `global`. */
export function variableRef(cx: Cx, variable: VariableDecl, node: ts.Node): RefValue {
  const ptr = cx.emit(node).data(variable.section, cx.unit.place(variable));
  const array: ArrayT = { kind: "array", name: variable.type.name, element: variable.type, length: 1 };
  const type =
    variable.type.kind === "struct" || variable.type.kind === "union" || variable.type.kind === "array"
      ? variable.type
      : array;
  const readOnly = isReadOnly(variable);
  return { kind: "ref", type, ptr, offset: 0, space: "data", align: alignOf(variable.type), nullable: false, readOnly };
}

// ---- contexts ----

export function readContext(cx: Cx, context: ContextValue, field: ContextField, node: ts.Node): Value {
  const b = cx.emit(node);
  const inst = b.load(context.ptr, { size: field.size, offset: field.offset, space: "ctx" });
  if (field.order === "host") return typed(inst, field.type);
  const bits = field.order === "be16" ? 16 : 32;
  return typed(b.hton(inst, bits), field.type);
}

function writeContext(cx: Cx, place: Extract<Place, { kind: "context" }>, value: Value, node: ts.Node): void {
  const { context, field, name } = place;
  if (!field.writable) cx.refuse(node, "readOnly", [`'${name}' of this context`]);
  const b = cx.emit(node);
  let inst = instOf(cx, coerce(cx, asInt(cx, value, node), field.type, node), field.type, node);
  if (field.order !== "host") inst = b.hton(inst, field.order === "be16" ? 16 : 32);
  b.store(context.ptr, inst, { size: field.size, offset: field.offset, space: "ctx" });
}

function contextMember(cx: Cx, context: ContextValue, name: string, node: ts.Node): Value {
  const field = contextField(context.program, name);
  if (field) return readContext(cx, context, field, node);
  if (name === "length" && contextShape(context.program)?.packet) return packetLength(cx, context, node);
  const pointer = contextPointer(context.program, name);
  if (pointer) return contextReference(cx, context, pointer, node);
  if (contextArray(context.program, name)) return { kind: "contextArray", context, name };
  if (!CONTEXT_METHODS.has(name)) return cx.refuse(node, "noMember", ["this context", name]);
  return { kind: "method", object: context, name };
}

/** A structure that the context points to; a socket may be absent. */
function contextReference(cx: Cx, context: ContextValue, pointer: ContextPointer, node: ts.Node): Value {
  const ptr = cx.emit(node).load(context.ptr, { size: 8, type: "ptr", offset: pointer.offset, space: "ctx" });
  const base = { kind: "ref", ptr, offset: 0, space: "kernel", align: 8 } as const;
  if (pointer.to === "flowKeys") return { ...base, type: FLOW_KEYS, nullable: false };
  return { ...base, type: SOCKET, nullable: true, readOnly: true };
}

const CONTEXT_METHODS: ReadonlySet<string> = new Set(["header", "arg", "read", "metadata"]);

/** The field of `ctx.cb[1]` or `ctx.userIp6[0]`. */
function contextElement(
  cx: Cx,
  array: Extract<Value, { kind: "contextArray" }>,
  index: Value,
  node: ts.Node,
): ContextField {
  const at = asInt(cx, index, node);
  if (at.const === undefined) cx.refuse(node, "notConstant", ["an index of the context"]);
  const field = contextArray(array.context.program, array.name)?.[Number(at.const)];
  return (
    field ??
    cx.refuse(node, "outOfRange", [
      String(at.const),
      String(contextArray(array.context.program, array.name)?.length ?? 0),
    ])
  );
}

// ---- members ----

function typeMember(cx: Cx, type: MemoryType, name: string, node: ts.Node): Value {
  if (name === "size") return constInt(BigInt(sizeOf(type)), null);
  if (name === "align") return constInt(BigInt(alignOf(type)), null);
  if (name === "zero") return { kind: "method", object: { kind: "type", type }, name };
  return cx.refuse(node, "noMember", [`the type ${type.name}`, name]);
}

export function member(cx: Cx, object: Value, name: string, node: ts.Node): Value {
  switch (object.kind) {
    case "ref": {
      if (object.type.kind === "array") {
        if (name === "length") return constInt(BigInt(object.type.length), null);
        return cx.refuse(node, "noMember", [object.type.name, name]);
      }
      if (isDynptr(object)) return dynptrMember(cx, object, name, node);
      const field = object.type.fields.find((one) => one.name === name);
      if (!field) return cx.refuse(node, "noMember", [object.type.name, name]);
      return read(cx, object, field.type, { offset: field.offset, shift: field.shift, node });
    }
    case "record": {
      const binding = object.fields.get(name);
      return binding ? readBinding(cx, binding, node) : { kind: "undefined" };
    }
    case "slice":
      if (name === "length") return typed(object.length, INTS.u32);
      return cx.refuse(node, "noMember", ["a list", name]);
    case "list":
      if (name === "length") return constInt(BigInt(object.elements.length), null);
      return cx.refuse(node, "noMember", ["a list", name]);
    case "string":
      if (name === "length") return constInt(BigInt(object.text.length), null);
      return cx.refuse(node, "noMember", ["a string", name]);
    case "type":
      return typeMember(cx, object.type, name, node);
    case "variable": {
      if (name !== "value") return cx.refuse(node, "noMember", [describe(object), name]);
      return read(cx, variableRef(cx, object.variable, node), object.variable.type, { offset: 0, shift: 0, node });
    }
    case "context":
      return contextMember(cx, object, name, node);
    case "map":
      if (!isMapMethod(object.map.type, name)) return cx.refuse(node, "mapMethod", [object.map.type, name]);
      return { kind: "method", object, name };
    case "kernel":
      return kernelMember(cx, object, name, node);
    case "poison":
      return object;
    default:
      return cx.refuse(node, "noMember", [describe(object), name]);
  }
}

// ---- elements ----

export function element(
  cx: Cx,
  object: Value,
  indexNode: ts.Expression,
  place: { asserted: boolean; node: ts.Node },
): Value {
  const { node } = place;
  if (object.kind === "poison") return object;
  const index = cx.lower.value(cx, indexNode);
  if (index.kind === "string") return member(cx, object, index.text, node);
  if (object.kind === "kernel") return kernelElement(cx, object, index, node);
  if (object.kind === "contextArray")
    return readContext(cx, object.context, contextElement(cx, object, index, node), node);
  const at = asInt(cx, index, indexNode);
  if (object.kind === "list") {
    if (at.const === undefined) return readElement(cx, tableOf(cx, object, node), at, place);
    return object.elements[Number(at.const)] ?? { kind: "undefined" };
  }
  if (object.kind === "ref" && object.type.kind === "struct" && at.const !== undefined)
    return member(cx, object, String(at.const), node);
  if (object.kind !== "ref" || object.type.kind !== "array")
    cx.refuse(node, "noMember", [describe(object), indexNode.getText()]);
  return readElement(cx, object, at, place);
}

// ---- assignment ----

function fieldPlace(cx: Cx, object: RefValue, name: string, node: ts.Expression): Place {
  if (object.type.kind === "array") return cx.refuse(node, "noPlace", [excerpt(node)]);
  const field = object.type.fields.find((one) => one.name === name);
  if (!field) return cx.refuse(node, "noMember", [object.type.name, name]);
  if (object.readOnly) cx.refuse(node, "readOnly", [excerpt(node)]);
  const base = { ...interior(object, { ...object.type }, field.offset), align: alignAt(object.align, field.offset) };
  return { kind: "memory", base, type: field.type, shift: field.shift, node };
}

function memberPlace(cx: Cx, node: ts.PropertyAccessExpression): Place {
  const object = cx.lower.value(cx, node.expression);
  const name = node.name.text;
  if (object.kind === "ref" && object.type.kind !== "array") return fieldPlace(cx, object, name, node);
  if (object.kind === "record") {
    const binding = object.fields.get(name);
    if (!binding) return cx.refuse(node.name, "noMember", ["an object", name]);
    return { kind: "binding", binding, name, set: (next) => object.fields.set(name, next) };
  }
  if (object.kind === "variable" && name === "value") {
    if (isReadOnly(object.variable)) cx.refuse(node, "readOnly", [describe(object)]);
    return { kind: "memory", base: variableRef(cx, object.variable, node), type: object.variable.type, shift: 0, node };
  }
  if (object.kind === "context") {
    const field = contextField(object.program, name);
    if (field) return { kind: "context", context: object, field, name };
  }
  if (object.kind === "kernel") return { kind: "kernel", place: kernelPlace(cx, object, name, node) };
  return cx.refuse(node, "noPlace", [excerpt(node)]);
}

/** An element to assign: a store outside of the array does nothing, so the check jumps over it. */
function elementPlace(cx: Cx, node: ts.ElementAccessExpression, skip: () => ReturnType<Cx["target"]>): Place {
  const object = cx.lower.value(cx, node.expression);
  const index = cx.lower.value(cx, node.argumentExpression);
  if (object.kind === "contextArray") {
    const field = contextElement(cx, object, index, node);
    return { kind: "context", context: object.context, field, name: object.name };
  }
  const name = index.kind === "string" ? index.text : index.kind === "int" ? index.const?.toString() : undefined;
  if (object.kind === "ref" && object.type.kind !== "array" && name !== undefined)
    return fieldPlace(cx, object, name, node);
  if (object.kind !== "ref" || object.type.kind !== "array") return cx.refuse(node, "noPlace", [excerpt(node)]);
  if (object.readOnly) cx.refuse(node, "readOnly", [excerpt(node)]);
  const at = asInt(cx, index, node.argumentExpression);
  const { base, offset, outside } = locate(cx, object, at, { asserted: false, node });
  if (outside) {
    const b = cx.emit(node);
    const inside = b.current;
    b.at(outside.block).jump(skip().block);
    b.at(inside);
  }
  return { kind: "memory", base: { ...base, offset: base.offset + offset }, type: object.type.element, shift: 0, node };
}

export function placeOf(cx: Cx, target: ts.Expression, skip: () => ReturnType<Cx["target"]>): Place {
  const node = stripParens(target);
  if (ts.isIdentifier(node)) {
    const symbol = ts.isShorthandPropertyAssignment(node.parent)
      ? cx.unit.checker.getShorthandAssignmentValueSymbol(node.parent)
      : cx.unit.checker.getSymbolAtLocation(node);
    const binding = symbol ? cx.env.lookup(symbol) : undefined;
    if (!symbol || !binding) return cx.refuse(node, "noPlace", [excerpt(node)]);
    if (binding.kind === "value" && binding.value.kind === "poison") throw new Refused(node.text);
    const { env } = cx;
    return { kind: "binding", binding, name: node.text, set: (next) => env.declare(symbol, next) };
  }
  if (ts.isPropertyAccessExpression(node)) return memberPlace(cx, node);
  if (ts.isElementAccessExpression(node)) return elementPlace(cx, node, skip);
  return cx.refuse(node, "noPlace", [excerpt(node)]);
}

export function readPlace(cx: Cx, place: Place, node: ts.Node): Value {
  if (place.kind === "binding") return readBinding(cx, place.binding, node);
  if (place.kind === "context") return readContext(cx, place.context, place.field, node);
  if (place.kind === "kernel") return loadKernel(cx, place.place, node);
  return read(cx, place.base, place.type, { offset: 0, shift: place.shift, node });
}

export function writePlace(cx: Cx, place: Place, value: Value, node: ts.Node): void {
  if (place.kind === "binding") {
    assignBinding(cx, place.binding, value, { name: place.name, node });
    return;
  }
  if (place.kind === "context") {
    writeContext(cx, place, value, node);
    return;
  }
  if (place.kind === "kernel") {
    storeKernel(cx, place.place, value, node);
    return;
  }
  checkFresh(cx, place.base, place.node);
  if (value.kind === "record" || value.kind === "list") writeValue(cx, place.base, place.type, value, node);
  else writeScalar(cx, place.base, place.type, value, { offset: 0, shift: place.shift, node });
}

/** Assigns an expression; literals are written in place. */
export function assign(cx: Cx, place: Place, expression: ts.Expression): Value {
  const inner = stripParens(expression);
  const literal = ts.isObjectLiteralExpression(inner) || ts.isArrayLiteralExpression(inner);
  if (
    place.kind === "memory" &&
    literal &&
    place.type.kind !== "int" &&
    place.type.kind !== "bits" &&
    place.type.kind !== "bool"
  ) {
    checkFresh(cx, place.base, place.node);
    writeExpression(cx, place.base, place.type, inner);
    return read(cx, place.base, place.type, { offset: 0, shift: 0, node: expression });
  }
  const expected =
    place.kind === "memory"
      ? place.type
      : place.kind === "context"
        ? place.field.type
        : place.kind === "kernel"
          ? undefined
          : place.binding.kind === "int" || place.binding.kind === "memory"
            ? place.binding.type
            : place.binding.kind === "ref"
              ? place.binding.shape.type
              : undefined;
  const value = cx.lower.value(cx, expression, expected);
  if (!cx.dead) writePlace(cx, place, value, expression);
  return value;
}
