/**
 * @module
 * A choice by one bit between numbers that are one bit apart is that bit, shifted: `(x & 4) ? 32 : 0` is `(x & 4) << 3`. A shift, never a mask:
 * the verifier goes on in two states where a constant is masked with one.
 */
import { predecessors, retarget } from "../analysis/cfg.ts";
import { makeInst, removeEdge, removeUnreachable, useCounts, widthOf, type InstBody, type InstOf } from "../edit.ts";
import type { BinaryOp, Block, Inst, IrFunction, ValueType } from "../ir.ts";
import { newJump } from "../make.ts";
import type { ConstantPool } from "./pool.ts";

interface Choice {
  readonly block: Block;
  readonly join: Block;
  readonly phi: InstOf<"phi">;
  /** x & (1 << bit). */
  readonly masked: Inst;
  readonly bit: number;
  /** What the phi takes where the bit is set, and where it is not. */
  readonly set: Inst;
  readonly clear: Inst;
}

/** base `op` (1 << to) where the bit is set, base where it is not. */
interface Form {
  readonly base: Inst;
  readonly op: BinaryOp | null;
  readonly to: number;
}

/** Returns whether a choice became a shift. */
export function selectBits(fn: IrFunction, pool: ConstantPool): boolean {
  const counts = useCounts(fn);
  const preds = predecessors(fn.blocks);
  const indexes = partsOfIndexes(fn);
  const gone = new Set<Block>();
  for (const block of fn.blocks) {
    if (gone.has(block)) continue;
    const choice = choiceAt(block, preds, counts);
    const form = choice && !indexes.has(choice.phi) ? formOf(choice, counts) : null;
    if (!choice || !form) continue;
    rewrite(fn, pool, choice, form);
    for (const arm of [...(preds.get(choice.join) ?? [])]) if (arm !== block) gone.add(arm);
    gone.add(choice.join);
  }
  if (gone.size === 0) return false;
  removeUnreachable(fn);
  return true;
}

/** What constant offsets are better for, one for each way. */
function partsOfIndexes(fn: IrFunction): ReadonlySet<Inst> {
  const found = new Set<Inst>();
  const note = (inst: Inst | undefined, depth: number): void => {
    if (!inst || depth === 0 || found.has(inst)) return;
    found.add(inst);
    if (inst.op === "binary" || inst.op === "ext" || inst.op === "trunc")
      inst.args.forEach((arg) => note(arg, depth - 1));
  };
  for (const block of fn.blocks) for (const inst of block.insts) if (inst.op === "ptradd") note(inst.args[1], 4);
  return found;
}

const constantOf = (inst: Inst | undefined): bigint | null => (inst?.op === "const" ? inst.value : null);

/** Number of the only bit. */
function bitOf(value: bigint | null): number | null {
  return value === null || value <= 0n || (value & (value - 1n)) !== 0n ? null : value.toString(2).length - 1;
}

function choiceAt(block: Block, preds: ReturnType<typeof predecessors>, counts: Uint32Array): Choice | null {
  const end = block.terminator;
  if (end?.op !== "branch" || end.likely !== undefined) return null;
  if ((end.predicate !== "ne" && end.predicate !== "eq") || constantOf(end.args[1]) !== 0n) return null;
  const [masked] = end.args;
  if (masked.op !== "binary" || masked.binary !== "and") return null;
  const bit = bitOf(constantOf(masked.args[1]));
  const arms = [end.then, end.else] as const;
  const join = joinOf(block, arms, preds);
  const [phi, ...more] = join?.insts ?? [];
  if (bit === null || !join || phi?.op !== "phi" || more[0]?.op === "phi") return null;
  const takenFrom = (arm: Block): Inst | undefined => phi.args[phi.blocks.indexOf(arm === join ? block : arm)];
  const [yes, no] = arms.map(takenFrom);
  if (!yes || !no || counts[phi.id] === 0) return null;
  const [set, clear] = end.predicate === "ne" ? [yes, no] : [no, yes];
  return { block, join, phi, masked, bit, set, clear };
}

/** Where both ways meet at once, and no other comes. */
function joinOf(block: Block, arms: readonly [Block, Block], preds: ReturnType<typeof predecessors>): Block | null {
  const after = (arm: Block): Block | null =>
    arm.terminator?.op === "jump" && preds.get(arm)?.length === 1 ? arm.terminator.to : null;
  const [yes, no] = arms;
  if (yes === no) return null;
  const join = after(yes) === no ? no : after(no) === yes ? yes : after(yes);
  if (!join || join === block || preds.get(join)?.length !== 2) return null;
  return arms.every((arm) => arm === join || after(arm) === join) ? join : null;
}

const STEPS: ReadonlySet<BinaryOp> = new Set<BinaryOp>(["add", "sub", "or", "xor"]);

function formOf({ block, join, phi, set, clear }: Choice, counts: Uint32Array): Form | null {
  const arms = phi.blocks.filter((arm) => arm !== block);
  const insts = arms.flatMap((arm) => (arm === join ? [] : arm.insts));
  const width = widthOf(phi.type);
  const [high, low] = [constantOf(set), constantOf(clear)];
  if (high !== null && low !== null) {
    if (insts.length > 0) return null;
    const up = bitOf(BigInt.asUintN(width, high - low));
    if (up !== null) return { base: clear, op: low === 0n ? null : "add", to: up };
    const down = bitOf(BigInt.asUintN(width, low - high));
    if (down === null) return null;
    return { base: clear, op: ((low >> BigInt(down)) & 1n) === 1n ? "xor" : "sub", to: down };
  }
  // n += 8 on one way alone.
  const [only] = insts;
  if (insts.length !== 1 || only !== set || set.op !== "binary" || !STEPS.has(set.binary)) return null;
  const to = bitOf(constantOf(set.args[1]));
  if (to === null || set.args[0] !== clear || counts[set.id] !== 1) return null;
  return { base: clear, op: set.binary, to };
}

function rewrite(fn: IrFunction, pool: ConstantPool, choice: Choice, { base, op, to }: Form): void {
  const { block, join, phi, masked, bit } = choice;
  const loc = block.terminator?.loc;
  const emit = (type: ValueType, args: Inst[], body: InstBody): Inst => {
    const inst = makeInst(fn, type, { args, body, loc });
    block.insts.push(inst);
    return inst;
  };
  const type = phi.type as ValueType;
  let value = masked;
  const fit = (): void => {
    if (value.type === type) return;
    if (type === "i32") value = emit("i32", [value], { op: "trunc" });
    else value = emit("i64", [value], { op: "ext", from: 32, signed: false });
  };
  if (to > bit) {
    fit();
    value = emit(type, [value, pool.get(type, BigInt(to - bit))], { op: "binary", binary: "shl" });
  } else {
    const own = masked.type as ValueType;
    if (to < bit) value = emit(own, [value, pool.get(own, BigInt(bit - to))], { op: "binary", binary: "lshr" });
    fit();
  }
  if (op !== null) {
    const args = base.op === "const" && op !== "sub" ? [value, base] : [base, value];
    value = emit(type, args, { op: "binary", binary: op });
  }
  const end = block.terminator;
  if (end?.op !== "branch") return;
  for (const arm of [end.then, end.else]) {
    if (arm !== join) removeEdge(arm, join);
    retarget(end, arm, join);
  }
  block.terminator = newJump(join, loc);
  phi.args = [value];
  phi.blocks = [block];
}
