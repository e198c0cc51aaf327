/**
 * @module
 * For users without CAP_PERFMON: pointers moved by registers must be such that the kernel can hold them in bounds also where the CPU runs ahead on
 * a wrong guess (sanitize_ptr_alu, sanitize_check_bounds, retrieve_ptr_limit; kernel/bpf/verifier.c). Kernels before 6.17 walk the wrong guesses
 * too and refuse what is unsafe there; later ones put a barrier before it.
 */
import { aluBits } from "@skep/isa";
import type { Env } from "../env.ts";
import { MAX_OFFSET, STACK_SIZE } from "../env.ts";
import { kindName } from "../explain/describe.ts";
import { hidesAddresses } from "../privilege/privilege.ts";
import { UNKNOWN, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { pushBranch } from "./branches.ts";
import type { PointerMove } from "./pointer.ts";

const WITH_BARRIERS = 6017;

// Ways in which a register moves a pointer (BPF_ALU_SANITIZE_SRC and its like).
const way = { numbers: 1, source: 2, destination: 4, negative: 8, constant: 16 } as const;

/** What is known before the move. */
export interface Window {
  readonly way: number;
  readonly limit: number;
  readonly toLeft: boolean;
}

function walksGuesses(env: Env): boolean {
  return hidesAddresses(env) && env.kind.kernel < WITH_BARRIERS;
}

/** The way that a decided jump does not go. */
export function guessWrongly(env: Env, at: number, registers: { readonly dst: number; readonly src: number }): void {
  if (!walksGuesses(env)) return;
  const guess = pushBranch(env, at);
  guess.speculative = true;
  guess.frame.regs[registers.dst] = UNKNOWN;
  if (registers.src >= 0) guess.frame.regs[registers.src] = UNKNOWN;
}

function isMoving(op: number): boolean {
  return op === aluBits.add || op === aluBits.sub;
}

/** An instruction that adds numbers on one path and moves a pointer on another cannot be guarded (sanitize_val_alu). */
export function noteNumbers(env: Env, op: number): void {
  const isByRegister = ((env.code.opcode[env.at] as number) & 8) !== 0;
  if (hidesAddresses(env) && isByRegister && isMoving(op)) note(env, way.numbers, 0);
}

function note(env: Env, how: number, limit: number): void {
  const before = env.moves.get(env.at);
  if (before !== undefined && (before.way !== how || before.limit !== limit))
    env.refuse("speculation", "the instruction moves different pointers, or differently, on different paths");
  env.moves.set(env.at, { way: how, limit });
}

/** Null: nothing is to be guarded. */
export function openWindow(env: Env, ptr: Reg, by: Reg, move: PointerMove): Window | null {
  if (!hidesAddresses(env) || move.by < 0 || !isMoving(move.op)) return null;
  let window: Window | null = null;
  if (!env.state.speculative) {
    const isNegative = by.smin < 0;
    if (!by.isConst && isNegative !== by.smax < 0)
      env.refuse("speculation", `r${move.by} may be negative and may be positive: it cannot move a pointer`);
    const toLeft = move.op === aluBits.add ? isNegative : !isNegative;
    const how =
      (isNegative ? way.negative : 0) |
      (by.isConst ? way.constant : 0) |
      (move.fromNumber ? way.destination : way.source);
    if (!by.isConst) env.exploresMoves = true;
    window = { way: how, limit: limitOf(env, ptr, move, toLeft), toLeft };
  }
  if (!by.isConst && walksGuesses(env)) {
    // Masked, the number is 0.
    const guess = pushBranch(env, env.at + 1);
    guess.speculative = true;
    guess.frame.regs[env.code.dst[env.at] as number] = ptr;
  }
  return window;
}

/** retrieve_ptr_limit */
function limitOf(env: Env, ptr: Reg, move: PointerMove, toLeft: boolean): number {
  let most = 0;
  let limit = 0;
  if (ptr.kind === kind.stack) {
    most = STACK_SIZE + (toLeft ? 1 : 0);
    limit = -(ptr.vl + ptr.off);
  } else if (ptr.kind === kind.mapValue) {
    most = ptr.map?.valueSize ?? 0;
    limit = (toLeft ? ptr.smin : ptr.umax) + ptr.off;
  } else {
    env.refuse("speculation", `r${move.register} (${kindName(ptr)}) can be moved by constants only`);
    return 0;
  }
  if (limit < 0 || limit >= most) env.refuse("speculation", `r${move.register} is moved beyond what it points to`);
  return limit;
}

/** After the move: the pointer must still point into its memory. */
export function closeWindow(env: Env, moved: Reg, move: PointerMove, window: Window | null): void {
  if (!hidesAddresses(env)) return;
  checkInside(env, moved, move.register);
  if (window === null || env.state.speculative) return;
  const limit = Math.abs(window.limit - limitOf(env, moved, move, window.toLeft));
  note(env, window.way, limit);
}

/** sanitize_check_bounds */
function checkInside(env: Env, moved: Reg, register: number): void {
  if (moved.kind === kind.stack) {
    if (!moved.isConst) env.refuse("speculation", `r${register} points to the stack at an offset that is not constant`);
    const at = moved.off + moved.vl;
    if (at >= 0 || at < -STACK_SIZE) env.refuse("speculation", `r${register} is moved out of the stack, to fp+${at}`);
  } else if (moved.kind === kind.mapValue) {
    const size = moved.map?.valueSize ?? 0;
    const isInside = moved.off + moved.smin >= 0 && moved.umax < MAX_OFFSET && moved.off + moved.umax < size;
    if (!isInside) env.refuse("speculation", `r${register} is moved out of the value of ${size} bytes`);
  }
}
