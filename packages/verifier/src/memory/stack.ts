/**
 * @module
 * The stack of a frame: spills and fills with everything that was known, bytes otherwise (check_stack_read, check_stack_write,
 * check_stack_range_initialized; kernel/bpf/verifier.c). Offsets count from the frame's end and are negative.
 */
import type { Env } from "../env.ts";
import { MAX_OFFSET, STACK_SIZE } from "../env.ts";
import { markPrecise } from "../pruning/precision.ts";
import type { Reg } from "../register.ts";
import { UNKNOWN, constant, kind } from "../register.ts";
import { ALL_MISC, INVALID_SLOT, Slot, byte } from "../state.ts";
import type { Frame } from "../state.ts";
import { hidesAddresses, refuseAddress } from "../privilege/privilege.ts";
import { destroyDynptrAt } from "./objects.ts";

/** The slot of an offset: 0 is fp-8 to fp-1. */
export function slotOf(offset: number): number {
  return (-offset - 1) >> 3;
}

function byteOf(offset: number): number {
  return offset & 7;
}

/** Marks a slot as read by this path: up to the checkpoint before its last write, states must agree in it. */
export function markRead(env: Env, frame: number, slot: number): void {
  const bit = 1 << (slot & 31);
  const high = slot >= 32;
  for (let state = env.state; ;) {
    const own = state.frames[frame] as Frame;
    if (((high ? own.wroteHigh : own.wroteLow) & bit) !== 0) return;
    const { parent } = state;
    const above = parent?.frames[frame];
    if (parent === null || above === undefined) return;
    if (((high ? above.readHigh : above.readLow) & bit) !== 0) return;
    if (high) above.readHigh |= bit;
    else above.readLow |= bit;
    state = parent;
  }
}

function noteAccess(env: Env, frame: number, slot: number): void {
  env.stackAccess = (frame << 8) | slot;
}

export interface StackRange {
  readonly frame: Frame;
  readonly frameIndex: number;
  /** Lowest offset, and the one after the highest. */
  readonly min: number;
  readonly end: number;
  readonly isConst: boolean;
}

/** Where an access of `size` bytes at `off` from a stack pointer can go; grows the frame. */
export function stackRange(env: Env, ptr: Reg, off: number, size: number): StackRange {
  const frame = env.state.frames[ptr.size] as Frame;
  const fixed = ptr.off + off;
  if (!ptr.isConst && (ptr.smax >= MAX_OFFSET || ptr.smin <= -MAX_OFFSET)) {
    env.refuse("stack-variable", "the offset into the stack has no bounds");
  }
  const min = fixed + (ptr.isConst ? ptr.vl : Math.max(ptr.smin, -STACK_SIZE * 2));
  const end = fixed + (ptr.isConst ? ptr.vl : Math.min(ptr.smax, STACK_SIZE)) + size;
  if (min < -STACK_SIZE || end > 0) {
    const where = ptr.isConst ? `fp${min < 0 ? min : `+${min}`}` : `between fp${min} and fp${end}`;
    env.refuse("stack-bounds", `${size} bytes at ${where} are outside of the stack of ${STACK_SIZE} bytes`);
  }
  const clipped = Math.max(min, -STACK_SIZE);
  grow(env, frame, clipped);
  return { frame, frameIndex: ptr.size, min: clipped, end: Math.min(end, 0), isConst: ptr.isConst };
}

function grow(env: Env, frame: Frame, min: number): void {
  if (min >= 0) return;
  const wanted = slotOf(min) + 1;
  while (frame.stack.length < wanted) frame.stack.push(INVALID_SLOT);
  const used = env.stackUse[frame.subprogram] as number;
  if (-min > used) env.stackUse[frame.subprogram] = -min;
}

function checkAlignment(env: Env, ptr: Reg, off: number, size: number): void {
  const low = ptr.off + off;
  const isAligned = ptr.isConst ? ((low + ptr.vl) & (size - 1)) === 0 : ((low | ptr.vl | ptr.ml) & (size - 1)) === 0;
  if (!isAligned) env.refuse("stack-alignment", `${size} bytes at fp${low} are not aligned`);
}

/** Types with `size` bytes from `at` set. */
export function withBytes(types: number, at: number, size: number, type: number): number {
  let result = types;
  for (let index = at; index < at + size; index++) result = (result & ~(15 << (index * 4))) | (type << (index * 4));
  return result;
}

/** What is left of a slot when its register is spoiled: bytes without more knowledge. */
function spoiled(slot: Slot): number {
  let { types } = slot;
  for (let index = 0; index < 8; index++)
    if (slot.at(index) === byte.spill) types = withBytes(types, index, 1, byte.misc);
  return types;
}

/** Bits that a scalar may use. */
export function fits(reg: Reg, size: number): boolean {
  return size === 8 || reg.umax < 2 ** (size * 8);
}

