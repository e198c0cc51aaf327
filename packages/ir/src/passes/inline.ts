/**
 * @module
 * Calls replaced by the callee's body. A call costs some 7 ns on a kernel with return thunks, so little is left as a call.
 */
import type { Diagnostic } from "@skep/isa";
import { successors } from "../analysis/cfg.ts";
import { problem } from "../codes.ts";
import { cloneBlocks, makeBlock, makeInst, removeUnreachable, replaceValues } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";
import { newJump } from "../make.ts";

export interface InlineOptions {
  /** Whether `auto` functions are inlined where it pays. */
  readonly auto: boolean;
  /** Functions of the module that stay as they are, and are inlined nowhere. */
  readonly others?: readonly IrFunction[];
  /** Told of each function that takes in another. */
  readonly onInlined?: (into: IrFunction) => unknown;
}

/** Instructions of a callee that is inlined at each of its calls. */
const SMALL = 80;
/** Beyond this a function takes in no more copies of callees that are called elsewhere too. */
const LARGE = 6000;

/** Inlines in all functions, callees first. They must be in SSA form. */
export function inlineCalls(functions: readonly IrFunction[], options: InlineOptions): Diagnostic[] {
  const others = new Set(options.others);
  const all = [...functions, ...others];
  const byName = new Map(all.map((fn) => [fn.name, fn]));
  const { order, cycles } = bottomUp(all, byName);
  const sites = countSites(functions);
  for (const fn of order) {
    if (others.has(fn)) continue;
    // Blocks grow while they are walked: the rest of a cut block comes later.
    for (let i = 0; i < fn.blocks.length; i++) {
      const block = fn.blocks[i] as Block;
      const at = block.insts.findIndex((inst) => {
        if (inst.op !== "call") return false;
        const callee = byName.get(inst.function);
        return callee !== undefined && callee !== fn && !cycles.has(callee) && isWorth(callee, { fn, sites, options });
      });
      if (at < 0) continue;
      inlineAt(fn, block, { at, callee: byName.get((block.insts[at] as InstOf<"call">).function) as IrFunction });
      options.onInlined?.(fn);
    }
    // A callee that never returns leaves what follows the call unreachable.
    removeUnreachable(fn);
  }
  return [...cycles].map((fn) =>
    problem("SKEP2005", `${fn.name} calls itself`, { loc: fn.loc, hint: "the kernel has no recursion; use a loop" }),
  );
}

function size(fn: IrFunction): number {
  return fn.blocks.reduce((sum, block) => sum + block.insts.filter((inst) => inst.op !== "const").length + 1, 0);
}

function isWorth(
  callee: IrFunction,
  around: { fn: IrFunction; sites: ReadonlyMap<string, number>; options: InlineOptions },
): boolean {
  if (callee.program || callee.inline === "never") return false;
  if (callee.inline === "always") return true;
  if (!around.options.auto || callee.linkage === "global") return false;
  if (around.sites.get(callee.name) === 1) return true;
  return size(callee) <= SMALL && size(around.fn) <= LARGE;
}

/** Calls and addresses taken, by name. */
function countSites(functions: readonly IrFunction[]): Map<string, number> {
  const sites = new Map<string, number>();
  for (const fn of functions) {
    for (const block of fn.blocks) {
      for (const inst of block.insts) {
        if (inst.op === "call") sites.set(inst.function, (sites.get(inst.function) ?? 0) + 1);
        // A callback stays a function of its own, whose body need not be there twice.
        else if (inst.op === "function") sites.set(inst.function, (sites.get(inst.function) ?? 0) + 2);
      }
    }
  }
  return sites;
}

function callees(fn: IrFunction): string[] {
  return fn.blocks.flatMap((block) => block.insts.flatMap((inst) => (inst.op === "call" ? [inst.function] : [])));
}

/** Callees before callers; functions on a cycle of calls apart. */
function bottomUp(functions: readonly IrFunction[], byName: ReadonlyMap<string, IrFunction>) {
  const order: IrFunction[] = [];
  const cycles = new Set<IrFunction>();
  const state = new Map<IrFunction, "open" | "done">();
  const visit = (fn: IrFunction, path: readonly IrFunction[]): void => {
    if (state.get(fn) === "done") return;
    if (state.get(fn) === "open") {
      for (const member of path.slice(path.indexOf(fn))) cycles.add(member);
      return;
    }
    state.set(fn, "open");
    for (const name of callees(fn)) {
      const callee = byName.get(name);
      if (callee) visit(callee, [...path, fn]);
    }
    state.set(fn, "done");
    order.push(fn);
  };
  for (const fn of functions) visit(fn, []);
  return { order, cycles };
}

function inlineAt(fn: IrFunction, block: Block, site: { at: number; callee: IrFunction }): void {
  const call = block.insts[site.at] as InstOf<"call">;
  const rest = makeBlock(fn);
  fn.blocks.pop();
  rest.insts = block.insts.splice(site.at);
  rest.insts.shift();
  rest.terminator = block.terminator;
  for (const next of new Set(successors(rest.terminator))) {
    for (const phi of next.insts) {
      if (phi.op === "phi") phi.blocks = phi.blocks.map((from) => (from === block ? rest : from));
    }
  }
  const values = new Map<Inst, Inst>();
  for (const inst of site.callee.blocks[0]?.insts ?? []) {
    if (inst.op === "param") values.set(inst, call.args[inst.index] as Inst);
  }
  // `rest` has the next free block number: it must be known to the numbering.
  fn.blocks.push(rest);
  const { blocks } = cloneBlocks(fn, site.callee.blocks, values);
  fn.blocks.pop();
  fn.blocks.splice(fn.blocks.indexOf(block) + 1, 0, ...blocks, rest);
  block.terminator = newJump(blocks[0] as Block, call.loc);
  returnTo(fn, { blocks, rest, call });
}

function returnTo(fn: IrFunction, { blocks, rest, call }: { blocks: Block[]; rest: Block; call: Inst }): void {
  const results: { from: Block; value: Inst }[] = [];
  for (const block of blocks) {
    const terminator = block.terminator;
    if (terminator?.op !== "return") continue;
    if (terminator.args[0]) results.push({ from: block, value: terminator.args[0] });
    block.terminator = newJump(rest, terminator.loc);
  }
  if (call.type === undefined) return;
  let value = results[0]?.value;
  if (results.length !== 1) {
    const body = { op: "phi", blocks: results.map(({ from }) => from) } as const;
    value = makeInst(fn, call.type, { args: results.map((result) => result.value), body, loc: call.loc });
    rest.insts.unshift(value);
  }
  replaceValues(fn, new Map([[call, value as Inst]]));
}
