/**
 * @module
 * Which 32-bit values have a clean upper half in their registers, and which must get one.
 */
import type { Block, Inst } from "../../ir.ts";
import type { Target } from "../legalize.ts";
import * as op from "../opcodes.ts";
import { isCall, isPassedOn } from "./values.ts";

export const MOV64 = op.ALU64 | op.MOV;
export const MOV32 = op.ALU32 | op.MOV;

export class Widths {
  readonly #cpu: Target["cpu"];
  readonly #cleaned = new Set<Inst>();
  /** Those of them that are extended: the verifier must know that their upper half is 0. */
  readonly #extended = new Set<Inst>();
  readonly #dirtyPhis = new Set<Inst>();

  constructor(order: readonly Block[], cpu: Target["cpu"]) {
    this.#cpu = cpu;
    this.#findCleaned(order);
  }

  /** Whether something reads all 64 bits of the value. */
  isCleaned(inst: Inst): boolean {
    return this.#cleaned.has(inst);
  }

  isExtended(inst: Inst): boolean {
    return this.#extended.has(inst);
  }

  /** Whether the upper half of an `i32` value's register may hold anything. */
  isDirty(inst: Inst): boolean {
    if (inst.type !== "i32" || this.#cleaned.has(inst)) return false;
    if (inst.op === "load") return inst.signed && inst.size < 4 && this.#cpu >= 4;
    return inst.op === "trunc" || inst.op === "param" || isCall(inst) || this.#dirtyPhis.has(inst);
  }

  /** The move that gives a maybe dirty value to `inst`. */
  copyOpcode(inst: Inst): number {
    return inst.type === "i32" && this.#cleaned.has(inst) ? MOV32 : MOV64;
  }

  /** Values whose upper half may be dirty, but which something reads in 64 bits; for a phi that means its operands too. */
  #findCleaned(order: readonly Block[]): void {
    const mark = (value: Inst, marked: Set<Inst>): void => {
      if (marked.has(value)) return;
      marked.add(value);
      if (value.op === "phi") for (const arg of value.args) mark(arg, marked);
    };
    const clean = (value: Inst): void => mark(value, this.#cleaned);
    for (const block of order) {
      for (const inst of block.insts) {
        if (inst.op !== "ext" || inst.from !== 32 || inst.signed) continue;
        inst.args.forEach(clean);
        for (const arg of inst.args) mark(arg, this.#extended);
      }
      const terminator = block.terminator;
      // What a call gave is passed on as it is: as a kernel function's, the caller reads 32 bits of it.
      if (terminator?.op === "return" && terminator.args[0] && !isPassedOn(terminator.args[0]))
        clean(terminator.args[0]);
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const block of order) {
        for (const inst of block.insts) {
          if (inst.op !== "phi" || this.#dirtyPhis.has(inst) || !inst.args.some((arg) => this.isDirty(arg))) continue;
          this.#dirtyPhis.add(inst);
          changed = true;
        }
      }
    }
  }
}
