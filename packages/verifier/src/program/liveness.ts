/**
 * @module
 * Registers that an instruction's successors still read (compute_live_registers, kernel/bpf/verifier.c, since 6.15): states need not
 * agree in the others.
 */
import { CALL, EXIT, LDDW, atomicImm, insnClass, jmpBits, modeBits } from "@skep/isa";
import type { Code } from "./code.ts";
import { isConditional, isGoto } from "./code.ts";

const CALLER_SAVED = 0x3f;
const ARGUMENTS = 0x3e;

interface Effect {
  readonly use: number;
  readonly def: number;
}

function atomicEffect(code: Code, at: number, bits: { readonly dst: number; readonly src: number }): Effect {
  const imm = code.imm[at] as number;
  const { dst, src } = bits;
  if (imm === atomicImm.cmpxchg) return { use: dst | src | 1, def: 1 };
  if (imm === atomicImm.loadAcquire) return { use: src, def: dst };
  if (imm === atomicImm.storeRelease) return { use: dst | src, def: 0 };
  return { use: dst | src, def: (imm & atomicImm.fetch) !== 0 ? src : 0 };
}

function aluEffect(code: Code, at: number, bits: { readonly dst: number; readonly src: number }): Effect {
  const opcode = code.opcode[at] as number;
  const { dst, src } = bits;
  const op = opcode & 0xf0;
  const isRegister = (opcode & 8) !== 0 && op !== 0xd0;
  const reads = op === 0xb0 ? 0 : dst;
  return { use: reads | (isRegister ? src : 0), def: dst };
}

/** Registers that an instruction reads and writes, as bits. `argumentsOf`: how many registers a call reads. */
function effectOf(code: Code, at: number, argumentsOf: (at: number) => number): Effect {
  const opcode = code.opcode[at] as number;
  const bits = { dst: 1 << (code.dst[at] as number), src: 1 << (code.src[at] as number) };
  const mode = opcode & 0xe0;
  switch (opcode & 7) {
    case insnClass.ld:
      if (opcode === LDDW) return { use: 0, def: bits.dst };
      return { use: (1 << 6) | (mode === modeBits.ind ? bits.src : 0), def: CALLER_SAVED };
    case insnClass.ldx:
      return { use: bits.src, def: bits.dst };
    case insnClass.st:
      return { use: bits.dst, def: 0 };
    case insnClass.stx:
      if (mode === modeBits.atomic) return atomicEffect(code, at, bits);
      return { use: bits.dst | bits.src, def: 0 };
    case insnClass.alu:
    case insnClass.alu64:
      return aluEffect(code, at, bits);
    default: {
      if (opcode === EXIT) return { use: 1, def: 0 };
      if (opcode === CALL) return { use: ARGUMENTS & ((2 << argumentsOf(at)) - 1), def: CALLER_SAVED };
      const op = opcode & 0xf0;
      if (op === jmpBits.ja || op === jmpBits.jcond) return { use: 0, def: 0 };
      return { use: bits.dst | ((opcode & 8) !== 0 ? bits.src : 0), def: 0 };
    }
  }
}

/** Live registers before every instruction, as bits; r10 is always. */
export function liveRegisters(code: Code, argumentsOf: (at: number) => number): Uint16Array {
  const { count } = code;
  const use = new Uint16Array(count);
  const keep = new Uint16Array(count);
  for (let at = 0; at < count; at++) {
    const effect = effectOf(code, at, argumentsOf);
    use[at] = effect.use;
    keep[at] = ~effect.def;
  }
  const live = new Uint16Array(count);
  for (let changed = true; changed;) {
    changed = false;
    for (let at = count - 1; at >= 0; at--) {
      const opcode = code.opcode[at] as number;
      let out = 0;
      if (isConditional(opcode) || isGoto(opcode)) out |= live[code.target[at] as number] ?? 0;
      if (opcode !== EXIT && !isGoto(opcode)) out |= live[at + 1] ?? 0;
      const before = (out & (keep[at] as number)) | (use[at] as number);
      if (before === live[at]) continue;
      live[at] = before;
      changed = true;
    }
  }
  for (let at = 0; at < count; at++) live[at] = (live[at] as number) | (1 << 10);
  return live;
}
