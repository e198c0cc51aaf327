import { atomicImm, jmpBits } from "@skep/isa";
import { Trap } from "../error.ts";

export interface Word {
  readonly low: number;
  readonly high: number;
}

/** What an atomic operation stores. */
export function combine(op: number, old: Word, by: Word): Word {
  switch (op & ~atomicImm.fetch) {
    case atomicImm.add: {
      const sum = (old.low >>> 0) + (by.low >>> 0);
      return { low: sum | 0, high: (old.high + by.high + (sum > 0xffff_ffff ? 1 : 0)) | 0 };
    }
    case atomicImm.or:
      return { low: old.low | by.low, high: old.high | by.high };
    case atomicImm.and:
      return { low: old.low & by.low, high: old.high & by.high };
    case atomicImm.xor:
      return { low: old.low ^ by.low, high: old.high ^ by.high };
    default:
      if (op === atomicImm.xchg) return by;
      throw new Trap("opcode", `there is no atomic operation 0x${op.toString(16)}`);
  }
}

/** High words differ, or any for `jset`. */
export function compareHigh(op: number, { a, b, ah, bh }: { a: number; b: number; ah: number; bh: number }): boolean {
  return op === jmpBits.jset ? (a & b) !== 0 || (ah & bh) !== 0 : compareLow(op, ah, bh, false);
}

/** Compares words; as low words of equal high ones (`lowWord`) they are unsigned. */
export function compareLow(op: number, a: number, b: number, lowWord: boolean): boolean {
  switch (op) {
    case jmpBits.jeq:
      return a === b;
    case jmpBits.jne:
      return a !== b;
    case jmpBits.jset:
      return (a & b) !== 0;
    case jmpBits.jgt:
      return a >>> 0 > b >>> 0;
    case jmpBits.jge:
      return a >>> 0 >= b >>> 0;
    case jmpBits.jlt:
      return a >>> 0 < b >>> 0;
    case jmpBits.jle:
      return a >>> 0 <= b >>> 0;
    case jmpBits.jsgt:
      return lowWord ? a >>> 0 > b >>> 0 : a > b;
    case jmpBits.jsge:
      return lowWord ? a >>> 0 >= b >>> 0 : a >= b;
    case jmpBits.jslt:
      return lowWord ? a >>> 0 < b >>> 0 : a < b;
    case jmpBits.jsle:
      return lowWord ? a >>> 0 <= b >>> 0 : a <= b;
    default:
      throw new Trap("opcode", `there is no jump 0x${op.toString(16)}`);
  }
}
