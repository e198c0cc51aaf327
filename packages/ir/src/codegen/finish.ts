/**
 * @module
 * After registers are known: two-operand instructions, the stack's layout, the order of blocks.
 */
import { isCommutative } from "./interference.ts";
import { blockSuccessors, isCompareExchange, makeInst, NONE, R10 } from "./mir.ts";
import type { MBlock, MFunction, MInst } from "./mir.ts";
import * as op from "./opcodes.ts";

const MOV64_X = op.ALU64 | op.MOV | op.X;
const STORE = op.STX | op.MODE_MEM | op.SIZE[8];
const LOAD = op.LDX | op.MODE_MEM | op.SIZE[8];

/** Gives slots their place below r10, spills nearest; returns the frame's size in bytes. */
export function layoutStack(code: MFunction): number {
  const used = new Set<number>();
  for (const block of code.blocks) {
    for (const inst of block.insts) {
      const slot = code.slots[inst.slot];
      if (slot === undefined) continue;
      used.add(inst.slot);
      slot.weight += 8 ** Math.min(block.depth, 6);
    }
  }
  const order = [...used].sort((i, j) => {
    const [a, b] = [code.slots[i] as MFunction["slots"][0], code.slots[j] as MFunction["slots"][0]];
    return Number(b.spill) - Number(a.spill) || b.weight / b.bytes - a.weight / a.bytes || i - j;
  });
  let depth = 0;
  for (const index of order) {
    const slot = code.slots[index] as MFunction["slots"][0];
    depth += (slot.bytes + 7) & ~7;
    slot.offset = -depth;
  }
  return depth;
}

/** Makes every instruction one or two of the machine's, with `dst` as first operand. */
export function expandOperands(code: MFunction): void {
  for (const block of code.blocks) {
    const out: MInst[] = [];
    for (const inst of block.insts) expand(code, inst, out);
    block.insts = out;
  }
}

function expand(code: MFunction, inst: MInst, out: MInst[]): void {
  const frame = inst.slot >= 0 ? (code.slots[inst.slot]?.offset ?? 0) : 0;
  const move = (dst: number, a: number): void => {
    if (dst !== a) out.push(makeInst("mov", MOV64_X, { dst, a, loc: inst.loc }));
  };
  switch (inst.kind) {
    case "mov":
      if (inst.opcode === MOV64_X && inst.dst === inst.a && inst.offset === 0) return;
      out.push(inst);
      return;
    case "alu":
      expandAlu(inst, out, move);
      return;
    case "frame":
      move(inst.dst, R10);
      out.push(
        makeInst("alu", op.ALU64 | op.ADD, { dst: inst.dst, a: inst.dst, imm: frame + inst.offset, loc: inst.loc }),
      );
      return;
    case "spill":
      out.push({ ...inst, kind: "store", opcode: STORE, a: R10, offset: frame });
      return;
    case "reload":
      out.push({ ...inst, kind: "load", opcode: LOAD, a: R10, offset: frame });
      return;
    case "atomic":
      if (inst.dst !== NONE && !isCompareExchange(inst)) {
        move(inst.dst, inst.b);
        inst.b = inst.dst;
      }
      out.push({ ...inst, offset: inst.offset + frame });
      return;
    default:
      out.push(inst.slot >= 0 ? { ...inst, offset: inst.offset + frame } : inst);
  }
}

function expandAlu(inst: MInst, out: MInst[], move: (dst: number, a: number) => void): void {
  const { dst, a, b } = inst;
  if (b === NONE || dst === a || dst !== b) {
    move(dst, a);
    out.push({ ...inst, a: dst });
  } else if (isCommutative(inst)) {
    out.push({ ...inst, a: dst, b: a });
  } else {
    throw new Error(`a register is both result and right operand of opcode ${inst.opcode}`);
  }
}

