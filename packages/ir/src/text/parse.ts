/**
 * @module
 * IR from its text, as `print.ts` writes it.
 */
import type { Diagnostic } from "@skep/isa";
import { problem } from "../codes.ts";
import { makeBranch } from "../edit.ts";
import type { Block, Inst, IrFunction, Loc, Local, ValueType } from "../ir.ts";
import { copyInst, newBlock, newInst, newTerminator, type TerminatorBody } from "../make.ts";
import { Cursor, TextError } from "./cursor.ts";
import { parseBody, parseId, parseIds, parsePredicate, parseType, type RawInst } from "./instruction.ts";

export interface ParseResult {
  /** Those without a mistake. */
  readonly functions: IrFunction[];
  readonly diagnostics: Diagnostic[];
}

/** The functions of a text; `file` is named in the diagnostics (SKEP2009). What they mean is for `verifyModule` to judge. */
export function parseFunctions(text: string, file = "text"): ParseResult {
  const functions: IrFunction[] = [];
  const diagnostics: Diagnostic[] = [];
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length;) {
    if ((lines[at] ?? "").trim() === "") {
      at++;
      continue;
    }
    const end = lines.indexOf("}", at);
    const last = end < 0 ? lines.length : end;
    try {
      functions.push(new FunctionParser(lines.slice(at, last), { file, first: at + 1 }).parse(end >= 0));
    } catch (error) {
      if (!(error instanceof TextError)) throw error;
      diagnostics.push(problem("SKEP2009", error.message, { loc: error.loc }));
    }
    at = last + 1;
  }
  return { functions, diagnostics };
}

/** One function, or what is wrong with its text. */
export function parseFunction(text: string, file?: string): IrFunction | Diagnostic {
  const { functions, diagnostics } = parseFunctions(text, file);
  const [fn] = functions;
  if (diagnostics[0]) return diagnostics[0];
  if (fn && functions.length === 1) return fn;
  return problem("SKEP2009", `${functions.length} functions, not one`);
}

interface RawTerminator {
  readonly cursor: Cursor;
  readonly loc: Loc | undefined;
}

class FunctionParser {
  readonly #lines: readonly string[];
  readonly #place: { file: string; first: number };
  readonly #blocks = new Map<string, Block>();
  readonly #insts = new Map<number, Inst>();
  readonly #raw = new Map<Inst, RawInst>();
  readonly #locals = new Map<string, Local>();
  readonly #terminators = new Map<Block, RawTerminator>();
  readonly #unnamed: { inst: Inst; block: Block; at: number }[] = [];

  constructor(lines: readonly string[], place: { file: string; first: number }) {
    this.#lines = lines;
    this.#place = place;
  }

