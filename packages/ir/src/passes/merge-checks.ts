/**
 * @module
 * One test of the packet's length for several headers: where one follows another with nothing but arithmetic between, and both fail to
 * the same end, the one that reaches further says it all (an address behind the end lies behind it whatever is added).
 */
import { predecessors } from "../analysis/cfg.ts";
import { isPure } from "../analysis/effects.ts";
import { removeEdge } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";
import { newJump } from "../make.ts";

/** A test whether `root + offset` lies behind `end`. */
interface Check {
  readonly root: Inst;
  readonly offset: bigint;
  readonly end: Inst;
  readonly fails: Block;
  readonly passes: Block;
}

/** Returns whether a test went. */
export function mergeChecks(fn: IrFunction): boolean {
  const preds = predecessors(fn.blocks);
  let changed = false;
  for (const block of fn.blocks) {
    const first = checkOf(block);
    const second = first && checkOf(first.passes);
    if (!first || !second || preds.get(first.passes)?.length !== 1 || first.passes === block) continue;
    if (!implies(second, first) || !first.passes.insts.every(isHarmless)) continue;
    if (!failsAlike(first.fails, block, first.passes)) continue;
    removeEdge(block, first.fails);
    block.terminator = newJump(first.passes, block.terminator?.loc);
    changed = true;
  }
  return changed;
}

function checkOf(block: Block): Check | null {
  const terminator = block.terminator;
  if (terminator?.op !== "branch" || terminator.then === terminator.else) return null;
  const [pointer, end] = terminator.args;
  const isBehind = terminator.predicate === "ugt";
  if (pointer.type !== "ptr" || end.type !== "ptr" || (!isBehind && terminator.predicate !== "ule")) return null;
  const [fails, passes] = isBehind ? [terminator.then, terminator.else] : [terminator.else, terminator.then];
  let [root, offset] = [pointer, 0n];
  while (root.op === "ptradd" && root.args[1]?.op === "const") {
    offset += BigInt.asIntN(64, root.args[1].value);
    root = root.args[0] as Inst;
  }
  return offset > 0n && isPacket(root) ? { root, offset, end, fails, passes } : null;
}

function isPacket(pointer: Inst): boolean {
  let root = pointer;
  while (root.op === "ptradd") root = root.args[0] as Inst;
  return root.op === "load" && root.space === "ctx";
}

/** Whether what passes `check` passes `other` too. */
function implies(check: Check, other: Check): boolean {
  const isSame = check.root === other.root && check.end === other.end && check.fails === other.fails;
  return isSame && check.offset >= other.offset;
}

const isHarmless = (inst: Inst): boolean =>
  isPure(inst) || inst.op === "const" || (inst.op === "load" && inst.space === "ctx" && !inst.volatile);

/** Whether a block cannot tell from which of two it is entered. */
function failsAlike(fails: Block, a: Block, b: Block): boolean {
  const phis = fails.insts.filter((inst): inst is InstOf<"phi"> => inst.op === "phi");
  return phis.every((phi) => phi.args[phi.blocks.indexOf(a)] === phi.args[phi.blocks.indexOf(b)]);
}
