/**
 * @module
 * Atomic operations on a field.
 */
import ts from "typescript";
import type { AtomicOp } from "@skep/ir";
import { valueInt } from "../types.ts";
import { UNDEFINED, type Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { asInt, checkFresh } from "./memory.ts";

const OPERATIONS: Readonly<Record<string, AtomicOp>> = {
  atomicAdd: "add",
  atomicAnd: "and",
  atomicOr: "or",
  atomicXor: "xor",
  atomicExchange: "xchg",
  atomicCompareExchange: "cmpxchg",
};

export function isAtomic(name: string): boolean {
  return OPERATIONS[name] !== undefined;
}

export function callAtomic(cx: Cx, name: string, node: ts.CallExpression): Value {
  const operation = OPERATIONS[name];
  const [targetNode, fieldNode, ...rest] = node.arguments;
  if (!operation || !targetNode || !fieldNode) return cx.refuse(node, "notCallableSo", [name]);
  const target = cx.lower.value(cx, targetNode);
  const field = cx.lower.value(cx, fieldNode);
  if (target.kind !== "ref" || target.type.kind === "array") return cx.refuse(targetNode, "wantsMemory", [name]);
  if (field.kind !== "string") return cx.refuse(fieldNode, "notConstant", ["the field of an atomic operation"]);
  const member = target.type.fields.find((one) => one.name === field.text);
  if (!member) return cx.refuse(fieldNode, "unknownField", [target.type.name, field.text]);
  const { type } = member;
  if (type.kind !== "int" || type.bigEndian || type.bits < 32) {
    return cx.refuse(fieldNode, "wantsType", [`a field of type ${type.name}`, "u32, i32, u64 or i64"]);
  }
  checkFresh(cx, target, targetNode);
  const operands = rest.map((one) => {
    const value = coerce(cx, asInt(cx, cx.lower.value(cx, one, type), one), valueInt(type), one);
    return instOf(cx, value, type, one);
  });
  const fetch = !ts.isExpressionStatement(node.parent);
  const inst = cx.emit(node).atomic(operation, target.ptr, operands, {
    size: type.bits === 64 ? 8 : 4,
    offset: target.offset + member.offset,
    space: target.space,
    fetch,
  });
  return inst.type ? typed(inst, type) : UNDEFINED;
}
