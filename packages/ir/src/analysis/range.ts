/**
 * @module
 * Unsigned bounds of values, as far as the kernel's verifier finds them too: it walks loops with constant bounds iteration by iteration, so a
 * counter's range is plain to it; quotients, remainders and loads beyond their width are not.
 */
import { widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Predicate } from "../ir.ts";
import { INVERSE, SWAPPED } from "../predicate.ts";
import { possibleBits } from "./bits.ts";
import { buildCfg, findLoops } from "./cfg.ts";
import type { Cfg, Loop } from "./cfg.ts";

export interface Bounds {
  readonly min: bigint;
  readonly max: bigint;
}

const DEPTH = 8;

const FULL_32: Bounds = { min: 0n, max: 0xffff_ffffn };
const FULL_64: Bounds = { min: 0n, max: 0xffff_ffff_ffff_ffffn };

export function fullBounds(inst: Inst): Bounds {
  return inst.type === "i32" ? FULL_32 : FULL_64;
}

/** A loop's counter: starts at a constant, is stepped by a constant, and is compared with a constant before each further iteration. */
export interface Counter {
  readonly phi: InstOf<"phi">;
  readonly start: bigint;
  readonly step: bigint;
  readonly next: Inst;
  readonly loop: Loop;
  readonly bounds: Bounds;
}

/**
 * What checks say of a value. `user`: what is computed from it on the way to the value that is asked for, the nearest; null where that is a
 * copy of it.
 */
export type Checks = (inst: Inst, user: Inst | null) => Bounds | null;

interface Way {
  readonly known: Checks | undefined;
  readonly user: Inst | null;
  readonly depth: number;
}

/** Zero-extension: the verifier brings a check of the register to it. */
function isCopy(inst: Inst): boolean {
  return inst.op === "ext" && inst.from === 32 && !inst.signed && inst.args[0]?.type === "i32";
}

/** Bounds of a function's values; valid until it changes. */
export class Ranges {
  readonly counters = new Map<Inst, Counter>();
  readonly #shrinking = new Map<Inst, Bounds>();

  constructor(fn: IrFunction, given?: Cfg) {
    const cfg = given ?? buildCfg(fn);
    for (const loop of findLoops(cfg).loops) {
      for (const inst of loop.header.insts) {
        if (inst.op !== "phi") break;
        const counter = counterOf(cfg, loop, inst);
        if (counter) this.counters.set(inst, counter);
        const bounds = counter ? null : shrinkingBounds(loop, inst);
        if (bounds) this.#shrinking.set(inst, bounds);
      }
    }
  }

  /** `known` gives what checks say of a value (of operands only where the check came first; the caller sees to that). */
  of(inst: Inst, known?: Checks): Bounds {
    return this.#bounds(inst, { known, user: null, depth: DEPTH });
  }

  #bounds(inst: Inst, way: Way): Bounds {
    const full = fullBounds(inst);
    const { depth } = way;
    if (inst.type === "ptr" || depth === 0) return full;
    const found = this.#structural(inst, way);
    const bits = possibleBits(inst, Math.min(depth, 4));
    return bits < found.max ? { min: found.min, max: bits } : found;
  }

  #structural(inst: Inst, { known, user: outer, depth }: Way): Bounds {
    const full = fullBounds(inst);
    // A copy of what was computed from is as old as what was computed.
    const user = isCopy(inst) ? outer : inst;
    const of = (arg: Inst | undefined): Bounds => {
      const operand = arg as Inst;
      const own = this.#bounds(operand, { known, user, depth: depth - 1 });
      const check = known?.(operand, user);
      if (!check) return own;
      return { min: check.min > own.min ? check.min : own.min, max: check.max < own.max ? check.max : own.max };
    };
    const [a, b, c] = inst.args;
    switch (inst.op) {
      case "const":
        return { min: inst.value, max: inst.value };
      case "ext": {
        if (inst.signed) return full;
        const bounds = of(a);
        return bounds.max < 1n << BigInt(inst.from) ? bounds : full;
      }
      case "trunc": {
        const bounds = of(a);
        return bounds.max <= 0xffff_ffffn ? bounds : full;
      }
      case "select":
        return union(of(b), of(c));
      case "phi": {
        const counted = this.counters.get(inst)?.bounds ?? this.#shrinking.get(inst);
        if (counted) return counted;
        if (depth < DEPTH - 2 || inst.args.length > 8) return full;
        return (
          inst.args
            .map((arg) => (arg === inst ? null : this.#bounds(arg, { known: undefined, user: null, depth: 2 })))
            .reduce<Bounds | null>(join, null) ?? full
        );
      }
      case "binary":
        return binaryBounds(inst, of(a), of(b));
      default:
        return full;
    }
  }
}

const union = (a: Bounds, b: Bounds): Bounds => ({
  min: a.min < b.min ? a.min : b.min,
  max: a.max > b.max ? a.max : b.max,
});

const join = (a: Bounds | null, b: Bounds | null): Bounds | null => (a && b ? union(a, b) : (a ?? b));

