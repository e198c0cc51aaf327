import type { Instruction } from "./instruction.ts";
import type { AluOp, AtomicOp, JmpOp, MemorySize } from "./opcode.ts";
import {
  CALL,
  EXIT,
  LDDW,
  aluBits,
  atomicImm,
  insnClass,
  jmpBits,
  modeBits,
  pseudo,
  pseudoCall,
  sizeBits,
  sourceBit,
} from "./opcode.ts";
import type { HelperName } from "./tables/helpers.ts";
import { helperByName } from "./tables/helpers.ts";

/** A register as an operand; a plain number is an immediate. */
export interface Register {
  readonly register: number;
}

/** The register of that number, 0 to 10. */
export function reg(register: number): Register {
  return { register };
}

/** What functions return. */
export const r0: Register = reg(0);
/** The first argument; a program's context. */
export const r1: Register = reg(1);
/** The second argument. */
export const r2: Register = reg(2);
/** The third argument. */
export const r3: Register = reg(3);
/** The fourth argument. */
export const r4: Register = reg(4);
/** The fifth argument. */
export const r5: Register = reg(5);
/** Kept over calls. */
export const r6: Register = reg(6);
/** Kept over calls. */
export const r7: Register = reg(7);
/** Kept over calls. */
export const r8: Register = reg(8);
/** Kept over calls. */
export const r9: Register = reg(9);
/** The frame pointer: read only, the stack lies below it. */
export const r10: Register = reg(10);

/** A register, or an immediate of signed 32 bits. */
export type Operand = Register | number;

/** `base + offset`; the offset is signed 16 bits. */
export interface Memory {
  readonly base: Register;
  readonly offset: number;
}

/** The memory operand `base + offset`. */
export function mem(base: Register, offset = 0): Memory {
  return { base, offset };
}

function insn(opcode: number, dst: number, src: number, offset: number, imm: number): Instruction {
  return { opcode, dst, src, offset, imm };
}

function operate(opcode: number, dst: Register, value: Operand, offset: number): Instruction {
  return typeof value === "number"
    ? insn(opcode | sourceBit.k, dst.register, 0, offset, value | 0)
    : insn(opcode | sourceBit.x, dst.register, value.register, offset, 0);
}

function aluOpcode(op: AluOp): { readonly bits: number; readonly offset: number } {
  if (op === "sdiv") return { bits: aluBits.div, offset: 1 };
  if (op === "smod") return { bits: aluBits.mod, offset: 1 };
  return { bits: aluBits[op], offset: 0 };
}

/** 64-bit arithmetic: `dst op= value`; immediates are sign-extended. */
export function alu64(op: AluOp, dst: Register, value: Operand): Instruction {
  const { bits, offset } = aluOpcode(op);
  return operate(insnClass.alu64 | bits, dst, value, offset);
}

/** 32-bit arithmetic: the upper half of dst becomes zero. */
export function alu32(op: AluOp, dst: Register, value: Operand): Instruction {
  const { bits, offset } = aluOpcode(op);
  return operate(insnClass.alu | bits, dst, value, offset);
}

/** `dst = value`; immediates are sign-extended to 64 bits. */
export function mov64(dst: Register, value: Operand): Instruction {
  return operate(insnClass.alu64 | aluBits.mov, dst, value, 0);
}

/** `wdst = value`: the upper half of dst becomes zero. */
export function mov32(dst: Register, value: Operand): Instruction {
  return operate(insnClass.alu | aluBits.mov, dst, value, 0);
}

/** `dst = (sN)src`: sign-extends the low 8, 16 or 32 bits to 64. */
export function movsx64(dst: Register, src: Register, bits: 8 | 16 | 32): Instruction {
  return operate(insnClass.alu64 | aluBits.mov, dst, src, bits);
}

/** `wdst = (sN)wsrc`: sign-extends the low 8 or 16 bits to 32. */
export function movsx32(dst: Register, src: Register, bits: 8 | 16): Instruction {
  return operate(insnClass.alu | aluBits.mov, dst, src, bits);
}

/** `dst = addr_space_cast(src, to, from)`: arena pointers (since 6.9). */
export function addrSpaceCast(
  dst: Register,
  src: Register,
  spaces: { readonly to: number; readonly from: number },
): Instruction {
  return insn(
    insnClass.alu64 | aluBits.mov | sourceBit.x,
    dst.register,
    src.register,
    1,
    (spaces.to << 16) | (spaces.from & 0xffff),
  );
}