/** Skips empty blocks and turns branches with one target into jumps. */
export function threadJumps(code: MFunction): void {
  const final = (block: MBlock): MBlock => {
    const seen = new Set<MBlock>();
    let at = block;
    while (at.insts.length === 0 && at.terminator.kind === "jump" && !seen.has(at)) {
      seen.add(at);
      at = at.terminator.to;
    }
    return at;
  };
  for (const block of code.blocks) {
    let terminator = block.terminator;
    if (terminator.kind === "branch") {
      terminator.yes = final(terminator.yes);
      terminator.no = final(terminator.no);
      if (terminator.yes === terminator.no) {
        terminator = { kind: "jump", to: terminator.yes, loc: terminator.loc };
        block.terminator = terminator;
      }
    } else if (terminator.kind === "jump") {
      terminator.to = final(terminator.to);
      const { to } = terminator;
      if (to.insts.length === 0 && to.terminator.kind === "exit") block.terminator = { ...to.terminator };
    }
  }
  keepReachable(code);
}

/** Blocks that do the same and go on alike become one. */
export function mergeEqualBlocks(code: MFunction): void {
  const own = new Map<MBlock, number>();
  for (let changed = true; changed;) {
    changed = false;
    const known = new Map<number, MBlock[]>();
    const replaced = new Map<MBlock, MBlock>();
    for (let i = 1; i < code.blocks.length; i++) {
      const block = code.blocks[i] as MBlock;
      const hash = hashOf(block, own);
      const alike = known.get(hash);
      const twin = alike?.find((other) => doSame(other, block));
      if (twin !== undefined) {
        replaced.set(block, twin);
        twin.cold &&= block.cold;
      } else if (alike) alike.push(block);
      else known.set(hash, [block]);
    }
    if (replaced.size === 0) continue;
    changed = true;
    const target = (block: MBlock): MBlock => replaced.get(block) ?? block;
    for (const block of code.blocks) {
      const terminator = block.terminator;
      if (terminator.kind === "jump") terminator.to = target(terminator.to);
      else if (terminator.kind === "branch") {
        terminator.yes = target(terminator.yes);
        terminator.no = target(terminator.no);
        if (terminator.yes === terminator.no) {
          block.terminator = { kind: "jump", to: terminator.yes, loc: terminator.loc };
        }
      }
    }
    keepReachable(code);
  }
}

/** Equal for blocks that do the same. `own`: what was found of blocks' instructions before; they do not change. */
function hashOf(block: MBlock, own: Map<MBlock, number>): number {
  let hash = own.get(block);
  if (hash === undefined) {
    hash = block.insts.length;
    for (let i = 0; i < block.insts.length; i++) {
      const { opcode, dst, a, b, offset, imm } = block.insts[i] as MInst;
      hash = mix(mix(hash, (opcode << 12) ^ (dst << 8) ^ (a << 4) ^ b), mix(offset, imm));
    }
    own.set(block, hash);
  }
  const { terminator } = block;
  if (terminator.kind === "jump") return mix(hash, terminator.to.id);
  return terminator.kind === "branch" ? mix(mix(hash, terminator.yes.id), terminator.no.id) : hash;
}

const mix = (hash: number, word: number): number => (Math.imul(hash ^ word, 0x9e37_79b1) ^ (hash >>> 15)) | 0;

/** Where they come from does not count. */
function doSame(a: MBlock, b: MBlock): boolean {
  if (a.insts.length !== b.insts.length || !endAlike(a.terminator, b.terminator)) return false;
  for (let i = 0; i < a.insts.length; i++) if (!isTwin(a.insts[i] as MInst, b.insts[i] as MInst)) return false;
  return true;
}

function isTwin(a: MInst, b: MInst): boolean {
  return (
    a.opcode === b.opcode &&
    a.dst === b.dst &&
    a.a === b.a &&
    a.b === b.b &&
    a.offset === b.offset &&
    a.imm === b.imm &&
    (a.immHigh ?? 0) === (b.immHigh ?? 0) &&
    (a.count ?? 0) === (b.count ?? 0) &&
    a.space === b.space &&
    referKey(a) === referKey(b)
  );
}

const referKey = ({ ref, core }: MInst): string => (ref || core ? JSON.stringify([ref, core]) : "");

