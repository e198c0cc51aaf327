import { decodeText } from "../bytes.ts";
import { readElf } from "../elf/read.ts";
import type { ElfFile } from "../elf/read.ts";
import { ByteReader } from "../bytes.ts";
import type { ObjectSpec } from "../spec.ts";
import { hasWholeAddends } from "./gcc.ts";
import { findFunctions } from "./functions.ts";
import { readCode } from "./read-code.ts";
import { readExterns, readObjectBtf } from "./read-btf.ts";
import { readMaps } from "./read-maps.ts";

/**
 * Reads an eBPF object of clang, GCC, bpftool or Skep. The same bytes give the same spec everywhere. Like libbpf it takes no notice of
 * sections that it does not know, nor of relocations in data.
 * Throws `ObjectError`, and nothing else, for bytes that are no such object.
 */
export function readObject(bytes: Uint8Array): ObjectSpec {
  const elf = readElf(bytes);
  const btf = readObjectBtf(elf);
  const externs = readExterns(elf, btf);
  const code = findFunctions(elf);
  const { maps, places } = readMaps({ elf, btf, externs, functionAt: code.functionAt });
  const kconfig = new Map((maps[".kconfig"]?.data?.variables ?? []).map(({ name, offset }) => [name, offset]));
  const arena = Object.values(maps).find(({ type }) => type === "arena")?.name ?? null;
  const { programs, functions } = readCode({
    ...{ elf, btf, externs, code, kconfig, arena },
    maps: places,
    wholeAddends: hasWholeAddends(elf),
  });
  const version = kernelVersion(elf);
  return {
    license: license(elf),
    byteOrder: elf.byteOrder,
    maps,
    programs,
    functions,
    ...(btf === null ? {} : { btf: btf.types }),
    ...(version === null ? {} : { kernelVersion: version }),
  };
}

function license(elf: ElfFile): string {
  const data = elf.sections.find(({ name }) => name === "license")?.data;
  if (data === undefined) return "";
  const end = data.indexOf(0);
  return decodeText(end < 0 ? data : data.subarray(0, end));
}

function kernelVersion(elf: ElfFile): number | null {
  const data = elf.sections.find(({ name }) => name === "version")?.data;
  return data === undefined ? null : new ByteReader(data, elf.byteOrder, "version").u32(0);
}
