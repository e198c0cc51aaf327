import { ByteReader, cString } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import { forEachTypeId } from "./walk.ts";
import { BTF_HEADER_SIZE, BTF_KINDS, BTF_MAGIC, BTF_TAILS } from "./kinds.ts";
import type { BtfMember, BtfOf, BtfType, BtfTypes } from "./types.ts";

const LINKAGES = ["static", "global", "extern"] as const;

/** Where the parts of a `.BTF` section lie. Offsets count from the section's start. */
export interface BtfLayout {
  readonly byteOrder: ByteOrder;
  readonly typesOffset: number;
  readonly typesEnd: number;
  /** The string section, without the base's. */
  readonly strings: Uint8Array;
  /** Bytes behind a type's head by kind number: what the format says, and what the section itself says of kinds that came later. */
  readonly tails: readonly { readonly fixed: number; readonly each: number }[];
}

/** Strings of a base and of what is split from it, as one. */
export interface BtfStrings {
  /** Bytes of the base's string section; 0 without a base. */
  readonly start: number;
  readonly own: Uint8Array;
  readonly base?: BtfStrings;
}

export interface DecodeBtfOptions {
  /** For split BTF: what `openBtf` made of the base (its strings are needed too). */
  readonly base?: { readonly end: number; readonly strings: BtfStrings };
}

/** Every type of a `.BTF` section. Throws `ObjectError` `btf` (or `truncated`) for damaged bytes. */
export function decodeBtf(bytes: Uint8Array, options: DecodeBtfOptions = {}): BtfTypes {
  const layout = btfLayout(bytes, options.base !== undefined);
  const reader = new ByteReader(bytes, layout.byteOrder, ".BTF");
  const strings = joinStrings(layout.strings, options.base?.strings);
  const firstId = options.base?.end ?? 1;
  const types: BtfType[] = [];
  let at = layout.typesOffset;
  while (at < layout.typesEnd) {
    const { type, end } = decodeType(reader, at, { strings, limit: layout.typesEnd });
    types.push(type);
    at = end;
  }
  const idEnd = firstId + types.length;
  types.forEach((type, index) => checkIds(type, firstId + index, idEnd));
  return firstId === 1 ? { types } : { types, firstId };
}

export function joinStrings(own: Uint8Array, base: BtfStrings | undefined): BtfStrings {
  return base === undefined ? { start: 0, own } : { start: base.start + base.own.length, own, base };
}

/** The text at a string offset. Throws `ObjectError` `btf` for an offset outside. */
export function btfString(strings: BtfStrings, offset: number): string {
  if (offset < strings.start && strings.base !== undefined) return btfString(strings.base, offset);
  const text = cString(strings.own, offset - strings.start);
  if (text === null) throw new ObjectError("btf", `no string at offset ${offset}`, { section: ".BTF" });
  return text;
}

/** Reads and checks the header. */
export function btfLayout(bytes: Uint8Array, isSplit = false): BtfLayout {
  const fail = (message: string) => new ObjectError("btf", message, { section: ".BTF" });
  if (bytes.length < BTF_HEADER_SIZE) throw fail(`${bytes.length} bytes are no BTF`);
  const little = bytes[0] === (BTF_MAGIC & 0xff) && bytes[1] === BTF_MAGIC >> 8;
  const reader = new ByteReader(bytes, little ? "little" : "big", ".BTF");
  if (reader.u16(0) !== BTF_MAGIC) throw fail(`wrong magic 0x${reader.u16(0).toString(16)}`);
  if (reader.u8(2) !== 1) throw fail(`version ${reader.u8(2)} is unknown`);
  const header = reader.u32(4);
  if (header < BTF_HEADER_SIZE) throw fail(`header of ${header} bytes`);
  const typesOffset = header + reader.u32(8);
  const typesEnd = typesOffset + reader.u32(12);
  const stringsOffset = header + reader.u32(16);
  if (typesOffset % 4 !== 0 || typesEnd > bytes.length) throw fail("types lie outside of the section");
  const strings = reader.slice(stringsOffset, reader.u32(20));
  const isEmpty = strings.length === 0;
  if (isEmpty ? !isSplit : (!isSplit && strings[0] !== 0) || strings[strings.length - 1] !== 0) {
    throw fail("strings do not start and end with a NUL");
  }
  return { byteOrder: little ? "little" : "big", typesOffset, typesEnd, strings, tails: tailSizes(reader, header) };
}

/** Newer headers announce a table of sizes (struct btf_layout), so that kinds can be skipped that a reader does not know. */
function tailSizes(reader: ByteReader, header: number): BtfLayout["tails"] {
  if (header < 32) return BTF_TAILS;
  const start = header + reader.u32(24);
  const length = reader.u32(28);
  reader.need(start, length);
  const tails = [...BTF_TAILS];
  for (let at = start; at + 4 <= start + length && at < start + 128 * 4; at += 4) {
    const kind = (at - start) / 4;
    if (kind >= BTF_TAILS.length) tails[kind] = { fixed: reader.u8(at), each: reader.u8(at + 1) };
  }
  return tails;
}

/** Bytes of the type whose head is at `offset`, from its info word. Throws for an unknown kind. */
export function typeSize(info: number, offset: number, tails: BtfLayout["tails"]): number {
  const kind = (info >>> 24) & 0x7f;
  const tail = tails[kind];
  if (tail === undefined || kind === 0)
    throw new ObjectError("btf", `unknown kind ${kind}`, { section: ".BTF", offset });
  return 12 + tail.fixed + tail.each * (info & 0xff_ffff);
}

export interface DecodeTypeOptions {
  readonly strings: BtfStrings;
  /** End of the types. */
  readonly limit: number;
}

