/**
 * @module
 * Register assignment by colouring with iterated coalescing (George and Appel 1996).
 */
import type { Affinity, Edges, Interference } from "./interference.ts";
import { FIRST_VIRTUAL } from "./mir.ts";
import type { Reg } from "./mir.ts";

/** r0 to r9. */
const COLOURS = 10;

/**
 * Which register to try first: the caller-saved ones cost no push, and r5, r7, r8, r9 a prefix byte on x86-64
 * (arch/x86/net/bpf_jit_comp.c, reg2hex).
 */
const PREFERENCE: readonly number[] = [1, 2, 3, 4, 0, 5, 6, 7, 8, 9];

type State = "simplify" | "freeze" | "spill" | "selected" | "coalesced" | "machine";

export interface Colouring {
  /** The register of each virtual one; -1 where none was left. */
  readonly colours: Int8Array;
  /** Groups of registers that did not get one: each group can share a slot. */
  readonly spilled: Reg[][];
}

/** `costs` may be Infinity: such a register must not go to memory. */
export function colour(graph: Interference, costs: Float64Array): Colouring {
  return new Colourer(graph, costs).run();
}

class Colourer {
  readonly #graph: Interference;
  readonly #costs: Float64Array;
  readonly #neighbours: Reg[][];
  readonly #edges: Edges;
  readonly #degree: Int32Array;
  readonly #alias: Int32Array;
  readonly #state: State[];
  readonly #moves: Affinity[];
  readonly #moveState: Uint8Array;
  readonly #movesOf: number[][];
  readonly #stack: Reg[] = [];
  readonly #work: Record<"simplify" | "freeze" | "spill", Set<Reg>> = {
    simplify: new Set(),
    freeze: new Set(),
    spill: new Set(),
  };
  #pendingMoves: number[] = [];

  constructor(graph: Interference, costs: Float64Array) {
    this.#graph = graph;
    this.#costs = costs;
    this.#neighbours = graph.neighbours;
    this.#edges = graph.edges;
    this.#degree = new Int32Array(graph.count);
    this.#alias = Int32Array.from({ length: graph.count }, (_, i) => i);
    this.#state = Array.from({ length: graph.count }, () => "machine");
    this.#movesOf = Array.from({ length: graph.count }, () => []);
    this.#moves = [...graph.affinities].sort((a, b) => b.weight - a.weight);
    this.#moveState = new Uint8Array(this.#moves.length);
  }

  run(): Colouring {
    for (const [i, move] of this.#moves.entries()) {
      this.#movesOf[move.a]?.push(i);
      this.#movesOf[move.b]?.push(i);
      this.#pendingMoves.push(i);
    }
    // The heaviest is taken first, from the end.
    this.#pendingMoves.reverse();
    for (let reg = FIRST_VIRTUAL; reg < this.#graph.count; reg++) {
      this.#degree[reg] = (this.#neighbours[reg] as Reg[]).length;
      this.#classify(reg);
    }
    for (;;) {
      const { simplify, freeze, spill } = this.#work;
      if (simplify.size > 0) this.#simplify(first(simplify));
      else if (this.#pendingMoves.length > 0) this.#coalesce(this.#pendingMoves.pop() as number);
      else if (freeze.size > 0) this.#freeze(this.#cheapestFreeze());
      else if (spill.size > 0) this.#selectSpill();
      else break;
    }
    return this.#assign();
  }

  #find(reg: Reg): Reg {
    let found = reg;
    while (this.#alias[found] !== found) found = this.#alias[found] as Reg;
    return found;
  }

  #isAdjacent(a: Reg, b: Reg): boolean {
    return a !== b && this.#edges.has(a, b);
  }

  /** Whether a move of the register may still be coalesced. */
  #isMoveRelated(reg: Reg): boolean {
    return (this.#movesOf[reg] as number[]).some((move) => this.#moveState[move] === 0 || this.#moveState[move] === 3);
  }

  #setState(reg: Reg, state: State): void {
    const old = this.#state[reg] as State;
    if (old === "simplify" || old === "freeze" || old === "spill") this.#work[old].delete(reg);
    this.#state[reg] = state;
    if (state === "simplify" || state === "freeze" || state === "spill") this.#work[state].add(reg);
  }

  #classify(reg: Reg): void {
    if ((this.#degree[reg] as number) >= COLOURS) this.#setState(reg, "spill");
    else this.#setState(reg, this.#isMoveRelated(reg) ? "freeze" : "simplify");
  }

  /** Neighbours that are still in the graph. */
  #adjacent(reg: Reg): Reg[] {
    return (this.#neighbours[reg] as Reg[]).filter((other) => {
      const state = this.#state[other];
      return state !== "selected" && state !== "coalesced";
    });
  }

  #simplify(reg: Reg): void {
    this.#setState(reg, "selected");
    this.#stack.push(reg);
    for (const other of this.#adjacent(reg)) this.#decrement(other);
  }

  #decrement(reg: Reg): void {
    if (reg < FIRST_VIRTUAL) return;
    const degree = this.#degree[reg] as number;
    this.#degree[reg] = degree - 1;
    if (degree !== COLOURS) return;
    // Now surely colourable: moves near it may have become safe.
    for (const other of [reg, ...this.#adjacent(reg)]) this.#retryMoves(other);
    this.#classify(reg);
  }

  #retryMoves(reg: Reg): void {
    for (const move of this.#movesOf[reg] as number[]) {
      if (this.#moveState[move] !== 3) continue;
      this.#moveState[move] = 0;
      this.#pendingMoves.push(move);
    }
  }

  /** Moves are 0: open, 1: done, 2: given up, 3: waiting until something changes. */
  #coalesce(index: number): void {
    if (this.#moveState[index] !== 0) return;
    const move = this.#moves[index] as Affinity;
    let [u, v] = [this.#find(move.a), this.#find(move.b)];
    if (v < FIRST_VIRTUAL) [u, v] = [v, u];
    if (u === v) {
      this.#moveState[index] = 1;
      this.#maybeSimplify(u);
    } else if (v < FIRST_VIRTUAL || this.#isAdjacent(u, v) || this.#isGone(u) || this.#isGone(v)) {
      this.#moveState[index] = 2;
      this.#maybeSimplify(u);
      this.#maybeSimplify(v);
    } else if (this.#isSafe(u, v)) {
      this.#moveState[index] = 1;
      this.#combine(u, v);
      this.#maybeSimplify(u);
    } else this.#moveState[index] = 3;
  }

  #isGone(reg: Reg): boolean {
    return this.#state[reg] === "selected";
  }

  #maybeSimplify(reg: Reg): void {
    if (reg < FIRST_VIRTUAL || this.#state[reg] !== "freeze") return;
    if (!this.#isMoveRelated(reg)) this.#setState(reg, "simplify");
  }

  #isPresent(reg: Reg): boolean {
    const state = this.#state[reg];
    return state !== "selected" && state !== "coalesced";
  }

  #isSafe(u: Reg, v: Reg): boolean {
    if (u < FIRST_VIRTUAL) {
      // George: every neighbour of v is harmless or already differs from u.
      return (this.#neighbours[v] as Reg[]).every(
        (other) =>
          other < FIRST_VIRTUAL ||
          (this.#degree[other] as number) < COLOURS ||
          !this.#isPresent(other) ||
          this.#isAdjacent(other, u),
      );
    }
    // Briggs: fewer than K neighbours of the union are hard.
    let hard = 0;
    for (const other of this.#neighbours[u] as Reg[]) {
      if (!this.#isPresent(other)) continue;
      const degree = other < FIRST_VIRTUAL ? Infinity : (this.#degree[other] as number);
      if (degree < COLOURS) continue;
      // A neighbour of both has one less afterwards.
      if (degree > COLOURS || !this.#isAdjacent(other, v)) hard++;
      if (hard >= COLOURS) return false;
    }
    for (const other of this.#neighbours[v] as Reg[]) {
      const isHard = other < FIRST_VIRTUAL || (this.#degree[other] as number) >= COLOURS;
      if (!isHard || !this.#isPresent(other) || this.#isAdjacent(other, u)) continue;
      if (++hard >= COLOURS) return false;
    }
    return true;
  }

  #combine(u: Reg, v: Reg): void {
    const around = this.#adjacent(v);
    this.#setState(v, "coalesced");
    this.#alias[v] = u;
    (this.#movesOf[u] as number[]).push(...(this.#movesOf[v] as number[]));
    if (u >= FIRST_VIRTUAL) this.#costs[u] = (this.#costs[u] as number) + (this.#costs[v] as number);
    this.#retryMoves(u);
    for (const other of around) {
      this.#addEdge(other, u);
      this.#decrement(other);
    }
    if (u >= FIRST_VIRTUAL && (this.#degree[u] as number) >= COLOURS && this.#state[u] === "freeze") {
      this.#setState(u, "spill");
    }
  }

  #addEdge(a: Reg, b: Reg): void {
    if (a === b || (a < FIRST_VIRTUAL && b < FIRST_VIRTUAL) || !this.#edges.add(a, b)) return;
    for (const [reg, other] of [
      [a, b],
      [b, a],
    ] as const) {
      if (reg < FIRST_VIRTUAL) continue;
      (this.#neighbours[reg] as Reg[]).push(other);
      this.#degree[reg] = (this.#degree[reg] as number) + 1;
    }
  }

  #cheapestFreeze(): Reg {
    let best = -1;
    let least = Infinity;
    for (const reg of this.#work.freeze) {
      let weight = 0;
      for (const move of this.#movesOf[reg] as number[]) {
        if (this.#moveState[move] === 3 || this.#moveState[move] === 0)
          weight += (this.#moves[move] as Affinity).weight;
      }
      if (weight < least) [best, least] = [reg, weight];
    }
    return best;
  }

  #freeze(reg: Reg): void {
    this.#setState(reg, "simplify");
    this.#giveUpMoves(reg);
  }

  #giveUpMoves(reg: Reg): void {
    for (const index of this.#movesOf[reg] as number[]) {
      if (this.#moveState[index] !== 0 && this.#moveState[index] !== 3) continue;
      this.#moveState[index] = 2;
      const move = this.#moves[index] as Affinity;
      for (const end of [this.#find(move.a), this.#find(move.b)]) if (end !== reg) this.#maybeSimplify(end);
    }
  }

  #selectSpill(): void {
    let best = -1;
    let least = Infinity;
    for (const reg of this.#work.spill) {
      const cost = (this.#costs[reg] as number) / (this.#degree[reg] as number);
      if (best < 0 || cost < least) [best, least] = [reg, cost];
    }
    this.#setState(best, "simplify");
    this.#giveUpMoves(best);
  }

  #assign(): Colouring {
    const colours = new Int8Array(this.#graph.count).fill(-1);
    for (let reg = 0; reg < FIRST_VIRTUAL; reg++) colours[reg] = reg;
    const failed = new Set<Reg>();
    for (let reg = this.#stack.pop(); reg !== undefined; reg = this.#stack.pop()) {
      let used = 0;
      for (const other of this.#neighbours[reg] as Reg[]) {
        const taken = colours[this.#find(other)] as number;
        if (taken >= 0) used |= 1 << taken;
      }
      const choice = this.#choose(reg, used, colours);
      if (choice < 0) failed.add(reg);
      colours[reg] = choice;
    }
    const groups = new Map<Reg, Reg[]>();
    for (let reg = FIRST_VIRTUAL; reg < this.#graph.count; reg++) {
      const root = this.#find(reg);
      colours[reg] = colours[root] as number;
      if (failed.has(root)) groups.set(root, [...(groups.get(root) ?? []), reg]);
    }
    return { colours, spilled: [...groups.values()] };
  }

  /** A free register; the one of a partner of a move that was not coalesced if possible. */
  #choose(reg: Reg, used: number, colours: Int8Array): number {
    let best = -1;
    let bestWeight = 0;
    for (const index of this.#movesOf[reg] as number[]) {
      const move = this.#moves[index] as Affinity;
      const other = this.#find(move.a) === reg ? this.#find(move.b) : this.#find(move.a);
      const wish = colours[other] as number;
      if (wish < 0 || wish >= COLOURS || (used >>> wish) & 1 || move.weight <= bestWeight) continue;
      [best, bestWeight] = [wish, move.weight];
    }
    if (best >= 0) return best;
    return PREFERENCE.find((candidate) => ((used >>> candidate) & 1) === 0) ?? -1;
  }
}

function first(set: Set<Reg>): Reg {
  for (const reg of set) return reg;
  throw new Error("empty worklist");
}
