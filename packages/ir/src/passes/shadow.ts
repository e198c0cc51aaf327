/**
 * @module
 * A counter in memory whose address a call gets: the kernel's verifier follows registers and whole words of the stack, and takes a loop that
 * counts in a part of a word for one that never ends. What a loop both reads and writes there is kept in a variable beside the memory.
 */
import { accesses, callWrites, escapedObjects, isCall, placeOf, type Place } from "../analysis/alias.ts";
import { buildCfg, findLoops } from "../analysis/cfg.ts";
import { become, makeInst, type InstBody, type InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Local, ValueType } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";

/** A place of a stack object that is accessed as a whole. */
interface Shadow {
  readonly stack: Inst;
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
  readonly local: Local;
}

/** Returns whether something is kept; then SSA must be constructed again. */
export function shadowCounters(fn: IrFunction, pool: ConstantPool): boolean {
  const shadows = findShadows(fn);
  if (shadows.length === 0) return false;
  new Shadower(fn, pool, shadows).run();
  return true;
}

const keyOf = (offset: number, size: number): string => `${offset} ${size}`;

/** Places that loops count in, of objects whose address calls get and nobody keeps. */
function findShadows(fn: IrFunction): Shadow[] {
  const escaped = escapedObjects(fn);
  const passed = new Set<Inst>();
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (isCall(inst)) for (const arg of inst.args) passed.add(objectOf(arg));
  }
  const isKept = (place: Place): boolean =>
    place.root.op === "stack" && passed.has(place.root) && !escaped.has(place.root);
  if (![...passed].some((object) => object.op === "stack")) return [];
  const counted = new Map<Inst, Map<string, Place>>();
  for (const { blocks } of findLoops(buildCfg(fn)).loops) {
    const [read, written] = [placesIn(blocks, "load"), placesIn(blocks, "store")];
    for (const [object, places] of read) {
      for (const [key, place] of places) {
        if (!isKept(place) || !written.get(object)?.has(key)) continue;
        counted.set(object, (counted.get(object) ?? new Map<string, Place>()).set(key, place));
      }
    }
  }
  if (counted.size === 0) return [];
  const all = [placesIn(fn.blocks, "load"), placesIn(fn.blocks, "store")];
  let next = 0;
  return [...counted].flatMap(([stack, places]) => {
    const others = all.flatMap((one) => [...(one.get(stack)?.values() ?? [])]);
    return [...places.values()].flatMap(({ offset, size }): Shadow[] => {
      const cuts = others.some(
        (other) =>
          (other.offset !== offset || other.size !== size) &&
          other.offset < offset + size &&
          offset < other.offset + other.size,
      );
      const local: Local = { id: next++, name: stack.name ?? "counter", type: size === 8 ? "i64" : "i32" };
      return cuts ? [] : [{ stack, offset, size: size as Shadow["size"], local }];
    });
  });
}

function objectOf(pointer: Inst): Inst {
  let object = pointer;
  while (object.op === "ptradd") object = object.args[0] as Inst;
  return object;
}

/** Places of stack objects at constant offsets, of integers. */
function placesIn(blocks: Iterable<Block>, op: "load" | "store"): Map<Inst, Map<string, Place>> {
  const found = new Map<Inst, Map<string, Place>>();
  for (const block of blocks) {
    for (const inst of block.insts) {
      if (inst.op !== op || isSpecial(inst)) continue;
      const place = placeOf(inst.args[0] as Inst, inst);
      if (place.root.op !== "stack") continue;
      const known = found.get(place.root) ?? new Map<string, Place>();
      found.set(place.root, known.set(keyOf(place.offset, place.size), place));
    }
  }
  return found;
}

function isSpecial(inst: InstOf<"load"> | InstOf<"store">): boolean {
  const value = inst.op === "load" ? inst : inst.args[1];
  return inst.core !== undefined || value?.type === "ptr" || (inst.op === "load" && inst.volatile === true);
}

/** Helpers whose arguments have sizes: of what they write, `[pointer, constant]` says how much. */
const SIZED = new Set([4, 16, 20, 26, 29, 45, 67, 68, 69, 112, 113, 114, 115, 141, 148, 149, 189]);

/** What a call may write of a stack object, by offset; null where that is not known. */
function writtenBy(call: Inst, stack: Inst): { offset: number; size: number }[] | null {
  const given = call.args.flatMap((arg, at) => (objectOf(arg) === stack ? [{ arg, size: call.args[at + 1] }] : []));
  if (call.op !== "helper" || !SIZED.has(call.helper)) return null;
  const ranges = given.flatMap(({ arg, size }) => {
    const { root, offset } = placeOf(arg, { offset: 0, size: 0, space: "stack" });
    return root === stack && size?.op === "const" ? [{ offset, size: Number(size.value) }] : [];
  });
  return ranges.length === given.length ? ranges : null;
}

