/**
 * @module
 * A kernel program's function as user space calls it: arrays may be any array-like, and nothing is asked of what is only read.
 */
import type { Loose } from "../api.ts";

export type UserSide<F> = F extends (...args: infer A) => infer R
  ? (...args: { [I in keyof A]: Loose<A[I]> }) => R
  : never;
