import type { Diagnostic, Span } from "./diagnostic.ts";
import type { Instruction } from "./instruction.ts";
import { slots } from "./instruction.ts";
import { call } from "./construct.ts";
import { EXIT, LDDW } from "./opcode.ts";
import { parseConformanceStatement } from "./notation/conformance.ts";
import { parseKernelStatement } from "./notation/kernel.ts";
import type { CodeReference, Statement, Target } from "./notation/statement.ts";
import { Cursor, Fault, tokenize } from "./notation/tokens.ts";

export type { CodeReference } from "./notation/statement.ts";

/** How a text is read. */
export interface AssembleOptions {
  /**
   * `kernel` (default): what `bpftool prog dump xlated` and the verifier's log print. `llvm`: what llvm-objdump
   * prints, where `r1 = 0x5` is a move and `r1 = 0x5 ll` a 64-bit load. `conformance`: bpf_conformance and uBPF.
   */
  readonly notation?: "kernel" | "llvm" | "conformance";
  /** For the spans of diagnostics. */
  readonly file?: string;
  /** Calls of names that are no labels become references; otherwise they are errors. */
  readonly externals?: boolean;
}

/** A program that was assembled. */
export interface Assembled {
  /** Empty where there are errors. */
  readonly instructions: readonly Instruction[];
  /** Labels by name: index of the instruction behind them. */
  readonly labels: ReadonlyMap<string, number>;
  /** What a loader fills in: maps and functions by name. */
  readonly references: readonly CodeReference[];
  /** Line of the text (from 1) of every instruction. */
  readonly lines: readonly number[];
  readonly diagnostics: readonly Diagnostic[];
}

interface Line {
  /** Index from 0. */
  readonly index: number;
  /** UTF-16 units before it. */
  readonly offset: number;
  readonly text: string;
}

interface Placed {
  readonly statement: Statement;
  readonly line: Line;
  readonly slot: number;
}

/**
 * Assembles a text, one instruction a line. Labels end with `:`; comments begin with `;`, `//` or, at the start of
 * a word, `#`. Listings are read as they are: slot numbers (`12:`), opcodes (`(b7)`), prototypes of functions.
 * Every error has its line and column.
 */
export function assemble(text: string, options: AssembleOptions = {}): Assembled {
  return new Assembler(options).run(text);
}

class Assembler {
  private readonly diagnostics: Diagnostic[] = [];
  private readonly placed: Placed[] = [];
  private readonly labels = new Map<string, { readonly index: number; readonly slot: number }>();
  private readonly references: CodeReference[] = [];
  private readonly options: AssembleOptions;
  private slot = 0;

  constructor(options: AssembleOptions) {
    this.options = options;
  }

  run(text: string): Assembled {
    let offset = 0;
    for (const [index, line] of text.split("\n").entries()) {
      this.readLine({ index, offset, text: line });
      offset += line.length + 1;
    }
    const instructions = this.placed.map((placed, at) => this.resolve(placed, at));
    return {
      instructions: this.diagnostics.length === 0 ? instructions : [],
      labels: new Map(Array.from(this.labels, ([name, label]) => [name, label.index])),
      references: this.references,
      lines: this.placed.map(({ line }) => line.index + 1),
      diagnostics: this.diagnostics,
    };
  }

  private readLine(line: Line): void {
    try {
      const code = this.stripComment(line.text);
      const start = this.readLabels(code, line);
      if (code.slice(start).trim() === "") return;
      const cursor = new Cursor(tokenize(code, start));
      const statement = this.parse(cursor);
      this.placed.push({ statement, line, slot: this.slot });
      this.slot += slots(statement.insn);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.report(error, line);
    }
  }

  private parse(cursor: Cursor): Statement {
    const notation = this.options.notation ?? "kernel";
    return notation === "conformance" ? parseConformanceStatement(cursor) : parseKernelStatement(cursor, notation);
  }

