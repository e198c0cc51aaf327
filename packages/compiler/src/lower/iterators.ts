/**
 * @module
 * Open-coded iterators of the kernel (bpf_iter_*_new, _next, _destroy) behind `for..of`: an object on the stack, destroyed on every way out.
 */
import type ts from "typescript";
import type { Inst } from "@skep/ir";
import type { KernelStruct } from "../kernel-types.ts";
import { INTS, sizeOf, type IntT, type StructT } from "../types.ts";
import { describe, UNDEFINED, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import type { Cx } from "./cx.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { kernelAddress } from "./kernel-address.ts";
import { kernelPointer } from "./kernel.ts";
import { asInt, stackRef } from "./memory.ts";
import { callKernel } from "./kernel-functions.ts";

export type IteratorValue = Extract<Value, { kind: "iterator" }>;

/** Bytes of `struct bpf_iter_NAME`. */
const SIZES: Readonly<Record<string, number>> = { num: 8, task: 24, css: 24, css_task: 8, task_vma: 8, bits: 16 };

function iteratorType(name: string): StructT {
  return { kind: "struct", name: `bpf_iter_${name}`, fields: [], size: SIZES[name] ?? 8, align: 8 };
}

function integer(cx: Cx, node: ts.Expression | undefined, type: IntT, call: ts.Node): Inst {
  if (!node) return cx.emit(call).const(type === INTS.i32 ? "i32" : "i64", 0);
  return instOf(cx, coerce(cx, asInt(cx, cx.lower.value(cx, node, type), node), type, node), type, node);
}

function pointer(cx: Cx, node: ts.Expression | undefined, call: ts.Node): Inst {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  if (value.kind === "kernel" && value.type.kind === "struct") return kernelAddress(cx, value, node ?? call);
  if (value.kind === "null") return cx.emit(call).null();
  return cx.refuse(node ?? call, "wantsType", [describe(value), "a kernel structure's pointer"]);
}

/** The flag that a text stands for. */
function flag(cx: Cx, node: ts.Expression | undefined, flags: Readonly<Record<string, number>>, call: ts.Node): Inst {
  const value = node ? cx.lower.value(cx, node) : { kind: "string" as const, text: Object.keys(flags)[0] ?? "" };
  const number = value.kind === "string" ? flags[value.text] : undefined;
  if (number === undefined) return cx.refuse(node ?? call, "notConstant", ["what is iterated"]);
  return cx.emit(call).i32(number);
}

function element(cx: Cx, node: ts.CallExpression): KernelStruct {
  const [argument] = node.typeArguments ?? [];
  const struct = argument ? cx.unit.kernel.structOf(cx.unit.checker.getTypeFromTypeNode(argument)) : null;
  return struct ?? cx.refuse(node, "needsKernelType", [node.expression.getText()]);
}

/** Pointers that the verifier trusts. */
function structs(cx: Cx, name: string, args: readonly Inst[], node: ts.CallExpression): Value {
  const struct = element(cx, node);
  const item = (_inner: Cx, ptr: Inst): Value => kernelPointer(ptr, struct, { trusted: true, nullable: false });
  return { kind: "iterator", name, args, item };
}

function integers(name: string, args: readonly Inst[], range: { min: bigint; max: bigint }): Value {
  const item = (inner: Cx, ptr: Inst, node: ts.Node): Value => {
    const loaded = inner.emit(node).load(ptr, { size: 4, signed: true, space: "unknown" });
    return typed(loaded, INTS.i32, { ...range, soft: true });
  };
  return { kind: "iterator", name, args, item };
}

const TASKS = { processes: 0, threads: 1 } as const;
const CSS = { descendants_pre: 2, descendants_post: 3, ancestors_up: 4 } as const;
const CSS_TASKS = { threads: 0, processes: 1 } as const;
const THREADS_OF = 2;

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  numbers: (cx, node) => {
    const [from, to] = node.arguments;
    const args = [integer(cx, from, INTS.i32, node), integer(cx, to, INTS.i32, node)];
    const bounds = [from, to].map((one) => (one ? asInt(cx, cx.lower.value(cx, one, INTS.i32), one) : null));
    const max = bounds[1] ? bounds[1].max : 0n;
    return integers("num", args, { min: bounds[0]?.min ?? 0n, max });
  },
  tasks: (cx, node) => structs(cx, "task", [cx.emit(node).null(), flag(cx, node.arguments[0], TASKS, node)], node),
  threadsOf: (cx, node) =>
    structs(cx, "task", [pointer(cx, node.arguments[0], node), cx.emit(node).i32(THREADS_OF)], node),
  cgroupsOf: (cx, node) =>
    structs(cx, "css", [pointer(cx, node.arguments[0], node), flag(cx, node.arguments[1], CSS, node)], node),
  tasksOf: (cx, node) =>
    structs(cx, "css_task", [pointer(cx, node.arguments[0], node), flag(cx, node.arguments[1], CSS_TASKS, node)], node),
  areasOf: (cx, node) =>
    structs(
      cx,
      "task_vma",
      [pointer(cx, node.arguments[0], node), integer(cx, node.arguments[1], INTS.u64, node)],
      node,
    ),
  setBits: (cx, node) => {
    const [words] = node.arguments;
    const value = words ? cx.lower.value(cx, words) : UNDEFINED;
    if (value.kind !== "ref" || sizeOf(value.type) % 8 !== 0) return cx.refuse(node, "wantsMemory", ["setBits"]);
    const count = sizeOf(value.type) / 8;
    const args = [pointerOf(cx, value, node), cx.emit(node).i32(count)];
    return integers("bits", args, { min: 0n, max: BigInt(count) * 64n - 1n });
  },
};

export function iteratorBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}

/** The object behind the iteration, and its three functions. */
export function startIteration(
  cx: Cx,
  iterator: IteratorValue,
  node: ts.Node,
): { next: () => Inst; destroy: (inner: Cx) => void } {
  const object = stackRef(cx, iteratorType(iterator.name), node);
  const kfunc = (action: string): string => `bpf_iter_${iterator.name}_${action}`;
  callKernel(cx, kfunc("new"), [object.ptr, ...iterator.args], node);
  return {
    next: () => callKernel(cx, kfunc("next"), [object.ptr], node),
    destroy: (inner) => void callKernel(inner, kfunc("destroy"), [object.ptr], node),
  };
}
