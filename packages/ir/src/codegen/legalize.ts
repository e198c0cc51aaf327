/**
 * @module
 * What no instruction does becomes what instructions do: select, compares as values, switch, signed division, block copies,
 * accesses that the verifier wants aligned. The result is still IR.
 */
import { predecessors, successors } from "../analysis/cfg.ts";
import { become, makeBlock, makeBranch, makeConst, makeInst, splitEdge, useCounts } from "../edit.ts";
import type { InstBody, InstOf, TerminatorOf } from "../edit.ts";
import type { Block, EmitOptions, Inst, IrFunction, Loc, Predicate, Space, Terminator, ValueType } from "../ir.ts";
import { newJump } from "../make.ts";
import { INVERSE } from "../predicate.ts";
import { sinkIntoEdges } from "./sink.ts";

export interface Target {
  readonly cpu: 1 | 2 | 3 | 4;
  readonly byteOrder: "little" | "big";
}

export function targetOf(options: EmitOptions): Target {
  return { cpu: options.cpu ?? 3, byteOrder: options.byteOrder ?? "little" };
}

/** Collects the instructions that replace one. */
export class Emitter {
  readonly fn: IrFunction;
  readonly out: Inst[];
  loc: Loc | undefined;

  constructor(fn: IrFunction, out: Inst[]) {
    this.fn = fn;
    this.out = out;
  }

  emit(type: ValueType | undefined, args: Inst[], body: InstBody): Inst {
    const inst = makeInst(this.fn, type, { args, body, loc: this.loc });
    this.out.push(inst);
    return inst;
  }

  constant(type: ValueType, value: bigint): Inst {
    const inst = makeConst(this.fn, type, value);
    this.out.push(inst);
    return inst;
  }

  binary(binary: InstOf<"binary">["binary"], a: Inst, b: Inst | bigint): Inst {
    const type = a.type as ValueType;
    return this.emit(type, [a, typeof b === "bigint" ? this.constant(type, b) : b], { op: "binary", binary });
  }
}

/** Copies and zeroing become loads and stores; accesses get the alignment that the verifier asks for. */
export function lowerMemory(fn: IrFunction): boolean {
  let changed = false;
  for (const block of fn.blocks) {
    if (!block.insts.some(isToLower)) continue;
    changed = true;
    const out: Inst[] = [];
    const emitter = new Emitter(fn, out);
    for (const inst of block.insts) {
      emitter.loc = inst.loc;
      if (inst.op === "copy") lowerCopy(emitter, inst);
      else if (inst.op === "zero") lowerZero(emitter, inst);
      else if (inst.op === "load" && misaligned(inst)) lowerLoad(emitter, inst);
      else if (inst.op === "store" && misaligned(inst)) lowerStore(emitter, inst);
      else out.push(inst);
    }
    block.insts = out;
  }
  return changed;
}

function isToLower(inst: Inst): boolean {
  return inst.op === "copy" || inst.op === "zero" || ((inst.op === "load" || inst.op === "store") && misaligned(inst));
}

/** Spaces where the verifier (or, for `unknown`, possibly) is strict about alignment. */
function isStrict(space: Space): boolean {
  return space === "stack" || space === "unknown" || space === "ctx";
}

/** The widest power of two up to 8 that the address (base aligned to 8, stack objects are) or the promise allows. */
export function knownAlign(pointer: Inst, offset: number, promised: number): number {
  let at = offset;
  let root = pointer;
  for (;;) {
    const step = root.op === "ptradd" ? root.args[1] : undefined;
    if (step?.op !== "const") break;
    at += Number(BigInt.asIntN(64, step.value));
    root = root.args[0] as Inst;
  }
  if (root.op !== "stack") return promised;
  return (at & 7) === 0 ? 8 : at & -at & 7;
}

function misaligned(inst: InstOf<"load"> | InstOf<"store">): boolean {
  if (!isStrict(inst.space) || inst.space === "ctx") return false;
  return knownAlign(inst.args[0] as Inst, inst.offset, inst.align) < inst.size;
}

/** Offsets and sizes that cover `bytes`, the widest first, each at most `limit(offset)` wide. */
function pieces(bytes: number, limit: (offset: number) => number): { at: number; size: 1 | 2 | 4 | 8 }[] {
  const found: { at: number; size: 1 | 2 | 4 | 8 }[] = [];
  for (let at = 0; at < bytes;) {
    let size: 1 | 2 | 4 | 8 = 8;
    while (size > bytes - at || size > limit(at)) size = (size / 2) as 1 | 2 | 4;
    found.push({ at, size });
    at += size;
  }
  return found;
}

