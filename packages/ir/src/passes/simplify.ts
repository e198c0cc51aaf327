/**
 * @module
 * Rewrites of single instructions: constants folded, identities, narrower and cheaper forms, byte swaps moved to compile time.
 */
import { possibleBits } from "../analysis/bits.ts";
import { reversePostOrder, terminatorArgs } from "../analysis/cfg.ts";
import { makeInst, replaceValues, useCounts, widthOf } from "../edit.ts";
import type { InstBody, InstOf, TerminatorOf } from "../edit.ts";
import { evaluateBinary, extend, reverseBytes } from "../evaluate/arithmetic.ts";
import type { BinaryOp, Block, Inst, IrFunction, Predicate, ValueType } from "../ir.ts";
import { evaluatePredicate, INVERSE, SWAPPED } from "../predicate.ts";
import type { ConstantPool } from "./pool.ts";

const COMMUTATIVE = new Set<BinaryOp>(["add", "mul", "and", "or", "xor"]);
const ASSOCIATIVE = COMMUTATIVE;
const BPF_LOOP = 181;

export interface SimplifyOptions {
  readonly byteOrder: "little" | "big";
}

/** Goes once over the function. Returns whether something changed. */
export function simplifyInstructions(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions): boolean {
  return new Simplifier(fn, pool, options).run();
}

class Simplifier {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #options: SimplifyOptions;
  readonly #uses: Uint32Array;
  readonly #replaced = new Map<Inst, Inst>();
  #out: Inst[] = [];
  #current: Inst | undefined;
  #changed = false;

  constructor(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions) {
    this.#fn = fn;
    this.#pool = pool;
    this.#options = options;
    this.#uses = useCounts(fn);
  }

  run(): boolean {
    for (const block of reversePostOrder(this.#fn)) this.#block(block);
    replaceValues(this.#fn, this.#replaced);
    return this.#changed || this.#replaced.size > 0;
  }

  #block(block: Block): void {
    const insts = block.insts;
    this.#out = [];
    // The entry may get constants in front while it is walked: they go to the array that is there then.
    const isEntry = block === this.#fn.blocks[0];
    block.insts = isEntry ? [] : insts;
    for (const inst of insts) {
      inst.args = inst.args.map((arg) => this.#resolve(arg));
      this.#current = inst;
      const better = this.#simplify(inst);
      if (better === null || better === inst) this.#out.push(inst);
      else this.#replaced.set(inst, better);
    }
    block.insts = isEntry ? [...block.insts, ...this.#out] : this.#out;
    const added = this.#out;
    const args = terminatorArgs(block.terminator);
    for (let i = 0; i < args.length; i++) args[i] = this.#resolve(args[i] as Inst);
    if (block.terminator?.op !== "branch") return;
    this.#current = undefined;
    const before = added.length;
    this.#branch(block.terminator);
    if (isEntry && added.length > before) block.insts.push(...added.slice(before));
  }

  #resolve(inst: Inst): Inst {
    let found = inst;
    for (let next = this.#replaced.get(found); next !== undefined; next = this.#replaced.get(found)) found = next;
    return found;
  }

  // Making instructions

  #make(type: ValueType, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body, loc: this.#current?.loc });
    this.#out.push(inst);
    this.#changed = true;
    return inst;
  }

  #constant(type: ValueType | undefined, value: bigint): Inst {
    return this.#pool.get(type as ValueType, value);
  }

  /** `a op b`, folded and simplified itself. */
  #binary(binary: BinaryOp, a: Inst, b: Inst | bigint): Inst {
    const type = a.type as ValueType;
    const right = typeof b === "bigint" ? this.#constant(type, b) : b;
    if (a.op === "const" && right.op === "const") {
      return this.#constant(type, evaluateBinary(binary, [a.value, right.value], widthOf(type)));
    }
    return this.#make(type, [a, right], { op: "binary", binary });
  }

  #change(inst: Inst, args: Inst[], body: InstBody): Inst {
    const { id, type, loc, name } = inst;
    for (const key of Object.keys(inst)) delete (inst as unknown as Record<string, unknown>)[key];
    Object.assign(inst, { id, type, args, ...(loc ? { loc } : {}), ...(name === undefined ? {} : { name }) }, body);
    this.#changed = true;
    return inst;
  }

  #isOnlyUse(inst: Inst): boolean {
    return (this.#uses[inst.id] ?? 0) <= 1;
  }

