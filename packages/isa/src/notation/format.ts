import type { Instruction } from "../instruction.ts";
import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits, pseudo, pseudoCall, sizeBits } from "../opcode.ts";
import { helperById } from "../tables/helpers.ts";
import { NOSPEC, fieldProblem } from "../validate.ts";

/** Names that the instructions alone do not have. Each may give null: then the number is printed. */
export interface FormatNames {
  /** The jump or call target at that distance in slots from the next instruction. */
  readonly target?: (distance: number) => string | null;
  /** A kernel function by its instruction (BTF id in imm, module in offset). */
  readonly kernelFunction?: (insn: Instruction) => string | null;
  /** What stands for an `lddw` that a reference fills in, such as `map[name:counts]`. */
  readonly wide?: (insn: Instruction) => string | null;
}

// kernel/bpf/disasm.c, bpf_alu_string and bpf_jmp_string, by the operation's number.
const aluSymbols = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>="];
const jmpSymbols = ["", "==", ">", ">=", "&", "!=", "s>", "s>=", "", "", "<", "<=", "s<", "s<="];
const atomicNames = new Map<number, string>([
  [atomicImm.add, "add"],
  [atomicImm.or, "or"],
  [atomicImm.and, "and"],
  [atomicImm.xor, "xor"],
]);

const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

function sizeName(opcode: number, sign: "u" | "s" = "u"): string {
  const bits = { [sizeBits.u8]: 8, [sizeBits.u16]: 16, [sizeBits.u32]: 32, [sizeBits.u64]: 64 }[opcode & 0x18];
  return `${sign}${bits}`;
}

function memory(insn: Instruction, register: number): string {
  return `(${sizeName(insn.opcode)} *)(r${register} ${signed(insn.offset)})`;
}

/**
 * One instruction as the kernel prints it (kernel/bpf/disasm.c of 6.18; `bpftool prog dump xlated` without the
 * opcode in front). What is not well-formed is printed as `.insn opcode, dst, src, offset, imm[, immHigh]`.
 */
export function formatInstruction(insn: Instruction, names: FormatNames = {}): string {
  if (fieldProblem(insn) !== null) return formatRaw(insn);
  switch (insn.opcode & 0x07) {
    case insnClass.alu:
      return formatAlu(insn, "w");
    case insnClass.alu64:
      return formatAlu(insn, "r");
    case insnClass.ldx:
      return formatLoad(insn);
    case insnClass.st:
      return insn.opcode === NOSPEC ? "nospec" : `*${memory(insn, insn.dst)} = ${insn.imm}`;
    case insnClass.stx:
      return (insn.opcode & 0xe0) === modeBits.mem ? `*${memory(insn, insn.dst)} = r${insn.src}` : formatAtomic(insn);
    case insnClass.ld:
      return insn.opcode === LDDW ? formatWide(insn, names) : formatPacketLoad(insn);
    default:
      return formatJump(insn, names);
  }
}

function formatRaw(insn: Instruction): string {
  const fields = [`0x${insn.opcode.toString(16).padStart(2, "0")}`, insn.dst, insn.src, insn.offset, insn.imm];
  if (insn.opcode === LDDW) fields.push(insn.immHigh ?? 0);
  return `.insn ${fields.join(", ")}`;
}

function formatAlu(insn: Instruction, letter: "w" | "r"): string {
  const { opcode, dst, src, offset, imm } = insn;
  const op = opcode & 0xf0;
  const register = (opcode & 0x08) !== 0;
  if (op === aluBits.end) {
    const name = letter === "r" ? "bswap" : register ? "be" : "le";
    return `r${dst} = ${name}${imm} r${dst}`;
  }
  if (op === aluBits.neg) return `${letter}${dst} = -${letter}${dst}`;
  if (op === aluBits.mov && register) {
    if (offset === 1) return `r${dst} = addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`;
    if (offset === -1) return `r${dst} = &(void __percpu *)(r${src})`;
    return `${letter}${dst} = ${offset === 0 ? "" : `(s${offset})`}${letter}${src}`;
  }
  const sign = (op === aluBits.div || op === aluBits.mod) && offset === 1 ? "s" : "";
  return `${letter}${dst} ${sign}${aluSymbols[op >> 4]} ${register ? `${letter}${src}` : imm}`;
}