class Shadower {
  readonly #fn: IrFunction;
  readonly #pool: ConstantPool;
  readonly #shadows: ReadonlyMap<Inst, readonly Shadow[]>;
  readonly #none: ReadonlySet<Inst> = new Set();
  #out: Inst[] = [];
  #at: Inst | null = null;

  constructor(fn: IrFunction, pool: ConstantPool, shadows: readonly Shadow[]) {
    this.#fn = fn;
    this.#pool = pool;
    const byStack = new Map<Inst, Shadow[]>();
    for (const shadow of shadows) byStack.set(shadow.stack, [...(byStack.get(shadow.stack) ?? []), shadow]);
    this.#shadows = byStack;
  }

  run(): void {
    for (const block of this.#fn.blocks) {
      const insts = block.insts;
      this.#out = [];
      // Constants are added in front of the entry meanwhile.
      block.insts = [];
      for (const inst of insts) {
        this.#at = inst;
        this.#rewrite(inst);
      }
      block.insts = [...block.insts, ...this.#out];
    }
  }

  #emit(type: ValueType | undefined, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.#fn, type, { args, body, loc: this.#at?.loc });
    this.#out.push(inst);
    return inst;
  }

  #exact(place: Place | undefined): Shadow | null {
    const shadows = place && this.#shadows.get(place.root);
    return shadows?.find(({ offset, size }) => place?.offset === offset && place.size === size) ?? null;
  }

  #rewrite(inst: Inst): void {
    if (inst.op === "load" && !isSpecial(inst)) {
      const shadow = this.#exact(accesses(inst).reads);
      if (shadow) return this.#load(inst, shadow);
    }
    this.#out.push(inst);
    const { writes } = accesses(inst);
    if (inst.op === "store" && !isSpecial(inst)) {
      const shadow = this.#exact(writes);
      if (shadow) return this.#set(shadow, inst.args[1] as Inst);
    }
    if (writes) this.#written(inst, writes);
    else if (isCall(inst)) this.#called(inst);
  }

  /** Block operations, and accesses at variable places. */
  #written(inst: Inst, place: Place): void {
    for (const shadow of this.#shadows.get(place.object) ?? []) {
      const exact = place.root === shadow.stack;
      const apart = place.offset >= shadow.offset + shadow.size || place.offset + place.size <= shadow.offset;
      if (exact && apart) continue;
      const covers = place.offset <= shadow.offset && place.offset + place.size >= shadow.offset + shadow.size;
      if (exact && covers && inst.op === "zero") this.#set(shadow, this.#pool.get(shadow.local.type, 0n));
      else this.#reload(shadow);
    }
  }

  #called(call: Inst): void {
    for (const [stack, shadows] of this.#shadows) {
      const place: Place = { root: stack, object: stack, offset: 0, size: 1, space: "stack" };
      if (!callWrites(call, place, this.#none)) continue;
      const ranges = writtenBy(call, stack);
      for (const shadow of shadows) {
        const { offset, size } = shadow;
        if (ranges?.every((range) => range.offset >= offset + size || range.offset + range.size <= offset)) continue;
        this.#reload(shadow);
      }
    }
  }

  #reload({ stack, offset, size, local }: Shadow): void {
    const align = offset === 0 ? 8 : Math.min(8, offset & -offset);
    const body = { op: "load", size, signed: false, offset, space: "stack", align } as const;
    this.#emit(undefined, [this.#emit(local.type, [stack], body)], { op: "local.set", local });
  }

  /** The variable holds the place's bytes zero-extended. */
  #set({ local, size }: Shadow, given: Inst): void {
    let value = given;
    if (local.type === "i32" && value.type === "i64") value = this.#emit("i32", [value], { op: "trunc" });
    if (size < 4) {
      value = this.#emit("i32", [value], { op: "ext", from: (size * 8) as 8 | 16, signed: false });
    }
    this.#emit(undefined, [value], { op: "local.set", local });
  }

  /** Keeps the load's identity: its users need no change. */
  #load(inst: InstOf<"load">, { local, size }: Shadow): void {
    const value = this.#emit(local.type, [], { op: "local.get", local });
    const { type, signed } = inst;
    const from = (size * 8) as 8 | 16 | 32;
    const extended = type !== local.type || (signed && size < 4);
    const body: InstBody = extended ? { op: "ext", from, signed } : { op: "binary", binary: "or" };
    const args = extended ? [value] : [value, this.#pool.get(type as ValueType, 0n)];
    become(inst, args, body);
    this.#out.push(inst);
  }
}
