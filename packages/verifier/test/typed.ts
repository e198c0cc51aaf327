/**
 * @module
 * Real programs with their types as a fuzzer's seeds: maps, BTF, kernel functions and symbols are made once; mutants change instructions
 * in place, so that everything that refers to a place stays right.
 */
import { attachTypeNumber, encode, programTypeNumber, slotCount } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { kconfigSource, kernelTypes } from "@skep/linux";
import { CoreRelocator, linkProgram, resolveKconfig, resolveSymbols } from "@skep/object";
import type { LinkedProgram, LoadReference, ObjectSpec, ProgramSpec } from "@skep/object";
import { attachPoint } from "../../linux/src/bpf/attach-point.ts";
import type { AttachPoint } from "../../linux/src/bpf/attach-point.ts";
import { Attributes } from "../../linux/src/bpf/attributes.ts";
import { loadTypes } from "../../linux/src/bpf/btf-load.ts";
import type { LoadedTypes } from "../../linux/src/bpf/btf-load.ts";
import { configuredData } from "../../linux/src/bpf/config.ts";
import { allModuleTypes } from "../../linux/src/bpf/kernel-btf.ts";
import { kernelSymbolAddress } from "../../linux/src/bpf/kernel-symbols.ts";
import { kernelVersion } from "../../linux/src/bpf/kernel-version.ts";
import { createMap } from "../../linux/src/bpf/map-create.ts";
import type { LinuxMap } from "../../linux/src/bpf/map.ts";
import { rawSyscall } from "../../linux/src/sys/index.ts";
import type { LoadedProgram } from "../src/index.ts";
import { mutateInstructions } from "./corpus.ts";
import type { Random } from "./random.ts";

/** A program whose instructions may be changed, but not their number. */
export interface TypedProgram {
  readonly seed: TypedSeed;
  readonly instructions: readonly Instruction[];
  readonly references: readonly LoadReference[];
}

/** What a reference becomes for the kernel. */
type Resolved = Pick<Instruction, "imm"> & Partial<Pick<Instruction, "immHigh" | "src" | "offset">>;

export class TypedSeed {
  readonly name: string;
  readonly program: ProgramSpec;
  readonly linked: LinkedProgram;
  private readonly object: TypedObject;
  private readonly point: AttachPoint;
  private readonly log = new Uint8Array(1 << 20);

  constructor(object: TypedObject, linked: LinkedProgram, program: ProgramSpec) {
    this.name = `${object.name}:${program.name}`;
    this.object = object;
    this.linked = linked;
    this.program = program;
    this.point = attachPoint(program);
  }

  /**
   * Mutants of these bring the kernel itself down (6.18): check_kfunc_call takes any pointer beside a work queue for a map, and jit_subprogs looks
   * for an exception callback where it stood before dead functions were cut out.
   */
  private get isFixed(): boolean {
    const calls = this.linked.references.some(
      (each) => each.kind === "kfunc" && /^bpf_(wq|task_work)_/.test(each.name),
    );
    return calls || this.object.hasExceptionCallback;
  }

  get original(): TypedProgram {
    return { seed: this, instructions: this.linked.instructions, references: this.linked.references };
  }

  mutant(random: Random): TypedProgram {
    const { linked } = this;
    const instructions = [...mutateInstructions(random, linked.instructions)];
    let references: readonly LoadReference[] = linked.references;
    const isExchanged = random.chance(12);
    const isTwice = !isExchanged && random.chance(12);
    if (isExchanged) references = withOther(random, references);
    else if (isTwice) references = withCallTwice(random, instructions, references);
    // Where the instruction became another one it refers to nothing any more.
    references = references.filter((each) => {
      const insn = instructions[each.at];
      return insn?.opcode === (each.kind === "kfunc" ? 0x85 : 0x18) && (each.kind !== "kfunc" || insn.src === 2);
    });
    if (this.isFixed) return this.original;
    return { seed: this, instructions: withoutLost(instructions, linked, references), references };
  }

