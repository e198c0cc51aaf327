import { btfLayout, decodeBtf } from "../btf/decode.ts";
import type { BtfStrings } from "../btf/decode.ts";
import { viewOf } from "../btf/view.ts";
import type { BtfOf, BtfType, BtfTypes, BtfView } from "../btf/types.ts";
import { decodeBtfExt } from "../elf/btf-ext.ts";
import type { SectionExt } from "../elf/btf-ext.ts";
import { SHN, STB, STT } from "../elf/format.ts";
import type { ElfFile, ElfSymbol } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";

/** An object's type information, with the data sections as they lie in the file. */
export interface ObjectTypes {
  readonly types: BtfTypes;
  readonly view: BtfView;
  /** What `.BTF.ext` says, by section. */
  readonly ext: ReadonlyMap<string, SectionExt>;
  /** DATASECs by section name. */
  readonly sections: ReadonlyMap<string, { readonly id: number; readonly type: BtfOf<"datasec"> }>;
}

/** Null where the object has no `.BTF`. Throws `ObjectError`. */
export function readObjectBtf(elf: ElfFile): ObjectTypes | null {
  const section = elf.sections.find(({ name }) => name === ".BTF");
  if (section === undefined) return null;
  const raw = decodeBtf(section.data);
  const types: BtfTypes = {
    types: raw.types.map((type) => (type.kind === "datasec" ? fixSection(type, raw, elf) : type)),
  };
  const strings: BtfStrings = { start: 0, own: btfLayout(section.data).strings };
  const extSection = elf.sections.find(({ name }) => name === ".BTF.ext");
  const ext =
    extSection === undefined ? new Map<string, SectionExt>() : decodeBtfExt(extSection.data, elf.byteOrder, strings);
  const sections = new Map<string, { id: number; type: BtfOf<"datasec"> }>();
  types.types.forEach((type, index) => {
    if (type.kind === "datasec") sections.set(type.name, { id: index + 1, type });
  });
  return { types, view: viewOf(types), ext, sections };
}

/**
 * Clang leaves a data section's size and the offsets of its global variables 0 (libbpf: btf_fixup_datasec), and what `bpftool gen object`
 * makes of a declaration and its definition has the declaration's offset: they are those of the ELF section and its symbols.
 */
function fixSection(type: BtfOf<"datasec">, btf: BtfTypes, elf: ElfFile): BtfOf<"datasec"> {
  if (type.name === ".kconfig" || type.name === ".ksyms") return type;
  const section = elf.sections.find(({ name }) => name === type.name);
  if (section === undefined) {
    if (type.size !== 0 || type.variables.every(({ typeId }) => externOf(btf.types[typeId - 1]))) return type;
    throw new ObjectError("btf", `data section ${type.name} is described but not there`);
  }
  const symbols = new Map<string, ElfSymbol>();
  const statics = new Map<string, ElfSymbol[]>();
  for (const symbol of elf.symbols) {
    if (symbol.section !== section.index || symbol.type !== STT.object) continue;
    if (symbol.bind !== STB.local) symbols.set(symbol.name, symbol);
    else statics.set(symbol.name, [...(statics.get(symbol.name) ?? []), symbol]);
  }
  const variables = type.variables.map((variable) => {
    const target = btf.types[variable.typeId - 1];
    if (target?.kind !== "var")
      throw new ObjectError("btf", `data section ${type.name} holds a ${target?.kind ?? "void"}`);
    // Clang gives those of static ones, GCC does not.
    const [only, ...more] =
      target.linkage === "static" && variable.offset === 0 ? (statics.get(target.name) ?? []) : [];
    if (only !== undefined && more.length === 0) return { ...variable, offset: only.value };
    if (target.linkage !== "global") return variable;
    const symbol = symbols.get(target.name);
    if (symbol !== undefined) return { ...variable, offset: symbol.value };
    if (type.size !== 0) return variable;
    throw new ObjectError("symbol", `variable ${target.name} has no symbol`, { section: type.name });
  });
  variables.sort((a, b) => a.offset - b.offset);
  return { ...type, size: type.size === 0 ? section.size : sizeOfSection(type, variables), variables };
}

/** A linker leaves room in `.maps` where a weak map was, which says nothing. */
function sizeOfSection(type: BtfOf<"datasec">, variables: BtfOf<"datasec">["variables"]): number {
  if (type.name !== ".maps") return type.size;
  return Math.max(0, ...variables.map(({ offset, size }) => offset + size));
}

function externOf(type: BtfType | undefined): boolean {
  return (type?.kind === "var" || type?.kind === "func") && type.linkage === "extern";
}

/** A symbol that the object uses and does not define, and what its types say of it. */
export interface ExternSymbol {
  readonly name: string;
  readonly weak: boolean;
  /** Data section of its declaration, such as `.ksyms`; null where there is none. */
  readonly section: string | null;
  /** Its VAR or FUNC; null where the types do not know it. */
  readonly typeId: number | null;
  readonly type: BtfOf<"var" | "func"> | null;
}

/** By name. */
export function readExterns(elf: ElfFile, btf: ObjectTypes | null): Map<string, ExternSymbol> {
  const declared = new Map<string, { section: string | null; typeId: number; type: BtfOf<"var" | "func"> }>();
  btf?.types.types.forEach((type, index) => {
    if (type.kind === "func" && type.linkage === "extern")
      declared.set(type.name, { section: null, typeId: index + 1, type });
  });
  for (const [section, { type }] of btf?.sections ?? []) {
    for (const { typeId } of type.variables) {
      const target = btf?.types.types[typeId - 1];
      if (target?.kind !== "var" && target?.kind !== "func")
        throw new ObjectError("btf", `data section ${section} holds a ${target?.kind ?? "void"}`);
      if (target.linkage === "extern") declared.set(target.name, { section, typeId, type: target });
    }
  }
  const externs = new Map<string, ExternSymbol>();
  for (const symbol of elf.symbols) {
    if (symbol.section !== SHN.undef || symbol.bind === STB.local || symbol.name === "") continue;
    const known = declared.get(symbol.name);
    externs.set(symbol.name, {
      name: symbol.name,
      weak: symbol.bind === STB.weak,
      section: known?.section ?? null,
      typeId: known?.typeId ?? null,
      type: known?.type ?? null,
    });
  }
  return externs;
}
