/**
 * @module
 * Stack objects that no address leaves become variables, a variable per place that is accessed as a whole; SSA construction does the rest.
 */
import { terminatorArgs } from "../analysis/cfg.ts";
import { become, makeInst } from "../edit.ts";
import type { InstBody, InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Local, ValueType } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";

interface Slice {
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
  local?: Local;
  holdsPointer: boolean;
  holdsNumber: boolean;
}

interface Candidate {
  readonly stack: InstOf<"stack">;
  /** Accesses as [offset, size] by exact place. */
  readonly places: Map<string, Slice>;
  /** Ranges of block operations. */
  readonly ranges: { offset: number; bytes: number }[];
  bad: boolean;
}

/** Returns whether something was promoted; then SSA must be constructed again. */
export function promoteStack(fn: IrFunction, pool: ConstantPool): boolean {
  const candidates = collect(fn);
  const copies = copiesBetween(fn, candidates);
  unifyCopied(copies);
  const plans = new Map<Inst, Slice[]>();
  for (const candidate of candidates.values()) {
    const slices = candidate.bad ? null : partition(candidate);
    if (slices !== null) plans.set(candidate.stack, slices);
  }
  dropUnequal(copies, plans);
  let nextLocal = 0;
  for (const [stack, slices] of plans) {
    for (const slice of slices) {
      const type = slice.holdsPointer ? "ptr" : slice.size === 8 ? "i64" : "i32";
      slice.local = { id: nextLocal++, name: stack.name ?? "stack", type };
    }
  }
  if (plans.size === 0) return false;
  for (const block of fn.blocks) new Promoter(fn, pool, plans).block(block);
  return true;
}

/** A copy from one object to another. */
interface InnerCopy {
  readonly to: Candidate;
  readonly from: Candidate;
  readonly toOffset: number;
  readonly fromOffset: number;
  readonly bytes: number;
}

function copiesBetween(fn: IrFunction, candidates: ReadonlyMap<Inst, Candidate>): InnerCopy[] {
  const copies: InnerCopy[] = [];
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      if (inst.op !== "copy") continue;
      const [a, b] = inst.args.map(rootOf) as [ReturnType<typeof rootOf>, ReturnType<typeof rootOf>];
      const [to, from] = [candidates.get(a.root), candidates.get(b.root)];
      if (!to || !from || to.bad || from.bad) continue;
      const offsets = { toOffset: a.offset + inst.toOffset, fromOffset: b.offset + inst.fromOffset };
      copies.push({ to, from, ...offsets, bytes: inst.bytes });
    }
  }
  return copies;
}

/** What is a field on one side is one on the other. */
function unifyCopied(copies: readonly InnerCopy[]): void {
  const share = (from: Candidate, to: Candidate, shift: { start: number; bytes: number; by: number }): boolean => {
    let changed = false;
    for (const slice of from.places.values()) {
      if (slice.offset < shift.start || slice.offset + slice.size > shift.start + shift.bytes) continue;
      const offset = slice.offset + shift.by;
      const key = `${offset} ${slice.size}`;
      const { holdsPointer, holdsNumber } = slice;
      const known = to.places.get(key);
      if (known === undefined) {
        to.places.set(key, { offset, size: slice.size, holdsPointer, holdsNumber });
        changed = true;
      } else if ((holdsPointer && !known.holdsPointer) || (holdsNumber && !known.holdsNumber)) {
        known.holdsPointer ||= holdsPointer;
        known.holdsNumber ||= holdsNumber;
        changed = true;
      }
    }
    return changed;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const { to, from, toOffset, fromOffset, bytes } of copies) {
      changed = share(from, to, { start: fromOffset, bytes, by: toOffset - fromOffset }) || changed;
      changed = share(to, from, { start: toOffset, bytes, by: fromOffset - toOffset }) || changed;
    }
  }
}

