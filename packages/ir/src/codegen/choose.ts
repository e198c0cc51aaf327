/**
 * @module
 * A choice between two constants: one is there before the branch, the other replaces it on its way; no jump over the other.
 */
import { blockSuccessors, NONE } from "./mir.ts";
import type { MBlock, MFunction, MInst } from "./mir.ts";

/** Before registers are assigned. */
export function hoistChoices(code: MFunction): void {
  const preds = new Map<MBlock, number>();
  for (const block of code.blocks) {
    for (const next of blockSuccessors(block)) preds.set(next, (preds.get(next) ?? 0) + 1);
  }
  const gone = new Set<MBlock>();
  for (const block of code.blocks) {
    const { terminator } = block;
    // In loops the jumps stay: the verifier saves states by how many it has met (is_state_visited), and without them walks ways anew.
    if (terminator.kind !== "branch" || block.depth > 0) continue;
    const { yes, no } = terminator;
    const [taken, other] = [onlyConstant(yes), onlyConstant(no)];
    if (!taken || !other || taken.dst !== other.dst || yes === no) continue;
    if (preds.get(yes) !== 1 || preds.get(no) !== 1) continue;
    if (yes.terminator.kind !== "jump" || no.terminator.kind !== "jump" || yes.terminator.to !== no.terminator.to)
      continue;
    // Ends of their own, `return` of a constant, are shared between branches.
    if (yes.terminator.to.terminator.kind === "exit") continue;
    if (terminator.a === taken.dst || terminator.b === taken.dst) continue;
    block.insts.push(taken);
    terminator.yes = yes.terminator.to;
    gone.add(yes);
  }
  if (gone.size > 0) code.blocks = code.blocks.filter((block) => !gone.has(block));
}

/** The only instruction of a block, where it is a constant to a register. */
function onlyConstant(block: MBlock): MInst | null {
  const [inst, ...others] = block.insts;
  const isConstant = inst?.kind === "mov" && inst.a === NONE && inst.core === undefined && others.length === 0;
  return isConstant ? inst : null;
}
