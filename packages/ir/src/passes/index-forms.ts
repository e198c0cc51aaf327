/**
 * @module
 * Indexes of pointers in the form that accesses share: constants out of the variable part into the offset, where the variable part stays small
 * and not negative by itself; counters that are only used scaled count in bytes.
 */
import { possibleBits } from "../analysis/bits.ts";
import { buildCfg, terminatorArgs } from "../analysis/cfg.ts";
import { Ranges } from "../analysis/range.ts";
import type { Counter } from "../analysis/range.ts";
import { become, makeInst, widthOf } from "../edit.ts";
import type { InstBody, InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, ValueType } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";

/** Returns whether something changed. */
export function normalizeIndexes(fn: IrFunction, pool: ConstantPool): boolean {
  const splitter = new Splitter(fn, pool);
  let changed = false;
  for (const block of fn.blocks) changed = splitter.block(block) || changed;
  return changed;
}

interface Split {
  /** The variable part, of the type of what was split. */
  readonly base: Inst;
  readonly offset: bigint;
}

/** Pointers take at most this much of a variable part (BPF_MAX_VAR_OFF); packets 16 bits. */
const MOST_INDEX = 0xffffn;
const MOST_OFFSET = 0x3fffn;

class Splitter {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #ranges: Ranges;
  readonly #compared: ReadonlySet<Inst>;
  #made: Inst[] = [];

  constructor(fn: IrFunction, pool: ConstantPool) {
    this.#fn = fn;
    this.#pool = pool;
    this.#ranges = new Ranges(fn);
    this.#compared = comparedOf(fn, this.#ranges);
  }

