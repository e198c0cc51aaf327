/**
 * @module
 * Loads whose value is known, from a store or an earlier load of the same place.
 */
import { accesses, callWrites, escapedObjects, isCall, mayAlias, placeOf } from "../analysis/alias.ts";
import type { Place } from "../analysis/alias.ts";
import { buildCfg, findLoops } from "../analysis/cfg.ts";
import type { Cfg, Loop } from "../analysis/cfg.ts";
import { makeInst, replaceValues, resolveAll, widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, ValueType } from "../ir.ts";

interface Known {
  readonly place: Place;
  readonly value: Inst;
  /** Set for loads: how the value was extended. */
  readonly loaded?: { readonly signed: boolean; readonly type: ValueType };
}

const MOST_KNOWN = 64;

const WRITERS: ReadonlySet<Inst["op"]> = new Set(["store", "zero", "copy", "atomic"]);

/** Returns whether a load went. */
export function eliminateLoads(fn: IrFunction): boolean {
  return new LoadEliminator(fn).run();
}

class LoadEliminator {
  readonly #fn: IrFunction;
  readonly #cfg: Cfg;
  readonly #loops: Map<Block, Loop>;
  readonly #escaped: Set<Inst>;
  readonly #ends = new Map<Block, Known[]>();
  readonly #replaced = new Map<Inst, Inst>();

  constructor(fn: IrFunction) {
    this.#fn = fn;
    this.#cfg = buildCfg(fn);
    this.#loops = new Map(findLoops(this.#cfg).loops.map((loop) => [loop.header, loop]));
    this.#escaped = escapedObjects(fn);
  }

  run(): boolean {
    for (const block of this.#cfg.order) this.#block(block);
    replaceValues(this.#fn, this.#replaced);
    return this.#replaced.size > 0;
  }

  #block(block: Block): void {
    let known = this.#start(block);
    const out: Inst[] = [];
    for (const inst of block.insts) {
      if (this.#replaced.size > 0) resolveAll(inst.args, this.#replaced);
      if (inst.op === "load" && !inst.volatile && !inst.core) {
        const value = this.#find(inst, known, out);
        if (value) {
          this.#replaced.set(inst, value);
          continue;
        }
        const { signed } = inst;
        known.push({
          place: placeOf(inst.args[0] as Inst, inst),
          value: inst,
          loaded: { signed, type: inst.type as ValueType },
        });
      } else known = this.#after(inst, known);
      out.push(inst);
      if (known.length > MOST_KNOWN) known = known.slice(-MOST_KNOWN);
    }
    block.insts = out;
    this.#ends.set(block, known);
  }

  /** What all predecessors know; at a loop's head, what the loop leaves of it. */
  #start(block: Block): Known[] {
    const preds = this.#cfg.preds.get(block) ?? [];
    const loop = this.#loops.get(block);
    const entering = preds.filter((pred) => !loop?.blocks.has(pred));
    const [first, ...others] = entering.map((pred) => this.#ends.get(pred) ?? []);
    if (first === undefined) return [];
    let known = first.filter((entry) => others.every((list) => list.some((other) => isSame(entry, other))));
    if (loop) {
      for (const inside of loop.blocks) for (const inst of inside.insts) known = this.#forget(inst, known);
    }
    return [...known];
  }

  #forget(inst: Inst, known: Known[]): Known[] {
    if (known.length === 0) return known;
    if (isCall(inst)) return known.filter(({ place }) => !callWrites(inst, place, this.#escaped));
    if (!WRITERS.has(inst.op)) return known;
    const { writes } = accesses(inst);
    return writes ? known.filter(({ place }) => !mayAlias(place, writes)) : known;
  }

  #after(inst: Inst, known: Known[]): Known[] {
    const rest = this.#forget(inst, known);
    if (inst.op === "store" && !inst.core)
      rest.push({ place: placeOf(inst.args[0] as Inst, inst), value: inst.args[1] as Inst });
    return rest;
  }

  #find(load: InstOf<"load">, known: readonly Known[], out: Inst[]): Inst | null {
    const place = placeOf(load.args[0] as Inst, load);
    for (const entry of known) {
      if (entry.place.root !== place.root || entry.place.offset !== place.offset || entry.place.size !== place.size)
        continue;
      const { loaded, value } = entry;
      if (loaded) {
        if (loaded.signed === load.signed && loaded.type === load.type) return value;
        // Later entries may fit.
        continue;
      }
      const fitted = this.#fit(load, value, out);
      if (fitted) return fitted;
    }
    return null;
  }

  /** What a load gives of a stored value. */
  #fit(load: InstOf<"load">, value: Inst, out: Inst[]): Inst | null {
    if ((load.type === "ptr") !== (value.type === "ptr")) return null;
    const bits = load.size * 8;
    if (value.type === load.type && bits === widthOf(load.type)) return value;
    if (load.type === "ptr") return null;
    const body = { op: "ext", from: bits as 8 | 16 | 32, signed: load.signed } as const;
    if (bits === 64) return null;
    const made = makeInst(this.#fn, load.type, { args: [value], body, loc: load.loc });
    out.push(made);
    return made;
  }
}

function isSame(a: Known, b: Known): boolean {
  return (
    a.value === b.value &&
    a.place.root === b.place.root &&
    a.place.offset === b.place.offset &&
    a.place.size === b.place.size &&
    a.loaded?.signed === b.loaded?.signed &&
    a.loaded?.type === b.loaded?.type
  );
}
