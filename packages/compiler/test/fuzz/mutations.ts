/**
 * @module
 * Passes with a bug: each rewrites a function in SSA form wrongly, as a real pass might. The fuzzer must find every one of them.
 */
import { buildCfg, findLoops } from "../../../ir/src/analysis/cfg.ts";
import type { Block, Inst, IrFunction } from "@skep/ir";

/** Gives how many places it changed. */
export type WrongPass = (fn: IrFunction) => number;

type InstOf<Op extends Inst["op"]> = Extract<Inst, { op: Op }>;

function each<Op extends Inst["op"]>(op: Op, change: (inst: InstOf<Op>, block: Block) => boolean): WrongPass {
  return (fn) => {
    let changed = 0;
    for (const block of fn.blocks) {
      for (const inst of [...block.insts]) if (inst.op === op && change(inst as InstOf<Op>, block)) changed++;
    }
    return changed;
  };
}

/** Uses of `old` become uses of `by`. */
function replaceUses(fn: IrFunction, old: Inst, by: Inst): void {
  for (const block of fn.blocks) {
    for (const inst of block.insts) inst.args = inst.args.map((arg) => (arg === old ? by : arg));
    const { terminator } = block;
    if (terminator && "args" in terminator && terminator.args) {
      terminator.args.forEach((arg, at) => {
        if (arg === old) terminator.args[at] = by;
      });
    }
  }
}

const remove = (block: Block, inst: Inst): void => {
  block.insts = block.insts.filter((one) => one !== inst);
};

/** Loads from memory that is written, in the order of their block. */
const isMemory = (inst: Inst): inst is InstOf<"load"> =>
  inst.op === "load" && inst.space !== "ctx" && inst.type !== "ptr";

const samePlace = (a: InstOf<"load" | "store">, b: InstOf<"load" | "store">): boolean =>
  a.args[0] === b.args[0] && a.offset === b.offset && a.size === b.size;

/** These are put before the other passes: afterwards little is left for them to break. */
export const EARLY: ReadonlySet<string> = new Set([
  "a load is forwarded across a store",
  "a load is hoisted out of a loop that stores",
  "a copy forgets its last byte",
]);

