/**
 * @module
 * Stores that nothing reads: to stack objects, and such as are overwritten in the same block.
 */
import { accesses, callReads, escapedObjects, isCall, mayAlias } from "../analysis/alias.ts";
import type { Place } from "../analysis/alias.ts";
import { idBound } from "../analysis/block-map.ts";
import { buildCfg, successors } from "../analysis/cfg.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

/** Bytes that may still be read, by object. */
type Live = Map<Inst, bigint>;

/** Returns whether a store went. */
export function eliminateStores(fn: IrFunction): boolean {
  return new StoreEliminator(fn).run();
}

/** An instruction that reads or writes memory. */
interface Access {
  readonly inst: Inst;
  readonly isACall: boolean;
  readonly reads?: Place;
  readonly writes?: Place;
}

function accessesOf(block: Block): Access[] {
  const found: Access[] = [];
  for (let i = block.insts.length - 1; i >= 0; i--) {
    const inst = block.insts[i] as Inst;
    const isACall = isCall(inst);
    if (!isACall && !TOUCHES_MEMORY.has(inst.op)) continue;
    found.push({ inst, isACall, ...accesses(inst) });
  }
  return found;
}

const TOUCHES_MEMORY: ReadonlySet<Inst["op"]> = new Set(["load", "store", "zero", "copy", "atomic"]);

class StoreEliminator {
  readonly #fn: IrFunction;
  readonly #escaped: Set<Inst>;
  readonly #objects: Inst[];
  /** Of each block what reads or writes memory, the last first. */
  readonly #relevant = new Map<Block, readonly Access[]>();

  constructor(fn: IrFunction) {
    this.#fn = fn;
    this.#escaped = escapedObjects(fn);
    this.#objects = fn.blocks.flatMap((block) => block.insts.filter((inst) => inst.op === "stack"));
    for (const block of fn.blocks) this.#relevant.set(block, accessesOf(block));
  }

  run(): boolean {
    const { order } = buildCfg(this.#fn);
    const starts = new Map<Block, Live>();
    // Without objects on the stack nothing is ever alive.
    if (this.#objects.length > 0) this.#solve(order, starts);
    let removed = false;
    for (const block of order) {
      if (this.#relevant.get(block)?.length !== 0) removed = this.#sweep(block, this.#end(block, starts)) || removed;
    }
    return removed;
  }

  /** What is alive where each block starts. */
  #solve(order: readonly Block[], starts: Map<Block, Live>): void {
    // By id, the round in which more became known of what follows the block.
    const asked = new Int32Array(idBound(order)).fill(1);
    const { preds, index } = buildCfg(this.#fn);
    for (let round = 1, again = true; again; round++) {
      again = false;
      for (let i = order.length - 1; i >= 0; i--) {
        const block = order[i] as Block;
        if ((asked[block.id] as number) < round) continue;
        const live = this.#end(block, starts);
        for (const access of this.#relevant.get(block) ?? []) this.#before(access, live);
        if (isEqual(live, starts.get(block))) continue;
        starts.set(block, live);
        for (const pred of preds.get(block) ?? []) {
          // One that is still to come in this round sees it there.
          const isDone = (index.get(pred) ?? 0) >= i;
          asked[pred.id] = isDone ? round + 1 : Math.max(round, asked[pred.id] as number);
          again ||= isDone;
        }
      }
    }
  }

  #end(block: Block, starts: ReadonlyMap<Block, Live>): Live {
    const live: Live = new Map();
    for (const next of successors(block.terminator)) {
      if (starts.get(next)?.size === 0) continue;
      for (const [object, bytes] of starts.get(next) ?? []) live.set(object, (live.get(object) ?? 0n) | bytes);
    }
    return live;
  }

  #before({ inst, isACall, reads, writes }: Access, live: Live): void {
    if (isACall) {
      for (const object of this.#objects) if (callReads(inst, object, this.#escaped)) live.set(object, whole(object));
      return;
    }
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
    const dead = new Set<Inst>();
    for (const access of this.#relevant.get(block) ?? []) {
      const { inst, isACall, reads, writes } = access;
      const isStore = inst.op === "store" || inst.op === "zero" || inst.op === "copy";
      if (isStore && writes && (this.#isDead(writes, live) || covered.some((place) => contains(place, writes)))) {
        dead.add(inst);
        continue;
      }
      if (isACall) covered = [];
      else if (reads) covered = covered.filter((place) => !mayAlias(place, reads));
      if (isStore && writes) covered.push(writes);
      this.#before(access, live);
    }
    if (dead.size > 0) block.insts = block.insts.filter((inst) => !dead.has(inst));
    return dead.size > 0;
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
