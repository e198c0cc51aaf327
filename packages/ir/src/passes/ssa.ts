/**
 * @module
 * `local.get`/`local.set` to SSA: phis at iterated dominance frontiers where the variable is live.
 */
import {
  buildCfg,
  dominanceFrontiers,
  successorAt,
  successorCount,
  successors,
  terminatorArgs,
} from "../analysis/cfg.ts";
import { idBound } from "../analysis/block-map.ts";
import type { Cfg } from "../analysis/cfg.ts";
import { makeConst, makeInst, resolveAll, resolveValue } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Local } from "../ir.ts";

/** Removes all locals. Unreachable blocks must be gone. A variable that was not set reads as 0. */
export function constructSsa(fn: IrFunction): void {
  if (!fn.blocks.some((block) => block.insts.some((inst) => inst.op === "local.get" || inst.op === "local.set")))
    return;
  const cfg = buildCfg(fn);
  const phis = placePhis(fn, cfg);
  new Renamer(fn, cfg, phis).run();
}

type Phi = InstOf<"phi">;

function placePhis(fn: IrFunction, cfg: Cfg): Map<Block, Map<Local, Phi>> {
  const liveIn = localLiveness(cfg);
  const frontiers = dominanceFrontiers(cfg);
  const definitions = new Map<Local, Set<Block>>();
  for (const block of cfg.order) {
    for (const inst of block.insts) {
      if (inst.op !== "local.set") continue;
      const blocks = definitions.get(inst.local) ?? new Set();
      definitions.set(inst.local, blocks.add(block));
    }
  }
  const phis = new Map<Block, Map<Local, Phi>>();
  for (const [local, blocks] of definitions) {
    const work = [...blocks];
    const placed = new Set<Block>();
    for (let block = work.pop(); block !== undefined; block = work.pop()) {
      for (const join of frontiers.get(block) ?? []) {
        if (placed.has(join) || !liveIn.has(join, local)) continue;
        placed.add(join);
        const phi = makeInst(fn, local.type, { args: [], body: { op: "phi", blocks: [] } }) as Phi;
        phi.name = local.name;
        const here = phis.get(join) ?? new Map<Local, Phi>();
        phis.set(join, here.set(local, phi));
        work.push(join);
      }
    }
  }
  return phis;
}

/** A row of bits for each block, a column for each variable. */
class LocalSets {
  readonly #columns = new Map<Local, number>();
  readonly #words: number;
  readonly #bits: Uint32Array;

  constructor(locals: Iterable<Local>, bound: number) {
    for (const local of locals) this.#columns.set(local, this.#columns.size);
    this.#words = (this.#columns.size + 31) >>> 5;
    this.#bits = new Uint32Array(this.#words * bound);
  }

