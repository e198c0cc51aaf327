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
  return bits === 0n ? 0n : BigInt((bits & -bits).toString(2).length - 1);
}

const full = (inst: Inst): bigint => (widthOf(inst.type) === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn);

/** All bits up to the highest of `value`. */
function below(value: bigint): bigint {
  return value === 0n ? 0n : (1n << BigInt(value.toString(2).length)) - 1n;
}

/** A mask that covers every value the instruction may give. */
export function possibleBits(inst: Inst, depth = DEPTH): bigint {
  const all = full(inst);
  if (depth === 0) return all;
  const of = (arg: Inst | undefined): bigint => possibleBits(arg as Inst, depth - 1);
  const [a, b, c] = inst.args;
  switch (inst.op) {
    case "const":
      return inst.value;
    case "load":
      return inst.signed || inst.type === "ptr" ? all : (1n << BigInt(inst.size * 8)) - 1n;
    case "cmp":
      return 1n;
    case "ext": {
      const low = of(a) & ((1n << BigInt(inst.from)) - 1n);
      return inst.signed && (low >> BigInt(inst.from - 1)) & 1n ? all : low;
    }
    case "trunc":
      return of(a) & all;
    case "bswap":
    case "hton":
      return (1n << BigInt(inst.bits)) - 1n;
    case "select":
      return of(b) | of(c);
    case "phi":
      // Phis of phis branch out: only near ones are looked at.
      return inst.args.reduce(
        (bits, arg) => (arg === inst ? bits : bits | possibleBits(arg, Math.min(depth - 1, 2))),
        0n,
      );
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
      const sum = below(of(a)) + below(of(b));
      const low = trailingZeros(of(a) | of(b));
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
