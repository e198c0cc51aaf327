/**
 * @module
 * `local.get`/`local.set` to SSA: phis at iterated dominance frontiers where the variable is live.
 */
import { buildCfg, dominanceFrontiers, successors, terminatorArgs } from "../analysis/cfg.ts";
import type { Cfg } from "../analysis/cfg.ts";
import { makeConst, makeInst } from "../edit.ts";
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
        if (placed.has(join) || !liveIn.get(join)?.has(local)) continue;
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

/** Locals that may be read before they are written, at the start of each block. */
function localLiveness(cfg: Cfg): Map<Block, Set<Local>> {
  const liveIn = new Map<Block, Set<Local>>(cfg.order.map((block) => [block, new Set<Local>()]));
  const killed = new Map<Block, Set<Local>>();
  for (const block of cfg.order) {
    const sets = new Set<Local>();
    for (const inst of block.insts) {
      if (inst.op === "local.set") sets.add(inst.local);
      else if (inst.op === "local.get" && !sets.has(inst.local)) liveIn.get(block)?.add(inst.local);
    }
    killed.set(block, sets);
  }
  for (let changed = true; changed;) {
    changed = false;
    for (const block of cfg.order.toReversed()) {
      const here = liveIn.get(block) as Set<Local>;
      const before = here.size;
      for (const next of successors(block.terminator)) {
        for (const local of liveIn.get(next) ?? []) if (!killed.get(block)?.has(local)) here.add(local);
      }
      changed ||= here.size !== before;
    }
  }
  return liveIn;
}

class Renamer {
  readonly #fn: IrFunction;
  readonly #cfg: Cfg;
  readonly #phis: Map<Block, Map<Local, Phi>>;
  readonly #values = new Map<Inst, Inst>();
  readonly #zeros = new Map<string, Inst>();

  constructor(fn: IrFunction, cfg: Cfg, phis: Map<Block, Map<Local, Phi>>) {
    this.#fn = fn;
    this.#cfg = cfg;
    this.#phis = phis;
  }

  run(): void {
    const entry = this.#cfg.order[0];
    if (entry === undefined) return;
    const stack: { block: Block; state: Map<Local, Inst> }[] = [{ block: entry, state: new Map() }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const state = new Map(top.state);
      this.#rename(top.block, state);
      for (const child of this.#cfg.children.get(top.block) ?? []) stack.push({ block: child, state });
    }
    entry.insts.unshift(...this.#zeros.values());
    // A get whose block was renamed after its user's (a phi operand on a back edge) is replaced here.
    for (const block of this.#cfg.order) {
      for (const inst of block.insts) inst.args = inst.args.map((arg) => this.#resolve(arg));
      const args = terminatorArgs(block.terminator);
      for (let i = 0; i < args.length; i++) args[i] = this.#resolve(args[i] as Inst);
    }
  }

  #rename(block: Block, state: Map<Local, Inst>): void {
    const phis = this.#phis.get(block);
    for (const [local, phi] of phis ?? []) state.set(local, phi);
    const kept: Inst[] = [...(phis?.values() ?? [])];
    for (const inst of block.insts) {
      if (inst.op === "local.get") this.#values.set(inst, state.get(inst.local) ?? this.#zero(inst.local));
      else if (inst.op === "local.set") this.#set(inst, state);
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

  #set(inst: InstOf<"local.set">, state: Map<Local, Inst>): void {
    const value = this.#resolve(inst.args[0] as Inst);
    state.set(inst.local, value);
    if (value.name === undefined) value.name = inst.local.name;
  }

  #resolve(inst: Inst): Inst {
    let found = inst;
    for (let next = this.#values.get(found); next !== undefined; next = this.#values.get(found)) found = next;
    return found;
  }

  #zero(local: Local): Inst {
    const known = this.#zeros.get(local.type);
    if (known) return known;
    const zero = makeConst(this.#fn, local.type, 0n);
    this.#zeros.set(local.type, zero);
    return zero;
  }
}
