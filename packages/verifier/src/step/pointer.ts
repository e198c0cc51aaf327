/**
 * @module
 * Pointers moved by numbers (adjust_ptr_min_max_vals, kernel/bpf/verifier.c).
 */
import { aluBits } from "@skep/isa";
import type { Env } from "../env.ts";
import { MAX_OFFSET } from "../env.ts";
import { describeReg, kindName } from "../explain/describe.ts";
import type { Reg } from "../register.ts";
import { S64_MAX, S64_MIN, U64_MAX, UNKNOWN, kind } from "../register.ts";
import { sync, unbound32 } from "../scalar/bounds.ts";
import { refuseAddress } from "../privilege/privilege.ts";
import { closeWindow, openWindow } from "./speculation.ts";
import { arithmetic } from "../scalar/arithmetic.ts";

export interface PointerMove {
  readonly op: number;
  readonly wide: boolean;
  /** The register that is named where something is wrong. */
  readonly register: number;
  /** The register with the number; -1: an immediate. */
  readonly by: number;
  /** `number - pointer`. */
  readonly fromNumber: boolean;
}

/** The pointer after `ptr op= by`. */
export function movePointer(env: Env, ptr: Reg, by: Reg, move: PointerMove): Reg {
  const { op, wide, register } = move;
  if (by.smin > by.smax || by.umin > by.umax) return UNKNOWN;
  if (!wide) {
    refuseAddress(env, ptr, `32-bit arithmetic on r${register} (${kindName(ptr)})`);
    if (op !== aluBits.sub) env.refuse("pointer-arithmetic", `32-bit arithmetic on r${register} (${kindName(ptr)})`);
    return UNKNOWN;
  }
  if (ptr.mayBeNull) {
    env.refuse("maybe-null", `arithmetic on r${register} (${kindName(ptr)}), which may be null`);
    return UNKNOWN;
  }
  checkKind(env, ptr, by, move);
  checkNumber(env, ptr, by, register);
  const window = openWindow(env, ptr, by, move);
  if (op !== aluBits.add && op !== aluBits.sub) {
    env.refuse("pointer-arithmetic", `r${register} (${kindName(ptr)}) can only be added to and subtracted from`);
    return UNKNOWN;
  }
  if (op === aluBits.sub && move.fromNumber) {
    env.refuse("pointer-arithmetic", "a pointer is subtracted from a number");
    return UNKNOWN;
  }
  if (op === aluBits.sub && ptr.kind === kind.stack) {
    env.refuse("pointer-arithmetic", "a number is subtracted from a pointer to the stack: add a negative one");
  }
  const moved = op === aluBits.add ? added(env, ptr, by) : subtracted(env, ptr, by);
  checkOffset(env, moved, register);
  closeWindow(env, moved, move, window);
  return moved;
}

function checkKind(env: Env, ptr: Reg, by: Reg, move: PointerMove): void {
  switch (ptr.kind) {
    case kind.context:
    case kind.mapValue:
    case kind.mapKey:
    case kind.stack:
    case kind.packetMeta:
    case kind.packet:
    case kind.buffer:
    case kind.btf:
    case kind.memory:
    case kind.function:
    case kind.dynptr:
      return;
    case kind.flowKeys:
      if (by.isConst) return;
      break;
    case kind.map:
      if (by.isNumber(0) && move.op === aluBits.add) return;
      break;
    default:
  }
  env.refuse("pointer-arithmetic", `arithmetic on r${move.register} (${kindName(ptr)})`);
}

/** check_reg_sane_offset */
function checkNumber(env: Env, ptr: Reg, by: Reg, register: number): void {
  if (by.smin === S64_MIN && !by.isConst) {
    env.refuse(
      "pointer-bounds",
      `what is added to r${register} (${kindName(ptr)}) has no lower bound: ${describeReg(by)}`,
    );
  } else if (by.smin >= MAX_OFFSET || by.smin <= -MAX_OFFSET) {
    env.refuse("offset-range", `what is added to r${register} (${kindName(ptr)}) goes too far: ${describeReg(by)}`);
  }
}

function checkOffset(env: Env, ptr: Reg, register: number): void {
  if (ptr.off >= MAX_OFFSET || ptr.off <= -MAX_OFFSET) {
    env.refuse("offset-range", `r${register} is moved too far: ${describeReg(ptr)}`);
  }
  if (ptr.smin === S64_MIN) env.refuse("pointer-bounds", `the offset of r${register} has no lower bound`);
  else if (ptr.smin >= MAX_OFFSET || ptr.smin <= -MAX_OFFSET) {
    env.refuse("offset-range", `r${register} is moved too far: ${describeReg(ptr)}`);
  }
}

function fitsWord(value: number): boolean {
  return value === (value | 0);
}

function isPacket(reg: Reg): boolean {
  return reg.kind === kind.packet || reg.kind === kind.packetMeta;
}

function added(env: Env, ptr: Reg, by: Reg): Reg {
  const moved = ptr.clone();
  if (by.isConst && fitsWord(ptr.off + by.smin)) {
    moved.off = ptr.off + by.smin;
    return moved;
  }
  const variable = ptr.clone();
  arithmetic(aluBits.add, variable, by, true);
  takeOffset(moved, variable);
  if (isPacket(ptr)) {
    moved.id = env.newId();
    moved.size = 0;
  }
  return moved;
}

function subtracted(env: Env, ptr: Reg, by: Reg): Reg {
  const moved = ptr.clone();
  if (by.isConst && fitsWord(ptr.off - by.smin)) {
    moved.off = ptr.off - by.smin;
    return moved;
  }
  const variable = ptr.clone();
  arithmetic(aluBits.sub, variable, by, true);
  takeOffset(moved, variable);
  if (isPacket(ptr)) {
    moved.id = env.newId();
    if (by.smin < 0) moved.size = 0;
  }
  return moved;
}

function takeOffset(ptr: Reg, from: Reg): void {
  ptr.vl = from.vl;
  ptr.vh = from.vh;
  ptr.ml = from.ml;
  ptr.mh = from.mh;
  ptr.umin = from.umin;
  ptr.umax = from.umax;
  ptr.smin = from.smin;
  ptr.smax = from.smax;
  // Pointers have no low word.
  unbound32(ptr);
  if (ptr.umax > U64_MAX || ptr.smax > S64_MAX) ptr.umax = U64_MAX;
  sync(ptr);
}
