/**
 * @module
 * Calls of kernel functions (check_kfunc_call, kernel/bpf/verifier.c): arguments by their BTF types and the endings of their names.
 */
import { resolveType } from "@skep/object";
import type { Env } from "../env.ts";
import { MAX_OFFSET } from "../env.ts";
import { describeReg } from "../explain/describe.ts";
import { kernelFunction, mayCall, shapeOf } from "../kernel/functions.ts";
import type { KernelFunction, ParameterShape } from "../kernel/functions.ts";
import type { KernelTypes } from "../kernel/types.ts";
import { dynptrAt, dynptrKind, iteratorAt, iteratorState, putDynptr, putIterator } from "../memory/objects.ts";
import { mayWritePacket } from "../memory/access.ts";
import { slotOf, stackRange } from "../memory/stack.ts";
import type { Code } from "../program/code.ts";
import { markPrecise } from "../pruning/precision.ts";
import { findPreviousEntry, widenImprecise } from "../pruning/widen.ts";
import { NOTHING, Reg, UNKNOWN, constant, flag, kind, pointer } from "../register.ts";
import { INVALID_SLOT } from "../state.ts";
import { pushBranch } from "../step/branches.ts";
import { clobber } from "./helper.ts";
import { checkMemory, checkSizedMemory, finishWrites } from "./memory-argument.ts";
import type { Written } from "./memory-argument.ts";
import { callLater, callOnce } from "./callbacks.ts";
import {
  checkNode,
  checkRoot,
  fieldAt,
  giveAway,
  graphStructs,
  isGraphFunction,
  nodeResult,
  orderingArguments,
} from "./graph.ts";
import type { Node } from "./graph.ts";
import { isContextName } from "./global.ts";
import { checkProgramResult } from "./local.ts";
import { acquire, checkNothingHeld, forgetReference, heldLock, release } from "./references.ts";
import { checkFallibleLock, checkIrqFlag, openOrClose, takeFallibleLock } from "./sections.ts";

/** What the arguments of a call say about it. */
interface Call {
  readonly fn: KernelFunction;
  readonly types: KernelTypes;
  readonly written: Written;
  ref: number;
  released: number;
  /** What a list or tree holds. */
  node: Node | null;
  /** The map's value that a work queue, or a task's work, is in. */
  work: Reg | null;
  dynptr: Reg | null;
  /** A constant argument: a type's id, or a size. */
  constant: number;
  iterator: { readonly frame: number; readonly slot: number; readonly slots: number; readonly typeId: number } | null;
  iteratorReg: Reg | null;
}

function nameAt(code: Code, at: number): string {
  const target = code.targets.get(at);
  return target?.kind === "kfunc" ? (target.fn ?? "") : "";
}

/** The function calls one of the program's while it works. */
export function functionCallsBack(code: Code, at: number): boolean {
  return nameAt(code, at) === "bpf_rbtree_add_impl";
}

/** How many registers a call of a kernel function reads. */
export function kernelFunctionArguments(_code: Code, _at: number): number {
  return 5;
}

/** The function is `next` of an iterator: a loop's head. */
export function isIteratorNext(code: Code, at: number): boolean {
  return /^bpf_iter_.*_next$/.test(nameAt(code, at));
}

