import { describe, expect, it } from "vitest";
import type { Instruction } from "@skep/isa";
import { specOf, start } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const TEXT = `
import { array, i16, i32, i64, struct, u32, u64, xdp } from "@skep/bpf";
export const license = "GPL";
const Io = struct("Io", { a: i32, b: i32, c: u32, d: u32, e: i16, f: i16, r: array(i64, 4) });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return 99;
  io.r[0] = i64(io.a / io.b);
  io.r[1] = i64(io.e) * i64(io.f);
  io.r[2] = io.a < io.b ? 1n : 2n;
  io.r[3] = io.c < io.d ? 3n : 4n;
  let n: u32 = 0;
  for (let i = 0; i < (io.c & 15); i++) if (io.c > n) n += 2;
  return n;
});`;

const CLASS = 7;
const [JMP, JMP32, ALU, ALU64, LDX] = [5, 6, 4, 7, 1];
/** JLT, JLE, JSLT, JSLE. */
const LESS = [0xa0, 0xb0, 0xc0, 0xd0];

const isJmp32 = ({ opcode }: Instruction): boolean => (opcode & CLASS) === JMP32;
const isLess = ({ opcode }: Instruction): boolean =>
  [JMP, JMP32].includes(opcode & CLASS) && LESS.includes(opcode & 0xf0);
/** Moves and loads with sign, signed division: those that use `offset` or the mode MEMSX. */
const isSigned = ({ opcode, offset }: Instruction): boolean =>
  ([ALU, ALU64].includes(opcode & CLASS) && offset !== 0) || ((opcode & CLASS) === LDX && (opcode & 0xe0) === 0x80);

function packet(): Uint8Array {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  view.setInt32(0, -17, true);
  view.setInt32(4, 5, true);
  view.setUint32(8, 9, true);
  view.setUint32(12, 0x8000_0000, true);
  view.setInt16(16, 7, true);
  view.setInt16(18, -3, true);
  return data;
}

describe("instruction sets", () => {
  const of = (cpu: 1 | 2 | 3 | 4): readonly Instruction[] =>
    specOf(TEXT, {}, { cpu }).programs["main"]?.instructions ?? [];

  it("1 has neither less-than jumps nor jumps of 32 bits", () => {
    expect(of(1).some(isLess)).toBe(false);
    expect(of(1).some(isJmp32)).toBe(false);
  });

  it("2 has less-than jumps", () => {
    expect(of(2).some(isLess)).toBe(true);
    expect(of(2).some(isJmp32)).toBe(false);
  });

  it("3 has jumps of 32 bits, and nothing of 4", () => {
    expect(of(3).some(isJmp32)).toBe(true);
    for (const cpu of [1, 2, 3] as const) expect(of(cpu).filter(isSigned)).toEqual([]);
  });

  it("4 divides, moves and loads with sign", () => {
    expect(of(4).some(isSigned)).toBe(true);
    expect(of(4).length).toBeLessThan(of(3).length);
  });

  it.skipIf(!canUseBpf()).each([1, 2, 3, 4] as const)("%i loads and gives the same", (cpu) => {
    const running = start(TEXT, { compile: { cpu } });
    try {
      const { returned, data } = running.run(packet());
      const view = new DataView(data.buffer, data.byteOffset);
      expect(returned).toBe(10);
      expect([0, 1, 2, 3].map((i) => view.getBigInt64(24 + i * 8, true))).toEqual([-3n, -21n, 1n, 3n]);
    } finally {
      running.close();
    }
  });
});
