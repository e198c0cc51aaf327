import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits, pseudoCall } from "@skep/isa";
import { FUNCTION_BASE, MAP_BASE } from "../code.ts";
import type { Code } from "../code.ts";
import { CONTROL_BYTES, FRAME_BYTES } from "../layout.ts";
import { createFlags } from "../maps/map.ts";
import type { VmMap } from "../maps/map.ts";
import type { Block, Graph } from "./cfg.ts";
import { combine, refine, turned, unsigned } from "./ranges.ts";
import type { Range } from "./ranges.ts";

/** What is known of a register's value; null: nothing. */
export type Known =
  /** The frame pointer and so many bytes. */
  | { readonly kind: "frame"; readonly offset: number }
  /** The context that the program was called with. */
  | { readonly kind: "context" }
  | { readonly kind: "map"; readonly map: VmMap }
  /** A map that a lookup in this map of maps gave, or null. */
  | { readonly kind: "inner"; readonly outer: VmMap }
  /** A function of the program, by its first instruction. */
  | { readonly kind: "function"; readonly entry: number }
  /** A number that fits 31 bits, or an address. */
  | { readonly kind: "number"; readonly value: number }
  | ({ readonly kind: "range" } & Range)
  /** Into the packet, or at its end. */
  | { readonly kind: "packet" }
  | Value;

/** Into a value of a map, or null: so far from its first byte. The ends may be infinite. */
export interface Value extends Range {
  readonly kind: "value";
  readonly map: VmMap;
  /** Bytes of the value. */
  readonly size: number;
  readonly writable: boolean;
  /** It may be null where `min` and `max` are 0. */
  readonly mayBeNull: boolean;
  /** The instruction that looked it up; -1: one that has run again since. */
  readonly origin: number;
}

/** Of r0 to r10, then of the words of eight bytes on the stack, from the frame's top down. */
export type State = (Known | null)[];

const REGISTERS = 11;
const SLOTS = FRAME_BYTES / 8;

/** A call of a helper, by number; null for other calls. */
export function helperOf(code: Code, pc: number): number | null {
  const isHelper = code.opcode[pc] === 0x85 && code.src[pc] === pseudoCall.helper;
  return isHelper ? (code.imm[pc] ?? 0) : null;
}

/** The register that an atomic instruction writes, -1 for none. */
export function atomicResult(code: Code, pc: number): number {
  const imm = code.imm[pc] ?? 0;
  if (imm === atomicImm.loadAcquire) return code.dst[pc] ?? 0;
  if (imm === atomicImm.storeRelease) return -1;
  if (imm === atomicImm.cmpxchg) return 0;
  return (imm & atomicImm.fetch) === 0 ? -1 : (code.src[pc] ?? 0);
}

export type MapOf = (handle: number) => VmMap | null;

/** What is to be known of the program beside its instructions. */
export interface ProvenanceOptions {
  readonly mapOf: MapOf;
  /** Of the helper's call, how many of its arguments may be pointers that it writes through; -1: it may write anywhere. */
  readonly writes: (pc: number) => number;
}

function same(a: Known | null, b: Known | null): boolean {
  if (a === b) return true;
  if (a === null || b === null || a.kind !== b.kind) return false;
  switch (a.kind) {
    case "frame":
      return b.kind === "frame" && a.offset === b.offset;
    case "map":
      return b.kind === "map" && a.map === b.map;
    case "inner":
      return b.kind === "inner" && a.outer === b.outer;
    case "function":
      return b.kind === "function" && a.entry === b.entry;
    case "number":
      return b.kind === "number" && a.value === b.value;
    case "range":
      return b.kind === "range" && a.min === b.min && a.max === b.max;
    case "value":
      return b.kind === "value" && sameValue(a, b);
    default:
      return true;
  }
}

const sameValue = (a: Value, b: Value): boolean =>
  a.map === b.map &&
  a.size === b.size &&
  a.min === b.min &&
  a.max === b.max &&
  a.mayBeNull === b.mayBeNull &&
  a.origin === b.origin;

/** The value as a range, null where it is none. */
export function rangeOf(known: Known | null): Range | null {
  if (known?.kind === "number") return { min: known.value, max: known.value };
  return known?.kind === "range" ? known : null;
}

function ofRange(range: Range | null): Known | null {
  if (range === null) return null;
  return range.min === range.max
    ? { kind: "number", value: range.min }
    : { kind: "range", min: range.min, max: range.max };
}