/** True: the program ends here. */
export function callKernelFunction(env: Env): boolean {
  const name = nameAt(env.code, env.at);
  const { kernel } = env;
  if (kernel === null) env.refuse("unresolved", `the kernel's types are needed for ${name || "a kernel function"}`);
  const fn = kernel === null ? null : kernelFunction(kernel, name);
  if (kernel === null || fn === null) {
    const target = env.code.targets.get(env.at);
    const called = target?.kind === "kfunc" ? target.name : "of that number";
    env.refuse("unknown-kfunc", `the kernel has no function ${called}`);
    clobber(env);
    env.frame.regs[0] = UNKNOWN;
    return false;
  }
  checkPlace(env, fn);
  const call: Call = {
    ...{
      fn,
      types: kernel,
      written: [],
      ref: 0,
      released: 0,
      node: null,
      work: null,
      dynptr: null,
      constant: 0,
      iterator: null,
      iteratorReg: null,
    },
  };
  fn.params.forEach((_, index) => checkArgument(env, call, index));
  if (fn.releases && call.released === 0) env.refuse("release", `${name} is given nothing that was acquired`);
  openOrClose(env, name);
  finishWrites(env, call.written);
  if (call.released !== 0) {
    const { ref } = env.frame.reg(call.released);
    if (ref !== 0) release(env, ref);
  }
  if (name === "bpf_rbtree_add_impl") callOrdering(env, call);
  if (name === "bpf_wq_set_callback_impl") {
    const { kind: what, size } = env.frame.reg(2);
    const subprogram = what === kind.function ? size : -1;
    callLater(env, { name: "work queue", subprogram, map: call.work?.map ?? null, sleepable: true });
  }
  if (isTaskWork(name)) {
    // set_task_work_schedule_callback_state
    const subprogram = env.frame.reg(4).kind === kind.function ? env.frame.reg(4).size : -1;
    callLater(env, { name: "task", subprogram, map: call.work?.map ?? null, sleepable: true, anyResult: true });
  }
  if (givesAway(name)) giveAway(env, 2);
  if (name === "bpf_throw") {
    checkThrow(env);
    return true;
  }
  finish(env, call);
  return false;
}

/** The program is left with what is thrown as its result, unless a function of its own takes it. */
function checkThrow(env: Env): void {
  if (env.state.frames.some((frame) => frame.callback !== null) || env.exceptionEntry)
    env.refuse("callback", "bpf_throw in a callback");
  checkNothingHeld(env, "bpf_throw");
  if (env.exceptionCallback < 0) checkProgramResult(env, env.frame.reg(1));
}

function givesAway(name: string): boolean {
  return name === "bpf_rbtree_add_impl" || name.startsWith("bpf_list_push_");
}

function checkPlace(env: Env, fn: KernelFunction): void {
  const { state } = env;
  if (fn.name.startsWith("bpf_xdp_metadata_rx_") && !env.kind.deviceBound)
    env.refuse("unknown-kfunc", `${fn.name} is for programs that are bound to a device`);
  if (fn.name === "bpf_sock_destroy" && env.kind.attachType !== "trace_iter")
    env.refuse("unknown-kfunc", `${fn.name} is for iterators`);
  if (!mayCall(fn.name, env.kind.type)) env.refuse("unknown-kfunc", `${env.kind.type} programs cannot call ${fn.name}`);
  const iterates = fn.name === "bpf_iter_css_task_new" && env.kind.attachType === "trace_iter";
  if (fn.sleeps && !iterates && (!env.sleepable || state.rcu > 0 || state.preempt > 0)) {
    env.refuse("sleeps", `${fn.name} may sleep, which is not allowed here`);
  }
  const held = heldLock(state);
  if (held !== null && !mayCallLocked(fn.name)) {
    env.refuse("lock-held", `${fn.name} is called while a lock is held`);
  }
}

/** in_rbtree_lock_required_cb and kfunc_spin_allowed: what may be called under a lock. */
function mayCallLocked(name: string): boolean {
  return (
    isGraphFunction(name) || /^bpf_(iter_num_|res_spin_|refcount_acquire|obj_drop|percpu_obj_drop|throw)/.test(name)
  );
}

function wrong(env: Env, call: Call, register: number, wanted: string): void {
  env.refuse("argument-type", `r${register} is ${describeReg(env.read(register))}; ${call.fn.name} wants ${wanted}`);
}