  loaded(program: TypedProgram): LoadedProgram {
    return {
      program: this.program,
      linked: { ...this.linked, instructions: program.instructions, references: program.references },
      object: this.object.spec,
    };
  }

  get contents(): ReadonlyMap<string, Uint8Array> {
    return this.object.contents;
  }

  private attributes(program: TypedProgram): Attributes {
    const instructions = [...program.instructions];
    for (const reference of program.references) {
      const insn = instructions[reference.at];
      const value = this.object.resolve(reference);
      if (insn !== undefined) instructions[reference.at] = { ...insn, ...value };
    }
    const { type, attachType, flags } = this.program;
    const attach = attachType === undefined ? 0 : (attachTypeNumber(attachType) ?? 0);
    const filled = new Attributes()
      .u32(0, programTypeNumber(type) ?? 0)
      .u32(4, slotCount(instructions))
      .pointer(8, encode(instructions))
      .text(16, this.object.spec.license)
      .u32(40, type === "kprobe" ? kernelVersion() : 0)
      .u32(44, flags)
      .u32(68, this.point.attachType ?? attach)
      .u32(108, this.point.btfId)
      .u32(112, this.point.fd);
    const { types } = this.object;
    const info = types?.programs[this.program.name];
    if (types === null || info === undefined) return filled;
    filled.u32(72, types.descriptor.fd);
    if (info.funcInfo.byteLength === 0) return filled;
    return filled
      .u32(76, 8)
      .pointer(80, info.funcInfo)
      .u32(88, info.funcInfo.byteLength / 8);
  }

  /** 0 where the kernel takes the program, else the errno. */
  verdict(program: TypedProgram): number {
    for (let attempt = 0; ; attempt++) {
      const result = this.attributes(program).try("prog_load");
      if (result >= 0) {
        rawSyscall("close", result);
        return 0;
      }
      if (result !== -11 || attempt > 5) return -result;
    }
  }

  reason(program: TypedProgram): string {
    this.log[0] = 0;
    const asked = this.attributes(program).u32(24, 1).u32(28, this.log.byteLength).pointer(32, this.log);
    const result = asked.try("prog_load");
    if (result >= 0) rawSyscall("close", result);
    return new TextDecoder().decode(this.log.subarray(0, this.log.indexOf(0)));
  }

  close(): void {
    this.point.close();
  }
}

/** One reference stands for what another of its kind stands for. */
function withOther(random: Random, references: readonly LoadReference[]): readonly LoadReference[] {
  if (references.length === 0) return references;
  const at = random.below(references.length);
  const own = references[at];
  const others = references.filter((each) => each.kind === own?.kind && each.at !== own.at);
  if (own === undefined || others.length === 0) return references;
  const other = random.pick(others);
  return references.map((each, index) => (index === at ? { ...other, at: own.at } : each));
}

/** A call of a kernel function instead of another call. */
function withCallTwice(
  random: Random,
  instructions: Instruction[],
  references: readonly LoadReference[],
): readonly LoadReference[] {
  const functions = references.filter((each) => each.kind === "kfunc");
  const calls = [...instructions.keys()].filter((at) => instructions[at]?.opcode === 0x85);
  if (functions.length === 0 || calls.length < 2) return references;
  const from = random.pick(functions);
  const to = random.pick(calls);
  const insn = instructions[from.at];
  if (insn !== undefined) instructions[to] = insn;
  return [...references.filter((each) => each.at !== to), { ...from, at: to }];
}

/** Instructions that came to stand where nothing is referred to name a map that there is not. */
function withoutLost(
  instructions: readonly Instruction[],
  linked: LinkedProgram,
  references: readonly LoadReference[],
): readonly Instruction[] {
  const known = new Set(references.map((each) => each.at));
  return instructions.map((insn, at) => {
    const own = linked.instructions[at];
    const isCall = insn.opcode === 0x85 && insn.src === 2;
    const isAddress = insn.opcode === 0x18 && insn !== own && (insn.src === 1 || insn.src === 2);
    return !known.has(at) && (isCall || isAddress) ? { ...insn, imm: -1 } : insn;
  });
}

