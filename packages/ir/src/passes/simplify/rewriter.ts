/**
 * @module
 * What the rewrites of single instructions share: making instructions, and what is known of them.
 */
import { PossibleBits } from "../../analysis/bits.ts";
import { makeInst, useCounts, widthOf } from "../../edit.ts";
import type { InstBody } from "../../edit.ts";
import { evaluateBinary } from "../../evaluate/arithmetic.ts";
import type { BinaryOp, Inst, IrFunction, Loc, Predicate, ValueType } from "../../ir.ts";
import type { ConstantPool } from "../pool.ts";

export interface SimplifyOptions {
  readonly byteOrder: "little" | "big";
}

export class Rewriter {
  readonly options: SimplifyOptions;
  /** The block's instructions so far. */
  out: Inst[] = [];
  /** Where new instructions come from. */
  loc: Loc | undefined;
  changed = false;
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #uses: Uint32Array;
  readonly #bits = new PossibleBits();

  constructor(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions) {
    this.#fn = fn;
    this.#pool = pool;
    this.options = options;
    this.#uses = useCounts(fn);
  }

  make(type: ValueType, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body, loc: this.loc });
    this.out.push(inst);
    this.changed = true;
    return inst;
  }

  constant(type: ValueType | undefined, value: bigint): Inst {
    return this.#pool.get(type as ValueType, value);
  }

  /** `a op b`, folded and simplified itself. */
  binary(binary: BinaryOp, a: Inst, b: Inst | bigint): Inst {
    const type = a.type as ValueType;
    const right = typeof b === "bigint" ? this.constant(type, b) : b;
    if (a.op === "const" && right.op === "const") {
      return this.constant(type, evaluateBinary(binary, [a.value, right.value], widthOf(type)));
    }
    return this.make(type, [a, right], { op: "binary", binary });
  }

  change(inst: Inst, args: Inst[], body: InstBody): Inst {
    this.#bits.forget(inst);
    const { id, type, loc, name } = inst;
    for (const key of Object.keys(inst)) delete (inst as unknown as Record<string, unknown>)[key];
    Object.assign(inst, { id, type, args, ...(loc ? { loc } : {}), ...(name === undefined ? {} : { name }) }, body);
    this.changed = true;
    return inst;
  }

  /** A mask that covers every value of the instruction. */
  bits(inst: Inst): bigint {
    return this.#bits.of(inst);
  }

  isOnlyUse(inst: Inst): boolean {
    return (this.#uses[inst.id] ?? 0) <= 1;
  }
}

export const isPowerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

export const log2 = (value: bigint): bigint => BigInt(value.toString(2).length - 1);

export const isSigned = (predicate: Predicate): boolean => predicate.startsWith("s") && predicate !== "set";