function checkArgument(env: Env, call: Call, index: number): void {
  const param = call.fn.params[index];
  if (param === undefined || index >= 5) return;
  const register = index + 1;
  const { name } = param;
  if (name.endsWith("__ign") || name.endsWith("__prog")) return;
  const reg = env.read(register);
  const shape = shapeOf(call.types, param.typeId);
  if (shape.kind === "number") {
    if (reg.kind !== kind.scalar) wrong(env, call, register, "a number");
    else if (name.endsWith("__k") || name.endsWith("__szk")) checkConstant(env, call, register);
    return;
  }
  if (name.endsWith("__irq_flag")) {
    checkIrqFlag(env, register, call.fn.name);
    return;
  }
  if (takesFunction(call.fn.name, index)) {
    if (reg.kind !== kind.function) env.refuse("callback", `r${register} is ${describeReg(reg)}, not a function`);
    return;
  }
  const nullable = name.endsWith("__nullable") || name.endsWith("__opt");
  if (nullable && reg.isNumber(0)) return;
  if (reg.mayBeNull && !nullable) {
    env.refuse("maybe-null", `r${register} may be null, which ${call.fn.name} does not take`);
    return;
  }
  if (reg.ref !== 0) call.ref = reg.ref;
  checkPointer(env, call, { register, index, shape, name });
}

function checkConstant(env: Env, call: Call, register: number): void {
  const reg = env.read(register);
  if (!reg.isConst) env.refuse("argument-constant", `r${register} of ${call.fn.name} must be a constant`);
  markPrecise(env, register);
  call.constant = reg.umax;
}

function takesFunction(name: string, index: number): boolean {
  if (isTaskWork(name)) return index === 3;
  return (index === 2 && name === "bpf_rbtree_add_impl") || (index === 1 && name === "bpf_wq_set_callback_impl");
}

function isTaskWork(name: string): boolean {
  return name.startsWith("bpf_task_work_schedule_");
}

interface PointerArgument {
  readonly register: number;
  readonly index: number;
  readonly shape: ParameterShape;
  readonly name: string;
}

function checkPointer(env: Env, call: Call, argument: PointerArgument): void {
  const { register, shape, index } = argument;
  const reg = env.read(register);
  if (shape.kind === "struct" && shape.name === "bpf_dynptr") checkDynptr(env, call, argument);
  else if (call.fn.iterator !== null && index === 0 && shape.kind === "struct") checkIterator(env, call, shape);
  else if (shape.kind === "struct" && graphStructs[shape.name] !== undefined)
    checkGraph(env, call, register, shape.name);
  else if (shape.kind === "struct" && shape.name === "bpf_res_spin_lock")
    checkFallibleLock(env, register, call.fn.name);
  else if (shape.kind === "struct" && shape.name === "bpf_wq") checkWork(env, call, { register, wanted: "wq" });
  else if (shape.kind === "struct" && shape.name === "bpf_task_work")
    checkWork(env, call, { register, wanted: "task_work" });
  else if (argument.name.endsWith("__map") || (shape.kind === "struct" && shape.name === "bpf_map")) {
    if (reg.kind !== kind.map && !isMapObject(call, reg)) wrong(env, call, register, "a map");
    else if (call.work !== null && (call.work.map !== reg.map || call.work.mapUid !== reg.mapUid))
      env.refuse("argument-type", "the work is not of this map's value");
  } else if (reg.kind === kind.context) checkContext(env, call, argument);
  else if (hasSize(call, index)) checkSized(env, call, register);
  else if (reg.kind === kind.btf) checkObject(env, call, argument);
  else if (isSocketLike(reg)) return;
  else if (shape.kind === "anything" || reg.kind === kind.arena) return;
  else checkPlainMemory(env, call, argument);
}

/** Work in a map's value (process_wq_func, process_task_work_func). */
function checkWork(env: Env, call: Call, work: { register: number; wanted: "wq" | "task_work" }): void {
  const { register, wanted } = work;
  const reg = env.read(register);
  if (reg.kind !== kind.mapValue) wrong(env, call, register, `a bpf_${wanted} in a map's value`);
  else if (!reg.isConst) env.refuse("argument-constant", `r${register} must be at a constant offset of the value`);
  else if (fieldAt(env, reg, wanted) === null)
    env.refuse(
      "argument-type",
      `there is no bpf_${wanted} at ${reg.off + reg.vl} of the value of ${reg.map?.name ?? "the map"}`,
    );
  else call.work = reg;
}

