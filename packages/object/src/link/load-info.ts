import { ByteWriter, StringTable } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { encodeBtf } from "../btf/encode.ts";
import { kernelBtf } from "../btf/kernel.ts";
import { sanitizeBtf } from "../btf/sanitize.ts";
import type { BtfFeatures } from "../btf/sanitize.ts";
import type { ObjectSpec } from "../spec.ts";
import type { LinkedProgram } from "./program.ts";

/** What BPF_PROG_LOAD takes beside the instructions. Empty arrays where the program has none: then give the kernel no counts. */
export interface ProgramInfo {
  /** struct bpf_func_info[]. */
  readonly funcInfo: Uint8Array;
  readonly funcInfoRecordSize: 8;
  /** struct bpf_line_info[]. */
  readonly lineInfo: Uint8Array;
  readonly lineInfoRecordSize: 16;
}

export interface ObjectBtf {
  /** For BPF_BTF_LOAD. Type ids are those of the spec, so that maps and programs share it. */
  readonly btf: Uint8Array;
  readonly programs: Readonly<Record<string, ProgramInfo>>;
}

const MAX_COLUMN = 0x3ff;
const MAX_LINE = 0x3f_ffff;

/**
 * One BTF for all maps and programs of an object: its types as a kernel takes them (`kernelBtf`), and the file names and source lines of
 * the programs' line information in its strings. `features`: what an old kernel does not know (`sanitizeBtf`). Null where the object has
 * no BTF.
 */
export function objectBtf(
  spec: ObjectSpec,
  programs: readonly LinkedProgram[],
  features: BtfFeatures = {},
): ObjectBtf | null {
  if (spec.btf === undefined) return null;
  const strings = new StringTable();
  // A kernel without FUNC knows no function information.
  const known = (linked: LinkedProgram) => (features.func === false ? { ...linked, funcInfo: [] } : linked);
  const infos = programs.map((linked) => [linked.name, programInfo(known(linked), strings, spec.byteOrder)] as const);
  const types = sanitizeBtf(kernelBtf(spec, spec.btf), features);
  const btf = encodeBtf(types, { byteOrder: spec.byteOrder, strings });
  return { btf, programs: Object.fromEntries(infos) };
}

/** `objectBtf` for a single program. */
export function programBtf(
  spec: ObjectSpec,
  linked: LinkedProgram,
): (ProgramInfo & { readonly btf: Uint8Array }) | null {
  const object = objectBtf(spec, [linked]);
  const info = object?.programs[linked.name];
  return object === null || info === undefined ? null : { btf: object.btf, ...info };
}

function programInfo(linked: LinkedProgram, strings: StringTable, byteOrder: ByteOrder): ProgramInfo {
  const funcs = new ByteWriter(byteOrder, 8 * linked.funcInfo.length);
  for (const { slot, typeId } of linked.funcInfo) funcs.u32(slot).u32(typeId);
  // Line information without function information is refused.
  const wanted = linked.funcInfo.length > 0 ? linked.lines : [];
  const lines = new ByteWriter(byteOrder, 16 * wanted.length);
  for (const { slot, file, line, column, text } of wanted) {
    lines.u32(slot).u32(strings.add(file)).u32(strings.add(text)).u32(packLine(line, column));
  }
  return { funcInfo: funcs.finish(), funcInfoRecordSize: 8, lineInfo: lines.finish(), lineInfoRecordSize: 16 };
}

/** BPF_LINE_INFO_LINE_NUM and _LINE_COL share 32 bits: what does not fit is cut to the largest. */
export function packLine(line: number, column: number): number {
  return ((Math.min(line, MAX_LINE) << 10) | Math.min(column, MAX_COLUMN)) >>> 0;
}
