/**
 * @module
 * Branches and compares that a dominating branch has decided: the same compare, a bound that implies another, a pointer known not to be null,
 * a packet length checked before. All of it the kernel's verifier knows by itself from the check that stays.
 */
import { buildCfg, successors, terminatorArgs } from "../analysis/cfg.ts";
import type { Cfg } from "../analysis/cfg.ts";
import { Ranges } from "../analysis/range.ts";
import type { Bounds } from "../analysis/range.ts";
import { replaceValues, widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Predicate } from "../ir.ts";
import { INVERSE, SWAPPED } from "../predicate.ts";
import type { ConstantPool } from "./pool.ts";

/** Returns whether something was decided. `derive`: also of values computed after a check from what it checked; nothing may be hoisted after that. */
export function decideByDominators(fn: IrFunction, pool: ConstantPool, options: { derive?: boolean } = {}): boolean {
  return new ConditionPass(fn, pool, options.derive === true).run();
}

interface Fact {
  readonly predicate: Predicate;
  readonly a: Inst;
  readonly b: Inst;
  /** Where it holds from. */
  readonly block: Block;
}

type Compare = Omit<Fact, "block">;

/** Unsigned and signed bounds of a value. */
interface Range {
  min: bigint;
  max: bigint;
  smin: bigint;
  smax: bigint;
  /** Values that it is not. */
  readonly not: bigint[];
}

class ConditionPass {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #cfg: Cfg;
  readonly #replaced = new Map<Inst, Inst>();
  readonly #derive: boolean;
  readonly #ranges: Ranges;
  readonly #facts = new Facts();
  /** Where each instruction stands, by id; filled only where it is asked for. */
  readonly #home: Block[] = [];
  #changed = false;
  #hasCompares = false;

  constructor(fn: IrFunction, pool: ConstantPool, derive: boolean) {
    this.#fn = fn;
    this.#pool = pool;
    this.#cfg = buildCfg(fn);
    this.#derive = derive;
    this.#ranges = new Ranges(fn, this.#cfg);
    if (derive) for (const block of fn.blocks) for (const inst of block.insts) this.#home[inst.id] = block;
  }

  run(): boolean {
    const entry = this.#cfg.order[0];
    if (entry === undefined) return false;
    this.#hasCompares = hasCompares(this.#fn.blocks);
    // What a block adds holds in the blocks that it dominates alone.
    const stack: { block: Block; next: number; own: Fact | null }[] = [{ block: entry, next: 0, own: null }];
    this.#block(entry);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const child = this.#cfg.children.get(top.block)?.[top.next++];
      if (child === undefined) {
        if (top.own) this.#facts.pop(top.own);
        stack.pop();
        continue;
      }
      const own = this.#entryFact(child);
      if (own) this.#facts.push(own);
      this.#block(child);
      stack.push({ block: child, next: 0, own });
    }
    replaceValues(this.#fn, this.#replaced);
    return this.#changed;
  }

