import { ByteReader, cString } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import { ELF_HEADER_SIZE, EM_BPF, ET_REL, REL_SIZE, SECTION_HEADER_SIZE, SHT, STV, SYMBOL_SIZE } from "./format.ts";

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Bytes; of NOBITS sections, which have no data, too. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  /** Bytes; 0 and 1 both say nothing. */
  readonly align: number;
  /** Empty for NOBITS. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  readonly value: number;
  readonly size: number;
  readonly type: number;
  readonly bind: number;
  readonly visibility: number;
  /** Section index, or a reserved one (SHN). */
  readonly section: number;
}

export interface ElfRelocation {
  /** Bytes from the start of the section that is relocated. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface ElfFile {
  readonly byteOrder: ByteOrder;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** Of the section with that index, by offset. */
  readonly relocations: ReadonlyMap<number, readonly ElfRelocation[]>;
}

/** Seen by other objects that are linked with it, and by nothing outside of what they make. */
export function isHidden(symbol: ElfSymbol): boolean {
  return symbol.visibility === STV.hidden || symbol.visibility === STV.internal;
}

/** Reads the frame of a relocatable eBPF file. Throws `ObjectError` for anything else. */
export function readElf(bytes: Uint8Array): ElfFile {
  const { reader, byteOrder } = readHeader(bytes);
  const sections = readSections(reader);
  const symbols = readSymbols(sections, byteOrder);
  return { byteOrder, sections, symbols, relocations: readRelocations(sections, symbols, byteOrder) };
}

function readHeader(bytes: Uint8Array): { reader: ByteReader; byteOrder: ByteOrder } {
  if (bytes.length < ELF_HEADER_SIZE) throw new ObjectError("format", `${bytes.length} bytes are no ELF file`);
  if (bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new ObjectError("format", "not an ELF file: wrong magic");
  }
  if (bytes[4] !== 2) throw new ObjectError("format", "not a 64-bit ELF file");
  if (bytes[5] !== 1 && bytes[5] !== 2) throw new ObjectError("format", `unknown byte order ${bytes[5]}`);
  const byteOrder = bytes[5] === 1 ? "little" : "big";
  const reader = new ByteReader(bytes, byteOrder);
  const machine = reader.u16(18);
  // 0: clang before 4.0 (libbpf's bpf_object__elf_init tolerates it).
  if (machine !== EM_BPF && machine !== 0) throw new ObjectError("format", `not an eBPF object: machine ${machine}`);
  if (reader.u16(16) !== ET_REL) throw new ObjectError("format", `not a relocatable file: type ${reader.u16(16)}`);
  if (reader.u16(58) !== SECTION_HEADER_SIZE)
    throw new ObjectError("malformed", `section headers of ${reader.u16(58)} bytes`);
  return { reader, byteOrder };
}

function readSections(reader: ByteReader): ElfSection[] {
  const table = reader.size64(40);
  let count = reader.u16(60);
  let names = reader.u16(62);
  // More than 0xfeff sections: the counts are in the first header.
  if (count === 0) count = reader.size64(table + 32);
  if (names === 0xffff) names = reader.u32(table + 40);
  if (count > (reader.length - table) / SECTION_HEADER_SIZE) {
    throw new ObjectError("truncated", `${count} section headers at offset ${table} lie outside of the file`);
  }
  const raw = Array.from({ length: count }, (_, index) =>
    readSection(reader, table + index * SECTION_HEADER_SIZE, index),
  );
  const strings = raw[names];
  if (strings === undefined) throw new ObjectError("malformed", "there is no table of section names");
  return raw.map(({ nameOffset, ...section }) => {
    const name = cString(strings.data, nameOffset);
    if (name === null) throw new ObjectError("malformed", `section ${section.index} has no name`);
    return { ...section, name };
  });
}

type RawSection = Omit<ElfSection, "name"> & { readonly nameOffset: number };