function isSocketLike(reg: Reg): boolean {
  return reg.kind === kind.socket || reg.kind === kind.sockCommon || reg.kind === kind.tcpSock;
}

function checkContext(env: Env, call: Call, { register, shape }: PointerArgument): void {
  const reg = env.read(register);
  if (shape.kind === "struct" && !isContextName(shape.name)) wrong(env, call, register, `a struct ${shape.name}`);
  if (reg.off !== 0 || !reg.isConst)
    env.refuse("context-modified", `r${register} of ${call.fn.name} points into the context`);
}

/** A map of the kernel's, such as an iterator shows. */
function isMapObject(call: Call, reg: Reg): boolean {
  const isTrusted = (reg.flags & (flag.trusted | flag.rcu)) !== 0;
  return (
    isTrusted &&
    reg.kind === kind.btf &&
    !reg.ownType &&
    call.types.nameOf(call.types.resolve(reg.typeId)) === "bpf_map"
  );
}

function checkGraph(env: Env, call: Call, register: number, struct: string): void {
  const what = { name: call.fn.name, struct };
  if (struct === "bpf_list_head" || struct === "bpf_rb_root") call.node = checkRoot(env, register, what);
  else {
    checkNode(env, register, what, call.node);
    const { typeId, off } = env.read(register);
    call.node ??= { typeId, offset: off };
  }
}

/** The function that orders a tree is called with two of its nodes. */
function callOrdering(env: Env, call: Call): void {
  const ordering = env.frame.reg(3);
  if (ordering.kind !== kind.function || call.node === null) return;
  callOnce(env, call.fn.name, { subprogram: ordering.size, args: orderingArguments(call.node) });
}

/** The next parameter is this one's size. */
function hasSize(call: Call, index: number): boolean {
  return /__szk?$/.test(call.fn.params[index + 1]?.name ?? "");
}

function checkSized(env: Env, call: Call, register: number): void {
  const use = { register, sizeRegister: register + 1, writes: true, raw: false, mayBeEmpty: true, packet: true };
  checkSizedMemory(env, use, call.written);
}

function checkPlainMemory(env: Env, call: Call, { register, shape }: PointerArgument): void {
  const reg = env.read(register);
  if (reg.kind === kind.scalar) {
    wrong(env, call, register, "a pointer");
    return;
  }
  if (shape.kind === "struct" && !call.types.isPlainStruct(shape.typeId)) {
    wrong(env, call, register, `a pointer to struct ${shape.name} of the kernel's`);
    return;
  }
  const size = shape.kind === "struct" ? call.types.sizeOf(shape.typeId) : shape.kind === "memory" ? shape.size : 0;
  if (size === 0) return;
  const writes = !(shape.kind === "memory" && shape.readOnly);
  checkMemory(env, { register, size, writes, raw: false, mayBeEmpty: false, packet: true }, call.written);
}

function checkObject(env: Env, call: Call, { register, shape, index }: PointerArgument): void {
  const reg = env.read(register);
  if (call.fn.releases && index === 0) {
    if (reg.ref === 0) env.refuse("release", `r${register} holds no reference`);
    if (reg.off !== 0) env.refuse("release", `r${register} was moved before it is released`);
    const name = call.types.nameOf(call.types.resolve(reg.typeId));
    if (shape.kind === "struct" && !reg.ownType && name !== shape.name)
      wrong(env, call, register, `a pointer to struct ${shape.name}, not struct ${name}`);
    call.released = register;
    return;
  }
  const isTrusted = reg.ref !== 0 || (reg.flags & (flag.trusted | flag.rcu | flag.alloc)) !== 0;
  if (!isTrusted) env.refuse("untrusted", `r${register} of ${call.fn.name} is a pointer that is not trusted`);
  if (reg.ownType || shape.kind !== "struct") return;
  const name = call.types.nameOf(reg.typeId);
  if (!call.types.hasAt(reg.typeId, reg.off, contextTypes[shape.name] ?? shape.name))
    wrong(env, call, register, `a pointer to struct ${shape.name}, not struct ${name}`);
}