  parse(closed: boolean): IrFunction {
    const head = this.#cursor(0);
    const fn = parseHeader(head);
    if (!closed) head.fail("the function does not end");
    let block: Block | undefined;
    for (let at = 1; at < this.#lines.length; at++) {
      const text = this.#lines[at] ?? "";
      if (text.trim() === "") continue;
      const label = /^(\w+):(?: # (.*))?$/.exec(text);
      if (label) block = this.#label(label, at);
      else if (block === undefined) this.#cursor(at).fail("a block's name is missing");
      else if (this.#terminators.has(block)) this.#cursor(at).fail("the block has ended");
      else this.#line(block, at);
    }
    fn.blocks = [...this.#blocks.values()];
    fn.nextId = this.#number();
    this.#resolve();
    return fn;
  }

  #cursor(at: number, text = this.#lines[at] ?? ""): Cursor {
    return new Cursor(text, { file: this.#place.file, line: this.#place.first + at });
  }

  #label(label: RegExpExecArray, at: number): Block {
    const [, text = "", name] = label;
    const id = /^b(\d+)$/.exec(text)?.[1];
    if (id === undefined) return this.#cursor(at).fail(`'${text}' is no block: b1 is`);
    if (this.#blocks.has(text)) return this.#cursor(at).fail(`${text} is there twice`);
    const block = newBlock(Number(id), name);
    this.#blocks.set(text, block);
    return block;
  }

  /** An instruction or a terminator, with its name and place in the source. */
  #line(block: Block, at: number): void {
    const [, text = "", file, line, column, name] =
      /^(.*?)(?: @ (\S+):(\d+):(\d+))?(?: # (.*))?$/.exec(this.#lines[at] ?? "") ?? [];
    const loc = file === undefined ? undefined : { file, line: Number(line), column: Number(column) };
    const cursor = this.#cursor(at, text);
    if (cursor.match(/(?=(jump|branch|switch|return|unreachable)\b)/)) {
      this.#terminators.set(block, { cursor, loc });
      return;
    }
    const result = this.#result(cursor);
    const raw = parseBody(cursor, this.#locals);
    cursor.end();
    const inst = newInst(result?.id ?? -1, result?.type, { args: [], body: raw.body, loc, name });
    if (result) this.#insts.set(inst.id, inst);
    else this.#unnamed.push({ inst, block, at: block.insts.length });
    this.#raw.set(inst, raw);
    this.#places.set(inst, cursor);
    block.insts.push(inst);
  }

  readonly #places = new Map<Inst, Cursor>();

  /** `%1: i32 =` */
  #result(cursor: Cursor): { id: number; type: ValueType } | null {
    const found = cursor.match(/%(\d+): /);
    if (found === null) return null;
    const id = Number(found[1]);
    if (this.#insts.has(id)) cursor.fail(`%${id} is there twice`);
    const type = parseType(cursor);
    cursor.expect("=");
    return { id, type };
  }

  /** What gives no value gets the numbers that are left. */
  #number(): number {
    let next = 0;
    const free = (): number => {
      while (this.#insts.has(next)) next++;
      return next++;
    };
    for (const { inst, block, at } of this.#unnamed) block.insts[at] = this.#renumber(inst, free());
    return [...this.#blocks.values()].reduce(
      (most, block) => block.insts.reduce((sum, inst) => Math.max(sum, inst.id + 1), most),
      0,
    );
  }

  #renumber(inst: Inst, id: number): Inst {
    const numbered = copyInst(inst, id, inst.args);
    const [raw, place] = [this.#raw.get(inst), this.#places.get(inst)];
    if (raw) this.#raw.set(numbered, raw);
    if (place) this.#places.set(numbered, place);
    this.#raw.delete(inst);
    return numbered;
  }

  #inst(id: number, cursor: Cursor): Inst {
    return this.#insts.get(id) ?? cursor.fail(`there is no %${id}`);
  }

  #block(name: string, cursor: Cursor): Block {
    return this.#blocks.get(name) ?? cursor.fail(`there is no block ${name}`);
  }

  #resolve(): void {
    for (const [inst, raw] of this.#raw) {
      const cursor = this.#places.get(inst) as Cursor;
      inst.args = raw.args.map((id) => this.#inst(id, cursor));
      if (inst.op === "phi") inst.blocks = (raw.blocks ?? []).map((name) => this.#block(name, cursor));
    }
    for (const [block, { cursor, loc }] of this.#terminators) {
      block.terminator = newTerminator(this.#terminator(cursor), loc);
      cursor.end();
    }
  }

  #terminator(cursor: Cursor): TerminatorBody {
    switch (cursor.take(/[a-z]+/, "a terminator")) {
      case "jump":
        return { op: "jump", to: this.#target(cursor) };
      case "branch":
        return this.#branch(cursor);
      case "switch":
        return this.#switch(cursor);
      case "return": {
        const args = parseIds(cursor).map((id) => this.#inst(id, cursor));
        if (args.length > 1) cursor.fail("one value is returned, or none");
        return { op: "return", args: args as [] | [Inst] };
      }
      default:
        return { op: "unreachable" };
    }
  }

  #target(cursor: Cursor): Block {
    return this.#block(cursor.word("a block"), cursor);
  }

  #branch(cursor: Cursor): TerminatorBody {
    cursor.expect(".");
    const predicate = parsePredicate(cursor);
    const a = this.#inst(parseId(cursor), cursor);
    cursor.expect(",");
    const b = this.#inst(parseId(cursor), cursor);
    const yes = this.#target(cursor);
    cursor.expect(",");
    const no = this.#target(cursor);
    const likely = cursor.accept("likely") ? true : cursor.accept("unlikely") ? false : undefined;
    return makeBranch(predicate, [a, b], { yes, no, likely });
  }

  #switch(cursor: Cursor): TerminatorBody {
    const subject = this.#inst(parseId(cursor), cursor);
    const cases: { value: bigint; to: Block }[] = [];
    while (cursor.accept("[")) {
      const value = cursor.big("a value");
      cases.push({ value, to: this.#target(cursor) });
      cursor.expect("]");
    }
    return { op: "switch", args: [subject], cases, default: this.#target(cursor) };
  }
}

/** `static inline(never) function f(a: i32): i64 {` */
function parseHeader(cursor: Cursor): IrFunction {
  const loc = cursor.loc;
  const linkage = cursor.take(/static|global/, "static or global") as IrFunction["linkage"];
  const inline = cursor.match(/inline\((always|never)\)/)?.[1] as "always" | "never" | undefined;
  const typeId = Number(cursor.match(/type\((\d+)\)/)?.[1] ?? 0);
  const program = parseProgram(cursor);
  cursor.expect("function");
  const name = cursor.word("the function's name");
  cursor.expect("(");
  const params: { name: string; type: ValueType }[] = [];
  while (!cursor.accept(")")) {
    if (params.length > 0) cursor.expect(",");
    const param = cursor.take(/[^\s:,()]+/, "a parameter's name");
    cursor.expect(":");
    params.push({ name: param, type: parseType(cursor) });
  }
  const returns = cursor.accept(":") ? parseType(cursor) : undefined;
  cursor.expect("{");
  const where = cursor.match(/@ (\S+):(\d+):(\d+)/);
  cursor.end();
  return {
    name,
    params,
    returns,
    typeId,
    linkage,
    ...(program ? { program } : {}),
    inline: inline ?? "auto",
    blocks: [],
    nextId: 0,
    loc: where ? { file: where[1] ?? "", line: Number(where[2]), column: Number(where[3]) } : loc,
  };
}

function parseProgram(cursor: Cursor): IrFunction["program"] {
  if (!cursor.accept("program(")) return undefined;
  const section = cursor.word("a section");
  const type = cursor.word("a program type");
  const attachType = cursor.accept("attach=") ? { attachType: cursor.word("an attach type") } : {};
  const attachTo = cursor.accept("to=") ? { attachTo: cursor.word("a target") } : {};
  const flags = cursor.accept("flags=") ? cursor.integer("flags") : 0;
  cursor.expect(")");
  return { section, type, ...attachType, ...attachTo, flags };
}
