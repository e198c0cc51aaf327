/**
 * @module
 * Precision: a number that something rests on (an offset, a size, a decided branch) must be compared when states are; what it was computed
 * from must be too. Marks go backwards through the instructions of the path into its checkpoints (__mark_chain_precision,
 * kernel/bpf/verifier.c).
 */
import { CALL, EXIT, LDDW, atomicImm, insnClass, jmpBits, modeBits } from "@skep/isa";
import type { Env } from "../env.ts";
import type { Code } from "../program/code.ts";
import { isLocalCall } from "../program/code.ts";
import { kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { Slot } from "../state.ts";
import type { Frame, State } from "../state.ts";

const FRAMES = 8;
const ARGUMENTS = 0x3e;
const R0 = 1;

/** Registers and slots whose sources are looked for, by frame. */
class Wanted {
  frame = 0;
  readonly regs = new Int32Array(FRAMES);
  readonly slotsLow = new Int32Array(FRAMES);
  readonly slotsHigh = new Int32Array(FRAMES);

  start(frame: number): void {
    this.frame = frame;
    this.regs.fill(0);
    this.slotsLow.fill(0);
    this.slotsHigh.fill(0);
  }

  get isEmpty(): boolean {
    for (let i = 0; i < FRAMES; i++) {
      if (((this.regs[i] as number) | (this.slotsLow[i] as number) | (this.slotsHigh[i] as number)) !== 0) return false;
    }
    return true;
  }

  get mask(): number {
    return this.regs[this.frame] as number;
  }

  has(index: number): boolean {
    return (this.mask & (1 << index)) !== 0;
  }

  set(index: number): void {
    this.regs[this.frame] = this.mask | (1 << index);
  }

  clear(bits: number): void {
    this.regs[this.frame] = this.mask & ~bits;
  }

  hasSlot(frame: number, slot: number): boolean {
    const mask = (slot < 32 ? this.slotsLow[frame] : this.slotsHigh[frame]) as number;
    return (mask & (1 << (slot & 31))) !== 0;
  }

  setSlot(frame: number, slot: number): void {
    if (slot < 32) this.slotsLow[frame] = (this.slotsLow[frame] as number) | (1 << slot);
    else this.slotsHigh[frame] = (this.slotsHigh[frame] as number) | (1 << (slot - 32));
  }

  clearSlot(frame: number, slot: number): void {
    if (slot < 32) this.slotsLow[frame] = (this.slotsLow[frame] as number) & ~(1 << slot);
    else this.slotsHigh[frame] = (this.slotsHigh[frame] as number) & ~(1 << (slot - 32));
  }
}

/** The one search that is under way. */
const wanted = new Wanted();

/** Marks what the register's value rests on, in all checkpoints of this path. */
export function markPrecise(env: Env, register: number): void {
  const frame = env.state.frames.length - 1;
  if (env.frame.reg(register).kind !== kind.scalar) return;
  wanted.start(frame);
  wanted.set(register);
  trace(env, true);
}

/** Marks registers and slots given as bits by frame: what a checkpoint that this state is equal to rests on. */
export function markMany(
  env: Env,
  marks: { readonly frame: number; readonly register: number; readonly slot: number }[],
): void {
  wanted.start(env.state.frames.length - 1);
  for (const { frame, register, slot } of marks) {
    if (register >= 0) wanted.regs[frame] = (wanted.regs[frame] as number) | (1 << register);
    else wanted.setSlot(frame, slot);
  }
  if (!wanted.isEmpty) trace(env, false);
}

/** `skip`: the last instruction is the one that asks, it is not traced. */
function trace(env: Env, skip: boolean): void {
  let state: State | null = env.state;
  let isFirst = skip;
  let after = skip ? -1 : env.at;
  while (state !== null) {
    const { history } = state;
    for (let i = history.length - 1; i >= 0; i--) {
      const step = history[i] as number;
      const at = step & 0xf_ffff;
      if (isFirst) isFirst = false;
      else {
        const linked = state.links === null ? null : (state.links.get(i) ?? null);
        if (linked !== null) bindLinked(wanted, linked);
        if (!back(env.code, wanted, step, after)) {
          markAll(env.state);
          return;
        }
        if (linked !== null) bindLinked(wanted, linked);
        if (wanted.mask === 0 && wanted.isEmpty) return;
      }
      after = at;
    }
    state = state.parent;
    if (state === null) return;
    markState(state, wanted);
    if (wanted.isEmpty) return;
  }
}

/** Marks in a checkpoint; what is no number, or marked already, is wanted no more. */
function markState(state: State, wanted: Wanted): void {
  for (let f = 0; f < FRAMES; f++) {
    const frame = state.frames[f];
    if (frame === undefined) {
      wanted.regs[f] = 0;
      wanted.slotsLow[f] = 0;
      wanted.slotsHigh[f] = 0;
      continue;
    }
    for (let mask = wanted.regs[f] as number; mask !== 0; mask &= mask - 1) {
      const index = 31 - Math.clz32(mask & -mask);
      const marked = markedReg(frame.reg(index));
      if (marked === null) wanted.regs[f] = (wanted.regs[f] as number) & ~(1 << index);
      else frame.regs[index] = marked;
    }
    markSlots(frame, f, wanted);
  }
}

function markSlots(frame: Frame, f: number, wanted: Wanted): void {
  if (((wanted.slotsLow[f] as number) | (wanted.slotsHigh[f] as number)) === 0) return;
  for (let index = 0; index < 64; index++) {
    if (!wanted.hasSlot(f, index)) continue;
    const slot = frame.slot(index);
    const marked = slot.isSpill && slot.reg !== null ? markedReg(slot.reg) : null;
    if (marked === null) wanted.clearSlot(f, index);
    else frame.stack[index] = new Slot(slot.types, marked);
  }
}

/** Null: there is nothing to mark, or it is marked. */
function markedReg(reg: Reg): Reg | null {
  if (reg.kind !== kind.scalar || reg.precise) return null;
  const marked = reg.clone();
  marked.precise = true;
  return marked;
}

/** What cannot be traced is marked whole. */
function markAll(from: State): void {
  for (let state = from.parent; state !== null; state = state.parent) {
    for (const frame of state.frames) {
      for (let i = 0; i < 10; i++) frame.regs[i] = markedReg(frame.reg(i)) ?? frame.reg(i);
      for (let i = 0; i < frame.stack.length; i++) {
        const slot = frame.slot(i);
        const marked = slot.isSpill && slot.reg !== null ? markedReg(slot.reg) : null;
        if (marked !== null) frame.stack[i] = new Slot(slot.types, marked);
      }
    }
  }
}

function bindLinked(wanted: Wanted, linked: readonly number[]): void {
  const isWanted = linked.some((each) => {
    const frame = (each >> 8) & 0xff;
    return each >= 0x1_0000
      ? wanted.hasSlot(frame, each & 0xff)
      : ((wanted.regs[frame] as number) & (1 << (each & 0xff))) !== 0;
  });
  if (!isWanted) return;
  for (const each of linked) {
    const frame = (each >> 8) & 0xff;
    if (each >= 0x1_0000) wanted.setSlot(frame, each & 0xff);
    else wanted.regs[frame] = (wanted.regs[frame] as number) | (1 << (each & 0xff));
  }
}

/**
 * Moves what is wanted before the instruction. `step`: its entry of the history; `after`: the instruction that was walked next, -1: none.
 * False: it cannot be followed.
 */
function back(code: Code, wanted: Wanted, step: number, after: number): boolean {
  const at = step & 0xf_ffff;
  const opcode = code.opcode[at] as number;
  const dst = code.dst[at] as number;
  switch (opcode & 7) {
    case insnClass.alu:
    case insnClass.alu64:
      if (wanted.has(dst)) backArithmetic(wanted, opcode, dst, code.src[at] as number);
      return true;
    case insnClass.ldx:
      backLoad(wanted, dst, step);
      return true;
    case insnClass.st:
    case insnClass.stx:
      return backStore(code, wanted, step);
    case insnClass.ld:
      wanted.clear(opcode === LDDW ? 1 << dst : R0);
      return true;
    default:
      return backJump(code, wanted, at, after);
  }
}

function stackOf(step: number): number {
  return Math.floor(step / 0x10_0000) - 1;
}

function backArithmetic(wanted: Wanted, opcode: number, dst: number, src: number): void {
  const op = opcode & 0xf0;
  if (op === 0x80 || op === 0xd0) return;
  if (op === 0xb0) wanted.clear(1 << dst);
  if ((opcode & 8) !== 0 && src !== 10) wanted.set(src);
}

function backLoad(wanted: Wanted, register: number, step: number): void {
  if (!wanted.has(register)) return;
  wanted.clear(1 << register);
  const stack = stackOf(step);
  if (stack >= 0) wanted.setSlot(stack >> 8, stack & 0xff);
}

function backStore(code: Code, wanted: Wanted, step: number): boolean {
  const at = step & 0xf_ffff;
  const opcode = code.opcode[at] as number;
  const dst = code.dst[at] as number;
  const src = code.src[at] as number;
  if ((opcode & 7) === insnClass.stx && (opcode & 0xe0) === modeBits.atomic) {
    const imm = code.imm[at] as number;
    if (imm === atomicImm.loadAcquire) {
      backLoad(wanted, dst, step);
      return true;
    }
    if (imm !== atomicImm.storeRelease) {
      const loaded = imm === atomicImm.cmpxchg ? 0 : (imm & atomicImm.fetch) !== 0 ? src : -1;
      if (loaded >= 0 && wanted.has(loaded)) backLoad(wanted, loaded, step);
    }
  }
  if (wanted.has(dst)) return false;
  const stack = stackOf(step);
  if (stack < 0 || !wanted.hasSlot(stack >> 8, stack & 0xff)) return true;
  wanted.clearSlot(stack >> 8, stack & 0xff);
  if ((opcode & 7) === insnClass.stx) wanted.set(src);
  return true;
}

function backJump(code: Code, wanted: Wanted, at: number, after: number): boolean {
  const opcode = code.opcode[at] as number;
  const op = opcode & 0xf0;
  if (opcode === CALL) return backCall(code, wanted, at, after);
  if (opcode === EXIT) return backExit(code, wanted, after);
  if (op === jmpBits.ja || op === jmpBits.jcond) return true;
  if ((opcode & 8) === 0) return true;
  const dst = code.dst[at] as number;
  const src = code.src[at] as number;
  if (wanted.has(dst) || wanted.has(src)) {
    wanted.set(dst);
    wanted.set(src);
  }
  return true;
}

/** From a callee's beginning to the call, or past a call that was no part of the path. */
function backCall(code: Code, wanted: Wanted, at: number, after: number): boolean {
  if (isLocalCall(code, at)) {
    if (after !== code.target[at]) {
      wanted.clear(R0);
      return (wanted.mask & ARGUMENTS) === 0;
    }
    if ((wanted.mask & ~ARGUMENTS) !== 0 || wanted.frame === 0) return false;
    const args = wanted.mask & ARGUMENTS;
    wanted.regs[wanted.frame] = 0;
    wanted.frame--;
    wanted.regs[wanted.frame] = (wanted.regs[wanted.frame] as number) | args;
    return true;
  }
  const entersCallback = after >= 0 && after !== at + 1;
  if (entersCallback && wanted.frame > 0) {
    wanted.regs[wanted.frame] = 0;
    wanted.slotsLow[wanted.frame] = 0;
    wanted.slotsHigh[wanted.frame] = 0;
    wanted.frame--;
    return true;
  }
  wanted.clear(R0);
  return (wanted.mask & ARGUMENTS) === 0;
}

/** From behind a call into the callee that returned. */
function backExit(code: Code, wanted: Wanted, after: number): boolean {
  if (wanted.frame + 1 >= FRAMES) return false;
  const isCallback = after >= 0 && code.opcode[after] === CALL && !isLocalCall(code, after);
  if (isCallback) wanted.clear(ARGUMENTS);
  if ((wanted.mask & ARGUMENTS) !== 0) return false;
  const isResult = after > 0 && isLocalCall(code, after - 1) && wanted.has(0);
  if (!isCallback) wanted.clear(R0);
  wanted.frame++;
  wanted.regs[wanted.frame] = isResult ? R0 : 0;
  return true;
}
