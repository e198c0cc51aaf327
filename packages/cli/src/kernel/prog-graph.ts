/**
 * @module
 * A program's control flow as a graph in the language of dot(1).
 */
import { slots } from "@skep/isa";
import type { CodeLine } from "./prog-code.ts";

const JMP = 5;
const JMP32 = 6;

interface Flow {
  /** Slot that it may jump to. */
  readonly target: number | null;
  readonly fallsThrough: boolean;
}

/** Where control goes after an instruction; null where it just goes on. */
function flowOf({ slot, instruction: insn }: CodeLine): Flow | null {
  const kind = insn.opcode & 7;
  if (kind !== JMP && kind !== JMP32) return null;
  const operation = insn.opcode & 0xf0;
  const next = slot + slots(insn);
  if (operation === 0x80) return null;
  if (operation === 0x90) return { target: null, fallsThrough: false };
  // `goto`, and with 32 bits of distance `gotol`; a jump through a register goes anywhere.
  if (operation === 0x00) {
    const isIndirect = (insn.opcode & 8) !== 0;
    const distance = kind === JMP32 ? insn.imm : insn.offset;
    return { target: isIndirect ? null : next + distance, fallsThrough: false };
  }
  return { target: next + insn.offset, fallsThrough: true };
}

/** Slots at which a block begins. */
function leaders(lines: readonly CodeLine[]): Set<number> {
  const found = new Set<number>();
  for (const [index, line] of lines.entries()) {
    const flow = flowOf(line);
    if (index === 0 || line.prototype !== null) found.add(line.slot);
    if (flow === null) continue;
    if (flow.target !== null) found.add(flow.target);
    found.add(line.slot + slots(line.instruction));
  }
  return found;
}

const escaped = (text: string): string => text.replaceAll(/[\\<>{}|"]/g, String.raw`\$&`);

function blockText(lines: readonly CodeLine[]): string {
  return lines
    .map(({ slot, text, source }) => {
      const head = source === null || source.text === "" ? "" : `; ${escaped(source.text)}\\l`;
      return `${head}${slot}: ${escaped(text)}\\l`;
    })
    .join("");
}

/** One cluster for each function, one node for each block. */
export function functionsGraph(lines: readonly CodeLine[]): string {
  const starts = leaders(lines);
  const out = ["digraph program {", '\tnode [shape=box, fontname="monospace"];'];
  let number = 0;
  let isOpen = false;
  let block: CodeLine[] = [];
  const flush = (next: number | null) => {
    const [first] = block;
    const last = block.at(-1);
    if (!first || !last) return;
    out.push(`\t\tb${first.slot} [label="${blockText(block)}"];`);
    const flow = flowOf(last);
    if (flow?.target !== undefined && flow.target !== null)
      out.push(`\t\tb${first.slot} -> b${flow.target}${flow.fallsThrough ? ' [label="true"]' : ""};`);
    if (next !== null && (flow === null || flow.fallsThrough))
      out.push(`\t\tb${first.slot} -> b${next}${flow === null ? "" : ' [label="false"]'};`);
    block = [];
  };
  for (const line of lines) {
    const isFunction = line.prototype !== null || line === lines[0];
    if (isFunction || starts.has(line.slot)) flush(isFunction ? null : line.slot);
    if (isFunction) {
      if (isOpen) out.push("\t}");
      isOpen = true;
      out.push(`\tsubgraph cluster_${number++} {`, `\t\tlabel="${escaped(line.prototype ?? "")}";`);
    }
    block.push(line);
  }
  flush(null);
  if (isOpen) out.push("\t}");
  return `${[...out, "}"].join("\n")}\n`;
}
