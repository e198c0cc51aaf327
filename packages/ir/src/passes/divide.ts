/**
 * @module
 * Division by constants as multiplication with the inverse (Granlund and Montgomery 1994). The quotient is exact, and unlike that of a
 * division its range is known to the kernel's verifier.
 */
import { possibleBits } from "../analysis/bits.ts";
import { makeInst } from "../edit.ts";
import type { InstBody, InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, ValueType } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";

/** Returns whether a division went. */
export function multiplyInstead(fn: IrFunction, pool: ConstantPool): boolean {
  let changed = false;
  for (const block of fn.blocks) changed = new Divider(fn, pool).block(block) || changed;
  return changed;
}

class Divider {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  #out: Inst[] = [];
  #changed = false;

  constructor(fn: IrFunction, pool: ConstantPool) {
    this.#fn = fn;
    this.#pool = pool;
  }

  block(block: Block): boolean {
    const insts = block.insts;
    const isEntry = block === this.#fn.blocks[0];
    block.insts = [];
    for (const inst of insts) {
      if (inst.op !== "binary" || !this.#divide(inst)) this.#out.push(inst);
    }
    block.insts = isEntry ? [...block.insts, ...this.#out] : this.#out;
    return this.#changed;
  }

  #emit(type: ValueType, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body });
    this.#out.push(inst);
    return inst;
  }

  #binary(binary: InstOf<"binary">["binary"], a: Inst, b: Inst | bigint): Inst {
    const type = a.type as ValueType;
    return this.#emit(type, [a, typeof b === "bigint" ? this.#pool.get(type, b) : b], { op: "binary", binary });
  }

  /** Appends the replacement, ending with the instruction itself, and tells whether there is one. */
  #divide(inst: InstOf<"binary">): boolean {
    const [a, b] = inst.args as [Inst, Inst];
    if (b.op !== "const" || b.value < 3n) return false;
    const start = this.#out.length;
    let quotient: Inst | null = null;
    if (inst.binary === "udiv" || inst.binary === "umod") quotient = this.#unsigned(a, b.value);
    else if ((inst.binary === "sdiv" || inst.binary === "smod") && inst.type === "i32")
      quotient = this.#signed(a, b.value);
    if (quotient === null) return false;
    for (const made of this.#out.slice(start)) if (inst.loc) made.loc = inst.loc;
    this.#changed = true;
    if (inst.binary === "udiv" || inst.binary === "sdiv") {
      const zero = this.#pool.get(inst.type as ValueType, 0n);
      this.#become(inst, [quotient, zero], "or");
    } else this.#become(inst, [a, this.#binary("mul", quotient, b.value)], "sub");
    return true;
  }

  #become(inst: InstOf<"binary">, args: Inst[], binary: "or" | "sub"): void {
    inst.binary = binary;
    inst.args = args;
    this.#out.push(inst);
  }

  /** a / d for a dividend of at most 32 bits. */
  #unsigned(a: Inst, d: bigint): Inst | null {
    const dividend = possibleBits(a);
    if (dividend > 0xffff_ffffn || d > 0xffff_ffffn) return null;
    const bits = BigInt(dividend.toString(2).length);
    const wide = a.type === "i64" ? a : this.#emit("i64", [a], { op: "ext", from: 32, signed: false });
    const quotient = this.#exact(wide, { d, bits }) ?? this.#corrected(wide, d);
    return a.type === "i64" ? quotient : this.#emit("i32", [quotient], { op: "trunc" });
  }

  /** (a * m) >> s where the product fits 64 bits; null where no such m is exact for all dividends. */
  #exact(a: Inst, { d, bits }: { d: bigint; bits: bigint }): Inst | null {
    for (let shift = bits; shift <= 63n; shift++) {
      const m = ((1n << shift) + d - 1n) / d;
      const error = m * d - (1n << shift);
      const isExact = error * ((1n << bits) - 1n) < 1n << shift;
      const fits = m * ((1n << bits) - 1n) < 1n << 64n;
      // A multiplier beyond 32 bits would need a constant of two slots; one of 32 is a single move.
      if (isExact && fits && m <= 0xffff_ffffn) return this.#binary("lshr", this.#binary("mul", a, m), shift);
    }
    return null;
  }

  /** The 33-bit multiplier: t = (a * (m - 2^32)) >> 32; (((a - t) >> 1) + t) >> (s - 1). */
  #corrected(a: Inst, d: bigint): Inst {
    const s = BigInt((d - 1n).toString(2).length);
    const m = ((1n << (32n + s)) + d - 1n) / d - (1n << 32n);
    const t = this.#binary("lshr", this.#binary("mul", a, m), 32n);
    const half = this.#binary("lshr", this.#binary("sub", a, t), 1n);
    return this.#binary("lshr", this.#binary("add", half, t), s - 1n);
  }

  /** The 32-bit quotient by a positive constant, rounded to zero. */
  #signed(a: Inst, d: bigint): Inst | null {
    if (d >= 1n << 31n) return null;
    const wide = this.#emit("i64", [a], { op: "ext", from: 32, signed: true });
    for (let shift = 32n; shift <= 62n; shift++) {
      const m = (1n << shift) / d + 1n;
      const error = m * d - (1n << shift);
      if (m >= 1n << 32n) break;
      if (error * (1n << 31n) >= 1n << shift) continue;
      const floor = this.#binary("ashr", this.#binary("mul", wide, m), shift);
      const sign = this.#binary("lshr", wide, 63n);
      return this.#emit("i32", [this.#binary("add", floor, sign)], { op: "trunc" });
    }
    this.#out.pop();
    return null;
  }
}
