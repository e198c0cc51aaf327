/**
 * @module
 * Which bits of a value may be set: only what the kernel's verifier works out too, so that a mask or check that this makes
 * superfluous is superfluous to it. It knows nothing of quotients, remainders and shifts by a register, and of swapped bytes only the width.
 */
import { widthOf } from "../edit.ts";
import type { Inst } from "../ir.ts";

const DEPTH = 8;

/** Bits below the lowest that may be set. */
function trailingZeros(bits: bigint): bigint {
  if (bits & 1n || bits === 0n) return 0n;
  return BigInt(bitLength(bits & -bits) - 1);
}

/** Bits up to the highest that is set, of a value that is not negative. */
export function bitLength(value: bigint): number {
  let length = 0;
  let rest = value;
  for (; rest > 0xffff_ffffn; rest >>= 32n) length += 32;
  return length + 32 - Math.clz32(Number(rest));
}

const ALL_32 = 0xffff_ffffn;
const ALL_64 = 0xffff_ffff_ffff_ffffn;
const full = (inst: Inst): bigint => (inst.type === "i32" ? ALL_32 : ALL_64);

/** What a value of so many bytes may be. */
const OF_BYTES: readonly bigint[] = Array.from({ length: 9 }, (_, bytes) => (1n << BigInt(bytes * 8)) - 1n);

/** All bits up to the highest of each length. */
const BELOW: readonly bigint[] = Array.from({ length: 130 }, (_, bits) => (1n << BigInt(bits)) - 1n);

function below(value: bigint): bigint {
  const length = bitLength(value);
  return BELOW[length] ?? (1n << BigInt(length)) - 1n;
}

/** A mask that covers every value the instruction may give. */
export function possibleBits(inst: Inst, depth = DEPTH): bigint {
  if (depth === 0 || !isBounded(inst)) return full(inst);
  // Phis of phis branch out: only near ones are looked at.
  const left = inst.op === "phi" ? Math.min(depth - 1, 2) : depth - 1;
  return bitsOf(inst, (arg) => possibleBits(arg, left));
}

/** The same, worked out once for each instruction: of phis of phis too, but for those of loops. Valid while values stay what they are. */
export class PossibleBits {
  readonly #known: (bigint | undefined)[] = [];
  readonly #open = new Set<Inst>();

  of(inst: Inst, depth = MEMO_DEPTH): bigint {
    if (inst.op === "const") return inst.value;
    const known = this.#known[inst.id];
    if (known !== undefined) return known;
    if (!isBounded(inst)) return full(inst);
    if (depth === 0 || this.#open.has(inst)) return full(inst);
    this.#open.add(inst);
    const bits = bitsOf(inst, (arg) => this.of(arg, depth - 1));
    this.#open.delete(inst);
    this.#known[inst.id] = bits;
    return bits;
  }

  /** The instruction has another form now, of which more may be known. */
  forget(inst: Inst): void {
    this.#known[inst.id] = undefined;
  }
}

const MEMO_DEPTH = 40;

/** Whether `bitsOf` may know more of it than its width. */
function isBounded(inst: Inst): boolean {
  switch (inst.op) {
    case "load":
      return !inst.signed && inst.type !== "ptr";
    case "binary":
    case "const":
    case "cmp":
    case "ext":
    case "trunc":
    case "bswap":
    case "hton":
    case "select":
    case "phi":
      return true;
    default:
      return false;
  }
}

function bitsOf(inst: Inst, possible: (arg: Inst) => bigint): bigint {
  const all = full(inst);
  const of = (arg: Inst | undefined): bigint => possible(arg as Inst);
  const [a, b, c] = inst.args;
  switch (inst.op) {
    case "const":
      return inst.value;
    case "load":
      return inst.signed || inst.type === "ptr" ? all : (OF_BYTES[inst.size] as bigint);
    case "cmp":
      return 1n;
    case "ext": {
      const low = of(a) & (OF_BYTES[inst.from >> 3] as bigint);
      return inst.signed && low >> BigInt(inst.from - 1) !== 0n ? all : low;
    }
    case "trunc":
      return of(a) & all;
    case "bswap":
    case "hton":
      return OF_BYTES[inst.bits >> 3] as bigint;
    case "select":
      return of(b) | of(c);
    case "phi":
      return inst.args.reduce((bits, arg) => (arg === inst ? bits : bits | of(arg)), 0n);
    case "binary":
      return binaryBits(inst, of) & all;
    default:
      return all;
  }
}

function binaryBits(inst: Extract<Inst, { op: "binary" }>, of: (arg: Inst | undefined) => bigint): bigint {
  const [a, b] = inst.args;
  const all = full(inst);
  const count = b?.op === "const" ? b.value & BigInt(widthOf(inst.type) - 1) : undefined;
  switch (inst.binary) {
    case "and":
      return of(a) & of(b);
    case "or":
    case "xor":
      return of(a) | of(b);
    case "shl":
      return count === undefined ? all : of(a) << count;
    case "lshr":
      return count === undefined ? all : of(a) >> count;
    case "ashr": {
      const bits = of(a);
      return count === undefined || bits >> BigInt(widthOf(inst.type) - 1) ? all : bits >> count;
    }
    case "add": {
      const [x, y] = [of(a), of(b)];
      const sum = below(x) + below(y);
      const low = trailingZeros(x | y);
      return (sum > all ? all : below(sum)) & ~((1n << low) - 1n);
    }
    case "mul": {
      const [x, y] = [of(a), of(b)];
      if (x === 0n || y === 0n) return 0n;
      if (x === 1n) return y;
      if (y === 1n) return x;
      const product = below(x) * below(y);
      const low = trailingZeros(x) + trailingZeros(y);
      return (product > all ? all : below(product)) & ~((1n << low) - 1n);
    }
    default:
      return all;
  }
}