function formatLoad(insn: Instruction): string {
  const sign = (insn.opcode & 0xe0) === modeBits.memsx ? "s" : "u";
  return `r${insn.dst} = *(${sizeName(insn.opcode, sign)} *)(r${insn.src} ${signed(insn.offset)})`;
}

function formatPacketLoad(insn: Instruction): string {
  const size = sizeName(insn.opcode);
  if ((insn.opcode & 0xe0) === modeBits.abs) return `r0 = *(${size} *)skb[${insn.imm}]`;
  return `r0 = *(${size} *)skb[r${insn.src} + ${insn.imm}]`;
}

function formatAtomic(insn: Instruction): string {
  const { opcode, dst, src, imm } = insn;
  const to = memory(insn, dst);
  const wide = (opcode & 0x18) === sizeBits.u64 ? "64" : "";
  switch (imm) {
    case atomicImm.loadAcquire:
      return `r${dst} = load_acquire(${memory(insn, src)})`;
    case atomicImm.storeRelease:
      return `store_release(${to}, r${src})`;
    case atomicImm.xchg:
      return `r${src} = atomic${wide}_xchg(${to}, r${src})`;
    case atomicImm.cmpxchg:
      return `r0 = atomic${wide}_cmpxchg(${to}, r0, r${src})`;
    default:
      if ((imm & atomicImm.fetch) === 0) return `lock *${to} ${aluSymbols[imm >> 4]} r${src}`;
      return `r${src} = atomic${wide}_fetch_${atomicNames.get(imm & 0xf0)}(${to}, r${src})`;
  }
}

function formatWide(insn: Instruction, names: FormatNames): string {
  return `r${insn.dst} = ${names.wide?.(insn) ?? wideOperand(insn, names)}`;
}

function wideOperand(insn: Instruction, names: FormatNames): string {
  const low = insn.imm >>> 0;
  const high = (insn.immHigh ?? 0) >>> 0;
  switch (insn.src) {
    case pseudo.mapFd:
      return `map[id:${low}]`;
    case pseudo.mapValue:
      return `map[id:${low}][0]+${high}`;
    case pseudo.btfId:
      return high === 0 ? `btf[id:${low}]` : `btf[id:${low}, fd:${high}]`;
    case pseudo.func:
      return `subprog[${names.target?.(insn.imm - 1) ?? signed(insn.imm)}]`;
    case pseudo.mapIdx:
      return `map[idx:${low}]`;
    case pseudo.mapIdxValue:
      return `map[idx:${low}]+${high}`;
    default:
      return `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`;
  }
}

function formatJump(insn: Instruction, names: FormatNames): string {
  const { opcode, dst, src, offset, imm } = insn;
  const op = opcode & 0xf0;
  const register = (opcode & 0x08) !== 0;
  const wide = (opcode & 0x07) === insnClass.jmp;
  const to = (distance: number) => names.target?.(distance) ?? `pc${signed(distance)}`;
  switch (op) {
    case jmpBits.ja:
      if (register) return `gotox r${dst}`;
      return wide ? `goto ${to(offset)}` : `gotol ${to(imm)}`;
    case jmpBits.jcond:
      return `may_goto ${to(offset)}`;
    case jmpBits.exit:
      return "exit";
    case jmpBits.call:
      return register ? `callx r${dst}` : formatCall(insn, names, to);
    default: {
      const letter = wide ? "r" : "w";
      const operand = register ? `${letter}${src}` : hex(imm);
      return `if ${letter}${dst} ${jmpSymbols[op >> 4]} ${operand} goto ${to(offset)}`;
    }
  }
}

function formatCall(insn: Instruction, names: FormatNames, to: (distance: number) => string): string {
  if (insn.src === pseudoCall.local) return `call ${to(insn.imm)}`;
  if (insn.src === pseudoCall.helper) {
    const helper = helperById(insn.imm);
    return `call ${helper === null ? "unknown" : `bpf_${helper.name}`}#${insn.imm}`;
  }
  const name = names.kernelFunction?.(insn) ?? "kernel-function";
  return `call ${name}${insn.offset === 0 ? "" : `[${insn.offset}]`}#${insn.imm}`;
}
