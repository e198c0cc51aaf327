/**
 * @module
 * `assert`, and what guards against other kernels.
 */
import type ts from "typescript";
import { INTS } from "../types.ts";
import { constInt, UNDEFINED, type Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { asInt } from "./memory.ts";
import { callKernel } from "./kernel-functions.ts";
import { coerce, instOf } from "./ints.ts";
import { leaveProgram } from "./statements.ts";

/** `assert(condition, verdict)`: the program ends with `verdict` (default 0) where the condition does not hold. */
function assertion(cx: Cx, node: ts.CallExpression): Value {
  const [conditionNode, verdictNode] = node.arguments;
  if (!conditionNode) return cx.refuse(node, "wantsType", ["nothing", "a condition"]);
  const [holds, fails] = [cx.target("holds", node), cx.target("fails", node)];
  cx.lower.condition(cx, conditionNode, holds, fails);
  if (fails.reached) {
    const { epoch } = cx;
    cx.emit(node).at(fails.block);
    leaveProgram(cx, verdictNode ? cx.lower.value(cx, verdictNode) : constInt(0n, null), node);
    cx.epoch = epoch;
  }
  cx.dead = !holds.reached;
  if (holds.reached) cx.emit(node).at(holds.block);
  return UNDEFINED;
}

/** KERNEL_VERSION of linux/version.h, to compare with LINUX_KERNEL_VERSION. */
function kernelVersion(cx: Cx, node: ts.CallExpression): Value {
  const [major = 0n, minor = 0n, patch = 0n] = node.arguments.map((one) => {
    const value = asInt(cx, cx.lower.value(cx, one), one);
    return value.const ?? cx.refuse(one, "notConstant", ["a version"]);
  });
  return constInt((major << 16n) + (minor << 8n) + (patch > 255n ? 255n : patch), INTS.u32);
}

/** `text("eth0", 16)`: the bytes, and zeros behind them. */
function text(cx: Cx, node: ts.CallExpression): Value {
  const [textNode, lengthNode] = node.arguments;
  if (!textNode || !lengthNode) return cx.refuse(node, "notCallableSo", ["text"]);
  const given = cx.lower.value(cx, textNode);
  const length = asInt(cx, cx.lower.value(cx, lengthNode), lengthNode).const;
  if (given.kind !== "string") return cx.refuse(textNode, "notConstant", ["a text"]);
  if (length === undefined) return cx.refuse(lengthNode, "notConstant", ["the length of a text"]);
  const bytes = new TextEncoder().encode(given.text);
  if (BigInt(bytes.length) > length)
    return cx.refuse(textNode, "literalDoesNotFit", [`"${given.text}"`, `${length} bytes`]);
  const elements = Array.from({ length: Number(length) }, (_, at) => constInt(BigInt(bytes[at] ?? 0), INTS.u8));
  return { kind: "list", elements };
}

/** `raise(cookie)`: the program ends at once, also out of functions that it has called (bpf_throw). */
function raise(cx: Cx, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const value = argument ? asInt(cx, cx.lower.value(cx, argument, INTS.u64), argument) : constInt(0n, INTS.u64);
  const cookie = instOf(cx, coerce(cx, value, INTS.u64, argument ?? node), INTS.u64, argument ?? node);
  callKernel(cx, "bpf_throw", [cookie], node);
  return UNDEFINED;
}

/** The program's context, where its function was not given it. */
function currentContext(cx: Cx, node: ts.CallExpression): Value {
  return cx.context ?? cx.refuse(node, "wantsContext", ["currentContext"]);
}

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  assert: assertion,
  kernelVersion,
  text,
  raise,
  currentContext,
};

export function guardBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}