function limits(space: Space, pointer: Inst, place: { offset: number; align: number }): (at: number) => number {
  // Reads through BTF pointers must match the fields.
  if (!isStrict(space) && space !== "kernel") return () => 8;
  // What is promised is the alignment of the whole access's start.
  return (at) => knownAlign(pointer, place.offset + at, at === 0 ? place.align : Math.min(place.align, at & -at));
}

function lowerCopy(emitter: Emitter, inst: InstOf<"copy">): void {
  const [to, from] = inst.args as [Inst, Inst];
  const { toSpace, fromSpace, toOffset, fromOffset, align, bytes } = inst;
  const write = limits(toSpace, to, { offset: toOffset, align });
  const read = limits(fromSpace, from, { offset: fromOffset, align });
  for (const { at, size } of pieces(bytes, (at) => Math.min(write(at), read(at)))) {
    const type = size === 8 ? "i64" : "i32";
    const load = { op: "load", size, signed: false, offset: fromOffset + at, space: fromSpace, align: size } as const;
    const value = emitter.emit(type, [from], load);
    emitter.emit(undefined, [to, value], { op: "store", size, offset: toOffset + at, space: toSpace, align: size });
  }
}

function lowerZero(emitter: Emitter, inst: InstOf<"zero">): void {
  const to = inst.args[0] as Inst;
  const limit = limits(inst.space, to, inst);
  for (const { at, size } of pieces(inst.bytes, limit)) {
    const zero = emitter.constant(size === 8 ? "i64" : "i32", 0n);
    emitter.emit(undefined, [to, zero], {
      op: "store",
      size,
      offset: inst.offset + at,
      space: inst.space,
      align: size,
    });
  }
}

function lowerLoad(emitter: Emitter, inst: InstOf<"load">): void {
  const pointer = inst.args[0] as Inst;
  const limit = limits(inst.space, pointer, inst);
  let whole: Inst | undefined;
  for (const { at, size } of pieces(inst.size, limit)) {
    let part = emitter.emit("i64", [pointer], {
      op: "load",
      size,
      signed: false,
      offset: inst.offset + at,
      space: inst.space,
      align: size,
    });
    if (at > 0) part = emitter.binary("shl", part, BigInt(at * 8));
    whole = whole === undefined ? part : emitter.binary("or", whole, part);
  }
  const value = whole as Inst;
  const type = inst.type as ValueType;
  const last =
    inst.signed && inst.size < 8
      ? { op: "ext" as const, from: (inst.size * 8) as 16 | 32, signed: true }
      : type === "i32"
        ? { op: "trunc" as const }
        : { op: "binary" as const, binary: "or" as const };
  becomeLast(emitter, inst, last.op === "binary" ? [value, emitter.constant("i64", 0n)] : [value], last);
}

function lowerStore(emitter: Emitter, inst: InstOf<"store">): void {
  const [pointer, given] = inst.args as [Inst, Inst];
  const value = given.type === "i32" ? emitter.emit("i64", [given], { op: "ext", from: 32, signed: false }) : given;
  for (const { at, size } of pieces(inst.size, limits(inst.space, pointer, inst))) {
    const part = at === 0 ? value : emitter.binary("lshr", value, BigInt(at * 8));
    emitter.emit(undefined, [pointer, part], {
      op: "store",
      size,
      offset: inst.offset + at,
      space: inst.space,
      align: size,
    });
  }
}

/** Gives `inst` another operation, so that its users need no change, and puts it last. */
export function becomeLast(emitter: Emitter, inst: Inst, args: Inst[], body: InstBody): void {
  become(inst, args, body);
  emitter.out.push(inst);
}

/** The last expansions before selection; blocks are split where control is needed. */
export function legalize(fn: IrFunction, target: Target): void {
  lowerMemory(fn);
  lowerDivision(fn, target);
  lowerChoices(fn);
  lowerSwitches(fn);
  if (target.cpu < 3) widenCompares(fn);
  splitCriticalEdges(fn);
  sinkIntoEdges(fn);
}

function lowerDivision(fn: IrFunction, target: Target): void {
  for (const block of fn.blocks) {
    const emitter = new Emitter(fn, []);
    for (const inst of block.insts) {
      emitter.loc = inst.loc;
      const signed = inst.op === "binary" && (inst.binary === "sdiv" || inst.binary === "smod");
      if (signed && target.cpu < 4) signedDivision(emitter, inst as InstOf<"binary">);
      else emitter.out.push(inst);
    }
    block.insts = emitter.out;
  }
}