  block(block: Block): boolean {
    const insts = block.insts;
    const out: Inst[] = [];
    const isEntry = block === this.#fn.blocks[0];
    block.insts = [];
    let changed = false;
    for (const inst of insts) {
      if (inst.op === "ext" && this.#widenShift(inst, out)) changed = true;
      const split = inst.op === "ptradd" ? this.#index(inst) : null;
      if (split) {
        out.push(...this.#made);
        const sum = makeInst(this.#fn, "ptr", {
          args: [inst.args[0] as Inst, split.base],
          body: { op: "ptradd" },
          loc: inst.loc,
        });
        out.push(sum);
        inst.args = [sum, this.#pool.get("i64", split.offset)];
        changed = true;
      }
      out.push(inst);
    }
    block.insts = isEntry ? [...block.insts, ...out] : out;
    return changed;
  }

  /** The extension of a shift that loses nothing is the shift of the extension. */
  #widenShift(inst: InstOf<"ext">, out: Inst[]): boolean {
    const a = inst.args[0] as Inst;
    if (inst.signed || inst.from !== 32 || inst.type !== "i64" || a.op !== "binary" || a.type !== "i32") return false;
    const [x, by] = a.args as [Inst, Inst];
    if ((a.binary !== "shl" && a.binary !== "mul") || by.op !== "const" || this.#compared.has(a)) return false;
    const { max } = this.#ranges.of(x);
    if ((a.binary === "shl" ? max << by.value : max * by.value) > 0xffff_ffffn) return false;
    const wide = makeInst(this.#fn, "i64", { args: [x], body: { op: "ext", from: 32, signed: false }, loc: inst.loc });
    out.push(wide);
    becomeBinary(inst, [wide, this.#pool.get("i64", by.value)], a.binary);
    return true;
  }

  #index(inst: InstOf<"ptradd">): Split | null {
    this.#made = [];
    const by = inst.args[1] as Inst;
    if (by.op === "const") return null;
    const split = this.#split(by, 6);
    if (split.offset === 0n || split.offset > MOST_OFFSET) return null;
    // By itself the variable part must be known to be small: a check of the sum says nothing of it.
    return this.#ranges.of(split.base).max <= MOST_INDEX ? split : null;
  }

  #emit(type: ValueType, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body });
    this.#made.push(inst);
    return inst;
  }

  /** value = base + offset, without wrapping. */
  #split(value: Inst, depth: number): Split {
    const whole = { base: value, offset: 0n };
    if (depth === 0 || this.#compared.has(value)) return whole;
    const [a, b] = value.args as [Inst, Inst];
    if (value.op === "ext" && !value.signed && value.from === 32 && a.type === "i32") {
      const inner = this.#split(a, depth - 1);
      if (inner.offset === 0n) return whole;
      return { base: this.#emit("i64", [inner.base], { op: "ext", from: 32, signed: false }), offset: inner.offset };
    }
    if (value.op !== "binary" || b.op !== "const") return whole;
    const bits = BigInt(widthOf(value.type));
    if (this.#ranges.of(value).max === (1n << bits) - 1n && possibleBits(value) === (1n << bits) - 1n) return whole;
    switch (value.binary) {
      case "add": {
        if (!this.#fits(a, b.value, value)) return whole;
        const inner = this.#split(a, depth - 1);
        return { base: inner.base, offset: inner.offset + b.value };
      }
      case "shl":
      case "mul": {
        const inner = this.#split(a, depth - 1);
        if (inner.offset === 0n || !this.#scales(inner, value, b.value)) return whole;
        const base = this.#emit(value.type as ValueType, [inner.base, b], { op: "binary", binary: value.binary });
        const offset = value.binary === "shl" ? inner.offset << b.value : inner.offset * b.value;
        return { base, offset };
      }
      default:
        return whole;
    }
  }

  /** Whether a + c does not wrap. */
  #fits(a: Inst, c: bigint, sum: Inst): boolean {
    return this.#ranges.of(a).max + c < 1n << BigInt(widthOf(sum.type)) && c <= MOST_OFFSET;
  }

  #scales(inner: Split, value: InstOf<"binary">, by: bigint): boolean {
    const most = this.#ranges.of(inner.base).max + inner.offset;
    const scaled = value.binary === "shl" ? most << by : most * by;
    return scaled < 1n << BigInt(widthOf(value.type));
  }
}

/** Values that a compare bounds beyond what is known of them anyway: to the verifier it says nothing of what they were made from. */
function comparedOf(fn: IrFunction, ranges: Ranges): ReadonlySet<Inst> {
  const counters = [...ranges.counters.values()];
  const isLoopTest = (block: Block, arg: Inst): boolean =>
    counters.some(({ next, loop }) => next === arg && (loop.header === block || loop.latches.includes(block)));
  const compared = new Set<Inst>();
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (inst.op === "cmp") for (const arg of inst.args) compared.add(arg);
    if (block.terminator?.op === "return") continue;
    for (const arg of terminatorArgs(block.terminator)) if (!isLoopTest(block, arg)) compared.add(arg);
  }
  return compared;
}

/** Lets counters that are only scaled count in steps of the scale. Returns whether one was changed. */
export function scaleCounters(fn: IrFunction, pool: ConstantPool): boolean {
  const ranges = new Ranges(fn, buildCfg(fn));
  const users = usersOf(fn);
  let changed = false;
  for (const counter of ranges.counters.values()) changed = scale({ counter, users, pool }) || changed;
  return changed;
}

interface Users {
  readonly insts: ReadonlyMap<Inst, readonly Inst[]>;
  /** Blocks whose terminator uses the value. */
  readonly terminators: ReadonlyMap<Inst, readonly Block[]>;
}

function usersOf(fn: IrFunction): Users {
  const insts = new Map<Inst, Inst[]>();
  const terminators = new Map<Inst, Block[]>();
  for (const block of fn.blocks) {
    for (const inst of block.insts) for (const arg of inst.args) insts.set(arg, [...(insts.get(arg) ?? []), inst]);
    for (const arg of terminatorArgs(block.terminator)) terminators.set(arg, [...(terminators.get(arg) ?? []), block]);
  }
  return { insts, terminators };
}

function scale({ counter, users, pool }: { counter: Counter; users: Users; pool: ConstantPool }): boolean {
  const { phi, next } = counter;
  const plan = planScale(counter, users);
  if (plan === null) return false;
  const { factor, shifted, extended, tests } = plan;
  const wide = (value: bigint): Inst => pool.get("i64", value * factor);
  // The counter becomes an i64 in steps of the scale; nothing else reads it.
  phi.type = "i64";
  next.type = "i64";
  phi.args = phi.args.map((arg) => (arg.op === "const" ? wide(arg.value) : arg));
  next.args = [phi, wide((next.args[1] as InstOf<"const">).value)];
  for (const { block, constant } of tests) {
    const terminator = block.terminator;
    if (terminator?.op === "branch") terminator.args = [terminator.args[0], wide(constant)];
  }
  const zero = pool.get("i64", 0n);
  for (const inst of shifted) becomeBinary(inst, [phi, zero]);
  for (const inst of extended) becomeBinary(inst, [phi, zero]);
  return true;
}

function becomeBinary(inst: Inst, args: Inst[], binary: "or" | "shl" | "mul" = "or"): void {
  become(inst, args, { op: "binary", binary });
}

interface ScalePlan {
  readonly factor: bigint;
  readonly shifted: Inst[];
  readonly extended: Inst[];
  readonly tests: { block: Block; constant: bigint }[];
}

/** What uses the counter, if each use is its step, its test, or a shift by one and the same count. */
function planScale({ phi, next, bounds, step }: Counter, users: Users): ScalePlan | null {
  let factor: bigint | null = null;
  const shifted: Inst[] = [];
  const extended: Inst[] = [];
  const tests: { block: Block; constant: bigint }[] = [];
  const takeShift = (inst: Inst): boolean => {
    if (inst.op !== "binary" || inst.type !== "i64" || (inst.binary !== "shl" && inst.binary !== "mul")) return false;
    const by = inst.args[1] as Inst;
    if (by.op !== "const" || by.value > 1n << 20n) return false;
    const own = inst.binary === "mul" ? by.value : by.value < 20n ? 1n << by.value : 0n;
    if (own === 0n || (factor !== null && factor !== own)) return false;
    factor = own;
    shifted.push(inst);
    return true;
  };
  for (const user of users.insts.get(phi) ?? []) {
    if (user === next || takeShift(user)) continue;
    const isWidened = user.op === "ext" && user.from === 32 && !user.signed && phi.type === "i32";
    if (!isWidened || users.terminators.has(user)) return null;
    for (const outer of users.insts.get(user) ?? []) if (!takeShift(outer)) return null;
    extended.push(user);
  }
  if ((users.insts.get(next) ?? []).some((user) => user !== phi)) return null;
  for (const value of [phi, next]) {
    for (const block of users.terminators.get(value) ?? []) {
      const terminator = block.terminator;
      if (terminator?.op !== "branch" || terminator.args[0] !== value) return null;
      const constant = terminator.args[1];
      if (
        constant.op !== "const" ||
        constant.value >= 1n << 32n ||
        !["ult", "ule", "ne", "eq", "uge", "ugt"].includes(terminator.predicate)
      )
        return null;
      tests.push({ block, constant: constant.value });
    }
  }
  if (factor === null || (bounds.max + step) * factor >= 1n << 31n) return null;
  return { factor, shifted, extended, tests };
}
