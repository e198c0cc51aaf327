/**
 * @module
 * The control-flow graph of a function: order, dominators, loops.
 */
import type { Block, Inst, IrFunction, Terminator } from "../ir.ts";

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

/** Reachable blocks, each before its successors but for loops. */
export function reversePostOrder(fn: IrFunction): Block[] {
  const entry = fn.blocks[0];
  if (entry === undefined) return [];
  const seen = new Set<Block>([entry]);
  const order: Block[] = [];
  // Explicit stack: a long chain of blocks must not overflow the host's.
  const stack: { block: Block; next: Block[] }[] = [{ block: entry, next: successors(entry.terminator).reverse() }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const block = top.next.pop();
    if (block === undefined) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(block)) {
      seen.add(block);
      stack.push({ block, next: successors(block.terminator).reverse() });
    }
  }
  return order.reverse();
}

/** Predecessors of the given blocks, each once per edge. */
export function predecessors(blocks: readonly Block[]): Map<Block, Block[]> {
  const preds = new Map<Block, Block[]>(blocks.map((block) => [block, []]));
  for (const block of blocks) for (const next of successors(block.terminator)) preds.get(next)?.push(block);
  return preds;
}

export interface Cfg {
  /** Reachable blocks in reverse post-order. */
  readonly order: readonly Block[];
  readonly index: ReadonlyMap<Block, number>;
  readonly preds: ReadonlyMap<Block, Block[]>;
  /** Immediate dominators; the entry has none. */
  readonly idom: ReadonlyMap<Block, Block>;
  /** Children in the dominator tree. */
  readonly children: ReadonlyMap<Block, Block[]>;
  dominates(a: Block, b: Block): boolean;
}

/** Dominators after Cooper, Harvey and Kennedy. */
export function buildCfg(fn: IrFunction): Cfg {
  const order = reversePostOrder(fn);
  const index = new Map(order.map((block, i) => [block, i]));
  const preds = predecessors(order);
  const idoms = immediateDominators(order, index, preds);
  const idom = new Map<Block, Block>();
  const children = new Map<Block, Block[]>(order.map((block) => [block, []]));
  for (const [i, block] of order.entries()) {
    const parent = order[idoms[i] ?? 0];
    if (i === 0 || parent === undefined) continue;
    idom.set(block, parent);
    children.get(parent)?.push(block);
  }
  const { enter, leave } = intervals(order, children);
  return {
    order,
    index,
    preds,
    idom,
    children,
    dominates: (a, b) =>
      (enter.get(a) ?? Infinity) <= (enter.get(b) ?? -1) && (leave.get(b) ?? Infinity) <= (leave.get(a) ?? -1),
  };
}

function immediateDominators(
  order: readonly Block[],
  index: ReadonlyMap<Block, number>,
  preds: ReadonlyMap<Block, Block[]>,
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

function intervals(order: readonly Block[], children: ReadonlyMap<Block, Block[]>) {
  const enter = new Map<Block, number>();
  const leave = new Map<Block, number>();
  let clock = 0;
  const entry = order[0];
  const stack: { block: Block; next: number }[] = entry ? [{ block: entry, next: 0 }] : [];
  if (entry) enter.set(entry, clock++);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = children.get(top.block)?.[top.next++];
    if (child === undefined) {
      leave.set(top.block, clock++);
      stack.pop();
    } else {
      enter.set(child, clock++);
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

/** Natural loops, inner ones before those around them, and the innermost loop of each block. */
export function findLoops(cfg: Cfg): { loops: Loop[]; of: Map<Block, Loop> } {
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
