/**
 * @module
 * The control-flow graph of a function: order, dominators, loops.
 */
import type { Block, Inst, IrFunction, Terminator } from "../ir.ts";
import { BlockMap, idBound } from "./block-map.ts";
import type { ReadonlyBlockMap } from "./block-map.ts";

/** Where control may go, each block once per edge (a switch may name a block several times). */
export function successors(terminator: Terminator | undefined): Block[] {
  switch (terminator?.op) {
    case "jump":
      return [terminator.to];
    case "branch":
      return [terminator.then, terminator.else];
    case "switch":
      return [...terminator.cases.map((entry) => entry.to), terminator.default];
    default:
      return [];
  }
}

/** The operands of a terminator; writing into the array changes the terminator. */
export function terminatorArgs(terminator: Terminator | undefined): Inst[] {
  switch (terminator?.op) {
    case "branch":
    case "switch":
    case "return":
      return terminator.args;
    default:
      return [];
  }
}

/** Makes every edge to `from` go to `to`. */
export function retarget(terminator: Terminator, from: Block, to: Block): void {
  switch (terminator.op) {
    case "jump":
      if (terminator.to === from) terminator.to = to;
      return;
    case "branch":
      // oxlint-disable-next-line unicorn/no-thenable -- a block's name, never awaited
      if (terminator.then === from) terminator.then = to;
      if (terminator.else === from) terminator.else = to;
      return;
    case "switch":
      for (const entry of terminator.cases) if (entry.to === from) entry.to = to;
      if (terminator.default === from) terminator.default = to;
      return;
    default:
      return;
  }
}

/** How many edges leave the block, and where each goes: `successors` without the array. */
export function successorCount(terminator: Terminator | undefined): number {
  switch (terminator?.op) {
    case "jump":
      return 1;
    case "branch":
      return 2;
    case "switch":
      return terminator.cases.length + 1;
    default:
      return 0;
  }
}

export function successorAt(terminator: Terminator | undefined, index: number): Block {
  switch (terminator?.op) {
    case "jump":
      return terminator.to;
    case "branch":
      return index === 0 ? terminator.then : terminator.else;
    case "switch":
      return terminator.cases[index]?.to ?? terminator.default;
    default:
      throw new Error("no successors");
  }
}

/** Reachable blocks, each before its successors but for loops. */
export function reversePostOrder(fn: IrFunction): Block[] {
  const entry = fn.blocks[0];
  if (entry === undefined) return [];
  const order: Block[] = [];
  // By id, how many of the block's edges are left to follow, and one; 0: not seen.
  const left = new Int32Array(idBound(fn.blocks));
  // Explicit stack: a long chain of blocks must not overflow the host's.
  const stack = [entry];
  left[entry.id] = successorCount(entry.terminator) + 1;
  for (let block = stack.at(-1); block !== undefined; block = stack.at(-1)) {
    const rest = (left[block.id] as number) - 1;
    if (rest === 0) {
      order.push(block);
      stack.pop();
      continue;
    }
    left[block.id] = rest;
    const next = successorAt(block.terminator, successorCount(block.terminator) - rest);
    if (left[next.id] !== 0) continue;
    left[next.id] = successorCount(next.terminator) + 1;
    stack.push(next);
  }
  return order.reverse();
}

/** Predecessors of the given blocks, each once per edge. */
export function predecessors(blocks: readonly Block[]): BlockMap<Block[]> {
  const preds = new BlockMap<Block[]>(idBound(blocks));
  for (const block of blocks) preds.set(block, []);
  for (const block of blocks) {
    const count = successorCount(block.terminator);
    for (let i = 0; i < count; i++) preds.get(successorAt(block.terminator, i))?.push(block);
  }
  return preds;
}

export interface Cfg {
  /** Reachable blocks in reverse post-order. */
  readonly order: readonly Block[];
  readonly index: ReadonlyBlockMap<number>;
  readonly preds: BlockMap<Block[]>;
  /** Immediate dominators; the entry has none. */
  readonly idom: ReadonlyBlockMap<Block>;
  /** Children in the dominator tree. */
  readonly children: ReadonlyBlockMap<Block[]>;
  dominates(a: Block, b: Block): boolean;
}

/** The last graph of each function, and where its blocks led: passes ask again and again while no edge has changed. */
const built = new WeakMap<IrFunction, { readonly cfg: Cfg; readonly targets: readonly Block[] }>();

/** The function's graph as it is now: that which was built before where every edge is still the same. */
export function buildCfg(fn: IrFunction): Cfg {
  const known = built.get(fn);
  if (known && known.cfg.order[0] === fn.blocks[0] && sameTargets(known.cfg.order, known.targets)) return known.cfg;
  const cfg = newCfg(fn);
  const targets: Block[] = [];
  for (const { terminator } of cfg.order) {
    const count = successorCount(terminator);
    for (let i = 0; i < count; i++) targets.push(successorAt(terminator, i));
  }
  built.set(fn, { cfg, targets });
  return cfg;
}

function sameTargets(order: readonly Block[], targets: readonly Block[]): boolean {
  let at = 0;
  for (const { terminator } of order) {
    const count = successorCount(terminator);
    for (let i = 0; i < count; i++) if (targets[at++] !== successorAt(terminator, i)) return false;
  }
  return at === targets.length;
}

