/**
 * @module
 * Equal computations are done once, where the first dominates the others.
 */
import { possibleBits } from "../analysis/bits.ts";
import { buildCfg, terminatorArgs } from "../analysis/cfg.ts";
import { replaceValues } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

const COMMUTATIVE = new Set(["add", "mul", "and", "or", "xor"]);

/** Returns whether something was shared. */
export function numberValues(fn: IrFunction): boolean {
  const cfg = buildCfg(fn);
  const entry = cfg.order[0];
  if (entry === undefined) return false;
  const replaced = new Map<Inst, Inst>();
  const table = new ValueTable();
  const checks = new Checks(fn);
  const resolveAll = (args: Inst[]): void => {
    if (replaced.size === 0) return;
    for (let i = 0; i < args.length; i++) args[i] = replaced.get(args[i] as Inst) ?? (args[i] as Inst);
  };
  const visit = (block: Block, depth: number): Frame => {
    const { insts } = block;
    const mark = table.size;
    const before = replaced.size;
    checks.enter(cfg.preds.get(block), depth);
    for (let i = 0; i < insts.length; i++) {
      const inst = insts[i] as Inst;
      resolveAll(inst.args);
      const operator = operatorOf(inst);
      if (operator < 0) continue;
      const known = table.find(inst, operator, block);
      if (known && !checks.separate(inst, table.depth)) replaced.set(inst, known);
      else table.add(inst, depth);
    }
    if (replaced.size > before) block.insts = insts.filter((inst) => !replaced.has(inst));
    resolveAll(terminatorArgs(block.terminator));
    const children = cfg.children.get(block) ?? [];
    return { children, left: children.length, mark };
  };
  // What a block adds is known in the blocks that it dominates alone.
  const stack: Frame[] = [visit(entry, 0)];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (top.left > 0) stack.push(visit(top.children[--top.left] as Block, stack.length));
    else {
      table.cut(top.mark);
      stack.pop();
      checks.leave(stack.length);
    }
  }
  replaceValues(fn, replaced);
  return replaced.size > 0;
}

/** A block on the way from the entry. */
interface Frame {
  readonly children: readonly Block[];
  /** Of the children, from the first. */
  left: number;
  /** What the table held before the block. */
  readonly mark: number;
}

/** How much of a chain of arithmetic is looked at. */
const MOST_STEPS = 4;
/** What a packet's variable offset may be before its bound counts. */
const SMALL_OFFSET = 0x7fffn;

/**
 * Branches between two equal computations of an index. The verifier brings a bound to copies, not to what was computed before: behind the branch
 * the index is computed anew.
 */
class Checks {
  readonly #indexes: ReadonlySet<Inst>;
  /** Where in the dominator tree each value was compared, outermost first. */
  readonly #compared = new Map<Inst, number[]>();
  readonly #entered: { readonly depth: number; readonly value: Inst }[] = [];

  constructor(fn: IrFunction) {
    this.#indexes = indexesOf(fn);
  }