/** What a program calls its context, as the kernel has it. */
const contextTypes: Readonly<Record<string, string>> = { __sk_buff: "sk_buff", xdp_md: "xdp_buff" };

function stackPlace(
  env: Env,
  call: Call,
  register: number,
  size: number,
): { readonly frame: number; readonly slot: number } | null {
  const reg = env.read(register);
  const off = reg.off + reg.vl;
  if (reg.kind !== kind.stack || !reg.isConst || (off & 7) !== 0 || off > -size) {
    wrong(env, call, register, `${size} aligned bytes of the stack`);
    return null;
  }
  stackRange(env, reg, 0, size);
  return { frame: reg.size, slot: slotOf(off) };
}

const makers: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: dynptrKind.skb,
  bpf_dynptr_from_xdp: dynptrKind.xdp,
  bpf_dynptr_from_skb_meta: dynptrKind["skb-meta"],
};

function checkDynptr(env: Env, call: Call, argument: PointerArgument): void {
  const reg = env.read(argument.register);
  if (reg.kind === kind.dynptr) {
    if (reg.off !== 0 || !reg.isConst || reg.vl !== 0)
      env.refuse("dynptr", `r${argument.register} was moved: it points into a dynptr`);
    call.dynptr = reg;
    return;
  }
  const place = stackPlace(env, call, argument.register, 16);
  const frame = place === null ? undefined : env.state.frames[place.frame];
  if (place === null || frame === undefined) return;
  const found = dynptrAt(frame, place.slot);
  if (argument.name.endsWith("__uninit")) {
    if (found !== null) env.refuse("dynptr", "there is a dynptr already");
    const isClone = call.fn.name === "bpf_dynptr_clone";
    const what = isClone ? (call.dynptr?.size ?? 0) : (makers[call.fn.name] ?? dynptrKind.local);
    const readOnly = isClone
      ? ((call.dynptr?.flags ?? 0) & flag.readOnly) !== 0
      : what === dynptrKind.skb && env.kind.type === "socket_filter";
    putDynptr(env, frame, place.slot, { kind: what, ref: isClone ? (call.dynptr?.ref ?? 0) : 0, readOnly });
    return;
  }
  if (found === null) env.refuse("dynptr", `r${argument.register} points to no dynptr`);
  else call.dynptr = found;
}

function checkIterator(env: Env, call: Call, shape: { readonly typeId: number; readonly name: string }): void {
  const size = Math.max(8, Math.ceil(call.types.sizeOf(shape.typeId) / 8) * 8);
  const place = stackPlace(env, call, 1, size);
  const frame = place === null ? undefined : env.state.frames[place.frame];
  if (place === null || frame === undefined) return;
  const slots = size / 8;
  const found = iteratorAt(frame, place.slot, slots);
  if (call.fn.iterator === "new") {
    if (found !== null) env.refuse("iterator", "the iterator is made already");
  } else if (found === null || found.typeId !== shape.typeId) {
    env.refuse("iterator", `r1 points to no ${shape.name}`);
    return;
  }
  call.iterator = { ...place, slots, typeId: shape.typeId };
  call.iteratorReg = found;
}

function finish(env: Env, call: Call): void {
  const { fn } = call;
  if (fn.iterator === "new") makeIterator(env, call);
  if (fn.iterator === "destroy") destroyIterator(env, call);
  if (fn.iterator === "next" && call.iterator !== null && call.iteratorReg !== null) {
    nextOfIterator(env, call);
    return;
  }
  if (fn.name.startsWith("bpf_res_spin_lock")) {
    takeFallibleLock(env, env.frame.reg(1));
    return;
  }
  const result = resultOf(env, call);
  clobber(env);
  env.frame.regs[0] = result;
}

function makeIterator(env: Env, call: Call): void {
  const { iterator } = call;
  const frame = iterator === null ? undefined : env.state.frames[iterator.frame];
  if (iterator === null || frame === undefined) return;
  if (call.iteratorReg !== null) forgetReference(env.state, call.iteratorReg.ref);
  const reg = new Reg();
  reg.kind = kind.iterator;
  reg.typeId = iterator.typeId;
  reg.off = iteratorState.active;
  reg.ref = acquire(env);
  putIterator(frame, iterator.slot, iterator.slots, reg);
}