function readSection(reader: ByteReader, at: number, index: number): RawSection {
  const type = reader.u32(at + 4);
  const offset = reader.size64(at + 24);
  const size = reader.size64(at + 32);
  const hasData = type !== SHT.nobits && type !== SHT.null;
  if (hasData && offset + size > reader.length) {
    throw new ObjectError(
      "truncated",
      `section ${index}: ${size} bytes at offset ${offset} lie outside of ${reader.length} bytes`,
    );
  }
  return {
    index,
    nameOffset: reader.u32(at),
    type,
    flags: reader.u32(at + 8 + (reader.little ? 0 : 4)),
    size,
    link: reader.u32(at + 40),
    info: reader.u32(at + 44),
    align: reader.size64(at + 48),
    data: hasData ? reader.slice(offset, size) : new Uint8Array(0),
  };
}

function readSymbols(sections: readonly ElfSection[], byteOrder: ByteOrder): ElfSymbol[] {
  const table = sections.find((section) => section.type === SHT.symtab);
  if (table === undefined) throw new ObjectError("format", "no symbol table: a stripped object cannot be loaded");
  const strings = sections[table.link];
  if (strings?.type !== SHT.strtab)
    throw new ObjectError("malformed", "the symbol table has no strings", { section: table.name });
  if (table.size % SYMBOL_SIZE !== 0)
    throw new ObjectError("malformed", `a table of ${table.size} bytes`, { section: table.name });
  const reader = new ByteReader(table.data, byteOrder, table.name);
  return Array.from({ length: table.size / SYMBOL_SIZE }, (_, index) => {
    const at = index * SYMBOL_SIZE;
    const info = reader.u8(at + 4);
    const section = reader.u16(at + 6);
    const type = info & 15;
    const text = cString(strings.data, reader.u32(at));
    if (text === null)
      throw new ObjectError("malformed", `symbol ${index} has no name`, { section: table.name, offset: at });
    return {
      index,
      // A section's symbol has the section's name.
      name: text === "" && type === 3 ? (sections[section]?.name ?? "") : text,
      value: reader.size64(at + 8),
      size: reader.size64(at + 16),
      type,
      bind: info >> 4,
      visibility: reader.u8(at + 5) & 3,
      section,
    };
  });
}

function readRelocations(
  sections: readonly ElfSection[],
  symbols: readonly ElfSymbol[],
  byteOrder: ByteOrder,
): Map<number, ElfRelocation[]> {
  const all = new Map<number, ElfRelocation[]>();
  for (const section of sections) {
    const target = sections[section.info];
    if (section.type === SHT.rela && target !== undefined && !isIgnored(target.name)) {
      throw new ObjectError("unsupported", "relocations with addends are not eBPF's", { section: section.name });
    }
    if (section.type !== SHT.rel) continue;
    if (target === undefined)
      throw new ObjectError("malformed", `relocates section ${section.info}`, { section: section.name });
    if (isIgnored(target.name)) continue;
    all.set(target.index, [...(all.get(target.index) ?? []), ...relocationsOf(section, symbols, byteOrder)]);
  }
  for (const relocations of all.values()) relocations.sort((a, b) => a.offset - b.offset);
  return all;
}

/** Sections that are nobody's business here; their relocations are not even read. */
function isIgnored(name: string): boolean {
  return (
    name.startsWith(".debug_") ||
    name === ".BTF" ||
    name === ".BTF.ext" ||
    name === ".eh_frame" ||
    name === ".llvm_addrsig"
  );
}

function relocationsOf(section: ElfSection, symbols: readonly ElfSymbol[], byteOrder: ByteOrder): ElfRelocation[] {
  if (section.size % REL_SIZE !== 0)
    throw new ObjectError("malformed", `a table of ${section.size} bytes`, { section: section.name });
  const reader = new ByteReader(section.data, byteOrder, section.name);
  const little = byteOrder === "little";
  return Array.from({ length: section.size / REL_SIZE }, (_, index) => {
    const at = index * REL_SIZE;
    const number = reader.u32(at + (little ? 12 : 8));
    const symbol = symbols[number];
    if (symbol === undefined)
      throw new ObjectError("malformed", `there is no symbol ${number}`, { section: section.name, offset: at });
    return { offset: reader.size64(at), type: reader.u32(at + (little ? 8 : 12)), symbol };
  });
}