  /** A loop of no rounds: the kernel never looks at its callback, and then has no program for it (jit_subprogs in kernel/bpf/verifier.c). */
  #simplifyHelper(inst: InstOf<"helper">): Inst | null {
    const [times] = inst.args;
    const isEmpty = inst.helper === BPF_LOOP && times?.op === "const" && times.value === 0n;
    return isEmpty && inst.type !== undefined ? this.#constant(inst.type, 0n) : null;
  }

  // Dispatch

  /** What the instruction's value is instead, the instruction itself if it was changed in place, or null. */
  #simplify(inst: Inst): Inst | null {
    switch (inst.op) {
      case "binary":
        return this.#simplifyBinary(inst);
      case "neg":
        return this.#simplifyNeg(inst);
      case "ext":
        return this.#simplifyExt(inst);
      case "trunc":
        return this.#simplifyTrunc(inst);
      case "bswap":
      case "hton":
        return this.#simplifySwap(inst);
      case "cmp":
        return this.#simplifyCmp(inst);
      case "select":
        return this.#simplifySelect(inst);
      case "ptradd":
        return this.#simplifyPtradd(inst);
      case "ptrsub":
        return this.#simplifyPtrsub(inst);
      case "helper":
        return this.#simplifyHelper(inst);
      case "load":
      case "store":
      case "atomic":
        return this.#simplifyAccess(inst);
      default:
        return null;
    }
  }

  // Arithmetic

  #simplifyBinary(inst: InstOf<"binary">): Inst | null {
    let [a, b] = inst.args as [Inst, Inst];
    const bits = widthOf(inst.type);
    if (a.op === "const" && b.op === "const") {
      return this.#constant(inst.type, evaluateBinary(inst.binary, [a.value, b.value], bits));
    }
    if (a.op === "const" && COMMUTATIVE.has(inst.binary)) {
      [a, b] = [b, a];
      inst.args = [a, b];
      this.#changed = true;
    }
    if (a === b) {
      const same = this.#sameOperands(inst, a);
      if (same) return same;
    }
    if (b.op === "const") return this.#withConstant(inst, a, b.value);
    if (a.op === "const" && a.value === 0n) return this.#zeroLeft(inst, b);
    return this.#twoValues(inst, a, b);
  }

  #sameOperands(inst: InstOf<"binary">, a: Inst): Inst | null {
    switch (inst.binary) {
      case "sub":
      case "xor":
        return this.#constant(inst.type, 0n);
      case "and":
      case "or":
        return a;
      default:
        return null;
    }
  }

  #zeroLeft(inst: InstOf<"binary">, b: Inst): Inst | null {
    if (inst.binary === "sub") return this.#change(inst, [b], { op: "neg" });
    return ["shl", "lshr", "ashr", "udiv", "sdiv", "umod", "smod"].includes(inst.binary)
      ? this.#constant(inst.type, 0n)
      : null;
  }

  /** x - y - ... and x + (-y). */
  #twoValues(inst: InstOf<"binary">, a: Inst, b: Inst): Inst | null {
    if (inst.binary === "add" && b.op === "neg") {
      return this.#change(inst, [a, b.args[0] as Inst], { op: "binary", binary: "sub" });
    }
    if (inst.binary === "add" && a.op === "neg") {
      return this.#change(inst, [b, a.args[0] as Inst], { op: "binary", binary: "sub" });
    }
    if (inst.binary === "sub" && b.op === "neg") {
      return this.#change(inst, [a, b.args[0] as Inst], { op: "binary", binary: "add" });
    }
    // A shift count is taken modulo the width anyway.
    if (["shl", "lshr", "ashr"].includes(inst.binary) && b.op === "binary" && b.binary === "and") {
      const mask = b.args[1] as Inst;
      const all = BigInt(widthOf(inst.type) - 1);
      if (mask.op === "const" && (mask.value & all) === all) {
        return this.#change(inst, [a, b.args[0] as Inst], { op: "binary", binary: inst.binary });
      }
    }
    return null;
  }

  #withConstant(inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
    const bits = widthOf(inst.type);
    const all = (1n << BigInt(bits)) - 1n;
    const again = (args: Inst[], binary: BinaryOp): Inst => this.#change(inst, args, { op: "binary", binary });
    switch (inst.binary) {
      case "add":
      case "xor":
        if (c === 0n) return a;
        if (inst.binary === "xor" && c === 1n) {
          const inverse = this.#inverted(a);
          if (inverse) return inverse;
        }
        break;
      case "sub":
        if (c === 0n) return a;
        return again([a, this.#constant(inst.type, -c)], "add");
      case "or":
        if (c === 0n) return a;
        if (c === all) return this.#constant(inst.type, all);
        {
          // As with `and`: no fork of the verifier's state.
          const bit = this.#signBit(a);
          if (bit) return again([this.#binary("mul", bit, all ^ c), inst.args[1] as Inst], "add");
        }
        break;
      case "and":
        return this.#and(inst, a, c);
      case "mul":
        if (c === 0n) return this.#constant(inst.type, 0n);
        if (c === 1n) return a;
        if (c === all) return this.#change(inst, [a], { op: "neg" });
        if (isPowerOfTwo(c)) return again([a, this.#constant(inst.type, log2(c))], "shl");
        break;
      case "udiv":
        if (c === 0n) return this.#constant(inst.type, 0n);
        if (c === 1n) return a;
        if (isPowerOfTwo(c)) return again([a, this.#constant(inst.type, log2(c))], "lshr");
        return null;
      case "umod":
        if (c === 0n) return a;
        if (c === 1n) return this.#constant(inst.type, 0n);
        if (isPowerOfTwo(c)) return again([a, this.#constant(inst.type, c - 1n)], "and");
        return null;
      case "sdiv":
        if (c === 0n) return this.#constant(inst.type, 0n);
        if (c === 1n) return a;
        if (c === all) return this.#change(inst, [a], { op: "neg" });
        // A dividend that cannot be negative is divided without sign.
        if (this.#isPositive(a) && c >> BigInt(bits - 1) === 0n) return again([a, inst.args[1] as Inst], "udiv");
        return null;
      case "smod":
        if (c === 0n) return a;
        if (c === 1n || c === all) return this.#constant(inst.type, 0n);
        if (this.#isPositive(a) && c >> BigInt(bits - 1) === 0n) return again([a, inst.args[1] as Inst], "umod");
        return null;
      case "shl":
      case "lshr":
      case "ashr":
        return this.#shift(inst, a, c);
    }
    return this.#reassociate(inst, a, c);
  }

  #isPositive(inst: Inst): boolean {
    return possibleBits(inst) >> BigInt(widthOf(inst.type) - 1) === 0n;
  }

  /** (x op c1) op c2 = x op (c1 op c2). */
  #reassociate(inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
    if (!ASSOCIATIVE.has(inst.binary) || a.op !== "binary" || a.binary !== inst.binary) return null;
    if (this.#mayBeChecked(a)) return null;
    const inner = a.args[1] as Inst;
    if (inner.op !== "const") return null;
    const folded = evaluateBinary(inst.binary, [inner.value, c], widthOf(inst.type));
    return this.#change(inst, [a.args[0] as Inst, this.#constant(inst.type, folded)], {
      op: "binary",
      binary: inst.binary,
    });
  }

  /** An index that a branch bounds stays what its product is made of: the verifier does not bring the bound to what both were made of. */
  #mayBeChecked(a: Inst): boolean {
    return a.type === "i64" && !this.#isOnlyUse(a);
  }

  #and(inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
    if (c === 0n) return this.#constant(inst.type, 0n);
    const possible = possibleBits(a);
    if ((possible & ~c) === 0n) return a;
    const bit = this.#maskedSign(inst, a, c);
    if (bit) return bit;
    // Bits that cannot be set need no mask: a shorter constant, and more of them are equal.
    if (a.op === "binary" && a.binary === "or" && a.args[1]?.op === "const") {
      const rest = a.args[1].value & c;
      if (rest === 0n)
        return this.#change(inst, [a.args[0] as Inst, inst.args[1] as Inst], { op: "binary", binary: "and" });
    }
    const part = this.#maskedPart(a, c);
    if (part) return this.#change(inst, [part, inst.args[1] as Inst], { op: "binary", binary: "and" });
    if (a.op === "ext" && !a.signed && a.from === 32 && c <= 0xffff_ffffn && this.#isOnlyUse(a)) {
      const narrow = this.#binary("and", a.args[0] as Inst, c);
      if (narrow.type === "i32") return this.#change(inst, [narrow], { op: "ext", from: 32, signed: false });
    }
    return this.#reassociate(inst, a, c);
  }

  /** The operand that alone reaches the masked bits: the other is 0 there and, for a sum, below. */
  #maskedPart(a: Inst, mask: bigint): Inst | null {
    if (a.op !== "binary" || !["xor", "or", "add"].includes(a.binary)) return null;
    const reach = a.binary === "add" ? (1n << BigInt(mask.toString(2).length)) - 1n : mask;
    const [x, y] = a.args as [Inst, Inst];
    if ((possibleBits(y) & reach) === 0n) return x;
    return (possibleBits(x) & reach) === 0n ? y : null;
  }

  /**
   * -bit & c and (x >> 63) & c: the verifier would go on twice, with 0 and with -1 (maybe_fork_scalars). A product of the bit does not fork.
   */
  #maskedSign(inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
    const bit = this.#signBit(a);
    return bit ? this.#change(inst, [bit, this.#constant(inst.type, c)], { op: "binary", binary: "mul" }) : null;
  }

  /** The bit that fills a value of 0 or -1. */
  #signBit(a: Inst): Inst | null {
    if (a.op === "neg" && possibleBits(a.args[0] as Inst) === 1n) return a.args[0] as Inst;
    if (a.op === "ext" && a.signed && a.from === 32) {
      const bit = this.#signBit(a.args[0] as Inst);
      return bit && a.type === "i64" && bit.type === "i32"
        ? this.#make("i64", [bit], { op: "ext", from: 32, signed: false })
        : null;
    }
    if (a.op !== "binary" || a.binary !== "ashr") return null;
    const count = a.args[1] as Inst;
    if (count.op !== "const" || count.value !== BigInt(widthOf(a.type) - 1)) return null;
    return this.#binary("lshr", a.args[0] as Inst, count.value);
  }

  #shift(inst: InstOf<"binary">, a: Inst, given: bigint): Inst | null {
    const bits = BigInt(widthOf(inst.type));
    const count = given & (bits - 1n);
    if (count === 0n) return a;
    const again = (x: Inst, binary: BinaryOp, c: bigint): Inst =>
      this.#change(inst, [x, this.#constant(inst.type, c)], { op: "binary", binary });
    if (count !== given) return again(a, inst.binary, count);
    if (inst.binary === "ashr" && this.#isPositive(a)) return again(a, "lshr", count);
    if (inst.binary === "lshr" && possibleBits(a) >> count === 0n) return this.#constant(inst.type, 0n);
    if (a.op !== "binary" || a.args[1]?.op !== "const") return null;
    const inner = a.args[1].value;
    const x = a.args[0] as Inst;
    if (a.binary === inst.binary) {
      if (this.#mayBeChecked(a)) return null;
      const sum = inner + count;
      if (sum < bits) return again(x, inst.binary, sum);
      return inst.binary === "ashr" ? again(x, "ashr", bits - 1n) : this.#constant(inst.type, 0n);
    }
    const all = (1n << bits) - 1n;
    if (inst.binary === "lshr" && a.binary === "shl" && inner === count && this.#isOnlyUse(a)) {
      return again(x, "and", all >> count);
    }
    if (inst.binary === "shl" && a.binary === "lshr" && inner === count && this.#isOnlyUse(a)) {
      return this.#fitsImmediate((all << count) & all, inst) ? again(x, "and", (all << count) & all) : null;
    }
    return null;
  }

  #fitsImmediate(value: bigint, inst: Inst): boolean {
    const signed = BigInt.asIntN(64, value);
    return inst.type === "i32" || signed === BigInt.asIntN(32, signed) || value <= 0xffff_ffffn;
  }

  #simplifyNeg(inst: InstOf<"neg">): Inst | null {
    const a = inst.args[0] as Inst;
    if (a.op === "const") return this.#constant(inst.type, -a.value);
    if (a.op === "neg") return a.args[0] as Inst;
    if (a.op === "binary" && a.binary === "sub") {
      return this.#change(inst, [a.args[1] as Inst, a.args[0] as Inst], { op: "binary", binary: "sub" });
    }
    return null;
  }

  // Widths

  #simplifyExt(inst: InstOf<"ext">): Inst | null {
    const a = inst.args[0] as Inst;
    const to = widthOf(inst.type);
    const { from, signed } = inst;
    if (a.op === "const") return this.#constant(inst.type, extend(a.value, { from, signed, to }));
    const possible = possibleBits(a);
    const fits = possible >> BigInt(from) === 0n;
    const positive = possible >> BigInt(from - 1) === 0n;
    if (signed && positive) return this.#change(inst, [a], { op: "ext", from, signed: false });
    if (a.type === inst.type && (from === to || (!signed && fits))) return a;
    if (!signed && fits && a.type === "i32" && from < 32) {
      return this.#change(inst, [a], { op: "ext", from: 32, signed: false });
    }
    if (!signed && fits && a.type === "i64") return this.#change(inst, [a], { op: "trunc" });
    // Of a value that was extended from no fewer bits only its source counts.
    if (a.op === "ext" && a.from >= from) return this.#change(inst, [a.args[0] as Inst], { op: "ext", from, signed });
    if (a.op === "trunc") return this.#change(inst, [a.args[0] as Inst], { op: "ext", from, signed });
    if (a.op === "ext" && signed && a.signed && a.from < from) {
      return this.#change(inst, [a.args[0] as Inst], { op: "ext", from: a.from, signed: true });
    }
    if (a.op === "ext" && !a.signed && a.from < from) {
      return this.#change(inst, [a.args[0] as Inst], { op: "ext", from: a.from, signed: false });
    }
    if (a.op === "binary" && a.binary === "and" && a.args[1]?.op === "const" && this.#isOnlyUse(a)) {
      const kept = (1n << BigInt(from)) - 1n;
      if ((a.args[1].value & kept) === kept) {
        return this.#change(inst, [a.args[0] as Inst], { op: "ext", from, signed });
      }
    }
    return null;
  }

  #simplifyTrunc(inst: InstOf<"trunc">): Inst | null {
    const a = inst.args[0] as Inst;
    if (a.op === "const") return this.#constant("i32", a.value);
    if (a.op === "ext") {
      const source = a.args[0] as Inst;
      if (a.from === 32) return source.type === "i32" ? source : this.#change(inst, [source], { op: "trunc" });
      return this.#change(inst, [source], { op: "ext", from: a.from, signed: a.signed });
    }
    if (!this.#isOnlyUse(a)) return null;
    if (a.op === "load" && !a.volatile && a.core === undefined) return this.#narrowLoad(inst, a);
    if (a.op === "binary") return this.#narrowBinary(inst, a);
    if (a.op === "neg" && this.#narrow(a.args[0] as Inst)) {
      return this.#change(inst, [this.#narrow(a.args[0] as Inst) as Inst], { op: "neg" });
    }
    if ((a.op === "hton" || a.op === "bswap") && a.bits < 64 && this.#narrow(a.args[0] as Inst)) {
      return this.#change(inst, [this.#narrow(a.args[0] as Inst) as Inst], { op: a.op, bits: a.bits });
    }
    return null;
  }

  /** Of a load only the half that is wanted. */
  #narrowLoad(inst: Inst, load: InstOf<"load">): Inst | null {
    if (load.space === "ctx" || load.space === "kernel") return null;
    // The new load stands where the old one was only if nothing is between: they are in one place when it came just before.
    if (this.#out.at(-1) !== load) return null;
    const size = Math.min(load.size, 4) as 1 | 2 | 4;
    const offset = load.offset + (this.#options.byteOrder === "big" && load.size === 8 ? 4 : 0);
    const align = Math.min(load.align, 4);
    const body = { op: "load", size, signed: load.signed, offset, space: load.space, align } as const;
    return this.#change(inst, [load.args[0] as Inst], body);
  }

  /** The value as i32 at no cost, or null. */
  #narrow(value: Inst): Inst | null {
    if (value.op === "const") return this.#constant("i32", value.value);
    if (value.op === "ext" && value.from === 32 && value.args[0]?.type === "i32") return value.args[0];
    return null;
  }

  #narrowBinary(inst: Inst, a: InstOf<"binary">): Inst | null {
    const [x, y] = a.args as [Inst, Inst];
    const lowBitsOnly = ["add", "sub", "mul", "and", "or", "xor"].includes(a.binary);
    const smallShift = a.binary === "shl" && y.op === "const" && y.value < 32n;
    if (!lowBitsOnly && !smallShift) return null;
    const [left, right] = [this.#narrow(x), this.#narrow(y)];
    if (left === null && right === null) return null;
    if (left === null || right === null) {
      // One truncation moves to the operand, where it may vanish.
      if (y.op === "const" && left === null) {
        const moved = this.#make("i32", [x], { op: "trunc" });
        return this.#change(inst, [moved, right as Inst], { op: "binary", binary: a.binary });
      }
      return null;
    }
    return this.#change(inst, [left, right], { op: "binary", binary: a.binary });
  }

  #simplifySwap(inst: InstOf<"bswap"> | InstOf<"hton">): Inst | null {
    const a = inst.args[0] as Inst;
    const swaps = inst.op === "bswap" || this.#options.byteOrder === "little";
    const { bits } = inst;
    if (a.op === "const") {
      return this.#constant(inst.type, swaps ? reverseBytes(a.value, bits) : BigInt.asUintN(bits, a.value));
    }
    if (!swaps) {
      if (bits === widthOf(inst.type)) return a;
      return this.#change(inst, [a], { op: "ext", from: bits as 16 | 32, signed: false });
    }
    if (a.op === inst.op && a.bits === bits) {
      const source = a.args[0] as Inst;
      if (bits === widthOf(inst.type) || possibleBits(source) >> BigInt(bits) === 0n) return source;
      return this.#change(inst, [source], { op: "ext", from: bits as 16 | 32, signed: false });
    }
    // Only the low bits are read.
    if (a.op === "ext" && a.from >= bits && (a.args[0] as Inst).type === inst.type) {
      return this.#change(inst, [a.args[0] as Inst], { op: inst.op, bits });
    }
    if (a.op === "binary" && a.binary === "and" && a.args[1]?.op === "const" && this.#isOnlyUse(a)) {
      const kept = (1n << BigInt(bits)) - 1n;
      if ((a.args[1].value & kept) === kept) return this.#change(inst, [a.args[0] as Inst], { op: inst.op, bits });
    }
    return null;
  }

  // Compares

  #simplifyCmp(inst: InstOf<"cmp">): Inst | null {
    const better = this.#compare(inst.predicate, inst.args as [Inst, Inst]);
    if (typeof better === "boolean") return this.#constant("i32", better ? 1n : 0n);
    if (better) return this.#change(inst, better.args, { op: "cmp", predicate: better.predicate });
    const [a, b] = inst.args as [Inst, Inst];
    return b.op === "const" ? this.#cmpAsBits(inst, a, b.value) : null;
  }

  /** Compares that are one bit of the operand. */
  #cmpAsBits(inst: InstOf<"cmp">, a: Inst, c: bigint): Inst | null {
    const bits = widthOf(a.type);
    const toI32 = (value: Inst): Inst => (value.type === "i32" ? value : this.#make("i32", [value], { op: "trunc" }));
    if (inst.predicate === "slt" && c === 0n && a.type !== "ptr")
      return toI32(this.#binary("lshr", a, BigInt(bits - 1)));
    if (inst.predicate === "ne" && c === 0n && a.type !== "ptr") {
      const possible = possibleBits(a);
      if (possible === 1n) return toI32(a);
      if (isPowerOfTwo(possible)) return toI32(this.#binary("lshr", a, log2(possible)));
    }
    if (inst.predicate === "set" && isPowerOfTwo(c)) {
      return toI32(this.#binary("and", this.#binary("lshr", a, log2(c)), 1n));
    }
    if (inst.predicate === "eq" && c === 0n && a.type !== "ptr" && possibleBits(a) === 1n) {
      return toI32(this.#binary("xor", a, 1n));
    }
    return null;
  }

  /** The opposite of a boolean, if it costs nothing. */
  #inverted(a: Inst): Inst | null {
    if (a.op !== "cmp" || !this.#isOnlyUse(a)) return null;
    const inverse = INVERSE[a.predicate];
    return inverse ? this.#make("i32", [...a.args], { op: "cmp", predicate: inverse }) : null;
  }

  /** A simpler form of a compare, its outcome, or null. */
  #compare(predicate: Predicate, args: [Inst, Inst]): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
    const [a, b] = args;
    const bits = widthOf(a.type);
    if (a.op === "const" && b.op === "const") return evaluatePredicate(predicate, [a.value, b.value], bits);
    if (a === b && predicate !== "set") return evaluatePredicate(predicate, [0n, 0n], bits);
    if (a.op === "const") return { predicate: SWAPPED[predicate], args: [b, a] };
    const swapped = this.#unswap(predicate, a, b);
    if (swapped) return swapped;
    if (b.op !== "const") return this.#compareDifference(predicate, a, b);
    return this.#compareConstant(predicate, a, b);
  }

  #compareDifference(predicate: Predicate, a: Inst, b: Inst): { predicate: Predicate; args: [Inst, Inst] } | null {
    const widened = a.op === "ext" && b.op === "ext" && a.from === b.from && !a.signed && !b.signed && a.from === 32;
    if (widened && a.args[0]?.type === "i32" && b.args[0]?.type === "i32" && !isSigned(predicate)) {
      return { predicate, args: [a.args[0], b.args[0]] };
    }
    return null;
  }

  /** Equality of swapped bytes is equality before the swap: the constant is swapped at compile time. */
  #unswap(predicate: Predicate, a: Inst, b: Inst): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
    if (predicate !== "eq" && predicate !== "ne") return null;
    const bits = this.#swappedBits(a);
    if (bits === null) return null;
    const low = (value: Inst): Inst => {
      if (possibleBits(value) >> BigInt(bits) === 0n || bits === widthOf(value.type)) return value;
      return this.#make(value.type as ValueType, [value], { op: "ext", from: bits as 16 | 32, signed: false });
    };
    if (b.op === "const") {
      if (b.value >> BigInt(bits) !== 0n) return predicate === "ne";
      return { predicate, args: [low(a.args[0] as Inst), this.#constant(a.type, reverseBytes(b.value, bits))] };
    }
    if (this.#swappedBits(b) !== bits || b.args[0]?.type !== a.args[0]?.type) return null;
    return { predicate, args: [low(a.args[0] as Inst), low(b.args[0] as Inst)] };
  }

  #swappedBits(inst: Inst): 16 | 32 | 64 | null {
    if (inst.op === "bswap") return inst.bits;
    return inst.op === "hton" && this.#options.byteOrder === "little" ? inst.bits : null;
  }

  #compareConstant(
    predicate: Predicate,
    a: Inst,
    b: InstOf<"const">,
  ): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
    const bits = widthOf(a.type);
    const c = b.value;
    const all = (1n << BigInt(bits)) - 1n;
    const zero = (to: Predicate): { predicate: Predicate; args: [Inst, Inst] } => ({
      predicate: to,
      args: [a, this.#constant(a.type, 0n)],
    });
    switch (predicate) {
      case "ult":
        if (c === 0n) return false;
        if (c === 1n) return zero("eq");
        break;
      case "uge":
        if (c === 0n) return true;
        if (c === 1n) return zero("ne");
        break;
      case "ugt":
        if (c === all) return false;
        if (c === 0n) return zero("ne");
        break;
      case "ule":
        if (c === all) return true;
        if (c === 0n) return zero("eq");
        break;
      case "set":
        if (c === 0n) return false;
        if (c === all) return zero("ne");
        break;
      case "eq":
      case "ne": {
        const equal = this.#equality(predicate, a, c);
        if (equal !== null) return equal;
        break;
      }
      default:
        break;
    }
    return this.#byBits(predicate, a, c);
  }

  /** What the bits that may be set decide. */
  #byBits(predicate: Predicate, a: Inst, c: bigint): boolean | null {
    if (a.type === "ptr") return null;
    const possible = possibleBits(a);
    const bits = widthOf(a.type);
    const isPositive = possible >> BigInt(bits - 1) === 0n;
    const signed = BigInt.asIntN(bits, c);
    switch (predicate) {
      case "ult":
        return possible < c ? true : null;
      case "ule":
        return possible <= c ? true : null;
      case "ugt":
        return possible <= c ? false : null;
      case "uge":
        return possible < c ? false : null;
      case "slt":
        return isPositive && signed <= 0n ? false : isPositive && possible < signed ? true : null;
      case "sle":
        return isPositive && signed < 0n ? false : isPositive && possible <= signed ? true : null;
      case "sgt":
        return isPositive && signed < 0n ? true : isPositive && possible <= signed ? false : null;
      case "sge":
        return isPositive && signed <= 0n ? true : isPositive && possible < signed ? false : null;
      case "set":
        return (possible & c) === 0n ? false : null;
      case "eq":
        return (c & ~possible) !== 0n ? false : null;
      case "ne":
        return (c & ~possible) !== 0n ? true : null;
    }
  }

  #equality(predicate: "eq" | "ne", a: Inst, c: bigint): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
    const constant = (value: bigint, like: Inst): Inst => this.#constant(like.type, value);
    // A boolean against 0 or 1 is the boolean.
    if (a.op === "cmp" && c <= 1n) {
      const wanted = (predicate === "ne") === (c === 0n);
      const to = wanted ? a.predicate : INVERSE[a.predicate];
      return to ? { predicate: to, args: a.args as [Inst, Inst] } : null;
    }
    if (a.op === "ext" && !a.signed && a.from === 32 && a.args[0]?.type === "i32") {
      return c > 0xffff_ffffn ? predicate === "ne" : { predicate, args: [a.args[0], constant(c, a.args[0])] };
    }
    if (a.op === "trunc" && possibleBits(a.args[0] as Inst) >> 32n === 0n) {
      return { predicate, args: [a.args[0] as Inst, constant(c, a.args[0] as Inst)] };
    }
    if (c === 0n && a.op === "binary" && (a.binary === "sub" || a.binary === "xor") && this.#isOnlyUse(a)) {
      return { predicate, args: [a.args[0] as Inst, a.args[1] as Inst] };
    }
    if (c === 0n && a.op === "ptrsub" && this.#isOnlyUse(a)) return null;
    if (a.op === "binary" && a.args[1]?.op === "const" && this.#isOnlyUse(a)) {
      const x = a.args[0] as Inst;
      const d = a.args[1].value;
      if (a.binary === "add") return { predicate, args: [x, constant(c - d, x)] };
      if (a.binary === "xor") return { predicate, args: [x, constant(c ^ d, x)] };
      if (a.binary === "and") return this.#maskedSwap(predicate, { x, mask: d, c });
    }
    return null;
  }

  /** A mask on swapped bytes is the swapped mask on the bytes. */
  #maskedSwap(
    predicate: Predicate,
    { x, mask, c }: { x: Inst; mask: bigint; c: bigint },
  ): { predicate: Predicate; args: [Inst, Inst] } | null {
    const bits = this.#swappedBits(x);
    if (bits === null || !this.#isOnlyUse(x) || c >> BigInt(bits) !== 0n) return null;
    const source = x.args[0] as Inst;
    const masked = this.#binary("and", source, reverseBytes(mask, bits));
    return { predicate, args: [masked, this.#constant(x.type, reverseBytes(c, bits))] };
  }

  #branch(terminator: TerminatorOf<"branch">): void {
    const better = this.#compare(terminator.predicate, terminator.args);
    if (better === null) return;
    this.#changed = true;
    if (typeof better === "boolean") {
      const constant = this.#constant("i32", 0n);
      terminator.predicate = better ? "eq" : "ne";
      terminator.args = [constant, constant];
    } else {
      terminator.predicate = better.predicate;
      terminator.args = better.args;
    }
  }

  #simplifySelect(inst: InstOf<"select">): Inst | null {
    const [condition, a, b] = inst.args as [Inst, Inst, Inst];
    if (condition.op === "const") return condition.value === 0n ? b : a;
    if (a === b) return a;
    if (a.op === "const" && b.op === "const" && possibleBits(condition) === 1n) {
      const wide = (value: Inst): Inst =>
        inst.type === "i64" ? this.#make("i64", [value], { op: "ext", from: 32, signed: false }) : value;
      if (a.value === 1n && b.value === 0n && inst.type !== "ptr") return wide(condition);
      if (a.value === 0n && b.value === 1n && inst.type !== "ptr") {
        const inverse = this.#inverted(condition);
        if (inverse) return wide(inverse);
      }
      // A single bit moved to its place.
      if (b.value === 0n && isPowerOfTwo(a.value) && inst.type !== "ptr" && this.#isBit(condition)) {
        return this.#binary("shl", wide(condition), log2(a.value));
      }
    }
    return null;
  }

  /** Whether a boolean is there as a bit rather than made by a branch. */
  #isBit(condition: Inst): boolean {
    return condition.op !== "cmp" && condition.op !== "phi";
  }

  // Addresses

  #simplifyPtradd(inst: InstOf<"ptradd">): Inst | null {
    const [pointer, by] = inst.args as [Inst, Inst];
    if (by.op !== "const") return null;
    if (by.value === 0n) return pointer;
    if (pointer.op === "ptradd" && pointer.args[1]?.op === "const") {
      const sum = this.#constant("i64", pointer.args[1].value + by.value);
      return this.#change(inst, [pointer.args[0] as Inst, sum], { op: "ptradd" });
    }
    return null;
  }

  #simplifyPtrsub(inst: InstOf<"ptrsub">): Inst | null {
    const [a, b] = inst.args as [Inst, Inst];
    if (a === b) return this.#constant("i64", 0n);
    if (a.op === "ptradd" && a.args[0] === b) return a.args[1] as Inst;
    return null;
  }

  /** Constant steps go into the access. */
  #simplifyAccess(inst: InstOf<"load"> | InstOf<"store"> | InstOf<"atomic">): Inst | null {
    const pointer = inst.args[0] as Inst;
    const hasCore = inst.op !== "atomic" && inst.core !== undefined;
    if (!hasCore && pointer.op === "ptradd" && pointer.args[1]?.op === "const") {
      const offset = inst.offset + Number(BigInt.asIntN(64, pointer.args[1].value));
      if (offset >= -0x8000 && offset <= 0x7fff) {
        inst.offset = offset;
        inst.args[0] = pointer.args[0] as Inst;
        this.#changed = true;
      }
    }
    if (inst.op === "store") this.#simplifyStored(inst);
    return null;
  }

  /** Only the low bits of what is stored count. */
  #simplifyStored(inst: InstOf<"store">): void {
    const kept = inst.size * 8;
    const mask = (1n << BigInt(kept)) - 1n;
    for (;;) {
      const value = inst.args[1] as Inst;
      const source = value.args[0] as Inst;
      const isCut =
        (value.op === "ext" && value.from >= kept) ||
        value.op === "trunc" ||
        (value.op === "binary" &&
          value.binary === "and" &&
          value.args[1]?.op === "const" &&
          (value.args[1].value & mask) === mask);
      if (!isCut || (source.type === "i32" && inst.size === 8)) return;
      inst.args[1] = source;
      this.#changed = true;
    }
  }
}

const isPowerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

const log2 = (value: bigint): bigint => BigInt(value.toString(2).length - 1);

const isSigned = (predicate: Predicate): boolean => predicate.startsWith("s") && predicate !== "set";
