/**
 * @module
 * What only one way out of a block needs is made on that way: `if (c) n += 1` adds in place instead of choosing between two values.
 */
import { predecessors } from "../analysis/cfg.ts";
import { useCounts } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

const CHEAP: ReadonlySet<string> = new Set(["binary", "ext", "trunc", "neg", "ptradd"]);

/** Critical edges must be split. */
export function sinkIntoEdges(fn: IrFunction): void {
  const preds = predecessors(fn.blocks);
  const counts = useCounts(fn);
  const phiUses = usesByPhis(fn);
  for (const block of fn.blocks) {
    const [above, ...others] = preds.get(block) ?? [];
    if (block.terminator?.op !== "jump" || !above || others.length > 0) continue;
    for (const phi of block.terminator.to.insts) {
      if (phi.op !== "phi") break;
      const value = phi.args[phi.blocks.indexOf(block)] as Inst;
      if (counts[value.id] === 1 && canMove(value, above, phiUses)) {
        above.insts.splice(above.insts.indexOf(value), 1);
        block.insts.push(value);
      }
    }
  }
}

/** Operands of phis, by the id of the operand: the blocks from whose end they are taken. */
function usesByPhis(fn: IrFunction): Map<number, Set<Block>> {
  const uses = new Map<number, Set<Block>>();
  for (const block of fn.blocks) {
    for (const phi of block.insts) {
      if (phi.op !== "phi") break;
      for (const [i, arg] of phi.args.entries()) {
        const known = uses.get(arg.id) ?? new Set();
        uses.set(arg.id, known.add(phi.blocks[i] as Block));
      }
    }
  }
  return uses;
}

/** Whether an operand that is wanted on the other way anyway takes the place of the value, so that no more registers are held. */
function canMove(value: Inst, above: Block, phiUses: ReadonlyMap<number, Set<Block>>): boolean {
  if (!CHEAP.has(value.op) || !above.insts.includes(value)) return false;
  const operands = value.args.filter((arg) => arg.op !== "const");
  return operands.length === 1 && (phiUses.get((operands[0] as Inst).id)?.size ?? 0) > 0;
}