/** Gives up objects between which a copy cannot go place by place. */
function dropUnequal(copies: readonly InnerCopy[], plans: Map<Inst, Slice[]>): void {
  for (const { to, from, toOffset, fromOffset, bytes } of copies) {
    const [left, right] = [plans.get(to.stack), plans.get(from.stack)];
    if (!left || !right) continue;
    const shape = (slices: Slice[], start: number): string =>
      within(slices, start, bytes)
        .map((slice) => `${slice.offset - start} ${slice.size} ${slice.holdsPointer}`)
        .join();
    if (shape(left, toOffset) === shape(right, fromOffset)) continue;
    plans.delete(to.stack);
    plans.delete(from.stack);
  }
}

/** The object that an address is a constant place of. */
function rootOf(pointer: Inst): { root: Inst; offset: number } {
  let [root, offset] = [pointer, 0];
  while (root.op === "ptradd" && root.args[1]?.op === "const") {
    offset += Number(BigInt.asIntN(64, root.args[1].value));
    root = root.args[0] as Inst;
  }
  return { root, offset };
}

function collect(fn: IrFunction): Map<Inst, Candidate> {
  const found = new Map<Inst, Candidate>();
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      if (inst.op === "stack") found.set(inst, { stack: inst, places: new Map(), ranges: [], bad: false });
    }
  }
  for (const block of fn.blocks) {
    for (const inst of block.insts) for (const [i, arg] of inst.args.entries()) noteUse(found, { inst, i, arg });
    for (const arg of terminatorArgs(block.terminator)) spoil(found, arg);
  }
  return found;
}

function spoil(found: Map<Inst, Candidate>, pointer: Inst): void {
  const candidate = found.get(rootOf(pointer).root);
  if (candidate) candidate.bad = true;
}

function noteUse(found: Map<Inst, Candidate>, { inst, i, arg }: { inst: Inst; i: number; arg: Inst }): void {
  const { root, offset } = rootOf(arg);
  const candidate = found.get(root);
  if (candidate === undefined) return;
  const place = (at: number, size: 1 | 2 | 4 | 8, type: ValueType | undefined): void => {
    const key = `${at} ${size}`;
    const slice: Slice = candidate.places.get(key) ?? { offset: at, size, holdsPointer: false, holdsNumber: false };
    if (type === "ptr") slice.holdsPointer = true;
    else slice.holdsNumber = true;
    candidate.places.set(key, slice);
  };
  switch (inst.op) {
    case "load":
      if (inst.core || inst.volatile) candidate.bad = true;
      else place(offset + inst.offset, inst.size, inst.type);
      return;
    case "store":
      if (i === 1 || inst.core) candidate.bad = true;
      else place(offset + inst.offset, inst.size, inst.args[1]?.type);
      return;
    case "zero":
      candidate.ranges.push({ offset: offset + inst.offset, bytes: inst.bytes });
      return;
    case "copy":
      candidate.ranges.push({ offset: offset + (i === 0 ? inst.toOffset : inst.fromOffset), bytes: inst.bytes });
      return;
    case "ptradd":
      // A constant step is followed from its own uses.
      if (i !== 0 || inst.args[1]?.op !== "const") candidate.bad = true;
      return;
    default:
      candidate.bad = true;
  }
}

/** Slices that cover all that is accessed and do not overlap, or null. */
function partition(candidate: Candidate): Slice[] | null {
  const { stack, ranges } = candidate;
  const slices = [...candidate.places.values()].sort((a, b) => a.offset - b.offset);
  for (const [i, slice] of slices.entries()) {
    const next = slices[i + 1];
    if (slice.offset < 0 || slice.offset + slice.size > stack.bytes) return null;
    if (next && next.offset < slice.offset + slice.size) return null;
    if (slice.holdsPointer && slice.holdsNumber) return null;
  }
  for (const { offset, bytes } of ranges) {
    if (offset < 0 || offset + bytes > stack.bytes) return null;
    for (const slice of slices) {
      const end = slice.offset + slice.size;
      const isInside = slice.offset >= offset && end <= offset + bytes;
      const isOutside = end <= offset || slice.offset >= offset + bytes;
      if (!isInside && !isOutside) return null;
    }
  }
  return fillGaps(slices, ranges);
}

