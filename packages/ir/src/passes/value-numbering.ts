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
  const table = new Map<string, Inst>();
  const visit = (block: Block): string[] => {
    const added: string[] = [];
    block.insts = block.insts.filter((inst) => {
      inst.args = inst.args.map(resolve);
      const key = keyOf(inst, block);
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
  const stack: { children: Block[]; added: string[] }[] = [
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

/** Equal for instructions that give the same value. */
function keyOf(inst: Inst, block: Block): string | null {
  if (inst.op === "phi") {
    const incoming = inst.args.map((arg, i) => `${inst.blocks[i]?.id}:${arg.id}`).sort();
    return `phi ${inst.type} ${block.id} ${incoming.join(" ")}`;
  }
  if (!isPure(inst) || inst.op === "const") return null;
  let ids = inst.args.map((arg) => arg.id);
  const commutes =
    inst.op === "binary" ? COMMUTATIVE.has(inst.binary) : inst.op === "cmp" && isSymmetric(inst.predicate);
  if (commutes) ids = ids.sort((a, b) => a - b);
  return `${inst.op} ${inst.type} ${attributes(inst)} ${ids.join(" ")}`;
}

const isSymmetric = (predicate: string): boolean => predicate === "eq" || predicate === "ne" || predicate === "set";

function attributes(inst: Inst): string {
  switch (inst.op) {
    case "binary":
      return inst.binary;
    case "bswap":
    case "hton":
      return String(inst.bits);
    case "ext":
      return `${inst.from}${inst.signed ? "s" : "u"}`;
    case "cmp":
      return inst.predicate;
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