function constant(code: Code, pc: number, mapOf: MapOf): Known | null {
  const value = (code.imm[pc] ?? 0) >>> 0;
  if (code.high[pc] !== 0) return null;
  if (value >= FUNCTION_BASE) {
    const entry = (value - FUNCTION_BASE) / 8;
    return Number.isInteger(entry) && entry < code.count ? { kind: "function", entry } : null;
  }
  const map = value >= MAP_BASE && (value - MAP_BASE) % CONTROL_BYTES === 0 ? mapOf(value) : null;
  if (map !== null) return { kind: "map", map };
  return value < 0x8000_0000 ? { kind: "number", value } : null;
}

/** What the instruction makes of the state, in place. */
export function step(code: Code, pc: number, state: State, options: ProvenanceOptions): void {
  const opcode = code.opcode[pc] ?? 0;
  const d = code.dst[pc] ?? 0;
  switch (opcode & 7) {
    case insnClass.alu64:
    case insnClass.alu:
      state[d] = arithmetic(code, pc, state);
      return;
    case insnClass.ldx:
      state[d] = loaded(code, pc, state);
      return;
    case insnClass.ld:
      if (opcode === LDDW) state[d] = constant(code, pc, options.mapOf);
      else state[0] = null;
      return;
    case insnClass.st:
    case insnClass.stx:
      store(code, pc, state);
      return;
    case insnClass.jmp:
      if ((opcode & 0xf0) === jmpBits.call) afterCall(code, pc, state, options);
      return;
    default:
  }
}

// ---- memory ----

const sizes = [4, 2, 1, 8] as const;

/** The slot of a whole word of the own frame, -1 for other places. */
function slotOf(at: Known | null, offset: number): number {
  if (at?.kind !== "frame") return -1;
  const place = at.offset + offset;
  return place >= -FRAME_BYTES && place <= -8 && place % 8 === 0 ? REGISTERS - place / 8 - 1 : -1;
}

function loaded(code: Code, pc: number, state: State): Known | null {
  const opcode = code.opcode[pc] ?? 0;
  const offset = code.offset[pc] ?? 0;
  const at = state[code.src[pc] ?? 0] ?? null;
  if ((opcode & 0xe0) !== modeBits.mem) return null;
  const size = sizes[(opcode >> 3) & 3] ?? 4;
  if (size === 8) return state[slotOf(at, offset)] ?? null;
  if (at?.kind === "context" && size === 4 && code.packetMembers.includes(offset)) return { kind: "packet" };
  return size === 4 ? null : { kind: "range", min: 0, max: size === 1 ? 0xff : 0xffff };
}

function store(code: Code, pc: number, state: State): void {
  const opcode = code.opcode[pc] ?? 0;
  const isAtomic = (opcode & 7) === insnClass.stx && (opcode & 0xe0) === modeBits.atomic;
  const at = state[code.dst[pc] ?? 0] ?? null;
  const offset = code.offset[pc] ?? 0;
  const size = sizes[(opcode >> 3) & 3] ?? 4;
  const value = (opcode & 7) === insnClass.stx ? (state[code.src[pc] ?? 0] ?? null) : null;
  if (at?.kind === "frame") {
    forgetStack(state, at.offset + offset, size);
    const slot = slotOf(at, offset);
    if (!isAtomic && size === 8 && slot >= 0) state[slot] = value;
  } else if (!staysInside(code, at, { offset, size })) forgetStack(state, -FRAME_BYTES);
  if (!isAtomic) return;
  const result = atomicResult(code, pc);
  if (result >= 0) state[result] = null;
}

/** Bytes of the frame from `offset` on have been written. */
function forgetStack(state: State, offset: number, size = Infinity): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    const first = -8 * (slot + 1);
    if (first + 8 > offset && first < offset + size) state[REGISTERS + slot] = null;
  }
}

/** The access is in the object that the pointer is of, whatever the program has made of it: it is no access to the stack. */
function staysInside(code: Code, at: Known | null, { offset, size }: { offset: number; size: number }): boolean {
  if (at?.kind === "context") return offset >= 0 && offset + size <= code.contextBytes;
  return at?.kind === "value" && coversAccess(at, offset, size);
}

/** Whether so many bytes at that distance from the pointer are certainly in the value. */
export function coversAccess(at: Value, offset: number, size: number): boolean {
  return !at.mayBeNull && at.min + offset >= 0 && at.max + offset + size <= at.size;
}

/** What a helper does with it touches no stack of ours: no address, or one in an object of its own. */
function isNoStack(argument: Known): boolean {
  if (argument.kind === "range") return argument.max < 4096;
  if (argument.kind === "number") return argument.value < 4096;
  if (argument.kind === "value") return argument.min >= 0 && argument.max <= argument.size;
  return argument.kind !== "packet";
}

// ---- arithmetic ----

