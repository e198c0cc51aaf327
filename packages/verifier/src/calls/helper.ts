/**
 * @module
 * Calls of helpers (check_helper_call, kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { prototypeFor } from "../helpers/prototypes.ts";
import type { Prototype } from "../helpers/prototypes.ts";
import { destroyDynptrAt, dynptrKind, forgetSlices, putDynptr } from "../memory/objects.ts";
import { kernelTypeOf } from "../memory/kernel-object.ts";
import { forgetPackets } from "../memory/packet.ts";
import { goneValue, hidesAddresses } from "../privilege/privilege.ts";
import type { MapInfo } from "../program/maps.ts";
import { spillSize } from "../memory/stack.ts";
import { markMany } from "../pruning/precision.ts";
import { NOTHING, UNKNOWN, flag, kind, pointer } from "../register.ts";
import type { Reg } from "../register.ts";
import { arithmeticFreeRange } from "../scalar/range.ts";
import { INVALID_SLOT, byte } from "../state.ts";
import { checkArguments } from "./arguments.ts";
import type { CallInfo } from "./arguments.ts";
import { callsBack, callLater, callSynchronously } from "./callbacks.ts";
import { lockByHelper } from "./locks.ts";
import { changing, goesWith } from "./maps.ts";
import { finishWrites } from "./memory-argument.ts";
import { formatProblem } from "./format.ts";
import { acquire, checkNothingHeld, forgetReference, heldLock, release } from "./references.ts";

const MAX_ERRNO = 4095;

export function callHelper(env: Env, id: number): void {
  const prototype = prototypeFor(id, env.kind.type);
  if (prototype === null || env.kind.helpers?.has(id) === false) {
    const name = prototype === null ? `number ${id}` : prototype.helper.name;
    env.refuse("unknown-helper", `${env.kind.type} programs cannot call the helper ${name}`);
    if (prototype === null) {
      clobber(env);
      env.frame.regs[0] = UNKNOWN;
      return;
    }
  }
  checkPlace(env, prototype);
  const call = checkArguments(env, prototype);
  checkMapUse(env, prototype, call);
  checkReleased(env, prototype, call);
  if (callsBack(prototype.helper.name)) callSynchronously(env, prototype.helper.name, call);
  special(env, prototype, call);
  const nullElided = prototype.helper.name === "map_lookup_elem" && hasConstantKey(env, call);
  finishWrites(env, call.written);
  finishDynptr(env, call);
  releaseArgument(env, prototype, call);
  clobber(env);
  env.frame.regs[0] = result(env, prototype, call, nullElided);
  if (prototype.helper.changesPacketData) forgetPackets(env.state, goneValue(env));
}

/** What no helper leaves as it was. */
export function clobber(env: Env): void {
  env.frame.regs.fill(NOTHING, 0, 6);
}

function checkPlace(env: Env, prototype: Prototype): void {
  const { name } = prototype.helper;
  if (prototype.gplOnly && !env.kind.isGpl)
    env.refuse("licence", `${name} is for programs with a GPL-compatible licence`);
  if (prototype.maySleep && !env.sleepable) env.refuse("sleeps", `${name} may sleep, this program may not`);
  if (prototype.maySleep && (env.state.rcu > 0 || env.state.preempt > 0)) {
    env.refuse("sleeps", `${name} may sleep, which a read or preemption section forbids`);
  }
  if (heldLock(env.state) !== null && name !== "spin_unlock" && name !== "kptr_xchg") {
    env.refuse("lock-held", `${name} is called while a lock is held`);
  }
}

function checkMapUse(env: Env, prototype: Prototype, call: CallInfo): void {
  const { name } = prototype.helper;
  if (call.map === null || !prototype.args.some((arg) => arg.kind === "map")) return;
  if (!goesWith(name, call.map.type, env.kind.type)) {
    env.refuse("map-and-helper", `${name} does not go with maps of type ${call.map.type}`);
  }
  if (call.map.programReadOnly && changing.has(name)) env.refuse("read-only", `map ${call.map.name} may only be read`);
  if (name === "tail_call") {
    checkNothingHeld(env, "a tail call");
    if (env.frame.callback !== null) env.refuse("tail-call", "a tail call in a callback");
    checkOneMap(env, call.map);
  }
}

/** A tail call that is guarded against guesses is guarded for one map (do_misc_fixups). */
function checkOneMap(env: Env, map: MapInfo): void {
  if (!hidesAddresses(env)) return;
  const before = env.tailCallMaps.get(env.at);
  env.tailCallMaps.set(env.at, before ?? map);
  if (before !== undefined && before !== map)
    env.refuse("speculation", `the tail call takes map ${before.name} on one path and ${map.name} on another`);
}

function checkReleased(env: Env, prototype: Prototype, call: CallInfo): void {
  if (!prototype.releases || call.released !== 0) return;
  env.refuse("release", `${prototype.helper.name} is given nothing that was acquired`);
}

