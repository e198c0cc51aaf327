import { EXIT, insnClass, jmpBits } from "@skep/isa";
import type { Code } from "../code.ts";

/** A run of instructions that is entered only at its start. */
export interface Block {
  readonly index: number;
  readonly start: number;
  /** Behind its last instruction. */
  readonly end: number;
  /** Blocks that may follow: of a conditional jump first the target, then what stands behind it; none for `exit` and for what cannot go on. */
  readonly next: readonly number[];
}

/** One function's blocks in reverse postorder, the entry first, and what their order says. */
export interface Graph {
  readonly blocks: readonly Block[];
  /** Immediate dominator of each block; the entry's is itself. */
  readonly dominator: Int32Array;
  /** Children in the dominator tree, in reverse postorder. */
  readonly dominated: readonly (readonly number[])[];
  /** Whether a later block jumps back to it. */
  readonly loops: Uint8Array;
  /** Whether two or more earlier edges lead to it. */
  readonly merges: Uint8Array;
  readonly reducible: boolean;
}

/** How an instruction goes on. */
export type Flow = "next" | "goto" | "branch" | "end";

export function flowOf(code: Code, pc: number): Flow {
  const opcode = code.opcode[pc] ?? 0;
  const kind = opcode & 7;
  if (kind !== insnClass.jmp && kind !== insnClass.jmp32) return "next";
  const op = opcode & 0xf0;
  if (op === jmpBits.ja) return (opcode & 8) === 0 ? "goto" : "end";
  if (opcode === EXIT) return "end";
  if (op === jmpBits.call) return "next";
  return op === jmpBits.exit ? "end" : "branch";
}

/** The instructions that may come next: target, then what stands behind. -1 and `count` are no instructions. */
function following(code: Code, pc: number): readonly number[] {
  switch (flowOf(code, pc)) {
    case "goto":
      return [code.target[pc] ?? -1];
    case "branch":
      return [code.target[pc] ?? -1, pc + 1];
    case "next":
      return [pc + 1];
    default:
      return [];
  }
}

interface Shape {
  readonly leaders: ReadonlySet<number>;
  readonly reached: Uint8Array;
}

/** What can be reached from `entry`, and where blocks begin. */
function explore(code: Code, entry: number): Shape {
  const reached = new Uint8Array(code.count);
  const leaders = new Set<number>([entry]);
  const waiting = [entry];
  for (let pc = waiting.pop(); pc !== undefined; pc = waiting.pop()) {
    if (pc < 0 || pc >= code.count || reached[pc] === 1) continue;
    reached[pc] = 1;
    const next = following(code, pc);
    if (flowOf(code, pc) !== "next") for (const to of next) leaders.add(to);
    waiting.push(...next);
  }
  return { leaders, reached };
}

/** `next` of a block may hold -1: a jump to no instruction, or the program's end. */
export function buildGraph(code: Code, entry: number): Graph {
  const { leaders, reached } = explore(code, entry);
  const starts = [...leaders].filter((pc) => reached[pc] === 1).sort((a, b) => a - b);
  const number = new Map(starts.map((pc, index) => [pc, index]));
  const raw = starts.map((start) => {
    let end = start + 1;
    while (end < code.count && reached[end] === 1 && !leaders.has(end) && flowOf(code, end - 1) === "next") end++;
    return { start, end, next: following(code, end - 1).map((pc) => number.get(pc) ?? -1) };
  });
  const order = reversePostorder(raw, number.get(entry) ?? 0);
  const place = new Int32Array(raw.length).fill(-1);
  order.forEach((old, index) => (place[old] = index));
  const blocks = order.map((old, index): Block => {
    const { start, end, next } = raw[old] ?? { start: 0, end: 0, next: [] };
    return { index, start, end, next: next.map((each) => (each < 0 ? -1 : (place[each] ?? -1))) };
  });
  return analyse(blocks);
}

function reversePostorder(raw: readonly { readonly next: readonly number[] }[], entry: number): number[] {
  const seen = new Uint8Array(raw.length);
  const post: number[] = [];
  const path: { at: number; child: number }[] = [{ at: entry, child: 0 }];
  seen[entry] = 1;
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    // The target is walked first, so that what stands behind a jump comes earlier in the order.
    const to = raw[top.at]?.next[top.child++];
    if (to === undefined) {
      post.push(top.at);
      path.pop();
    } else if (to >= 0 && seen[to] === 0) {
      seen[to] = 1;
      path.push({ at: to, child: 0 });
    }
  }
  return post.reverse();
}

function analyse(blocks: readonly Block[]): Graph {
  const count = blocks.length;
  const before: number[][] = blocks.map(() => []);
  for (const block of blocks) for (const to of block.next) before[to]?.push(block.index);
  const dominator = dominators(before, count);
  const dominated: number[][] = blocks.map(() => []);
  for (let i = 1; i < count; i++) dominated[dominator[i] ?? 0]?.push(i);
  const loops = new Uint8Array(count);
  const merges = new Uint8Array(count);
  let reducible = true;
  for (let i = 0; i < count; i++) {
    const sources = before[i] ?? [];
    merges[i] = sources.filter((from) => from < i).length > 1 ? 1 : 0;
    for (const from of sources) {
      if (from < i) continue;
      loops[i] = 1;
      if (!dominates(dominator, i, from)) reducible = false;
    }
  }
  return { blocks, dominator, dominated, loops, merges, reducible };
}

function dominates(dominator: Int32Array, above: number, below: number): boolean {
  let at = below;
  while (at > above) at = dominator[at] ?? 0;
  return at === above;
}

/** Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm. */
function dominators(before: readonly (readonly number[])[], count: number): Int32Array {
  const dominator = new Int32Array(count).fill(-1);
  dominator[0] = 0;
  const meet = (a: number, b: number): number => {
    let [left, right] = [a, b];
    while (left !== right) {
      while (left > right) left = dominator[left] ?? 0;
      while (right > left) right = dominator[right] ?? 0;
    }
    return left;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = 1; i < count; i++) {
      let found = -1;
      for (const from of before[i] ?? []) {
        if ((dominator[from] ?? -1) < 0) continue;
        found = found < 0 ? from : meet(from, found);
      }
      if (dominator[i] !== found) {
        dominator[i] = found;
        changed = true;
      }
    }
  }
  return dominator;
}

/** Marks blocks that may run again: those from which a jump back to a block above them can be reached. */
export function blocksInLoops(graph: Graph): Uint8Array {
  const marked = new Uint8Array(graph.blocks.length);
  const before: number[][] = graph.blocks.map(() => []);
  for (const block of graph.blocks) for (const to of block.next) before[to]?.push(block.index);
  for (const block of graph.blocks) {
    for (const head of block.next) {
      if (head < 0 || head > block.index) continue;
      // Backwards from the jump to its target.
      const seen = new Set([head]);
      const waiting = [block.index];
      for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
        if (seen.has(at)) continue;
        seen.add(at);
        waiting.push(...(before[at] ?? []));
      }
      for (const at of seen) marked[at] = 1;
    }
  }
  return marked;
}