  /** What holds in a block because of the only edge into it. */
  #entryFact(block: Block): Fact | null {
    const preds = this.#cfg.preds.get(block) ?? [];
    const fact = preds.length === 1 ? edgeFact(preds[0] as Block, block) : null;
    return fact && { ...fact, block };
  }

  #block(block: Block): void {
    if (this.#hasCompares) {
      for (const inst of block.insts) {
        if (inst.op !== "cmp") continue;
        const outcome = this.#decide({ predicate: inst.predicate, a: inst.args[0] as Inst, b: inst.args[1] as Inst });
        if (outcome === null) continue;
        this.#replaced.set(inst, this.#pool.get("i32", outcome ? 1n : 0n));
        this.#changed = true;
      }
      this.#useDecided(block);
    }
    const terminator = block.terminator;
    if (terminator?.op !== "branch") return;
    const [a, b] = terminator.args;
    if (a.op === "const" && b.op === "const") return;
    const outcome = this.#decide({ predicate: terminator.predicate, a, b });
    if (outcome === null) return;
    const zero = this.#pool.get("i32", 0n);
    terminator.predicate = outcome ? "eq" : "ne";
    terminator.args = [zero, zero];
    this.#changed = true;
  }

  /**
   * A compare that was kept as a value is known behind a branch on the same operands. The verifier does not connect the two: a counter that
   * starts from the value would be unbounded to it.
   */
  #useDecided(block: Block): void {
    const visit = (args: Inst[]): void => {
      for (let i = 0; i < args.length; i++) {
        const arg = args[i] as Inst;
        if (arg.op === "cmp") args[i] = this.#decidedUse(arg);
      }
    };
    for (const inst of block.insts) if (inst.op !== "phi") visit(inst.args);
    visit(terminatorArgs(block.terminator));
    for (const next of successors(block.terminator)) {
      if (next.insts[0]?.op !== "phi") continue;
      const own = edgeFact(block, next);
      for (const inst of next.insts) {
        if (inst.op !== "phi") break;
        for (let i = 0; i < inst.args.length; i++) {
          const arg = inst.args[i] as Inst;
          if (arg.op === "cmp" && inst.blocks[i] === block) inst.args[i] = this.#decidedUse(arg, own);
        }
      }
    }
  }

  #decidedUse(arg: InstOf<"cmp">, own: Compare | null = null): Inst {
    if (this.#replaced.has(arg)) return arg;
    const [a, b] = arg.args as [Inst, Inst];
    for (const fact of own ? [own, ...this.#facts.of(a)] : this.#facts.of(a)) {
      const outcome = sameOperands({ predicate: arg.predicate, a, b }, fact);
      if (outcome === null) continue;
      this.#changed = true;
      return this.#pool.get("i32", outcome ? 1n : 0n);
    }
    return arg;
  }

  /** Whether the facts make the compare true or false; null where they do not say. */
  #decide(wanted: Compare): boolean | null {
    const facts = this.#facts.of(wanted.a);
    if (facts.length === 0 && wanted.b.op !== "const" && wanted.a.type !== "ptr") return null;
    for (const fact of facts) {
      const direct = sameOperands(wanted, fact);
      if (direct !== null) return direct;
    }
    if (wanted.b.op !== "const") return this.#decideBound(wanted);
    const bits = widthOf(wanted.a.type);
    const range = rangeOf(wanted.a, facts);
    const direct = range && decideByRange(wanted.predicate, wanted.b.value, { range, bits });
    if (direct !== null || wanted.a.type === "ptr") return direct;
    const { min, max } = this.#ranges.of(wanted.a, (inst, user) => this.#checked(inst, user));
    const half = HALF[bits];
    const isPositive = max < half;
    const derived = { min, max, smin: isPositive ? min : -half, smax: isPositive ? max : half - 1n, not: [] };
    return decideByRange(wanted.predicate, wanted.b.value, { range: derived, bits });
  }

  /**
   * What checks say of an operand. The verifier brings a check to copies of a register, not to what was computed from it before: so only
   * checks above `user` count, which computes with it; null where it is only copied.
   */
  #checked(inst: Inst, user: Inst | null): Bounds | null {
    if (!this.#derive && user) return null;
    const facts = this.#facts.of(inst);
    if (facts.length === 0) return null;
    const home = user && this.#home[user.id];
    const usable = user ? facts.filter((fact) => home && this.#cfg.dominates(fact.block, home)) : facts;
    const range = rangeOf(inst, usable);
    return range && { min: range.min, max: range.max };
  }

  #decideBound(wanted: Compare): boolean | null {
    if (wanted.a.type !== "ptr") return null;
    for (const fact of this.#facts.of(wanted.b)) {
      const bound = packetBound(wanted, fact);
      if (bound !== null) return bound;
    }
    return null;
  }
}

function hasCompares(blocks: readonly Block[]): boolean {
  for (const { insts } of blocks)
    for (let i = 0; i < insts.length; i++) if ((insts[i] as Inst).op === "cmp") return true;
  return false;
}

/** What holds on the way from a block to the next because of the branch between them. */
function edgeFact({ terminator }: Block, to: Block): Compare | null {
  if (terminator?.op !== "branch" || terminator.then === terminator.else) return null;
  const predicate = terminator.then === to ? terminator.predicate : INVERSE[terminator.predicate];
  const [a, b] = terminator.args;
  return predicate ? { predicate, a, b } : null;
}

/** What holds where a walk over the dominator tree stands, by the values that it is about. */
class Facts {
  readonly #of: Fact[][] = [];

  of(value: Inst): readonly Fact[] {
    return this.#of[value.id] ?? NO_FACTS;
  }

