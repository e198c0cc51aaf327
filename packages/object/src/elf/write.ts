import { ByteWriter, StringTable } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import {
  ELF_HEADER_SIZE,
  EM_BPF,
  ET_REL,
  SECTION_HEADER_SIZE,
  SHF,
  SHT,
  STB,
  STT,
  STV,
  SYMBOL_SIZE,
} from "./format.ts";

export interface SectionInput {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly align: number;
  readonly data: Uint8Array;
  /** Bytes of a NOBITS section; default the data's. */
  readonly size?: number;
  readonly relocations?: readonly RelocationInput[];
}

export interface RelocationInput {
  readonly offset: number;
  readonly type: number;
  /** Name of a global symbol, or of the section whose symbol it is. */
  readonly symbol: { readonly global: string } | { readonly section: string };
}

export interface SymbolInput {
  readonly name: string;
  /** Name of a section; null: undefined here. */
  readonly section: string | null;
  readonly value: number;
  readonly size: number;
  readonly type: number;
  readonly bind: number;
  readonly visibility?: number;
}

export interface ElfInput {
  readonly byteOrder: ByteOrder;
  readonly sections: readonly SectionInput[];
  readonly symbols: readonly SymbolInput[];
}

interface Header {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly align: number;
  readonly size: number;
  readonly data: Uint8Array | null;
  readonly link?: number;
  readonly info?: number;
  readonly entry?: number;
}

/** A relocatable eBPF file: the sections, each followed by its relocations, then symbols and strings. */
export function writeElf(input: ElfInput): Uint8Array<ArrayBuffer> {
  const strings = new StringTable();
  const numbers = numberSections(input.sections);
  const symtab = sectionCount(input.sections) + 1;
  const table = symbolTable(input, numbers, strings);
  const headers: Header[] = [];
  for (const section of input.sections) {
    headers.push({
      ...section,
      size: section.size ?? section.data.length,
      data: section.type === SHT.nobits ? null : section.data,
    });
    if (hasRelocations(section))
      headers.push(relocationHeader(section, { input, numbers, symtab, numberOf: table.numberOf }));
  }
  headers.push({
    name: ".symtab",
    type: SHT.symtab,
    flags: 0,
    align: 8,
    size: table.bytes.length,
    data: table.bytes,
    link: symtab + 1,
    info: table.firstGlobal,
    entry: SYMBOL_SIZE,
  });
  headers.push({ name: ".strtab", type: SHT.strtab, flags: 0, align: 1, size: 0, data: null });
  return layOut(headers, strings, input.byteOrder);
}

function hasRelocations(section: SectionInput): boolean {
  return section.relocations !== undefined && section.relocations.length > 0;
}

function sectionCount(sections: readonly SectionInput[]): number {
  return sections.length + sections.filter(hasRelocations).length;
}

/** Index of each section; the relocations of a section come right after it. */
function numberSections(sections: readonly SectionInput[]): Map<string, number> {
  const numbers = new Map<string, number>();
  let next = 1;
  for (const section of sections) {
    numbers.set(section.name, next);
    next += hasRelocations(section) ? 2 : 1;
  }
  return numbers;
}

interface SymbolTableOutput {
  readonly bytes: Uint8Array;
  readonly firstGlobal: number;
  readonly numberOf: (symbol: RelocationInput["symbol"]) => number;
}