/** One type and the offset after it. */
export function decodeType(reader: ByteReader, at: number, options: DecodeTypeOptions): { type: BtfType; end: number } {
  reader.need(at, 12);
  const info = reader.u32(at + 4);
  const end = at + typeSize(info, at, BTF_TAILS);
  if (end > options.limit) throw new ObjectError("btf", "a type is cut off", { section: ".BTF", offset: at });
  const kind = BTF_KINDS[(info >>> 24) & 0x7f] ?? null;
  if (kind === null) throw new ObjectError("btf", "unknown kind", { section: ".BTF", offset: at });
  const decoder = new TypeDecoder(reader, at, options.strings);
  return { type: decoder.decode(kind), end };
}

class TypeDecoder {
  private readonly reader: ByteReader;
  private readonly at: number;
  private readonly strings: BtfStrings;
  private readonly vlen: number;
  private readonly flag: boolean;
  private readonly sizeOrType: number;

  constructor(reader: ByteReader, at: number, strings: BtfStrings) {
    this.reader = reader;
    this.at = at;
    this.strings = strings;
    const info = reader.u32(at + 4);
    this.vlen = info & 0xff_ffff;
    this.flag = info >>> 31 === 1;
    this.sizeOrType = reader.u32(at + 8);
  }

  decode(kind: BtfType["kind"]): BtfType {
    const { reader, at, sizeOrType, flag } = this;
    switch (kind) {
      case "int":
        return this.int();
      case "ptr":
        return { kind, typeId: sizeOrType };
      case "array":
        return { kind, typeId: reader.u32(at + 12), indexTypeId: reader.u32(at + 16), length: reader.u32(at + 20) };
      case "struct":
      case "union":
        return { kind, name: this.name(), size: sizeOrType, members: this.members(), hasBitfields: flag };
      case "enum":
        return { kind, name: this.name(), size: sizeOrType, signed: flag, values: this.values32() };
      case "enum64":
        return { kind, name: this.name(), size: sizeOrType, signed: flag, values: this.values64() };
      case "fwd":
        return { kind, name: this.name(), isUnion: flag };
      case "typedef":
      case "volatile":
      case "const":
      case "restrict":
        return { kind, name: this.name(), typeId: sizeOrType };
      case "type_tag":
        return { kind, name: this.name(), typeId: sizeOrType, ...(flag ? { attribute: true } : {}) };
      case "func":
        return { kind, name: this.name(), typeId: sizeOrType, linkage: this.linkage(this.vlen) };
      case "func_proto":
        return { kind, returnTypeId: sizeOrType, params: this.params() };
      case "var":
        return { kind, name: this.name(), typeId: sizeOrType, linkage: this.linkage(reader.u32(at + 12)) };
      case "datasec":
        return { kind, name: this.name(), size: sizeOrType, variables: this.variables() };
      case "float":
        return { kind, name: this.name(), size: sizeOrType };
      case "decl_tag": {
        const componentIndex = reader.i32(at + 12);
        return { kind, name: this.name(), typeId: sizeOrType, componentIndex, ...(flag ? { attribute: true } : {}) };
      }
    }
  }

  private name(): string {
    return btfString(this.strings, this.reader.u32(this.at));
  }

  private linkage(number: number): "static" | "global" | "extern" {
    const linkage = LINKAGES[number];
    if (linkage === undefined)
      throw new ObjectError("btf", `linkage ${number} is unknown`, { section: ".BTF", offset: this.at });
    return linkage;
  }

  private int(): BtfOf<"int"> {
    const data = this.reader.u32(this.at + 12);
    const bits = (data >>> 24) & 0xf;
    const encoding = bits & 4 ? "bool" : bits & 1 ? "signed" : bits & 2 ? "char" : "unsigned";
    return {
      kind: "int",
      name: this.name(),
      size: this.sizeOrType,
      bits: data & 0xff,
      bitOffset: (data >>> 16) & 0xff,
      encoding,
    };
  }

  private entries<T>(size: number, read: (at: number) => T): T[] {
    return Array.from({ length: this.vlen }, (_, index) => read(this.at + 12 + index * size));
  }

  private text(at: number): string {
    return btfString(this.strings, this.reader.u32(at));
  }

  private members(): BtfMember[] {
    return this.entries(12, (at) => {
      const place = this.reader.u32(at + 8);
      return {
        name: this.text(at),
        typeId: this.reader.u32(at + 4),
        bitOffset: this.flag ? place & 0xff_ffff : place,
        bitSize: this.flag ? place >>> 24 : 0,
      };
    });
  }

  private values32(): BtfOf<"enum">["values"] {
    return this.entries(8, (at) => ({
      name: this.text(at),
      value: this.flag ? this.reader.i32(at + 4) : this.reader.u32(at + 4),
    }));
  }

  private values64(): BtfOf<"enum64">["values"] {
    return this.entries(12, (at) => {
      const value = (BigInt(this.reader.u32(at + 8)) << 32n) | BigInt(this.reader.u32(at + 4));
      return { name: this.text(at), value: this.flag ? BigInt.asIntN(64, value) : value };
    });
  }

  private params(): BtfOf<"func_proto">["params"] {
    return this.entries(8, (at) => ({ name: this.text(at), typeId: this.reader.u32(at + 4) }));
  }

  private variables(): BtfOf<"datasec">["variables"] {
    return this.entries(12, (at) => ({
      typeId: this.reader.u32(at),
      offset: this.reader.u32(at + 4),
      size: this.reader.u32(at + 8),
    }));
  }
}

function checkIds(type: BtfType, id: number, end: number): void {
  forEachTypeId(type, (to) => {
    if (to >= end)
      throw new ObjectError("btf", `type ${id} (${type.kind}) refers to type ${to}, there are ${end - 1}`, {
        section: ".BTF",
      });
  });
}