function destroyIterator(env: Env, call: Call): void {
  const { iterator, iteratorReg } = call;
  const frame = iterator === null ? undefined : env.state.frames[iterator.frame];
  if (iterator === null || iteratorReg === null || frame === undefined) return;
  release(env, iteratorReg.ref);
  for (let index = iterator.slot; index > iterator.slot - iterator.slots; index--) frame.stack[index] = INVALID_SLOT;
}

/** Once more with something, or drained with null (process_iter_next_call). */
function nextOfIterator(env: Env, call: Call): void {
  const { iterator, iteratorReg } = call;
  if (iterator === null || iteratorReg === null) return;
  const next = env.at + 1;
  if (iteratorReg.off !== iteratorState.drained) {
    const again = pushBranch(env, next);
    const frame = again.frames[iterator.frame];
    const active = iteratorReg.clone();
    active.mapUid++;
    if (frame !== undefined) putIterator(frame, iterator.slot, iterator.slots, active);
    const before = findPreviousEntry(env.state, env.at);
    if (before !== null) widenImprecise(before, again);
    again.frame.regs.fill(NOTHING, 0, 6);
    const given = resultOf(env, call).clone();
    given.flags &= ~flag.maybeNull;
    given.id = 0;
    again.frame.regs[0] = given;
  }
  const frame = env.state.frames[iterator.frame];
  const drained = iteratorReg.clone();
  drained.off = iteratorState.drained;
  if (frame !== undefined) putIterator(frame, iterator.slot, iterator.slots, drained);
  clobber(env);
  env.frame.regs[0] = constant(0);
}

function resultOf(env: Env, call: Call): Reg {
  const { fn, types } = call;
  const type = resolveType(types.view, fn.returnTypeId);
  if (type === null) return new Reg();
  if (type.kind !== "ptr") return UNKNOWN;
  const special = nodeResult(env, fn.name, call.node) ?? specialResult(env, call);
  if (special !== null) return special;
  const shape = shapeOf(types, fn.returnTypeId);
  // A function of `void *` gives a number: an arena's pages are used once their address is cast.
  if (shape.kind === "anything") return UNKNOWN;
  const nulls = fn.mayReturnNull ? flag.maybeNull : 0;
  const reg =
    shape.kind === "struct" ? pointer(kind.btf, nulls | flag.trusted) : pointer(kind.memory, nulls | flag.readOnly);
  if (shape.kind === "struct") reg.typeId = shape.typeId;
  else reg.size = shape.kind === "memory" ? shape.size : 0;
  // The one number that a session keeps for its program.
  if (fn.name === "bpf_session_cookie") reg.flags &= ~flag.readOnly;
  if (nulls !== 0) reg.id = env.newId();
  if (fn.acquires) {
    reg.ref = acquire(env);
    reg.id = reg.ref;
  } else if (fn.iterator === "next") reg.ref = call.iteratorReg?.ref ?? 0;
  return reg;
}

/** Results that the prototype does not tell. */
function specialResult(env: Env, call: Call): Reg | null {
  const { name } = call.fn;
  const first = env.frame.reg(1);
  switch (name) {
    case "bpf_dynptr_slice_rdwr":
      if (call.dynptr?.size === dynptrKind.skb && !mayWritePacket(env))
        env.refuse("packet-write", `${env.kind.type} programs may not write to packets`);
      return slice(env, call);
    case "bpf_dynptr_slice":
      return slice(env, call);
    case "bpf_obj_new_impl":
    case "bpf_percpu_obj_new_impl":
      if (!isOwnStruct(env, call.constant)) {
        env.refuse("argument-constant", `r1 of ${name} must be the id of a struct of the program's`);
        return UNKNOWN;
      }
      return owned(env, { typeId: call.constant, isNullable: true, percpu: name.startsWith("bpf_percpu") });
    case "bpf_refcount_acquire_impl":
      return owned(env, { typeId: first.typeId, isNullable: first.ref === 0, percpu: false });
    case "bpf_cast_to_kern_ctx":
      return contextObject(env);
    case "bpf_rdonly_cast":
      return castObject(env, call);
    default:
      return null;
  }
}

