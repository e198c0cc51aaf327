/**
 * @module
 * Where instructions lie in a file, and what `.BTF.ext` says of them.
 */
import { slots, type Instruction } from "@skep/isa";
import type { SectionExt } from "../elf/btf-ext.ts";
import { ObjectError } from "../errors.ts";
import type { FunctionSpec } from "../spec.ts";

/** A section of code under construction. */
export interface CodeSection {
  readonly name: string;
  readonly functions: { readonly fn: FunctionSpec; readonly start: number; readonly size: number }[];
  size: number;
}

/** Function information, lines and CO-RE relocations of every section. */
export function sectionExts(code: Iterable<CodeSection>): Map<string, SectionExt> {
  const exts = new Map<string, SectionExt>();
  for (const { name, functions } of code) {
    exts.set(name, {
      funcs: functions.flatMap(({ fn, start }) =>
        fn.typeId === undefined ? [] : [{ offset: start, typeId: fn.typeId }],
      ),
      lines: functions.flatMap(({ fn, start }) => withOffsets(fn, start, fn.lines)),
      relocations: functions.flatMap(({ fn, start }) => withOffsets(fn, start, fn.coreRelocations)),
    });
  }
  return exts;
}

/** Bytes. */
export function encodedSize(instructions: readonly Instruction[]): number {
  return instructions.reduce((sum, insn) => sum + slots(insn) * 8, 0);
}

/** Where each begins, from where the first one does. */
export function instructionOffsets(instructions: readonly Instruction[], start: number): number[] {
  const offsets: number[] = [];
  let at = start;
  for (const insn of instructions) {
    offsets.push(at);
    at += slots(insn) * 8;
  }
  return offsets;
}

function withOffsets<T extends { readonly at: number }>(
  fn: FunctionSpec,
  start: number,
  entries: readonly T[],
): (Omit<T, "at"> & { offset: number })[] {
  const offsets = instructionOffsets(fn.instructions, start);
  return entries.map(({ at, ...rest }) => {
    const offset = offsets[at];
    if (offset === undefined)
      throw new ObjectError("program", `${fn.name}: information on instruction ${at}, which is not there`);
    return { ...rest, offset };
  });
}
