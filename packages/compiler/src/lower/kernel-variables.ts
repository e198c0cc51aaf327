/**
 * @module
 * Variables of the kernel that it has once for each CPU, by name and type (`extern ... __ksym` in C), and addresses of its symbols.
 */
import type ts from "typescript";
import type { Inst } from "@skep/ir";
import type { KernelStruct } from "../kernel-types.ts";
import { INTS, sizeOf, type BoolT, type IntT } from "../types.ts";
import { describe, UNDEFINED, type Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { helperId } from "./helpers.ts";
import { typed } from "./ints.ts";
import { isOptional } from "./kfuncs.ts";
import { kernelPointer } from "./kernel.ts";

export type KernelVariable = Extract<Value, { kind: "kernelVariable" }>;

/** What stands for the variable on all CPUs: the helpers turn it into a pointer to one CPU's. */
function symbol(cx: Cx, variable: KernelVariable, node: ts.Node): Inst {
  const { type, name } = variable;
  const typeId = isStructure(type) ? type.typeId : cx.unit.typeId(type);
  return cx.emit(node).ksym(name, { weak: isOptional(cx, variable.node), typeId });
}

function isStructure(type: KernelVariable["type"]): type is KernelStruct {
  return type.kind === "struct" || type.kind === "union";
}

function load(cx: Cx, type: IntT | BoolT, ptr: Inst, node: ts.Node): Inst {
  const size = sizeOf(type) as 1 | 2 | 4 | 8;
  const signed = type.kind === "int" && type.signed;
  return cx.emit(node).load(ptr, { size, signed, space: "kernel", align: size });
}

function valueOf(cx: Cx, type: IntT | BoolT, inst: Inst, node: ts.Node): Value {
  const b = cx.emit(node);
  return type.kind === "int" ? typed(inst, type) : { kind: "bool", inst: b.cmp("ne", inst, b.i32(0)) };
}

/** `thisCpuPtr(variable)`: a structure, or the number that it is. */
export function variableHere(cx: Cx, variable: KernelVariable, node: ts.Node): Value {
  const { type } = variable;
  const ptr = cx.emit(node).helper(helperId("this_cpu_ptr"), [symbol(cx, variable, node)], "ptr");
  if (isStructure(type)) return kernelPointer(ptr, type, { trusted: true, nullable: false });
  return valueOf(cx, type, load(cx, type, ptr, node), node);
}

/** `perCpuPtr(variable, cpu)`: null where there is no such CPU. */
export function variableOn(
  cx: Cx,
  variable: KernelVariable,
  at: { readonly cpu: Inst; readonly node: ts.Node },
): Value {
  const { type, name } = variable;
  const b = cx.emit(at.node);
  const ptr = b.helper(helperId("per_cpu_ptr"), [symbol(cx, variable, at.node), at.cpu], "ptr");
  if (isStructure(type)) return kernelPointer(ptr, type, { trusted: true, nullable: true });
  const wide = sizeOf(type) === 8;
  const local = b.local(name, wide ? "i64" : "i32");
  b.set(local, wide ? b.i64(0) : b.i32(0));
  const [there, join] = [b.block("there"), b.block("read")];
  b.branch("ne", [ptr, b.null()], [there, join]);
  b.at(there).set(local, load(cx, type, ptr, at.node));
  b.jump(join);
  const value = valueOf(cx, type, b.at(join).get(local), at.node);
  return { kind: "maybe", present: { predicate: "ne", a: ptr, b: b.null() }, value };
}

/** `ksymAddress("bpf_link_fops")`: where the running kernel has the symbol; 0 where it has none. */
function symbolAddress(cx: Cx, node: ts.CallExpression): Value {
  const [nameNode] = node.arguments;
  const name = nameNode ? cx.lower.value(cx, nameNode) : UNDEFINED;
  if (name.kind !== "string") return cx.refuse(nameNode ?? node, "notConstant", ["the name of a symbol"]);
  const b = cx.emit(node);
  return typed(b.ptrsub(b.ksym(name.text, { weak: true }), b.null()), INTS.u64);
}

/** Whether the running kernel has a function or variable that a `.d.ts` declares: what uses it may stand behind the check. */
function symbolExists(cx: Cx, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const value = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  const b = cx.emit(node);
  if (value.kind === "kernelVariable") return { kind: "bool", inst: b.cmp("ne", symbol(cx, value, node), b.null()) };
  if (value.kind !== "kfunc") return cx.refuse(argument ?? node, "wantsType", [describe(value), "a kernel function"]);
  const { typeId } = cx.unit.kernelFunction(value.node);
  return { kind: "bool", inst: b.cmp("ne", b.ksym(value.name, { weak: true, typeId }), b.null()) };
}

export function symbolBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  if (name === "kfuncExists") return symbolExists;
  return name === "ksymAddress" ? symbolAddress : null;
}
