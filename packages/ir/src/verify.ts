/**
 * @module
 * Whether IR is well formed. Each complaint is a mistake of the front end or of a pass.
 */
import type { Diagnostic } from "@skep/isa";
import { buildCfg, successors, terminatorArgs } from "./analysis/cfg.ts";
import type { Cfg } from "./analysis/cfg.ts";
import { problem } from "./codes.ts";
import type { Block, Inst, IrFunction, IrModule, Loc, Terminator, ValueType } from "./ir.ts";
import { printInst } from "./print.ts";

/**
 * Complaints about all functions, about calls between them and about names of maps and data sections. `sound`: functions that are known to be
 * well formed in themselves.
 */
export function verifyModule(module: IrModule, sound: ReadonlySet<string> = new Set()): Diagnostic[] {
  const functions = new Map(module.functions.map((fn) => [fn.name, fn]));
  const maps = new Set(module.maps.map((map) => map.name));
  const data = new Set(module.data.map((section) => section.name));
  const found = module.functions.filter(({ name }) => !sound.has(name)).flatMap(verifyFunction);
  for (const fn of module.functions) {
    if (functions.get(fn.name) !== fn)
      found.push(problem("SKEP2001", `two functions named ${fn.name}`, { loc: fn.loc }));
    for (const block of fn.blocks) {
      for (const inst of block.insts) {
        const loc = inst.loc;
        if (inst.op === "call") found.push(...verifyCall(inst, functions.get(inst.function)));
        else if (inst.op === "function" && !functions.has(inst.function)) {
          found.push(problem("SKEP2006", `unknown function ${inst.function}`, { loc }));
        } else if (inst.op === "map" && !maps.has(inst.map)) {
          found.push(problem("SKEP2001", `unknown map ${inst.map}`, { loc }));
        } else if (inst.op === "data" && !data.has(inst.section)) {
          found.push(problem("SKEP2001", `unknown data section ${inst.section}`, { loc }));
        }
      }
    }
  }
  return found;
}

function verifyCall(inst: Extract<Inst, { op: "call" }>, callee: IrFunction | undefined): Diagnostic[] {
  const loc = inst.loc;
  if (callee === undefined) return [problem("SKEP2006", `unknown function ${inst.function}`, { loc })];
  const wanted = callee.params.map((param) => param.type).join(", ");
  const given = inst.args.map((arg) => arg.type ?? "nothing").join(", ");
  if (wanted !== given) {
    return [problem("SKEP2001", `${callee.name} takes (${wanted}), called with (${given})`, { loc })];
  }
  if (inst.type !== undefined && inst.type !== callee.returns) {
    return [
      problem("SKEP2001", `${callee.name} returns ${callee.returns ?? "nothing"}, taken as ${inst.type}`, { loc }),
    ];
  }
  return [];
}

/** Complaints about one function: blocks, operands' number and types, dominance. */
export function verifyFunction(fn: IrFunction): Diagnostic[] {
  return new FunctionVerifier(fn).run();
}

type Checked = ValueType | undefined | "any" | "int";

class FunctionVerifier {
  readonly #fn: IrFunction;
  readonly #found: Diagnostic[] = [];
  readonly #place = new Map<Inst, { block: Block; index: number }>();

  constructor(fn: IrFunction) {
    this.#fn = fn;
  }

  run(): Diagnostic[] {
    const fn = this.#fn;
    const entry = fn.blocks[0];
    if (entry === undefined) {
      this.#complain("no blocks", fn.loc);
      return this.#found;
    }
    this.#collect();
    const inside = new Set(fn.blocks);
    for (const block of fn.blocks) {
      if (block.terminator === undefined) this.#complain(`block ${block.id} has no terminator`, fn.loc);
      for (const next of successors(block.terminator)) {
        if (!inside.has(next)) this.#complain(`block ${block.id} goes to a block of elsewhere`, block.terminator?.loc);
        if (next === entry) this.#complain(`block ${block.id} goes to the entry`, block.terminator?.loc);
      }
    }
    if (this.#found.length > 0) return this.#found;
    const cfg = buildCfg(fn);
    for (const block of cfg.order) this.#block(block, cfg);
    return this.#found;
  }

  #complain(message: string, loc: Loc | undefined): void {
    this.#found.push(problem("SKEP2001", `${this.#fn.name}: ${message}`, { loc }));
  }