function endAlike(a: MBlock["terminator"], b: MBlock["terminator"]): boolean {
  if (a.kind === "jump") return b.kind === "jump" && a.to === b.to;
  if (a.kind !== "branch" || b.kind !== "branch") return a.kind === b.kind;
  const sameTest = a.condition === b.condition && a.wide === b.wide && a.a === b.a && a.b === b.b && a.imm === b.imm;
  return sameTest && a.yes === b.yes && a.no === b.no;
}

export function keepReachable(code: MFunction): void {
  const entry = code.blocks[0];
  if (entry === undefined) return;
  const live = new Set<MBlock>([entry]);
  for (const block of live) for (const next of blockSuccessors(block)) live.add(next);
  code.blocks = code.blocks.filter((block) => live.has(block));
}

/** Blocks that only unlikely branches lead to. */
export function markCold(code: MFunction): void {
  const warm = new Set<MBlock>();
  const entry = code.blocks[0];
  if (entry === undefined) return;
  warm.add(entry);
  for (const block of warm) {
    const terminator = block.terminator;
    if (terminator.kind === "branch") {
      if (terminator.likely !== false) warm.add(terminator.yes);
      if (terminator.likely !== true) warm.add(terminator.no);
    } else if (terminator.kind === "jump") warm.add(terminator.to);
  }
  for (const block of code.blocks) block.cold = !warm.has(block);
}

/** Orders blocks so that the usual way falls through, loops stay together and cold blocks come last. */
export function orderBlocks(code: MFunction): void {
  const entry = code.blocks[0];
  if (entry === undefined) return;
  const waiting = forwardPredecessors(code);
  const placed = new Set<MBlock>();
  const ready: MBlock[] = [];
  const place = (block: MBlock): void => {
    placed.add(block);
    for (const next of blockSuccessors(block)) {
      const left = waiting.get(next) as Set<MBlock>;
      left.delete(block);
      if (left.size === 0 && !placed.has(next) && !ready.includes(next)) ready.push(next);
    }
  };
  let current: MBlock | undefined = entry;
  while (current !== undefined) {
    place(current);
    current = choose(current, ready, placed) ?? code.blocks.find((block) => !placed.has(block));
    const at = current ? ready.indexOf(current) : -1;
    if (at >= 0) ready.splice(at, 1);
  }
  code.blocks = [...placed];
}

/** For each block the predecessors that should stand before it: not those of back edges, and of warm blocks no cold ones. */
function forwardPredecessors(code: MFunction): Map<MBlock, Set<MBlock>> {
  const preds = new Map<MBlock, Set<MBlock>>(code.blocks.map((block) => [block, new Set<MBlock>()]));
  const state = new Map<MBlock, "open" | "done">();
  const entry = code.blocks[0] as MBlock;
  const stack: { block: MBlock; next: MBlock[] }[] = [{ block: entry, next: blockSuccessors(entry) }];
  state.set(entry, "open");
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.next.pop();
    if (next === undefined) {
      state.set(top.block, "done");
      stack.pop();
      continue;
    }
    if (state.get(next) === "open") continue;
    if (next.cold || !top.block.cold) preds.get(next)?.add(top.block);
    if (state.has(next)) continue;
    state.set(next, "open");
    stack.push({ block: next, next: blockSuccessors(next) });
  }
  return preds;
}

function choose(last: MBlock, ready: readonly MBlock[], placed: ReadonlySet<MBlock>): MBlock | undefined {
  const terminator = last.terminator;
  const next = blockSuccessors(last).filter((block) => !placed.has(block) && ready.includes(block));
  let best: MBlock | undefined;
  let bestScore = -Infinity;
  for (const [i, block] of ready.entries()) {
    let score = block.depth * 1000 - (block.cold ? 100_000 : 0);
    // The most recently opened block keeps what belongs together together.
    score += i * 0.001;
    if (next.includes(block)) score += 100;
    if (terminator.kind === "branch") {
      if (terminator.likely === true && block === terminator.yes) score += 50;
      if (terminator.likely === false && block === terminator.no) score += 50;
      if (terminator.likely === undefined && block === terminator.yes)
        score += terminator.condition === op.JSET ? -10 : 10;
    }
    if (score > bestScore) [best, bestScore] = [block, score];
  }
  return best;
}
