import { btfString } from "../btf/decode.ts";
import type { BtfStrings } from "../btf/decode.ts";
import { ByteReader, ByteWriter } from "../bytes.ts";
import type { ByteOrder, StringTable } from "../bytes.ts";
import { ObjectError } from "../errors.ts";

export const BTF_EXT_HEADER_SIZE = 32;

/** What `.BTF.ext` says of one ELF section; offsets are bytes in that section. */
export interface SectionExt {
  readonly funcs: readonly { readonly offset: number; readonly typeId: number }[];
  readonly lines: readonly {
    readonly offset: number;
    readonly file: string;
    readonly text: string;
    readonly line: number;
    readonly column: number;
  }[];
  readonly relocations: readonly {
    readonly offset: number;
    readonly typeId: number;
    readonly access: string;
    readonly kind: number;
  }[];
}

interface MutableExt {
  funcs: SectionExt["funcs"][number][];
  lines: SectionExt["lines"][number][];
  relocations: SectionExt["relocations"][number][];
}

/** Reads `.BTF.ext`, by section name. Throws `ObjectError`. */
export function decodeBtfExt(bytes: Uint8Array, byteOrder: ByteOrder, strings: BtfStrings): Map<string, SectionExt> {
  const reader = new ByteReader(bytes, byteOrder, ".BTF.ext");
  if (reader.u16(0) !== 0xeb9f || reader.u8(2) !== 1)
    throw new ObjectError("btf", "wrong magic or version", { section: ".BTF.ext" });
  const header = reader.u32(4);
  if (header < 24) throw new ObjectError("btf", `header of ${header} bytes`, { section: ".BTF.ext" });
  const sections = new Map<string, MutableExt>();
  const of = (name: string) => {
    const known = sections.get(name) ?? { funcs: [], lines: [], relocations: [] };
    sections.set(name, known);
    return known;
  };
  // A source line's text is in many records.
  const known = new Map<number, string>();
  const textAt = (offset: number) => {
    const text = known.get(offset) ?? btfString(strings, offset);
    known.set(offset, text);
    return text;
  };
  const part = (at: number, minimum: number) => ({
    start: header + reader.u32(at),
    size: reader.u32(at + 4),
    minimum,
    strings,
  });
  forEachRecord(reader, part(8, 8), (name, at) => {
    of(name).funcs.push({ offset: reader.u32(at), typeId: reader.u32(at + 4) });
  });
  forEachRecord(reader, part(16, 16), (name, at) => {
    const place = reader.u32(at + 12);
    const file = textAt(reader.u32(at + 4));
    const text = textAt(reader.u32(at + 8));
    of(name).lines.push({ offset: reader.u32(at), file, text, line: place >>> 10, column: place & 0x3ff });
  });
  if (header < BTF_EXT_HEADER_SIZE) return sections;
  forEachRecord(reader, part(24, 16), (name, at) => {
    const access = textAt(reader.u32(at + 8));
    of(name).relocations.push({
      offset: reader.u32(at),
      typeId: reader.u32(at + 4),
      access,
      kind: reader.u32(at + 12),
    });
  });
  return sections;
}

interface Part {
  readonly start: number;
  readonly size: number;
  /** Bytes of a record that are understood. */
  readonly minimum: number;
  readonly strings: BtfStrings;
}

function forEachRecord(reader: ByteReader, part: Part, visit: (section: string, at: number) => void): void {
  if (part.size === 0) return;
  const end = part.start + part.size;
  const fail = (message: string, offset: number) => new ObjectError("btf", message, { section: ".BTF.ext", offset });
  if (part.start % 4 !== 0) throw fail("not aligned", part.start);
  reader.need(part.start, part.size);
  const size = reader.u32(part.start);
  if (size < part.minimum || size % 4 !== 0) throw fail(`records of ${size} bytes`, part.start);
  let at = part.start + 4;
  while (at < end) {
    if (at + 8 > end) throw fail("a section is cut off", at);
    const name = btfString(part.strings, reader.u32(at));
    const count = reader.u32(at + 4);
    if (count === 0) throw fail(`no record for section ${name}`, at);
    at += 8;
    if (at + count * size > end) throw fail(`${count} records of section ${name} are cut off`, at);
    for (let index = 0; index < count; index++) visit(name, at + index * size);
    at += count * size;
  }
}

/** Writes `.BTF.ext`; names and lines go into `strings`. Null where there is nothing to say. */
export function encodeBtfExt(
  sections: ReadonlyMap<string, SectionExt>,
  strings: StringTable,
  byteOrder: ByteOrder,
): Uint8Array | null {
  const all = [...sections];
  if (all.every(([, ext]) => ext.funcs.length + ext.lines.length + ext.relocations.length === 0)) return null;
  const block = (size: number, count: (ext: SectionExt) => number, put: (out: ByteWriter, ext: SectionExt) => void) => {
    const out = new ByteWriter(byteOrder);
    const wanted = all.filter(([, ext]) => count(ext) > 0);
    if (wanted.length > 0) out.u32(size);
    for (const [name, ext] of wanted) {
      out.u32(strings.add(name)).u32(count(ext));
      put(out, ext);
    }
    return out.finish();
  };
  const funcs = block(
    8,
    (ext) => ext.funcs.length,
    (out, ext) => {
      for (const { offset, typeId } of ext.funcs) out.u32(offset).u32(typeId);
    },
  );
  const lines = block(
    16,
    (ext) => ext.lines.length,
    (out, ext) => {
      for (const { offset, file, text, line, column } of ext.lines) {
        out
          .u32(offset)
          .u32(strings.add(file))
          .u32(strings.add(text))
          .u32(((line << 10) | column) >>> 0);
      }
    },
  );
  const relocations = block(
    16,
    (ext) => ext.relocations.length,
    (out, ext) => {
      for (const { offset, typeId, access, kind } of ext.relocations)
        out.u32(offset).u32(typeId).u32(strings.add(access)).u32(kind);
    },
  );
  const out = new ByteWriter(byteOrder);
  out.u16(0xeb9f).u8(1).u8(0).u32(BTF_EXT_HEADER_SIZE);
  out.u32(0).u32(funcs.length);
  out.u32(funcs.length).u32(lines.length);
  out.u32(funcs.length + lines.length).u32(relocations.length);
  return out.append(funcs).append(lines).append(relocations).finish();
}
