/**
 * Opcode bytes (RFC 9669 section 3): class in the low three bits; arithmetic and jumps have the operation in the
 * high four and the source in bit 3, loads and stores the mode in the high three and the size in bits 3 and 4.
 */

/** The class: the low three bits. */
export const insnClass = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, jmp: 5, jmp32: 6, alu64: 7 } as const;

/** Size bits of loads and stores. */
export const sizeBits = { u32: 0x00, u16: 0x08, u8: 0x10, u64: 0x18 } as const;

/** Mode bits of loads and stores. */
export const modeBits = { imm: 0x00, abs: 0x20, ind: 0x40, mem: 0x60, memsx: 0x80, atomic: 0xc0 } as const;

/** Source bit: the operand is the immediate (`k`) or the source register (`x`). */
export const sourceBit = { k: 0x00, x: 0x08 } as const;

/** Operations of the classes alu and alu64. */
export const aluBits = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
  end: 0xd0,
} as const;

/** Operations of the classes jmp and jmp32. */
export const jmpBits = {
  ja: 0x00,
  jeq: 0x10,
  jgt: 0x20,
  jge: 0x30,
  jset: 0x40,
  jne: 0x50,
  jsgt: 0x60,
  jsge: 0x70,
  call: 0x80,
  exit: 0x90,
  jlt: 0xa0,
  jle: 0xb0,
  jslt: 0xc0,
  jsle: 0xd0,
  /** `may_goto`. */
  jcond: 0xe0,
} as const;

/** The immediate of atomic instructions. */
export const atomicImm = {
  add: 0x00,
  or: 0x40,
  and: 0x50,
  xor: 0xa0,
  /** Added to the four above. */
  fetch: 0x01,
  xchg: 0xe1,
  cmpxchg: 0xf1,
  loadAcquire: 0x100,
  storeRelease: 0x110,
} as const;

/** Pseudo source registers of `lddw`: what its immediate is. */
export const pseudo = {
  /** imm: a map's file descriptor. */
  mapFd: 1,
  /** imm: a map's file descriptor; immHigh: offset into its only value. */
  mapValue: 2,
  /** imm: BTF id of a kernel variable; immHigh: BTF object's file descriptor. */
  btfId: 3,
  /** imm: slots from the next instruction to the function. */
  func: 4,
  /** imm: index into the fd array of BPF_PROG_LOAD. */
  mapIdx: 5,
  /** imm: index into the fd array; immHigh: offset into the map's only value. */
  mapIdxValue: 6,
} as const;

/** Pseudo source registers of `call`. */
export const pseudoCall = {
  /** imm: number of a helper. */
  helper: 0,
  /** imm: slots from the next instruction to the function. */
  local: 1,
  /** imm: BTF id of a kernel function; offset: index into the fd array, 0 for vmlinux. */
  kfunc: 2,
} as const;

/** The opcode of `lddw`, the only instruction of two slots. */
export const LDDW = 0x18;
/** The opcode of `exit`. */
export const EXIT = 0x95;
/** The opcode of `call`. */
export const CALL = 0x85;

/** Widths of a memory access. */
export type MemorySize = keyof typeof sizeBits;
/** Arithmetic with two operands. */
export type AluOp = Exclude<keyof typeof aluBits, "neg" | "end" | "mov"> | "sdiv" | "smod";
/** Conditional jumps. */
export type JmpOp = Exclude<keyof typeof jmpBits, "ja" | "call" | "exit" | "jcond">;
/** Atomic arithmetic. */
export type AtomicOp = "add" | "or" | "and" | "xor";

/** Bytes of a memory access. */
export const sizeBytes = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;