function arithmetic(code: Code, pc: number, state: State): Known | null {
  const opcode = code.opcode[pc] ?? 0;
  const fromRegister = (opcode & 8) !== 0;
  const imm = code.imm[pc] ?? 0;
  const op = opcode & 0xf0;
  const wide = (opcode & 7) === insnClass.alu64;
  const offset = code.offset[pc] ?? 0;
  const number = imm >= 0 ? ({ kind: "number", value: imm } as const) : null;
  const source = fromRegister ? (state[code.src[pc] ?? 0] ?? null) : number;
  if (op === aluBits.mov) {
    if (fromRegister && offset !== 0) return null;
    return wide || rangeOf(source) !== null ? source : null;
  }
  if (op === aluBits.end) return imm === 16 ? { kind: "range", min: 0, max: 0xffff } : null;
  const old = state[code.dst[pc] ?? 0] ?? null;
  if (wide && (op === aluBits.add || op === aluBits.sub)) {
    const by = fromRegister ? rangeOf(source) : { min: imm, max: imm };
    const moved = movedPointer(old, op === aluBits.add ? by : negative(by));
    if (moved !== undefined) return moved;
    if (op === aluBits.add && fromRegister) {
      const turnedRound = movedPointer(source, rangeOf(old));
      if (turnedRound !== undefined) return turnedRound;
    }
    if (by !== null && by.min < 0) return ofRange(combine(aluBits.sub, [rangeOf(old), negative(by)], true));
  }
  // The signed division of what may be negative.
  if (offset !== 0 && (rangeOf(old) === null || rangeOf(source) === null)) return null;
  return ofRange(combine(op, [rangeOf(old), rangeOf(source)], wide));
}

const negative = (by: Range | null): Range | null => (by === null ? null : { min: -by.max, max: -by.min });

/** The pointer and so many bytes; `undefined` where it is none. */
function movedPointer(pointer: Known | null, by: Range | null): Known | null | undefined {
  switch (pointer?.kind) {
    case "frame":
      return by !== null && by.min === by.max ? { kind: "frame", offset: pointer.offset + by.min } : null;
    case "packet":
      return pointer;
    case "value": {
      // Null and something is no null that a comparison finds.
      const { min, max } = by ?? { min: -Infinity, max: Infinity };
      return { ...pointer, min: pointer.min + min, max: pointer.max + max };
    }
    case "context":
    case "map":
    case "inner":
    case "function":
      return null;
    default:
      return undefined;
  }
}

// ---- calls ----

/** Kinds of maps whose lookups give the first byte of a value, or null. */
const VALUES = new Set(["array", "percpu_array", "hash", "percpu_hash", "lru_hash", "lru_percpu_hash", "lpm_trie"]);

function afterCall(code: Code, pc: number, state: State, options: ProvenanceOptions): void {
  const about = state[1] ?? null;
  const isLookup = helperOf(code, pc) === 1 && options.writes(pc) >= 0;
  const written = isLookup ? 0 : options.writes(pc);
  for (let register = 1; register <= written; register++) {
    const pointer = state[register] ?? null;
    if (pointer?.kind === "frame") forgetStack(state, pointer.offset);
    else if (pointer === null || !isNoStack(pointer)) forgetStack(state, -FRAME_BYTES);
  }
  if (written < 0) forgetStack(state, -FRAME_BYTES);
  state.fill(null, 0, 6);
  if (isLookup) state[0] = found(about, pc);
  for (let i = 1; i < state.length; i++) {
    const known = state[i];
    if (known?.kind === "value" && known.origin === pc) state[i] = { ...known, origin: -1 };
  }
}

function found(about: Known | null, origin: number): Known | null {
  if (about?.kind === "map" && about.map.spec.type.endsWith("_of_maps")) return { kind: "inner", outer: about.map };
  if (about?.kind !== "map" || !VALUES.has(about.map.spec.type)) return null;
  const { map } = about;
  const writable = (map.spec.flags & createFlags.readOnlyProgram) === 0 && map.spec.data?.readOnly !== true;
  return { kind: "value", map, size: map.spec.valueSize, writable, mayBeNull: true, min: 0, max: 0, origin };
}

// ---- flow ----

/** How often a block's state may lose something before what still changes is given up. */
const PATIENCE = 4;

