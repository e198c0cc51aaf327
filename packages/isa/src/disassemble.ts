import type { Instruction } from "./instruction.ts";
import { slots } from "./instruction.ts";
import { CALL, LDDW, pseudo, pseudoCall } from "./opcode.ts";
import type { FormatNames } from "./notation/format.ts";
import { formatInstruction } from "./notation/format.ts";
import type { CodeReference } from "./notation/statement.ts";
import { slotDistance } from "./validate.ts";

/** How a program is printed. */
export interface DisassembleOptions {
  /**
   * `plain` (default): one instruction a line. `labels`: jump and call targets get labels. `listing`: as `bpftool
   * prog dump xlated` prints it, with slot number and opcode.
   */
  readonly style?: "plain" | "labels" | "listing";
  /** Names of functions by the slot that they begin at; in the style `labels` they are the labels. */
  readonly functions?: ReadonlyMap<number, string>;
  /** What a loader fills in, printed by name instead of by number. Needs `at` as an index of instructions. */
  readonly references?: readonly CodeReference[];
  /** Names of kernel functions. */
  readonly kernelFunction?: (insn: Instruction) => string | null;
}

/**
 * A program as the kernel hands it out once it is loaded (`bpftool prog dump xlated file`), with local calls and
 * functions' addresses as they were before: there the distance of a call stands in `offset`, and the number of the
 * subprogram in `imm` and `immHigh`.
 */
export function fromTranslated(instructions: readonly Instruction[]): Instruction[] {
  return instructions.map((insn) => {
    if (insn.opcode === CALL && insn.src === pseudoCall.local) return { ...insn, offset: 0, imm: insn.offset };
    if (insn.opcode === LDDW && insn.src === pseudo.func) return { ...insn, immHigh: 0 };
    return insn;
  });
}

/** The program as text in the kernel's notation. `assemble` reads every style back. Ends with a newline. */
export function disassemble(instructions: readonly Instruction[], options: DisassembleOptions = {}): string {
  const style = options.style ?? "plain";
  const labels = style === "labels" ? labelsOf(instructions, options.functions) : new Map<number, string>();
  const references = new Map((options.references ?? []).map((reference) => [reference.at, reference]));
  const lines: string[] = [];
  let slot = 0;
  for (const [index, insn] of instructions.entries()) {
    const label = labels.get(slot);
    if (label !== undefined) lines.push(`${label}:`);
    const next = slot + slots(insn);
    const reference = references.get(index);
    const text =
      (reference === undefined ? null : formatReference(insn, reference)) ??
      formatInstruction(insn, namesAt(next, labels, options.kernelFunction));
    lines.push(style === "listing" ? `${listingPrefix(slot, insn)}${text}` : style === "labels" ? `\t${text}` : text);
    slot = next;
  }
  const last = labels.get(slot);
  if (last !== undefined) lines.push(`${last}:`);
  return lines.map((line) => `${line}\n`).join("");
}

function listingPrefix(slot: number, insn: Instruction): string {
  return `${String(slot).padStart(4)}: (${insn.opcode.toString(16).padStart(2, "0")}) `;
}

function namesAt(
  next: number,
  labels: ReadonlyMap<number, string>,
  kernelFunction: DisassembleOptions["kernelFunction"],
): FormatNames {
  const target = (distance: number) => labels.get(next + distance) ?? null;
  return kernelFunction === undefined ? { target } : { target, kernelFunction };
}

/** The starts of instructions that something jumps to or calls. */
function labelsOf(
  instructions: readonly Instruction[],
  functions: ReadonlyMap<number, string> = new Map(),
): Map<number, string> {
  const starts = new Set<number>();
  const targets = new Set<number>(functions.keys());
  let slot = 0;
  for (const insn of instructions) {
    starts.add(slot);
    slot += slots(insn);
    const distance = slotDistance(insn);
    if (distance !== null) targets.add(slot + distance);
  }
  starts.add(slot);
  const labels = new Map<number, string>();
  const taken = new Set(functions.values());
  let number = 0;
  const fresh = (): string => {
    while (taken.has(`L${number}`)) number++;
    return `L${number++}`;
  };
  for (const target of Array.from(targets).sort((a, b) => a - b)) {
    if (starts.has(target)) labels.set(target, functions.get(target) ?? fresh());
  }
  return labels;
}

function symbol(reference: { readonly name: string; readonly weak: boolean }): string {
  return `name:${reference.name}${reference.weak ? ", weak" : ""}`;
}

/** Null when the kind of reference does not fit the instruction, which is then printed by its numbers. */
function formatReference(insn: Instruction, reference: CodeReference): string | null {
  const wide = insn.opcode === LDDW;
  switch (reference.kind) {
    case "map":
      return wide ? `r${insn.dst} = map[name:${reference.map}]` : null;
    case "data":
      return wide ? `r${insn.dst} = map[name:${reference.map}][0]+${reference.offset}` : null;
    case "function":
      return wide ? `r${insn.dst} = subprog[${reference.function}]` : null;
    case "call":
      return wide ? null : `call ${reference.function}`;
    case "kfunc":
      return wide ? null : `call kernel-function[${symbol(reference)}]`;
    case "ksym":
      return wide ? `r${insn.dst} = ksym[${symbol(reference)}]` : null;
  }
}