  has(block: Block, local: Local): boolean {
    const column = this.#columns.get(local) as number;
    return (((this.#bits[block.id * this.#words + (column >>> 5)] as number) >>> (column & 31)) & 1) === 1;
  }

  add(block: Block, local: Local): void {
    const column = this.#columns.get(local) as number;
    const at = block.id * this.#words + (column >>> 5);
    this.#bits[at] = (this.#bits[at] as number) | (1 << (column & 31));
  }

  /** Adds to `to` what `from` has and `without` has not of `to`. Returns whether something was new. */
  flow(from: Block, to: Block, without: LocalSets): boolean {
    const [source, target] = [from.id * this.#words, to.id * this.#words];
    let changed = false;
    for (let w = 0; w < this.#words; w++) {
      const before = this.#bits[target + w] as number;
      const killed = without.#bits[target + w] as number;
      const after = (before | ((this.#bits[source + w] as number) & ~killed)) >>> 0;
      if (after === before) continue;
      this.#bits[target + w] = after;
      changed = true;
    }
    return changed;
  }
}

/** Locals that may be read before they are written, at the start of each block. */
function localLiveness(cfg: Cfg): LocalSets {
  const locals = new Set<Local>();
  for (const { insts } of cfg.order) {
    for (const inst of insts) if (inst.op === "local.get" || inst.op === "local.set") locals.add(inst.local);
  }
  const bound = idBound(cfg.order);
  const liveIn = new LocalSets(locals, bound);
  const killed = new LocalSets(locals, bound);
  for (const block of cfg.order) {
    for (const inst of block.insts) {
      if (inst.op === "local.set") killed.add(block, inst.local);
      else if (inst.op === "local.get" && !killed.has(block, inst.local)) liveIn.add(block, inst.local);
    }
  }
  for (let changed = true; changed;) {
    changed = false;
    for (let i = cfg.order.length - 1; i >= 0; i--) {
      const block = cfg.order[i] as Block;
      const count = successorCount(block.terminator);
      for (let n = 0; n < count; n++) {
        changed = liveIn.flow(successorAt(block.terminator, n), block, killed) || changed;
      }
    }
  }
  return liveIn;
}

/** A block on the way from the entry, what is left of its children, and what its variables were before it. */
interface Frame {
  readonly children: Block[];
  readonly before: [Local, Inst | undefined][];
}

class Renamer {
  readonly #fn: IrFunction;
  readonly #cfg: Cfg;
  readonly #phis: Map<Block, Map<Local, Phi>>;
  readonly #values = new Map<Inst, Inst>();
  readonly #zeros = new Map<string, Inst>();
  /** What each variable holds where the walk stands. */
  readonly #state = new Map<Local, Inst>();

  constructor(fn: IrFunction, cfg: Cfg, phis: Map<Block, Map<Local, Phi>>) {
    this.#fn = fn;
    this.#cfg = cfg;
    this.#phis = phis;
  }

  run(): void {
    const entry = this.#cfg.order[0];
    if (entry === undefined) return;
    const visit = (block: Block): Frame => {
      const before: [Local, Inst | undefined][] = [];
      this.#rename(block, before);
      return { children: [...(this.#cfg.children.get(block) ?? [])], before };
    };
    // What a block sets holds in the blocks that it dominates alone.
    const stack = [visit(entry)];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const child = top.children.pop();
      if (child !== undefined) {
        stack.push(visit(child));
        continue;
      }
      for (let i = top.before.length - 1; i >= 0; i--) {
        const [local, value] = top.before[i] as [Local, Inst | undefined];
        if (value) this.#state.set(local, value);
        else this.#state.delete(local);
      }
      stack.pop();
    }
    entry.insts.unshift(...this.#zeros.values());
    // A get whose block was renamed after its user's (a phi operand on a back edge) is replaced here.
    for (const block of this.#cfg.order) {
      for (const inst of block.insts) resolveAll(inst.args, this.#values);
      resolveAll(terminatorArgs(block.terminator), this.#values);
    }
  }

  #rename(block: Block, before: Frame["before"]): void {
    const state = this.#state;
    const phis = this.#phis.get(block);
    for (const [local, phi] of phis ?? []) {
      before.push([local, state.get(local)]);
      state.set(local, phi);
    }
    const kept: Inst[] = [...(phis?.values() ?? [])];
    for (const inst of block.insts) {
      if (inst.op === "local.get") this.#values.set(inst, state.get(inst.local) ?? this.#zero(inst.local));
      else if (inst.op === "local.set") this.#set(inst, before);
      else kept.push(inst);
    }
    block.insts = kept;
    for (const next of successors(block.terminator)) {
      for (const [local, phi] of this.#phis.get(next) ?? []) {
        phi.args.push(state.get(local) ?? this.#zero(local));
        phi.blocks.push(block);
      }
    }
  }

  #set(inst: InstOf<"local.set">, before: Frame["before"]): void {
    const value = resolveValue(inst.args[0] as Inst, this.#values);
    before.push([inst.local, this.#state.get(inst.local)]);
    this.#state.set(inst.local, value);
    if (value.name === undefined) value.name = inst.local.name;
  }

  #zero(local: Local): Inst {
    const known = this.#zeros.get(local.type);
    if (known) return known;
    const zero = makeConst(this.#fn, local.type, 0n);
    this.#zeros.set(local.type, zero);
    return zero;
  }
}
