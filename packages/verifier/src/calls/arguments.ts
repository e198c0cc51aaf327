/**
 * @module
 * Arguments of helpers (check_func_arg, kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { describeReg, kindName } from "../explain/describe.ts";
import type { ArgumentType, Prototype } from "../helpers/prototypes.ts";
import { kernelTypeOf, ownTypesOf } from "../memory/kernel-object.ts";
import { refuseAddress } from "../privilege/privilege.ts";
import { dynptrAt, dynptrKind } from "../memory/objects.ts";
import type { DynptrKind } from "../memory/objects.ts";
import { slotOf, stackRange } from "../memory/stack.ts";
import type { MapInfo, SpecialField } from "../program/maps.ts";
import { fieldOf } from "../program/maps.ts";
import { markPrecise } from "../pruning/precision.ts";
import type { Reg } from "../register.ts";
import { byte } from "../state.ts";
import { flag, kind } from "../register.ts";
import { fieldAt } from "./graph.ts";
import { checkMemory, checkSizedMemory } from "./memory-argument.ts";
import type { Written } from "./memory-argument.ts";

/** What the arguments of a call say about it. */
export interface CallInfo {
  map: MapInfo | null;
  mapUid: number;
  written: Written;
  /** Largest size of the memory arguments. */
  maxSize: number;
  /** A constant size to be allocated. */
  allocated: number;
  /** The reference that an argument holds. */
  ref: number;
  /** The register that is given back; 0: none. */
  released: number;
  subprogram: number;
  /** The dynptr that is read, and a stack place where one is made. */
  dynptr: Reg | null;
  newDynptr: { readonly frame: number; readonly slot: number; readonly kind: number } | null;
  /** The argument of a BTF type, for what the result inherits. */
  typed: Reg | null;
  field: number;
  /** The kernel pointer in a value that is exchanged. */
  pointerField: SpecialField | null;
  /** A constant text, without the zero that ends it. */
  text: Uint8Array | null;
}

export function newCall(): CallInfo {
  return {
    map: null,
    mapUid: 0,
    written: [],
    maxSize: 0,
    allocated: 0,
    ref: 0,
    released: 0,
    subprogram: -1,
    dynptr: null,
    newDynptr: null,
    typed: null,
    field: -1,
    pointerField: null,
    text: null,
  };
}

export function checkArguments(env: Env, prototype: Prototype): CallInfo {
  const call = newCall();
  for (let index = 0; index < prototype.args.length; index++) {
    checkArgument(env, { prototype, index, arg: prototype.args[index] as ArgumentType, call });
  }
  return call;
}

interface Argument {
  readonly prototype: Prototype;
  readonly index: number;
  readonly arg: ArgumentType;
  readonly call: CallInfo;
}

function checkArgument(env: Env, argument: Argument): void {
  const { arg, index, call } = argument;
  const register = index + 1;
  const reg = env.read(register);
  if (arg.kind === "any") {
    refuseAddress(env, reg, `the pointer in r${register} is given to ${argument.prototype.helper.name} as a number`);
    return;
  }
  if (arg.nullable && reg.isNumber(0)) {
    if (arg.kind === "mem" || arg.kind === "out") checkEmptySize(env, argument);
    return;
  }
  if (reg.mayBeNull && !arg.nullable && arg.kind !== "size" && arg.kind !== "size0") {
    env.refuse(
      "maybe-null",
      `r${register} may be null (${kindName(reg)}), which ${argument.prototype.helper.name} does not take`,
    );
    return;
  }
  if (reg.ref !== 0) call.ref = reg.ref;
  const check = checks[arg.kind];
  if (check === undefined) throw new TypeError(`no check for arguments of kind ${arg.kind}`);
  check(env, argument, reg);
}

/** With a null pointer the size must be nothing. */
function checkEmptySize(env: Env, argument: Argument): void {
  const size = env.read(argument.index + 2);
  if (size.kind === kind.scalar && size.umax === 0) return;
  env.refuse("argument-type", `r${argument.index + 1} is null and the size in r${argument.index + 2} is not 0`);
}

function wrong(env: Env, argument: Argument, reg: Reg, wanted: string): void {
  env.refuse(
    "argument-type",
    `r${argument.index + 1} is ${describeReg(reg)}; ${argument.prototype.helper.name} wants ${wanted}`,
  );
}

type Check = (env: Env, argument: Argument, reg: Reg) => void;

const checkContext: Check = (env, argument, reg) => {
  if (reg.kind !== kind.context) wrong(env, argument, reg, "the context");
  else if (reg.off !== 0 || !reg.isConst || reg.vl !== 0)
    env.refuse("context-modified", `r${argument.index + 1} points into the context`);
};

