import { encode } from "@skep/isa";
import { encodeBtf } from "../btf/encode.ts";
import { ByteWriter, StringTable, encodeText } from "../bytes.ts";
import { encodeBtfExt } from "../elf/btf-ext.ts";
import { R_BPF, SHT, STB, STT, STV } from "../elf/format.ts";
import { CODE_FLAGS, DATA_FLAGS, READ_ONLY_FLAGS, writeElf } from "../elf/write.ts";
import type { RelocationInput, SectionInput, SymbolInput } from "../elf/write.ts";
import { ObjectError } from "../errors.ts";
import { findFunction } from "../link/program.ts";
import type { BtfTypes } from "../btf/types.ts";
import type { FunctionSpec, MapSpec, ObjectSpec, Reference } from "../spec.ts";
import { completeSpec } from "./complete.ts";
import { ARENA_SECTION, DEFAULT_ALIGN, isTextSection } from "./sections.ts";
import { encodedSize, instructionOffsets, sectionExts, type CodeSection } from "./write-info.ts";

/**
 * An ELF relocatable that bpftool, libbpf and cilium/ebpf load: programs in their sections, subprograms in `.text`, maps defined in BTF,
 * data, function and line information, CO-RE relocations. `readObject` gives the spec back, completed (`completeSpec`).
 * Throws `ObjectError` for what such a file cannot say.
 */
export function writeObject(spec: ObjectSpec): Uint8Array<ArrayBuffer> {
  return new ObjectWriter(completeSpec(spec)).write();
}

class ObjectWriter {
  private readonly spec: ObjectSpec;
  private readonly code = new Map<string, CodeSection>();
  /** Section and first byte of every function. */
  private readonly places = new Map<string, { section: string; start: number }>();
  private readonly sections: SectionInput[] = [];
  private readonly symbols: SymbolInput[] = [];
  private readonly undefinedSymbols = new Map<string, number>();

  constructor(spec: ObjectSpec) {
    this.spec = spec;
  }

  write(): Uint8Array<ArrayBuffer> {
    this.layOutCode();
    for (const section of this.code.values()) this.writeCode(section);
    this.writeDefinedMaps();
    for (const map of Object.values(this.spec.maps)) this.writeData(map);
    this.writeStructOps();
    this.writeLicense();
    this.writeTypes();
    for (const [name, bind] of this.undefinedSymbols) {
      this.symbols.push({ name, section: null, value: 0, size: 0, type: STT.notype, bind });
    }
    return writeElf({ byteOrder: this.spec.byteOrder, sections: this.sections, symbols: this.symbols });
  }

  // ---- code ----

  private layOutCode(): void {
    for (const fn of Object.values(this.spec.functions)) this.place(fn, fn.section ?? ".text");
    for (const program of Object.values(this.spec.programs)) {
      if (isTextSection(program.section))
        throw new ObjectError("program", `program ${program.name} lies in ${program.section}`);
      this.place(program, program.section);
    }
  }

  private place(fn: FunctionSpec, name: string): void {
    if (this.places.has(fn.name)) throw new ObjectError("symbol", `there are two functions ${fn.name}`);
    const section = this.code.get(name) ?? { name, functions: [], size: 0 };
    this.code.set(name, section);
    const size = encodedSize(fn.instructions);
    if (size === 0) throw new ObjectError("program", `${fn.name} has no instructions`);
    section.functions.push({ fn, start: section.size, size });
    this.places.set(fn.name, { section: name, start: section.size });
    section.size += size;
  }

  private writeCode(section: CodeSection): void {
    const data = new ByteWriter(this.spec.byteOrder, section.size);
    const relocations: RelocationInput[] = [];
    for (const { fn, start, size } of section.functions) {
      const offsets = instructionOffsets(fn.instructions, start);
      const instructions = [...fn.instructions];
      for (const reference of fn.references) {
        const insn = instructions[reference.at];
        const offset = offsets[reference.at];
        if (insn === undefined || offset === undefined) continue;
        const { relocation, imm, src } = this.relocate(reference, fn);
        instructions[reference.at] = { ...insn, imm, src };
        relocations.push({ offset, ...relocation });
      }
      data.append(encode(instructions, { byteOrder: this.spec.byteOrder }));
      this.symbols.push({
        name: fn.name,
        section: section.name,
        value: start,
        size,
        type: STT.func,
        bind: fn.linkage === "static" ? STB.local : fn.linkage === "weak" ? STB.weak : STB.global,
        ...(fn.hidden === true ? { visibility: STV.hidden } : {}),
      });
    }
    this.sections.push({
      name: section.name,
      type: SHT.progbits,
      flags: CODE_FLAGS,
      align: 8,
      data: data.finish(),
      relocations,
    });
  }

