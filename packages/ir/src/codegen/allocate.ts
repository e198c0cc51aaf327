/**
 * @module
 * Registers for virtual registers: colour, and where colours run out keep values in memory and try again.
 * Constants and stack addresses are made anew instead; loads and packet pointers never are: a second load is a
 * different value to the kernel's verifier.
 */
import { colour } from "./color.ts";
import { buildInterference, isPlainCopy } from "./interference.ts";
import { blockSuccessors, definition, FIRST_VIRTUAL, forEachUse, makeInst, mapRegisters, NONE, R10 } from "./mir.ts";
import type { MBlock, MFunction, MInst, MTerminator, Reg } from "./mir.ts";

const MOST_ROUNDS = 40;

/** Assigns machine registers in place. */
export function allocateRegisters(code: MFunction): void {
  const state: SpillState = { temporaries: new Map(), locked: new Set() };
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const graph = buildInterference(code);
    const costs = graph.costs.slice();
    const definitions = findDefinitions(code);
    for (let reg = FIRST_VIRTUAL; reg < code.registers; reg++) {
      if (state.locked.has(reg)) costs[reg] = Infinity;
      else if (rematerial(definitions.get(reg)) !== null) costs[reg] = (costs[reg] as number) * 0.4;
    }
    const { colours, spilled } = colour(graph, costs);
    if (spilled.length === 0) {
      assign(code, colours);
      return;
    }
    const [mentions, only] = [findMentions(code), onlyPredecessors(code)];
    for (const group of spilled) spill(code, { group, definitions, state, mentions, only });
  }
  throw new Error(`${code.name}: no registers left after ${MOST_ROUNDS} rounds`);
}

interface SpillState {
  /** Short-lived copies of a slot's value, which may be reloaded more often. */
  readonly temporaries: Map<Reg, number>;
  /** Registers of one instruction, never spilled again. */
  readonly locked: Set<Reg>;
}

/** The only definition of each register; null where there are several. */
function findDefinitions(code: MFunction): Map<Reg, MInst | null> {
  const found = new Map<Reg, MInst | null>();
  for (const block of code.blocks) {
    for (const inst of block.insts) {
      const reg = definition(inst);
      if (reg >= FIRST_VIRTUAL) found.set(reg, found.has(reg) ? null : inst);
    }
  }
  return found;
}

/** The definition, if it can be repeated anywhere. */
function rematerial(inst: MInst | null | undefined): MInst | null {
  if (!inst || inst.core !== undefined) return null;
  if (inst.kind === "lddw" || inst.kind === "frame") return inst;
  return inst.kind === "mov" && inst.a === NONE ? inst : null;
}

interface Spill {
  readonly group: readonly Reg[];
  readonly definitions: ReadonlyMap<Reg, MInst | null>;
  readonly state: SpillState;
  /** Blocks that read or write each register. */
  readonly mentions: readonly (ReadonlySet<MBlock> | undefined)[];
  /** The predecessor of each block that has just one. */
  readonly only: ReadonlyMap<MBlock, MBlock>;
}

function spill(code: MFunction, { group, definitions, state, mentions, only: preds }: Spill): void {
  const only = group.length === 1 ? rematerial(definitions.get(group[0] as Reg)) : null;
  if (only !== null) {
    rewrite(code, new Set(group), {
      ...{ state, mentions, preds },
      make: (dst, loc) => [{ ...only, dst, loc }],
      define: () => null,
      reuse: false,
    });
    return;
  }
  const old = group.length === 1 ? state.temporaries.get(group[0] as Reg) : undefined;
  const slot = old ?? code.slots.push({ bytes: 8, spill: true, offset: 0, weight: 0 }) - 1;
  const place = { slot, a: R10 };
  rewrite(code, new Set(group), {
    ...{ state, mentions, preds },
    make: (dst, loc) => [makeInst("reload", 0, { ...place, dst, loc })],
    define: (b, loc) => (old === undefined ? makeInst("spill", 0, { ...place, b, loc }) : null),
    reuse: old === undefined,
    slot,
  });
}

interface Rewrite {
  readonly state: SpillState;
  readonly mentions: Spill["mentions"];
  readonly preds: Spill["only"];
  /** Gives the value to a register. */
  readonly make: (dst: Reg, loc: MInst["loc"]) => MInst[];
  /** Saves a new value; null: the value needs no saving (the definition of what is made anew goes away). */
  readonly define: (value: Reg, loc: MInst["loc"]) => MInst | null;
  /** Whether a reloaded value may serve until the next call. */
  readonly reuse: boolean;
  readonly slot?: number;
}

/** A reloaded value at the end of a block, and how many instructions ago it was used. */
interface Held {
  readonly reg: Reg;
  readonly age: number;
}

function rewrite(code: MFunction, group: ReadonlySet<Reg>, how: Rewrite): void {
  const ends = new Map<MBlock, Held>();
  const touched = new Set<MBlock>();
  for (const reg of group) for (const block of how.mentions[reg] ?? []) touched.add(block);
  for (const block of code.blocks) {
    const pred = how.reuse ? how.preds.get(block) : undefined;
    const before = pred ? ends.get(pred) : undefined;
    const end = touched.has(block) ? new BlockRewriter(code, group, how).run(block, before) : carried(block, before);
    if (end) ends.set(block, end);
  }
}

