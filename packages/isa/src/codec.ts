import type { Diagnostic } from "./diagnostic.ts";
import type { Instruction } from "./instruction.ts";
import { slots } from "./instruction.ts";
import { LDDW } from "./opcode.ts";

/** Which byte order the wire form has. */
export interface ByteOrderOptions {
  /** Default little. */
  readonly byteOrder?: "little" | "big";
}

/** Slots of eight bytes that the instructions fill. */
export function slotCount(instructions: readonly Instruction[]): number {
  let count = 0;
  for (const insn of instructions) count += slots(insn);
  return count;
}

/**
 * The wire form: eight bytes a slot. Fields are cut to their widths; registers share a byte whose halves depend on
 * the byte order (RFC 9669 section 3).
 */
export function encode(instructions: readonly Instruction[], options: ByteOrderOptions = {}): Uint8Array {
  const little = options.byteOrder !== "big";
  const bytes = new Uint8Array(slotCount(instructions) * 8);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const insn of instructions) {
    const dst = insn.dst & 15;
    const src = insn.src & 15;
    view.setUint8(at, insn.opcode);
    view.setUint8(at + 1, little ? (src << 4) | dst : (dst << 4) | src);
    view.setInt16(at + 2, insn.offset, little);
    view.setInt32(at + 4, insn.imm, little);
    at += 8;
    if (insn.opcode === LDDW) {
      view.setInt32(at + 4, insn.immHigh ?? 0, little);
      at += 8;
    }
  }
  return bytes;
}

/** What was read of the wire form. */
export interface Decoded {
  readonly instructions: readonly Instruction[];
  readonly diagnostics: readonly Diagnostic[];
}

function damage(code: string, message: string): Diagnostic {
  return { code, severity: "error", message };
}

/**
 * Reads the wire form. Total: damage (length, half an `lddw`, registers above 10) is reported and what can be read
 * is still returned. Whether an opcode exists and its unused fields are zero is `validate`'s question.
 */
export function decode(bytes: Uint8Array, options: ByteOrderOptions = {}): Decoded {
  const little = options.byteOrder !== "big";
  const instructions: Instruction[] = [];
  const diagnostics: Diagnostic[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength - (bytes.byteLength % 8);
  let at = 0;
  while (at < end) {
    const insn = readSlot(view, at, little);
    const slot = at / 8;
    at += 8;
    if (insn.dst > 10 || insn.src > 10) {
      const register = insn.dst > 10 ? insn.dst : insn.src;
      diagnostics.push(damage("ISA1003", `slot ${slot}: there is no register r${register}`));
    }
    if (insn.opcode !== LDDW) {
      instructions.push(insn);
      continue;
    }
    if (at >= end) {
      diagnostics.push(damage("ISA1002", `slot ${slot}: the second half of lddw is missing`));
      instructions.push({ ...insn, immHigh: 0 });
      continue;
    }
    const high = readSlot(view, at, little);
    if (high.opcode !== 0 || high.dst !== 0 || high.src !== 0 || high.offset !== 0) {
      diagnostics.push(damage("ISA1002", `slot ${slot + 1}: the second half of lddw has more than an immediate`));
    }
    instructions.push({ ...insn, immHigh: high.imm });
    at += 8;
  }
  if (end !== bytes.byteLength) {
    diagnostics.push(
      damage("ISA1001", `code of ${bytes.byteLength} bytes: ${bytes.byteLength - end} at its end are no instruction`),
    );
  }
  return { instructions, diagnostics };
}

function readSlot(view: DataView, at: number, little: boolean): Instruction {
  const registers = view.getUint8(at + 1);
  const low = registers & 15;
  const high = registers >> 4;
  return {
    opcode: view.getUint8(at),
    dst: little ? low : high,
    src: little ? high : low,
    offset: view.getInt16(at + 2, little),
    imm: view.getInt32(at + 4, little),
  };
}
