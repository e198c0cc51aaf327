import { decode, programTypeOfSection, slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { SectionExt } from "../elf/btf-ext.ts";
import { STB } from "../elf/format.ts";
import { isHidden } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import type { FunctionSpec, ProgramSpec } from "../spec.ts";
import type { Place } from "./functions.ts";
import { readReferences, type Body, type CodeContext } from "./read-references.ts";

export interface ReadCode {
  readonly programs: Readonly<Record<string, ProgramSpec>>;
  readonly functions: Readonly<Record<string, FunctionSpec>>;
}

/** Programs and subprograms with their references, lines and CO-RE relocations. Throws `ObjectError`. */
export function readCode(context: CodeContext): ReadCode {
  const programs: [string, ProgramSpec][] = [];
  const functions: [string, FunctionSpec][] = [];
  for (const place of context.code.places) {
    const fn = readFunction(context, place);
    if (place.isProgram) programs.push([place.name, { ...fn, ...sectionMeaning(place.section.name) }]);
    else functions.push([place.name, place.section.name === ".text" ? fn : { ...fn, section: place.section.name }]);
  }
  return { programs: Object.fromEntries(programs), functions: Object.fromEntries(functions) };
}

/** What the section's name says; type `unspec` where it says nothing. */
export function sectionMeaning(
  section: string,
): Pick<ProgramSpec, "section" | "type" | "attachType" | "attachTo" | "flags" | "autoload"> {
  const meaning = programTypeOfSection(section);
  const isLazy = section.startsWith("?") ? { autoload: false } : {};
  if (meaning === null) return { section, type: "unspec", flags: 0, ...isLazy };
  return {
    section,
    type: meaning.type,
    ...(meaning.attachType === null ? {} : { attachType: meaning.attachType }),
    ...(meaning.attachTo === null || meaning.attachTo === "" ? {} : { attachTo: meaning.attachTo }),
    flags: meaning.flags,
    ...isLazy,
  };
}

/** A register above 10 is the verifier's to refuse: it need not be loaded with the rest of the object. */
const NO_REGISTER = "ISA1003";

function readFunction(context: CodeContext, place: Place): FunctionSpec {
  const { section, start, end, symbol } = place;
  const where = { section: section.name, offset: start };
  const { instructions, diagnostics } = decode(section.data.subarray(start, end), { byteOrder: context.elf.byteOrder });
  const damage = diagnostics.find(({ severity, code }) => severity === "error" && code !== NO_REGISTER);
  if (damage !== undefined) throw new ObjectError("program", `${place.name}: ${damage.message}`, where);
  const body: Body = { place, instructions: [...instructions], indexAt: slotIndexes(instructions) };
  const references = readReferences(context, body);
  const ext = context.btf?.ext.get(section.name);
  const typeId = ext?.funcs.find(({ offset }) => offset === start)?.typeId;
  if (typeId !== undefined && context.btf?.types.types[typeId - 1]?.kind !== "func") {
    throw new ObjectError("btf", `${place.name}: type ${typeId} is no function`, where);
  }
  return {
    name: place.name,
    ...(typeId === undefined ? {} : { typeId }),
    linkage: symbol.bind === STB.local ? "static" : symbol.bind === STB.weak ? "weak" : "global",
    ...(isHidden(symbol) ? { hidden: true } : {}),
    instructions: body.instructions,
    references,
    lines: extWithin(ext?.lines, body).map(({ at, entry: { file, line, column, text } }) => ({
      at,
      file,
      line,
      column,
      text,
    })),
    coreRelocations: extWithin(ext?.relocations, body).map(({ at, entry: { typeId: root, access, kind } }) => {
      return { at, typeId: root, access, kind };
    }),
  };
}

function slotIndexes(instructions: readonly Instruction[]): Int32Array {
  const indexes: number[] = [];
  instructions.forEach((insn, index) => {
    indexes.push(index);
    if (slots(insn) === 2) indexes.push(-1);
  });
  return Int32Array.from(indexes);
}

/** The entries of a section that lie in the function, with their instruction, ascending. */
function extWithin<T extends SectionExt["lines"][number] | SectionExt["relocations"][number]>(
  entries: readonly T[] | undefined,
  body: Body,
): { at: number; entry: T }[] {
  const { start, end, section } = body.place;
  const within = (entries ?? []).filter(({ offset }) => offset >= start && offset < end);
  const found = within.map((entry) => {
    const at = entry.offset % 8 === 0 ? (body.indexAt[(entry.offset - start) / 8] ?? -1) : -1;
    if (at < 0)
      throw new ObjectError("btf", "a record within an instruction", { section: section.name, offset: entry.offset });
    return { at, entry };
  });
  return found.sort((a, b) => a.at - b.at);
}