/** Division of magnitudes, the sign put back; without branches. */
function signedDivision(emitter: Emitter, inst: InstOf<"binary">): void {
  const [a, b] = inst.args as [Inst, Inst];
  const top = inst.type === "i32" ? 31n : 63n;
  const signA = emitter.binary("ashr", a, top);
  const signB = emitter.binary("ashr", b, top);
  const magnitude = (value: Inst, sign: Inst): Inst => emitter.binary("sub", emitter.binary("xor", value, sign), sign);
  const [absA, absB] = [magnitude(a, signA), magnitude(b, signB)];
  const isQuotient = inst.binary === "sdiv";
  const result = emitter.binary(isQuotient ? "udiv" : "umod", absA, absB);
  const sign = isQuotient ? emitter.binary("xor", signA, signB) : signA;
  const flipped = emitter.binary("xor", result, sign);
  becomeLast(emitter, inst, [flipped, sign], { op: "binary", binary: "sub" });
}

/** `select` and compares whose value is wanted become branches (BPF has no conditional move). */
function lowerChoices(fn: IrFunction): void {
  const counts = useCounts(fn);
  const drop = (inst: Inst): void => {
    counts[inst.id] = (counts[inst.id] ?? 0) - 1;
  };
  for (const block of fn.blocks) {
    for (const inst of block.insts)
      if (inst.op === "select" && fuseCondition(inst.args[0] as Inst)) drop(inst.args[0] as Inst);
    const terminator = block.terminator;
    if (terminator?.op !== "branch") continue;
    const fused = fuseBranch(terminator);
    if (fused === null) continue;
    drop(terminator.args[0]);
    terminator.predicate = fused.predicate;
    terminator.args = fused.args;
    for (const arg of fused.args) counts[arg.id] = (counts[arg.id] ?? 0) + 1;
  }
  for (let i = 0; i < fn.blocks.length; i++) {
    const block = fn.blocks[i] as Block;
    block.insts = block.insts.filter((inst) => inst.op !== "cmp" || (counts[inst.id] ?? 0) > 0);
    const at = block.insts.findIndex((inst) => inst.op === "select" || inst.op === "cmp");
    if (at >= 0) lowerChoice(fn, block, at);
  }
}

/** The compare behind a branch on its value against 0. */
export function fuseBranch(terminator: TerminatorOf<"branch">): { predicate: Predicate; args: [Inst, Inst] } | null {
  const [value, zero] = terminator.args;
  const { predicate } = terminator;
  if ((predicate !== "ne" && predicate !== "eq") || zero.op !== "const" || zero.value !== 0n) return null;
  const inner = fuseCondition(value);
  if (inner === null || predicate === "ne") return inner;
  const inverse = INVERSE[inner.predicate];
  return inverse ? { predicate: inverse, args: inner.args } : null;
}

/** Cuts `block` before `at`: it keeps what is before; the rest, with the terminator, goes to the returned block. */
function cutBlock(fn: IrFunction, block: Block, at: number): Block {
  const rest = makeBlock(fn);
  // Beside its first half, so that the order stays natural.
  fn.blocks.pop();
  fn.blocks.splice(fn.blocks.indexOf(block) + 1, 0, rest);
  rest.insts = block.insts.splice(at);
  rest.terminator = block.terminator;
  for (const next of new Set(successors(rest.terminator))) {
    for (const phi of next.insts) {
      if (phi.op === "phi") phi.blocks = phi.blocks.map((from) => (from === block ? rest : from));
    }
  }
  block.terminator = undefined;
  return rest;
}

function lowerChoice(fn: IrFunction, block: Block, at: number): void {
  const inst = block.insts[at] as InstOf<"select"> | InstOf<"cmp">;
  const rest = cutBlock(fn, block, at);
  rest.insts.shift();
  const emitter = new Emitter(fn, block.insts);
  emitter.loc = inst.loc;
  const otherwise = makeBlock(fn);
  fn.blocks.pop();
  fn.blocks.splice(fn.blocks.indexOf(rest), 0, otherwise);
  otherwise.terminator = newJump(rest, inst.loc);
  const targets = { yes: rest, no: otherwise, loc: inst.loc };
  const phi = new Emitter(fn, []);
  if (inst.op === "cmp") {
    const [one, zero] = [emitter.constant("i32", 1n), emitter.constant("i32", 0n)];
    block.terminator = makeBranch(inst.predicate, [inst.args[0] as Inst, inst.args[1] as Inst], targets);
    becomeLast(phi, inst, [one, zero], { op: "phi", blocks: [block, otherwise] });
  } else {
    const [condition, a, b] = inst.args as [Inst, Inst, Inst];
    const fused = fuseCondition(condition);
    if (fused) block.terminator = makeBranch(fused.predicate, [...fused.args], targets);
    else block.terminator = makeBranch("ne", [condition, emitter.constant("i32", 0n)], targets);
    becomeLast(phi, inst, [a, b], { op: "phi", blocks: [block, otherwise] });
  }
  rest.insts.unshift(inst);
}

