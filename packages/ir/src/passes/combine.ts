/**
 * @module
 * Neighbouring accesses become wider ones: stores of constants, stores of a value beside zeros, copies field by field.
 */
import { accesses, callReads, callWrites, escapedObjects, isCall, mayAlias, placeOf } from "../analysis/alias.ts";
import type { Place } from "../analysis/alias.ts";
import { knownAlign } from "../codegen/legalize.ts";
import { makeInst, useCounts } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Space } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";

export interface CombineOptions {
  readonly byteOrder: "little" | "big";
}

type Store = InstOf<"store">;
type Load = InstOf<"load">;
type Size = 1 | 2 | 4 | 8;

/** Returns whether accesses were combined. */
export function combineAccesses(fn: IrFunction, pool: ConstantPool, options: CombineOptions): boolean {
  const combiner = new Combiner(fn, pool, options);
  let changed = false;
  for (const block of fn.blocks) changed = combiner.block(block) || changed;
  return changed;
}

class Combiner {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #isLittle: boolean;
  readonly #escaped: Set<Inst>;
  #uses: Uint32Array;

  constructor(fn: IrFunction, pool: ConstantPool, options: CombineOptions) {
    this.#fn = fn;
    this.#pool = pool;
    this.#isLittle = options.byteOrder === "little";
    this.#escaped = escapedObjects(fn);
    this.#uses = useCounts(fn);
  }

  /** Pairs are combined until none is left; a pair of pairs is a pair of wider stores. */
  block(block: Block): boolean {
    let changed = false;
    for (let again = true; again;) {
      again = false;
      const stores = block.insts.flatMap((inst, at) => (inst.op === "store" && !inst.core ? [{ inst, at }] : []));
      for (const [i, second] of stores.entries()) {
        for (let j = i - 1; j >= 0 && j >= i - REACH && !again; j--) {
          const first = stores[j];
          again = first !== undefined && this.#pair(block, first, second);
        }
        if (again) break;
      }
      changed ||= again;
      if (again) this.#uses = useCounts(this.#fn);
    }
    return changed;
  }

  /** Combines two stores of one size side by side, if both can be done where the second is. */
  #pair(block: Block, a: { inst: Store; at: number }, b: { inst: Store; at: number }): boolean {
    const [x, y] = [storePlace(a.inst), storePlace(b.inst)];
    if (a.inst.size !== b.inst.size || a.inst.size === 8 || x.root !== y.root || x.space !== y.space) return false;
    const size = (a.inst.size * 2) as Size;
    const isUp = x.offset + x.size === y.offset;
    if (!isUp && y.offset + y.size !== x.offset) return false;
    const [low, high] = isUp ? [a.inst, b.inst] : [b.inst, a.inst];
    if (!isAllowed(low, size) || !this.#canMoveDown(block, a, b.at)) return false;
    const value = this.#bothConstant(low, high, size) ?? this.#besideZero(low, high, size);
    if (value) {
      this.#replace(block, { a, b }, { low, size, value });
      return true;
    }
    return this.#copied(block, { a, b }, { low, high, size });
  }