/** A load: what the register becomes, before it is cut or extended to its size. */
export function readStack(env: Env, ptr: Reg, off: number, size: number): Reg {
  checkAlignment(env, ptr, off, size);
  const range = stackRange(env, ptr, off, size);
  return range.isConst ? readFixed(env, range, size) : readVariable(env, range);
}

function readFixed(env: Env, range: StackRange, size: number): Reg {
  const { frame, min } = range;
  const index = slotOf(min);
  const slot = frame.slot(index);
  const at = byteOf(min);
  markRead(env, range.frameIndex, index);
  noteAccess(env, range.frameIndex, index);
  if (!slot.isSpill || slot.reg === null) return readBytes(env, slot, at, size);
  const spilled = spillSize(slot);
  if (size === 8 && spilled === 8) return slot.reg;
  if (slot.reg.kind !== kind.scalar) {
    env.refuse("not-a-pointer", `a part of a spilled pointer at fp${min} is read`);
    return UNKNOWN;
  }
  if (size <= spilled && at === 0) {
    if (fits(slot.reg, size)) return slot.reg;
    const cut = slot.reg.clone();
    cut.id = 0;
    cut.linked = false;
    return cut;
  }
  const spillBytes = Math.max(0, Math.min(spilled, at + size) - at);
  if (spillBytes === size && slot.reg.isNumber(0)) return constant(0);
  return readBytes(env, slot, at, size);
}

export function spillSize(slot: Slot): number {
  let size = 0;
  while (size < 8 && slot.at(size) === byte.spill) size++;
  return size;
}

function readBytes(env: Env, slot: Slot, at: number, size: number): Reg {
  let zeros = 0;
  for (let index = at; index < at + size; index++) {
    const type = slot.at(index);
    if (type === byte.zero) zeros++;
    else if (type === byte.invalid) noteUninitialised(env);
    else if (type >= byte.dynptr) {
      env.refuse("uninitialised-stack", "a dynptr, iterator or interrupt state on the stack is read as plain bytes");
    }
  }
  return zeros === size ? constant(0) : UNKNOWN;
}

function noteUninitialised(env: Env): void {
  if (hidesAddresses(env)) env.refuse("unwritten-stack", "stack is read that was never written");
  if (env.uninitialised < 0) env.uninitialised = env.at;
}

function readVariable(env: Env, range: StackRange): Reg {
  checkReadable(env, range, false);
  let allZero = true;
  for (let at = range.min; at < range.end && allZero; at++) {
    allZero = range.frame.slot(slotOf(at)).at(byteOf(at)) === byte.zero;
  }
  return allZero ? constant(0) : UNKNOWN;
}

/** Bytes that a helper or a load at a variable offset reads; `clobber`: they are written too. */
export function checkReadable(env: Env, range: StackRange, clobber: boolean): void {
  const { frame } = range;
  for (let at = range.min; at < range.end; at++) {
    const index = slotOf(at);
    const slot = frame.slot(index);
    const type = slot.at(byteOf(at));
    if (type >= byte.dynptr) {
      env.refuse(
        "uninitialised-stack",
        `fp${at} holds a dynptr, iterator or interrupt state and is read as plain bytes`,
      );
    }
    if (type === byte.invalid) noteUninitialised(env);
    if (type === byte.spill && slot.reg !== null)
      refuseAddress(env, slot.reg, `fp${at} holds a pointer and is read as plain bytes`);
    if (clobber) frame.stack[index] = clobbered(slot, byteOf(at));
    if (at === range.min || byteOf(at) === 0) markRead(env, range.frameIndex, index);
  }
}

function clobbered(slot: Slot, at: number): Slot {
  if (slot.at(at) === byte.misc) return slot;
  return new Slot(withBytes(spoiled(slot), at, 1, byte.misc), null);
}

/** Bytes that a helper writes without reading them: dynptrs there would be lost. */
export function checkOverwritable(env: Env, range: StackRange): void {
  for (let at = range.min; at < range.end; at++) {
    if (range.frame.slot(slotOf(at)).at(byteOf(at)) === byte.dynptr) {
      env.refuse("dynptr", `fp${at} holds a dynptr and may be overwritten`);
    }
  }
}

/** Bytes that were written and of which nothing is known. */
export function writeUnknown(env: Env, range: StackRange): void {
  for (let at = range.min; at < range.end;) {
    const index = slotOf(at);
    const size = Math.min(8 - byteOf(at), range.end - at);
    if (range.isConst) putBytes(env, range, { index, at: byteOf(at), size, type: byte.misc });
    else writeVariableSlot(env, range, { index, at: byteOf(at), size });
    at += size;
  }
}

/** What is stored: a register, its number (-1: an immediate). */
export interface Stored {
  readonly reg: Reg;
  readonly register: number;
}

