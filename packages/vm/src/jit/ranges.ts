/** @module Numbers as ranges: what arithmetic and comparisons say of an unsigned value that fits 31 bits. */
import { aluBits, jmpBits } from "@skep/isa";

/** Both ends are in it; 0 to 2^31 - 1. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

const LIMIT = 0x7fff_ffff;

/** Null where it does not fit 31 bits. */
function fitting(min: number, max: number): Range | null {
  return min >= 0 && max <= LIMIT && min <= max ? { min, max } : null;
}

/** The least number of ones that covers it. */
const ones = (value: number): number => (value === 0 ? 0 : 2 ** (32 - Math.clz32(value)) - 1);

/** `a` or `b` null: nothing is known of the operand. `wide`: 64 bits. */
export function combine(op: number, [a, b]: readonly [Range | null, Range | null], wide: boolean): Range | null {
  if (op === aluBits.and) {
    const max = Math.min(a?.max ?? Infinity, b?.max ?? Infinity);
    return fitting(0, max);
  }
  if (b === null) return null;
  // By zero the dividend is left.
  if (op === aluBits.mod) return fitting(0, Math.min(b.min > 0 ? b.max - 1 : Infinity, a?.max ?? Infinity));
  if (op === aluBits.rsh) return shiftedRight(a, b, wide);
  if (a === null) return null;
  switch (op) {
    case aluBits.add:
      return fitting(a.min + b.min, a.max + b.max);
    case aluBits.sub:
      return fitting(a.min - b.max, a.max - b.min);
    case aluBits.mul:
      return fitting(a.min * b.min, a.max * b.max);
    case aluBits.div:
      return b.min > 0 ? fitting(Math.floor(a.min / b.max), Math.floor(a.max / b.min)) : null;
    case aluBits.or:
    case aluBits.xor:
      return fitting(0, ones(a.max | b.max));
    case aluBits.lsh:
      return b.max < 31 ? fitting(a.min * 2 ** b.min, a.max * 2 ** b.max) : null;
    default:
      return null;
  }
}

function shiftedRight(a: Range | null, b: Range, wide: boolean): Range | null {
  if (b.min !== b.max || b.max >= (wide ? 64 : 32)) return null;
  if (a !== null) return fitting(Math.floor(a.min / 2 ** b.min), Math.floor(a.max / 2 ** b.max));
  return fitting(0, 2 ** ((wide ? 64 : 32) - b.min) - 1);
}

/** What an unsigned comparison with `b` says of the value where its jump is taken (or not); the known range where it says nothing. */
export function refine(op: number, isTaken: boolean, [a, b]: readonly [Range | null, Range]): Range | null {
  const at = (min: number, max: number): Range | null => {
    const [low, high] = [Math.max(min, a?.min ?? 0), Math.min(max, a?.max ?? LIMIT)];
    // Without an upper end nothing is known of a wide value.
    if (a === null && max === Infinity) return null;
    return low <= high ? fitting(low, high) : a;
  };
  switch (isTaken ? op : (opposite[op] ?? -1)) {
    case jmpBits.jeq:
      return at(b.min, b.max);
    case jmpBits.jlt:
      return b.max > 0 ? at(0, b.max - 1) : a;
    case jmpBits.jle:
      return at(0, b.max);
    case jmpBits.jgt:
      return at(b.min + 1, Infinity);
    case jmpBits.jge:
      return at(b.min, Infinity);
    default:
      return a;
  }
}

const opposite: Readonly<Record<number, number>> = {
  [jmpBits.jeq]: jmpBits.jne,
  [jmpBits.jne]: jmpBits.jeq,
  [jmpBits.jlt]: jmpBits.jge,
  [jmpBits.jge]: jmpBits.jlt,
  [jmpBits.jle]: jmpBits.jgt,
  [jmpBits.jgt]: jmpBits.jle,
};

const unsignedOf: Readonly<Record<number, number>> = {
  [jmpBits.jsgt]: jmpBits.jgt,
  [jmpBits.jsge]: jmpBits.jge,
  [jmpBits.jslt]: jmpBits.jlt,
  [jmpBits.jsle]: jmpBits.jle,
};

/** A signed comparison of values that fit 31 bits is the unsigned one. */
export function unsigned(op: number): number {
  return unsignedOf[op] ?? op;
}

const turnedOf: Readonly<Record<number, number>> = {
  [jmpBits.jlt]: jmpBits.jgt,
  [jmpBits.jgt]: jmpBits.jlt,
  [jmpBits.jle]: jmpBits.jge,
  [jmpBits.jge]: jmpBits.jle,
};

/** `a <op> b` said of b. */
export function turned(op: number): number {
  return turnedOf[op] ?? op;
}
