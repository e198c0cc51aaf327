import { CALL, LDDW, decode, programTypeOfSection, pseudo, pseudoCall, slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { SectionExt } from "../elf/btf-ext.ts";
import { R_BPF, SHF, SHN, SHT, STB, STT } from "../elf/format.ts";
import { isHidden } from "../elf/read.ts";
import type { ElfFile, ElfRelocation, ElfSection, ElfSymbol } from "../elf/read.ts";
import { resolveType } from "../btf/query.ts";
import { ObjectError } from "../errors.ts";
import type { FunctionSpec, ProgramSpec, Reference } from "../spec.ts";
import type { MapPlaces } from "./read-maps.ts";
import type { ExternSymbol, ObjectTypes } from "./read-btf.ts";
import { ARENA_SECTION, isDataSection, isTextSection, JUMP_TABLES } from "./sections.ts";

/** A function's place in the file. */
interface Place {
  /** Unique in the object. */
  readonly name: string;
  readonly section: ElfSection;
  readonly symbol: ElfSymbol;
  readonly start: number;
  readonly end: number;
  readonly isProgram: boolean;
}

/** Where the functions lie. */
export interface CodeMap {
  readonly places: readonly Place[];
  /** Name of the function at a symbol, at an offset from it; null where none starts. */
  readonly functionAt: (symbol: ElfSymbol, addend?: number) => string | null;
}

export interface CodeContext {
  readonly elf: ElfFile;
  readonly btf: ObjectTypes | null;
  readonly externs: ReadonlyMap<string, ExternSymbol>;
  readonly code: CodeMap;
  readonly maps: MapPlaces;
  /** Offsets in the map `.kconfig`, by variable. */
  readonly kconfig: ReadonlyMap<string, number>;
  /** Name of the arena whose variables the object has; null without. */
  readonly arena: string | null;
  /** Whether immediates hold the symbol's value too (`hasWholeAddends`). */
  readonly wholeAddends: boolean;
}

export interface ReadCode {
  readonly programs: Readonly<Record<string, ProgramSpec>>;
  readonly functions: Readonly<Record<string, FunctionSpec>>;
}

/** Finds every function: symbols in executable sections. Throws `ObjectError`. */
export function findFunctions(elf: ElfFile): CodeMap {
  const places: Place[] = [];
  const names = new Set<string>();
  for (const section of elf.sections) {
    if (section.type !== SHT.progbits || (section.flags & SHF.execinstr) === 0) continue;
    const symbols = elf.symbols.filter(({ section: index, type }) => index === section.index && type === STT.func);
    symbols.sort((a, b) => a.value - b.value || a.index - b.index);
    symbols.forEach((symbol, index) => {
      const next = symbols.slice(index + 1).find(({ value }) => value > symbol.value)?.value ?? section.size;
      const end = symbol.size === 0 ? next : symbol.value + symbol.size;
      if (symbol.value % 8 !== 0 || end % 8 !== 0 || end > section.size || end <= symbol.value) {
        throw new ObjectError("program", `function ${symbol.name} lies outside`, {
          section: section.name,
          offset: symbol.value,
        });
      }
      const isProgram = !isTextSection(section.name) && symbol.bind !== STB.local;
      places.push({ name: uniqueName(symbol.name, names), section, symbol, start: symbol.value, end, isProgram });
    });
  }
  return { places, functionAt: functionFinder(places) };
}

/** Static functions of several sources may share a name in one object. */
function uniqueName(name: string, taken: Set<string>): string {
  let unique = name;
  for (let number = 1; taken.has(unique); number++) unique = `${name}.${number}`;
  taken.add(unique);
  return unique;
}

function functionFinder(places: readonly Place[]): CodeMap["functionAt"] {
  const bySymbol = new Map(places.map((place) => [place.symbol.index, place.name]));
  const byPlace = new Map<string, string>();
  for (const place of places) {
    const key = `${place.section.index}:${place.start}`;
    if (!byPlace.has(key)) byPlace.set(key, place.name);
  }
  return (symbol, addend = 0) => {
    const own = addend === 0 ? bySymbol.get(symbol.index) : undefined;
    return own ?? byPlace.get(`${symbol.section}:${symbol.value + addend}`) ?? null;
  };
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

interface Body {
  readonly place: Place;
  readonly instructions: Instruction[];
  /** By slot; -1 for second halves. */
  readonly indexAt: Int32Array;
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

function readReferences(context: CodeContext, body: Body): Reference[] {
  const { place } = body;
  const references: Reference[] = [];
  const seen = new Set<number>();
  for (const relocation of context.elf.relocations.get(place.section.index) ?? []) {
    if (relocation.offset < place.start || relocation.offset >= place.end) continue;
    const at = relocation.offset % 8 === 0 ? (body.indexAt[(relocation.offset - place.start) / 8] ?? -1) : -1;
    const insn = body.instructions[at];
    const where = { section: place.section.name, offset: relocation.offset };
    if (insn === undefined || seen.has(at))
      throw new ObjectError("relocation", "not at an instruction, or twice", where);
    seen.add(at);
    const reference =
      insn.opcode === CALL
        ? callReference(context, { insn, relocation, at })
        : loadReference(context, { insn, relocation, at, place });
    references.push(reference);
    body.instructions[at] = placeholder(insn, reference);
  }
  body.instructions.forEach((insn, at) => {
    if (seen.has(at)) return;
    const reference = localReference(context, body, at);
    if (reference === null) return;
    references.push(reference);
    body.instructions[at] = placeholder(insn, reference);
  });
  return references.sort((a, b) => a.at - b.at);
}

/** The instruction with the pseudo source that its reference implies, and immediates of 0. */
export function placeholder(insn: Instruction, reference: Reference): Instruction {
  const zero = { ...insn, offset: 0, imm: 0 };
  switch (reference.kind) {
    case "call":
      return { ...zero, src: pseudoCall.local };
    case "kfunc":
      return { ...zero, src: pseudoCall.kfunc };
    case "map":
      return { ...zero, src: pseudo.mapFd, immHigh: 0 };
    case "data":
    case "extern":
      return { ...zero, src: pseudo.mapValue, immHigh: 0 };
    case "function":
      return { ...zero, src: pseudo.func, immHigh: 0 };
    case "ksym":
      return { ...zero, src: reference.typeId === undefined ? 0 : pseudo.btfId, immHigh: 0 };
  }
}

interface At {
  readonly insn: Instruction;
  readonly relocation: ElfRelocation;
  readonly at: number;
}

function failure(message: string, section: string, offset: number): ObjectError {
  return new ObjectError("relocation", message, { section, offset });
}

function callReference(context: CodeContext, { insn, relocation, at }: At): Reference {
  const { symbol, offset } = relocation;
  if (relocation.type !== R_BPF.r64_32 && relocation.type !== R_BPF.abs32) {
    throw failure(`relocation type ${relocation.type} at a call of ${symbol.name}`, "code", offset);
  }
  if (symbol.section === SHN.undef) {
    const extern = context.externs.get(symbol.name);
    if (extern?.section === ".ksyms" && extern.type?.kind === "func") {
      return {
        at,
        kind: "kfunc",
        name: symbol.name,
        weak: extern.weak,
        ...(extern.typeId === null ? {} : { typeId: extern.typeId }),
      };
    }
    return { at, kind: "call", function: symbol.name };
  }
  // libbpf (bpf_object__relocate_calls): the immediate counts slots from the symbol, less one.
  const addend = (insn.imm + 1 - (context.wholeAddends ? valueOf(symbol) : 0)) * 8;
  const target = context.code.functionAt(symbol, addend);
  if (target === null) throw failure(`a call of ${symbol.name}, where no function starts`, "code", offset);
  return { at, kind: "call", function: target };
}

/** What the GNU assembler added of it. */
function valueOf(symbol: ElfSymbol): number {
  return symbol.type === STT.section ? 0 : symbol.value;
}

function loadReference(context: CodeContext, { insn, relocation, at, place }: At & { place: Place }): Reference {
  const { symbol, offset, type } = relocation;
  const section = place.section.name;
  if (insn.opcode !== LDDW || type !== R_BPF.r64_64) {
    throw failure(`relocation type ${type} of ${symbol.name} at opcode 0x${insn.opcode.toString(16)}`, section, offset);
  }
  if (symbol.section === SHN.undef) return externReference(context, symbol.name, at);
  const target = context.elf.sections[symbol.section];
  const addend = context.wholeAddends ? insn.imm - valueOf(symbol) : insn.imm;
  if (target === undefined) throw failure(`${symbol.name} lies in no section`, section, offset);
  const map = context.maps.at(target.index, symbol.value + addend);
  if (map !== null) return { at, kind: "map", map };
  if (isDataSection(target.name) || target.name === ARENA_SECTION) {
    const holder = target.name === ARENA_SECTION ? context.arena : target.name;
    const place = symbol.value + addend;
    if (holder === null || place < 0 || place > target.size)
      throw failure(`${symbol.name} lies outside of ${target.name}`, section, offset);
    return { at, kind: "data", map: holder, offset: place };
  }
  if ((target.flags & SHF.execinstr) !== 0) {
    const callee = context.code.functionAt(symbol, addend);
    if (callee === null) throw failure(`the address of ${symbol.name}, where no function starts`, section, offset);
    return { at, kind: "function", function: callee };
  }
  if (target.name === JUMP_TABLES) {
    const message = "indirect jumps (gotox) through a jump table, which is a map that kernels have since 6.19";
    throw new ObjectError("unsupported", message, { section, offset });
  }
  throw failure(`${symbol.name} lies in section ${target.name}, which is neither maps, data nor code`, section, offset);
}

/** `lddw` of what the object does not define. */
function externReference(context: CodeContext, name: string, at: number): Reference {
  const extern = context.externs.get(name);
  const weak = extern?.weak ?? false;
  switch (extern?.section) {
    case ".kconfig": {
      const offset = kconfigOffset(context, name);
      return { at, kind: "data", map: ".kconfig", offset };
    }
    case ".ksyms":
      return { at, kind: "ksym", name, weak, ...ksymType(context, extern) };
    case ".maps":
      return { at, kind: "map", map: name };
    default:
      return extern?.type?.kind === "func"
        ? { at, kind: "function", function: name }
        : { at, kind: "extern", name, weak };
  }
}

function kconfigOffset(context: CodeContext, name: string): number {
  const offset = context.kconfig.get(name);
  if (offset === undefined) throw new ObjectError("symbol", `${name} is not described`, { section: ".kconfig" });
  return offset;
}

/** A variable declared as void has an address and no type (`extern const void x __ksym`). */
function ksymType(context: CodeContext, extern: ExternSymbol): { typeId?: number } {
  if (extern.typeId === null || extern.type === null) return {};
  if (extern.type.kind === "func") return { typeId: extern.typeId };
  const isVoid = context.btf === null || resolveType(context.btf.view, extern.type.typeId) === null;
  return isVoid ? {} : { typeId: extern.typeId };
}

/** Calls within a section need no relocation. */
function localReference(context: CodeContext, body: Body, at: number): Reference | null {
  const { place, instructions, indexAt } = body;
  const insn = instructions[at];
  if (insn === undefined) return null;
  const isCall = insn.opcode === CALL && insn.src === pseudoCall.local;
  const isAddress = insn.opcode === LDDW && insn.src === pseudo.func;
  if (!isCall && !isAddress) return null;
  const slot = indexAt.indexOf(at);
  const offset = place.start + (slot + 1 + insn.imm) * 8;
  const callee = context.code.functionAt({ ...place.symbol, index: -1, value: offset });
  if (callee === null)
    throw failure(`a call to offset ${offset}, where no function starts`, place.section.name, place.start + slot * 8);
  return isCall ? { at, kind: "call", function: callee } : { at, kind: "function", function: callee };
}
