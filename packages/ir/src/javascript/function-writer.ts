/**
 * @module
 * One function of the IR as JavaScript: control flow as blocks and loops with labels (after Ramsey, "Beyond Relooper", ICFP 2022), or, where
 * loops have several entries, as a switch in a loop.
 */
import { buildCfg, successors, terminatorArgs } from "../analysis/cfg.ts";
import type { Cfg } from "../analysis/cfg.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Local, Terminator } from "../ir.ts";
import { ExpressionWriter, HELPERS, strip, type HelperName } from "./expressions.ts";
import { loadText, storeText } from "./memory-text.ts";

export interface FunctionContext {
  readonly helpers: Set<HelperName>;
  readonly littleEndian: boolean;
  /** The address of a data section. */
  dataAddress(section: string): number;
  /** Set where the function touches memory. */
  usesMemory: boolean;
  /** The JavaScript name of a function of the module. */
  nameOf(fn: string): string;
}

/** A value that is written where it is used, and what may not change until then. */
interface Pending {
  readonly text: string;
  readonly locals: ReadonlySet<Local>;
  readonly memory: boolean;
}

export const RESERVED: ReadonlySet<string> = new Set([
  ...Object.keys(HELPERS),
  "atomic32",
  "atomic64",
  ...(
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if " +
    "implements import in instanceof interface let new null package private protected public return static super switch this throw true try " +
    "typeof var void while with yield block frame copy zero undefined NaN Infinity BigInt Math Number memory bytes enter leave top reserve"
  ).split(" "),
]);

export function identifier(name: string): string {
  const clean = name.replace(/[^A-Za-z0-9_]/g, "_");
  return /^[A-Za-z_]/.test(clean) ? clean : `_${clean}`;
}

const BPF_LOOP = 181;

export class FunctionWriter {
  readonly #fn: IrFunction;
  readonly #context: FunctionContext;
  readonly #cfg: Cfg;
  readonly #expressions: ExpressionWriter;
  readonly #lines: string[] = [];
  readonly #names = new Map<Inst | Local, string>();
  readonly #taken = new Set<string>();
  readonly #pending = new Map<Inst, Pending>();
  readonly #uses = new Map<Inst, number>();
  /** Values that are used outside of their block: declared at the start. */
  readonly #shared = new Set<Inst>();
  readonly #offsets = new Map<Inst, number>();
  /** What the expression that is being written reads. */
  #reads: { locals: Set<Local>; memory: boolean } = { locals: new Set(), memory: false };
  #frame = 0;
  #indent = 1;

