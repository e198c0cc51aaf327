/**
 * @module
 * Calls of kernel functions that a `.d.ts` of BTF declares.
 */
import type ts from "typescript";
import type { Inst } from "@skep/ir";
import type { BoolT, IntT } from "../types.ts";
import { describe, UNDEFINED, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import type { Cx, KernelFunction } from "./cx.ts";
import { checkLicense } from "./helpers.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { kernelPointer } from "./kernel.ts";
import { asBool, asInt, boolInst } from "./memory.ts";

const MAX_ARGUMENTS = 5;

function argument(cx: Cx, type: IntT | BoolT | "pointer", node: ts.Expression): Inst {
  if (type === "pointer") return pointerArgument(cx, cx.lower.value(cx, node), node);
  if (type.kind === "bool") return boolInst(cx, asBool(cx, cx.lower.value(cx, node), node), node);
  const value = coerce(cx, asInt(cx, cx.lower.value(cx, node, type), node), type, node);
  return instOf(cx, value, type, node);
}

function pointerArgument(cx: Cx, value: Value, node: ts.Node): Inst {
  switch (value.kind) {
    case "kernel":
      if (value.path.length > 0) cx.refuse(node, "wantsType", [describe(value), "a pointer"]);
      return value.ptr;
    case "ref":
      return pointerOf(cx, value, node);
    case "context":
      return value.ptr;
    case "null":
      return cx.emit(node).null();
    case "map":
      return value.inst ?? cx.emit(node).map(value.map.name);
    default:
      return cx.refuse(node, "wantsMemory", [describe(value)]);
  }
}

function result(fn: KernelFunction, inst: Inst, node: ts.Node, cx: Cx): Value {
  const { returns } = fn;
  if (returns === "void") return UNDEFINED;
  if (returns === "pointer") return { kind: "null" };
  if (returns.kind === "int") return typed(inst, returns);
  if (returns.kind === "bool") return { kind: "bool", inst: cx.emit(node).cmp("ne", inst, cx.emit(node).i32(0)) };
  return kernelPointer(inst, returns, { trusted: true, nullable: fn.nullable });
}

function resultType(fn: KernelFunction): "i32" | "i64" | "ptr" | undefined {
  const { returns } = fn;
  if (returns === "void") return undefined;
  if (returns === "pointer" || returns.kind === "struct" || returns.kind === "union") return "ptr";
  return returns.kind === "int" && returns.bits === 64 ? "i64" : "i32";
}

/** The module asks whether the kernel has it. */
export function isOptional(cx: Cx, node: ts.FunctionDeclaration | ts.VariableDeclaration): boolean {
  const symbol = node.name && cx.unit.checker.getSymbolAtLocation(node.name);
  return symbol !== undefined && cx.unit.optional.has(symbol);
}

export function callKfunc(cx: Cx, callee: Extract<Value, { kind: "kfunc" }>, node: ts.CallExpression): Value {
  const fn = cx.unit.kernelFunction(callee.node);
  checkLicense(cx, callee.name, node);
  if (fn.parameters.length > MAX_ARGUMENTS) {
    cx.refuse(node, "tooManyArguments", [callee.name, String(MAX_ARGUMENTS)]);
  }
  if (fn.returns === "pointer") cx.refuse(node, "needsKernelType", [callee.name]);
  const args = fn.parameters.map((type, index) => {
    const given = node.arguments[index];
    return given ? argument(cx, type, given) : cx.refuse(node, "wantsMemory", [callee.name]);
  });
  const type = resultType(fn);
  const inst = cx.emit(node).kfunc(callee.name, args, {
    typeId: fn.typeId,
    weak: isOptional(cx, callee.node),
    ...(type ? { type } : {}),
  });
  return result(fn, inst, node, cx);
}