  #replace(
    block: Block,
    pair: { a: { inst: Store; at: number }; b: { inst: Store; at: number } },
    wide: { low: Store; size: Size; value: Inst | Inst[] },
  ): void {
    const { low, size, value } = wide;
    const made = Array.isArray(value) ? value : [value];
    const stored = made.at(-1) as Inst;
    const body = { op: "store", size, offset: low.offset, space: low.space, align: low.align } as const;
    const args = [low.args[0] as Inst, stored];
    const store = makeInst(this.#fn, undefined, { args, body, loc: pair.b.inst.loc });
    // Constants are in the entry already, what was made here is not in a block.
    const fresh = made.filter((inst) => inst.op !== "const" && !isPlaced(this.#fn, inst));
    const [at, before] = [block.insts.indexOf(pair.b.inst), block.insts.indexOf(pair.a.inst)];
    block.insts.splice(at, 1, ...fresh, store);
    block.insts.splice(before, 1);
  }

  /** Whether nothing between the two touches what the first writes, and the second's address and value are no obstacle. */
  #canMoveDown(block: Block, first: { inst: Store; at: number }, to: number): boolean {
    const place = storePlace(first.inst);
    for (let i = first.at + 1; i < to; i++) {
      const inst = block.insts[i] as Inst;
      if (isCall(inst)) {
        const touches =
          place.object.op === "stack"
            ? callReads(inst, place.object, this.#escaped) || callWrites(inst, place, this.#escaped)
            : true;
        if (touches) return false;
      }
      const { reads, writes } = accesses(inst);
      if ((reads && mayAlias(reads, place)) || (writes && mayAlias(writes, place))) return false;
    }
    return true;
  }

  #bothConstant(low: Store, high: Store, size: Size): Inst | null {
    const [a, b] = [low.args[1] as Inst, high.args[1] as Inst];
    if (a.op !== "const" || b.op !== "const") return null;
    const bits = BigInt(low.size * 8);
    const part = (value: bigint): bigint => BigInt.asUintN(Number(bits), value);
    const value = this.#isLittle ? part(a.value) | (part(b.value) << bits) : (part(a.value) << bits) | part(b.value);
    // A constant that takes two instructions and a register is no gain over two stores.
    const signed = BigInt.asIntN(64, value);
    if (size === 8 && signed !== BigInt.asIntN(32, signed)) return null;
    return this.#pool.get(size === 8 ? "i64" : "i32", value);
  }

  /** A value and zero above it: the value zero-extended. */
  #besideZero(low: Store, high: Store, size: Size): Inst[] | null {
    const [lower, upper] = this.#isLittle ? [low, high] : [high, low];
    const zero = upper.args[1] as Inst;
    const value = lower.args[1] as Inst;
    if (zero.op !== "const" || zero.value !== 0n || value.op === "const" || value.type === "ptr") return null;
    const from = (lower.size * 8) as 8 | 16 | 32;
    const body = { op: "ext", from, signed: false } as const;
    return [makeInst(this.#fn, size === 8 ? "i64" : "i32", { args: [value], body, loc: low.loc })];
  }

  /** Two loads side by side that are only stored side by side. */
  #copied(
    block: Block,
    pair: { a: { inst: Store; at: number }; b: { inst: Store; at: number } },
    wide: { low: Store; high: Store; size: Size },
  ): boolean {
    const { low, high, size } = wide;
    const [x, y] = [loadOf(low, block), loadOf(high, block)];
    if (!x || !y || x.size !== low.size || y.size !== x.size) return false;
    if (this.#uses[x.id] !== 1 || this.#uses[y.id] !== 1) return false;
    const [p, q] = [placeOf(x.args[0] as Inst, x), placeOf(y.args[0] as Inst, y)];
    if (p.root !== q.root || p.space !== q.space || p.offset + p.size !== q.offset || !isAllowed(x, size)) return false;
    const [first, last] = [x, y].map((load) => block.insts.indexOf(load)).sort((i, j) => i - j) as [number, number];
    if (!this.#isUnchanged(block, { ...p, size }, { first, last })) return false;
    const at = block.insts[first] as Load;
    // Done where the first was: the pointer of the other is the same.
    const body = { op: "load", size, signed: false, offset: x.offset, space: x.space, align: x.align } as const;
    const load = makeInst(this.#fn, size === 8 ? "i64" : "i32", { args: [x.args[0] as Inst], body, loc: at.loc });
    const pointer = x.args[0] as Inst;
    if (pointer !== (at.args[0] as Inst) && isAfter(block, pointer, first)) return false;
    block.insts.splice(last, 1);
    block.insts.splice(first, 1, load);
    this.#replace(block, pair, { low, size, value: load });
    return true;
  }

  #isUnchanged(block: Block, place: Place, { first, last }: { first: number; last: number }): boolean {
    for (let i = first + 1; i < last; i++) {
      const inst = block.insts[i] as Inst;
      if (isCall(inst) && callWrites(inst, place, this.#escaped)) return false;
      const { writes } = accesses(inst);
      if (writes && mayAlias(writes, place)) return false;
    }
    return true;
  }
}

/** How many stores back a partner is looked for. */
const REACH = 12;

const storePlace = (store: Store): Place => placeOf(store.args[0] as Inst, store);

/** Whether an access of this size may stand at the place of the narrower one. */
function isAllowed(access: Store | Load, size: Size): boolean {
  const free: readonly Space[] = ["packet", "map", "data"];
  if (free.includes(access.space)) return true;
  return access.space === "stack" && knownAlign(access.args[0] as Inst, access.offset, access.align) >= size;
}

/** The load, in the block, of what is stored. */
function loadOf(store: Store, block: Block): Load | null {
  const value = store.args[1] as Inst;
  if (value.op !== "load" || value.volatile || value.core || value.type === "ptr") return null;
  return block.insts.includes(value) ? value : null;
}

const isAfter = (block: Block, inst: Inst, at: number): boolean => block.insts.indexOf(inst) > at;

const isPlaced = (fn: IrFunction, inst: Inst): boolean => fn.blocks.some((block) => block.insts.includes(inst));
