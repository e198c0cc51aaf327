/**
 * @module
 * Operations of the IR as JavaScript expressions. An `i32` is a number from 0 to 2**32 - 1, an `i64` a bigint from 0 to 2**64 - 1, a
 * pointer a number: an address in the module's memory.
 */
import { widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { BinaryOp, Inst, Predicate } from "../ir.ts";

/** Functions that the module's head defines where they are used. */
export type HelperName = keyof typeof HELPERS;

export const HELPERS = {
  u64: "const u64 = (value) => BigInt.asUintN(64, value);",
  s64: "const s64 = (value) => BigInt.asIntN(64, value);",
  low: "const low = (value) => Number(BigInt.asUintN(32, value));",
  udiv32: "const udiv32 = (a, b) => (b === 0 ? 0 : (a / b) >>> 0);",
  umod32: "const umod32 = (a, b) => (b === 0 ? a : a % b);",
  sdiv32: "const sdiv32 = (a, b) => (b === 0 ? 0 : ((a | 0) / (b | 0)) >>> 0);",
  smod32: "const smod32 = (a, b) => (b === 0 ? a : ((a | 0) % (b | 0)) >>> 0);",
  udiv64: "const udiv64 = (a, b) => (b === 0n ? 0n : a / b);",
  umod64: "const umod64 = (a, b) => (b === 0n ? a : a % b);",
  sdiv64: "const sdiv64 = (a, b) => (b === 0n ? 0n : u64(s64(a) / s64(b)));",
  smod64: "const smod64 = (a, b) => (b === 0n ? a : u64(s64(a) % s64(b)));",
  swap16: "const swap16 = (value) => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);",
  swap32: "const swap32 = (value) => ((swap16(value) << 16) | swap16(value >>> 16)) >>> 0;",
  swap64: "const swap64 = (value) => (BigInt(swap32(low(value))) << 32n) | BigInt(swap32(low(value >> 32n)));",
  bpfLoop:
    "const bpfLoop = (times, body, context) => {\n  if (times > 8388608) return u64(-7n);\n" +
    "  for (let index = 0n; index < times; index++) if (body(index, context) !== 0n) return index + 1n;\n  return BigInt(times);\n};",
} as const;

const NEEDS: Partial<Record<HelperName, readonly HelperName[]>> = {
  sdiv64: ["u64", "s64"],
  smod64: ["u64", "s64"],
  swap32: ["swap16"],
  swap64: ["low", "swap32", "swap16"],
  bpfLoop: ["u64"],
};

/** Which helpers a text needs, in the order of their definition. */
export function helpersOf(used: ReadonlySet<HelperName>): string[] {
  const all = new Set(used);
  for (const name of used) for (const needed of NEEDS[name] ?? []) all.add(needed);
  return (Object.keys(HELPERS) as HelperName[]).filter((name) => all.has(name)).map((name) => HELPERS[name]);
}

/** Writes one instruction's expression; `of` gives an operand as an atom or in parentheses. */
export class ExpressionWriter {
  readonly used: Set<HelperName>;
  readonly #of: (inst: Inst) => string;
  readonly #littleEndian: boolean;

  constructor(options: { used: Set<HelperName>; of: (inst: Inst) => string; littleEndian: boolean }) {
    this.used = options.used;
    this.#of = options.of;
    this.#littleEndian = options.littleEndian;
  }

  call(name: HelperName, ...args: string[]): string {
    this.used.add(name);
    return `${name}(${args.map(strip).join(", ")})`;
  }

  /** Of arithmetic; null for what is none. */
  write(inst: Inst): string | null {
    const [a, b] = inst.args;
    switch (inst.op) {
      case "const":
        return literal(inst);
      case "binary":
        return this.#binary(inst);
      case "neg":
        return inst.type === "i64" ? this.call("u64", `-${this.#of(a as Inst)}`) : `(-${this.#of(a as Inst)} >>> 0)`;
      case "ptradd":
        return this.#ptradd(a as Inst, b as Inst);
      case "ptrsub":
        return this.call("u64", `BigInt(${this.#of(a as Inst)} - ${this.#of(b as Inst)})`);
      case "bswap":
        return this.#swap(a as Inst, inst.bits);
      case "hton":
        return this.#littleEndian ? this.#swap(a as Inst, inst.bits) : this.#cut(a as Inst, inst.bits);
      case "ext":
        return this.#extend(inst);
      case "trunc":
        return this.call("low", this.#of(a as Inst));
      case "cmp":
        return `(${this.condition(inst.predicate, a as Inst, b as Inst)} ? 1 : 0)`;
      case "select": {
        const [test, yes, no] = inst.args as [Inst, Inst, Inst];
        return `(${this.truth(test)} ? ${this.#of(yes)} : ${this.#of(no)})`;
      }
      default:
        return null;
    }
  }

  /** Whether a value is not 0. */
  truth(inst: Inst): string {
    return `${this.#of(inst)} !== ${inst.type === "i64" ? "0n" : "0"}`;
  }

  condition(predicate: Predicate, a: Inst, b: Inst): string {
    const [left, right] = [this.#of(a), this.#of(b)];
    const wide = a.type === "i64";
    if (predicate === "set") return `(${left} & ${right}) !== ${wide ? "0n" : "0"}`;
    const operator = OPERATORS[predicate];
    if (!predicate.startsWith("s")) return `${left} ${operator} ${right}`;
    return `${this.#signed(left, wide)} ${operator} ${this.#signed(right, wide)}`;
  }

  #signed(text: string, wide: boolean): string {
    return wide ? this.call("s64", text) : `(${text} | 0)`;
  }

  #binary(inst: InstOf<"binary">): string {
    const [left, right] = inst.args as [Inst, Inst];
    const [a, b] = [this.#of(left), this.#of(right)];
    return inst.type === "i64" ? this.#wide(inst.binary, [a, b], right) : this.#narrow(inst.binary, [a, b], right);
  }

  #narrow(op: BinaryOp, [a, b]: [string, string], right: Inst): string {
    const known = right.op === "const" && right.value !== 0n;
    switch (op) {
      case "add":
        return `((${a} + ${b}) >>> 0)`;
      case "sub":
        return `((${a} - ${b}) >>> 0)`;
      case "mul":
        return `(Math.imul(${strip(a)}, ${strip(b)}) >>> 0)`;
      case "and":
        return `((${a} & ${b}) >>> 0)`;
      case "or":
        return `((${a} | ${b}) >>> 0)`;
      case "xor":
        return `((${a} ^ ${b}) >>> 0)`;
      case "shl":
        return `((${a} << ${b}) >>> 0)`;
      case "lshr":
        return `(${a} >>> ${b})`;
      case "ashr":
        return `((${a} >> ${b}) >>> 0)`;
      case "udiv":
        return known ? `((${a} / ${b}) >>> 0)` : this.call("udiv32", a, b);
      case "umod":
        return known ? `(${a} % ${b})` : this.call("umod32", a, b);
      case "sdiv":
        return this.call("sdiv32", a, b);
      case "smod":
        return this.call("smod32", a, b);
    }
  }

  #wide(op: BinaryOp, [a, b]: [string, string], right: Inst): string {
    const known = right.op === "const" && right.value !== 0n;
    const count = right.op === "const" ? `${right.value & 63n}n` : `(${b} & 63n)`;
    switch (op) {
      case "add":
        return this.call("u64", `${a} + ${b}`);
      case "sub":
        return this.call("u64", `${a} - ${b}`);
      case "mul":
        return this.call("u64", `${a} * ${b}`);
      case "and":
        return `(${a} & ${b})`;
      case "or":
        return `(${a} | ${b})`;
      case "xor":
        return `(${a} ^ ${b})`;
      case "shl":
        return this.call("u64", `${a} << ${count}`);
      case "lshr":
        return `(${a} >> ${count})`;
      case "ashr":
        return this.call("u64", `${this.call("s64", a)} >> ${count}`);
      case "udiv":
        return known ? `(${a} / ${b})` : this.call("udiv64", a, b);
      case "umod":
        return known ? `(${a} % ${b})` : this.call("umod64", a, b);
      case "sdiv":
        return this.call("sdiv64", a, b);
      case "smod":
        return this.call("smod64", a, b);
    }
  }

  #ptradd(pointer: Inst, offset: Inst): string {
    const base = this.#of(pointer);
    if (offset.op === "const") return `(${base} + ${BigInt.asIntN(64, offset.value)})`;
    return `(${base} + Number(${strip(this.#of(offset))}))`;
  }

  /** The low 32 bits as a number. */
  #number(inst: Inst): string {
    return inst.type === "i64" ? this.call("low", this.#of(inst)) : this.#of(inst);
  }

  #swap(value: Inst, bits: 16 | 32 | 64): string {
    if (bits === 64) return this.call("swap64", this.#of(value));
    const swapped = this.call(bits === 16 ? "swap16" : "swap32", this.#number(value));
    return value.type === "i64" ? `BigInt(${swapped})` : swapped;
  }

  #cut(value: Inst, bits: 16 | 32 | 64): string {
    if (bits === 64) return this.#of(value);
    const cut = bits === 16 ? `(${this.#number(value)} & 0xffff)` : this.#number(value);
    return value.type === "i64" ? `BigInt(${strip(cut)})` : cut;
  }

  #extend(inst: InstOf<"ext">): string {
    const [value] = inst.args as [Inst];
    const { from, signed } = inst;
    const number = this.#number(value);
    if (!signed) {
      const cut = from === 32 ? number : `(${number} & ${from === 8 ? "0xff" : "0xffff"})`;
      return inst.type === "i64" ? `BigInt(${strip(cut)})` : cut;
    }
    const shift = 32 - from;
    const extended = from === 32 ? `${number} | 0` : `(${number} << ${shift}) >> ${shift}`;
    return inst.type === "i64" ? this.call("u64", `BigInt(${extended})`) : `((${extended}) >>> 0)`;
  }
}

const OPERATORS: Readonly<Record<Exclude<Predicate, "set">, string>> = {
  eq: "===",
  ne: "!==",
  ult: "<",
  ule: "<=",
  ugt: ">",
  uge: ">=",
  slt: "<",
  sle: "<=",
  sgt: ">",
  sge: ">=",
};

function literal(inst: InstOf<"const">): string {
  return widthOf(inst.type) === 64 && inst.type !== "ptr" ? `${inst.value}n` : `${inst.value}`;
}

/** Without parentheses around the whole: as an argument it needs none. */
export function strip(text: string): string {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0 && at < text.length - 1) return text;
  }
  return text.slice(1, -1);
}