/** What is held at the end of a block that has nothing to do with it. */
function carried(block: MBlock, held: Held | undefined): Held | undefined {
  const age = held ? held.age + block.insts.length : 0;
  if (!held || age > REUSE_DISTANCE || block.insts.some(({ kind }) => kind === "call")) return undefined;
  return { reg: held.reg, age };
}

function findMentions(code: MFunction): (Set<MBlock> | undefined)[] {
  const found: (Set<MBlock> | undefined)[] = [];
  for (const block of code.blocks) {
    const note = (reg: Reg): void => {
      if (reg >= FIRST_VIRTUAL) (found[reg] ??= new Set()).add(block);
    };
    for (const inst of block.insts) {
      note(inst.dst);
      note(inst.a);
      note(inst.b);
    }
    if (block.terminator.kind !== "branch") continue;
    note(block.terminator.a);
    note(block.terminator.b);
  }
  return found;
}

/** The predecessor of each block that has just one. */
function onlyPredecessors(code: MFunction): Map<MBlock, MBlock> {
  const found = new Map<MBlock, MBlock>();
  const several = new Set<MBlock>();
  for (const block of code.blocks) {
    for (const next of blockSuccessors(block)) {
      if (found.has(next)) several.add(next);
      found.set(next, block);
    }
  }
  for (const block of several) found.delete(block);
  return found;
}

/** Instructions that a reloaded value may wait for its next use. */
const REUSE_DISTANCE = 12;

class BlockRewriter {
  readonly #code: MFunction;
  readonly #group: ReadonlySet<Reg>;
  readonly #how: Rewrite;
  #out: MInst[] = [];
  #held: Reg = NONE;
  #heldSince = 0;

  constructor(code: MFunction, group: ReadonlySet<Reg>, how: Rewrite) {
    this.#code = code;
    this.#group = group;
    this.#how = how;
  }

  run(block: MBlock, before: Held | undefined): Held | undefined {
    if (before) {
      this.#held = before.reg;
      this.#heldSince = -before.age;
    }
    for (const inst of block.insts) this.#inst(inst);
    this.#terminator(block.terminator);
    block.insts = this.#out;
    return this.#held === NONE ? undefined : { reg: this.#held, age: this.#out.length - this.#heldSince };
  }

  #fresh(): Reg {
    const reg = this.#code.registers++;
    const { reuse, slot, state } = this.#how;
    if (reuse && slot !== undefined) state.temporaries.set(reg, slot);
    else state.locked.add(reg);
    return reg;
  }

  #value(loc: MInst["loc"]): Reg {
    // What saves a value stands right after its definition and must not read the slot.
    const near = this.#out.length - this.#heldSince <= (this.#how.reuse ? REUSE_DISTANCE : 0);
    if (this.#held !== NONE && near) {
      this.#heldSince = this.#out.length;
      return this.#held;
    }
    const reg = this.#fresh();
    this.#out.push(...this.#how.make(reg, loc));
    this.#hold(reg);
    return reg;
  }

  #hold(reg: Reg): void {
    this.#held = reg;
    this.#heldSince = this.#out.length;
  }

  #inst(inst: MInst): void {
    const { define, slot } = this.#how;
    const defines = inst.dst !== NONE && this.#group.has(inst.dst);
    const isInnerCopy = defines && isPlainCopy(inst) && this.#group.has(inst.a);
    const isOwnReload = inst.kind === "reload" && defines && inst.slot === slot;
    // The definition of a remade value and reloads of the same slot go away, as do copies inside the slot.
    if (isInnerCopy || isOwnReload || (defines && slot === undefined)) return;
    let reads = false;
    forEachUse(inst, (reg) => {
      reads ||= this.#group.has(reg);
    });
    if (reads) {
      const reg = this.#value(inst.loc);
      if (this.#group.has(inst.a)) inst.a = reg;
      if (this.#group.has(inst.b)) inst.b = reg;
    }
    if (inst.kind === "call") this.#held = NONE;
    this.#out.push(inst);
    if (!defines) return;
    const reg = this.#fresh();
    inst.dst = reg;
    const save = define(reg, inst.loc);
    if (save) this.#out.push(save);
    this.#hold(reg);
  }

  #terminator(terminator: MTerminator): void {
    if (terminator.kind !== "branch") return;
    const reads = this.#group.has(terminator.a) || this.#group.has(terminator.b);
    if (!reads) return;
    const reg = this.#value(terminator.loc);
    if (this.#group.has(terminator.a)) terminator.a = reg;
    if (this.#group.has(terminator.b)) terminator.b = reg;
  }
}

function assign(code: MFunction, colours: Int8Array): void {
  const colourOf = (reg: Reg): Reg => (reg < 0 ? reg : (colours[reg] as number));
  for (const block of code.blocks) {
    for (const inst of block.insts) mapRegisters(inst, colourOf);
    const terminator = block.terminator;
    if (terminator.kind !== "branch") continue;
    terminator.a = colourOf(terminator.a);
    terminator.b = colourOf(terminator.b);
  }
}