const checkMap: Check = (env, argument, reg) => {
  if (reg.kind !== kind.map) {
    wrong(env, argument, reg, "a map");
    return;
  }
  if (reg.off !== 0 || !reg.isConst) wrong(env, argument, reg, "the map itself");
  const { call } = argument;
  if (call.field >= 0 && call.map !== null && (call.map !== reg.map || call.mapUid !== reg.mapUid)) {
    env.refuse("argument-type", "the timer is not of this map's value");
  }
  call.map = reg.map;
  call.mapUid = reg.mapUid;
};

function memoryCheck(writes: boolean, raw: boolean, sizeOf: (map: MapInfo) => number): Check {
  return (env, argument) => {
    const { call, prototype, index } = argument;
    if (call.map === null) return;
    // What is put into a map of sockets is a socket (resolve_map_arg_type).
    if (argument.arg.kind === "value" && (call.map.type === "sockmap" || call.map.type === "sockhash")) {
      if (!isSocket(env.read(index + 1), true)) wrong(env, argument, env.read(index + 1), "a socket");
      return;
    }
    refuseForeign(env, argument);
    if (sizeOf(call.map) === 0) env.refuse("argument-size", `maps of type ${call.map.type} have nothing of that size`);
    const use = {
      register: index + 1,
      size: sizeOf(call.map),
      writes,
      raw,
      mayBeEmpty: false,
      packet: prototype.mayUsePacket,
    };
    checkMemory(env, use, call.written);
  };
}

/** Memory with its size in the next argument, or of a fixed size. */
function sizedCheck(writes: boolean, raw: boolean): Check {
  return (env, argument) => {
    const { arg, call, index, prototype } = argument;
    // Null was looked at where the helper takes it: no other number is memory, not even of no size.
    if (env.read(index + 1).kind === kind.scalar) {
      wrong(env, argument, env.read(index + 1), "a pointer to memory");
      return;
    }
    refuseForeign(env, argument);
    const common = { register: index + 1, writes, raw, packet: prototype.mayUsePacket };
    if (arg.size > 0) {
      if (arg.strict) checkAligned(env, index + 1, arg.size);
      checkMemory(env, { ...common, size: arg.size, mayBeEmpty: false }, call.written);
      return;
    }
    const size = prototype.args[index + 1];
    if (size?.kind !== "size" && size?.kind !== "size0") return;
    const largest = checkSizedMemory(
      env,
      { ...common, sizeRegister: index + 2, mayBeEmpty: size.kind === "size0" },
      call.written,
    );
    call.maxSize = Math.max(call.maxSize, largest);
  };
}

/**
 * Kernel functions may take the context of a syscall program and objects of the kernel's as memory; helpers take no context, and of the objects
 * those that are trusted, where they only read them (mem_types, check_reg_type).
 */
function refuseForeign(env: Env, argument: Argument): void {
  const reg = env.read(argument.index + 1);
  const isReadable = argument.arg.kind === "mem" && reg.flags === flag.trusted && reg.ref === 0;
  if (reg.kind === kind.context || (reg.kind === kind.btf && !isReadable))
    wrong(env, argument, reg, "a pointer to memory");
}

function checkAligned(env: Env, register: number, size: number): void {
  const reg = env.read(register);
  const low = reg.off + reg.vl;
  if (reg.kind === kind.stack && ((low | reg.ml) & (size - 1)) !== 0) {
    env.refuse("misaligned", `r${register} is not aligned to ${size} bytes`);
  }
}

/** Sizes are looked at with their memory; behind a null pointer nothing is left to say but what they are. */
const checkSize: Check = (env, argument, reg) => {
  if (reg.kind !== kind.scalar) wrong(env, argument, reg, "a size");
};

const checkAllocation: Check = (env, argument, reg) => {
  if (reg.kind !== kind.scalar || !reg.isConst) {
    env.refuse("argument-constant", `r${argument.index + 1} is ${describeReg(reg)}, not a constant size`);
    return;
  }
  markPrecise(env, argument.index + 1);
  argument.call.allocated = reg.umax;
};

function isSocket(reg: Reg, typed: boolean): boolean {
  if (
    reg.kind === kind.socket ||
    reg.kind === kind.sockCommon ||
    reg.kind === kind.tcpSock ||
    reg.kind === kind.xdpSock
  )
    return true;
  return typed && reg.kind === kind.btf && (reg.flags & (flag.trusted | flag.rcu)) !== 0;
}

const checkSocket: Check = (env, argument, reg) => {
  if (!isSocket(reg, true)) wrong(env, argument, reg, "a socket");
  if (!argument.arg.strict) return;
  if (reg.off !== 0) env.refuse("release", `r${argument.index + 1} was moved before it is released`);
  if (reg.ref === 0) env.refuse("release", `r${argument.index + 1} holds no reference`);
  argument.call.released = argument.index + 1;
};

