/**
 * @module
 * Loops of few iterations become straight code: what depends on the counter folds. Of one within another loop, where straight code would be long,
 * two iterations become one: most of what unrolling saves there is the test.
 */
import { buildCfg, findLoops, retarget, successors, terminatorArgs } from "../analysis/cfg.ts";
import type { Cfg, Loop } from "../analysis/cfg.ts";
import { isCall } from "../analysis/alias.ts";
import { become, cloneBlocks, makeInst, widthOf } from "../edit.ts";
import { evaluateBinary, extend } from "../evaluate/arithmetic.ts";
import type { Block, Inst, IrFunction, Local, Terminator } from "../ir.ts";
import { newJump } from "../make.ts";
import { evaluatePredicate } from "../predicate.ts";
import { LocalNames } from "./duplicate.ts";
import { constructSsa } from "./ssa.ts";

const MOST_ITERATIONS = 32;
/** Instructions of the straight code. */
const MOST_COPIED = 160;
/** The same where a loop is around it. */
const MOST_NESTED = 64;
/** Instructions of two iterations that become one. */
const MOST_PAIRED = 40;

/** Returns whether a loop was unrolled; its branches fold afterwards. */
export function unrollLoops(fn: IrFunction): boolean {
  let changed = false;
  for (const header of findLoops(buildCfg(fn)).loops.map((loop) => loop.header)) {
    const cfg = buildCfg(fn);
    const loops = findLoops(cfg).loops;
    const loop = loops.find((known) => known.header === header);
    // Only innermost ones; what is around them may be so in the next round.
    if (!loop || loops.some((other) => other !== loop && loop.blocks.has(other.header))) continue;
    const isNested = loops.some((other) => other !== loop && other.blocks.has(header));
    const plan = iterations(cfg, loop);
    if (plan === null) continue;
    const { test, count, size } = plan;
    if (!isNested || size * count <= MOST_NESTED) unroll(fn, loop, count);
    else if (count % 2 === 1 && size * 2 <= MOST_PAIRED) pair(fn, loop, test);
    else continue;
    constructSsa(fn);
    changed = true;
  }
  return changed;
}

/** What is known of a loop. */
interface Plan {
  /** The block whose test ends it. */
  readonly test: Block;
  /** How often the test runs at most: the last time it leaves the loop. */
  readonly count: number;
  /** Instructions of an iteration. */
  readonly size: number;
}

/** How often the loop runs at most, if that is worth it. */
function iterations(cfg: Cfg, loop: Loop): Plan | null {
  let size = 0;
  for (const block of loop.blocks) {
    if (block.insts.some((inst) => inst.op === "stack" || isCall(inst))) return null;
    size += block.insts.filter((inst) => inst.op !== "phi" && inst.op !== "const").length + 1;
  }
  const most = Math.min(MOST_ITERATIONS, Math.floor(MOST_COPIED / size));
  let best: Plan | null = null;
  for (const block of loop.blocks) {
    if (!loop.latches.every((latch) => cfg.dominates(block, latch))) continue;
    const count = countUntilExit(block, loop, most);
    if (count !== null && (best === null || count < best.count)) best = { test: block, count, size };
  }
  return best;
}

/** Plays the loop until the block's test leaves it; null where it does not within `most` iterations or depends on more than constants. */
function countUntilExit(block: Block, loop: Loop, most: number): number | null {
  const terminator = block.terminator;
  if (terminator?.op !== "branch" || loop.blocks.has(terminator.then) === loop.blocks.has(terminator.else)) return null;
  const state = new Map<Inst, bigint>();
  const phis = loop.header.insts.filter((inst) => inst.op === "phi");
  for (const phi of phis) {
    const outer = phi.args.filter((_, i) => !loop.blocks.has(phi.blocks[i] as Block));
    const first = outer[0];
    if (first?.op === "const" && outer.every((arg) => arg === first)) state.set(phi, first.value);
  }
  for (let count = 1; count <= most; count++) {
    const [a, b] = terminator.args.map((arg) => play(arg, state, 6)) as [bigint | null, bigint | null];
    if (a === null || b === null) return null;
    const holds = evaluatePredicate(terminator.predicate, [a, b], widthOf(terminator.args[0].type));
    if (!loop.blocks.has(holds ? terminator.then : terminator.else)) return count;
    const next = new Map<Inst, bigint>();
    for (const phi of state.keys()) {
      if (phi.op !== "phi") continue;
      const inner = new Set(phi.args.filter((_, i) => loop.blocks.has(phi.blocks[i] as Block)));
      const [value] = inner;
      const played = inner.size === 1 ? play(value as Inst, state, 6) : null;
      if (played !== null) next.set(phi, played);
    }
    state.clear();
    for (const [phi, value] of next) state.set(phi, value);
  }
  return null;
}

function play(inst: Inst, state: ReadonlyMap<Inst, bigint>, depth: number): bigint | null {
  if (inst.op === "const") return inst.value;
  const known = state.get(inst);
  if (known !== undefined) return known;
  if (depth === 0) return null;
  const args = inst.args.map((arg) => play(arg, state, depth - 1));
  const [a, b] = args as [bigint | null, bigint | null];
  if (inst.op === "binary" && a !== null && b !== null) return evaluateBinary(inst.binary, [a, b], widthOf(inst.type));
  if (inst.op === "ext" && a !== null)
    return extend(a, { from: inst.from, signed: inst.signed, to: widthOf(inst.type) });
  if (inst.op === "trunc" && a !== null) return BigInt.asUintN(32, a);
  return null;
}

