/**
 * @module
 * Tidies the graph: decided branches, blocks with one way in or nothing in them, phis with one value.
 */
import { idBound } from "../analysis/block-map.ts";
import { predecessors, retarget, successorAt, successorCount, successors } from "../analysis/cfg.ts";
import { makeBranch, removeEdge, removeUnreachable, replaceValues, resolveValue, widthOf } from "../edit.ts";
import type { InstOf, TerminatorOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Terminator, ValueType } from "../ir.ts";
import { newJump } from "../make.ts";
import { evaluatePredicate } from "../predicate.ts";
import type { ConstantPool } from "./pool.ts";

/** Returns whether something changed. */
export function simplifyControlFlow(fn: IrFunction, pool: ConstantPool): boolean {
  let changed = false;
  for (let again = true; again;) {
    again = decideBranches(fn, pool);
    again = removeUnreachable(fn) || again;
    again = simplifyPhis(fn) || again;
    again = skipEmptyBlocks(fn) || again;
    again = mergeChains(fn) || again;
    changed ||= again;
  }
  return changed;
}

function decideBranches(fn: IrFunction, pool: ConstantPool): boolean {
  let changed = false;
  for (const block of fn.blocks) {
    const terminator = block.terminator as Terminator;
    const to =
      terminator.op === "branch"
        ? decideBranch(terminator)
        : terminator.op === "switch"
          ? decideSwitch(terminator)
          : null;
    if (to !== null) {
      changed = true;
      goOnly(block, to);
    } else if (terminator.op === "switch") changed = shrinkSwitch(block, terminator, pool) || changed;
  }
  return changed;
}

/** Where the branch surely goes, or null. */
function decideBranch(terminator: TerminatorOf<"branch">): Block | null {
  const [a, b] = terminator.args;
  if (terminator.then === terminator.else) return agree(terminator.then) ? terminator.then : null;
  if (a.op === "const" && b.op === "const") {
    const holds = evaluatePredicate(terminator.predicate, [a.value, b.value], widthOf(a.type));
    return holds ? terminator.then : terminator.else;
  }
  if (a !== b || terminator.predicate === "set") return null;
  return evaluatePredicate(terminator.predicate, [0n, 0n], 64) ? terminator.then : terminator.else;
}

/** Whether a block's phis cannot tell two edges from one block apart. */
function agree(block: Block): boolean {
  return block.insts.every((inst) => {
    if (inst.op !== "phi") return true;
    const values = new Map<Block, Inst>();
    return inst.blocks.every((from, i) => {
      const other = values.get(from);
      values.set(from, inst.args[i] as Inst);
      return other === undefined || other === inst.args[i];
    });
  });
}

function decideSwitch(terminator: TerminatorOf<"switch">): Block | null {
  const value = terminator.args[0];
  if (value.op === "const") {
    return terminator.cases.find((entry) => entry.value === value.value)?.to ?? terminator.default;
  }
  return terminator.cases.every((entry) => entry.to === terminator.default) && agree(terminator.default)
    ? terminator.default
    : null;
}

/** Leaves the block one edge, to `to`. */
function goOnly(block: Block, to: Block): void {
  const terminator = block.terminator as Terminator;
  let kept = false;
  for (const next of successors(terminator)) {
    if (next === to && !kept) kept = true;
    else removeEdge(block, next);
  }
  block.terminator = newJump(to, terminator.loc);
}

/** Drops cases that do what the default does; a single case becomes a branch. */
function shrinkSwitch(block: Block, terminator: TerminatorOf<"switch">, pool: ConstantPool): boolean {
  const hasPhis = terminator.default.insts[0]?.op === "phi";
  const useful = hasPhis ? terminator.cases : terminator.cases.filter((entry) => entry.to !== terminator.default);
  const only = useful.length === 1 ? useful[0] : undefined;
  if (only) {
    const value = terminator.args[0];
    const compared = pool.get(value.type as ValueType, only.value);
    block.terminator = makeBranch("eq", [value, compared], {
      yes: only.to,
      no: terminator.default,
      loc: terminator.loc,
    });
    return true;
  }
  const changed = useful.length !== terminator.cases.length;
  terminator.cases = useful;
  return changed;
}

function simplifyPhis(fn: IrFunction): boolean {
  const replaced = new Map<Inst, Inst>();
  for (const block of fn.blocks) {
    const before = replaced.size;
    for (const inst of block.insts) {
      if (inst.op !== "phi") break;
      const value = onlyValue(inst, replaced);
      if (value) replaced.set(inst, value);
    }
    if (replaced.size > before) block.insts = block.insts.filter((inst) => !replaced.has(inst));
  }
  replaceValues(fn, replaced);
  return replaced.size > 0;
}

/** The one value that the phi has, besides itself; null where there are several. */
function onlyValue(phi: Inst, replaced: ReadonlyMap<Inst, Inst>): Inst | null {
  let only: Inst | null = null;
  const { args } = phi;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as Inst;
    const value = replaced.size > 0 ? resolveValue(arg, replaced) : arg;
    if (value === phi || value === only) continue;
    if (only !== null) return null;
    only = value;
  }
  return only;
}

