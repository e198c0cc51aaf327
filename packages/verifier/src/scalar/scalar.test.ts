import { describe, expect, test } from "vitest";
import { aluBits, jmpBits } from "@skep/isa";
import { Random } from "../../test/random.ts";
import { UNKNOWN, constantWords } from "../register.ts";
import type { Reg } from "../register.ts";
import { arithmetic, signExtend } from "./arithmetic.ts";
import { sync, truncate } from "./bounds.ts";
import { branchTaken, refine, reverse } from "./compare.ts";
import * as bits from "./tnum.ts";

const M64 = (1n << 64n) - 1n;
const word = (value: bigint): readonly [number, number] => [
  Number(BigInt.asIntN(32, value)),
  Number(BigInt.asIntN(32, value >> 32n)),
];

/** Whether everything that is known of the register holds for the value. */
function allows(reg: Reg, value: bigint): boolean {
  const unsigned = BigInt.asUintN(64, value);
  const [low, high] = word(unsigned);
  const known = (low & ~reg.ml) === reg.vl && (high & ~reg.mh) === reg.vh;
  const u = Number(unsigned);
  const s = Number(BigInt.asIntN(64, value));
  const inRange = u >= reg.umin - 4096 * Number(u > 2 ** 53) && u <= reg.umax + 4096 * Number(u > 2 ** 53);
  const inSigned =
    s >= reg.smin - 4096 * Number(Math.abs(s) > 2 ** 53) && s <= reg.smax + 4096 * Number(Math.abs(s) > 2 ** 53);
  return (
    known &&
    inRange &&
    inSigned &&
    low >>> 0 >= reg.umin32 &&
    low >>> 0 <= reg.umax32 &&
    low >= reg.smin32 &&
    low <= reg.smax32
  );
}

const interesting = [
  0n,
  1n,
  2n,
  7n,
  8n,
  31n,
  63n,
  255n,
  0x7fffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  M64 >> 1n,
  1n << 63n,
  M64,
  M64 - 7n,
];

function someValue(random: Random): bigint {
  if (random.chance(40)) return random.pick(interesting);
  const size = BigInt(1 + random.below(64));
  let value = 0n;
  for (let i = 0; i < 4; i++) value = (value << 16n) | BigInt(random.below(65_536));
  return BigInt.asUintN(64, BigInt.asUintN(Number(size), value) * (random.chance(30) ? -1n : 1n));
}

/** A register that holds the value, and more or less of it known. */
function around(random: Random, value: bigint): Reg {
  const [low, high] = word(value);
  const reg = random.chance(15) ? constantWords(low, high).clone() : UNKNOWN.clone();
  if (random.chance(50)) {
    const [ml, mh] = word(random.chance(50) ? BigInt.asUintN(1 + random.below(64), M64) : someValue(random));
    bits.put(reg, low & ~ml, high & ~mh, ml, mh);
  }
  const u = Number(value);
  if (u < 2 ** 53) {
    if (random.chance(40)) reg.umin = Math.max(0, u - random.below(300));
    if (random.chance(40)) reg.umax = Math.min(reg.umax, u + random.below(300));
  }
  const s = Number(BigInt.asIntN(64, value));
  if (Math.abs(s) < 2 ** 52) {
    if (random.chance(40)) reg.smin = s - random.below(300);
    if (random.chance(40)) reg.smax = s + random.below(300);
  }
  sync(reg);
  return reg;
}

const operations: Readonly<Record<string, (a: bigint, b: bigint, width: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  lsh: (a, b, width) => a << (b & (width - 1n)),
  rsh: (a, b, width) => BigInt.asUintN(Number(width), a) >> (b & (width - 1n)),
  arsh: (a, b, width) => BigInt.asIntN(Number(width), a) >> (b & (width - 1n)),
};

