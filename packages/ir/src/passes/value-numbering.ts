/**
 * @module
 * Equal computations are done once, where the first dominates the others.
 */
import { possibleBits } from "../analysis/bits.ts";
import { isPure } from "../analysis/effects.ts";
import { buildCfg, terminatorArgs } from "../analysis/cfg.ts";
import { replaceValues } from "../edit.ts";
import type { Block, Inst, IrFunction } from "../ir.ts";

const COMMUTATIVE = new Set(["add", "mul", "and", "or", "xor"]);

/** Returns whether something was shared. */
export function numberValues(fn: IrFunction): boolean {
  const cfg = buildCfg(fn);
  const entry = cfg.order[0];
  if (entry === undefined) return false;
  const replaced = new Map<Inst, Inst>();
  const resolve = (inst: Inst): Inst => replaced.get(inst) ?? inst;
  const table = new Map<Key, Known>();
  const checks = new Checks(fn);
  const visit = (block: Block, depth: number): Added[] => {
    const added: Added[] = [];
    checks.enter(cfg.preds.get(block) ?? [], depth);
    const before = replaced.size;
    for (const inst of block.insts) {
      const { args } = inst;
      if (replaced.size > 0) for (let i = 0; i < args.length; i++) args[i] = resolve(args[i] as Inst);
      const key = keyOf(inst, { block, ids: fn.nextId });
      if (key === null) continue;
      const known = table.get(key);
      if (known && !checks.separate(inst, known.depth)) {
        replaced.set(inst, known.inst);
        continue;
      }
      added.push({ key, before: known });
      table.set(key, { inst, depth });
    }
    if (replaced.size > before) block.insts = block.insts.filter((inst) => !replaced.has(inst));
    const args = terminatorArgs(block.terminator);
    for (let i = 0; i < args.length; i++) args[i] = resolve(args[i] as Inst);
    return added;
  };
  // What a block adds is known in the blocks that it dominates alone.
  const stack: { children: Block[]; added: Added[] }[] = [
    { children: [...(cfg.children.get(entry) ?? [])], added: visit(entry, 0) },
  ];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = top.children.pop();
    if (child === undefined) {
      for (const { key, before } of top.added.reverse()) {
        if (before) table.set(key, before);
        else table.delete(key);
      }
      stack.pop();
      checks.leave(stack.length);
    } else stack.push({ children: [...(cfg.children.get(child) ?? [])], added: visit(child, stack.length) });
  }
  replaceValues(fn, replaced);
  return replaced.size > 0;
}

interface Known {
  readonly inst: Inst;
  /** Of its block in the dominator tree. */
  readonly depth: number;
}

interface Added {
  readonly key: Key;
  readonly before: Known | undefined;
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
  enter(preds: readonly Block[], depth: number): void {
    if (this.#indexes.size === 0) return;
    const terminator = preds.length === 1 ? preds[0]?.terminator : undefined;
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
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      const [pointer, by] = inst.op === "ptradd" ? inst.args : [];
      if (!pointer || !by || by.op === "const") continue;
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

/** A number where operator and operands fit into one: most do. */
type Key = string | number;

/** Equal for instructions that give the same value. */
function keyOf(inst: Inst, { block, ids }: { block: Block; ids: number }): Key | null {
  if (inst.op === "phi") {
    const incoming = inst.args.map((arg, i) => `${inst.blocks[i]?.id}:${arg.id}`).sort();
    return `phi ${inst.type} ${block.id} ${incoming.join(" ")}`;
  }
  if (inst.op === "const" || !isPure(inst)) return null;
  const operator = operatorOf(inst);
  const [x, y] = inst.args;
  if (operator === null || inst.args.length > 2) {
    return `${inst.op} ${inst.type} ${attributes(inst)} ${inst.args.map((arg) => arg.id).join(" ")}`;
  }
  let [a, b] = [x ? x.id + 1 : 0, y ? y.id + 1 : 0];
  const commutes =
    inst.op === "binary" ? COMMUTATIVE.has(inst.binary) : inst.op === "cmp" && isSymmetric(inst.predicate);
  if (commutes && a > b) [a, b] = [b, a];
  const key = (operator * (ids + 1) + a) * (ids + 1) + b;
  return Number.isSafeInteger(key) ? key : `${operator} ${a} ${b}`;
}

const BINARY_OPS: readonly string[] = "add sub mul udiv sdiv umod smod and or xor shl lshr ashr".split(" ");
const PREDICATES: readonly string[] = "eq ne ult ule ugt uge slt sle sgt sge set".split(" ");
const TYPES: readonly unknown[] = ["i32", "i64", "ptr"];

/** A small number for operation, attributes and type; null where names are among the attributes. */
function operatorOf(inst: Inst): number | null {
  const type = TYPES.indexOf(inst.type);
  switch (inst.op) {
    case "binary":
      return BINARY_OPS.indexOf(inst.binary) * 4 + type;
    case "cmp":
      return (20 + PREDICATES.indexOf(inst.predicate)) * 4 + type;
    case "ext":
      return (40 + (inst.from >> 3) * 2 + (inst.signed ? 1 : 0)) * 4 + type;
    case "bswap":
      return (60 + (inst.bits >> 3)) * 4 + type;
    case "hton":
      return (80 + (inst.bits >> 3)) * 4 + type;
    case "trunc":
      return 100 * 4 + type;
    case "neg":
      return 101 * 4 + type;
    case "ptradd":
      return 102 * 4 + type;
    case "ptrsub":
      return 103 * 4 + type;
    default:
      return null;
  }
}

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
