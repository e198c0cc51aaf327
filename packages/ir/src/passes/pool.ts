/**
 * @module
 * Constants of a function: one instruction each, at the start of the entry, where they dominate everything.
 * They cost nothing there: selection makes them where they are used.
 */
import { makeConst, replaceValues, widthOf } from "../edit.ts";
import type { Block, Inst, IrFunction, ValueType } from "../ir.ts";

export class ConstantPool {
  readonly #fn: IrFunction;
  readonly #known: Readonly<Record<ValueType, Map<bigint, Inst>>> = { i32: new Map(), i64: new Map(), ptr: new Map() };

  /** Gathers the function's constants. */
  constructor(fn: IrFunction) {
    this.#fn = fn;
    const duplicates = new Map<Inst, Inst>();
    const found: Inst[] = [];
    for (const block of fn.blocks) {
      if (!hasConstant(block.insts)) continue;
      block.insts = block.insts.filter((inst) => {
        if (inst.op !== "const") return true;
        const of = this.#known[inst.type as ValueType];
        const known = of.get(inst.value);
        if (known) duplicates.set(inst, known);
        else {
          of.set(inst.value, inst);
          found.push(inst);
          inst.loc = undefined;
        }
        return false;
      });
    }
    this.#entry.insts = [...found, ...this.#entry.insts];
    replaceValues(fn, duplicates);
  }

  get #entry(): Block {
    return this.#fn.blocks[0] as Block;
  }

  /** The constant, wrapped to the type. */
  get(type: ValueType, value: bigint): Inst {
    const wrapped = BigInt.asUintN(widthOf(type), value);
    const known = this.#known[type].get(wrapped);
    if (known) return known;
    const made = makeConst(this.#fn, type, wrapped);
    this.#known[type].set(wrapped, made);
    this.#entry.insts.unshift(made);
    return made;
  }
}

function hasConstant(insts: readonly Inst[]): boolean {
  for (let i = 0; i < insts.length; i++) if ((insts[i] as Inst).op === "const") return true;
  return false;
}
