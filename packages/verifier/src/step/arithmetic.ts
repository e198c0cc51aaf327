/**
 * @module
 * Instructions of the classes alu and alu64 (check_alu_op, adjust_reg_min_max_vals; kernel/bpf/verifier.c).
 */
import { aluBits, insnClass } from "@skep/isa";
import type { Env } from "../env.ts";
import { markPrecise } from "../pruning/precision.ts";
import { S32_MAX, UNKNOWN, constant, constantWords, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { arithmetic, forget, signExtend } from "../scalar/arithmetic.ts";
import { swapConstant, swapTnum } from "../scalar/swap.ts";
import { sync, truncate, zeroExtend } from "../scalar/bounds.ts";
import { movePointer } from "./pointer.ts";
import { refuseAddress } from "../privilege/privilege.ts";
import { pushBranch } from "./branches.ts";
import { noteNumbers } from "./speculation.ts";

export function stepArithmetic(env: Env): void {
  const { code, at } = env;
  const opcode = code.opcode[at] as number;
  const op = opcode & 0xf0;
  const wide = (opcode & 7) === insnClass.alu64;
  if (op === aluBits.mov) stepMove(env, opcode, wide);
  else if (op === aluBits.end) stepSwap(env, opcode, wide);
  else if (op === aluBits.neg) stepNegate(env, wide);
  else stepBinary(env, op, wide);
}

function stepMove(env: Env, opcode: number, wide: boolean): void {
  const { code, at } = env;
  const dst = code.dst[at] as number;
  if ((opcode & 8) === 0) {
    const imm = code.imm[at] as number;
    env.write(dst, wide ? constant(imm) : constantWords(imm, 0));
    return;
  }
  const src = code.src[at] as number;
  const reg = env.read(src);
  const width = code.offset[at] as number;
  if (width === 1 && (code.imm[at] as number) !== 0) castAddress(env, dst);
  else if (width !== 0) moveExtended(env, { dst, src, width, wide }, reg);
  else if (wide) env.write(dst, shared(env, src, reg));
  else moveWord(env, dst, src, reg);
}

/** `addr_space_cast`: a pointer into the arena, or its value in user space. */
function castAddress(env: Env, dst: number): void {
  const hasArena = [...env.code.targets.values()].some((target) => "map" in target && target.map.type === "arena");
  if (!hasArena) env.refuse("arena", "an address is cast and the program has no arena");
  const isIntoKernel = (env.code.imm[env.at] as number) === 1;
  const reg = UNKNOWN.clone();
  if (isIntoKernel) reg.kind = kind.arena;
  env.write(dst, reg);
}

/** Copies of an unknown number are the same number: both learn what either is compared with. */
function shared(env: Env, src: number, reg: Reg): Reg {
  if (reg.kind !== kind.scalar || (!reg.linked && (reg.id !== 0 || reg.isConst))) return reg;
  const named = reg.clone();
  // A number that is a constant away from others is no longer once it has copies (assign_scalar_id_before_mov).
  named.linked = false;
  named.off = 0;
  named.id = reg.isConst ? 0 : env.newId();
  env.frame.regs[src] = named;
  return named;
}

function moveWord(env: Env, dst: number, src: number, reg: Reg): void {
  if (reg.kind !== kind.scalar) {
    refuseAddress(env, reg, `a part of the pointer in r${src} is copied`);
    const word = UNKNOWN.clone();
    forget(word, false);
    env.write(dst, word);
    return;
  }
  if (reg.umax <= 0xffff_ffff) {
    env.write(dst, shared(env, src, reg));
    return;
  }
  const word = reg.clone();
  word.id = 0;
  word.linked = false;
  word.off = 0;
  zeroExtend(word);
  sync(word);
  env.write(dst, word);
}

function moveExtended(
  env: Env,
  move: { readonly dst: number; readonly src: number; readonly width: number; readonly wide: boolean },
  reg: Reg,
): void {
  if (reg.kind !== kind.scalar) {
    refuseAddress(env, reg, `a part of the pointer in r${move.src} is copied`);
    env.write(move.dst, UNKNOWN);
    return;
  }
  const isSame = reg.umax < 2 ** (move.width - 1);
  const extended = (isSame ? shared(env, move.src, reg) : reg).clone();
  if (!isSame) {
    extended.id = 0;
    extended.linked = false;
    extended.off = 0;
  }
  // Of the same number less is known: bits are those of its range (coerce_reg_to_size_sx).
  signExtend(extended, move.width, move.wide);
  env.write(move.dst, extended);
}

function stepSwap(env: Env, opcode: number, wide: boolean): void {
  const { code, at } = env;
  const dst = code.dst[at] as number;
  const reg = env.read(dst);
  refuseAddress(env, reg, `the pointer in r${dst} is turned round`);
  const width = code.imm[at] as number;
  // `le` truncates, `be` and `bswap` turn the bytes round.
  const swaps = wide || (opcode & 8) !== 0;
  if (reg.kind === kind.scalar && reg.isConst) {
    env.write(dst, swapConstant(reg, width, swaps));
    return;
  }
  const result = UNKNOWN.clone();
  // scalar_byte_swap: known bits move with their bytes.
  if (reg.kind === kind.scalar && swaps) swapTnum(result, reg, width);
  truncate(result, width / 8);
  env.write(dst, result);
}

function stepNegate(env: Env, wide: boolean): void {
  const dst = env.code.dst[env.at] as number;
  const reg = env.read(dst);
  refuseAddress(env, reg, `the pointer in r${dst} is negated`);
  const result = reg.kind === kind.scalar ? reg.clone() : UNKNOWN.clone();
  if (reg.kind === kind.scalar) arithmetic(aluBits.neg, result, result, wide);
  result.id = 0;
  result.linked = false;
  result.off = 0;
  env.write(dst, result);
}

/** The operand: a register, or the immediate as a number. */
function operand(env: Env): Reg {
  const { code, at } = env;
  return ((code.opcode[at] as number) & 8) !== 0 ? env.read(code.src[at] as number) : constant(code.imm[at] as number);
}

function checkImmediate(env: Env, op: number, wide: boolean): void {
  const { code, at } = env;
  if (((code.opcode[at] as number) & 8) !== 0) return;
  const imm = code.imm[at] as number;
  const isShift = op === aluBits.lsh || op === aluBits.rsh || op === aluBits.arsh;
  if (isShift && (imm < 0 || imm >= (wide ? 64 : 32))) env.refuse("shift-width", `a shift by ${imm} bits`);
  if ((op === aluBits.div || op === aluBits.mod) && imm === 0)
    env.refuse("divide-by-zero", "a division by the constant 0");
}

function stepBinary(env: Env, op: number, wide: boolean): void {
  checkImmediate(env, op, wide);
  const { code, at } = env;
  const dst = code.dst[at] as number;
  const src = ((code.opcode[at] as number) & 8) !== 0 ? (code.src[at] as number) : -1;
  const right = operand(env);
  const left = env.read(dst);
  if (left.kind === kind.arena || right.kind === kind.arena) {
    const arena = UNKNOWN.clone();
    if (wide) arena.kind = kind.arena;
    env.write(dst, arena);
  } else if (left.kind !== kind.scalar) {
    if (right.kind !== kind.scalar) {
      refuseAddress(env, right, `r${dst} and r${src} are both pointers: their difference says where they point`);
      env.write(dst, twoPointers(env, op, { dst, src }));
    } else {
      if (src >= 0) markPrecise(env, src);
      env.write(dst, movePointer(env, left, right, { op, wide, register: dst, by: src, fromNumber: false }));
    }
  } else if (right.kind !== kind.scalar) {
    markPrecise(env, dst);
    env.write(dst, movePointer(env, right, left, { op, wide, register: src, by: dst, fromNumber: true }));
  } else env.write(dst, numbers(env, op, { left, right, wide }));
}

function twoPointers(env: Env, op: number, registers: { readonly dst: number; readonly src: number }): Reg {
  if (op !== aluBits.sub) {
    env.refuse(
      "pointer-arithmetic",
      `r${registers.dst} and r${registers.src} are both pointers: only their difference means something`,
    );
  }
  return UNKNOWN;
}

interface Numbers {
  readonly left: Reg;
  readonly right: Reg;
  readonly wide: boolean;
}

function numbers(env: Env, op: number, { left, right, wide }: Numbers): Reg {
  noteNumbers(env, op);
  const result = left.clone();
  if ((op === aluBits.and || op === aluBits.or) && right.isConst) forkSign(env, result, wide);
  if (wide && op === aluBits.add && left.id !== 0 && right.isConst) {
    // The distance from its copies stays known, once.
    const isSmall = right.vh === 0 && right.vl >= 0 && right.smin <= S32_MAX;
    const mayLink = isSmall && !left.linked;
    result.linked = mayLink;
    result.off = mayLink ? right.vl : 0;
    if (!mayLink) result.id = 0;
  } else {
    result.id = 0;
    result.linked = false;
    result.off = 0;
  }
  arithmetic(op, result, right, wide);
  return result;
}

/** A number that is 0 or -1 is a mask: both are walked by themselves (maybe_fork_scalars). */
function forkSign(env: Env, value: Reg, wide: boolean): void {
  const isMask = wide ? value.smin === -1 && value.smax === 0 : value.smin32 === -1 && value.smax32 === 0;
  if (!isMask || value.isConst) return;
  const branch = pushBranch(env, env.at);
  branch.frame.regs[env.code.dst[env.at] as number] = constant(0);
  const known = wide ? constant(-1) : constantWords(-1, value.isConst ? value.vh : 0);
  value.vl = known.vl;
  value.ml = 0;
  if (wide) {
    value.vh = known.vh;
    value.mh = 0;
  }
  sync(value);
}
