/**
 * @module
 * Loop-invariant arithmetic is done before the loop. Pointers with a variable part stay: their bounds may be checked inside.
 */
import { accesses, callWrites, escapedObjects, isCall, mayAlias, placeOf } from "../analysis/alias.ts";
import { buildCfg, findLoops, retarget } from "../analysis/cfg.ts";
import type { Cfg, Loop } from "../analysis/cfg.ts";
import { isPure } from "../analysis/effects.ts";
import { makeBlock, makeInst } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { BinaryOp, Block, Inst, IrFunction, Terminator } from "../ir.ts";
import { newJump } from "../make.ts";

/** More values than these alive around a loop would only be spilled. */
const MOST_HOISTED = 6;

/** Returns whether something was hoisted. */
export function hoistInvariants(fn: IrFunction): boolean {
  const cfg = buildCfg(fn);
  const escaped = escapedObjects(fn);
  const checked = indexParts(fn);
  let changed = false;
  // Inner loops first: what leaves them may leave the outer ones too.
  for (const loop of findLoops(cfg).loops) changed = hoistFrom(fn, { cfg, loop, escaped, checked }) || changed;
  return changed;
}

interface Context {
  readonly cfg: Cfg;
  readonly loop: Loop;
  readonly escaped: Set<Inst>;
  /** What must stay behind the check of an index. */
  readonly checked: ReadonlySet<Inst>;
}

const SCALES = new Set<BinaryOp>(["add", "sub", "mul", "shl"]);

/** How an index becomes the variable part of a pointer: before the branch that bounds the index the verifier would not know the product. */
function indexParts(fn: IrFunction): Set<Inst> {
  const found = new Set<Inst>();
  const note = (inst: Inst): void => {
    const scales = inst.op === "binary" && SCALES.has(inst.binary) && inst.args[1]?.op === "const";
    if ((!scales && inst.op !== "ext") || found.has(inst)) return;
    found.add(inst);
    note(inst.args[0] as Inst);
  };
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (inst.op === "ptradd") note(inst.args[1] as Inst);
  }
  return found;
}

function hoistFrom(fn: IrFunction, context: Context): boolean {
  const { loop } = context;
  const inside = new Set([...loop.blocks].flatMap((block) => block.insts));
  const hoisted: Inst[] = [];
  for (const block of context.cfg.order) {
    if (!loop.blocks.has(block)) continue;
    block.insts = block.insts.filter((inst) => {
      const invariant = inst.args.every((arg) => !inside.has(arg));
      if (!invariant || hoisted.length >= MOST_HOISTED || !mayHoist(inst, block, context)) return true;
      hoisted.push(inst);
      inside.delete(inst);
      return false;
    });
  }
  if (hoisted.length === 0) return false;
  preheader(fn, context.cfg, loop).insts.push(...hoisted);
  return true;
}

function mayHoist(inst: Inst, block: Block, context: Context): boolean {
  if (inst.op === "load") return isSteady(inst, block, context);
  if (!isPure(inst) || context.checked.has(inst)) return false;
  // Made where they are used, or not worth a register.
  if (["const", "map", "data", "function", "ksym", "core", "ptradd", "cmp", "select"].includes(inst.op)) return false;
  return !(inst.op === "ext" && inst.from === 32 && !inst.signed);
}

/** A load that runs in every iteration and that nothing in the loop changes. */
function isSteady(
  load: InstOf<"load">,
  block: Block,
  { cfg, loop, escaped }: { cfg: Cfg; loop: Loop; escaped: Set<Inst> },
): boolean {
  if (load.volatile || load.core || block !== loop.header) return false;
  const place = placeOf(load.args[0] as Inst, load);
  for (const inner of loop.blocks) {
    if (!cfg.index.has(inner)) return false;
    for (const inst of inner.insts) {
      if (isCall(inst) && callWrites(inst, place, escaped)) return false;
      const { writes } = accesses(inst);
      if (writes && mayAlias(writes, place)) return false;
    }
  }
  return true;
}

/** The block that alone leads into the loop; made where there is none. */
function preheader(fn: IrFunction, cfg: Cfg, loop: Loop): Block {
  const { header } = loop;
  const entering = [...new Set((cfg.preds.get(header) ?? []).filter((pred) => !loop.blocks.has(pred)))];
  const only = entering[0];
  if (entering.length === 1 && only?.terminator?.op === "jump") return only;
  const made = makeBlock(fn);
  fn.blocks.pop();
  fn.blocks.splice(fn.blocks.indexOf(header), 0, made);
  made.terminator = newJump(header);
  for (const pred of entering) retarget(pred.terminator as Terminator, header, made);
  for (const phi of header.insts) {
    if (phi.op !== "phi") break;
    mergeIncoming(fn, phi, { entering: new Set(entering), made });
  }
  for (let outer = loop.parent; outer; outer = outer.parent) outer.blocks.add(made);
  // The graph of the caller knows the new block from here on.
  cfg.preds.set(made, entering);
  cfg.preds.set(header, [made, ...loop.latches]);
  return made;
}

function mergeIncoming(
  fn: IrFunction,
  phi: InstOf<"phi">,
  { entering, made }: { entering: Set<Block>; made: Block },
): void {
  const outer = phi.blocks
    .map((block, i) => ({ block, value: phi.args[i] as Inst }))
    .filter(({ block }) => entering.has(block));
  const inner = phi.blocks
    .map((block, i) => ({ block, value: phi.args[i] as Inst }))
    .filter(({ block }) => !entering.has(block));
  let value = outer[0]?.value as Inst;
  if (outer.some((incoming) => incoming.value !== value)) {
    const blocks = outer.map(({ block }) => block);
    const args = outer.map((incoming) => incoming.value);
    value = makeInst(fn, phi.type, { args, body: { op: "phi", blocks } });
    made.insts.unshift(value);
  }
  phi.blocks = [made, ...inner.map(({ block }) => block)];
  phi.args = [value, ...inner.map((incoming) => incoming.value)];
}
