/**
 * @module
 * Objects that a program allocates (bpf_obj_new), and where they are kept: pointers in map values, lists, red-black trees, counted references,
 * objects per CPU.
 */
import type ts from "typescript";
import type { Inst } from "@skep/ir";
import { PROGRAM_KINDS } from "@skep/bpf";
import { percpuOf } from "../object-fields.ts";
import { INTS, type Field, type KptrT, type StructT } from "../types.ts";
import { describe, UNDEFINED, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import { withCallback, type CallbackParameter } from "./callbacks.ts";
import { excerpt, type Cx } from "./cx.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { RELOCATION } from "./kernel-address.ts";
import { callKernel } from "./kernel-functions.ts";
import { variableHere, variableOn, type KernelVariable } from "./kernel-variables.ts";
import { asInt, kptrTarget } from "./memory.ts";

// ---- who may ----

/** Program types that the kernel's generic functions are registered for (kfunc_init in kernel/bpf/helpers.c). */
const ALLOCATING = new Set(["sched_cls", "xdp", "struct_ops", "tracing", "tracepoint", "raw_tracepoint", "perf_event"]);
const ALSO = new Set(["raw_tracepoint_writable", "lsm", "syscall", "cgroup_skb", "ext"]);

function checkProgram(cx: Cx, name: string, node: ts.Node): void {
  const type = PROGRAM_KINDS[cx.program]?.type;
  if (type === undefined || ALLOCATING.has(type) || ALSO.has(type)) return;
  cx.refuse(node, "wrongProgram", [name, type, [...ALLOCATING, ...ALSO].sort().join(", ")]);
}

// ---- arguments ----

function valueOf(cx: Cx, node: ts.Expression | undefined): Value {
  return node ? cx.lower.value(cx, node) : UNDEFINED;
}

function structArgument(cx: Cx, node: ts.CallExpression): StructT {
  const [first] = node.arguments;
  const value = valueOf(cx, first);
  if (value.kind === "type" && value.type.kind === "struct") return value.type;
  return cx.refuse(first ?? node, "wantsType", [describe(value), "a struct"]);
}

/** An allocated object that is there. */
function objectArgument(cx: Cx, node: ts.Expression | undefined, call: ts.Node): RefValue & { type: StructT } {
  const value = valueOf(cx, node);
  const isObject = value.kind === "ref" && value.space === "kernel" && value.type.kind !== "array" && !value.readOnly;
  if (!isObject) return cx.refuse(node ?? call, "wantsType", [describe(value), "an object of objNew()"]);
  if (value.nullable) return cx.refuse(node ?? call, "mayBeNull", [excerpt(node ?? call)]);
  return { ...value, type: value.type as StructT };
}

/** The object at a pointer to it, or to its node of a list or tree. */
function object(type: StructT, ptr: Inst, options: { node?: Field; cx: Cx; at: ts.Node; there?: boolean }): RefValue {
  const offset = -(options.node?.offset ?? 0);
  const base = { kind: "ref", type, ptr, offset, space: "kernel", align: 8 } as const;
  if (options.there) return { ...base, nullable: false };
  return { ...base, nullable: true, present: { predicate: "ne", a: ptr, b: options.cx.emit(options.at).null() } };
}

// ---- objects ----

function allocate(kfunc: string, percpu: boolean): (cx: Cx, node: ts.CallExpression) => Value {
  return (cx, node) => {
    checkProgram(cx, node.expression.getText(), node);
    const type = structArgument(cx, node);
    const b = cx.emit(node);
    // The number of the type in the program's own BTF, which linking may change.
    const id = b.core(RELOCATION.typeIdLocal, { typeId: cx.unit.typeId(type), access: "0", local: 0n });
    const ptr = callKernel(cx, kfunc, [id, b.null()], node);
    return object(percpu ? percpuOf(type) : type, ptr, { cx, at: node });
  };
}

function drop(cx: Cx, node: ts.CallExpression): Value {
  const given = objectArgument(cx, node.arguments[0], node);
  const kfunc = given.type.percpu ? "bpf_percpu_obj_drop_impl" : "bpf_obj_drop_impl";
  callKernel(cx, kfunc, [pointerOf(cx, given, node), cx.emit(node).null()], node);
  return UNDEFINED;
}

function acquire(cx: Cx, node: ts.CallExpression): Value {
  const given = objectArgument(cx, node.arguments[0], node);
  if (!given.type.fields.some((field) => field.type.name === "bpf_refcount")) {
    return cx.refuse(node, "wantsNode", [given.type.name, "a field", "Refcount"]);
  }
  const args = [pointerOf(cx, given, node), cx.emit(node).null()];
  const ptr = callKernel(cx, "bpf_refcount_acquire_impl", args, node);
  return object(given.type, ptr, { cx, at: node });
}

// ---- pointers in memory ----

/** The pointer that goes into a field: owned, and handed over. */
function pointerInst(cx: Cx, type: KptrT, value: Value, node: ts.Node): Inst {
  if (value.kind === "null") return cx.emit(node).null();
  if (value.kind === "kernel" && value.root === type.kernel && value.path.length === 0) return value.ptr;
  if (value.kind === "ref" && value.type === type.to && value.space === "kernel") return pointerOf(cx, value, node);
  return cx.refuse(node, "wantsType", [describe(value), type.name]);
}

/** `kptrXchg(value, "field", pointer)`: gives what was there. */
function exchange(cx: Cx, node: ts.CallExpression): Value {
  const [targetNode, fieldNode, pointerNode] = node.arguments;
  checkHelper(cx, "kptrXchg", "kptr_xchg", node);
  const target = valueOf(cx, targetNode);
  const name = valueOf(cx, fieldNode);
  if (target.kind !== "ref" || target.type.kind === "array")
    return cx.refuse(targetNode ?? node, "wantsMemory", ["kptrXchg"]);
  if (target.nullable) return cx.refuse(targetNode ?? node, "mayBeNull", [excerpt(targetNode ?? node)]);
  if (name.kind !== "string") return cx.refuse(fieldNode ?? node, "notConstant", ["the field of a pointer"]);
  const field = target.type.fields.find((one) => one.name === name.text);
  if (!field) return cx.refuse(fieldNode ?? node, "unknownField", [target.type.name, name.text]);
  const { type } = field;
  if (type.kind !== "kptr" || type.tag === "kptr_untrusted")
    return cx.refuse(fieldNode ?? node, "wantsType", [`a field of type ${type.name}`, "kptr"]);
  const inst = pointerInst(cx, type, valueOf(cx, pointerNode), pointerNode ?? node);
  const place = pointerOf(cx, { ...target, offset: target.offset + field.offset }, node);
  return kptrTarget(type, cx.emit(node).helper(helperId("kptr_xchg"), [place, inst], "ptr"));
}

// ---- objects per CPU ----

function percpuArgument(cx: Cx, node: ts.CallExpression): { ptr: Inst; result: (ptr: Inst, there: boolean) => Value } {
  const given = objectArgument(cx, node.arguments[0], node);
  const { percpu } = given.type;
  if (!percpu) return cx.refuse(node, "wantsType", [describe(given), "an object of percpuObjNew()"]);
  const result = (ptr: Inst, there: boolean): Value => object(percpu, ptr, { cx, at: node, there });
  return { ptr: pointerOf(cx, given, node), result };
}

function cpuArgument(cx: Cx, node: ts.CallExpression): Inst {
  const [, cpuNode] = node.arguments;
  if (!cpuNode) return cx.refuse(node, "wantsInteger", ["perCpuPtr()"]);
  const cpu = coerce(cx, asInt(cx, cx.lower.value(cx, cpuNode, INTS.u32), cpuNode), INTS.u32, cpuNode);
  return instOf(cx, cpu, INTS.u32, cpuNode);
}

/** The kernel's own variable that the call names, if it is one. */
function variableArgument(cx: Cx, node: ts.CallExpression): KernelVariable | null {
  const value = valueOf(cx, node.arguments[0]);
  return value.kind === "kernelVariable" ? value : null;
}

function thisCpu(cx: Cx, node: ts.CallExpression): Value {
  checkHelper(cx, "thisCpuPtr", "this_cpu_ptr", node);
  const variable = variableArgument(cx, node);
  if (variable) return variableHere(cx, variable, node);
  const { ptr, result } = percpuArgument(cx, node);
  return result(cx.emit(node).helper(helperId("this_cpu_ptr"), [ptr], "ptr"), true);
}

function onCpu(cx: Cx, node: ts.CallExpression): Value {
  checkHelper(cx, "perCpuPtr", "per_cpu_ptr", node);
  const variable = variableArgument(cx, node);
  if (variable) return variableOn(cx, variable, { cpu: cpuArgument(cx, node), node });
  const { ptr, result } = percpuArgument(cx, node);
  return result(cx.emit(node).helper(helperId("per_cpu_ptr"), [ptr, cpuArgument(cx, node)], "ptr"), false);
}

// ---- lists and trees ----

interface Graph {
  readonly ptr: Inst;
  readonly element: StructT;
  readonly node: Field;
}

/** The head or root that a call names first. */
function graphArgument(cx: Cx, kernelName: string, node: ts.CallExpression): Graph {
  const [first] = node.arguments;
  const value = valueOf(cx, first);
  if (value.kind !== "ref" || value.type.kind === "array" || value.type.name !== kernelName || !value.type.graph) {
    return cx.refuse(first ?? node, "wantsType", [
      describe(value),
      kernelName === "bpf_rb_root" ? "rbRoot" : "listHead",
    ]);
  }
  return { ptr: pointerOf(cx, value, node), ...value.type.graph };
}

/** The node of an object of the graph's type. */
function nodeArgument(cx: Cx, graph: Graph, at: ts.Expression | undefined, call: ts.Node): Inst {
  const given = objectArgument(cx, at, call);
  if (given.type !== graph.element) return cx.refuse(at ?? call, "wantsType", [describe(given), graph.element.name]);
  return pointerOf(cx, { ...given, offset: given.offset + graph.node.offset }, call);
}

type Builtin = (cx: Cx, node: ts.CallExpression) => Value;

/** A function that gives an object of the list or tree, or null. */
function giving(kernelName: string, kfunc: string, takesNode = false): Builtin {
  return (cx, node) => {
    checkProgram(cx, node.expression.getText(), node);
    const graph = graphArgument(cx, kernelName, node);
    const args = takesNode ? [graph.ptr, nodeArgument(cx, graph, node.arguments[1], node)] : [graph.ptr];
    const ptr = callKernel(cx, kfunc, args, node);
    return object(graph.element, ptr, { node: graph.node, cx, at: node });
  };
}

function push(kfunc: string): Builtin {
  return (cx, node) => {
    checkProgram(cx, node.expression.getText(), node);
    const graph = graphArgument(cx, "bpf_list_head", node);
    const b = cx.emit(node);
    const args = [graph.ptr, nodeArgument(cx, graph, node.arguments[1], node), b.null(), b.i64(0)];
    return typed(callKernel(cx, kfunc, args, node), INTS.i32);
  };
}

const NODES: readonly CallbackParameter[] = ["a", "b"].map((name) => ({
  name,
  type: "ptr",
  shape: { pointer: "bpf_rb_node" },
}));

/** `rbtreeAdd(root, object, (a, b) => a.key < b.key)`. */
function treeAdd(cx: Cx, node: ts.CallExpression): Value {
  checkProgram(cx, "rbtreeAdd", node);
  const graph = graphArgument(cx, "bpf_rb_root", node);
  const added = nodeArgument(cx, graph, node.arguments[1], node);
  const less = valueOf(cx, node.arguments[2]);
  if (less.kind !== "function") return cx.refuse(node.arguments[2] ?? node, "notCallable", [describe(less)]);
  return withCallback(
    cx,
    less,
    {
      parameters: NODES,
      captures: null,
      capturesProblem: "capturesNothing",
      bind: (inner, params) =>
        params.map((ptr) => object(graph.element, ptr, { node: graph.node, cx: inner, at: node, there: true })),
      call: (outer, callback) => {
        const b = outer.emit(node);
        const args = [graph.ptr, added, callback, b.null(), b.i64(0)];
        return typed(callKernel(outer, "bpf_rbtree_add_impl", args, node), INTS.i32);
      },
    },
    node,
  );
}

// ---- work queues and resilient locks ----

function special(cx: Cx, kernelName: string, shown: string, node: ts.CallExpression): Inst {
  const [first] = node.arguments;
  const value = valueOf(cx, first);
  if (value.kind === "ref" && value.type.name === kernelName) return pointerOf(cx, value, node);
  return cx.refuse(first ?? node, "wantsType", [describe(value), shown]);
}

const queueOf = (cx: Cx, node: ts.CallExpression): Inst => special(cx, "bpf_wq", "WorkQueue", node);
const lockOf = (cx: Cx, node: ts.CallExpression): Inst => special(cx, "bpf_res_spin_lock", "ResSpinLock", node);

const BUILTINS: Readonly<Record<string, Builtin>> = {
  objNew: allocate("bpf_obj_new_impl", false),
  objDrop: drop,
  percpuObjNew: allocate("bpf_percpu_obj_new_impl", true),
  percpuObjDrop: drop,
  refcountAcquire: acquire,
  kptrXchg: exchange,
  thisCpuPtr: thisCpu,
  perCpuPtr: onCpu,
  listPushFront: push("bpf_list_push_front_impl"),
  listPushBack: push("bpf_list_push_back_impl"),
  listPopFront: giving("bpf_list_head", "bpf_list_pop_front"),
  listPopBack: giving("bpf_list_head", "bpf_list_pop_back"),
  listFront: giving("bpf_list_head", "bpf_list_front"),
  listBack: giving("bpf_list_head", "bpf_list_back"),
  rbtreeAdd: treeAdd,
  rbtreeRemove: giving("bpf_rb_root", "bpf_rbtree_remove", true),
  rbtreeFirst: giving("bpf_rb_root", "bpf_rbtree_first"),
  rbtreeRoot: giving("bpf_rb_root", "bpf_rbtree_root"),
  rbtreeLeft: giving("bpf_rb_root", "bpf_rbtree_left", true),
  rbtreeRight: giving("bpf_rb_root", "bpf_rbtree_right", true),
  wqStart: (cx, node) =>
    typed(callKernel(cx, "bpf_wq_start", [queueOf(cx, node), cx.emit(node).i32(0)], node), INTS.i32),
  resSpinLock: (cx, node) => typed(callKernel(cx, "bpf_res_spin_lock", [lockOf(cx, node)], node), INTS.i32),
  resSpinUnlock: (cx, node) => {
    callKernel(cx, "bpf_res_spin_unlock", [lockOf(cx, node)], node);
    return UNDEFINED;
  },
};

export function objectBuiltin(name: string): Builtin | null {
  return BUILTINS[name] ?? null;
}