/** What is known at the start of each block. `isProgram`: the function's r1 is the context. */
export function provenance(
  code: Code,
  graph: Graph,
  options: ProvenanceOptions & { readonly isProgram: boolean },
): readonly State[] {
  const states: (State | undefined)[] = graph.blocks.map(() => undefined);
  const losses = new Uint32Array(graph.blocks.length);
  const first: State = Array.from({ length: REGISTERS + SLOTS }, () => null);
  first[10] = { kind: "frame", offset: 0 };
  if (options.isProgram) first[1] = { kind: "context" };
  states[0] = first;
  const waiting = new Set<number>([0]);
  for (const at of waiting) {
    waiting.delete(at);
    const [block, entry] = [graph.blocks[at], states[at]];
    if (block === undefined || entry === undefined) continue;
    const state = [...entry];
    for (let pc = block.start; pc < block.end; pc++) step(code, pc, state, options);
    block.next.forEach((to, side) => {
      if (to < 0) return;
      if (!join(states, to, { from: along(code, block, { state, side }), isHasty: (losses[to] ?? 0) > PATIENCE }))
        return;
      losses[to] = (losses[to] ?? 0) + 1;
      waiting.add(to);
    });
  }
  return states.map((state) => state ?? first);
}

/** The state on the way to the block's target (0) or to what stands behind it (1). */
function along(code: Code, block: Block, { state, side }: { state: State; side: number }): State {
  const pc = block.end - 1;
  const opcode = code.opcode[pc] ?? 0;
  const wide = (opcode & 7) === insnClass.jmp;
  if (block.next.length < 2 || (opcode & 0xf0) === jmpBits.jcond || block.next[0] === block.next[1]) return state;
  const [d, s] = [code.dst[pc] ?? 0, code.src[pc] ?? 0];
  const fromRegister = (opcode & 8) !== 0;
  const imm = code.imm[pc] ?? 0;
  const by = fromRegister ? rangeOf(state[s] ?? null) : imm >= 0 ? { min: imm, max: imm } : null;
  const known = state[d] ?? null;
  const op = opcode & 0xf0;
  if (known?.kind === "value") return imm === 0 && !fromRegister && wide ? notNull(state, known, { op, side }) : state;
  const next = [...state];
  const own = rangeOf(known);
  const isPlain = (each: Known | null): boolean => each === null || rangeOf(each) !== null;
  const how = own !== null && by !== null ? unsigned(op) : op;
  // Of 32 bits only what is known to have no others is told.
  if (by !== null && isPlain(known) && (wide || own !== null))
    next[d] = ofRange(refine(how, side === 0, [own, by])) ?? known;
  if (fromRegister && own !== null && isPlain(state[s] ?? null) && (wide || by !== null)) {
    next[s] = ofRange(refine(turned(how), side === 0, [by, own])) ?? state[s] ?? null;
  }
  return next;
}

/** Behind a comparison with 0: everything that came from the same lookup is no null, where the jump says so. */
function notNull(state: State, known: Value, { op, side }: { op: number; side: number }): State {
  const isNotNull = (op === jmpBits.jeq && side === 1) || (op === jmpBits.jne && side === 0);
  if (!isNotNull || known.min !== 0 || known.max !== 0) return state;
  return state.map((each) =>
    each === known || (each?.kind === "value" && known.origin >= 0 && each.origin === known.origin)
      ? { ...each, mayBeNull: false }
      : each,
  );
}

/** Whether the state of block `to` lost something. */
function join(
  states: (State | undefined)[],
  to: number,
  { from, isHasty }: { from: State; isHasty: boolean },
): boolean {
  const known = states[to];
  if (known === undefined) {
    states[to] = [...from];
    return true;
  }
  let changed = false;
  for (let i = 0; i < known.length; i++) {
    const [old, other] = [known[i] ?? null, from[i] ?? null];
    if (old === null || same(old, other)) continue;
    const next = merged(old, other, isHasty);
    if (same(old, next)) continue;
    known[i] = next;
    changed = true;
  }
  return changed;
}

/** What holds of both. */
function merged(a: Known, b: Known | null, isHasty: boolean): Known | null {
  if (b === null) return null;
  if (a.kind === "value" && b.kind === "value") return mergedValue(a, b, isHasty);
  const [left, right] = [rangeOf(a), rangeOf(b)];
  if (left === null || right === null) return null;
  const whole = { min: Math.min(left.min, right.min), max: Math.max(left.max, right.max) };
  if (!isHasty) return ofRange(whole);
  // What grows at one end may go all the way there.
  return ofRange({ min: whole.min < left.min ? 0 : left.min, max: whole.max > left.max ? 0x7fff_ffff : left.max });
}

function mergedValue(a: Value, b: Value, isHasty: boolean): Value | null {
  if (a.map !== b.map) return null;
  const [min, max] = [Math.min(a.min, b.min), Math.max(a.max, b.max)];
  return {
    ...a,
    mayBeNull: a.mayBeNull || b.mayBeNull,
    origin: a.origin === b.origin ? a.origin : -1,
    min: isHasty && min < a.min ? -Infinity : min,
    max: isHasty && max > a.max ? Infinity : max,
  };
}