function binaryBounds(inst: InstOf<"binary">, a: Bounds, b: Bounds): Bounds {
  const full = fullBounds(inst);
  const fit = (min: bigint, max: bigint): Bounds => (min >= 0n && max <= full.max ? { min, max } : full);
  const count = b.min === b.max && b.min < BigInt(widthOf(inst.type)) ? b.min : null;
  switch (inst.binary) {
    case "add":
      return fit(a.min + b.min, a.max + b.max);
    case "sub":
      return fit(a.min - b.max, a.max - b.min);
    case "mul":
      return fit(a.min * b.min, a.max * b.max);
    case "and":
      return { min: 0n, max: a.max < b.max ? a.max : b.max };
    case "shl":
      return count === null ? full : fit(a.min << count, a.max << count);
    case "lshr":
      return count === null ? full : { min: a.min >> count, max: a.max >> count };
    default:
      return full;
  }
}

/** phi(init, phi >> k) and the like never grow. */
function shrinkingBounds(loop: Loop, phi: InstOf<"phi">): Bounds | null {
  let max: bigint | null = null;
  for (const [i, from] of phi.blocks.entries()) {
    const value = phi.args[i] as Inst;
    if (!loop.blocks.has(from)) {
      if (value.op !== "const") return null;
      max = max === null || value.value > max ? value.value : max;
    } else if (value !== phi) {
      const shrinks =
        value.op === "binary" && value.args[0] === phi && (value.binary === "lshr" || value.binary === "and");
      if (!shrinks) return null;
    }
  }
  return max === null ? null : { min: 0n, max };
}

function counterOf(cfg: Cfg, loop: Loop, phi: InstOf<"phi">): Counter | null {
  if (phi.type === "ptr") return null;
  let start: bigint | null = null;
  let next: Inst | null = null;
  for (const [i, from] of phi.blocks.entries()) {
    const value = phi.args[i] as Inst;
    if (loop.blocks.has(from)) {
      if (next !== null && next !== value) return null;
      next = value;
    } else {
      if (value.op !== "const" || (start !== null && start !== value.value)) return null;
      start = value.value;
    }
  }
  if (start === null || next?.op !== "binary" || next.binary !== "add" || next.args[0] !== phi) return null;
  const by = next.args[1] as Inst;
  if (by.op !== "const" || by.value === 0n || by.value >= 1n << 31n) return null;
  const limit = limitOf(cfg, loop, { phi, next });
  if (limit === null || limit < start) return null;
  const counter = { phi, start, step: by.value, next, loop };
  // Within the loop the counter is at most what the last test let through.
  return { ...counter, bounds: { min: start, max: limit } };
}

/** The largest value with which a further iteration starts, from tests that every way round the loop passes. */
function limitOf(cfg: Cfg, loop: Loop, of: { phi: InstOf<"phi">; next: InstOf<"binary"> }): bigint | null {
  let best: bigint | null = null;
  const note = (limit: bigint | null): void => {
    if (limit !== null && (best === null || limit < best)) best = limit;
  };
  for (const block of loop.blocks) {
    const everyTime = loop.latches.every((latch) => cfg.dominates(block, latch));
    if (!everyTime) continue;
    note(testLimit(block, loop, of));
  }
  return best;
}

function testLimit(
  block: Block,
  loop: Loop,
  { phi, next }: { phi: InstOf<"phi">; next: InstOf<"binary"> },
): bigint | null {
  const terminator = block.terminator;
  if (terminator?.op !== "branch") return null;
  const stays = [loop.blocks.has(terminator.then), loop.blocks.has(terminator.else)];
  if (stays[0] === stays[1]) return null;
  let predicate: Predicate | null = stays[0] ? terminator.predicate : INVERSE[terminator.predicate];
  let [a, b] = terminator.args;
  if (predicate === null) return null;
  if (a.op === "const") [a, b, predicate] = [b, a, SWAPPED[predicate]];
  if (a.op === "ext" && !a.signed && a.from === 32) a = a.args[0] as Inst;
  if (b.op !== "const" || (a !== phi && a !== next)) return null;
  const step = (next.args[1] as InstOf<"const">).value;
  const start = startOf(phi, loop);
  let limit = largest(predicate, b.value, widthOf(b.type));
  if (predicate === "ne" && b.value > start && (b.value - start) % step === 0n) limit = b.value - step;
  if (limit === null) return null;
  // The test of the old value leaves the next one a step further; a step more must not wrap.
  const top = a === phi ? limit + step : limit;
  return top + step < 1n << BigInt(widthOf(phi.type) - 1) ? top : null;
}

function startOf(phi: InstOf<"phi">, loop: Loop): bigint {
  const index = phi.blocks.findIndex((from) => !loop.blocks.has(from));
  const value = phi.args[index];
  return value?.op === "const" ? value.value : 0n;
}

/** The largest value that passes, where the value is not negative. */
function largest(predicate: Predicate, c: bigint, bits: number): bigint | null {
  if (c >= 1n << BigInt(bits - 1)) return null;
  switch (predicate) {
    case "ult":
    case "slt":
      return c - 1n;
    case "ule":
    case "sle":
      return c;
    default:
      return null;
  }
}
