/**
 * @module
 * Copies of a block for some of its predecessors: what jump threading and loop rotation are made of.
 * Values of the block that are used elsewhere go through variables; SSA construction must follow.
 */
import { retarget, successors, terminatorArgs } from "../analysis/cfg.ts";
import { cloneBlocks, keepIncoming, makeInst } from "../edit.ts";
import type { Block, Inst, IrFunction, Local, Terminator, ValueType } from "../ir.ts";

/** Gives out variables that no other of the function has. */
export class LocalNames {
  #next: number;

  constructor(fn: IrFunction) {
    this.#next = 0;
    for (const block of fn.blocks) {
      for (const inst of block.insts) {
        if (inst.op === "local.get" || inst.op === "local.set") this.#next = Math.max(this.#next, inst.local.id + 1);
      }
    }
  }

  make(value: Inst): Local {
    return { id: this.#next++, name: value.name ?? "value", type: value.type as ValueType };
  }
}

/** In which blocks values are read: at least in those. Who changes blocks meanwhile notes what they read then. */
export class Readers {
  /** Ids of blocks, by the value's id. */
  readonly #of: (Set<number> | undefined)[] = [];

  constructor(blocks: readonly Block[]) {
    for (const block of blocks) this.note(block);
  }

  note(block: Block): void {
    for (const inst of block.insts) for (const arg of inst.args) this.#add(arg, block);
    for (const arg of terminatorArgs(block.terminator)) this.#add(arg, block);
  }

  /** Ids of the blocks that may read one of the values. */
  of(values: Iterable<Inst>): Set<number> {
    const found = new Set<number>();
    for (const value of values) for (const id of this.#of[value.id] ?? []) found.add(id);
    return found;
  }

  #add(value: Inst, block: Block): void {
    if (value.op === "const") return;
    (this.#of[value.id] ??= new Set()).add(block.id);
  }
}

/** Lets what other blocks read of this one go through variables. */
export function demoteOutside(
  fn: IrFunction,
  block: Block,
  { names, readers }: { names: LocalNames; readers: Readers },
): void {
  const own = new Set(block.insts.filter((inst) => inst.type !== undefined && inst.op !== "const"));
  const locals = new Map<Inst, Local>();
  const localOf = (value: Inst): Local => {
    const known = locals.get(value) ?? names.make(value);
    locals.set(value, known);
    return known;
  };
  const read = (value: Inst): Inst => {
    const local = localOf(value);
    return makeInst(fn, local.type, { args: [], body: { op: "local.get", local } });
  };
  // Reads for a predecessor's phi operands stand at its end.
  const atEnd = new Map<Block, Inst[]>();
  const reading = readers.of(own);
  for (const other of fn.blocks) {
    if (!reading.has(other.id)) continue;
    const out: Inst[] = [];
    for (const inst of other.insts) {
      if (inst.op === "phi") {
        for (const [i, from] of inst.blocks.entries()) {
          const value = inst.args[i] as Inst;
          // On the edge from the block itself the value is at hand.
          if (from === block || !own.has(value)) continue;
          const got = read(value);
          atEnd.set(from, [...(atEnd.get(from) ?? []), got]);
          inst.args[i] = got;
        }
      } else if (other !== block) {
        for (const [i, value] of inst.args.entries()) {
          if (!own.has(value)) continue;
          const got = read(value);
          out.push(got);
          inst.args[i] = got;
        }
      }
      out.push(inst);
    }
    if (other === block) continue;
    const args = terminatorArgs(other.terminator);
    for (const [i, value] of args.entries()) {
      if (!own.has(value)) continue;
      const got = read(value);
      out.push(got);
      args[i] = got;
    }
    other.insts = out;
  }
  for (const [from, gets] of atEnd) from.insts.push(...gets);
  writeAll(fn, block, locals);
}

function writeAll(fn: IrFunction, block: Block, locals: ReadonlyMap<Inst, Local>): void {
  if (locals.size === 0) return;
  const out: Inst[] = [];
  const afterPhis: Inst[] = [];
  let phisOver = false;
  for (const inst of block.insts) {
    if (inst.op !== "phi" && !phisOver) {
      phisOver = true;
      out.push(...afterPhis);
    }
    out.push(inst);
    const local = locals.get(inst);
    if (local === undefined) continue;
    const set = makeInst(fn, undefined, { args: [inst], body: { op: "local.set", local } });
    (inst.op === "phi" ? afterPhis : out).push(set);
  }
  if (!phisOver) out.push(...afterPhis);
  block.insts = out;
}

/** A copy of `block` that takes over the edges from `preds`. `demoteOutside` must have been called. */
export function duplicateFor(fn: IrFunction, block: Block, preds: ReadonlySet<Block>): Block {
  const values = new Map<Inst, Inst>();
  const { blocks } = cloneBlocks(fn, [block], values);
  const copy = blocks[0] as Block;
  fn.blocks.splice(fn.blocks.indexOf(block) + 1, 0, copy);
  for (const inst of copy.insts) {
    // A block that jumps to itself keeps doing so: the copy goes to the original.
    if (inst.op === "phi") keepIncoming(inst, (from) => preds.has(from));
  }
  retarget(copy.terminator as Terminator, copy, block);
  for (const inst of block.insts) if (inst.op === "phi") keepIncoming(inst, (from) => !preds.has(from));
  for (const pred of preds) retarget(pred.terminator as Terminator, block, copy);
  for (const next of new Set(successors(copy.terminator))) {
    for (const phi of next.insts) {
      if (phi.op !== "phi") break;
      for (const [i, from] of [...phi.blocks.entries()]) {
        if (from !== block) continue;
        phi.blocks.push(copy);
        phi.args.push(values.get(phi.args[i] as Inst) ?? (phi.args[i] as Inst));
      }
    }
  }
  return copy;
}
