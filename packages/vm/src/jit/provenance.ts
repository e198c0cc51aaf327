import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits, pseudoCall } from "@skep/isa";
import { FUNCTION_BASE, MAP_BASE } from "../code.ts";
import type { Code } from "../code.ts";
import { CONTROL_BYTES } from "../layout.ts";
import type { VmMap } from "../maps/map.ts";
import type { Graph } from "./cfg.ts";

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
  | { readonly kind: "number"; readonly value: number };

/** Of r0 to r10. */
export type State = (Known | null)[];

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
    default:
      return true;
  }
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
export function step(code: Code, pc: number, state: State, mapOf: MapOf): void {
  const opcode = code.opcode[pc] ?? 0;
  const d = code.dst[pc] ?? 0;
  switch (opcode & 7) {
    case insnClass.alu64:
    case insnClass.alu:
      state[d] = arithmetic(code, pc, state);
      return;
    case insnClass.ldx:
      state[d] = null;
      return;
    case insnClass.ld:
      if (opcode === LDDW) state[d] = constant(code, pc, mapOf);
      else state[0] = null;
      return;
    case insnClass.stx:
      if ((opcode & 0xe0) === modeBits.atomic) {
        const result = atomicResult(code, pc);
        if (result >= 0) state[result] = null;
      }
      return;
    case insnClass.jmp:
      if ((opcode & 0xf0) === jmpBits.call) afterCall(code, pc, state);
      return;
    default:
  }
}

function arithmetic(code: Code, pc: number, state: State): Known | null {
  const opcode = code.opcode[pc] ?? 0;
  const fromRegister = (opcode & 8) !== 0;
  const imm = code.imm[pc] ?? 0;
  const op = opcode & 0xf0;
  const wide = (opcode & 7) === insnClass.alu64;
  if (op === aluBits.mov) {
    if (!fromRegister) return imm >= 0 ? { kind: "number", value: imm } : null;
    const source = state[code.src[pc] ?? 0] ?? null;
    if ((code.offset[pc] ?? 0) !== 0) return null;
    return wide || source?.kind === "number" ? source : null;
  }
  const old = state[code.dst[pc] ?? 0] ?? null;
  if (!wide || fromRegister || (op !== aluBits.add && op !== aluBits.sub) || old === null) return null;
  const by = op === aluBits.add ? imm : -imm;
  if (old.kind === "frame") return { kind: "frame", offset: old.offset + by };
  if (old.kind !== "number") return null;
  const value = old.value + by;
  return value >= 0 && value < 0x8000_0000 ? { kind: "number", value } : null;
}

function afterCall(code: Code, pc: number, state: State): void {
  const map = state[1];
  const isLookup = helperOf(code, pc) === 1;
  state.fill(null, 0, 6);
  if (isLookup && map?.kind === "map" && map.map.spec.type.endsWith("_of_maps")) {
    state[0] = { kind: "inner", outer: map.map };
  }
}

/** What is known at the start of each block. `isProgram`: the function's r1 is the context. */
export function provenance(code: Code, graph: Graph, options: { isProgram: boolean; mapOf: MapOf }): readonly State[] {
  const states: (State | undefined)[] = graph.blocks.map(() => undefined);
  const first: State = Array.from({ length: 11 }, () => null);
  first[10] = { kind: "frame", offset: 0 };
  if (options.isProgram) first[1] = { kind: "context" };
  states[0] = first;
  for (let changed = true; changed;) {
    changed = false;
    for (const block of graph.blocks) {
      const entry = states[block.index];
      if (entry === undefined) continue;
      const state = [...entry];
      for (let pc = block.start; pc < block.end; pc++) step(code, pc, state, options.mapOf);
      for (const to of block.next) if (to >= 0 && join(states, to, state)) changed = true;
    }
  }
  return states.map((state) => state ?? first);
}

/** Whether the state of block `to` lost something. */
function join(states: (State | undefined)[], to: number, from: State): boolean {
  const known = states[to];
  if (known === undefined) {
    states[to] = [...from];
    return true;
  }
  let changed = false;
  for (let i = 0; i < known.length; i++) {
    if (known[i] === null || same(known[i] ?? null, from[i] ?? null)) continue;
    known[i] = null;
    changed = true;
  }
  return changed;
}