/** `dst = -dst`. */
export function neg64(dst: Register): Instruction {
  return insn(insnClass.alu64 | aluBits.neg, dst.register, 0, 0, 0);
}

/** `wdst = -wdst`. */
export function neg32(dst: Register): Instruction {
  return insn(insnClass.alu | aluBits.neg, dst.register, 0, 0, 0);
}

/** Between the machine's order and little endian: on little-endian machines cuts to the width. */
export function le(dst: Register, bits: 16 | 32 | 64): Instruction {
  return insn(insnClass.alu | aluBits.end | sourceBit.k, dst.register, 0, 0, bits);
}

/** Between the machine's order and big endian: on little-endian machines swaps and cuts to the width. */
export function be(dst: Register, bits: 16 | 32 | 64): Instruction {
  return insn(insnClass.alu | aluBits.end | sourceBit.x, dst.register, 0, 0, bits);
}

/** Swaps the low bytes whatever the machine's order, and cuts to the width (v4). */
export function bswap(dst: Register, bits: 16 | 32 | 64): Instruction {
  return insn(insnClass.alu64 | aluBits.end, dst.register, 0, 0, bits);
}

/** `dst = *(size *)(from)`, zero-extended. */
export function ldx(size: MemorySize, dst: Register, from: Memory): Instruction {
  return insn(insnClass.ldx | modeBits.mem | sizeBits[size], dst.register, from.base.register, from.offset, 0);
}

/** `dst = *(sN *)(from)`, sign-extended to 64 bits (v4). `size` gives the width. */
export function ldxs(size: Exclude<MemorySize, "u64">, dst: Register, from: Memory): Instruction {
  return insn(insnClass.ldx | modeBits.memsx | sizeBits[size], dst.register, from.base.register, from.offset, 0);
}

/** `*(size *)(to) = src`. */
export function stx(size: MemorySize, to: Memory, src: Register): Instruction {
  return insn(insnClass.stx | modeBits.mem | sizeBits[size], to.base.register, src.register, to.offset, 0);
}

/** `*(size *)(to) = imm`; for u64 the immediate is sign-extended. */
export function st(size: MemorySize, to: Memory, imm: number): Instruction {
  return insn(insnClass.st | modeBits.mem | sizeBits[size], to.base.register, 0, to.offset, imm | 0);
}

/** Legacy packet load `r0 = *(size *)skb[imm]`, big endian. */
export function ldAbs(size: Exclude<MemorySize, "u64">, imm: number): Instruction {
  return insn(insnClass.ld | modeBits.abs | sizeBits[size], 0, 0, 0, imm | 0);
}

/** Legacy packet load `r0 = *(size *)skb[src + imm]`, big endian. */
export function ldInd(size: Exclude<MemorySize, "u64">, src: Register, imm: number): Instruction {
  return insn(insnClass.ld | modeBits.ind | sizeBits[size], 0, src.register, 0, imm | 0);
}

/** Conditional jump over 64 bits: `if dst op value goto +offset` (slots from the next instruction). */
export function jmp(op: JmpOp, dst: Register, value: Operand, offset: number): Instruction {
  return operate(insnClass.jmp | jmpBits[op], dst, value, offset);
}

/** Conditional jump over the low 32 bits. */
export function jmp32(op: JmpOp, dst: Register, value: Operand, offset: number): Instruction {
  return operate(insnClass.jmp32 | jmpBits[op], dst, value, offset);
}

/** `goto +offset`, signed 16 bits, in slots from the next instruction. */
export function ja(offset: number): Instruction {
  return insn(insnClass.jmp | jmpBits.ja, 0, 0, offset, 0);
}

/** `gotol +offset`, signed 32 bits (v4). */
export function jal(offset: number): Instruction {
  return insn(insnClass.jmp32 | jmpBits.ja, 0, 0, 0, offset | 0);
}

/** `may_goto +offset`: jumps when the program's budget of iterations is spent (since 6.9). */
export function mayGoto(offset: number): Instruction {
  return insn(insnClass.jmp | jmpBits.jcond, 0, 0, offset, 0);
}

/** Calls a helper by number or name (with or without `bpf_`). Throws a RangeError for a name that is none. */
export function call(helper: number | HelperName | `bpf_${HelperName}`): Instruction {
  if (typeof helper === "number") return insn(CALL, 0, pseudoCall.helper, 0, helper);
  const found = helperByName(helper);
  if (found === null) throw new RangeError(`there is no helper ${helper}`);
  return insn(CALL, 0, pseudoCall.helper, 0, found.id);
}