export const WRONG_PASSES: Readonly<Record<string, WrongPass>> = {
  "a sign extension becomes a zero extension": each("ext", (inst) => {
    if (!inst.signed) return false;
    inst.signed = false;
    return true;
  }),
  "a narrowing is taken for superfluous": (fn) => {
    let changed = 0;
    for (const block of fn.blocks) {
      for (const inst of [...block.insts]) {
        const [value] = inst.args;
        if (inst.op !== "ext" || inst.from === 32 || value?.type !== inst.type) continue;
        replaceUses(fn, inst, value as Inst);
        remove(block, inst);
        changed++;
      }
    }
    return changed;
  },
  "operands of sub are swapped": each("binary", (inst) => {
    if (inst.binary !== "sub") return false;
    inst.args.reverse();
    return true;
  }),
  "a shift is folded one too far": each("binary", (inst) => {
    const [, count] = inst.args;
    if (inst.binary !== "shl" || count?.op !== "const" || count.value < 2n) return false;
    inst.args = [inst.args[0] as Inst, inst.args[0] as Inst];
    inst.binary = "add";
    return true;
  }),
  "an arithmetic shift becomes a logical one": each("binary", (inst) => {
    if (inst.binary !== "ashr") return false;
    inst.binary = "lshr";
    return true;
  }),
  "a signed division becomes an unsigned one": each("binary", (inst) => {
    if (inst.binary !== "sdiv" && inst.binary !== "smod") return false;
    inst.binary = inst.binary === "sdiv" ? "udiv" : "umod";
    return true;
  }),
  "division by a constant rounds up": each("binary", (inst) => {
    if (inst.binary !== "udiv" || inst.args[1]?.op !== "const") return false;
    inst.binary = "umod";
    return true;
  }),
  "a signed compare becomes an unsigned one": (fn) => {
    let changed = 0;
    const unsigned = { slt: "ult", sle: "ule", sgt: "ugt", sge: "uge" } as const;
    const change = (one: { predicate: string }): void => {
      const wrong = unsigned[one.predicate as keyof typeof unsigned];
      if (!wrong) return;
      one.predicate = wrong;
      changed++;
    };
    for (const block of fn.blocks) {
      for (const inst of block.insts) if (inst.op === "cmp") change(inst);
      if (block.terminator?.op === "branch") change(block.terminator);
    }
    return changed;
  },
  "a compare loses its equality": (fn) => {
    let changed = 0;
    const strict = { ule: "ult", uge: "ugt", sle: "slt", sge: "sgt" } as const;
    for (const { terminator } of fn.blocks) {
      const wrong =
        terminator?.op === "branch" && terminator.args[0].type !== "ptr" && strict[terminator.predicate as "ule"];
      if (terminator?.op !== "branch" || !wrong) continue;
      terminator.predicate = wrong;
      changed++;
    }
    return changed;
  },
  "a store is dead although it is read": (fn) => {
    let changed = 0;
    for (const block of fn.blocks) {
      // The last store of a block to what is not the packet's outputs.
      const stores = block.insts.filter((inst) => inst.op === "store" && inst.space === "stack");
      const last = stores.at(-1);
      if (!last) continue;
      remove(block, last);
      changed++;
    }
    return changed;
  },
  "a store to a map is lost": each("store", (inst, block) => {
    if (inst.space !== "map") return false;
    remove(block, inst);
    return true;
  }),
  "a load is forwarded across a store": (fn) => {
    let changed = 0;
    for (const block of fn.blocks) {
      const seen: InstOf<"load">[] = [];
      for (const inst of [...block.insts]) {
        if (!isMemory(inst)) continue;
        const before = seen.find((one) => samePlace(one, inst) && one.type === inst.type && one.signed === inst.signed);
        if (!before) {
          seen.push(inst);
          continue;
        }
        replaceUses(fn, inst, before);
        remove(block, inst);
        changed++;
      }
    }
    return changed;
  },
  "a load is hoisted out of a loop that stores": (fn) => {
    const cfg = buildCfg(fn);
    let changed = 0;
    for (const loop of findLoops(cfg).loops) {
      const before = (cfg.preds.get(loop.header) ?? []).find((pred) => !loop.blocks.has(pred));
      if (!before || !cfg.dominates(before, loop.header)) continue;
      const inside = new Set([...loop.blocks].flatMap((block) => block.insts));
      for (const block of loop.blocks) {
        for (const inst of [...block.insts]) {
          if (!isMemory(inst) || inside.has(inst.args[0] as Inst)) continue;
          remove(block, inst);
          before.insts.push(inst);
          changed++;
        }
      }
    }
    return changed;
  },
  "a copy forgets its last byte": each("copy", (inst) => {
    if (inst.bytes < 2) return false;
    inst.bytes -= 1;
    return true;
  }),
  "values of a phi are exchanged": each("phi", (inst) => {
    if (inst.args.length !== 2 || inst.type === "ptr" || inst.args.some((arg) => arg === inst)) return false;
    const [a, b] = inst.args as [Inst, Inst];
    // Only what both ways know.
    if (a.op !== "const" || b.op !== "const") return false;
    inst.args = [b, a];
    return true;
  }),
  "a case of a switch goes astray": (fn) => {
    let changed = 0;
    for (const { terminator } of fn.blocks) {
      if (terminator?.op !== "switch") continue;
      terminator.cases.forEach((entry) => {
        entry.value += 8n;
      });
      changed++;
    }
    return changed;
  },
  "a check of an index is thought to hold": (fn) => {
    let changed = 0;
    for (const { terminator } of fn.blocks) {
      const guard = terminator?.op === "branch" && terminator.predicate === "ult" && terminator.args[1].op === "const";
      if (terminator?.op !== "branch" || !guard || terminator.args[0].type !== "i64") continue;
      terminator.args = [terminator.args[1], terminator.args[1]];
      terminator.predicate = "eq";
      changed++;
    }
    return changed;
  },
  "an atomic operation gives the new value's neighbour": each("atomic", (inst) => {
    if (inst.atomic !== "or") return false;
    inst.atomic = "xor";
    return true;
  }),
  "a byte swap is lost": (fn) => {
    let changed = 0;
    for (const block of fn.blocks) {
      for (const inst of [...block.insts]) {
        if (inst.op !== "hton" && inst.op !== "bswap") continue;
        replaceUses(fn, inst, inst.args[0] as Inst);
        remove(block, inst);
        changed++;
      }
    }
    return changed;
  },
};