/** Bytes that only block operations touch are variables too: they may be copied on. */
function fillGaps(slices: Slice[], ranges: readonly { offset: number; bytes: number }[]): Slice[] | null {
  const covered = new Set<number>();
  for (const { offset, size } of slices) for (let i = 0; i < size; i++) covered.add(offset + i);
  // Cuts where a range starts or ends: no gap slice may cross one.
  const cuts = new Set(ranges.flatMap(({ offset, bytes }) => [offset, offset + bytes]));
  const touched = [
    ...new Set(ranges.flatMap(({ offset, bytes }) => Array.from({ length: bytes }, (_, i) => offset + i))),
  ];
  const gaps: Slice[] = [];
  for (const at of touched.sort((a, b) => a - b)) {
    if (covered.has(at)) continue;
    let size: 1 | 2 | 4 | 8 = 8;
    const isFree = (): boolean => {
      if (at % size !== 0) return false;
      for (let i = 0; i < size; i++) {
        if (covered.has(at + i) || !touched.includes(at + i) || (i > 0 && cuts.has(at + i))) return false;
      }
      return true;
    };
    while (size > 1 && !isFree()) size = (size / 2) as 1 | 2 | 4;
    gaps.push({ offset: at, size, holdsPointer: false, holdsNumber: false });
    for (let i = 0; i < size; i++) covered.add(at + i);
  }
  return slices.length + gaps.length <= MOST_SLICES ? [...slices, ...gaps].sort((a, b) => a.offset - b.offset) : null;
}

/** Larger objects are better off in memory. */
const MOST_SLICES = 24;

class Promoter {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #plans: ReadonlyMap<Inst, Slice[]>;
  #out: Inst[] = [];
  #inst: Inst | undefined;

  constructor(fn: IrFunction, pool: ConstantPool, plans: ReadonlyMap<Inst, Slice[]>) {
    this.#fn = fn;
    this.#pool = pool;
    this.#plans = plans;
  }

  block(block: Block): void {
    const insts = block.insts;
    const isEntry = block === this.#fn.blocks[0];
    // Constants are added in front of the entry meanwhile.
    block.insts = [];
    for (const inst of insts) {
      this.#inst = inst;
      this.#rewrite(inst);
    }
    block.insts = isEntry ? [...block.insts, ...this.#out] : this.#out;
  }

  #emit(type: ValueType | undefined, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body, loc: this.#inst?.loc });
    this.#out.push(inst);
    return inst;
  }

