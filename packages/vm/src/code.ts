import { LDDW, pseudo, slotDistance, slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { BtfTypes, LinkedLine } from "@skep/object";
import type { SourceLine } from "./error.ts";
import { LoadError } from "./error.ts";

/** Addresses of functions: no memory, one every eight bytes by instruction index. */
export const FUNCTION_BASE = 0xe000_0000;
/** Handles of maps: no memory, one every `CONTROL_BYTES` by map id. */
export const MAP_BASE = 0xc000_0000;

/** Instructions in columns, with jumps as indexes of instructions. */
export interface Code {
  readonly name: string;
  readonly count: number;
  readonly opcode: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly offset: Int32Array;
  readonly imm: Int32Array;
  /** High half of `lddw`. */
  readonly high: Int32Array;
  /** Where jumps and local calls go; -1 where that is no instruction. */
  readonly target: Int32Array;
  readonly source: (index: number) => SourceLine | null;
  /** Bytes of the context that may be read in every run. */
  readonly contextBytes: number;
  /** Offsets of the context's members of four bytes that point to the packet. */
  readonly packetMembers: readonly number[];
  /**
   * A load through a bad pointer gives 0, as the kernel's loads through pointers to its own objects do (BPF_PROBE_MEM, arch/x86/net/bpf_jit_comp.c):
   * of programs that walk such objects.
   */
  readonly probes: boolean;
  /** The object's own types, which objects that the program makes are of. */
  readonly types: BtfTypes | null;
}

export interface CodeOptions {
  readonly name: string;
  /** Addresses that `lddw` loads, by instruction index. */
  readonly addresses?: ReadonlyMap<number, number>;
  /** Ascending slots. */
  readonly lines?: readonly LinkedLine[];
  readonly contextBytes?: number;
  readonly packetMembers?: readonly number[];
  /** Default false. */
  readonly probes?: boolean;
  readonly types?: BtfTypes | undefined;
}

/** Throws `LoadError` for an `lddw` of something that `addresses` does not know. */
export function prepare(instructions: readonly Instruction[], options: CodeOptions): Code {
  const count = instructions.length;
  const code = emptyColumns(count, options);
  const { slotOf, indexOf } = placesOf(instructions);
  code.source = sourceFinder(slotOf, options.lines ?? []);
  for (let index = 0; index < count; index++) {
    const insn = instructions[index];
    if (insn === undefined) continue;
    code.opcode[index] = insn.opcode;
    code.dst[index] = insn.dst;
    code.src[index] = insn.src;
    code.offset[index] = insn.offset;
    code.imm[index] = insn.imm;
    code.high[index] = insn.immHigh ?? 0;
    const distance = slotDistance(insn);
    const next = (slotOf[index] ?? 0) + slots(insn);
    if (distance !== null) code.target[index] = indexOf[next + distance] ?? -1;
    if (insn.opcode === LDDW) resolveWide(code, { insn, index, addresses: options.addresses });
  }
  return code;
}

/** The slot of each instruction, and the instruction of each slot: -1 for the second half of a wide one. */
function placesOf(instructions: readonly Instruction[]): { slotOf: Int32Array; indexOf: Int32Array } {
  const slotOf = new Int32Array(instructions.length + 1);
  let slot = 0;
  instructions.forEach((insn, index) => {
    slotOf[index] = slot;
    slot += slots(insn);
  });
  const indexOf = new Int32Array(slot).fill(-1);
  instructions.forEach((_, index) => (indexOf[slotOf[index] ?? 0] = index));
  return { slotOf, indexOf };
}

function emptyColumns(count: number, options: CodeOptions): { -readonly [Member in keyof Code]: Code[Member] } {
  return {
    name: options.name,
    count,
    opcode: new Uint8Array(count),
    dst: new Uint8Array(count),
    src: new Uint8Array(count),
    offset: new Int32Array(count),
    imm: new Int32Array(count),
    high: new Int32Array(count),
    target: new Int32Array(count).fill(-1),
    source: () => null,
    contextBytes: options.contextBytes ?? 0,
    packetMembers: options.packetMembers ?? [],
    probes: options.probes ?? false,
    types: options.types ?? null,
  };
}

function resolveWide(
  code: Code,
  place: { insn: Instruction; index: number; addresses: ReadonlyMap<number, number> | undefined },
): void {
  const { insn, index } = place;
  const known = place.addresses?.get(index);
  if (known === undefined && insn.src === 0) return;
  const target = code.target[index] ?? -1;
  const address = insn.src === pseudo.func && target >= 0 ? FUNCTION_BASE + target * 8 : known;
  if (address === undefined) {
    throw new LoadError(`${code.name}: instruction ${index} loads an address that is not known (source ${insn.src})`);
  }
  code.imm[index] = address | 0;
  code.high[index] = 0;
}

function sourceFinder(slotOf: Int32Array, lines: readonly LinkedLine[]): (index: number) => SourceLine | null {
  return (index) => {
    const slot = slotOf[index] ?? 0;
    const line = lines.findLast((each) => each.slot <= slot);
    return line === undefined ? null : { file: line.file, line: line.line, text: line.text };
  };
}

export const emptyCode: Code = prepare([], { name: "" });