  constructor(fn: IrFunction, context: FunctionContext, reserved: Iterable<string>) {
    this.#fn = fn;
    this.#context = context;
    this.#cfg = buildCfg(fn);
    for (const name of reserved) this.#taken.add(name);
    this.#expressions = new ExpressionWriter({
      used: context.helpers,
      littleEndian: context.littleEndian,
      of: (inst) => this.#use(inst),
    });
  }

  write(): string {
    this.#collect();
    const params = this.#fn.params.map((param) => this.#fresh(param.name));
    this.#nameParams(params);
    if (this.#frame > 0) this.#context.usesMemory = true;
    if (isReducible(this.#cfg)) this.#tree(this.#cfg.order[0] as Block, []);
    else this.#dispatch();
    const head = [...this.#frameLine(), ...this.#declarations()].map((line) => `  ${line}\n`).join("");
    const name = this.#context.nameOf(this.#fn.name);
    return `function ${name}(${params.join(", ")}) {\n${head}${this.#lines.join("")}}\n`;
  }

  #frameLine(): string[] {
    return this.#frame > 0 ? [`const frame = enter(${this.#frame});`] : [];
  }

  /** Variables of the source, and values that cross blocks. */
  #declarations(): string[] {
    const start = (type: string | undefined): string => (type === "i64" ? "0n" : "0");
    const names = [...this.#names].flatMap(([of, name]) => {
      if ("op" in of) return this.#shared.has(of) || of.op === "phi" ? [name] : [];
      return [`${name} = ${start(of.type)}`];
    });
    return names.length > 0 ? [`let ${names.join(", ")};`] : [];
  }

  // ---- names ----

  #fresh(wanted: string): string {
    const base = identifier(wanted);
    let name = base;
    for (let count = 2; this.#taken.has(name) || RESERVED.has(name); count++) name = `${base}_${count}`;
    this.#taken.add(name);
    return name;
  }

  #nameOf(of: Inst | Local): string {
    const known = this.#names.get(of);
    if (known !== undefined) return known;
    const name = this.#fresh("op" in of ? (of.name ?? `t${of.id}`) : of.name);
    this.#names.set(of, name);
    return name;
  }

  readonly #params = new Map<Inst, string>();

  #nameParams(names: readonly string[]): void {
    for (const block of this.#fn.blocks) {
      for (const inst of block.insts) if (inst.op === "param") this.#params.set(inst, names[inst.index] ?? "undefined");
    }
  }

  /** Counts uses, finds what crosses blocks, lays out the frame. */
  #collect(): void {
    const home = new Map<Inst, Block>();
    for (const block of this.#cfg.order) for (const inst of block.insts) home.set(inst, block);
    const note = (inst: Inst, block: Block): void => {
      this.#uses.set(inst, (this.#uses.get(inst) ?? 0) + 1);
      if (home.get(inst) !== block) this.#shared.add(inst);
    };
    for (const block of this.#cfg.order) {
      for (const inst of block.insts) {
        if (inst.op === "phi") {
          // A value that goes into a phi is written before the branch.
          inst.args.forEach((arg, at) => {
            note(arg, inst.blocks[at] as Block);
            this.#uses.set(arg, Infinity);
          });
        } else for (const arg of inst.args) note(arg, block);
        if (inst.op === "stack") {
          this.#offsets.set(inst, this.#frame);
          this.#frame += (inst.bytes + 7) & ~7;
        }
      }
      for (const arg of terminatorArgs(block.terminator)) note(arg, block);
    }
  }

  // ---- lines ----

  #line(text: string): void {
    this.#lines.push(`${"  ".repeat(this.#indent)}${text}\n`);
  }

  #nested(run: () => void): void {
    this.#indent++;
    run();
    this.#indent--;
  }

  // ---- values ----

  /** An operand: its name, or its expression. */
  #use(inst: Inst): string {
    const pending = this.#pending.get(inst);
    if (pending !== undefined) {
      if (this.#uses.get(inst) === 1) this.#pending.delete(inst);
      for (const local of pending.locals) this.#reads.locals.add(local);
      this.#reads.memory ||= pending.memory;
      return pending.text;
    }
    return this.#atom(inst) ?? this.#nameOf(inst);
  }

  /** What is written anew wherever it is used. */
  #atom(inst: Inst): string | null {
    switch (inst.op) {
      case "const":
        return this.#expressions.write(inst);
      case "param":
        return this.#params.get(inst) ?? null;
      case "data": {
        this.#context.usesMemory = true;
        return String(this.#context.dataAddress(inst.section) + inst.offset);
      }
      case "stack": {
        const offset = this.#offsets.get(inst) ?? 0;
        return offset === 0 ? "frame" : `(frame + ${offset})`;
      }
      default:
        return null;
    }
  }

  /** Runs `write`, and gives what the text reads. */
  #reading(write: () => string): Pending {
    const outer = this.#reads;
    this.#reads = { locals: new Set(), memory: false };
    const text = write();
    const { locals, memory } = this.#reads;
    this.#reads = outer;
    return { text, locals, memory };
  }

  #define(inst: Inst, value: Pending): void {
    const uses = this.#uses.get(inst) ?? 0;
    if (uses === 1 && !this.#shared.has(inst)) this.#pending.set(inst, value);
    else if (uses > 0) this.#assign(inst, value.text);
  }

  #assign(inst: Inst, text: string): void {
    const name = this.#nameOf(inst);
    this.#line(`${this.#shared.has(inst) ? "" : "const "}${name} = ${strip(text)};`);
  }

  /** Writes now what a change would make different. */
  #flush(changes: (pending: Pending) => boolean): void {
    for (const [inst, pending] of [...this.#pending]) {
      if (!changes(pending)) continue;
      this.#pending.delete(inst);
      this.#assign(inst, pending.text);
    }
  }

  // ---- instructions ----

  #inst(inst: Inst): void {
    if (inst.op === "phi" || this.#atom(inst) !== null) return;
    switch (inst.op) {
      case "local.get": {
        const name = this.#nameOf(inst.local);
        this.#define(inst, { text: name, locals: new Set([inst.local]), memory: false });
        return;
      }
      case "local.set": {
        const { text } = this.#reading(() => this.#use(inst.args[0] as Inst));
        this.#flush((pending) => pending.locals.has(inst.local));
        this.#line(`${this.#nameOf(inst.local)} = ${strip(text)};`);
        return;
      }
      case "load": {
        const value = this.#reading(() =>
          loadText(inst, this.#address(inst.args[0] as Inst, inst.offset), this.#expressions),
        );
        this.#define(inst, { ...value, memory: true });
        return;
      }
      case "function":
        return;
      default: {
        const value = this.#reading(() => this.#expressions.write(inst) ?? "");
        if (value.text === "") this.#effect(inst);
        else this.#define(inst, value);
      }
    }
  }

  #address(pointer: Inst, offset: number): string {
    this.#context.usesMemory = true;
    const base = strip(this.#use(pointer));
    return offset === 0 ? base : `${base} + ${offset}`;
  }

  #effect(inst: Inst): void {
    const { text } = this.#reading(() => this.#effectText(inst));
    this.#flush((pending) => pending.memory);
    if (inst.type !== undefined && (this.#uses.get(inst) ?? 0) > 0) this.#assign(inst, text);
    else this.#line(`${text};`);
  }

  #effectText(inst: Inst): string {
    const [a, b] = inst.args;
    switch (inst.op) {
      case "store":
        return storeText(inst, this.#address(a as Inst, inst.offset), strip(this.#use(b as Inst)));
      case "copy": {
        const to = this.#address(a as Inst, inst.toOffset);
        const from = this.#address(b as Inst, inst.fromOffset);
        return `copy(${to}, ${from}, ${inst.bytes})`;
      }
      case "zero":
        return `zero(${this.#address(a as Inst, inst.offset)}, ${inst.bytes})`;
      case "atomic":
        return this.#atomicText(inst);
      case "call":
        return `${this.#context.nameOf(inst.function)}(${this.#arguments(inst.args)})`;
      case "helper":
        return this.#helperText(inst);
      default:
        throw new Error(`${inst.op} has no meaning in JavaScript`);
    }
  }

  #arguments(args: readonly Inst[]): string {
    return args.map((arg) => strip(this.#use(arg))).join(", ");
  }

  #helperText(inst: InstOf<"helper">): string {
    const [times, body, context] = inst.args as [Inst, Inst, Inst];
    if (inst.helper !== BPF_LOOP || body.op !== "function")
      throw new Error(`helper ${inst.helper} has no meaning in JavaScript`);
    const count = times.type === "i64" ? this.#expressions.call("low", this.#use(times)) : this.#use(times);
    return this.#expressions.call("bpfLoop", count, this.#context.nameOf(body.function), this.#use(context));
  }

  #atomicText(inst: InstOf<"atomic">): string {
    const [pointer, ...operands] = inst.args as [Inst, ...Inst[]];
    const size = inst.size === 8 ? "64" : "32";
    const address = this.#address(pointer, inst.offset);
    return `atomic${size}.${inst.atomic}(${address}, ${this.#arguments(operands)})`;
  }

  // ---- control flow ----

  #label(block: Block): string {
    return `b${block.id}`;
  }

  /** A block and what it dominates; `after`: where control is when the text behind it is reached. */
  #tree(block: Block, after: readonly Block[]): void {
    const merges = (this.#cfg.children.get(block) ?? [])
      .filter((child) => isMerge(this.#cfg, child))
      .sort((a, b) => this.#index(b) - this.#index(a));
    if (!isLoopHeader(this.#cfg, block)) {
      this.#within(block, merges, after);
      return;
    }
    this.#line(`${this.#label(block)}: for (;;) {`);
    this.#nested(() => this.#within(block, merges, [block]));
    this.#line("}");
  }

  #index(block: Block): number {
    return this.#cfg.index.get(block) ?? -1;
  }

  #within(block: Block, merges: readonly Block[], after: readonly Block[]): void {
    const [outer, ...rest] = merges;
    if (outer === undefined) {
      this.#body(block, after);
      return;
    }
    const start = this.#lines.length;
    this.#line(`${this.#label(outer)}: {`);
    this.#nested(() => this.#within(block, rest, [outer]));
    this.#line("}");
    this.#dropLabel(start, outer);
    this.#tree(outer, after);
  }

  /** A block that nothing leaves by its label is none. */
  #dropLabel(start: number, block: Block): void {
    const text = `break ${this.#label(block)};`;
    if (this.#lines.slice(start).some((line) => line.includes(text))) return;
    this.#lines.pop();
    const inner = this.#lines.splice(start).slice(1);
    this.#lines.push(...inner.map((line) => line.replace(/^ {2}/gm, "")));
  }

  #body(block: Block, after: readonly Block[]): void {
    for (const inst of block.insts) this.#inst(inst);
    const terminator = block.terminator as Terminator;
    switch (terminator.op) {
      case "jump":
        this.#flushAll();
        this.#goto(block, terminator.to, after);
        return;
      case "branch":
        this.#branch(block, terminator, after);
        return;
      case "switch":
        this.#switch(block, terminator, after);
        return;
      case "return":
        this.#return(terminator.args[0]);
        return;
      case "unreachable":
        this.#line('throw new Error("unreachable");');
    }
  }

  #flushAll(): void {
    this.#flush(() => true);
  }

  #return(value: Inst | undefined): void {
    const text = value === undefined ? "" : strip(this.#use(value));
    this.#flushAll();
    if (this.#frame > 0) this.#line(`return leave(frame${text === "" ? "" : `, ${text}`});`);
    else this.#line(text === "" ? "return;" : `return ${text};`);
  }

  #branch(block: Block, terminator: Extract<Terminator, { op: "branch" }>, after: readonly Block[]): void {
    const [a, b] = terminator.args;
    const { text } = this.#reading(() => this.#expressions.condition(terminator.predicate, a, b));
    this.#flushAll();
    const [yes, no] = [terminator.then, terminator.else].map((to) => this.#arm(block, to, after)) as [
      string[],
      string[],
    ];
    if (yes.length === 0 && no.length === 0) return;
    if (yes.length === 0) {
      this.#line(`if (!(${text})) {`);
      this.#lines.push(...no);
    } else {
      this.#line(`if (${text}) {`);
      this.#lines.push(...yes);
      if (no.length > 0) {
        this.#line("} else {");
        this.#lines.push(...no);
      }
    }
    this.#line("}");
  }

  /** The lines of one way of a branch. */
  #arm(from: Block, to: Block, after: readonly Block[]): string[] {
    const start = this.#lines.length;
    this.#nested(() => this.#goto(from, to, after));
    return this.#lines.splice(start);
  }

  #switch(block: Block, terminator: Extract<Terminator, { op: "switch" }>, after: readonly Block[]): void {
    const [subject] = terminator.args;
    const { text } = this.#reading(() => strip(this.#use(subject)));
    this.#flushAll();
    this.#line(`switch (${text}) {`);
    this.#nested(() => {
      const targets = [...new Set([...terminator.cases.map((entry) => entry.to), terminator.default])];
      for (const to of targets) {
        for (const entry of terminator.cases) {
          if (entry.to === to && to !== terminator.default)
            this.#line(`case ${entry.value}${subject.type === "i64" ? "n" : ""}:`);
        }
        if (to === terminator.default) this.#line("default:");
        // Behind the switch is not behind the case.
        this.#line("{");
        this.#nested(() => this.#goto(block, to, after));
        this.#line("}");
        this.#line("break;");
      }
    });
    this.#line("}");
  }

  /** Goes to a block: its text stands here, or behind a label, or is what follows anyway. */
  #goto(from: Block, to: Block, after: readonly Block[]): void {
    this.#moves(from, to);
    if (this.#index(to) <= this.#index(from)) {
      if (!after.includes(to)) this.#line(`continue ${this.#label(to)};`);
    } else if (isMerge(this.#cfg, to)) {
      if (!after.includes(to)) this.#line(`break ${this.#label(to)};`);
    } else this.#tree(to, after);
  }

  /** The values of the phis, all at once. */
  #moves(from: Block, to: Block): void {
    const phis = to.insts.filter((inst): inst is InstOf<"phi"> => inst.op === "phi");
    const moves = phis.flatMap((phi) => {
      const value = phi.args[phi.blocks.indexOf(from)];
      if (value === undefined || (this.#uses.get(phi) ?? 0) === 0) return [];
      const [name, text] = [this.#nameOf(phi), strip(this.#use(value))];
      return name === text ? [] : [{ name, text }];
    });
    const [only] = moves;
    if (!only) return;
    if (moves.length === 1) this.#line(`${only.name} = ${only.text};`);
    else this.#line(`[${moves.map((move) => move.name).join(", ")}] = [${moves.map((move) => move.text).join(", ")}];`);
  }

  // ---- loops with several entries ----

  #dispatch(): void {
    for (const block of this.#cfg.order)
      for (const inst of block.insts) if (this.#uses.has(inst)) this.#shared.add(inst);
    this.#line("let block = 0;");
    this.#line("for (;;) {");
    this.#nested(() => {
      this.#line("switch (block) {");
      this.#nested(() => this.#cfg.order.forEach((block, at) => this.#dispatched(block, at)));
      this.#line("}");
    });
    this.#line("}");
  }

  #dispatched(block: Block, at: number): void {
    this.#line(`case ${at}: {`);
    this.#nested(() => {
      for (const inst of block.insts) this.#inst(inst);
      const terminator = block.terminator as Terminator;
      const go = (to: Block): void => {
        this.#moves(block, to);
        this.#line(`block = ${this.#index(to)};`);
        this.#line("continue;");
      };
      if (terminator.op === "return") this.#return(terminator.args[0]);
      else if (terminator.op === "unreachable") this.#line('throw new Error("unreachable");');
      else if (terminator.op === "jump") {
        this.#flushAll();
        go(terminator.to);
      } else this.#dispatchTest(terminator, go);
    });
    this.#line("}");
  }

  #dispatchTest(terminator: Extract<Terminator, { op: "branch" | "switch" }>, go: (to: Block) => void): void {
    if (terminator.op === "branch") {
      const { text } = this.#reading(() =>
        this.#expressions.condition(terminator.predicate, terminator.args[0], terminator.args[1]),
      );
      this.#flushAll();
      this.#line(`if (${text}) {`);
      this.#nested(() => go(terminator.then));
      this.#line("}");
      go(terminator.else);
      return;
    }
    const [subject] = terminator.args;
    const { text } = this.#reading(() => strip(this.#use(subject)));
    this.#flushAll();
    for (const entry of terminator.cases) {
      this.#line(`if (${text} === ${entry.value}${subject.type === "i64" ? "n" : ""}) {`);
      this.#nested(() => go(entry.to));
      this.#line("}");
    }
    go(terminator.default);
  }
}

function forwardEdges(cfg: Cfg, block: Block): number {
  const at = cfg.index.get(block) ?? -1;
  return (cfg.preds.get(block) ?? []).filter((pred) => (cfg.index.get(pred) ?? -1) < at).length;
}

function isMerge(cfg: Cfg, block: Block): boolean {
  return forwardEdges(cfg, block) > 1;
}

function isLoopHeader(cfg: Cfg, block: Block): boolean {
  return (cfg.preds.get(block)?.length ?? 0) > forwardEdges(cfg, block);
}

/** Every loop has one entry, which all its blocks come after. */
function isReducible(cfg: Cfg): boolean {
  return cfg.order.every((block, at) =>
    successors(block.terminator).every((to) => (cfg.index.get(to) ?? -1) > at || cfg.dominates(to, block)),
  );
}
