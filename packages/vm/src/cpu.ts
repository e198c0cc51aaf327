import type { Code } from "./code.ts";
import type { SourceLine } from "./error.ts";
import type { Memory, Region } from "./memory.ts";

/** What runs a program, as helpers see it: their arguments, and what they may ask of it. */
export interface Cpu {
  readonly memory: Memory;
  /** Program whose instructions run. */
  readonly code: Code;
  /** An argument as an unsigned word. */
  u32(register: number): number;
  /** An argument as a signed word. */
  s32(register: number): number;
  u64(register: number): bigint;
  /** The upper word of an argument, unsigned: with `u32` what `u64` gives, without making it. */
  high(register: number): number;
  /** An argument as an address. Throws a `Trap` where it cannot be one. */
  pointer(register: number): number;
  /** Calls a function of the program. Gives the low word of its r0, signed. */
  callback(address: number, args: readonly number[]): number;
  /** From helper `tail_call`: whether the limit allows it. The call happens when the helper returns. */
  tailCall(code: Code): boolean;
  /** Ends the whole run when the helper returns; its result is the program's. */
  end(): void;
  /** Line of the call; the interpreter knows it. */
  source?(): SourceLine | null;
}

/** A helper: reads its arguments from `cpu`, gives r0. A number is a signed value or an address. */
export type HelperFunction = (cpu: Cpu) => number | bigint;

/** Stands around every call of a helper: calls it, or answers itself. Kernel functions have numbers below zero. */
export type HelperWatch = (call: { readonly id: number; readonly cpu: Cpu; run(): number | bigint }) => number | bigint;

/** One of the ways to run programs. All pass the same tests. */
export interface Engine {
  /** Runs a program with r1 (and r2) as given; gives r0, unsigned. Throws `VmError`. */
  run(code: Code, r1: number, r2?: number): bigint;
  /** Calls a function of the program by its first instruction, with frames of its own. */
  call(code: Code, entry: number, args: readonly number[]): bigint;
  /** Instructions that the last run took, as far as the engine counts them. */
  readonly instructions: number;
}

/**
 * `interpreter`: one instruction after the other. `checked`: WebAssembly; every access is held against its object. `fast`: WebAssembly without
 * these checks, for programs that a verifier passed. In no engine can a program leave the machine's linear memory.
 */
export type EngineName = "interpreter" | "checked" | "fast";

export interface CpuOptions {
  /** By number. */
  readonly helpers: ReadonlyMap<number, HelperFunction>;
  /** Instructions of one run; default 100 million. */
  readonly budget?: number;
  /** The frames; made where absent. */
  readonly stack?: Region;
}
