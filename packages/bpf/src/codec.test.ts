import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { array, be16, be32, be64, bits, bool, i16, i32, i64, i8, struct, u16, u32, u64, u8, union } from "./index.ts";

const INTEGERS = [
  { type: u8, bits: 8, signed: false },
  { type: u16, bits: 16, signed: false },
  { type: u32, bits: 32, signed: false },
  { type: i8, bits: 8, signed: true },
  { type: i16, bits: 16, signed: true },
  { type: i32, bits: 32, signed: true },
  { type: be16, bits: 16, signed: false },
  { type: be32, bits: 32, signed: false },
] as const;

const WIDE = [
  { type: u64, signed: false },
  { type: i64, signed: true },
  { type: be64, signed: false },
] as const;

describe("integers", () => {
  for (const { type, bits, signed } of INTEGERS) {
    it(`${type.name} encodes and decodes every value`, () => {
      const min = signed ? -(2 ** (bits - 1)) : 0;
      const max = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
      fc.assert(
        fc.property(fc.integer({ min, max }), (value) => {
          expect(type.decode(type.encode(value))).toBe(value);
        }),
      );
      expect(() => type.encode(max + 1)).toThrow(RangeError);
      expect(() => type.encode(min - 1)).toThrow(RangeError);
    });
  }
  for (const { type, signed } of WIDE) {
    it(`${type.name} encodes and decodes every value`, () => {
      const min = signed ? -(1n << 63n) : 0n;
      const max = signed ? (1n << 63n) - 1n : (1n << 64n) - 1n;
      fc.assert(
        fc.property(fc.bigInt({ min, max }), (value) => {
          expect(type.decode(type.encode(value))).toBe(value);
        }),
      );
      expect(() => type.encode(max + 1n)).toThrow(RangeError);
    });
  }

  it("wraps when called", () => {
    expect(u8(257)).toBe(1);
    expect(i8(200)).toBe(-56);
    expect(u16(-1n)).toBe(65535);
    expect(u64(-1)).toBe(0xffff_ffff_ffff_ffffn);
    expect(i64(1n << 63n)).toBe(-(1n << 63n));
  });

  it("has network order in memory for be types, and the machine's for others", () => {
    expect([...be32.encode(0x01020304)]).toEqual([1, 2, 3, 4]);
    expect([...u32.encode(0x01020304)]).toEqual([4, 3, 2, 1]);
    expect([...be16.encode(80)]).toEqual([0, 80]);
  });
});

describe("structs", () => {
  it("lays fields out as C does", () => {
    const S = struct("S", { a: u8, b: u32, c: u16, d: u64, e: array(u8, 3) });
    expect([S.size, S.align]).toEqual([32, 8]);
    expect([...S.encode({ a: 1, b: 2, c: 3, d: 4n, e: [5, 6, 7] })]).toEqual([
      1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 6, 7, 0, 0, 0, 0, 0,
    ]);
    expect(struct("P", { a: u8, b: u32, c: u16 }, { packed: true }).size).toBe(7);
  });

  it("puts bit fields at the low end first and does not cross a unit", () => {
    const B = struct("B", { low: bits(u8, 4), high: bits(u8, 4), a: bits(u16, 12), b: bits(u16, 8), c: u8 });
    expect(B.size).toBe(6);
    expect([...B.encode({ low: 5, high: 4, a: 0xabc, b: 0xff, c: 9 })]).toEqual([0x45, 0, 0xbc, 0x0a, 0xff, 9]);
    expect(() => B.encode({ low: 16, high: 0, a: 0, b: 0, c: 0 })).toThrow(/does not fit low \(4 bits\)/);
  });

  it("refuses what is missing or too short", () => {
    const S = struct("S", { a: u8, b: u32 });
    expect(() => S.encode({ a: 1 } as never)).toThrow(/wants the field b/);
    expect(() => S.decode(new Uint8Array(7))).toThrow(/S has 8 bytes, got 7/);
    expect(() => struct("no name", {})).toThrow(TypeError);
  });

  it("gives every view of a union", () => {
    const U = union("U", { word: u32, bytes: array(u8, 4) });
    expect(U.decode(U.encode({ word: 0x01020304 } as never))).toEqual({ word: 0x01020304, bytes: [4, 3, 2, 1] });
  });

  it("takes back what it decodes, from any bytes", () => {
    const Inner = struct("Inner", { x: be16, y: u8 });
    const Outer = struct("Outer", {
      flag: bool,
      low: bits(u32, 5),
      mid: bits(u32, 20),
      inner: Inner,
      list: array(Inner, 3),
      id: be64,
      signed: i32,
    });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: Outer.size, maxLength: Outer.size }), (bytes) => {
        const value = Outer.decode(bytes);
        expect(Outer.decode(Outer.encode(value))).toEqual(value);
      }),
    );
  });
});
