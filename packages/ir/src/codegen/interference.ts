/**
 * @module
 * Which registers must differ, and which would rather be the same.
 */
import { Liveness, LiveSet } from "./liveness.ts";
import { definition, FIRST_VIRTUAL, forEachTerminatorUse, forEachUse, NONE, R10 } from "./mir.ts";
import type { MFunction, MInst, Reg } from "./mir.ts";
import * as op from "./opcodes.ts";

/** A wish that `a` and `b` share a register; `weight` says how often it would save a move. */
export interface Affinity {
  readonly a: Reg;
  readonly b: Reg;
  readonly weight: number;
}

export interface Interference {
  /** Neighbours by register. Machine registers (below `FIRST_VIRTUAL`) have none: they differ anyhow. */
  readonly neighbours: Reg[][];
  readonly edges: Edges;
  readonly affinities: Affinity[];
  /** What it costs to keep a register in memory, by register. */
  readonly costs: Float64Array;
  readonly count: number;
}

export const depthWeight = (depth: number): number => 8 ** Math.min(depth, 6);

const COMMUTATIVE = new Set<number>([op.ADD, op.MUL, op.AND, op.OR, op.XOR]);

export const isCommutative = (inst: MInst): boolean => inst.b !== NONE && COMMUTATIVE.has(inst.opcode & 0xf0);

/** Not those that cut or extend the value. */
export const isPlainCopy = (inst: MInst): boolean =>
  inst.kind === "mov" && inst.opcode === (op.ALU64 | op.MOV | op.X) && inst.offset === 0 && inst.a !== R10;

/** Pairs of registers: half a matrix of bits, or a set where that would be too large. */
export class Edges {
  readonly #bits: Uint32Array | null;
  readonly #set = new Set<number>();

  constructor(count: number) {
    this.#bits = count <= MOST_IN_MATRIX ? new Uint32Array(((count * (count - 1)) >>> 6) + 1) : null;
  }

  has(a: Reg, b: Reg): boolean {
    const at = pairIndex(a, b);
    if (!this.#bits) return this.#set.has(at);
    return (((this.#bits[at >>> 5] as number) >>> (at & 31)) & 1) === 1;
  }

  /** False where the pair was there. */
  add(a: Reg, b: Reg): boolean {
    const at = pairIndex(a, b);
    if (!this.#bits) {
      if (this.#set.has(at)) return false;
      this.#set.add(at);
      return true;
    }
    const word = this.#bits[at >>> 5] as number;
    const bit = 1 << (at & 31);
    if ((word & bit) !== 0) return false;
    this.#bits[at >>> 5] = word | bit;
    return true;
  }
}

/** 16 MiB of bits. */
const MOST_IN_MATRIX = 16_000;

const pairIndex = (a: Reg, b: Reg): number => (a > b ? (a * (a - 1)) / 2 + b : (b * (b - 1)) / 2 + a);

export function buildInterference(code: MFunction): Interference {
  const count = code.registers;
  const graph: Interference = {
    neighbours: Array.from({ length: count }, () => []),
    edges: new Edges(count),
    affinities: [],
    costs: new Float64Array(count),
    count,
  };
  const liveness = new Liveness(code);
  const live = new LiveSet(count);
  for (const [index, block] of code.blocks.entries()) {
    live.clear();
    liveness.addOut(index, live);
    const weight = depthWeight(block.depth) * (block.cold ? 0.1 : 1);
    forEachTerminatorUse(block.terminator, (reg) => {
      live.add(reg);
      graph.costs[reg] = (graph.costs[reg] as number) + weight;
    });
    for (let i = block.insts.length - 1; i >= 0; i--) addInst(graph, live, block.insts[i] as MInst, weight);
  }
  return graph;
}

function addInst(graph: Interference, live: LiveSet, inst: MInst, weight: number): void {
  const dst = definition(inst);
  const isCopy = isPlainCopy(inst);
  const { items } = live;
  if (inst.kind === "call") {
    for (let r = 0; r <= 5; r++) for (let i = 0; i < items.length; i++) connect(graph, r, items[i] as Reg);
  } else if (dst !== NONE) {
    // A copy's source keeps its value in the same register; the affinity decides.
    for (let i = 0; i < items.length; i++) {
      const reg = items[i] as Reg;
      if (reg !== dst && !(isCopy && reg === inst.a)) connect(graph, dst, reg);
    }
    addTies(graph, inst, weight);
    graph.costs[dst] = (graph.costs[dst] as number) + weight;
  }
  if (dst !== NONE) live.delete(dst);
  if (inst.kind === "call") for (let r = 0; r <= 5; r++) live.delete(r);
  forEachUse(inst, (reg) => {
    live.add(reg);
    graph.costs[reg] = (graph.costs[reg] as number) + weight;
  });
}

/** Operands that would best be, or must not be, in the result's register. */
function addTies(graph: Interference, inst: MInst, weight: number): void {
  const { kind, dst, a, b } = inst;
  const prefer = (reg: Reg, factor: number): void => {
    if (reg !== NONE && reg !== R10 && reg !== dst) graph.affinities.push({ a: dst, b: reg, weight: weight * factor });
  };
  if (kind === "mov") {
    prefer(a, 1);
  } else if (kind === "alu") {
    prefer(a, 1);
    if (b === NONE || b === a) return;
    if (isCommutative(inst)) prefer(b, 0.9);
    // `mov dst, a` must not overwrite b.
    else connect(graph, dst, b);
  } else if (kind === "atomic") {
    if (dst >= FIRST_VIRTUAL) {
      prefer(b, 1);
      if (a !== R10) connect(graph, dst, a);
    } else {
      connect(graph, dst, b);
      if (a !== R10) connect(graph, dst, a);
    }
  }
}

function connect(graph: Interference, a: Reg, b: Reg): void {
  if (a === b || (a < FIRST_VIRTUAL && b < FIRST_VIRTUAL)) return;
  if (!graph.edges.add(a, b)) return;
  if (a >= FIRST_VIRTUAL) (graph.neighbours[a] as Reg[]).push(b);
  if (b >= FIRST_VIRTUAL) (graph.neighbours[b] as Reg[]).push(a);
}
