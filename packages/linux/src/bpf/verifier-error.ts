import type { CoreResult, LinkedLine } from "@skep/object";
import { summarizeLog, type LoggedInstruction, type Registers } from "./verifier-log.ts";

export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

export interface VerifierErrorOptions {
  readonly lines: readonly LinkedLine[];
  /** What CO-RE made of the program: a poisoned instruction is explained by what is missing. */
  readonly relocations?: readonly CoreResult[];
  /** What the verifier's message means, where it says it in other words. */
  readonly problem?: string;
  readonly cause: unknown;
  readonly truncated?: boolean;
}

/** The kernel's verifier refused a program. The message is one line; `detail()` tells the rest. */
export class VerifierError extends Error {
  override readonly name = "VerifierError";
  readonly program: string;
  /** What the verifier says, without the place. */
  readonly summary: string;
  /** As the kernel wrote it. */
  readonly log: string;
  /** The one that was refused; null where the program was refused as a whole. */
  readonly instruction: LoggedInstruction | null;
  readonly source: SourceLine | null;
  /** What was known before the instruction, by the kernel's names. */
  readonly registers: Registers;
  /** Slots of the path that leads to it, since its last branch. */
  readonly path: readonly number[];
  /** Whether the log's beginning or end did not fit. */
  readonly truncated: boolean;

  constructor(program: string, log: string, options: VerifierErrorOptions) {
    const found = summarizeLog(log);
    const source = sourceOf(found.instruction, options.lines);
    const place = source
      ? ` (${source.file}:${source.line})`
      : found.instruction
        ? ` (instruction ${found.instruction.slot})`
        : "";
    const missing = options.relocations?.find(
      (each) => each.problem !== undefined && each.slot === found.instruction?.slot,
    );
    const summary = missing?.problem ?? options.problem ?? (found.message || "the verifier gave no reason");
    super(`${program}: ${summary}${place}`, { cause: options.cause });
    this.program = program;
    this.summary = summary;
    this.log = log;
    this.instruction = found.instruction;
    this.source = source;
    this.registers = found.registers;
    this.path = found.path;
    this.truncated = options.truncated ?? false;
  }

  /** Several lines: the sentence, the source line, the instruction and the registers that it uses. */
  detail(): string {
    const lines = [this.message];
    if (this.source)
      lines.push(`  ${this.source.file}:${this.source.line}:${this.source.column}  ${this.source.text.trim()}`);
    if (this.instruction) {
      lines.push(`  ${this.instruction.slot}: ${this.instruction.text}`);
      for (const name of usedRegisters(this.instruction.text)) {
        const state = this.registers[name];
        if (state !== undefined) lines.push(`    ${name} = ${state}`);
      }
    }
    return lines.join("\n");
  }
}

/** The registers that an instruction's text names, as the states name them. */
export function usedRegisters(text: string): string[] {
  const named = [...text.matchAll(/\b[rw](\d+)\b/g)].map((match) => `R${match[1]}`);
  const isCall = text.startsWith("call ");
  return [...new Set(isCall ? ["R1", "R2", "R3", "R4", "R5"] : named)];
}

/** The last line that begins at or before the instruction. */
function sourceOf(instruction: LoggedInstruction | null, lines: readonly LinkedLine[]): SourceLine | null {
  if (!instruction) return null;
  const line = lines.findLast((each) => each.slot <= instruction.slot);
  return line ? { file: line.file, line: line.line, column: line.column, text: line.text } : null;
}