function isOwnStruct(env: Env, id: number): boolean {
  const { types } = env;
  return types !== null && id > 0 && id < types.end && types.get(id)?.kind === "struct";
}

/** An object of a type of the program's, which it has to give back. */
function owned(
  env: Env,
  what: { readonly typeId: number; readonly isNullable: boolean; readonly percpu: boolean },
): Reg {
  const reg = pointer(kind.btf, flag.alloc | (what.isNullable ? flag.maybeNull : 0) | (what.percpu ? flag.percpu : 0));
  reg.typeId = what.typeId;
  reg.ownType = true;
  reg.ref = acquire(env);
  reg.id = reg.ref;
  return reg;
}

/** What the kernel has behind the context that programs see. */
const kernelContexts: readonly (readonly [types: RegExp, struct: string])[] = [
  [/^(socket_filter|sched_cls|sched_act|cgroup_skb|lwt_|sk_skb|flow_dissector)/, "sk_buff"],
  [/^xdp$/, "xdp_buff"],
  [/^cgroup_sock_addr$/, "bpf_sock_addr_kern"],
  [/^cgroup_sock$/, "sock"],
  [/^sock_ops$/, "bpf_sock_ops_kern"],
  [/^sk_msg$/, "sk_msg"],
  [/^cgroup_device$/, "bpf_cgroup_dev_ctx"],
  [/^cgroup_sysctl$/, "bpf_sysctl_kern"],
  [/^cgroup_sockopt$/, "bpf_sockopt_kern"],
  [/^sk_reuseport$/, "sk_reuseport_kern"],
  [/^sk_lookup$/, "bpf_sk_lookup_kern"],
  [/^perf_event$/, "bpf_perf_event_data_kern"],
  [/^kprobe$/, "pt_regs"],
  [/^netfilter$/, "bpf_nf_ctx"],
];

function contextObject(env: Env): Reg | null {
  const struct = kernelContexts.find(([types]) => types.test(env.kind.type))?.[1];
  const typeId = struct === undefined ? 0 : (env.kernel?.structNamed(struct) ?? 0);
  if (typeId === 0) return null;
  const reg = pointer(kind.btf, flag.trusted);
  reg.typeId = typeId;
  return reg;
}

/** Any pointer as one to a type of the kernel's: reads that may fail. `void`: reads of anything. */
function castObject(env: Env, call: Call): Reg {
  const { types } = call;
  const isKnown = call.constant < types.view.end;
  if (!isKnown) env.refuse("argument-constant", `r2 of ${call.fn.name} is the id of no type`);
  const type = isKnown ? resolveType(types.view, call.constant) : null;
  const isVoid = call.constant === 0 || type === null;
  if (!isVoid && type.kind !== "struct" && type.kind !== "union")
    env.refuse("argument-constant", `r2 of ${call.fn.name} must be the id of a struct, or of void`);
  const reg = pointer(isVoid ? kind.memory : kind.btf, flag.untrusted | flag.readOnly);
  reg.typeId = call.constant;
  reg.size = isVoid ? MAX_OFFSET : 0;
  return reg;
}

function slice(env: Env, call: Call): Reg {
  const reg = pointer(kind.memory, flag.maybeNull);
  reg.size = call.constant || env.frame.reg(4).umax;
  reg.id = env.newId();
  reg.mapUid = call.dynptr?.id ?? 0;
  reg.ref = call.dynptr?.ref ?? 0;
  reg.linked = call.dynptr !== null && call.dynptr.size >= dynptrKind.skb;
  if (call.fn.name === "bpf_dynptr_slice" || ((call.dynptr?.flags ?? 0) & flag.readOnly) !== 0)
    reg.flags |= flag.readOnly;
  return reg;
}
