/**
 * @module
 * Opcode bytes (RFC 9669 sections 4 and 5): class | source | operation.
 */
export const LDX = 0x01;
export const ST = 0x02;
export const STX = 0x03;
export const ALU32 = 0x04;
export const JMP = 0x05;
export const JMP32 = 0x06;
export const ALU64 = 0x07;

/** Source bit: register instead of immediate. */
export const X = 0x08;

export const MODE_MEM = 0x60;
export const MODE_MEMSX = 0x80;
export const MODE_ATOMIC = 0xc0;
export const SIZE = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const;

export const ADD = 0x00;
export const SUB = 0x10;
export const MUL = 0x20;
export const DIV = 0x30;
export const OR = 0x40;
export const AND = 0x50;
export const LSH = 0x60;
export const RSH = 0x70;
export const NEG = 0x80;
export const MOD = 0x90;
export const XOR = 0xa0;
export const MOV = 0xb0;
export const ARSH = 0xc0;

/** Swap the low 16, 32 or 64 bits to little or to big endian, zero the rest. */
export const TO_LE = 0xd4;
export const TO_BE = 0xdc;

export const JA = 0x00;
export const JEQ = 0x10;
export const JGT = 0x20;
export const JGE = 0x30;
export const JSET = 0x40;
export const JNE = 0x50;
export const JSGT = 0x60;
export const JSGE = 0x70;
export const CALL = 0x80;
export const EXIT = 0x90;
export const JLT = 0xa0;
export const JLE = 0xb0;
export const JSLT = 0xc0;
export const JSLE = 0xd0;

export const LDDW = 0x18;

export const ATOMIC = { add: 0x00, or: 0x40, and: 0x50, xor: 0xa0, xchg: 0xe0, cmpxchg: 0xf0 } as const;
export const FETCH = 0x01;

/** Source register of `call` and `lddw`. */
export const PSEUDO = { map: 1, data: 2, call: 1, function: 4, kfunc: 2, btfId: 3 } as const;