  push(fact: Fact): void {
    for (const value of fact.a === fact.b ? [fact.a] : [fact.a, fact.b]) (this.#of[value.id] ??= []).push(fact);
  }

  /** The last that was pushed. */
  pop(fact: Fact): void {
    for (const value of fact.a === fact.b ? [fact.a] : [fact.a, fact.b]) this.#of[value.id]?.pop();
  }
}

const NO_FACTS: readonly Fact[] = [];

const IMPLIES: Readonly<Partial<Record<Predicate, readonly Predicate[]>>> = {
  eq: ["eq", "ule", "uge", "sle", "sge"],
  ne: ["ne"],
  ult: ["ult", "ule", "ne"],
  ugt: ["ugt", "uge", "ne"],
  ule: ["ule"],
  uge: ["uge"],
  slt: ["slt", "sle", "ne"],
  sgt: ["sgt", "sge", "ne"],
  sle: ["sle"],
  sge: ["sge"],
  set: ["set"],
};

function sameOperands(wanted: Compare, fact: Compare): boolean | null {
  let { predicate } = fact;
  if (fact.a === wanted.b && fact.b === wanted.a) predicate = SWAPPED[predicate];
  else if (fact.a !== wanted.a || fact.b !== wanted.b) return null;
  if (IMPLIES[predicate]?.includes(wanted.predicate)) return true;
  const opposite = INVERSE[wanted.predicate];
  return opposite && IMPLIES[predicate]?.includes(opposite) ? false : null;
}

/** After `p + 34 > end` was false, `p + 14 > end` is false. */
function packetBound(wanted: Compare, fact: Fact): boolean | null {
  if (wanted.a.type !== "ptr" || wanted.b !== fact.b) return null;
  const [given, asked] = [stepsOf(fact.a), stepsOf(wanted.a)];
  if (given.root !== asked.root || given.root === wanted.b) return null;
  const holds = (predicate: Predicate, at: bigint): boolean =>
    (predicate === "ule" && asked.offset <= at) || (predicate === "ult" && asked.offset <= at);
  const within = holds(fact.predicate, given.offset);
  if (!within) return null;
  if (wanted.predicate === "ugt") return false;
  if (wanted.predicate === "ule") return true;
  const strictly = fact.predicate === "ult" || asked.offset < given.offset;
  if (!strictly) return null;
  return wanted.predicate === "uge" ? false : wanted.predicate === "ult" ? true : null;
}

function stepsOf(pointer: Inst): { root: Inst; offset: bigint } {
  let [root, offset] = [pointer, 0n];
  while (root.op === "ptradd" && root.args[1]?.op === "const") {
    offset += BigInt.asIntN(64, root.args[1].value);
    root = root.args[0] as Inst;
  }
  return { root, offset };
}

/** Half of what a register of so many bits can hold. */
const HALF = { 32: 1n << 31n, 64: 1n << 63n } as const;

const fullRange = (bits: 32 | 64): Range => {
  const half = HALF[bits];
  return { min: 0n, max: half + half - 1n, smin: -half, smax: half - 1n, not: [] };
};

/** What the facts about a value and constants say of it. */
function rangeOf(value: Inst, facts: readonly Fact[]): Range | null {
  const bits = widthOf(value.type);
  let range: Range | null = null;
  for (const fact of facts) {
    if (fact.a !== value || fact.b.op !== "const") continue;
    range ??= fullRange(bits);
    restrict(range, fact.predicate, { c: fact.b.value, s: BigInt.asIntN(bits, fact.b.value) });
  }
  if (range === null) return null;
  if (range.max < HALF[bits]) {
    range.smin = range.smin > range.min ? range.smin : range.min;
    range.smax = range.smax < range.max ? range.smax : range.max;
  }
  if (range.smin >= 0n) {
    range.min = range.min > range.smin ? range.min : range.smin;
    range.max = range.max < range.smax ? range.max : range.smax;
  }
  return range;
}

function restrict(range: Range, predicate: Predicate, { c, s }: { c: bigint; s: bigint }): void {
  const most = (value: bigint): void => {
    if (value < range.max) range.max = value;
  };
  const least = (value: bigint): void => {
    if (value > range.min) range.min = value;
  };
  const smost = (value: bigint): void => {
    if (value < range.smax) range.smax = value;
  };
  const sleast = (value: bigint): void => {
    if (value > range.smin) range.smin = value;
  };
  switch (predicate) {
    case "eq":
      most(c);
      least(c);
      smost(s);
      sleast(s);
      return;
    case "ne":
      range.not.push(c);
      return;
    case "ult":
      most(c - 1n);
      return;
    case "ule":
      most(c);
      return;
    case "ugt":
      least(c + 1n);
      return;
    case "uge":
      least(c);
      return;
    case "slt":
      smost(s - 1n);
      return;
    case "sle":
      smost(s);
      return;
    case "sgt":
      sleast(s + 1n);
      return;
    case "sge":
      sleast(s);
      return;
    case "set":
      return;
  }
}

function decideByRange(predicate: Predicate, c: bigint, known: { range: Range; bits: number }): boolean | null {
  const { range } = known;
  const s = BigInt.asIntN(known.bits, c);
  const either = (yes: boolean, no: boolean): boolean | null => (yes ? true : no ? false : null);
  switch (predicate) {
    case "eq":
      return either(range.min === c && range.max === c, c < range.min || c > range.max || range.not.includes(c));
    case "ne":
      return either(c < range.min || c > range.max || range.not.includes(c), range.min === c && range.max === c);
    case "ult":
      return either(range.max < c, range.min >= c);
    case "ule":
      return either(range.max <= c, range.min > c);
    case "ugt":
      return either(range.min > c, range.max <= c);
    case "uge":
      return either(range.min >= c, range.max < c);
    case "slt":
      return either(range.smax < s, range.smin >= s);
    case "sle":
      return either(range.smax <= s, range.smin > s);
    case "sgt":
      return either(range.smin > s, range.smax <= s);
    case "sge":
      return either(range.smin >= s, range.smax < s);
    case "set":
      return null;
  }
}
