/**
 * @module
 * Constants of a function: one instruction each, at the start of the entry, where they dominate everything.
 * They cost nothing there: selection makes them where they are used.
 */
import { makeConst, replaceValues, widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, ValueType } from "../ir.ts";

export class ConstantPool {
  readonly #fn: IrFunction;
  readonly #known = new Map<string, Inst>();

  /** Gathers the function's constants. */
  constructor(fn: IrFunction) {
    this.#fn = fn;
    const duplicates = new Map<Inst, Inst>();
    for (const block of fn.blocks) {
      if (!block.insts.some(({ op }) => op === "const")) continue;
      block.insts = block.insts.filter((inst) => {
        if (inst.op !== "const") return true;
        const key = keyOf(inst);
        const known = this.#known.get(key);
        if (known) duplicates.set(inst, known);
        else {
          this.#known.set(key, inst);
          inst.loc = undefined;
        }
        return false;
      });
    }
    this.#entry.insts.unshift(...this.#known.values());
    replaceValues(fn, duplicates);
  }

  get #entry(): Block {
    return this.#fn.blocks[0] as Block;
  }

  /** The constant, wrapped to the type. */
  get(type: ValueType, value: bigint): Inst {
    const wrapped = BigInt.asUintN(widthOf(type), value);
    const known = this.#known.get(`${type} ${wrapped}`);
    if (known) return known;
    const made = makeConst(this.#fn, type, wrapped);
    this.#known.set(`${type} ${wrapped}`, made);
    this.#entry.insts.unshift(made);
    return made;
  }
}

const keyOf = (inst: InstOf<"const">): string => `${inst.type} ${inst.value}`;