const checkPlainSocket: Check = (env, argument, reg) => {
  if (!isSocket(reg, false)) wrong(env, argument, reg, "a socket");
};

const checkLock: Check = (env, argument, reg) => {
  const isOwn = reg.kind === kind.btf && (reg.flags & flag.alloc) !== 0;
  if (reg.kind !== kind.mapValue && !isOwn)
    wrong(env, argument, reg, "a lock in a map's value or an object of its own");
  else if (!reg.isConst)
    env.refuse("argument-constant", `r${argument.index + 1} must be at a constant offset of the value`);
  else if (fieldAt(env, reg, "spin_lock") === null) {
    env.refuse("argument-type", `there is no bpf_spin_lock at ${reg.off + reg.vl} of ${reg.map?.name ?? "the object"}`);
  }
};

const checkTimer: Check = (env, argument, reg) => {
  const { map } = reg;
  const field = map === null ? null : fieldOf(map, "timer");
  if (reg.kind !== kind.mapValue || map === null) {
    wrong(env, argument, reg, "a timer in a map's value");
    return;
  }
  if (!reg.isConst) env.refuse("argument-constant", `r${argument.index + 1} must be at a constant offset of the value`);
  if (field === null || field.offset !== reg.off + reg.vl) {
    env.refuse("argument-type", `there is no bpf_timer at ${reg.off + reg.vl} of the value of ${map.name}`);
    return;
  }
  argument.call.map = map;
  argument.call.mapUid = reg.mapUid;
  argument.call.field = field.offset;
};

const checkFunction: Check = (env, argument, reg) => {
  if (reg.kind !== kind.function) {
    env.refuse("callback", `r${argument.index + 1} is ${describeReg(reg)}, not a function`);
    return;
  }
  argument.call.subprogram = reg.size;
};

const checkStackArgument: Check = (env, argument, reg) => {
  if (reg.kind !== kind.stack) wrong(env, argument, reg, "a pointer to the stack, or null");
};

const checkString: Check = (env, argument, reg) => {
  const contents = reg.map?.contents ?? null;
  if (reg.kind !== kind.mapValue || contents === null) {
    wrong(env, argument, reg, "a constant text in a read-only section");
    return;
  }
  if (!reg.isConst) env.refuse("argument-constant", `r${argument.index + 1} must point to one text`);
  const at = reg.off + reg.vl;
  const end = at < 0 ? -1 : contents.indexOf(0, at);
  if (end < 0) env.refuse("format", "the text does not end with zero");
  else argument.call.text = contents.subarray(at, end);
};

const checkTyped: Check = (env, argument, reg) => {
  const wanted = argument.arg.detail;
  if (reg.kind !== kind.btf) {
    wrong(env, argument, reg, `a pointer to struct ${wanted}`);
    return;
  }
  if ((reg.flags & (flag.trusted | flag.rcu)) === 0 && (reg.flags & (flag.untrusted | flag.user | flag.percpu)) !== 0) {
    env.refuse("untrusted", `r${argument.index + 1} is a pointer that is not trusted`);
  }
  const name = env.kernel?.nameOf(reg.typeId) ?? "";
  if (env.kernel !== null && !reg.ownType && !env.kernel.hasAt(reg.typeId, reg.off, wanted))
    wrong(env, argument, reg, `a pointer to struct ${wanted}, not struct ${name}`);
  argument.call.typed = reg;
};

const checkPercpu: Check = (env, argument, reg) => {
  const isPercpu = reg.kind === kind.btf && (reg.flags & flag.percpu) !== 0;
  // One that the program has just made is nobody's yet: it is taken from a map under RCU.
  if (!isPercpu || (reg.flags & (flag.alloc | flag.untrusted)) !== 0) wrong(env, argument, reg, "a per-CPU variable");
  argument.call.typed = reg;
};

const checkRecord: Check = (env, argument, reg) => {
  if (reg.kind !== kind.memory || (reg.flags & flag.ringbuf) === 0) {
    wrong(env, argument, reg, "a record of a ring buffer");
    return;
  }
  if (reg.off !== 0 || !reg.isConst || reg.vl !== 0)
    env.refuse("release", `r${argument.index + 1} was moved: the record's start is wanted`);
  if (reg.ref === 0) env.refuse("release", `r${argument.index + 1} holds no reference`);
  argument.call.released = argument.index + 1;
};

