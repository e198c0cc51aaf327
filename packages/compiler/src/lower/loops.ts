/**
 * @module
 * Helpers that call back: bpf_loop, bpf_for_each_map_elem, timers.
 */
import type ts from "typescript";
import type { FunctionBuilder, Inst } from "@skep/ir";
import { DYNPTR } from "../kernel-structs.ts";
import { cellType, INTS, type ArrayT, type MemoryType, type StructT } from "../types.ts";
import { describe, UNDEFINED, type FunctionValue, type MapValue, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import { withCallback, type CallbackParameter } from "./callbacks.ts";
import { excerpt, type Cx } from "./cx.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { kernelPointer } from "./kernel.ts";
import { callKernel } from "./kernel-functions.ts";
import { mapInst } from "./maps.ts";
import { asInt, read } from "./memory.ts";

function closure(cx: Cx, node: ts.Expression | undefined, call: ts.Node): FunctionValue {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  return value.kind === "function" ? value : cx.refuse(node ?? call, "notCallable", [describe(value)]);
}

const INDEX: CallbackParameter = { name: "index", type: "i64", shape: INTS.u64 };
const CONTEXT: CallbackParameter = { name: "captures", type: "ptr", shape: { pointer: "void" } };
const pointer = (name: string): CallbackParameter => ({ name, type: "ptr", shape: { pointer: "void" } });

/** BPF_MAX_LOOPS. */
const MAX_LOOPS = 8n << 20n;

/**
 * A loop that the kernel knows to have no rounds is one whose callback it never looks at, and then has no program for (jit_subprogs in
 * kernel/bpf/verifier.c): it must not be called.
 */
function unlessZero(b: FunctionBuilder, count: Inst, run: () => Inst): Inst {
  const result = b.local("rounds", "i64");
  const [some, after] = [b.block("some"), b.block("after")];
  b.set(result, b.i64(0));
  b.branch("ne", [count, b.i32(0)], [some, after]);
  b.at(some);
  b.set(result, run());
  b.jump(after);
  return b.at(after).get(result);
}

/** `loop(times, (index) => ...)`: how often the body ran. */
function loop(cx: Cx, node: ts.CallExpression): Value {
  const [timesNode, bodyNode] = node.arguments;
  if (!timesNode) return cx.refuse(node, "wantsInteger", ["loop()"]);
  const times = coerce(cx, asInt(cx, cx.lower.value(cx, timesNode, INTS.u32), timesNode), INTS.u32, timesNode);
  const body = closure(cx, bodyNode, node);
  return withCallback(
    cx,
    body,
    {
      parameters: [INDEX, CONTEXT],
      captures: 1,
      bind: (inner, params) => {
        const b = inner.emit(node);
        const index = params[0] as Inst;
        const max = times.max < MAX_LOOPS ? times.max : MAX_LOOPS;
        return [typed(b.trunc(index), INTS.u32, { min: 0n, max: max > 0n ? max - 1n : 0n, soft: true })];
      },
      call: (outer, callback, context) => {
        const b = outer.emit(node);
        const count = instOf(outer, times, INTS.u32, timesNode);
        const run = (): Inst => b.helper(helperId("loop"), [count, callback, context, b.i64(0)], "i64");
        const result = times.min > 0n ? run() : unlessZero(b, count, run);
        return typed(result, INTS.i64, { min: -(1n << 31n), max: MAX_LOOPS, soft: true });
      },
    },
    node,
  );
}

const isAggregate = (type: MemoryType): type is StructT | ArrayT =>
  type.kind === "struct" || type.kind === "union" || type.kind === "array";

/** A key or a value as the callback gets it: a reference, or an integer that is read. */
function received(cx: Cx, ptr: Inst, type: MemoryType | null, node: ts.Node): Value {
  if (!type) return UNDEFINED;
  const container = isAggregate(type) ? type : cellType(type);
  const ref: RefValue = { kind: "ref", type: container, ptr, offset: 0, space: "map", align: 8, nullable: false };
  return isAggregate(type) ? ref : read(cx, ref, type, { offset: 0, shift: 0, node });
}

/** `map.forEach((key, value) => ...)`: how many elements it went over. */
export function forEachElement(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const body = closure(cx, node.arguments[0], node);
  return withCallback(
    cx,
    body,
    {
      parameters: [pointer("map"), pointer("key"), pointer("value"), CONTEXT],
      captures: 3,
      bind: (inner, params) => [
        received(inner, params[1] as Inst, map.map.key, node),
        received(inner, params[2] as Inst, map.map.value, node),
      ],
      call: (outer, callback, context) => {
        const b = outer.emit(node);
        const args = [mapInst(outer, map, node), callback, context, b.i64(0)];
        return typed(b.helper(helperId("for_each_map_elem"), args, "i64"), INTS.i64);
      },
    },
    node,
  );
}

/** `ring.drain((record) => ...)`: how many records user space had sent. */
export function drainRing(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const body = closure(cx, node.arguments[0], node);
  return withCallback(
    cx,
    body,
    {
      parameters: [pointer("record"), CONTEXT],
      captures: 1,
      bind: (_inner, params) => [
        { kind: "ref", type: DYNPTR, ptr: params[0] as Inst, offset: 0, space: "unknown", align: 8, nullable: false },
      ],
      call: (outer, callback, context) => {
        const b = outer.emit(node);
        const args = [mapInst(outer, map, node), callback, context, b.i64(0)];
        return typed(b.helper(helperId("user_ringbuf_drain"), args, "i64"), INTS.i64);
      },
    },
    node,
  );
}

/** `findArea(task, address, (task, area) => ...)`: 0, or -ENOENT where nothing is mapped there. */
function findArea(cx: Cx, node: ts.CallExpression): Value {
  const [taskNode, addressNode, bodyNode] = node.arguments;
  const body = closure(cx, bodyNode, node);
  const task = taskNode ? cx.lower.value(cx, taskNode) : UNDEFINED;
  const [argument] = node.typeArguments ?? [];
  const area = argument ? cx.unit.kernel.structOf(cx.unit.checker.getTypeFromTypeNode(argument)) : null;
  if (!area) return cx.refuse(node, "needsKernelType", ["findArea"]);
  if (task.kind !== "kernel" || !addressNode) return cx.refuse(node, "wantsType", [describe(task), "a task"]);
  const address = coerce(cx, asInt(cx, cx.lower.value(cx, addressNode, INTS.u64), addressNode), INTS.u64, addressNode);
  return withCallback(
    cx,
    body,
    {
      parameters: [pointer("task"), pointer("area"), CONTEXT],
      captures: 2,
      bind: (_inner, params) => [
        kernelPointer(params[0] as Inst, task.root, { trusted: true, nullable: false }),
        kernelPointer(params[1] as Inst, area, { trusted: true, nullable: false }),
      ],
      call: (outer, callback, context) => {
        const b = outer.emit(node);
        const args = [task.ptr, instOf(outer, address, INTS.u64, addressNode), callback, context, b.i64(0)];
        return typed(b.helper(helperId("find_vma"), args, "i64"), INTS.i64);
      },
    },
    node,
  );
}

// ---- timers ----

function timerOf(cx: Cx, node: ts.Expression | undefined, call: ts.Node): RefValue {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  if (value.kind === "ref" && value.type.name === "bpf_timer") return value;
  return cx.refuse(node ?? call, "wantsType", [describe(value), "Timer"]);
}

function mapOf(cx: Cx, node: ts.Expression | undefined, call: ts.Node): MapValue {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  return value.kind === "map" ? value : cx.refuse(node ?? call, "wantsType", [describe(value), "a map"]);
}

function timerInit(cx: Cx, node: ts.CallExpression): Value {
  const [timerNode, mapNode, clockNode] = node.arguments;
  checkHelper(cx, "timerInit", "timer_init", node);
  const timer = timerOf(cx, timerNode, node);
  const map = mapOf(cx, mapNode, node);
  const b = cx.emit(node);
  const clock = clockNode ? asInt(cx, cx.lower.value(cx, clockNode), clockNode) : null;
  const flags = clock ? instOf(cx, coerce(cx, clock, INTS.u64, node), INTS.u64, node) : b.i64(1);
  return typed(
    b.helper(helperId("timer_init"), [pointerOf(cx, timer, node), mapInst(cx, map, node), flags], "i64"),
    INTS.i64,
  );
}

/** The callback runs later: it gets the map's key and value, and captures nothing. */
function timerSetCallback(cx: Cx, node: ts.CallExpression): Value {
  const [timerNode, mapNode, bodyNode] = node.arguments;
  const timer = timerOf(cx, timerNode, node);
  const { map } = mapOf(cx, mapNode, node);
  const body = closure(cx, bodyNode, node);
  return withCallback(
    cx,
    body,
    {
      parameters: [pointer("map"), pointer("key"), pointer("value")],
      captures: null,
      bind: (inner, params) => [
        received(inner, params[1] as Inst, map.key, node),
        received(inner, params[2] as Inst, map.value, node),
      ],
      call: (outer, callback) => {
        const b = outer.emit(node);
        return typed(
          b.helper(helperId("timer_set_callback"), [pointerOf(outer, timer, node), callback], "i64"),
          INTS.i64,
        );
      },
    },
    node,
  );
}

/** A work queue's place in a map's value. */
function queueOf(cx: Cx, node: ts.Expression | undefined, call: ts.Node): RefValue {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  if (value.kind === "ref" && value.type.name === "bpf_wq") return value;
  return cx.refuse(node ?? call, "wantsType", [describe(value), "WorkQueue"]);
}

function wqInit(cx: Cx, node: ts.CallExpression): Value {
  const queue = queueOf(cx, node.arguments[0], node);
  const map = mapOf(cx, node.arguments[1], node);
  const args = [pointerOf(cx, queue, node), mapInst(cx, map, node), cx.emit(node).i32(0)];
  return typed(callKernel(cx, "bpf_wq_init", args, node), INTS.i32);
}

/** The callback runs in a process of the kernel, where it may sleep. */
function wqSetCallback(cx: Cx, node: ts.CallExpression): Value {
  const queue = queueOf(cx, node.arguments[0], node);
  const { map } = mapOf(cx, node.arguments[1], node);
  return withCallback(
    cx,
    closure(cx, node.arguments[2], node),
    {
      parameters: [pointer("map"), pointer("key"), pointer("value")],
      captures: null,
      bind: (inner, params) => [
        received(inner, params[1] as Inst, map.key, node),
        received(inner, params[2] as Inst, map.value, node),
      ],
      call: (outer, callback) => {
        const b = outer.emit(node);
        const args = [pointerOf(outer, queue, node), callback, b.i32(0), b.null()];
        return typed(callKernel(outer, "bpf_wq_set_callback_impl", args, node), INTS.i32);
      },
    },
    node,
  );
}

/** Work that a task does itself, in a process, before it goes on in user space (`signal`: it is woken up for that). */
function taskWork(kfunc: string): (cx: Cx, node: ts.CallExpression) => Value {
  return (cx, node) => {
    const [taskNode = node, workNode = node] = node.arguments;
    const task = cx.lower.value(cx, taskNode);
    if (task.kind !== "kernel" || task.path.length > 0)
      return cx.refuse(taskNode, "wantsType", [describe(task), "the kernel's task_struct"]);
    if (task.nullable) return cx.refuse(taskNode, "mayBeNull", [excerpt(taskNode)]);
    const work = cx.lower.value(cx, workNode);
    if (work.kind !== "ref" || work.type.name !== "bpf_task_work")
      return cx.refuse(workNode, "wantsType", [describe(work), "TaskWork"]);
    const map = mapOf(cx, node.arguments[2], node);
    return withCallback(
      cx,
      closure(cx, node.arguments[3], node),
      {
        parameters: [pointer("map"), pointer("key"), pointer("value")],
        captures: null,
        bind: (inner, params) => [
          received(inner, params[1] as Inst, map.map.key, node),
          received(inner, params[2] as Inst, map.map.value, node),
        ],
        call: (outer, callback) => {
          const inst = mapInst(outer, map, node);
          const args = [task.ptr, pointerOf(outer, work, node), inst, callback, outer.emit(node).null()];
          return typed(callKernel(outer, kfunc, args, node), INTS.i32);
        },
      },
      node,
    );
  };
}

function timerStart(cx: Cx, node: ts.CallExpression): Value {
  const [timerNode, afterNode] = node.arguments;
  const timer = timerOf(cx, timerNode, node);
  if (!afterNode) return cx.refuse(node, "wantsInteger", ["timerStart()"]);
  const after = coerce(cx, asInt(cx, cx.lower.value(cx, afterNode, INTS.u64), afterNode), INTS.u64, afterNode);
  const b = cx.emit(node);
  const args = [pointerOf(cx, timer, node), instOf(cx, after, INTS.u64, afterNode), b.i64(0)];
  return typed(b.helper(helperId("timer_start"), args, "i64"), INTS.i64);
}

function timerCancel(cx: Cx, node: ts.CallExpression): Value {
  const timer = timerOf(cx, node.arguments[0], node);
  return typed(cx.emit(node).helper(helperId("timer_cancel"), [pointerOf(cx, timer, node)], "i64"), INTS.i64);
}

// ---- spin locks ----

function lockOf(cx: Cx, node: ts.CallExpression): RefValue {
  const [argument] = node.arguments;
  const value = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (value.kind === "ref" && value.type.name === "bpf_spin_lock") return value;
  return cx.refuse(argument ?? node, "wantsType", [describe(value), "SpinLock"]);
}

function lock(cx: Cx, helper: string, node: ts.CallExpression): Value {
  const ref = lockOf(cx, node);
  cx.emit(node).helper(helperId(helper), [pointerOf(cx, ref, node)]);
  return UNDEFINED;
}

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  loop,
  findArea,
  timerInit,
  timerSetCallback,
  timerStart,
  timerCancel,
  wqInit,
  wqSetCallback,
  taskWorkSignal: taskWork("bpf_task_work_schedule_signal_impl"),
  taskWorkResume: taskWork("bpf_task_work_schedule_resume_impl"),
  spinLock: (cx, node) => lock(cx, "spin_lock", node),
  spinUnlock: (cx, node) => lock(cx, "spin_unlock", node),
};

export function callbackBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}
