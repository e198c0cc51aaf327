/**
 * @module
 * A predecessor that decides a block's branch goes straight to where the branch leads.
 */
import { buildCfg, findLoops, successors } from "../analysis/cfg.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";
import { newJump } from "../make.ts";
import { demoteOutside, duplicateFor, LocalNames, Readers } from "./duplicate.ts";
import { constructSsa } from "./ssa.ts";
import { evaluatePredicate } from "../predicate.ts";
import { removeEdge, removeUnreachable, widthOf } from "../edit.ts";

/** Instructions, beside phis, that a threaded block may have. */
const MOST_COPIED = 6;

/** Returns whether a jump was threaded; constants must be folded and branches decided after it. */
export function threadJumps(fn: IrFunction): boolean {
  const cfg = buildCfg(fn);
  const headers = new Set(findLoops(cfg).loops.map((loop) => loop.header));
  const names = new LocalNames(fn);
  let readers: Readers | null = null;
  let changed = false;
  for (const block of [...cfg.order]) {
    // A second way into a loop would make it irreducible.
    if (headers.has(block) || !isSmall(block)) continue;
    const preds = decidingPredecessors(block);
    if (preds.length === 0) continue;
    const all = incoming(block);
    const ways = new Set(preds.map((pred) => pred.way));
    if (all.size === preds.length && ways.size === 1) {
      goAlways(block, preds[0]?.way === true);
      changed = true;
      continue;
    }
    readers ??= new Readers(fn.blocks);
    demoteOutside(fn, block, { names, readers });
    // Those that go the same way share a copy.
    for (const way of [true, false]) {
      const group = new Set(preds.filter((pred) => pred.way === way).map((pred) => pred.from));
      if (group.size === 0 || group.size === incoming(block).size) continue;
      const copy = duplicateFor(fn, block, group);
      readers.note(copy);
      for (const next of successors(copy.terminator)) readers.note(next);
    }
    changed = true;
  }
  removeUnreachable(fn);
  if (changed) constructSsa(fn);
  return changed;
}

/** The blocks that the phis have values from. */
function incoming(block: Block): Set<Block> {
  const found = new Set<Block>();
  for (const inst of block.insts) if (inst.op === "phi") for (const from of inst.blocks) found.add(from);
  return found;
}

/** Every predecessor decides alike: so does the block. */
function goAlways(block: Block, way: boolean): void {
  const terminator = block.terminator;
  if (terminator?.op !== "branch") return;
  const [to, other] = way ? [terminator.then, terminator.else] : [terminator.else, terminator.then];
  if (other !== to) removeEdge(block, other);
  else return;
  block.terminator = newJump(to, terminator.loc);
}

function isSmall(block: Block): boolean {
  let count = 0;
  for (const inst of block.insts) {
    if (inst.op === "phi") continue;
    if (inst.op === "stack" || inst.op === "param") return false;
    if (inst.op !== "const") count++;
  }
  return count <= MOST_COPIED && block.insts[0]?.op === "phi";
}

/** Predecessors from which the branch surely goes one way. */
function decidingPredecessors(block: Block): { from: Block; way: boolean }[] {
  const terminator = block.terminator;
  if (terminator?.op !== "branch") return [];
  const [a, b] = terminator.args;
  const found: { from: Block; way: boolean }[] = [];
  if (!isFromPhis(a, block) || !isFromPhis(b, block)) return found;
  for (const from of incoming(block)) {
    if (from === block) continue;
    const [left, right] = [valueFrom(a, block, from), valueFrom(b, block, from)];
    if (left === null || right === null) continue;
    found.push({ from, way: evaluatePredicate(terminator.predicate, [left, right], widthOf(a.type)) });
  }
  return found;
}

/** Whether a value may be a constant on some way into the block. */
function isFromPhis(value: Inst, block: Block): boolean {
  return value.op === "const" || ((value.op === "phi" || value.op === "cmp") && block.insts.includes(value));
}

/** The constant that a value is when the block is entered from `from`, or null. */
function valueFrom(value: Inst, block: Block, from: Block): bigint | null {
  if (value.op === "const") return value.value;
  if (!block.insts.includes(value)) return null;
  if (value.op === "phi") {
    const arg = value.args[value.blocks.indexOf(from)];
    return arg?.op === "const" ? arg.value : null;
  }
  if (value.op === "cmp") {
    const [a, b] = value.args.map((arg) => valueFrom(arg, block, from)) as [bigint | null, bigint | null];
    if (a === null || b === null) return null;
    return evaluatePredicate(value.predicate, [a, b], widthOf(value.args[0]?.type)) ? 1n : 0n;
  }
  return null;
}