  #collect(): void {
    const ids = new Set<number>();
    for (const block of this.#fn.blocks) {
      for (const [index, inst] of block.insts.entries()) {
        if (ids.has(inst.id)) this.#complain(`%${inst.id} is there twice`, inst.loc);
        if (inst.id >= this.#fn.nextId) this.#complain(`%${inst.id} is beyond nextId`, inst.loc);
        ids.add(inst.id);
        this.#place.set(inst, { block, index });
      }
    }
  }

  #block(block: Block, cfg: Cfg): void {
    let phisOver = false;
    for (const [index, inst] of block.insts.entries()) {
      if (inst.op === "phi") {
        if (phisOver) this.#complain(`${printInst(inst)}: after other instructions`, inst.loc);
        this.#phi(inst, block, cfg);
      } else {
        phisOver = true;
        for (const arg of inst.args) this.#dominance(arg, { block, index, cfg }, inst.loc);
      }
      if (inst.op === "param" && block !== this.#fn.blocks[0]) {
        this.#complain(`${printInst(inst)}: outside of the entry`, inst.loc);
      }
      const wrong = operandProblem(inst);
      if (wrong !== null) this.#complain(`${printInst(inst)}: ${wrong}`, inst.loc);
    }
    const terminator = block.terminator as Terminator;
    for (const arg of terminatorArgs(terminator)) {
      this.#dominance(arg, { block, index: block.insts.length, cfg }, terminator.loc);
    }
    const wrong = terminatorProblem(terminator, this.#fn);
    if (wrong !== null) this.#complain(`block ${block.id}: ${wrong}`, terminator.loc);
  }

  #phi(inst: Extract<Inst, { op: "phi" }>, block: Block, cfg: Cfg): void {
    const preds = (cfg.preds.get(block) ?? []).map((pred) => pred.id).sort((a, b) => a - b);
    const given = inst.blocks.filter((from) => cfg.index.has(from)).map((from) => from.id);
    if (preds.join() !== given.sort((a, b) => a - b).join() || inst.args.length !== inst.blocks.length) {
      this.#complain(`${printInst(inst)}: predecessors are ${preds.map((id) => `b${id}`).join(", ")}`, inst.loc);
      return;
    }
    for (const [i, arg] of inst.args.entries()) {
      const from = inst.blocks[i] as Block;
      if (cfg.index.has(from)) this.#dominance(arg, { block: from, index: from.insts.length, cfg }, inst.loc);
    }
  }

  #dominance(arg: Inst, use: { block: Block; index: number; cfg: Cfg }, loc: Loc | undefined): void {
    const place = this.#place.get(arg);
    if (place === undefined) this.#complain(`%${arg.id} is used but in no block`, loc);
    else if (arg.type === undefined) this.#complain(`%${arg.id} is used but gives nothing`, loc);
    else if (place.block === use.block ? place.index >= use.index : !use.cfg.dominates(place.block, use.block)) {
      this.#complain(`%${arg.id} does not dominate its use`, loc);
    }
  }
}

function matches(type: ValueType | undefined, wanted: Checked): boolean {
  if (wanted === "any") return type !== undefined;
  if (wanted === "int") return type === "i32" || type === "i64";
  return type === wanted;
}

