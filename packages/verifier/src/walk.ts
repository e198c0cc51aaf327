/**
 * @module
 * Walks every path of a program (do_check, kernel/bpf/verifier.c).
 */
import { CALL, EXIT, LDDW, atomicImm, insnClass, jmpBits, modeBits, pseudo, pseudoCall } from "@skep/isa";
import { callHelper, clobber } from "./calls/helper.ts";
import { callLocal, leave } from "./calls/local.ts";
import { callKernelFunction } from "./calls/kfunc.ts";
import { checkNothingHeld } from "./calls/references.ts";
import type { Env } from "./env.ts";
import { load, store } from "./memory/access.ts";
import type { Access } from "./memory/access.ts";
import { refuseAddress } from "./privilege/privilege.ts";
import { kindName } from "./explain/describe.ts";
import { finishPath } from "./pruning/visit.ts";
import type { Explored } from "./pruning/visit.ts";
import { Reg, UNKNOWN, constant, constantWords, flag, kind, pointer } from "./register.ts";
import { stepArithmetic } from "./step/arithmetic.ts";
import { pushBranch } from "./step/branches.ts";
import { stepJump } from "./step/jump.ts";

/** BPF_COMPLEXITY_LIMIT_INSNS */
export const BUDGET = 1_000_000;

export interface WalkContext {
  readonly explored: Explored;
  readonly prune: Uint8Array;
  /** What is wrong with an instruction's fields. */
  readonly malformed: ReadonlyMap<number, string>;
  readonly budget: number;
}

/** Walks `env.state` and everything that it forks, to the end. */
export function walk(env: Env, context: WalkContext): void {
  const { count } = env.code;
  const { visits } = env.knowledge;
  for (;;) {
    const { state } = env;
    const { at } = state;
    env.at = at;
    if (at < 0 || at >= count) {
      env.refuse("falls-off", "the path leads behind the program");
      if (!next(env)) return;
      continue;
    }
    if (++env.processed > context.budget) {
      env.refuse("too-complex", `more than ${context.budget} instructions were walked`);
      return;
    }
    visits[at] = (visits[at] as number) + 1;
    if (context.prune[at] === 1 && context.explored.visit(env)) {
      if (!next(env)) return;
      continue;
    }
    state.history.push(at);
    env.stackAccess = -1;
    const ends = step(env, context);
    if (env.stackAccess >= 0) {
      state.history[state.history.length - 1] = at + (env.stackAccess + 1) * 0x10_0000;
      state.weight++;
    }
    if (ends && !next(env)) return;
  }
}

/** The path is walked; on to one that waits. */
function next(env: Env): boolean {
  finishPath(env.state);
  const waiting = env.waiting.pop();
  if (waiting === undefined) return false;
  env.state = waiting;
  return true;
}

/** True: the path ends here. */
function step(env: Env, context: WalkContext): boolean {
  const { code, at, state } = env;
  if (context.malformed.size > 0) {
    const problem = context.malformed.get(at);
    if (problem !== undefined) env.refuse("malformed", problem);
  }
  const opcode = code.opcode[at] as number;
  switch (opcode & 7) {
    case insnClass.alu:
    case insnClass.alu64:
      stepArithmetic(env);
      break;
    case insnClass.ldx:
      stepLoad(env, opcode);
      break;
    case insnClass.st:
    case insnClass.stx:
      stepStore(env, opcode);
      break;
    case insnClass.ld:
      stepWide(env, opcode);
      if (opcode !== LDDW && state.frames.length > 1) return leaveEarly(env, constant(0));
      break;
    default:
      return stepControl(env, opcode);
  }
  state.at = at + 1;
  return false;
}

/** Bytes of a load or store. */
const sizes = [4, 2, 1, 8];

function accessOf(env: Env, register: number, opcode: number): Access {
  return { register, off: env.code.offset[env.at] as number, size: sizes[(opcode & 0x18) >> 3] as number };
}

