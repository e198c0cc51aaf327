/**
 * @module
 * Which registers are live where; and the removal of code whose result nothing reads.
 */
import { blockSuccessors, definition, forEachTerminatorUse, forEachUse, NONE } from "./mir.ts";
import type { MBlock, MFunction, MInst, Reg } from "./mir.ts";

/** A sparse set that can be walked. */
export class LiveSet {
  readonly items: Reg[] = [];
  readonly #position: Int32Array;

  /** Of the registers below `size`. */
  constructor(size: number) {
    this.#position = new Int32Array(size).fill(-1);
  }

  has(reg: Reg): boolean {
    return (this.#position[reg] as number) >= 0;
  }

  add(reg: Reg): void {
    if ((this.#position[reg] as number) >= 0) return;
    this.#position[reg] = this.items.length;
    this.items.push(reg);
  }

  delete(reg: Reg): void {
    const at = this.#position[reg] as number;
    if (at < 0) return;
    const last = this.items.pop() as Reg;
    if (last !== reg) {
      this.items[at] = last;
      this.#position[last] = at;
    }
    this.#position[reg] = -1;
  }

  clear(): void {
    for (const reg of this.items) this.#position[reg] = -1;
    this.items.length = 0;
  }
}

/**
 * Registers live at the end of each block: a row of bits for each block, a column for each register that is live into some block.
 * Most registers live within one block and have no column.
 */
export class Liveness {
  readonly #columns: readonly Reg[];
  readonly #words: number;
  readonly #out: Uint32Array;

  constructor(code: MFunction) {
    const exposed = exposedRegisters(code);
    this.#columns = exposed.columns;
    this.#words = (exposed.columns.length + 31) >>> 5;
    this.#out = new Uint32Array(code.blocks.length * this.#words);
    this.#solve(code, exposed);
  }

  #solve(code: MFunction, { columns, uses }: Exposed): void {
    const { blocks } = code;
    const words = this.#words;
    const out = this.#out;
    const column = new Int32Array(code.registers).fill(-1);
    for (let i = 0; i < columns.length; i++) column[columns[i] as Reg] = i;
    const into = new Uint32Array(out.length);
    const kept = new Uint32Array(out.length).fill(0xffff_ffff);
    const index = new Map(blocks.map((block, i) => [block, i]));
    const next = blocks.map((block) => blockSuccessors(block).map((to) => (index.get(to) as number) * words));
    for (let i = 0; i < blocks.length; i++) {
      const row = i * words;
      for (const reg of uses[i] as Reg[]) set(into, row, column[reg] as number);
      forEachWritten(blocks[i] as MBlock, (reg) => {
        const at = column[reg] as number;
        if (at >= 0) kept[row + (at >>> 5)] = (kept[row + (at >>> 5)] as number) & ~(1 << (at & 31));
      });
    }
    for (let changed = true; changed;) {
      changed = false;
      for (let i = blocks.length - 1; i >= 0; i--) {
        const row = i * words;
        for (const from of next[i] as number[]) {
          for (let w = 0; w < words; w++) out[row + w] = (out[row + w] as number) | (into[from + w] as number);
        }
        for (let w = row; w < row + words; w++) {
          const value = ((into[w] as number) | ((out[w] as number) & (kept[w] as number))) >>> 0;
          if (value === into[w]) continue;
          into[w] = value;
          changed = true;
        }
      }
    }
  }

  /** Adds what is live at the end of the block with this place in the function's list. */
  addOut(index: number, live: LiveSet): void {
    const row = index * this.#words;
    for (let w = 0; w < this.#words; w++) {
      for (let bits = this.#out[row + w] as number; bits !== 0; bits &= bits - 1) {
        live.add(this.#columns[w * 32 + 31 - Math.clz32(bits & -bits)] as Reg);
      }
    }
  }
}

function set(bits: Uint32Array, row: number, at: number): void {
  bits[row + (at >>> 5)] = (bits[row + (at >>> 5)] as number) | (1 << (at & 31));
}

interface Exposed {
  /** Registers that some block reads before it writes them. */
  readonly columns: readonly Reg[];
  /** Those of each block. */
  readonly uses: readonly (readonly Reg[])[];
}

function exposedRegisters(code: MFunction): Exposed {
  const columns = new LiveSet(code.registers);
  const written = new LiveSet(code.registers);
  const uses = code.blocks.map((block) => {
    const read: Reg[] = [];
    const use = (reg: Reg): void => {
      if (written.has(reg)) return;
      read.push(reg);
      columns.add(reg);
    };
    written.clear();
    for (let i = 0; i < block.insts.length; i++) {
      const inst = block.insts[i] as MInst;
      forEachUse(inst, use);
      const reg = definition(inst);
      if (reg !== NONE) written.add(reg);
      if (inst.kind === "call") for (let r = 0; r <= 5; r++) written.add(r);
    }
    forEachTerminatorUse(block.terminator, use);
    return read;
  });
  return { columns: columns.items, uses };
}

function forEachWritten(block: MBlock, visit: (reg: Reg) => void): void {
  for (let i = 0; i < block.insts.length; i++) {
    const inst = block.insts[i] as MInst;
    const reg = definition(inst);
    if (reg !== NONE) visit(reg);
    if (inst.kind === "call") for (let r = 0; r <= 5; r++) visit(r);
  }
}

const PURE = new Set(["mov", "alu", "load", "lddw", "frame", "reload"]);

/** Removes what has no effect and no reader. Volatile loads are kept by `keep`. */
export function removeDead(code: MFunction): void {
  const live = new LiveSet(code.registers);
  for (let changed = true; changed;) {
    changed = false;
    const liveness = new Liveness(code);
    for (const [index, block] of code.blocks.entries()) {
      live.clear();
      liveness.addOut(index, live);
      forEachTerminatorUse(block.terminator, (reg) => live.add(reg));
      const kept: MInst[] = [];
      for (let i = block.insts.length - 1; i >= 0; i--) {
        const inst = block.insts[i] as MInst;
        const reg = definition(inst);
        const isDead = PURE.has(inst.kind) && reg !== NONE && !live.has(reg) && inst.keep !== true;
        if (isDead) {
          changed = true;
          continue;
        }
        kept.push(inst);
        if (reg !== NONE) live.delete(reg);
        if (inst.kind === "call") for (let r = 0; r <= 5; r++) live.delete(r);
        forEachUse(inst, (use) => live.add(use));
      }
      block.insts = kept.reverse();
    }
  }
}