/** Calls a function of the program: slots from the next instruction. */
export function callLocal(slots: number): Instruction {
  return insn(CALL, 0, pseudoCall.local, 0, slots | 0);
}

/** Calls a kernel function by BTF id; `module` is the index into the fd array, 0 for vmlinux. */
export function callKfunc(btfId: number, module = 0): Instruction {
  return insn(CALL, 0, pseudoCall.kfunc, module, btfId);
}

/** Calls the function whose address is in the register. The kernel refuses it, other machines may not. */
export function callx(target: Register): Instruction {
  return insn(CALL | sourceBit.x, target.register, 0, 0, 0);
}

/** Returns r0. */
export function exit(): Instruction {
  return insn(EXIT, 0, 0, 0, 0);
}

/** `dst = value` with all 64 bits of the value (taken modulo 2**64). */
export function lddw(dst: Register, value: bigint | number): Instruction {
  const wide = BigInt(value);
  return {
    opcode: LDDW,
    dst: dst.register,
    src: 0,
    offset: 0,
    imm: Number(BigInt.asIntN(32, wide)),
    immHigh: Number(BigInt.asIntN(32, wide >> 32n)),
  };
}

/** `lddw` of something that the loader or the kernel resolves; see `pseudo` for what the two immediates mean. */
export function lddwPseudo(
  dst: Register,
  kind: keyof typeof pseudo,
  imm: { readonly low: number; readonly high?: number },
): Instruction {
  return {
    opcode: LDDW,
    dst: dst.register,
    src: pseudo[kind],
    offset: 0,
    imm: imm.low | 0,
    immHigh: (imm.high ?? 0) | 0,
  };
}

/** `dst = map`: the map of that file descriptor. */
export function ldMap(dst: Register, fd: number): Instruction {
  return lddwPseudo(dst, "mapFd", { low: fd });
}

/** `dst = map[0] + offset`: address inside the only value of that map. */
export function ldMapValue(dst: Register, fd: number, offset: number): Instruction {
  return lddwPseudo(dst, "mapValue", { low: fd, high: offset });
}

/** `dst = function`: the address of a function of the program, for callbacks; slots from the next instruction. */
export function ldFunc(dst: Register, slots: number): Instruction {
  return lddwPseudo(dst, "func", { low: slots });
}

function atomicInsn(size: "u32" | "u64", to: Memory, src: Register, imm: number): Instruction {
  return insn(insnClass.stx | modeBits.atomic | sizeBits[size], to.base.register, src.register, to.offset, imm);
}

/** `lock *(size *)(to) op= src`. */
export function atomic(op: AtomicOp, size: "u32" | "u64", to: Memory, src: Register): Instruction {
  return atomicInsn(size, to, src, atomicImm[op]);
}

/** `src = atomic_fetch_op((size *)(to), src)`: src becomes the old value. */
export function atomicFetch(op: AtomicOp, size: "u32" | "u64", to: Memory, src: Register): Instruction {
  return atomicInsn(size, to, src, atomicImm[op] | atomicImm.fetch);
}

/** `src = xchg(to, src)`. */
export function xchg(size: "u32" | "u64", to: Memory, src: Register): Instruction {
  return atomicInsn(size, to, src, atomicImm.xchg);
}

/** `r0 = cmpxchg(to, r0, src)`: stores src if memory equals r0; r0 becomes the old value. */
export function cmpxchg(size: "u32" | "u64", to: Memory, src: Register): Instruction {
  return atomicInsn(size, to, src, atomicImm.cmpxchg);
}

/** `dst = load_acquire((size *)(from))` (since 6.15). */
export function loadAcquire(size: MemorySize, dst: Register, from: Memory): Instruction {
  return insn(
    insnClass.stx | modeBits.atomic | sizeBits[size],
    dst.register,
    from.base.register,
    from.offset,
    atomicImm.loadAcquire,
  );
}

/** `store_release((size *)(to), src)` (since 6.15). */
export function storeRelease(size: MemorySize, to: Memory, src: Register): Instruction {
  return insn(
    insnClass.stx | modeBits.atomic | sizeBits[size],
    to.base.register,
    src.register,
    to.offset,
    atomicImm.storeRelease,
  );
}
