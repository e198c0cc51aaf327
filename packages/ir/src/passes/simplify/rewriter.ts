/**
 * @module
 * What the rewrites of single instructions share: making instructions, and what is known of them.
 */
import { PossibleBits } from "../../analysis/bits.ts";
import { terminatorArgs } from "../../analysis/cfg.ts";
import { become, makeInst, widthOf } from "../../edit.ts";
import type { InstBody } from "../../edit.ts";
import { evaluateBinary } from "../../evaluate/arithmetic.ts";
import type { BinaryOp, Inst, IrFunction, Loc, Predicate, ValueType } from "../../ir.ts";
import type { ConstantPool } from "../pool.ts";

export interface SimplifyOptions {
  readonly byteOrder: "little" | "big";
}

export class Rewriter {
  readonly options: SimplifyOptions;
  /** The block's instructions so far; the same list for one block after the other. */
  readonly out: Inst[] = [];
  /** Where new instructions come from. */
  loc: Loc | undefined;
  changed = false;
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #uses: number[];
  readonly #compared: Marks;
  /** Swapped values of which more is read than whether they equal others. */
  readonly #valued: Marks;
  readonly #bits = new PossibleBits();

  constructor(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions) {
    this.#fn = fn;
    this.#pool = pool;
    this.options = options;
    this.#compared = new Marks(fn.nextId);
    this.#valued = new Marks(fn.nextId);
    // oxlint-disable-next-line unicorn/no-new-array -- Array.from fills it one by one
    this.#uses = new Array<number>(fn.nextId).fill(0);
    for (const { insts, terminator } of fn.blocks) {
      for (let i = 0; i < insts.length; i++) {
        const inst = insts[i] as Inst;
        this.#noteUses(inst.op === "cmp" ? inst.predicate : null, inst.args);
      }
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
    const isTest = predicate === "eq" || predicate === "ne";
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as Inst;
      this.#uses[arg.id] = (this.#uses[arg.id] as number) + 1;
      if (predicate !== null) noteCompared(arg, this.#compared);
      if (!isTest && (arg.op === "bswap" || arg.op === "hton")) this.#valued.add(arg);
    }
  }

  #addUses(args: readonly Inst[], by: 1 | -1): void {
    for (const { id } of args) this.#uses[id] = Math.max(0, (this.#uses[id] ?? 0) + by);
  }
}

/** A set of instructions, by their numbers. */
class Marks {
  #bytes: Uint8Array;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  has({ id }: Inst): boolean {
    return this.#bytes[id] === 1;
  }

  add({ id }: Inst): void {
    if (id >= this.#bytes.length) {
      const wider = new Uint8Array(id * 2);
      wider.set(this.#bytes);
      this.#bytes = wider;
    }
    this.#bytes[id] = 1;
  }
}

/** The value, and what it is a copy of. */
function noteCompared(value: Inst, found: Marks): void {
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