function stepLoad(env: Env, opcode: number): void {
  const access = accessOf(env, env.code.src[env.at] as number, opcode);
  const value = load(env, access, (opcode & 0xe0) === modeBits.memsx);
  env.write(env.code.dst[env.at] as number, value);
}

function stepStore(env: Env, opcode: number): void {
  const { code, at } = env;
  const access = accessOf(env, code.dst[at] as number, opcode);
  if ((opcode & 7) === insnClass.st) {
    store(env, access, { reg: constant(code.imm[at] as number), register: -1 });
    return;
  }
  if ((opcode & 0xe0) === modeBits.atomic) {
    stepAtomic(env, access);
    return;
  }
  const src = code.src[at] as number;
  const reg = env.read(src);
  store(env, access, { reg, register: src });
}

function mayBeAtomic(ptr: Reg): boolean {
  switch (ptr.kind) {
    case kind.context:
    case kind.packet:
    case kind.packetMeta:
    case kind.flowKeys:
    case kind.socket:
    case kind.sockCommon:
    case kind.tcpSock:
    case kind.xdpSock:
      return false;
    default:
      return true;
  }
}

function stepAtomic(env: Env, access: Access): void {
  const { code, at } = env;
  const imm = code.imm[at] as number;
  if (imm === atomicImm.loadAcquire) {
    const from = { ...access, register: code.src[at] as number };
    checkAtomic(env, from);
    env.write(code.dst[at] as number, load(env, from));
    return;
  }
  const src = code.src[at] as number;
  const value = env.read(src);
  checkAtomic(env, access);
  if (imm === atomicImm.storeRelease) {
    store(env, access, { reg: value, register: src });
    return;
  }
  refuseAddress(env, value, `the pointer in r${src} goes into memory`);
  if (imm === atomicImm.cmpxchg) refuseAddress(env, env.read(0), "the pointer in r0 is compared with memory");
  const old = load(env, access);
  refuseAddress(env, old, "a pointer on the stack is used as a number");
  const loaded = imm === atomicImm.cmpxchg ? 0 : (imm & atomicImm.fetch) !== 0 ? src : -1;
  storeUnknown(env, access);
  if (loaded >= 0) env.write(loaded, old.kind === kind.scalar ? old : UNKNOWN);
}

/** A store of something without a register: bytes on the stack become unknown. */
function storeUnknown(env: Env, access: Access): void {
  store(env, access, { reg: NO_VALUE, register: -1 });
}

const NO_VALUE = new Reg();

function checkAtomic(env: Env, access: Access): void {
  const ptr = env.read(access.register);
  if (!mayBeAtomic(ptr))
    env.refuse("atomic", `r${access.register} (${kindName(ptr)}) is no memory for atomic operations`);
  const low = ptr.off + access.off;
  if (
    ptr.kind !== kind.stack &&
    ptr.kind !== kind.arena &&
    ((low | ptr.vl | ptr.ml) & (access.size - 1)) !== 0 &&
    ptr.kind !== kind.btf
  ) {
    env.refuse("misaligned", `an atomic operation of ${access.size} bytes at an offset that is not aligned`);
  }
}

function stepWide(env: Env, opcode: number): void {
  const { code, at } = env;
  if (opcode !== LDDW) {
    stepPacketLoad(env, opcode);
    return;
  }
  env.write(code.dst[at] as number, wideValue(env));
}

function wideValue(env: Env): Reg {
  const { code, at } = env;
  const target = code.targets.get(at);
  const src = code.src[at] as number;
  if (src === pseudo.func) return functionPointer(env);
  if (target === undefined) {
    if (src !== 0) env.refuse("unresolved", "the instruction loads an address that is not known");
    return constantWords(code.imm[at] as number, code.high[at] as number);
  }
  switch (target.kind) {
    case "map": {
      const reg = pointer(kind.map);
      reg.map = target.map;
      return reg;
    }
    case "value":
      return valuePointer(env, target);
    case "ksym":
      return symbolPointer(env, target);
    default:
      return UNKNOWN;
  }
}

