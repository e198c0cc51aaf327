/**
 * @module
 * Stores that nothing reads: to stack objects, and such as are overwritten in the same block.
 */
import { accesses, callReads, escapedObjects, isCall, mayAlias } from "../analysis/alias.ts";
import type { Place } from "../analysis/alias.ts";
import { buildCfg, successors } from "../analysis/cfg.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

/** Bytes that may still be read, by object. */
type Live = Map<Inst, bigint>;

/** Returns whether a store went. */
export function eliminateStores(fn: IrFunction): boolean {
  return new StoreEliminator(fn).run();
}

class StoreEliminator {
  readonly #fn: IrFunction;
  readonly #escaped: Set<Inst>;
  readonly #objects: Inst[];

  constructor(fn: IrFunction) {
    this.#fn = fn;
    this.#escaped = escapedObjects(fn);
    this.#objects = fn.blocks.flatMap((block) => block.insts.filter((inst) => inst.op === "stack"));
  }

  run(): boolean {
    const { order } = buildCfg(this.#fn);
    const starts = new Map<Block, Live>();
    for (let changed = true; changed;) {
      changed = false;
      for (const block of order.toReversed()) {
        const live = this.#end(block, starts);
        for (const inst of block.insts.toReversed()) this.#before(inst, live);
        if (!isEqual(live, starts.get(block))) {
          starts.set(block, live);
          changed = true;
        }
      }
    }
    let removed = false;
    for (const block of order) removed = this.#sweep(block, this.#end(block, starts)) || removed;
    return removed;
  }

  #end(block: Block, starts: ReadonlyMap<Block, Live>): Live {
    const live: Live = new Map();
    for (const next of successors(block.terminator)) {
      for (const [object, bytes] of starts.get(next) ?? []) live.set(object, (live.get(object) ?? 0n) | bytes);
    }
    return live;
  }

  #before(inst: Inst, live: Live): void {
    if (isCall(inst)) {
      for (const object of this.#objects) if (callReads(inst, object, this.#escaped)) live.set(object, whole(object));
      return;
    }
    const { reads, writes } = accesses(inst);
    if (writes && writes.root.op === "stack" && inst.op !== "atomic") {
      live.set(writes.root, (live.get(writes.root) ?? 0n) & ~mask(writes));
    }
    if (!reads) return;
    if (reads.root.op === "stack") live.set(reads.root, (live.get(reads.root) ?? 0n) | mask(reads));
    else if (reads.object.op === "stack") live.set(reads.object, whole(reads.object));
    else if (reads.space === "stack" || reads.space === "unknown") {
      for (const object of this.#escaped) live.set(object, whole(object));
    }
  }

  #sweep(block: Block, live: Live): boolean {
    let covered: Place[] = [];
    const kept: Inst[] = [];
    for (const inst of block.insts.toReversed()) {
      const { reads, writes } = accesses(inst);
      const isStore = inst.op === "store" || inst.op === "zero" || inst.op === "copy";
      if (isStore && writes && (this.#isDead(writes, live) || covered.some((place) => contains(place, writes))))
        continue;
      if (isCall(inst)) covered = [];
      else if (reads) covered = covered.filter((place) => !mayAlias(place, reads));
      if (isStore && writes) covered.push(writes);
      this.#before(inst, live);
      kept.push(inst);
    }
    const removed = kept.length !== block.insts.length;
    block.insts = kept.reverse();
    return removed;
  }

  #isDead(writes: Place, live: Live): boolean {
    if (writes.object.op !== "stack" || this.#escaped.has(writes.object)) return false;
    const bytes = live.get(writes.object) ?? 0n;
    return writes.root === writes.object ? (bytes & mask(writes)) === 0n : bytes === 0n;
  }
}

const whole = (object: Inst): bigint => (object.op === "stack" ? (1n << BigInt(object.bytes)) - 1n : 0n);

function mask(place: Place): bigint {
  if (place.offset < 0) return whole(place.object);
  return ((1n << BigInt(place.size)) - 1n) << BigInt(place.offset);
}

function contains(outer: Place, inner: Place): boolean {
  return (
    outer.root === inner.root && outer.offset <= inner.offset && inner.offset + inner.size <= outer.offset + outer.size
  );
}

function isEqual(a: Live, b: Live | undefined): boolean {
  if (b === undefined || a.size !== b.size) return false;
  for (const [object, bytes] of a) if (b.get(object) !== bytes) return false;
  return true;
}
