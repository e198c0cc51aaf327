/**
 * @module
 * Small tools for code that rewrites a function: fresh instructions and blocks, replaced values, cloned functions.
 */
import { retarget, reversePostOrder, successors, terminatorArgs } from "./analysis/cfg.ts";
import type { Block, Inst, IrFunction, IrModule, Loc, Predicate, Terminator, ValueType } from "./ir.ts";
import { copyInst, makeInst, newBlock, newJump, newTerminator } from "./make.ts";

export { become, makeInst, type InstBody } from "./make.ts";
export type InstOf<Op extends Inst["op"]> = Extract<Inst, { op: Op }>;
export type TerminatorOf<Op extends Terminator["op"]> = Extract<Terminator, { op: Op }>;

/** Bits of a value of the type. */
export function widthOf(type: ValueType | undefined): 32 | 64 {
  return type === "i32" ? 32 : 64;
}

export function makeConst(fn: IrFunction, type: ValueType, value: bigint): Inst {
  return makeInst(fn, type, { args: [], body: { op: "const", value: BigInt.asUintN(widthOf(type), value) } });
}

export function makeBlock(fn: IrFunction, name?: string): Block {
  const id = fn.blocks.reduce((most, block) => Math.max(most, block.id), -1) + 1;
  const block = newBlock(id, name);
  fn.blocks.push(block);
  return block;
}

export function makeBranch(
  predicate: Predicate,
  args: [Inst, Inst],
  targets: { yes: Block; no: Block; likely?: boolean | undefined; loc?: Loc | undefined },
): TerminatorOf<"branch"> {
  const { yes, no, likely, loc } = targets;
  // oxlint-disable-next-line unicorn/no-thenable -- a block's name, never awaited
  const body = { op: "branch", predicate, args, then: yes, else: no, likely } as const;
  return newTerminator(body, loc) as TerminatorOf<"branch">;
}

/** Replaces operands by what the map says, also through chains of replacements. */
export function replaceValues(fn: IrFunction, replacements: ReadonlyMap<Inst, Inst>): void {
  if (replacements.size === 0) return;
  // Most values are not replaced: a bit by id says so faster than the map.
  const marked = new Uint8Array(fn.nextId);
  for (const inst of replacements.keys()) marked[inst.id] = 1;
  const replace = (args: Inst[]): void => {
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as Inst;
      if (marked[arg.id] === 1) args[i] = resolveValue(arg, replacements);
    }
  };
  for (const { insts, terminator } of fn.blocks) {
    for (let i = 0; i < insts.length; i++) replace((insts[i] as Inst).args);
    replace(terminatorArgs(terminator));
  }
}

/** What stands for the value in the end. */
export function resolveValue(inst: Inst, replacements: ReadonlyMap<Inst, Inst>): Inst {
  let found = inst;
  for (let next = replacements.get(found); next !== undefined; next = replacements.get(found)) found = next;
  return found;
}

/** Replaces operands in place. */
export function resolveAll(args: Inst[], replacements: ReadonlyMap<Inst, Inst>): void {
  for (let i = 0; i < args.length; i++) args[i] = resolveValue(args[i] as Inst, replacements);
}

/** How often each instruction is an operand, by id. */
export function useCounts(fn: IrFunction): Uint32Array {
  const counts = new Uint32Array(fn.nextId);
  const count = (args: readonly Inst[]): void => {
    for (let i = 0; i < args.length; i++) {
      const { id } = args[i] as Inst;
      counts[id] = (counts[id] as number) + 1;
    }
  };
  for (const { insts, terminator } of fn.blocks) {
    for (let i = 0; i < insts.length; i++) count((insts[i] as Inst).args);
    count(terminatorArgs(terminator));
  }
  return counts;
}

/** Drops unreachable blocks and the phi operands that came from them. Returns whether something went. */
export function removeUnreachable(fn: IrFunction): boolean {
  const reached = reversePostOrder(fn);
  if (reached.length === fn.blocks.length) return false;
  const live = new Set(reached);
  fn.blocks = fn.blocks.filter((block) => live.has(block));
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      if (inst.op !== "phi") break;
      if (!inst.blocks.every((from) => live.has(from))) keepIncoming(inst, (from) => live.has(from));
    }
  }
  return true;
}

