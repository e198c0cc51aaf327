/**
 * @module
 * Symbols and static probes of executables and libraries on disk: only the tables are read, not the file.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { isAbsolute, join } from "node:path";

interface Section {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

interface Segment {
  readonly offset: bigint;
  readonly address: bigint;
  readonly size: bigint;
  readonly flags: number;
}

export interface UserSymbol {
  readonly name: string;
  /** Where the function begins in the file: what a uprobe takes. */
  readonly offset: number;
  readonly size: number;
}

export interface StaticProbe {
  readonly provider: string;
  readonly name: string;
  readonly offset: number;
  /** Offset of the counter that says whether somebody listens; 0 for none. */
  readonly counter: number;
  /** Such as `-4@%edi 8@-16(%rbp)`. */
  readonly arguments: string;
}

/** The file is no executable or library that can be read here. */
export class UserFileError extends Error {
  override readonly name = "UserFileError";
}

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const PT_LOAD = 1;
const NT_STAPSDT = 3;
const text = new TextDecoder();

/** A 64-bit little-endian ELF file that stays open until closed. */
export class UserFile {
  readonly path: string;
  readonly #fd: number;
  readonly #sections: readonly Section[];
  readonly #segments: readonly Segment[];

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "r");
    try {
      const header = this.#read(0, 64);
      if (header.byteLength < 64 || header.getUint32(0, false) !== 0x7f454c46)
        throw new UserFileError(`${path} is no ELF file`);
      if (header.getUint8(4) !== 2 || header.getUint8(5) !== 1)
        throw new UserFileError(`${path}: only 64-bit little-endian files can be probed`);
      this.#segments = this.#readSegments(header);
      this.#sections = this.#readSections(header);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  #read(offset: number, length: number): DataView {
    const bytes = new Uint8Array(length);
    const count = length === 0 ? 0 : readSync(this.#fd, bytes, 0, length, offset);
    return new DataView(bytes.buffer, 0, count);
  }

  #readSegments(header: DataView): Segment[] {
    const size = header.getUint16(54, true);
    const count = header.getUint16(56, true);
    const view = this.#read(Number(header.getBigUint64(32, true)), size * count);
    const all = Array.from({ length: count }, (_, at) => at * size);
    return all
      .filter((at) => view.getUint32(at, true) === PT_LOAD)
      .map((at) => ({
        flags: view.getUint32(at + 4, true),
        offset: view.getBigUint64(at + 8, true),
        address: view.getBigUint64(at + 16, true),
        size: view.getBigUint64(at + 32, true),
      }));
  }

  #readSections(header: DataView): Section[] {
    const size = header.getUint16(58, true);
    const count = header.getUint16(60, true);
    const view = this.#read(Number(header.getBigUint64(40, true)), size * count);
    const raw = Array.from({ length: Math.floor(view.byteLength / Math.max(size, 1)) }, (_, index) => {
      const at = index * size;
      return {
        nameAt: view.getUint32(at, true),
        type: view.getUint32(at + 4, true),
        address: view.getBigUint64(at + 16, true),
        offset: Number(view.getBigUint64(at + 24, true)),
        size: Number(view.getBigUint64(at + 32, true)),
        link: view.getUint32(at + 40, true),
      };
    });
    const names = raw[header.getUint16(62, true)];
    const table = names ? this.#bytes(names) : new Uint8Array(0);
    return raw.map(({ nameAt, ...rest }) => ({ ...rest, name: stringAt(table, nameAt) }));
  }

  #bytes(section: { readonly offset: number; readonly size: number }): Uint8Array {
    const view = this.#read(section.offset, section.size);
    return new Uint8Array(view.buffer, 0, view.byteLength);
  }

  /** An address as a place in the file; null where no segment holds it. */
  #place(address: bigint): number | null {
    for (const segment of this.#segments) {
      if (address >= segment.address && address < segment.address + segment.size)
        return Number(address - segment.address + segment.offset);
    }
    return null;
  }

  /** Functions that `wanted` accepts, from both symbol tables, each place once. */
  symbols(wanted: (name: string) => boolean): UserSymbol[] {
    const found = new Map<string, UserSymbol>();
    for (const section of this.#sections) {
      if (section.type !== SHT_SYMTAB && section.type !== SHT_DYNSYM) continue;
      const strings = this.#sections[section.link];
      if (!strings) continue;
      const names = this.#bytes(strings);
      const view = this.#read(section.offset, section.size);
      for (let at = 0; at + 24 <= view.byteLength; at += 24) {
        const kind = view.getUint8(at + 4) & 15;
        const isDefined = view.getUint16(at + 6, true) !== 0;
        if ((kind !== STT_FUNC && kind !== STT_GNU_IFUNC) || !isDefined) continue;
        const name = stringAt(names, view.getUint32(at, true));
        const offset = wanted(name) ? this.#place(view.getBigUint64(at + 8, true)) : null;
        if (offset !== null)
          found.set(`${name}@${offset}`, { name, offset, size: Number(view.getBigUint64(at + 16, true)) });
      }
    }
    return [...found.values()];
  }

  /** Static probes (systemtap's sdt.h, note `stapsdt`). */
  probes(): StaticProbe[] {
    const notes = this.#sections.find((section) => section.name === ".note.stapsdt");
    if (!notes) return [];
    const base = this.#sections.find((section) => section.name === ".stapsdt.base")?.address;
    const bytes = this.#bytes(notes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const probes: StaticProbe[] = [];
    for (let at = 0; at + 12 <= view.byteLength;) {
      const nameSize = view.getUint32(at, true);
      const size = view.getUint32(at + 4, true);
      const type = view.getUint32(at + 8, true);
      const description = at + 12 + align(nameSize);
      if (type === NT_STAPSDT && description + size <= view.byteLength) {
        const probe = this.#probe(bytes.subarray(description, description + size), base);
        if (probe) probes.push(probe);
      }
      at = description + align(size);
    }
    return probes;
  }

  #probe(note: Uint8Array, base: bigint | undefined): StaticProbe | null {
    const view = new DataView(note.buffer, note.byteOffset, note.byteLength);
    // Prelinking moves the code but not the notes: `.stapsdt.base` says how far.
    const moved = base === undefined ? 0n : base - view.getBigUint64(8, true);
    const counter = view.getBigUint64(16, true);
    const offset = this.#place(view.getBigUint64(0, true) + moved);
    if (offset === null) return null;
    const [provider = "", name = "", args = ""] = text.decode(note.subarray(24)).split("\0");
    return {
      provider,
      name,
      offset,
      counter: counter === 0n ? 0 : (this.#place(counter + moved) ?? 0),
      arguments: args,
    };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const align = (size: number): number => (size + 3) & ~3;

function stringAt(table: Uint8Array, at: number): string {
  const end = table.indexOf(0, at);
  return text.decode(table.subarray(at, end < 0 ? undefined : end));
}

const libraryFolders = [
  "/usr/lib64",
  "/usr/lib",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/lib64",
  "/lib",
  "/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
];

/** The file that a bare name means: a library in the usual folders, else a program in PATH. Throws `UserFileError`. */
export function findUserFile(path: string): string {
  if (isAbsolute(path) || path.includes("/")) return path;
  const isLibrary = path.includes(".so");
  const folders = isLibrary ? libraryFolders : (process.env["PATH"] ?? "/usr/bin:/bin").split(":");
  const found = folders.map((folder) => join(folder, path)).find((each) => existsSync(each));
  if (found === undefined) throw new UserFileError(`${path} is in none of ${folders.join(", ")}`);
  return found;
}