/** Lets predecessors of a block that only jumps go on to its target themselves. */
function skipEmptyBlocks(fn: IrFunction): boolean {
  const empty = fn.blocks.filter((block, i) => i > 0 && block.insts.length === 0 && block.terminator?.op === "jump");
  if (empty.length === 0) return false;
  const chosen = branchTargets(fn.blocks);
  // Nothing to skip: the graph need not be looked at.
  if (empty.every(({ id, terminator }) => chosen[id] === 1 && successorAt(terminator, 0).insts[0]?.op === "phi")) {
    return false;
  }
  let changed = false;
  const preds = predecessors(fn.blocks);
  for (const block of empty) {
    const terminator = block.terminator as Terminator;
    if (terminator.op !== "jump" || terminator.to === block) continue;
    const { to } = terminator;
    const from = preds.get(block) ?? [];
    if (from.length === 0 || !canSkip(block, to, { from, others: preds.get(to) ?? [] })) continue;
    redirect(block, to, new Set(from));
    const entering = preds.get(block) ?? [];
    preds.set(block, []);
    preds.set(to, [...(preds.get(to) ?? []).filter((pred) => pred !== block), ...entering]);
    changed = true;
  }
  return changed;
}

/** By id, 1 for blocks that something with several ways leads to. */
function branchTargets(blocks: readonly Block[]): Uint8Array {
  const found = new Uint8Array(idBound(blocks));
  for (const { terminator } of blocks) {
    const count = successorCount(terminator);
    if (count < 2) continue;
    for (let i = 0; i < count; i++) found[successorAt(terminator, i).id] = 1;
  }
  return found;
}

function canSkip(block: Block, to: Block, around: { from: readonly Block[]; others: readonly Block[] }): boolean {
  if (to.insts[0]?.op !== "phi") return true;
  for (const pred of around.from) {
    // The copies that the phi stands for would land on an edge that must be split again.
    if (successorCount(pred.terminator) > 1) return false;
  }
  const phis = to.insts.filter((inst): inst is InstOf<"phi"> => inst.op === "phi");
  for (const pred of around.from) {
    // Two edges from one block must bring the same values.
    if (!around.others.includes(pred)) continue;
    const differ = phis.some((phi) => phi.args[phi.blocks.indexOf(pred)] !== phi.args[phi.blocks.indexOf(block)]);
    if (differ) return false;
  }
  return true;
}

function redirect(block: Block, to: Block, from: Set<Block>): void {
  const edges = new Map<Block, number>();
  for (const pred of from) {
    edges.set(pred, successors(pred.terminator).filter((next) => next === block).length);
    retarget(pred.terminator as Terminator, block, to);
  }
  for (const phi of to.insts) {
    if (phi.op !== "phi") break;
    const at = phi.blocks.indexOf(block);
    const value = phi.args[at] as Inst;
    phi.blocks.splice(at, 1);
    phi.args.splice(at, 1);
    for (const [pred, count] of edges) {
      for (let i = 0; i < count; i++) {
        phi.blocks.push(pred);
        phi.args.push(value);
      }
    }
  }
}

/** Joins a block with its only successor where that has no other predecessor. */
function mergeChains(fn: IrFunction): boolean {
  if (!hasChain(fn)) return false;
  let changed = false;
  const preds = predecessors(fn.blocks);
  const gone = new Set<Block>();
  for (const block of fn.blocks) {
    if (gone.has(block)) continue;
    for (;;) {
      const terminator = block.terminator as Terminator;
      if (terminator.op !== "jump") break;
      const { to } = terminator;
      if (to === block || to === fn.blocks[0] || preds.get(to)?.length !== 1 || to.insts[0]?.op === "phi") break;
      for (const inst of to.insts) block.insts.push(inst);
      block.terminator = to.terminator;
      for (const next of successors(to.terminator)) {
        for (const phi of next.insts) {
          if (phi.op !== "phi") break;
          phi.blocks = phi.blocks.map((from) => (from === to ? block : from));
        }
        const list = preds.get(next);
        list?.splice(list.indexOf(to), 1, block);
      }
      gone.add(to);
      changed = true;
    }
  }
  if (changed) fn.blocks = fn.blocks.filter((block) => !gone.has(block));
  return changed;
}

/** Whether some block jumps to one that has no other way in. */
function hasChain(fn: IrFunction): boolean {
  const ways = new Uint32Array(idBound(fn.blocks));
  for (const { terminator } of fn.blocks) {
    const count = successorCount(terminator);
    for (let i = 0; i < count; i++) {
      const { id } = successorAt(terminator, i);
      ways[id] = (ways[id] as number) + 1;
    }
  }
  return fn.blocks.some(({ terminator }) => terminator?.op === "jump" && ways[terminator.to.id] === 1);
}