  private stripComment(text: string): string {
    const comment = this.options.notation === "conformance" ? /#|;|\/\//.exec(text) : /;|\/\/|(?<=^|\s)#/.exec(text);
    const code = comment === null ? text : text.slice(0, comment.index);
    // llvm-objdump shows the symbol of a jump's target.
    return this.options.notation === "llvm" ? code.replace(/\s<[^>]*>\s*$/, "") : code;
  }

  /** Takes what stands before the instruction: slot number, opcode, labels. Gives the column behind it. */
  private readLabels(code: string, line: Line): number {
    const prototype = /^[\w \t*]*?([A-Za-z_]\w*)\(.*\):\s*$/.exec(code);
    if (prototype?.[1] !== undefined) {
      this.addLabel(prototype[1], line, code.indexOf(`${prototype[1]}(`));
      return code.length;
    }
    let start = /^\s*(?:\d+:\s+)?(?:\([0-9a-f]{2}\)\s*)?/.exec(code)?.[0].length ?? 0;
    for (;;) {
      const label = /^\s*([A-Za-z_.$][\w.$]*):(?!:)\s*/.exec(code.slice(start));
      if (label?.[1] === undefined) return start;
      this.addLabel(label[1], line, start + label[0].indexOf(label[1]));
      start += label[0].length;
    }
  }

  private addLabel(name: string, line: Line, column: number): void {
    if (this.labels.has(name)) {
      this.report(new Fault("ISA2009", `label ${name} stands here a second time`, { column, text: name }), line);
      return;
    }
    this.labels.set(name, { index: this.placed.length, slot: this.slot });
  }

  private resolve({ statement, line, slot }: Placed, at: number): Instruction {
    const { insn, target, map, kernelSymbol } = statement;
    if (kernelSymbol !== undefined) {
      this.references.push({ at, kind: insn.opcode === LDDW ? "ksym" : "kfunc", ...kernelSymbol });
    }
    if (map !== undefined) {
      this.references.push(
        map.offset === undefined
          ? { at, kind: "map", map: map.name }
          : { at, kind: "data", map: map.name, offset: map.offset >>> 0 },
      );
    }
    if (target === undefined) return insn;
    const label = this.labels.get(target.name) ?? this.exitLabel(target);
    if (label === null) {
      if (statement.helper !== undefined) return call(statement.helper);
      this.resolveExternal(target, at, line);
      return insn;
    }
    if (target.field === "function") return { ...insn, imm: label.slot - slot - 1 };
    const distance = label.slot - slot - slots(insn);
    if (target.field === "offset" && (distance < -0x8000 || distance > 0x7fff)) {
      const where = { column: target.column, text: target.name };
      this.report(
        new Fault("ISA2004", `${target.name} is ${distance} slots away, too far for 16 bits`, where, "use gotol"),
        line,
      );
    }
    return { ...insn, [target.field]: distance };
  }

  /** In bpf_conformance `exit` is also the name of the last exit instruction. */
  private exitLabel(target: Target): { readonly slot: number } | null {
    if (this.options.notation !== "conformance" || target.name !== "exit") return null;
    return this.placed.findLast(({ statement }) => statement.insn.opcode === EXIT) ?? null;
  }

  private resolveExternal(target: Target, at: number, line: Line): void {
    if (this.options.externals === true && target.field !== "offset") {
      this.references.push({ at, kind: target.field === "imm" ? "call" : "function", function: target.name });
      return;
    }
    const known = Array.from(this.labels.keys());
    const hint = known.length === 0 ? undefined : `labels are ${known.slice(0, 8).join(", ")}`;
    const where = { column: target.column, text: target.name };
    this.report(new Fault("ISA2008", `there is no label ${target.name}`, where, hint), line);
  }

  private report(fault: Fault, line: Line): void {
    const span: Span = {
      file: this.options.file ?? "",
      line: line.index + 1,
      column: fault.column + 1,
      offset: line.offset + fault.column,
      length: fault.length,
    };
    const diagnostic: Diagnostic = { code: fault.code, severity: "error", message: fault.message, span };
    this.diagnostics.push(fault.hint === undefined ? diagnostic : { ...diagnostic, hint: fault.hint });
  }
}