/** Local symbols come first (ELF's rule): sections, then the others. */
function symbolTable(input: ElfInput, numbers: ReadonlyMap<string, number>, strings: StringTable): SymbolTableOutput {
  const wanted = new Set<string>();
  for (const section of input.sections) {
    for (const { symbol } of section.relocations ?? []) if ("section" in symbol) wanted.add(symbol.section);
  }
  const sectionSymbols = input.sections.filter(({ name }) => wanted.has(name)).map(({ name }) => name);
  const locals = input.symbols.filter(({ bind }) => bind === STB.local);
  const globals = input.symbols.filter(({ bind }) => bind !== STB.local);
  const out = new ByteWriter(input.byteOrder, 1024);
  const put = (
    name: number,
    info: number,
    place: { visibility: number; section: number; value: number; size: number },
  ) => out.u32(name).u8(info).u8(place.visibility).u16(place.section).u64(place.value).u64(place.size);
  put(0, 0, { visibility: 0, section: 0, value: 0, size: 0 });
  for (const name of sectionSymbols)
    put(0, STT.section, { visibility: 0, section: numbers.get(name) ?? 0, value: 0, size: 0 });
  for (const symbol of [...locals, ...globals]) {
    put(strings.add(symbol.name), (symbol.bind << 4) | symbol.type, {
      visibility: symbol.visibility ?? STV.default,
      section: symbol.section === null ? 0 : (numbers.get(symbol.section) ?? 0),
      value: symbol.value,
      size: symbol.size,
    });
  }
  const firstGlobal = 1 + sectionSymbols.length + locals.length;
  const ofSection = new Map(sectionSymbols.map((name, index) => [name, index + 1]));
  const ofGlobal = new Map(globals.map(({ name }, index) => [name, firstGlobal + index]));
  return {
    bytes: out.finish(),
    firstGlobal,
    numberOf: (symbol) => {
      const number = "section" in symbol ? ofSection.get(symbol.section) : ofGlobal.get(symbol.global);
      if (number !== undefined) return number;
      throw new ObjectError("symbol", `nothing is named ${"section" in symbol ? symbol.section : symbol.global}`);
    },
  };
}

interface RelocationContext {
  readonly input: ElfInput;
  readonly numbers: ReadonlyMap<string, number>;
  readonly symtab: number;
  readonly numberOf: SymbolTableOutput["numberOf"];
}

function relocationHeader(section: SectionInput, context: RelocationContext): Header {
  const out = new ByteWriter(context.input.byteOrder, 16 * (section.relocations?.length ?? 0));
  for (const { offset, type, symbol } of section.relocations ?? []) {
    out.u64(offset).u64((BigInt(context.numberOf(symbol)) << 32n) | BigInt(type));
  }
  const data = out.finish();
  return {
    name: `.rel${section.name}`,
    type: SHT.rel,
    // SHF_INFO_LINK.
    flags: 0x40,
    align: 8,
    size: data.length,
    data,
    link: context.symtab,
    info: context.numbers.get(section.name) ?? 0,
    entry: 16,
  };
}

function layOut(headers: readonly Header[], strings: StringTable, byteOrder: ByteOrder): Uint8Array<ArrayBuffer> {
  const names = headers.map(({ name }) => strings.add(name));
  const text = strings.finish();
  const body = new ByteWriter(byteOrder, 4096);
  body.append(new Uint8Array(ELF_HEADER_SIZE));
  const places = headers.map((header) => {
    body.align(header.align);
    const offset = body.length;
    const data = header.name === ".strtab" ? text : header.data;
    if (data !== null) body.append(data);
    return { offset, size: data === null ? header.size : data.length };
  });
  body.align(8);
  const table = body.length;
  body.append(new Uint8Array(SECTION_HEADER_SIZE));
  headers.forEach((header, index) => {
    const { offset, size } = places[index] ?? { offset: 0, size: 0 };
    body
      .u32(names[index] ?? 0)
      .u32(header.type)
      .u64(header.flags)
      .u64(0)
      .u64(offset)
      .u64(size);
    body
      .u32(header.link ?? 0)
      .u32(header.info ?? 0)
      .u64(header.align)
      .u64(header.entry ?? 0);
  });
  const file = body.finish();
  file.set(elfHeader({ byteOrder, table, count: headers.length + 1 }));
  return file;
}

function elfHeader(input: { byteOrder: ByteOrder; table: number; count: number }): Uint8Array {
  const out = new ByteWriter(input.byteOrder, ELF_HEADER_SIZE);
  out.append(
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, input.byteOrder === "little" ? 1 : 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  );
  out.u16(ET_REL).u16(EM_BPF).u32(1).u64(0).u64(0).u64(input.table).u32(0);
  out
    .u16(ELF_HEADER_SIZE)
    .u16(0)
    .u16(0)
    .u16(SECTION_HEADER_SIZE)
    .u16(input.count)
    .u16(input.count - 1);
  return out.finish();
}

/** Flags of the usual sections. */
export const CODE_FLAGS = SHF.alloc | SHF.execinstr;
export const DATA_FLAGS = SHF.alloc | SHF.write;
export const READ_ONLY_FLAGS = SHF.alloc;