/** The compare behind a condition, to branch on it directly. */
function fuseCondition(condition: Inst): { predicate: InstOf<"cmp">["predicate"]; args: [Inst, Inst] } | null {
  if (condition.op !== "cmp") return null;
  return { predicate: condition.predicate, args: [condition.args[0] as Inst, condition.args[1] as Inst] };
}

/** A tree of compares: each step halves the sorted cases, equality decides at the leaves. */
function lowerSwitches(fn: IrFunction): void {
  for (const block of [...fn.blocks]) {
    if (block.terminator?.op === "switch") lowerSwitch(fn, block, block.terminator);
  }
}

function lowerSwitch(fn: IrFunction, block: Block, terminator: Extract<Terminator, { op: "switch" }>): void {
  const value = terminator.args[0];
  const otherwise = terminator.default;
  const cases = [...terminator.cases].sort((a, b) => (a.value < b.value ? -1 : 1)).filter(({ to }) => to !== otherwise);
  const before = successors(terminator);
  const incoming: { to: Block; from: Block }[] = [];
  const build = (here: Block, low: number, high: number): void => {
    const emitter = new Emitter(fn, here.insts);
    const jump = (test: { predicate: "eq" | "ult"; value: bigint }, yes: Block, no: Block): void => {
      const args: [Inst, Inst] = [value, emitter.constant(value.type as ValueType, test.value)];
      here.terminator = makeBranch(test.predicate, args, { yes, no, loc: terminator.loc });
    };
    if (high - low <= 3) {
      for (let i = low; i < high; i++) {
        const entry = cases[i] as { value: bigint; to: Block };
        const next = i + 1 < high ? makeBlock(fn) : otherwise;
        const emitter = new Emitter(fn, here.insts);
        const args: [Inst, Inst] = [value, emitter.constant(value.type as ValueType, entry.value)];
        here.terminator = makeBranch("eq", args, { yes: entry.to, no: next, loc: terminator.loc });
        incoming.push({ to: entry.to, from: here });
        if (next === otherwise) incoming.push({ to: otherwise, from: here });
        here = next;
      }
      return;
    }
    const middle = (low + high) >> 1;
    const [left, right] = [makeBlock(fn), makeBlock(fn)];
    jump({ predicate: "ult", value: (cases[middle] as { value: bigint }).value }, left, right);
    build(left, low, middle);
    build(right, middle, high);
  };
  if (cases.length === 0) {
    block.terminator = newJump(otherwise, terminator.loc);
    incoming.push({ to: otherwise, from: block });
  } else build(block, 0, cases.length);
  for (const to of new Set(before)) {
    const from = incoming.filter((edge) => edge.to === to).map((edge) => edge.from);
    for (const phi of to.insts) {
      if (phi.op !== "phi") continue;
      const given = phi.args[phi.blocks.indexOf(block)] as Inst;
      const others = phi.blocks.map((b, i) => [b, phi.args[i] as Inst] as const).filter(([b]) => b !== block);
      phi.blocks = [...others.map(([b]) => b), ...from];
      phi.args = [...others.map(([, arg]) => arg), ...from.map(() => given)];
    }
  }
}

/** Before version 3 compares have 64 bits only. */
function widenCompares(fn: IrFunction): void {
  for (const block of fn.blocks) {
    const terminator = block.terminator;
    if (terminator?.op !== "branch" || terminator.args[0].type !== "i32") continue;
    const signed = terminator.predicate.startsWith("s") && terminator.predicate !== "set";
    const emitter = new Emitter(fn, block.insts);
    emitter.loc = terminator.loc;
    const widen = (arg: Inst): Inst => {
      if (arg.op === "const") return emitter.constant("i64", signed ? BigInt.asIntN(32, arg.value) : arg.value);
      return emitter.emit("i64", [arg], { op: "ext", from: 32, signed });
    };
    terminator.args = [widen(terminator.args[0]), widen(terminator.args[1])];
  }
}

/** Puts a block on each edge from a block with several successors to one with several predecessors and phis. */
export function splitCriticalEdges(fn: IrFunction): void {
  const preds = predecessors(fn.blocks);
  for (const block of [...fn.blocks]) {
    const next = successors(block.terminator);
    if (next.length < 2) continue;
    for (const to of new Set(next)) {
      const joins = (preds.get(to)?.length ?? 0) > 1;
      if (joins && to.insts[0]?.op === "phi") splitEdge(fn, block, to);
    }
  }
}