function valuePointer(env: Env, target: { readonly map: Reg["map"]; readonly offset: number }): Reg {
  if (target.map?.type === "arena") {
    const arena = UNKNOWN.clone();
    arena.kind = kind.arena;
    return arena;
  }
  const reg = pointer(kind.mapValue);
  reg.map = target.map;
  reg.off = target.offset;
  return reg;
}

function functionPointer(env: Env): Reg {
  const reg = pointer(kind.function);
  reg.size = env.code.subprogramOf[env.code.target[env.at] as number] ?? 0;
  if (env.code.subprograms[reg.size]?.isGlobal === true) env.refuse("callback", "a callback must be a static function");
  return reg;
}

/** A variable of the kernel: by its type, or as an address. */
function symbolPointer(
  env: Env,
  target: { readonly name: string; readonly weak: boolean; readonly typed: boolean; readonly fn: string | null },
): Reg {
  const { kernel } = env;
  if (!target.typed) return UNKNOWN;
  const id = kernel?.named(target.name, "var") ?? 0;
  // A function's address is memory of no size, and not null (check_pseudo_btf_id).
  if (target.fn !== null) return pointer(kind.memory, flag.readOnly);
  const variable = kernel?.view.get(id) ?? null;
  if (kernel === null || variable?.kind !== "var") {
    if (!target.weak) env.refuse("unresolved", `the kernel's types have no variable ${target.name}`);
    return constant(0);
  }
  const reg = pointer(kind.btf);
  const isStruct = kernel.walk(variable.typeId, 0, 1).kind !== "scalar" || kernel.sizeOf(variable.typeId) > 8;
  const type = kernel.view.get(variable.typeId);
  if (!isStruct && type?.kind !== "struct") {
    const memory = pointer(kind.memory, flag.readOnly);
    memory.size = kernel.sizeOf(variable.typeId);
    return memory;
  }
  reg.typeId = variable.typeId;
  return reg;
}

const TAIL_CALL = 12;
const skbTypes = new Set(["socket_filter", "sched_cls", "sched_act"]);

/** The old loads from packets: they end the program where the packet is too short. */
function stepPacketLoad(env: Env, opcode: number): void {
  const { code, at } = env;
  const mode = opcode & 0xe0;
  if (mode !== modeBits.abs && mode !== modeBits.ind) {
    env.refuse("malformed", `there is no instruction 0x${opcode.toString(16)}`);
    return;
  }
  if (!skbTypes.has(env.kind.type)) env.refuse("context-access", `${env.kind.type} programs have no packet loads`);
  checkNothingHeld(env, "a packet load, which can end the program,");
  if (mode === modeBits.ind) env.read(code.src[at] as number);
  const context = env.read(6);
  if (context.kind !== kind.context || context.off !== 0) env.refuse("argument-type", "r6 must hold the context");
  clobber(env);
  env.frame.regs[0] = UNKNOWN;
}

/** What can end a function in its middle: one path goes on, one returns to the caller (check_ld_abs, check_helper_call). */
function leaveEarly(env: Env, result: Reg): boolean {
  pushBranch(env, env.at + 1);
  env.frame.regs[0] = result;
  return leave(env);
}

function stepControl(env: Env, opcode: number): boolean {
  const { code, at, state } = env;
  const op = opcode & 0xf0;
  if (opcode === CALL) return stepCall(env);
  env.jumps++;
  state.weight++;
  if (opcode === EXIT) return leave(env);
  if (op === jmpBits.ja) {
    state.at = code.target[at] as number;
    return false;
  }
  stepJump(env);
  return false;
}

/** True: the path ends here. */
function stepCall(env: Env): boolean {
  const { code, at, state } = env;
  env.jumps++;
  state.weight++;
  const src = code.src[at] as number;
  if (src === pseudoCall.local) {
    callLocal(env);
    return false;
  }
  if (src === pseudoCall.kfunc) {
    if (callKernelFunction(env)) return true;
  } else callHelper(env, code.imm[at] as number);
  if (env.state === state) state.at = at + 1;
  if (src === 0 && code.imm[at] === TAIL_CALL && state.frames.length > 1) return leaveEarly(env, UNKNOWN);
  return false;
}
