/**
 * @module
 * Equal computations are done once, where the first dominates the others.
 */
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
  const table = new Map<Key, Inst>();
  const visit = (block: Block): Key[] => {
    const added: Key[] = [];
    block.insts = block.insts.filter((inst) => {
      const { args } = inst;
      if (replaced.size > 0) for (let i = 0; i < args.length; i++) args[i] = resolve(args[i] as Inst);
      const key = keyOf(inst, { block, ids: fn.nextId });
      if (key === null) return true;
      const known = table.get(key);
      if (known) {
        replaced.set(inst, known);
        return false;
      }
      table.set(key, inst);
      added.push(key);
      return true;
    });
    const args = terminatorArgs(block.terminator);
    for (let i = 0; i < args.length; i++) args[i] = resolve(args[i] as Inst);
    return added;
  };
  // What a block adds is known in the blocks that it dominates alone.
  const stack: { children: Block[]; added: Key[] }[] = [
    { children: [...(cfg.children.get(entry) ?? [])], added: visit(entry) },
  ];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = top.children.pop();
    if (child === undefined) {
      for (const key of top.added) table.delete(key);
      stack.pop();
    } else stack.push({ children: [...(cfg.children.get(child) ?? [])], added: visit(child) });
  }
  replaceValues(fn, replaced);
  return replaced.size > 0;
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