/** Dominators after Cooper, Harvey and Kennedy. */
function newCfg(fn: IrFunction): Cfg {
  const order = reversePostOrder(fn);
  const bound = idBound(order);
  const index = new BlockMap<number>(bound);
  for (let i = 0; i < order.length; i++) index.set(order[i] as Block, i);
  const preds = predecessors(order);
  const idoms = immediateDominators(order, index, preds);
  const idom = new BlockMap<Block>(bound);
  const children = new BlockMap<Block[]>(bound);
  for (const block of order) children.set(block, []);
  for (let i = 1; i < order.length; i++) {
    const parent = order[idoms[i] ?? 0];
    if (parent === undefined) continue;
    idom.set(order[i] as Block, parent);
    children.get(parent)?.push(order[i] as Block);
  }
  const { enter, leave } = intervals(order, children, bound);
  return {
    order,
    index,
    preds,
    idom,
    children,
    dominates(a, b) {
      const from = enter[a.id] ?? -1;
      const to = enter[b.id] ?? -1;
      return from >= 0 && from <= to && (leave[b.id] as number) <= (leave[a.id] as number);
    },
  };
}

function immediateDominators(
  order: readonly Block[],
  index: ReadonlyBlockMap<number>,
  preds: ReadonlyBlockMap<Block[]>,
): Int32Array {
  const idom = new Int32Array(order.length).fill(-1);
  idom[0] = 0;
  const meet = (a: number, b: number): number => {
    while (a !== b) {
      while (a > b) a = idom[a] ?? 0;
      while (b > a) b = idom[b] ?? 0;
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = 1; i < order.length; i++) {
      let dominator = -1;
      for (const pred of preds.get(order[i] as Block) ?? []) {
        const p = index.get(pred) ?? -1;
        if (p < 0 || (idom[p] ?? -1) < 0) continue;
        dominator = dominator < 0 ? p : meet(dominator, p);
      }
      if (idom[i] !== dominator) {
        idom[i] = dominator;
        changed = true;
      }
    }
  }
  return idom;
}

/** When a walk over the dominator tree enters and leaves each block, by id. */
function intervals(order: readonly Block[], children: ReadonlyBlockMap<Block[]>, bound: number) {
  const enter = new Int32Array(bound).fill(-1);
  const leave = new Int32Array(bound).fill(-1);
  let clock = 0;
  const entry = order[0];
  const stack: { block: Block; next: number }[] = entry ? [{ block: entry, next: 0 }] : [];
  if (entry) enter[entry.id] = clock++;
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = children.get(top.block)?.[top.next++];
    if (child === undefined) {
      leave[top.block.id] = clock++;
      stack.pop();
    } else {
      enter[child.id] = clock++;
      stack.push({ block: child, next: 0 });
    }
  }
  return { enter, leave };
}

/** Blocks where the dominance of a block ends. */
export function dominanceFrontiers(cfg: Cfg): Map<Block, Set<Block>> {
  const frontiers = new Map<Block, Set<Block>>(cfg.order.map((block) => [block, new Set<Block>()]));
  for (const block of cfg.order) {
    const preds = cfg.preds.get(block) ?? [];
    if (preds.length < 2) continue;
    const stop = cfg.idom.get(block);
    for (const pred of preds) {
      for (let runner: Block | undefined = pred; runner !== undefined && runner !== stop;) {
        frontiers.get(runner)?.add(block);
        runner = cfg.idom.get(runner);
      }
    }
  }
  return frontiers;
}

export interface Loop {
  readonly header: Block;
  readonly blocks: Set<Block>;
  /** Blocks that jump back to the header. */
  readonly latches: readonly Block[];
  parent?: Loop;
  depth: number;
}

interface Loops {
  readonly loops: Loop[];
  readonly of: Map<Block, Loop>;
}

const loopsOf = new WeakMap<Cfg, Loops>();

/** Natural loops, inner ones before those around them, and the innermost loop of each block. */
export function findLoops(cfg: Cfg): Loops {
  const known = loopsOf.get(cfg) ?? newLoops(cfg);
  loopsOf.set(cfg, known);
  return known;
}

function newLoops(cfg: Cfg): Loops {
  const loops: Loop[] = [];
  const of = new Map<Block, Loop>();
  for (const header of cfg.order.toReversed()) {
    const latches = (cfg.preds.get(header) ?? []).filter((pred) => cfg.dominates(header, pred));
    if (latches.length === 0) continue;
    loops.push({ header, blocks: loopBody(cfg, header, latches), latches: [...new Set(latches)], depth: 1 });
  }
  loops.sort((a, b) => a.blocks.size - b.blocks.size);
  for (const [i, loop] of loops.entries()) {
    const parent = loops.slice(i + 1).find((outer) => outer.blocks.has(loop.header) && outer !== loop);
    if (parent) loop.parent = parent;
    for (const block of loop.blocks) if (!of.has(block)) of.set(block, loop);
  }
  for (const loop of loops.toReversed()) loop.depth = (loop.parent?.depth ?? 0) + 1;
  return { loops, of };
}

function loopBody(cfg: Cfg, header: Block, latches: readonly Block[]): Set<Block> {
  const blocks = new Set<Block>([header]);
  const work = [...latches];
  for (let block = work.pop(); block !== undefined; block = work.pop()) {
    if (blocks.has(block)) continue;
    blocks.add(block);
    work.push(...(cfg.preds.get(block) ?? []));
  }
  return blocks;
}