function releaseArgument(env: Env, prototype: Prototype, call: CallInfo): void {
  const { name } = prototype.helper;
  if (call.released === 0) return;
  if (name === "kptr_xchg") {
    const id = env.frame.reg(2).ref;
    if (id !== 0) release(env, id);
    return;
  }
  if (!prototype.releases) {
    if (call.dynptr !== null) releaseDynptr(env, call.dynptr);
    return;
  }
  const id = env.frame.reg(call.released).ref;
  if (id !== 0) release(env, id);
}

/** Submits or discards: every copy of the dynptr and every slice of it is gone. */
function releaseDynptr(env: Env, dynptr: Reg): void {
  if (dynptr.ref === 0 || !forgetReference(env.state, dynptr.ref)) {
    env.refuse("release", "the dynptr holds nothing that could be released");
    return;
  }
  for (const frame of env.state.frames) {
    for (let index = 0; index < frame.stack.length; index++) {
      const slot = frame.slot(index);
      if (slot.at(0) === byte.dynptr && slot.reg?.ref === dynptr.ref) {
        forgetSlices(env, slot.reg.id);
        frame.stack[index] = INVALID_SLOT;
      }
    }
  }
}

function finishDynptr(env: Env, call: CallInfo): void {
  const made = call.newDynptr;
  if (made === null) return;
  const frame = env.state.frames[made.frame];
  if (frame === undefined) return;
  for (const slot of [made.slot, made.slot - 1]) destroyDynptrAt(env, frame, slot);
  const ref = made.kind === dynptrKind.ringbuf ? acquire(env) : 0;
  putDynptr(env, frame, made.slot, { kind: made.kind, ref, readOnly: false });
}

function special(env: Env, prototype: Prototype, call: CallInfo): void {
  switch (prototype.helper.name) {
    case "spin_lock":
    case "spin_unlock":
      lockByHelper(env, prototype.helper.name === "spin_lock");
      break;
    case "timer_set_callback":
      callLater(env, { name: "timer", subprogram: call.subprogram, map: call.map, sleepable: false });
      break;
    case "dynptr_from_mem":
      if (env.frame.reg(1).kind !== kind.mapValue) env.refuse("dynptr", "a dynptr can only be made of a map's value");
      break;
    case "dynptr_write":
      if (call.dynptr !== null && (call.dynptr.flags & flag.readOnly) !== 0)
        env.refuse("read-only", "the dynptr may only be read");
      if (call.dynptr?.size === dynptrKind.skb) forgetPackets(env.state, goneValue(env));
      break;
    case "get_local_storage":
      if (!env.frame.reg(2).isNumber(0)) env.refuse("argument-constant", "the flags in r2 must be 0");
      break;
    case "snprintf":
      checkFormat(env, call.text);
      break;
    case "set_retval":
      checkSetReturn(env);
      break;
    case "get_func_ip":
      if (env.kind.type !== "kprobe" && env.kind.type !== "tracing" && env.kind.type !== "lsm") {
        env.refuse("unknown-helper", `get_func_ip is not for ${env.kind.type} programs`);
      }
      break;
    default:
  }
}

/** The words of a format, and as many numbers as they need (check_bpf_snprintf_call). */
function checkFormat(env: Env, text: Uint8Array | null): void {
  const size = env.frame.reg(5);
  if (size.vl % 8 !== 0) env.refuse("format", `the numbers of a format are ${size.vl} bytes, not a multiple of 8`);
  const problem = text === null ? null : formatProblem(text, size.vl >>> 3);
  if (problem !== null) env.refuse("format", problem);
}

/** LSM hooks take a bounded result. */
function checkSetReturn(env: Env): void {
  const range = env.kind.type === "lsm" ? { min: -MAX_ERRNO, max: 0 } : null;
  const reg = env.frame.reg(1);
  if (range !== null && (reg.kind !== kind.scalar || reg.smin < range.min || reg.smax > range.max)) {
    env.refuse("return-range", "the result that is set is not one of the hook's");
  }
}

/** An array always has the element of a constant index in range (get_constant_map_key, since 6.15). */
function hasConstantKey(env: Env, call: CallInfo): boolean {
  const { map } = call;
  if (map === null || env.kind.kernel < 6015) return false;
  if (map.type !== "array" && map.type !== "percpu_array") return false;
  const key = env.frame.reg(2);
  if (key.kind !== kind.stack || !key.isConst) return false;
  const frame = env.state.frames[key.size];
  const off = key.off + key.vl;
  const index = (-off - 1) >> 3;
  if (frame === undefined) return false;
  const slot = frame.slot(index);
  const at = off & 7;
  let zeros = 0;
  for (let i = at; i < 8 && slot.at(i) === byte.zero; i++) zeros++;
  if (zeros >= 4) return map.maxEntries > 0;
  if (!slot.isSpill || slot.reg === null || slot.reg.kind !== kind.scalar || at !== 0 || spillSize(slot) !== 4)
    return false;
  if (!slot.reg.isConst || slot.reg.umax >= map.maxEntries) return false;
  markMany(env, [{ frame: key.size, register: -1, slot: index }]);
  return true;
}

