/** @module Calls of kernel functions. */
import type { Env } from "../env.ts";
import type { Code } from "../program/code.ts";
import { UNKNOWN } from "../register.ts";
import { clobber } from "./helper.ts";

export function callKernelFunction(env: Env): void {
  env.refuse("unknown-kfunc", "kernel functions");
  clobber(env);
  env.frame.regs[0] = UNKNOWN;
}

/** How many registers a call of a kernel function reads. */
export function kernelFunctionArguments(_code: Code, _at: number): number {
  return 5;
}

/** The function is `next` of an iterator: a loop's head. */
export function isIteratorNext(_code: Code, _at: number): boolean {
  return false;
}