export function keepIncoming(phi: InstOf<"phi">, keep: (from: Block, index: number) => boolean): void {
  const kept = phi.blocks.map((from, i) => keep(from, i));
  phi.args = phi.args.filter((_, i) => kept[i]);
  phi.blocks = phi.blocks.filter((_, i) => kept[i]);
}

/** Takes one edge from `from` out of the phis of `to`. */
export function removeEdge(from: Block, to: Block): void {
  for (const inst of to.insts) {
    if (inst.op !== "phi") continue;
    const index = inst.blocks.indexOf(from);
    if (index >= 0) keepIncoming(inst, (_, i) => i !== index);
  }
}

/** A new block on the edges from `from` to `to` (all of them if there are several). */
export function splitEdge(fn: IrFunction, from: Block, to: Block): Block {
  const middle = makeBlock(fn);
  const terminator = from.terminator as Terminator;
  const edges = successors(terminator).filter((block) => block === to).length;
  middle.terminator = newJump(to, terminator.loc);
  retarget(terminator, to, middle);
  for (const inst of to.insts) {
    if (inst.op !== "phi") continue;
    let left = edges;
    keepIncoming(inst, (block) => block !== from || left-- === edges);
    inst.blocks = inst.blocks.map((block) => (block === from ? middle : block));
  }
  return middle;
}

/** Copies of `blocks` whose operands refer to copies (or to what `values` says); ids are of `into`. */
export function cloneBlocks(
  into: IrFunction,
  blocks: readonly Block[],
  values: Map<Inst, Inst>,
): { blocks: Block[]; of: Map<Block, Block> } {
  let nextBlock = into.blocks.reduce((most, block) => Math.max(most, block.id), -1) + 1;
  const of = new Map<Block, Block>();
  for (const block of blocks) {
    of.set(block, newBlock(nextBlock++, block.name));
  }
  const copies: Inst[] = [];
  for (const block of blocks) {
    const copy = of.get(block) as Block;
    for (const inst of block.insts) {
      if (values.has(inst)) continue;
      const twin = copyInst(inst, into.nextId++, inst.args);
      values.set(inst, twin);
      copy.insts.push(twin);
      copies.push(twin);
    }
    copy.terminator = block.terminator && cloneTerminator(block.terminator, of);
  }
  const value = (inst: Inst): Inst => values.get(inst) ?? inst;
  for (const inst of copies) {
    inst.args = inst.args.map(value);
    if (inst.op === "phi") inst.blocks = inst.blocks.map((block) => of.get(block) ?? block);
  }
  const cloned = [...of.values()];
  for (const block of cloned) {
    const args = terminatorArgs(block.terminator);
    for (let i = 0; i < args.length; i++) args[i] = value(args[i] as Inst);
  }
  return { blocks: cloned, of };
}

function cloneTerminator(terminator: Terminator, of: ReadonlyMap<Block, Block>): Terminator {
  const target = (block: Block): Block => of.get(block) ?? block;
  switch (terminator.op) {
    case "jump":
      return newJump(target(terminator.to), terminator.loc);
    case "branch":
      return makeBranch(terminator.predicate, [...terminator.args], {
        yes: target(terminator.then),
        no: target(terminator.else),
        likely: terminator.likely,
        loc: terminator.loc,
      });
    case "switch": {
      const cases = terminator.cases.map((entry) => ({ value: entry.value, to: target(entry.to) }));
      const otherwise = target(terminator.default);
      return newTerminator({ op: "switch", args: [terminator.args[0]], cases, default: otherwise }, terminator.loc);
    }
    case "return":
      return newTerminator({ op: "return", args: [...terminator.args] }, terminator.loc);
    default:
      return newTerminator({ op: "unreachable" }, terminator.loc);
  }
}

/** A copy that shares no mutable part with the original. */
export function cloneFunction(fn: IrFunction): IrFunction {
  const copy: IrFunction = { ...fn, blocks: [], nextId: 0 };
  copy.blocks = cloneBlocks(copy, fn.blocks, new Map()).blocks;
  return copy;
}

export function cloneModule(module: IrModule): IrModule {
  return { ...module, functions: module.functions.map(cloneFunction) };
}