function result(env: Env, prototype: Prototype, call: CallInfo, isThere: boolean): Reg {
  switch (prototype.returns) {
    case "void":
      return NOTHING;
    case "int":
      return integer(env, prototype, call);
    case "value":
      return valueOf(env, call, false);
    case "value?":
      return mapValue(env, prototype, call, isThere);
    case "sock?":
      return nullable(env, prototype, call, kind.socket);
    case "skc?":
      return nullable(env, prototype, call, kind.sockCommon);
    case "tcp?":
      return nullable(env, prototype, call, kind.tcpSock);
    case "record?":
      return record(env, call);
    case "slice?":
      return slice(env, call);
    default:
      return typed(env, prototype, call);
  }
}

const readers = new Set([
  "probe_read_str",
  "probe_read_user_str",
  "probe_read_kernel_str",
  "get_stack",
  "get_task_stack",
]);

/** do_refine_retval_range */
function integer(env: Env, prototype: Prototype, call: CallInfo): Reg {
  const { name } = prototype.helper;
  if (readers.has(name)) return arithmeticFreeRange(-MAX_ERRNO, call.maxSize);
  if (name === "get_smp_processor_id") return arithmeticFreeRange(0, env.cpus - 1);
  return UNKNOWN;
}

function valueOf(env: Env, call: CallInfo, isNullable: boolean): Reg {
  const reg = pointer(kind.mapValue, isNullable ? flag.maybeNull : 0);
  reg.map = call.map;
  reg.mapUid = call.mapUid;
  const hasLock =
    call.map?.fields.some((field) => field.kind === "spin_lock" || field.kind === "res_spin_lock") === true;
  if (isNullable || hasLock) reg.id = env.newId();
  return reg;
}

function mapValue(env: Env, prototype: Prototype, call: CallInfo, isThere: boolean): Reg {
  const reg = valueOf(env, call, !isThere);
  const type = call.map?.type;
  if (prototype.helper.name === "map_lookup_elem" && (type === "sockmap" || type === "sockhash"))
    reg.ref = acquire(env);
  if (reg.ref !== 0) reg.id = reg.ref;
  return reg;
}

function nullable(env: Env, prototype: Prototype, call: CallInfo, what: Reg["kind"]): Reg {
  const reg = pointer(what, flag.maybeNull);
  reg.id = env.newId();
  if (prototype.acquires) {
    reg.ref = acquire(env);
    reg.id = reg.ref;
  } else if (prototype.args[0]?.kind === "skc" && prototype.helper.name !== "get_listener_sock") reg.ref = call.ref;
  return reg;
}

function record(env: Env, call: CallInfo): Reg {
  const reg = pointer(kind.memory, flag.maybeNull | flag.ringbuf);
  reg.size = call.allocated;
  reg.ref = acquire(env);
  reg.id = reg.ref;
  return reg;
}

function slice(env: Env, call: CallInfo): Reg {
  const reg = pointer(kind.memory, flag.maybeNull);
  reg.size = call.allocated;
  reg.id = env.newId();
  reg.ref = call.dynptr?.ref ?? 0;
  reg.mapUid = call.dynptr?.id ?? 0;
  if (((call.dynptr?.flags ?? 0) & flag.readOnly) !== 0) reg.flags |= flag.readOnly;
  return reg;
}

function typed(env: Env, prototype: Prototype, call: CallInfo): Reg {
  const isNullable = prototype.returns.endsWith("?");
  if (prototype.returns === "kptr?") return exchanged(env, call);
  const reg = pointer(kind.btf, isNullable ? flag.maybeNull : 0);
  if (isNullable) reg.id = env.newId();
  if (prototype.returns.startsWith("percpu")) {
    reg.typeId = call.typed?.typeId ?? 0;
    reg.ownType = call.typed?.ownType ?? false;
    // What the program allocated may be written.
    if (call.typed !== null && (call.typed.flags & flag.rcu) !== 0)
      reg.flags |= flag.rcu | (reg.ownType ? flag.alloc : 0);
    return reg;
  }
  reg.flags |= flag.trusted;
  reg.typeId = env.kernel?.structNamed(prototype.returnType) ?? 0;
  if (reg.typeId === 0) env.refuse("unresolved", `the kernel's types are needed for struct ${prototype.returnType}`);
  if (prototype.args[0]?.kind === "sock") reg.ref = call.ref;
  return reg;
}

/** What was in the field, with its reference. */
function exchanged(env: Env, call: CallInfo): Reg {
  const reg = pointer(kind.btf, flag.maybeNull);
  Object.assign(reg, kernelTypeOf(env, call.pointerField?.typeId ?? 0));
  if (reg.ownType) reg.flags |= flag.alloc;
  if (call.pointerField?.kind === "kptr_percpu") reg.flags |= flag.percpu;
  reg.ref = acquire(env);
  reg.id = reg.ref;
  return reg;
}