  /** Comes into a block from its predecessors. */
  enter(preds: readonly Block[] | undefined, depth: number): void {
    if (this.#indexes.size === 0) return;
    const terminator = preds?.length === 1 ? preds[0]?.terminator : undefined;
    if (terminator?.op !== "branch") return;
    for (const arg of terminator.args) {
      for (let value: Inst | undefined = arg; value && value.op !== "const"; value = copied(value)) {
        const depths = this.#compared.get(value) ?? [];
        this.#compared.set(value, depths);
        depths.push(depth);
        this.#entered.push({ depth, value });
      }
    }
  }

  leave(depth: number): void {
    for (let last = this.#entered.at(-1); last && last.depth >= depth; last = this.#entered.at(-1)) {
      this.#compared.get(last.value)?.pop();
      this.#entered.pop();
    }
  }

  /** Whether a value that is computed at `depth` and an equal one here are not the same to the verifier. */
  separate(inst: Inst, depth: number): boolean {
    return this.#entered.length > 0 && this.#indexes.has(inst) && this.#isBounded(inst, depth, MOST_STEPS);
  }

  #isBounded(inst: Inst, depth: number, steps: number): boolean {
    return inst.args.some((arg) => {
      if ((this.#compared.get(arg)?.at(-1) ?? -1) > depth) return true;
      return steps > 0 && STEPS.has(arg.op) && this.#isBounded(arg, depth, steps - 1);
    });
  }
}

const STEPS: ReadonlySet<Inst["op"]> = new Set(["binary", "ext", "trunc", "neg"]);

/** What the variable parts of pointers are made of, where their bounds count. */
function indexesOf(fn: IrFunction): ReadonlySet<Inst> {
  const found = new Set<Inst>();
  const note = (value: Inst): void => {
    if (!STEPS.has(value.op) || found.has(value)) return;
    found.add(value);
    value.args.forEach(note);
  };
  for (const { insts } of fn.blocks) {
    for (let i = 0; i < insts.length; i++) {
      const inst = insts[i] as Inst;
      if (inst.op !== "ptradd") continue;
      const [pointer, by] = inst.args as [Inst, Inst];
      if (by.op === "const") continue;
      if (!isInPacket(pointer) || possibleBits(by) > SMALL_OFFSET) note(by);
    }
  }
  return found;
}

function isInPacket(pointer: Inst): boolean {
  let root = pointer;
  while (root.op === "ptradd") root = root.args[0] as Inst;
  return root.op === "load" && root.space === "ctx";
}

function copied(value: Inst): Inst | undefined {
  const isCopy = value.op === "trunc" || (value.op === "ext" && value.from === 32 && !value.signed);
  return isCopy ? value.args[0] : undefined;
}

const BUCKETS = 1024;

/** Values by operator and operands: the last that was added is found first, and goes first. */
class ValueTable {
  readonly #heads = new Int32Array(BUCKETS).fill(-1);
  readonly #insts: Inst[] = [];
  readonly #operators: number[] = [];
  readonly #hashes: number[] = [];
  readonly #depths: number[] = [];
  readonly #next: number[] = [];
  /** Of what was looked for last. */
  #hash = 0;
  #operator = 0;
  /** Where in the dominator tree the value that was found last stands. */
  depth = 0;

  get size(): number {
    return this.#insts.length;
  }

  /** One that gives the same value. */
  find(inst: Inst, operator: number, block: Block): Inst | null {
    const { args } = inst;
    let hash = Math.imul(operator, 0x9e37_79b1);
    // The same for exchanged operands.
    for (let i = 0; i < args.length; i++) hash = (hash + Math.imul((args[i] as Inst).id + 1, 0x85eb_ca6b)) | 0;
    if (inst.op === "phi") hash ^= block.id;
    this.#operator = operator;
    this.#hash = (hash ^ (hash >>> 15)) & (BUCKETS - 1);
    for (let at = this.#heads[this.#hash] as number; at >= 0; at = this.#next[at] as number) {
      if (this.#operators[at] !== operator) continue;
      const known = this.#insts[at] as Inst;
      if (!isEqual(known, inst, operator)) continue;
      this.depth = this.#depths[at] as number;
      return known;
    }
    return null;
  }

  /** What was looked for last. */
  add(inst: Inst, depth: number): void {
    const at = this.#insts.length;
    this.#insts.push(inst);
    this.#operators.push(this.#operator);
    this.#hashes.push(this.#hash);
    this.#depths.push(depth);
    this.#next.push(this.#heads[this.#hash] as number);
    this.#heads[this.#hash] = at;
  }

  /** Forgets what was added since the table had that size. */
  cut(size: number): void {
    for (let at = this.#insts.length - 1; at >= size; at--) {
      this.#heads[this.#hashes[at] as number] = this.#next[at] as number;
    }
    this.#insts.length = size;
    this.#operators.length = size;
    this.#hashes.length = size;
    this.#depths.length = size;
    this.#next.length = size;
  }
}

/** Whether two instructions of one operator give the same value. */
function isEqual(known: Inst, inst: Inst, operator: number): boolean {
  if (inst.op === "phi") return known.op === "phi" && isSamePhi(known, inst);
  const [x, y] = [known.args, inst.args];
  const [a, b] = [x[0], y[0]];
  const same = a === b && x[1] === y[1] && x[2] === y[2];
  if (!same && !(x[1] === b && a === y[1] && commutes(inst))) return false;
  return operator < NAMED || attributes(known) === attributes(inst);
}

const commutes = (inst: Inst): boolean =>
  inst.op === "binary" ? COMMUTATIVE.has(inst.binary) : inst.op === "cmp" && isSymmetric(inst.predicate);

/** Whether two phis have the same value from each block; then they are of one block, since the first dominates the second. */
function isSamePhi(a: InstOf<"phi">, b: InstOf<"phi">): boolean {
  if (a.args.length !== b.args.length) return false;
  let inOrder = true;
  for (let i = 0; i < a.args.length && inOrder; i++) inOrder = a.args[i] === b.args[i] && a.blocks[i] === b.blocks[i];
  return inOrder || incomingOf(a) === incomingOf(b);
}

const incomingOf = (phi: InstOf<"phi">): string =>
  phi.args
    .map((arg, i) => `${phi.blocks[i]?.id}:${arg.id}`)
    .sort()
    .join(" ");

const BINARY_OPS: readonly string[] = "add sub mul udiv sdiv umod smod and or xor shl lshr ashr".split(" ");
const PREDICATES: readonly string[] = "eq ne ult ule ugt uge slt sle sgt sge set".split(" ");
const TYPES: readonly unknown[] = ["i32", "i64", "ptr"];

/** Operators from here on have names among their attributes. */
const NAMED = 120 * 4;

/** A small number for operation, attributes and type; -1 where equal instructions do not give equal values, and for constants, which are pooled. */
function operatorOf(inst: Inst): number {
  const { op } = inst;
  switch (op) {
    case "load":
    case "store":
    case "const":
      return -1;
    case "binary":
      return BINARY_OPS.indexOf(inst.binary) * 4 + TYPES.indexOf(inst.type);
    case "cmp":
      return (20 + PREDICATES.indexOf(inst.predicate)) * 4 + TYPES.indexOf(inst.type);
    case "ext":
      return (40 + (inst.from >> 3) * 2 + (inst.signed ? 1 : 0)) * 4 + TYPES.indexOf(inst.type);
    case "bswap":
      return (60 + (inst.bits >> 3)) * 4 + TYPES.indexOf(inst.type);
    case "hton":
      return (80 + (inst.bits >> 3)) * 4 + TYPES.indexOf(inst.type);
    default: {
      const number = OTHERS[op];
      return number === undefined ? -1 : number * 4 + TYPES.indexOf(inst.type);
    }
  }
}

const OTHERS: Readonly<Partial<Record<Inst["op"], number>>> = {
  ...{ trunc: 100, neg: 101, ptradd: 102, ptrsub: 103, select: 104, phi: 105 },
  ...{ map: 120, data: 121, function: 122, ksym: 123, core: 124 },
};

const isSymmetric = (predicate: string): boolean => predicate === "eq" || predicate === "ne" || predicate === "set";

function attributes(inst: Inst): string {
  switch (inst.op) {
    case "map":
      return inst.map;
    case "data":
      return `${inst.section} ${inst.offset}`;
    case "function":
      return inst.function;
    case "ksym":
      return inst.symbol;
    case "core":
      return `${inst.kind} ${inst.core.typeId} ${inst.core.access}`;
    default:
      return "";
  }
}