/** An object's maps and symbols, made once. */
export class TypedObject {
  readonly name: string;
  readonly spec: ObjectSpec;
  readonly seeds: TypedSeed[] = [];
  readonly contents: ReadonlyMap<string, Uint8Array>;
  private readonly maps: Record<string, LinuxMap> = {};
  /** One for maps and programs: the kernel compares types by whose they are. */
  types: LoadedTypes | null = null;
  private symbols: ReturnType<typeof resolveSymbols> = new Map();

  get hasExceptionCallback(): boolean {
    const { btf } = this.spec;
    return btf?.types.some((each) => each.kind === "decl_tag" && each.name.startsWith("exception_callback:")) === true;
  }

  /** Throws what making its maps throws; `close` is the caller's then too. */
  constructor(name: string, spec: ObjectSpec) {
    this.name = name;
    this.spec = spec;
    const values = spec.maps[".kconfig"] === undefined ? null : resolveKconfig(spec, kconfigSource());
    this.contents = new Map(values === null ? [] : [[".kconfig", values] as const]);
  }

  open(): void {
    const { spec } = this;
    if (Object.values(spec.maps).some((map) => map.structOps !== undefined || map.extern === true))
      throw new TypeError("maps that are the kernel's or another object's");
    const linked = Object.keys(spec.programs).map((each) => this.link(each));
    this.types = loadTypes(spec, linked);
    const data = configuredData(spec, {});
    for (const map of Object.values(spec.maps)) {
      const limited = map.type === "hash" || map.type === "array" ? { maxEntries: Math.min(map.maxEntries, 256) } : {};
      const made = createMap(map.data === undefined ? { ...map, ...limited } : map, {
        btf: this.types?.descriptor ?? null,
      });
      this.maps[map.name] = made;
      const bytes = this.contents.get(map.name) ?? data.get(map.name);
      if (map.type === "arena") made.mapArena();
      else if (map.data !== undefined && bytes !== undefined) made.set(new Uint8Array(4), bytes);
      if (map.data?.readOnly === true) made.freeze();
    }
    for (const each of linked) this.openProgram(each);
  }

  private link(name: string): LinkedProgram {
    const { spec } = this;
    const plain = linkProgram(spec, name);
    const target = { local: spec.btf ?? { types: [] }, target: kernelTypes() };
    return plain.coreRelocations.length === 0 ? plain : new CoreRelocator(target).relocate(plain);
  }

  private openProgram(linked: LinkedProgram): void {
    const { spec } = this;
    const program = spec.programs[linked.name];
    if (program === undefined || program.type === "struct_ops" || program.type === "ext") return;
    const symbols = resolveSymbols(linked, spec.btf ?? { types: [] }, {
      types: kernelTypes(),
      modules: allModuleTypes,
      address: kernelSymbolAddress,
    });
    const isOfKernel = [...symbols.values()].every((each) => each.kind !== "btf" || each.module === null);
    if (!isOfKernel) return;
    this.symbols = new Map([...this.symbols, ...symbols]);
    this.seeds.push(new TypedSeed(this, linked, program));
  }

  resolve(reference: LoadReference): Resolved {
    if (reference.kind === "map" || reference.kind === "data") {
      const offset = reference.kind === "data" ? { immHigh: reference.offset } : {};
      return { imm: this.maps[reference.map]?.fd ?? -1, ...offset };
    }
    const symbol = this.symbols.get(reference.name);
    if (reference.kind === "kfunc")
      return symbol?.kind === "btf" ? { imm: symbol.id } : { src: 0, offset: 0, imm: 2_002_000_000 };
    if (symbol?.kind === "btf") return { imm: symbol.id, immHigh: 0 };
    const address = symbol?.kind === "address" ? symbol.address : 0n;
    return {
      src: 0,
      imm: Number(BigInt.asIntN(32, address)),
      immHigh: Number(BigInt.asIntN(32, address >> 32n)),
    };
  }

  close(): void {
    for (const each of [...this.seeds, ...Object.values(this.maps)]) each.close();
    this.types?.descriptor.close();
  }
}
