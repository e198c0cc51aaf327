/**
 * @module
 * The IR as text; `text/parse.ts` reads it back. Numbers of instructions that give nothing are not told.
 */
import { successors } from "./analysis/cfg.ts";
import type { Block, CoreAccess, Inst, IrFunction, IrModule, Loc, Terminator } from "./ir.ts";

export interface PrintOptions {
  /** With the place in the source of each instruction. Default false. */
  readonly locations?: boolean;
}

export function printModule(module: IrModule, options: PrintOptions = {}): string {
  return module.functions.map((fn) => printFunction(fn, options)).join("\n");
}

export function printFunction(fn: IrFunction, options: PrintOptions = {}): string {
  const names = new Map(fn.blocks.map((block) => [block, `b${block.id}`]));
  const label = (block: Block): string => names.get(block) ?? `b${block.id}`;
  const params = fn.params.map((param) => `${param.name}: ${param.type}`).join(", ");
  const returns = fn.returns ? `: ${fn.returns}` : "";
  const at = (loc: Loc | undefined): string =>
    options.locations && loc ? ` @ ${loc.file}:${loc.line}:${loc.column}` : "";
  const lines = [`${header(fn)} ${fn.name}(${params})${returns} {${at(fn.loc)}`];
  for (const block of fn.blocks) {
    lines.push(`${label(block)}:${block.name ? ` # ${block.name}` : ""}`);
    for (const inst of block.insts) lines.push(`  ${printInst(inst, label, at(inst.loc))}`);
    if (block.terminator) lines.push(`  ${printTerminator(block.terminator, label)}${at(block.terminator.loc)}`);
  }
  lines.push("}", "");
  return lines.join("\n");
}

function header(fn: IrFunction): string {
  const words: string[] = [fn.linkage];
  if (fn.inline !== "auto") words.push(`inline(${fn.inline})`);
  if (fn.typeId !== 0) words.push(`type(${fn.typeId})`);
  if (fn.program) {
    const { section, type, attachType, attachTo, flags } = fn.program;
    const parts = [
      section,
      type,
      ...(attachType ? [`attach=${attachType}`] : []),
      ...(attachTo ? [`to=${attachTo}`] : []),
    ];
    words.push(`program(${parts.join(" ")}${flags ? ` flags=${flags}` : ""})`);
  }
  words.push("function");
  return words.join(" ");
}

const id = (inst: Inst): string => `%${inst.id}`;

export function printInst(inst: Inst, label: (block: Block) => string = (block) => `b${block.id}`, at = ""): string {
  const result = inst.type === undefined ? "" : `${id(inst)}: ${inst.type} = `;
  const name = inst.name === undefined ? "" : ` # ${inst.name}`;
  return `${result}${body(inst, label)}${at}${name}`;
}

function body(inst: Inst, label: (block: Block) => string): string {
  const args = inst.args.map(id).join(", ");
  switch (inst.op) {
    case "const":
      return `const ${inst.value}`;
    case "param":
      return `param ${inst.index}`;
    case "phi":
      return `phi ${inst.args.map((arg, i) => `[${label(inst.blocks[i] as Block)} ${id(arg)}]`).join(" ")}`;
    case "local.get":
      return `local.get ${inst.local.name}.${inst.local.id}.${inst.local.type}`;
    case "local.set":
      return `local.set ${inst.local.name}.${inst.local.id}.${inst.local.type} ${args}`;
    case "binary":
      return `${inst.binary} ${args}`;
    case "ptradd":
    case "ptrsub":
    case "neg":
    case "trunc":
    case "select":
      return `${inst.op} ${args}`;
    case "bswap":
    case "hton":
      return `${inst.op} ${inst.bits} ${args}`;
    case "ext":
      return `ext.${inst.signed ? "s" : "u"}${inst.from} ${args}`;
    case "cmp":
      return `cmp.${inst.predicate} ${args}`;
    case "load":
      return `load.${inst.signed ? "s" : "u"}${inst.size * 8} ${args} ${place(inst)}${inst.volatile ? " volatile" : ""}${core(inst.core)}`;
    case "store":
      return `store.u${inst.size * 8} ${args} ${place(inst)}${core(inst.core)}`;
    case "copy":
      return `copy ${inst.bytes} ${args} +${inst.toOffset} ${inst.toSpace} +${inst.fromOffset} ${inst.fromSpace} align ${inst.align}`;
    case "zero":
      return `zero ${inst.bytes} ${args} ${place(inst)}`;
    case "atomic":
      return `atomic.${inst.atomic}${inst.fetch ? ".fetch" : ""}.u${inst.size * 8} ${args} +${inst.offset} ${inst.space}`;
    case "stack":
      return `stack ${inst.bytes} align ${inst.align}`;
    case "map":
      return `map ${inst.map}`;
    case "data":
      return `data ${inst.section} +${inst.offset}`;
    case "function":
      return `function ${inst.function}`;
    case "ksym":
      return `ksym ${inst.symbol}${inst.weak ? " weak" : ""}${inst.typeId === undefined ? "" : ` type ${inst.typeId}`}`;
    case "helper":
      return `helper ${inst.helper}(${args})`;
    case "call":
      return `call ${inst.function}(${args})`;
    case "kfunc":
      return `kfunc ${inst.kfunc}(${args}) type ${inst.typeId}${inst.weak ? " weak" : ""}`;
    case "core":
      return `core ${inst.kind}${core(inst.core)}`;
  }
}

function place(inst: { offset: number; space: string; align: number }): string {
  return `+${inst.offset} ${inst.space} align ${inst.align}`;
}

function core(access: CoreAccess | undefined): string {
  return access ? ` core(${access.typeId} ${access.access} ${access.local})` : "";
}

function printTerminator(terminator: Terminator, label: (block: Block) => string): string {
  switch (terminator.op) {
    case "jump":
      return `jump ${label(terminator.to)}`;
    case "branch": {
      const likely = terminator.likely === undefined ? "" : terminator.likely ? " likely" : " unlikely";
      return `branch.${terminator.predicate} ${terminator.args.map(id).join(", ")} ${successors(terminator).map(label).join(", ")}${likely}`;
    }
    case "switch":
      return `switch ${terminator.args.map(id).join("")} ${terminator.cases.map(({ value, to }) => `[${value} ${label(to)}]`).join(" ")} ${label(terminator.default)}`;
    case "return":
      return ["return", ...terminator.args.map(id)].join(" ");
    case "unreachable":
      return "unreachable";
  }
}
