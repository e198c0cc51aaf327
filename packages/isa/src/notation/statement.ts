import type { Instruction } from "../instruction.ts";

/** A place in a program by name, with where the name stands in the line. */
export interface Target {
  readonly name: string;
  readonly column: number;
  /** Field that takes the distance: the offset of jumps, the immediate of calls and `gotol`, or a function's address. */
  readonly field: "offset" | "imm" | "function";
}

/** What the loader fills in; `at` indexes the instructions. Fits a specification's references. */
export type CodeReference =
  | { readonly at: number; readonly kind: "map"; readonly map: string }
  | { readonly at: number; readonly kind: "data"; readonly map: string; readonly offset: number }
  | { readonly at: number; readonly kind: "call"; readonly function: string }
  | { readonly at: number; readonly kind: "function"; readonly function: string }
  | { readonly at: number; readonly kind: "kfunc" | "ksym"; readonly name: string; readonly weak: boolean };

/** One instruction of the text before its names are resolved. */
export interface Statement {
  readonly insn: Instruction;
  readonly target?: Target;
  readonly map?: { readonly name: string; readonly offset?: number };
  /** A kernel function (`call`) or variable (`lddw`) that is known by name alone. */
  readonly kernelSymbol?: { readonly name: string; readonly weak: boolean };
  /** With `target`: the helper that the name means where no label has it. */
  readonly helper?: number;
}
