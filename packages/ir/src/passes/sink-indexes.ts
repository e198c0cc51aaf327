/**
 * @module
 * Sums that are made before what they are made of is checked, and index memory behind the check: the verifier links no more than six registers
 * and slots of one value (LINKED_REGS_MAX), so that of more sums some would stay without a bound. Where there are so many they are made where
 * they are used.
 */
import { useCounts } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

/** The value itself is one of the six. */
const MOST_LINKED = 5;

/** Returns whether something was moved. */
export function sinkIndexes(fn: IrFunction): boolean {
  const counts = useCounts(fn);
  const home = new Map<Inst, Block>();
  const sums = new Map<Inst, number>();
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      home.set(inst, block);
      const base = baseOf(inst);
      if (base) sums.set(base, (sums.get(base) ?? 0) + 1);
    }
  }
  if (![...sums.values()].some((count) => count > MOST_LINKED)) return false;
  const isOnce = (inst: Inst): boolean => counts[inst.id] === 1;
  let changed = false;
  for (const block of fn.blocks) {
    for (const user of block.insts.filter(({ op }) => op === "ptradd")) {
      const chain = chainOf(user.args[1] as Inst, isOnce);
      const base = chain && baseOf(chain[0] as Inst);
      if (!chain || !base || (sums.get(base) ?? 0) <= MOST_LINKED) continue;
      if (chain.every((inst) => home.get(inst) === block)) continue;
      for (const inst of chain) {
        const from = home.get(inst) as Block;
        from.insts.splice(from.insts.indexOf(inst), 1);
      }
      block.insts.splice(block.insts.indexOf(user), 0, ...chain);
      for (const inst of chain) home.set(inst, block);
      changed = true;
    }
  }
  return changed;
}

/** What a sum with a constant adds to. */
function baseOf(inst: Inst): Inst | null {
  const [base, by] = inst.args;
  return inst.op === "binary" && inst.binary === "add" && by?.op === "const" && base?.op !== "const"
    ? (base ?? null)
    : null;
}

/** From the sum to the index: each is used by the next alone. */
function chainOf(index: Inst, isOnce: (inst: Inst) => boolean): Inst[] | null {
  const chain: Inst[] = [];
  let inst: Inst | undefined = index;
  while (inst && isOnce(inst)) {
    chain.unshift(inst);
    if (baseOf(inst)) return chain;
    const isScale: boolean = inst.op === "binary" && (inst.binary === "shl" || inst.binary === "mul");
    if (inst.op !== "ext" && !(isScale && inst.args[1]?.op === "const")) return null;
    inst = inst.args[0];
  }
  return null;
}
