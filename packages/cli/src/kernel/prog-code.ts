/**
 * @module
 * A program's instructions with what belongs to each: prototype, source line, names of what it calls.
 */
import { formatInstruction, fromTranslated, helperById, type Instruction, slots } from "@skep/isa";
import {
  kernelSymbolAddress,
  kernelSymbolsAt,
  type KernelLine,
  type LinuxProgram,
  type ProgramCode,
  programCode,
} from "@skep/linux";
import { btfString, type OpenBtf } from "@skep/object";
import { prototypeOf } from "./proto.ts";
import { typesOfProgram } from "./types.ts";

export interface SourceLine {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface CodeLine {
  readonly slot: number;
  readonly instruction: Instruction;
  /** In the kernel's notation, without slot and opcode. */
  readonly text: string;
  /** Bytes: eight, or sixteen. */
  readonly bytes: Uint8Array;
  /** Where a function begins. */
  readonly prototype: string | null;
  /** Where a source line begins. */
  readonly source: SourceLine | null;
}

const CALL = 0x85;
const LOCAL = 1;

/** Names of addresses that calls go to. */
interface Symbols {
  readonly base: bigint;
  readonly names: ReadonlyMap<bigint, string>;
}

const isLocalCall = ({ opcode, src }: Instruction): boolean => opcode === CALL && src === LOCAL;
const isKernelCall = ({ opcode, src, imm }: Instruction): boolean =>
  opcode === CALL && src !== LOCAL && (src !== 0 || helperById(imm) === null);

function symbolsOf(code: ProgramCode): Symbols {
  const base = kernelSymbolAddress("__bpf_call_base") ?? 0n;
  const addresses = code.translated.flatMap((insn) => {
    if (isLocalCall(insn)) return [code.jitedFunctions[insn.imm]?.address ?? 0n];
    return isKernelCall(insn) && base !== 0n ? [base + BigInt(insn.imm)] : [];
  });
  return { base, names: addresses.length === 0 ? new Map() : kernelSymbolsAt(new Set(addresses)) };
}

const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);
const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;

/** As bpftool prints it (print_call_pcrel, print_call_helper). */
function callText(insn: Instruction, code: ProgramCode, symbols: Symbols): string {
  if (isLocalCall(insn)) {
    const address = code.jitedFunctions[insn.imm]?.address;
    if (address === undefined) return `call pc${signed(insn.offset)}`;
    return `call pc${signed(insn.offset)}#${symbols.names.get(address) ?? hex(address)}`;
  }
  const address = symbols.base + BigInt(insn.imm);
  return `call ${symbols.names.get(address) ?? (symbols.base === 0n ? "kernel-function" : hex(address))}#${insn.imm}`;
}

function sourceOf(types: OpenBtf, line: KernelLine): SourceLine {
  return {
    text: btfString(types.strings, line.textOffset).trimStart(),
    file: btfString(types.strings, line.fileOffset),
    line: line.line,
    column: line.column,
  };
}

export interface ReadCode {
  readonly code: ProgramCode;
  readonly lines: readonly CodeLine[];
}

/** Throws `MissingCapabilityError`. */
export function readCode(program: LinuxProgram): ReadCode {
  const code = programCode(program);
  const types = typesOfProgram(program);
  const symbols = symbolsOf(code);
  const plain = fromTranslated(code.translated);
  const sources = new Map(types === null ? [] : code.lines.map((line) => [line.slot, sourceOf(types, line)]));
  const prototypes = new Map(
    types === null ? [] : code.functions.map(({ slot, typeId }) => [slot, prototypeOf(types, typeId)]),
  );
  let slot = 0;
  const lines = code.translated.map((instruction, index): CodeLine => {
    const start = slot;
    slot += slots(instruction);
    const isCall = isLocalCall(instruction) || isKernelCall(instruction);
    return {
      slot: start,
      instruction,
      text: isCall ? callText(instruction, code, symbols) : formatInstruction(plain[index] ?? instruction),
      bytes: code.translatedBytes.subarray(start * 8, slot * 8),
      prototype: prototypes.get(start) ?? null,
      source: sources.get(start) ?? null,
    };
  });
  return { code, lines };
}
