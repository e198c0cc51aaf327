/**
 * @module
 * What the rewrites of single instructions share: making instructions, and what is known of them.
 */
import { PossibleBits } from "../../analysis/bits.ts";
import { terminatorArgs } from "../../analysis/cfg.ts";
import { become, makeInst, useCounts, widthOf } from "../../edit.ts";
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
  readonly #uses: number[];
  readonly #compared = new Set<Inst>();
  /** Swapped values of which more is read than whether they equal others. */
  readonly #valued = new Set<Inst>();
  readonly #bits = new PossibleBits();

  constructor(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions) {
    this.#fn = fn;
    this.#pool = pool;
    this.options = options;
    this.#uses = Array.from(useCounts(fn));
    for (const block of fn.blocks) {
      for (const inst of block.insts) this.#noteUses(inst.op === "cmp" ? inst.predicate : null, inst.args);
      const { terminator } = block;
      const predicate = terminator?.op === "branch" ? terminator.predicate : terminator?.op === "switch" ? "ne" : null;
      this.#noteUses(predicate, terminatorArgs(terminator));
    }
  }

  make(type: ValueType, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body, loc: this.loc });
    this.#addUses(args, 1);
    if (inst.op === "cmp") for (const arg of args) noteCompared(arg, this.#compared);
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
    this.#addUses(args, 1);
    this.#addUses(inst.args, -1);
    become(inst, args, body);
    if (body.op === "cmp") for (const arg of args) noteCompared(arg, this.#compared);
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

  /**
   * Whether a branch may bound the value: what is made of its operands instead would then be unbounded to the verifier, which brings a bound to
   * copies alone.
   */
  mayBeChecked(inst: Inst): boolean {
    return this.#compared.has(inst) && !this.isOnlyUse(inst);
  }

  /** A terminator's operands are others now. */
  moveUses(from: readonly Inst[], to: readonly Inst[]): void {
    this.#addUses(to, 1);
    this.#addUses(from, -1);
    for (const value of to) noteCompared(value, this.#compared);
  }

  /** What used `inst` uses `by` instead. */
  passUses(inst: Inst, by: Inst): void {
    this.#uses[by.id] = (this.#uses[by.id] ?? 0) + (this.#uses[inst.id] ?? 0);
    this.#addUses(inst.args, -1);
  }

  /** Whether a swapped value serves nothing but tests for equality: else these are what bounds it. */
  isOnlyTested(swapped: Inst): boolean {
    return !this.#valued.has(swapped);
  }

  #noteUses(predicate: Predicate | null, args: readonly Inst[]): void {
    for (const arg of args) {
      if (predicate !== null) noteCompared(arg, this.#compared);
      const isTest = predicate === "eq" || predicate === "ne";
      if (!isTest && (arg.op === "bswap" || arg.op === "hton")) this.#valued.add(arg);
    }
  }

  #addUses(args: readonly Inst[], by: 1 | -1): void {
    for (const { id } of args) this.#uses[id] = Math.max(0, (this.#uses[id] ?? 0) + by);
  }
}

/** The value, and what it is a copy of. */
function noteCompared(value: Inst, found: Set<Inst>): void {
  for (let next: Inst | undefined = value; next && next.op !== "const" && !found.has(next); next = copied(next)) {
    found.add(next);
  }
}

/** What the value is a copy of. */
function copied(value: Inst): Inst | undefined {
  const isCopy = value.op === "trunc" || (value.op === "ext" && value.from === 32 && !value.signed);
  return isCopy ? value.args[0] : undefined;
}

export const isPowerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

export const log2 = (value: bigint): bigint => BigInt(value.toString(2).length - 1);

export const isSigned = (predicate: Predicate): boolean => predicate.startsWith("s") && predicate !== "set";