/** What is wrong with the number and types of an instruction's operands, or null. */
function operandProblem(inst: Inst): string | null {
  const [result, operands] = signature(inst);
  if (!matches(inst.type, result)) return `result is ${inst.type ?? "nothing"}, not ${result ?? "nothing"}`;
  if (operands !== null) {
    if (inst.args.length !== operands.length) return `${inst.args.length} operands, not ${operands.length}`;
    for (const [i, arg] of inst.args.entries()) {
      if (!matches(arg.type, operands[i])) return `operand ${i} is ${arg.type ?? "nothing"}, not ${operands[i]}`;
    }
  }
  return attributeProblem(inst);
}

/** Result and operands; null: any number of any. */
function signature(inst: Inst): [Checked, Checked[] | null] {
  const type = inst.type;
  const first = inst.args[0]?.type ?? "any";
  switch (inst.op) {
    case "const":
    case "param":
    case "core":
      return ["any", []];
    case "phi":
      return ["any", inst.args.map(() => type)];
    case "local.get":
      return [inst.local.type, []];
    case "local.set":
      return [undefined, [inst.local.type]];
    case "binary":
      return ["int", [type, type]];
    case "neg":
    case "bswap":
    case "hton":
      return ["int", [type]];
    case "ptradd":
      return ["ptr", ["ptr", "i64"]];
    case "ptrsub":
      return ["i64", ["ptr", "ptr"]];
    case "ext":
      return ["int", ["int"]];
    case "trunc":
      return ["i32", ["i64"]];
    case "cmp":
      return ["i32", [first, first]];
    case "select":
      return ["any", ["i32", type, type]];
    case "load":
      return ["any", ["ptr"]];
    case "store":
      return [undefined, ["ptr", "any"]];
    case "copy":
      return [undefined, ["ptr", "ptr"]];
    case "zero":
      return [undefined, ["ptr"]];
    case "atomic": {
      const value = inst.size === 8 ? "i64" : "i32";
      const operands = inst.atomic === "cmpxchg" ? [value, value] : [value];
      return [inst.fetch ? value : undefined, ["ptr", ...(operands as Checked[])]];
    }
    case "stack":
    case "map":
    case "data":
    case "function":
    case "ksym":
      return ["ptr", []];
    case "helper":
    case "call":
    case "kfunc":
      return [type, null];
  }
}

function attributeProblem(inst: Inst): string | null {
  const width = inst.type === "i32" ? 32 : 64;
  switch (inst.op) {
    case "const":
      return inst.value === BigInt.asUintN(width, inst.value) ? null : `not a value of ${width} bits`;
    case "bswap":
    case "hton":
      return inst.bits <= width ? null : `${inst.bits} bits of ${width}`;
    case "load":
      if (inst.type === "ptr") return inst.size >= 4 ? null : "a pointer of less than 4 bytes";
      return inst.size * 8 <= width ? null : `${inst.size} bytes into ${width} bits`;
    case "store":
      return inst.size <= (inst.args[1]?.type === "i32" ? 4 : 8) ? null : `${inst.size} bytes of an i32`;
    case "stack":
      return inst.bytes > 0 && inst.align <= 8 ? null : "size or alignment";
    case "helper":
    case "call":
    case "kfunc":
      if (inst.args.length > 5) return `${inst.args.length} arguments; the kernel passes 5`;
      return inst.args.every((arg) => arg.type !== undefined) ? null : "an argument without value";
    default:
      return null;
  }
}

function terminatorProblem(terminator: Terminator, fn: IrFunction): string | null {
  switch (terminator.op) {
    case "branch": {
      const [a, b] = terminator.args;
      return a.type === b.type ? null : `compares ${a.type} with ${b.type}`;
    }
    case "switch": {
      if (!matches(terminator.args[0].type, "int")) return `switch on ${terminator.args[0].type}`;
      const values = new Set(terminator.cases.map((entry) => entry.value));
      return values.size === terminator.cases.length ? null : "a case twice";
    }
    case "return": {
      const given = terminator.args[0]?.type;
      return given === fn.returns ? null : `returns ${given ?? "nothing"}, not ${fn.returns ?? "nothing"}`;
    }
    default:
      return null;
  }
}