  /** What clang would emit for a reference: relocation, immediate and source register. */
  private relocate(
    reference: Reference,
    user: FunctionSpec,
  ): { relocation: Omit<RelocationInput, "offset">; imm: number; src: number } {
    const load = (symbol: RelocationInput["symbol"], imm: number) => ({
      relocation: { type: R_BPF.r64_64, symbol },
      imm,
      src: 0,
    });
    switch (reference.kind) {
      case "map":
        return load({ global: this.mapSymbol(reference.map, user) }, 0);
      case "data":
        return this.dataReference(reference, user, load);
      case "function": {
        const target = this.functionSymbol(reference.function);
        return load(target.symbol, target.start);
      }
      case "call": {
        const { symbol, start } = this.functionSymbol(reference.function);
        return { relocation: { type: R_BPF.r64_32, symbol }, imm: start / 8 - 1, src: 1 };
      }
      case "kfunc":
        this.needSymbol(reference.name, reference.weak);
        return { relocation: { type: R_BPF.r64_32, symbol: { global: reference.name } }, imm: -1, src: 1 };
      case "ksym":
      case "extern":
        this.needSymbol(reference.name, reference.weak);
        return load({ global: reference.name }, 0);
    }
  }

  private dataReference(
    reference: Extract<Reference, { kind: "data" }>,
    user: FunctionSpec,
    load: (
      symbol: RelocationInput["symbol"],
      imm: number,
    ) => { relocation: Omit<RelocationInput, "offset">; imm: number; src: number },
  ) {
    const map = this.spec.maps[reference.map];
    if (map?.data === undefined)
      throw new ObjectError("symbol", `${user.name} refers to data in ${reference.map}, which is not there`);
    if (map.name !== ".kconfig")
      return load({ section: map.type === "arena" ? ARENA_SECTION : map.name }, reference.offset);
    const variable = map.data.variables.find(({ offset }) => offset === reference.offset);
    if (variable === undefined)
      throw new ObjectError("symbol", `${user.name}: there is no variable at .kconfig+${reference.offset}`);
    return load({ global: variable.name }, 0);
  }

  private mapSymbol(name: string, user: FunctionSpec): string {
    const map = this.spec.maps[name];
    if (map === undefined || (map.data !== undefined && map.type !== "arena")) {
      throw new ObjectError("symbol", `${user.name} refers to map ${name}, which is not there`);
    }
    return name;
  }

  /** A global function by its symbol, a static one by its section and place. */
  private functionSymbol(name: string): { symbol: RelocationInput["symbol"]; start: number } {
    const fn = findFunction(this.spec, name);
    const place = this.places.get(name);
    if (fn === null || place === undefined) {
      this.needSymbol(name, false);
      return { symbol: { global: name }, start: 0 };
    }
    return fn.linkage === "static"
      ? { symbol: { section: place.section }, start: place.start }
      : { symbol: { global: name }, start: 0 };
  }

  private needSymbol(name: string, weak: boolean): void {
    const bind = weak ? STB.weak : STB.global;
    this.undefinedSymbols.set(name, this.undefinedSymbols.get(name) === STB.global ? STB.global : bind);
  }

  // ---- maps and data ----

  private entriesOf(section: string): { name: string; offset: number; size: number; isExtern: boolean }[] {
    const types = this.spec.btf?.types ?? [];
    const found = types.find((type) => type.kind === "datasec" && type.name === section);
    if (found?.kind !== "datasec") return [];
    return found.variables.flatMap(({ typeId, offset, size }) => {
      const variable = types[typeId - 1];
      return variable?.kind === "var"
        ? [{ name: variable.name, offset, size, isExtern: variable.linkage === "extern" }]
        : [];
    });
  }

  private writeDefinedMaps(): void {
    const entries = this.entriesOf(".maps").filter(({ name }) => this.spec.maps[name] !== undefined);
    for (const { name } of entries.filter(({ isExtern }) => isExtern)) this.needSymbol(name, false);
    const defined = entries.filter(({ isExtern }) => !isExtern);
    const relocations: RelocationInput[] = [];
    let end = 0;
    for (const { name, offset, size } of defined) {
      const values = this.spec.maps[name]?.values ?? [];
      // `values` is the last member and has no length: its elements are what follows the struct.
      const count = Math.max(0, ...values.map(({ index }) => index + 1));
      for (const { index, name: target } of values) {
        relocations.push({
          offset: offset + size - (count - index) * 8,
          type: R_BPF.abs64,
          symbol: { global: target },
        });
      }
      const bind = this.spec.maps[name]?.weak === true ? STB.weak : STB.global;
      this.symbols.push({ name, section: ".maps", value: offset, size, type: STT.object, bind });
      end = offset + size;
    }
    if (end === 0) return;
    this.checkValues(relocations);
    this.sections.push({
      name: ".maps",
      type: SHT.progbits,
      flags: DATA_FLAGS,
      align: 8,
      data: new Uint8Array(end),
      relocations,
    });
  }

