/**
 * @module
 * What instructions refer to: by relocations, and calls within a section, which need none.
 */
import { CALL, LDDW, pseudo, pseudoCall } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { resolveType } from "../btf/query.ts";
import { R_BPF, SHF, SHN, STT } from "../elf/format.ts";
import type { ElfFile, ElfRelocation, ElfSymbol } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import type { Reference } from "../spec.ts";
import type { CodeMap, Place } from "./functions.ts";
import type { MapPlaces } from "./read-maps.ts";
import type { ExternSymbol, ObjectTypes } from "./read-btf.ts";
import { ARENA_SECTION, isDataSection, JUMP_TABLES } from "./sections.ts";

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

/** A function that is being read. */
export interface Body {
  readonly place: Place;
  readonly instructions: Instruction[];
  /** By slot; -1 for second halves. */
  readonly indexAt: Int32Array;
}

/** What the instructions of a function refer to; in the body they become placeholders. */
export function readReferences(context: CodeContext, body: Body): Reference[] {
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
