/**
 * @module
 * Stack objects that are never alive together share their bytes. An object lives from the instruction that makes it to the last use of a
 * pointer into it; one whose address is stored somewhere lives as long as the function.
 */
import { successors, terminatorArgs } from "../analysis/cfg.ts";
import { replaceValues } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

type Stack = InstOf<"stack">;

export function shareStack(fn: IrFunction): void {
  const objects = fn.blocks.flatMap((block) => block.insts.filter((inst): inst is Stack => inst.op === "stack"));
  if (objects.length < 2) return;
  const pointers = pointersInto(fn, objects);
  const clashes = interference(fn, objects, pointers);
  merge(fn, objects, clashes);
}

interface Pointers {
  /** Which objects a pointer may point into. */
  readonly into: ReadonlyMap<Inst, ReadonlySet<Stack>>;
  readonly escaped: ReadonlySet<Stack>;
}

/** Follows each object's address through arithmetic, phis and selects. */
function pointersInto(fn: IrFunction, objects: readonly Stack[]): Pointers {
  const into = new Map<Inst, Set<Stack>>(objects.map((object) => [object, new Set([object])]));
  const escaped = new Set<Stack>();
  const flow = (inst: Inst): boolean => {
    if (!inst.args.some((arg) => into.has(arg))) return false;
    const targets = inst.args.flatMap((arg) => [...(into.get(arg) ?? [])]);
    if (inst.op === "ptradd" || inst.op === "phi" || inst.op === "select") {
      const known = into.get(inst) ?? new Set();
      const before = known.size;
      for (const target of targets) known.add(target);
      into.set(inst, known);
      return known.size > before;
    }
    if (inst.op === "store" || inst.op === "atomic") {
      for (const value of inst.args.slice(1)) for (const target of into.get(value) ?? []) escaped.add(target);
    }
    return false;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const block of fn.blocks) for (const inst of block.insts) changed = flow(inst) || changed;
  }
  return { into, escaped };
}

/** Objects that a block's terminator, or the phis of a successor on the way from it, use. */
function usedAtEnd(block: Block, into: Pointers["into"]): Set<Stack> {
  const used = new Set<Stack>();
  const use = (inst: Inst): void => {
    for (const object of into.get(inst) ?? []) used.add(object);
  };
  for (const arg of terminatorArgs(block.terminator)) use(arg);
  for (const next of successors(block.terminator)) {
    for (const inst of next.insts) {
      if (inst.op !== "phi") continue;
      const at = inst.blocks.indexOf(block);
      const arg = inst.args[at];
      if (arg) use(arg);
    }
  }
  return used;
}

function interference(fn: IrFunction, objects: readonly Stack[], { into, escaped }: Pointers): Map<Stack, Set<Stack>> {
  const clashes = new Map<Stack, Set<Stack>>(objects.map((object) => [object, new Set()]));
  const clash = (a: Stack, b: Stack): void => {
    if (a === b) return;
    clashes.get(a)?.add(b);
    clashes.get(b)?.add(a);
  };
  for (const object of escaped) for (const other of objects) clash(object, other);
  const liveIn = new Map<Block, Set<Stack>>();
  // Most instructions have nothing to do with the objects: the others of each block, the last first, are found once.
  const relevant = new Map<Block, Inst[]>();
  for (const block of fn.blocks) {
    const touches = (inst: Inst): boolean => into.has(inst) || inst.args.some((arg) => into.has(arg));
    relevant.set(block, block.insts.filter(touches).reverse());
  }
  const walk = (block: Block, note: boolean): Set<Stack> => {
    const live = usedAtEnd(block, into);
    for (const next of successors(block.terminator)) for (const object of liveIn.get(next) ?? []) live.add(object);
    if (note) for (const a of live) for (const b of live) clash(a, b);
    const enter = (object: Stack): void => {
      if (live.has(object)) return;
      if (note) for (const other of live) clash(object, other);
      live.add(object);
    };
    for (const inst of relevant.get(block) ?? []) {
      if (inst.op === "stack") {
        enter(inst);
        live.delete(inst);
      } else if (inst.op === "phi") {
        // A pointer that meets others here is alive above, on the ways in.
        for (const object of into.get(inst) ?? []) enter(object);
      } else for (const arg of inst.args) for (const object of into.get(arg) ?? []) enter(object);
    }
    return live;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const block of fn.blocks.toReversed()) {
      const live = walk(block, false);
      if (live.size === (liveIn.get(block)?.size ?? 0)) continue;
      liveIn.set(block, live);
      changed = true;
    }
  }
  for (const block of fn.blocks) walk(block, true);
  return clashes;
}

/** The largest first: each joins the first that none of its members clashes with. */
function merge(fn: IrFunction, objects: readonly Stack[], clashes: ReadonlyMap<Stack, ReadonlySet<Stack>>): void {
  const groups: Stack[][] = [];
  const order = [...objects].sort((a, b) => b.bytes - a.bytes || a.id - b.id);
  for (const object of order) {
    const group = groups.find((members) => members.every((member) => !clashes.get(object)?.has(member)));
    if (group) group.push(object);
    else groups.push([object]);
  }
  const replaced = new Map<Inst, Inst>();
  const entry = fn.blocks[0];
  for (const [home, ...others] of groups) {
    if (!home || !entry || others.length === 0) continue;
    home.align = Math.max(home.align, ...others.map((other) => other.align));
    for (const other of others) replaced.set(other, home);
    for (const block of fn.blocks) {
      block.insts = block.insts.filter((inst) => inst !== home && !others.includes(inst as Stack));
    }
    // It must be made before every use of the objects that it stands for now.
    entry.insts.splice(entry.insts.findLastIndex((inst) => inst.op === "param") + 1, 0, home);
  }
  if (replaced.size > 0) replaceValues(fn, replaced);
}
