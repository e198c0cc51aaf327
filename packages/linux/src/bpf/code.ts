/**
 * @module
 * What the kernel made of a program: the instructions after its rewriting, the machine code, and what belongs to them.
 */
import { decode, type Instruction } from "@skep/isa";
import type { Program } from "@skep/machine";
import { needCapabilities } from "./capabilities.ts";
import { readInfo, readInfoWith } from "./info.ts";
import { descriptorOf } from "./map.ts";

export interface KernelLine {
  /** Of the translated program. */
  readonly slot: number;
  /** Offsets in the string section of the program's BTF. */
  readonly fileOffset: number;
  readonly textOffset: number;
  readonly line: number;
  readonly column: number;
}

export interface ProgramCode {
  /** After the verifier's rewriting (`bpftool prog dump xlated`): calls hold addresses, maps their ids. */
  readonly translated: readonly Instruction[];
  readonly translatedBytes: Uint8Array;
  /** Empty without a just-in-time compiler, or where addresses are hidden. */
  readonly jited: Uint8Array;
  /** Address and length of each function in `jited`. */
  readonly jitedFunctions: readonly { readonly address: bigint; readonly length: number }[];
  readonly functions: readonly { readonly slot: number; readonly typeId: number }[];
  readonly lines: readonly KernelLine[];
}

// struct bpf_prog_info, include/uapi/linux/bpf.h.
const INFO = 232;
const at = {
  jitedLength: 16,
  translatedLength: 20,
  jited: 24,
  translated: 32,
  symbolCount: 104,
  lengthCount: 108,
  symbols: 112,
  lengths: 120,
  functionSize: 132,
  functions: 136,
  functionCount: 144,
  lineCount: 148,
  lines: 152,
  lineSize: 172,
} as const;

const FUNCTION_RECORD = 8;
const LINE_RECORD = 16;

/** Reads a program's code out of the kernel. Throws `MissingCapabilityError`: it needs CAP_BPF and CAP_PERFMON. */
export function programCode(program: Program): ProgramCode {
  needCapabilities("reading a program's code", "CAP_BPF", "CAP_PERFMON");
  const fd = descriptorOf(program);
  const sizes = new DataView(new ArrayBuffer(INFO));
  readInfo(fd, new Uint8Array(sizes.buffer));
  const u32 = (offset: number) => sizes.getUint32(offset, true);
  const translated = new Uint8Array(u32(at.translatedLength));
  const jited = new Uint8Array(u32(at.jitedLength));
  const symbols = new BigUint64Array(u32(at.symbolCount));
  const lengths = new Uint32Array(u32(at.lengthCount));
  const functions = new Uint32Array((u32(at.functionCount) * FUNCTION_RECORD) / 4);
  const lines = new Uint32Array((u32(at.lineCount) * LINE_RECORD) / 4);
  const out = new Uint8Array(INFO);
  const view = new DataView(out.buffer);
  view.setUint32(at.functionSize, FUNCTION_RECORD, true);
  view.setUint32(at.lineSize, LINE_RECORD, true);
  const array = (pointer: number, count: number, bytes: Uint8Array, entries: number) => ({
    pointer,
    count,
    array: bytes,
    entries,
  });
  const bytes = (typed: Uint32Array | BigUint64Array) => new Uint8Array(typed.buffer);
  readInfoWith(fd, out, [
    array(at.translated, at.translatedLength, translated, translated.byteLength),
    array(at.jited, at.jitedLength, jited, jited.byteLength),
    array(at.symbols, at.symbolCount, bytes(symbols), symbols.length),
    array(at.lengths, at.lengthCount, bytes(lengths), lengths.length),
    array(at.functions, at.functionCount, bytes(functions), functions.byteLength / FUNCTION_RECORD),
    array(at.lines, at.lineCount, bytes(lines), lines.byteLength / LINE_RECORD),
  ]);
  return {
    translated: decode(translated).instructions,
    translatedBytes: translated,
    jited,
    jitedFunctions: [...lengths].map((length, index) => ({ address: symbols[index] ?? 0n, length })),
    functions: records(functions, 2).map(([slot = 0, typeId = 0]) => ({ slot, typeId })),
    lines: records(lines, 4).map(([slot = 0, fileOffset = 0, textOffset = 0, place = 0]) => ({
      slot,
      fileOffset,
      textOffset,
      line: place >>> 10,
      column: place & 0x3ff,
    })),
  };
}

function records(words: Uint32Array, size: number): number[][] {
  return Array.from({ length: words.length / size }, (_, index) => [
    ...words.subarray(index * size, (index + 1) * size),
  ]);
}
