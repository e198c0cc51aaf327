/**
 * @module
 * Rewrites of single instructions: constants folded, identities, narrower and cheaper forms, byte swaps moved to compile time.
 */
import { reversePostOrder, terminatorArgs } from "../analysis/cfg.ts";
import { replaceValues, resolveAll } from "../edit.ts";
import type { TerminatorOf } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";
import type { ConstantPool } from "./pool.ts";
import { simplifyAccess, simplifyHelper, simplifyPtradd, simplifyPtrsub } from "./simplify/address.ts";
import { simplifyBinary, simplifyNeg } from "./simplify/arithmetic.ts";
import { compare, simplifyCmp, simplifySelect } from "./simplify/compare.ts";
import { Rewriter } from "./simplify/rewriter.ts";
import type { SimplifyOptions } from "./simplify/rewriter.ts";
import { simplifyExt, simplifySwap, simplifyTrunc } from "./simplify/widths.ts";

export type { SimplifyOptions } from "./simplify/rewriter.ts";

/** Goes once over the function. Returns whether something changed. */
export function simplifyInstructions(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions): boolean {
  return new Simplifier(fn, pool, options).run();
}

class Simplifier {
  readonly #fn: IrFunction;
  readonly #rewriter: Rewriter;
  readonly #replaced = new Map<Inst, Inst>();

  constructor(fn: IrFunction, pool: ConstantPool, options: SimplifyOptions) {
    this.#fn = fn;
    this.#rewriter = new Rewriter(fn, pool, options);
  }

  run(): boolean {
    for (const block of reversePostOrder(this.#fn)) this.#block(block);
    replaceValues(this.#fn, this.#replaced);
    return this.#rewriter.changed || this.#replaced.size > 0;
  }

  #block(block: Block): void {
    const insts = block.insts;
    const rewriter = this.#rewriter;
    const replaced = this.#replaced;
    const { out } = rewriter;
    out.length = 0;
    // The entry may get constants in front while it is walked: they go to the array that is there then.
    const isEntry = block === this.#fn.blocks[0];
    if (isEntry) block.insts = [];
    for (let i = 0; i < insts.length; i++) {
      const inst = insts[i] as Inst;
      if (replaced.size > 0) resolveAll(inst.args, replaced);
      rewriter.loc = inst.loc;
      const better = simplify(rewriter, inst);
      if (better === null || better === inst) out.push(inst);
      else {
        replaced.set(inst, better);
        rewriter.passUses(inst, better);
      }
    }
    if (replaced.size > 0) resolveAll(terminatorArgs(block.terminator), replaced);
    if (block.terminator?.op === "branch") {
      rewriter.loc = undefined;
      simplifyBranch(rewriter, block.terminator);
    }
    if (isEntry) block.insts = [...block.insts, ...out];
    else if (!isSame(insts, out)) block.insts = out.slice();
  }
}

function isSame(a: readonly Inst[], b: readonly Inst[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What the instruction's value is instead, the instruction itself if it was changed in place, or null. */
function simplify(r: Rewriter, inst: Inst): Inst | null {
  switch (inst.op) {
    case "binary":
      return simplifyBinary(r, inst);
    case "neg":
      return simplifyNeg(r, inst);
    case "ext":
      return simplifyExt(r, inst);
    case "trunc":
      return simplifyTrunc(r, inst);
    case "bswap":
    case "hton":
      return simplifySwap(r, inst);
    case "cmp":
      return simplifyCmp(r, inst);
    case "select":
      return simplifySelect(r, inst);
    case "ptradd":
      return simplifyPtradd(r, inst);
    case "ptrsub":
      return simplifyPtrsub(r, inst);
    case "helper":
      return simplifyHelper(r, inst);
    case "load":
    case "store":
    case "atomic":
      return simplifyAccess(r, inst);
    default:
      return null;
  }
}

function simplifyBranch(r: Rewriter, terminator: TerminatorOf<"branch">): void {
  const better = compare(r, terminator.predicate, terminator.args);
  if (better === null) return;
  r.changed = true;
  if (typeof better === "boolean") {
    const constant = r.constant("i32", 0n);
    terminator.predicate = better ? "eq" : "ne";
    terminator.args = [constant, constant];
  } else {
    r.moveUses(terminator.args, better.args);
    terminator.predicate = better.predicate;
    terminator.args = [...better.args];
  }
}