/** Chains `count` copies of the loop in front of it; the loop itself stays for what would come after the last. */
function unroll(fn: IrFunction, loop: Loop, count: number): void {
  demoteLoop(fn, loop);
  const body = fn.blocks.filter((block) => loop.blocks.has(block));
  const entering = fn.blocks.filter(
    (block) => !loop.blocks.has(block) && successors(block.terminator).includes(loop.header),
  );
  let froms = entering;
  for (let i = 0; i < count; i++) {
    const { blocks, of } = cloneBlocks(fn, body, new Map());
    fn.blocks.splice(fn.blocks.indexOf(body[0] as Block), 0, ...blocks);
    const head = of.get(loop.header) as Block;
    for (const from of froms) retarget(from.terminator as Terminator, loop.header, head);
    // The copies' back edges go to their own head: on to the next iteration instead.
    froms = loop.latches.map((latch) => of.get(latch) as Block);
    for (const from of froms) retarget(from.terminator as Terminator, head, loop.header);
  }
}

/** Puts a second iteration behind the first, without its test: the loop is left by the first's, which runs an odd number of times. */
function pair(fn: IrFunction, loop: Loop, test: Block): void {
  demoteLoop(fn, loop);
  const body = fn.blocks.filter((block) => loop.blocks.has(block));
  const { blocks, of } = cloneBlocks(fn, body, new Map());
  const second = (block: Block): Block => of.get(block) as Block;
  const stay = successors(test.terminator).find((block) => loop.blocks.has(block)) as Block;
  fn.blocks.splice(fn.blocks.indexOf(body.at(-1) as Block) + 1, 0, ...blocks);
  for (const latch of loop.latches) {
    retarget(latch.terminator as Terminator, loop.header, second(loop.header));
    retarget(second(latch).terminator as Terminator, second(loop.header), loop.header);
  }
  second(test).terminator = newJump(stay === loop.header ? loop.header : second(stay), test.terminator?.loc);
}

/** All values that cross a block of the loop, its phis too, go through variables. */
function demoteLoop(fn: IrFunction, loop: Loop): void {
  const names = new LocalNames(fn);
  const homes = new Map<Inst, Block>();
  for (const block of loop.blocks) for (const inst of block.insts) homes.set(inst, block);
  const locals = new Map<Inst, Local>();
  const read = (value: Inst): Inst => {
    const local = locals.get(value) ?? names.make(value);
    locals.set(value, local);
    return makeInst(fn, local.type, { args: [], body: { op: "local.get", local } });
  };
  const crosses = (value: Inst, block: Block): boolean => {
    const home = homes.get(value);
    return home !== undefined && home !== block && value.op !== "const";
  };
  const atEnd = new Map<Block, Inst[]>();
  const append = (block: Block, inst: Inst): void => {
    atEnd.set(block, [...(atEnd.get(block) ?? []), inst]);
  };
  for (const block of fn.blocks) {
    const out: Inst[] = [];
    for (const inst of block.insts) {
      if (inst.op === "phi") {
        for (const [i, from] of inst.blocks.entries()) {
          const value = inst.args[i] as Inst;
          if (!crosses(value, from)) continue;
          const got = read(value);
          append(from, got);
          inst.args[i] = got;
        }
      } else replaceCrossing(inst.args, block, { crosses, read, out });
      out.push(inst);
    }
    replaceCrossing(terminatorArgs(block.terminator), block, { crosses, read, out });
    block.insts = out;
  }
  demotePhis(fn, loop, { names, append });
  storeLocals(fn, loop, locals);
  for (const [block, insts] of atEnd) block.insts.push(...insts);
}

function replaceCrossing(
  args: Inst[],
  block: Block,
  how: { crosses: (value: Inst, block: Block) => boolean; read: (value: Inst) => Inst; out: Inst[] },
): void {
  for (const [i, value] of args.entries()) {
    if (!how.crosses(value, block)) continue;
    const got = how.read(value);
    how.out.push(got);
    args[i] = got;
  }
}

/** Phis of the loop, and of blocks that it leaves to, are written by their predecessors: copies of these write them too. */
function demotePhis(
  fn: IrFunction,
  loop: Loop,
  { names, append }: { names: LocalNames; append: (block: Block, inst: Inst) => void },
): void {
  const touched = new Set<Block>(loop.blocks);
  for (const block of loop.blocks) for (const next of successors(block.terminator)) touched.add(next);
  for (const block of touched) {
    const reads: Inst[] = [];
    for (const phi of block.insts) {
      if (phi.op !== "phi") break;
      // Written through a copy first: phis of one block may read each other.
      const local = names.make(phi);
      for (const [i, from] of phi.blocks.entries()) {
        append(from, makeInst(fn, undefined, { args: [phi.args[i] as Inst], body: { op: "local.set", local } }));
      }
      reads.push(phi);
      become(phi, [], { op: "local.get", local });
    }
  }
}

function storeLocals(fn: IrFunction, loop: Loop, locals: ReadonlyMap<Inst, Local>): void {
  for (const block of loop.blocks) {
    block.insts = block.insts.flatMap((inst) => {
      const local = locals.get(inst);
      return local ? [inst, makeInst(fn, undefined, { args: [inst], body: { op: "local.set", local } })] : [inst];
    });
  }
}