  private checkValues(relocations: readonly RelocationInput[]): void {
    for (const { symbol } of relocations) {
      const name = "global" in symbol ? symbol.global : "";
      if (findFunction(this.spec, name) === null && this.spec.maps[name] === undefined) this.needSymbol(name, false);
    }
  }

  private writeData(map: MapSpec): void {
    const { data } = map;
    if (data === undefined || map.structOps !== undefined) return;
    if (map.name === ".kconfig") {
      for (const { name, weak } of data.variables) this.needSymbol(name, weak === true);
      return;
    }
    const name = map.type === "arena" ? ARENA_SECTION : map.name;
    const isBss = /^\.bss(\.|$)/.test(name);
    if (isBss && data.contents.some((byte) => byte !== 0))
      throw new ObjectError("map", `${name} holds more than zeros`);
    this.sections.push({
      name,
      type: isBss ? SHT.nobits : SHT.progbits,
      flags: data.readOnly ? READ_ONLY_FLAGS : DATA_FLAGS,
      align: data.align ?? DEFAULT_ALIGN,
      data: isBss ? new Uint8Array(0) : data.contents,
      size: data.contents.length,
    });
    for (const variable of data.variables) {
      const bind = variable.linkage === "static" ? STB.local : variable.weak === true ? STB.weak : STB.global;
      this.symbols.push({
        name: variable.name,
        section: name,
        value: variable.offset,
        size: variable.size,
        type: STT.object,
        bind,
        ...(variable.hidden === true ? { visibility: STV.hidden } : {}),
      });
    }
  }

  private writeStructOps(): void {
    const names = new Set(
      Object.values(this.spec.maps).flatMap((map) => (map.structOps === undefined ? [] : [map.structOps.section])),
    );
    for (const section of names) {
      const entries = this.entriesOf(section);
      const end = Math.max(0, ...entries.map(({ offset, size }) => offset + size));
      const data = new Uint8Array(Math.ceil(end / 8) * 8);
      const relocations: RelocationInput[] = [];
      for (const { name, offset, size } of entries) {
        const map = this.spec.maps[name];
        if (map?.data === undefined) continue;
        data.set(map.data.contents, offset);
        for (const { offset: member, program } of map.structOps?.programs ?? []) {
          relocations.push({ offset: offset + member, type: R_BPF.abs64, symbol: { global: program } });
          if (this.places.get(program) === undefined)
            throw new ObjectError("symbol", `struct_ops ${name} needs program ${program}`);
        }
        this.symbols.push({ name, section, value: offset, size, type: STT.object, bind: STB.global });
      }
      this.sections.push({ name: section, type: SHT.progbits, flags: DATA_FLAGS, align: 8, data, relocations });
    }
  }

  private writeLicense(): void {
    const { license, kernelVersion, byteOrder } = this.spec;
    if (license !== "") {
      this.sections.push({
        name: "license",
        type: SHT.progbits,
        flags: DATA_FLAGS,
        align: 1,
        data: encodeText(`${license}\0`),
      });
    }
    if (kernelVersion !== undefined) {
      const data = new ByteWriter(byteOrder, 4).u32(kernelVersion).finish();
      this.sections.push({ name: "version", type: SHT.progbits, flags: DATA_FLAGS, align: 4, data });
    }
    // Symbols of sections that only types know (the license's variable).
    for (const name of ["license", "version"]) {
      if (!this.sections.some((section) => section.name === name)) continue;
      for (const { name: variable, offset, size } of this.entriesOf(name)) {
        this.symbols.push({ name: variable, section: name, value: offset, size, type: STT.object, bind: STB.global });
      }
    }
  }

  // ---- types ----

  private writeTypes(): void {
    if (this.spec.btf === undefined) return;
    const strings = new StringTable();
    const ext = encodeBtfExt(sectionExts(this.code.values()), strings, this.spec.byteOrder);
    const btf: BtfTypes = this.spec.btf;
    this.sections.push({
      name: ".BTF",
      type: SHT.progbits,
      flags: 0,
      align: 4,
      data: encodeBtf(btf, { byteOrder: this.spec.byteOrder, strings }),
    });
    if (ext !== null) this.sections.push({ name: ".BTF.ext", type: SHT.progbits, flags: 0, align: 4, data: ext });
  }
}