  #planOf(pointer: Inst | undefined): { slices: Slice[]; offset: number } | null {
    if (pointer === undefined) return null;
    const { root, offset } = rootOf(pointer);
    const slices = this.#plans.get(root);
    return slices ? { slices, offset } : null;
  }

  #rewrite(inst: Inst): void {
    switch (inst.op) {
      case "load": {
        const plan = this.#planOf(inst.args[0]);
        if (plan) this.#load(inst, plan.slices, plan.offset + inst.offset);
        else this.#out.push(inst);
        return;
      }
      case "store": {
        const plan = this.#planOf(inst.args[0]);
        if (plan) this.#set(find(plan.slices, plan.offset + inst.offset), inst.args[1] as Inst);
        else this.#out.push(inst);
        return;
      }
      case "zero": {
        const plan = this.#planOf(inst.args[0]);
        if (!plan) this.#out.push(inst);
        else {
          for (const slice of within(plan.slices, plan.offset + inst.offset, inst.bytes)) {
            this.#set(slice, this.#pool.get((slice.local as Local).type, 0n));
          }
        }
        return;
      }
      case "copy":
        this.#copy(inst);
        return;
      default:
        this.#out.push(inst);
    }
  }

  #get(slice: Slice): Inst {
    const local = slice.local as Local;
    return this.#emit(local.type, [], { op: "local.get", local });
  }

  /** The variable holds the slice's bytes zero-extended. */
  #set(slice: Slice, given: Inst): void {
    const local = slice.local as Local;
    let value = given;
    if (local.type === "i32" && value.type === "i64") value = this.#emit("i32", [value], { op: "trunc" });
    if (local.type === "i32" && slice.size < 4) {
      const from = (slice.size * 8) as 8 | 16;
      value = this.#emit("i32", [value], { op: "ext", from, signed: false });
    }
    if (local.type === "ptr" && value.type !== "ptr")
      value = this.#pool.get("ptr", value.op === "const" ? value.value : 0n);
    this.#emit(undefined, [value], { op: "local.set", local });
  }

  /** Keeps the load's identity: its users need no change. */
  #load(inst: InstOf<"load">, slices: Slice[], offset: number): void {
    const slice = find(slices, offset);
    const value = this.#get(slice);
    const { type, signed, size } = inst;
    const zero = this.#pool.get(type as ValueType, 0n);
    let body: InstBody;
    let args = [value];
    if (type === "i64" && value.type === "i32") body = { op: "ext", from: (size * 8) as 8 | 16 | 32, signed };
    else if (signed && size < 4) body = { op: "ext", from: (size * 8) as 8 | 16, signed };
    else if (type === "ptr") {
      body = { op: "ptradd" };
      args = [value, this.#pool.get("i64", 0n)];
    } else {
      body = { op: "binary", binary: "or" };
      args = [value, zero];
    }
    become(inst, args, body);
    this.#out.push(inst);
  }

  /** A copy with a variable on either side goes place by place. */
  #copy(inst: InstOf<"copy">): void {
    const to = this.#planOf(inst.args[0]);
    const from = this.#planOf(inst.args[1]);
    if (!to && !from) {
      this.#out.push(inst);
      return;
    }
    const toStart = (to?.offset ?? 0) + inst.toOffset;
    const fromStart = (from?.offset ?? 0) + inst.fromOffset;
    const slices = to
      ? within(to.slices, toStart, inst.bytes).map((slice) => ({ slice, at: slice.offset - toStart }))
      : within(from?.slices ?? [], fromStart, inst.bytes).map((slice) => ({ slice, at: slice.offset - fromStart }));
    for (const { slice, at } of slices) {
      const value = from && !to ? this.#get(slice) : this.#read(inst, { at, slice, from, fromStart });
      if (to) this.#set(slice, value);
      else this.#write(inst, value, { at, size: slice.size });
    }
  }

  #read(
    inst: InstOf<"copy">,
    place: { at: number; slice: Slice; from: { slices: Slice[] } | null; fromStart: number },
  ): Inst {
    const { at, slice, from, fromStart } = place;
    if (from) return this.#get(find(from.slices, fromStart + at));
    const { fromSpace, fromOffset, align } = inst;
    const pieceAlign = at === 0 ? align : Math.min(align, at & -at);
    return this.#emit((slice.local as Local).type, [inst.args[1] as Inst], {
      op: "load",
      size: slice.size,
      signed: false,
      offset: fromOffset + at,
      space: fromSpace,
      align: pieceAlign,
    });
  }

  #write(inst: InstOf<"copy">, value: Inst, { at, size }: { at: number; size: 1 | 2 | 4 | 8 }): void {
    const { toSpace, toOffset, align } = inst;
    const pieceAlign = at === 0 ? align : Math.min(align, at & -at);
    this.#emit(undefined, [inst.args[0] as Inst, value], {
      op: "store",
      size,
      offset: toOffset + at,
      space: toSpace,
      align: pieceAlign,
    });
  }
}

function find(slices: readonly Slice[], offset: number): Slice {
  const slice = slices.find((known) => known.offset === offset);
  if (slice === undefined) throw new Error(`no variable for offset ${offset}`);
  return slice;
}

function within(slices: readonly Slice[], offset: number, bytes: number): Slice[] {
  return slices.filter((slice) => slice.offset >= offset && slice.offset + slice.size <= offset + bytes);
}