function dynptrPlace(env: Env, argument: Argument, reg: Reg): { readonly frame: number; readonly slot: number } | null {
  if (reg.kind !== kind.stack || !reg.isConst) {
    env.refuse("dynptr", `r${argument.index + 1} is ${describeReg(reg)}, not the place of a dynptr on the stack`);
    return null;
  }
  const off = reg.off + reg.vl;
  if ((off & 7) !== 0 || off > -16 || off < -512) {
    env.refuse("dynptr", `a dynptr at fp${off}: it needs 16 aligned bytes`);
    return null;
  }
  stackRange(env, reg, 0, 16);
  return { frame: reg.size, slot: slotOf(off) };
}

const checkNewDynptr: Check = (env, argument, reg) => {
  const place = dynptrPlace(env, argument, reg);
  if (place === null) return;
  const frame = env.state.frames[place.frame];
  const taken = [place.slot, place.slot - 1].map((slot) => frame?.slot(slot));
  if (taken.some((slot) => slot?.at(0) === byte.dynptr && slot.reg !== null && slot.reg.ref !== 0))
    env.refuse("dynptr", "there is a dynptr already that is to be released first");
  const what = dynptrKind[argument.arg.detail as DynptrKind];
  argument.call.newDynptr = { ...place, kind: what };
};

const checkDynptr: Check = (env, argument, reg) => {
  if (reg.kind === kind.dynptr) {
    if (reg.off !== 0 || !reg.isConst || reg.vl !== 0)
      env.refuse("dynptr", `r${argument.index + 1} was moved: it points into a dynptr`);
    argument.call.dynptr = reg;
    return;
  }
  const place = dynptrPlace(env, argument, reg);
  if (place === null) return;
  const frame = env.state.frames[place.frame];
  const found = frame === undefined ? null : dynptrAt(frame, place.slot);
  if (found === null) {
    env.refuse("dynptr", `r${argument.index + 1} points to no dynptr`);
    return;
  }
  const { detail } = argument.arg;
  if (detail !== "" && dynptrKind[detail as DynptrKind] !== found.size)
    env.refuse("dynptr", `the dynptr is not of kind ${detail}`);
  argument.call.dynptr = found;
  argument.call.ref = found.ref;
};

const checkReleasedDynptr: Check = (env, argument, reg) => {
  checkDynptr(env, argument, reg);
  if (argument.call.dynptr === null) return;
  if (reg.kind === kind.dynptr) env.refuse("release", "a dynptr that was handed in is not the program's to release");
  argument.call.released = argument.index + 1;
};

const checkPointerField: Check = (env, argument, reg) => {
  const field = fieldAt(env, reg, "kptr_ref") ?? fieldAt(env, reg, "kptr_percpu");
  if (field === null) {
    wrong(env, argument, reg, "a referenced kernel pointer field of a map's value");
    return;
  }
  argument.call.pointerField = field;
  argument.call.typed = reg;
};

function isType(env: Env, reg: Reg, wanted: Pick<Reg, "typeId" | "ownType">): boolean {
  const types = wanted.ownType ? ownTypesOf(env) : env.kernel;
  if (types === null) return true;
  return reg.ownType === wanted.ownType && types.resolve(reg.typeId) === types.resolve(wanted.typeId);
}

const checkPointerValue: Check = (env, argument, reg) => {
  if (reg.isNumber(0)) return;
  if (reg.kind !== kind.btf) wrong(env, argument, reg, "a kernel pointer, or null");
  else if (reg.ref === 0) env.refuse("release", `r${argument.index + 1} holds no reference`);
  const { pointerField } = argument.call;
  const wanted = pointerField === null ? null : kernelTypeOf(env, pointerField.typeId);
  if (wanted !== null && (reg.off !== 0 || !isType(env, reg, wanted)))
    wrong(env, argument, reg, "a pointer to the type of the field");
  argument.call.released = argument.index + 1;
};

const checks: Readonly<Record<string, Check>> = {
  ctx: checkContext,
  map: checkMap,
  key: memoryCheck(false, false, (map) => map.keySize),
  value: memoryCheck(false, false, (map) => map.valueSize),
  "out-value": memoryCheck(true, true, (map) => map.valueSize),
  mem: sizedCheck(false, false),
  out: sizedCheck(true, true),
  inout: sizedCheck(true, false),
  size: checkSize,
  size0: checkSize,
  alloc: checkAllocation,
  sock: checkSocket,
  skc: checkPlainSocket,
  lock: checkLock,
  timer: checkTimer,
  func: checkFunction,
  stack: checkStackArgument,
  string: checkString,
  btf: checkTyped,
  percpu: checkPercpu,
  record: checkRecord,
  dynptr: checkDynptr,
  "dynptr-new": checkNewDynptr,
  "dynptr-release": checkReleasedDynptr,
  kptr: checkPointerField,
  "kptr-value": checkPointerValue,
};