export function writeStack(
  env: Env,
  ptr: Reg,
  access: { readonly off: number; readonly size: number },
  value: Stored,
): void {
  const { off, size } = access;
  checkAlignment(env, ptr, off, size);
  const range = stackRange(env, ptr, off, size);
  if (range.isConst) writeFixed(env, range, value);
  else writeVariable(env, range, value);
}

interface Bytes {
  readonly index: number;
  readonly at: number;
  readonly size: number;
}

function writeFixed(env: Env, range: StackRange, value: Stored): void {
  const size = range.end - range.min;
  const index = slotOf(range.min);
  const at = byteOf(range.min);
  const { reg } = value;
  const old = range.frame.slot(index);
  if (size !== 8 && old.isSpill && old.reg !== null)
    refuseAddress(env, old.reg, `a part of the pointer at fp${range.min - at} is overwritten`);
  destroyDynptrAt(env, range.frame, index);
  noteAccess(env, range.frameIndex, index);
  // Without CAP_BPF nothing is known of numbers on the stack but that they are 0.
  if (reg.kind === kind.scalar && at === 0 && env.kind.privilege !== "none") {
    spillScalar(env, range, { index, size, value });
  } else if (reg.kind !== kind.scalar && reg.kind !== kind.none) {
    if (size !== 8) env.refuse("not-a-pointer", `a pointer is stored in ${size} bytes`);
    if (range.frameIndex !== env.state.frames.length - 1 && reg.kind === kind.stack) {
      env.refuse("pointer-leak", "a pointer to the stack is stored in a caller's frame");
    }
    range.frame.stack[index] = new Slot(withBytes(0, 0, 8, byte.spill), reg);
    range.frame.wrote(index);
  } else {
    const isZero = reg.isNumber(0);
    // What rests on the bytes being zero rests on the register's value.
    if (isZero && value.register >= 0) markPrecise(env, value.register);
    putBytes(env, range, { index, at, size, type: isZero ? byte.zero : byte.misc });
  }
}

function spillScalar(env: Env, range: StackRange, spill: { index: number; size: number; value: Stored }): void {
  const { index, size, value } = spill;
  let { reg } = value;
  const isWhole = fits(reg, size);
  if (value.register >= 0 && isWhole && (reg.linked || (reg.id === 0 && !reg.isConst))) {
    // The slot and the register are one value from here on.
    reg = reg.clone();
    reg.linked = false;
    reg.off = 0;
    reg.id = reg.isConst ? 0 : env.newId();
    env.frame.regs[value.register] = reg;
  } else if (!isWhole && reg.id !== 0) {
    reg = reg.clone();
    reg.id = 0;
    reg.linked = false;
  }
  const old = range.frame.slot(index);
  let types = size === 8 ? 0 : spoiled(old);
  if (size < 8) for (let i = size; i < 8; i++) if (old.at(i) >= byte.dynptr) types = withBytes(types, i, 1, byte.misc);
  range.frame.stack[index] = new Slot(withBytes(types, 0, size, byte.spill), reg);
  if (size === 8) range.frame.wrote(index);
}

function putBytes(env: Env, range: StackRange, bytes: Bytes & { readonly type: number }): void {
  const { frame } = range;
  const old = frame.slot(bytes.index);
  destroyDynptrAt(env, frame, bytes.index);
  let types = spoiled(frame.slot(bytes.index));
  for (let i = 0; i < 8; i++)
    if (old.at(i) === byte.iterator || old.at(i) === byte.irq) types = withBytes(types, i, 1, byte.misc);
  frame.stack[bytes.index] = new Slot(withBytes(types, bytes.at, bytes.size, bytes.type), null);
  if (bytes.size === 8) frame.wrote(bytes.index);
}

function writeVariable(env: Env, range: StackRange, value: Stored): void {
  const isZero = value.reg.isNumber(0);
  let usedZero = false;
  for (let at = range.min; at < range.end; at++) {
    const index = slotOf(at);
    destroyDynptrAt(env, range.frame, index);
    const slot = range.frame.slot(index);
    const type = slot.at(byteOf(at));
    if (isZero && (type === byte.zero || (type === byte.spill && slot.reg?.isNumber(0) === true))) {
      usedZero = true;
      continue;
    }
    range.frame.stack[index] = new Slot(withBytes(spoiled(slot), byteOf(at), 1, byte.misc), null);
  }
  if (usedZero && value.register >= 0) markPrecise(env, value.register);
}

function writeVariableSlot(env: Env, range: StackRange, bytes: Bytes): void {
  destroyDynptrAt(env, range.frame, bytes.index);
  const slot = range.frame.slot(bytes.index);
  const types = bytes.size === 8 ? ALL_MISC : withBytes(spoiled(slot), bytes.at, bytes.size, byte.misc);
  range.frame.stack[bytes.index] = new Slot(types, null);
}