describe("what is known of a number holds", () => {
  test.each(Object.keys(operations))("after %s", (name) => {
    const random = new Random(name.length * 77 + name.charCodeAt(0));
    const op = aluBits[name as keyof typeof aluBits];
    for (let i = 0; i < 6000; i++) {
      const wide = random.chance(50);
      const width = wide ? 64 : 32;
      const shifts = name.endsWith("sh");
      const a = someValue(random);
      const b = shifts ? BigInt(random.below(width)) : someValue(random);
      const dst = around(random, a);
      const src = shifts ? constantWords(Number(b), 0) : around(random, b);
      expect({ i, a, allowed: allows(dst, a) }).toEqual({ i, a, allowed: true });
      arithmetic(op, dst, src, wide);
      const result = BigInt.asUintN(width, operations[name]?.(a, b, BigInt(width)) ?? 0n);
      expect({ i, wide, a, b, result, allowed: allows(dst, result) }).toEqual({ i, wide, a, b, result, allowed: true });
    }
  });

  test("after a comparison, on the side that is taken", () => {
    const random = new Random(4711);
    const ops = [
      jmpBits.jeq,
      jmpBits.jne,
      jmpBits.jgt,
      jmpBits.jge,
      jmpBits.jlt,
      jmpBits.jle,
      jmpBits.jset,
      jmpBits.jsgt,
      jmpBits.jsge,
      jmpBits.jslt,
      jmpBits.jsle,
    ];
    for (let i = 0; i < 20_000; i++) {
      const op = random.pick(ops);
      const wide = random.chance(50);
      const a = someValue(random);
      const b = random.chance(25) ? a : someValue(random);
      const left = around(random, a);
      const right = around(random, b);
      const holds = compare(op, a, b, wide ? 64 : 32);
      const taken = branchTaken(op, left, right, wide);
      if (taken !== "unknown")
        expect({ i, op, a, b, wide, taken }).toEqual({ i, op, a, b, wide, taken: holds ? "always" : "never" });
      else {
        refine(holds ? op : reverse(op), left, right, wide);
        expect({ i, op, a, b, wide, holds, left: allows(left, a), right: allows(right, b) }).toEqual({
          i,
          op,
          a,
          b,
          wide,
          holds,
          left: true,
          right: true,
        });
      }
    }
  });

  test("after truncation and sign extension", () => {
    const random = new Random(99);
    for (let i = 0; i < 5000; i++) {
      const value = someValue(random);
      const cut = around(random, value);
      const size = random.pick([1, 2, 4]);
      const extended = cut.clone();
      truncate(cut, size);
      expect({ i, value, size, ok: allows(cut, BigInt.asUintN(size * 8, value)) }).toEqual({
        i,
        value,
        size,
        ok: true,
      });
      signExtend(extended, size * 8, true);
      expect({ i, value, size, ok: allows(extended, BigInt.asIntN(size * 8, value)) }).toEqual({
        i,
        value,
        size,
        ok: true,
      });
    }
  });
});

function compare(op: number, a: bigint, b: bigint, width: number): boolean {
  const [ua, ub] = [BigInt.asUintN(width, a), BigInt.asUintN(width, b)];
  const [sa, sb] = [BigInt.asIntN(width, a), BigInt.asIntN(width, b)];
  switch (op) {
    case jmpBits.jeq:
      return ua === ub;
    case jmpBits.jne:
      return ua !== ub;
    case jmpBits.jgt:
      return ua > ub;
    case jmpBits.jge:
      return ua >= ub;
    case jmpBits.jlt:
      return ua < ub;
    case jmpBits.jle:
      return ua <= ub;
    case jmpBits.jset:
      return (ua & ub) !== 0n;
    case jmpBits.jsgt:
      return sa > sb;
    case jmpBits.jsge:
      return sa >= sb;
    case jmpBits.jslt:
      return sa < sb;
    default:
      return sa <= sb;
  }
}

/** All values of a tracked number of four bits. */
function values(a: bits.Tnum): number[] {
  return Array.from({ length: 16 }, (_, value) => value).filter((value) => (value & ~a.ml) === a.vl);
}

describe("tracked numbers of four bits, all of them", () => {
  const all: bits.Tnum[] = [];
  for (let mask = 0; mask < 16; mask++)
    for (let value = 0; value < 16; value++) if ((value & mask) === 0) all.push(bits.tnum(value, 0, mask, 0));
  const cases: readonly (readonly [
    string,
    (out: bits.Tnum, a: bits.Tnum, b: bits.Tnum) => void,
    (a: number, b: number) => number,
  ])[] = [
    ["add", bits.add, (a, b) => a + b],
    ["sub", bits.sub, (a, b) => a - b],
    ["mul", bits.mul, (a, b) => a * b],
    ["and", bits.and, (a, b) => a & b],
    ["or", bits.or, (a, b) => a | b],
    ["xor", bits.xor, (a, b) => a ^ b],
  ];
  test.each(cases)("%s holds every result", (_, operation, exact) => {
    const out = bits.tnum();
    for (const a of all) {
      for (const b of all) {
        operation(out, a, b);
        const missing = values(a).some((x) => values(b).some((y) => (exact(x, y) & ~out.ml) !== out.vl));
        if (missing) expect({ a, b, out: { ...out } }).toBeNull();
      }
    }
  });

  test("bitwise operations are exact", () => {
    const out = bits.tnum();
    for (const a of all) {
      for (const b of all) {
        bits.and(out, a, b);
        const results = new Set(values(a).flatMap((x) => values(b).map((y) => x & y)));
        expect(values(out).every((value) => results.has(value))).toBe(true);
      }
    }
  });

  test("a range holds its ends and what is between", () => {
    const out = bits.tnum();
    for (let min = 0; min < 16; min++) {
      for (let max = min; max < 16; max++) {
        bits.setRange(out, min, 0, max, 0);
        for (let value = min; value <= max; value++) expect((value & ~out.ml) === out.vl).toBe(true);
      }
    }
  });
});
