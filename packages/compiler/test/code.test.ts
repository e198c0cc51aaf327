// What instructions the compiler makes, where clang makes more or the machine is slow: counted, without a kernel.
import { describe, expect, it } from "vitest";
import type { Instruction } from "@skep/isa";
import { specOf } from "./harness.ts";

/** Code of the only program around the body, in a packet with `io`. */
function code(body: string, top = ""): readonly Instruction[] {
  const spec = specOf(`
import { array, be16, be32, bits, hash, i32, struct, u16, u32, u64, u8, xdp } from "@skep/bpf";
const Odd = struct("Odd", { a: u8, h: u16, w: u32, d: u64, p: be16, q: be32 }, { packed: true });
const Mac = struct("Mac", { to: array(u8, 6), from: array(u8, 6) });
const Words = struct("Words", { w: array(u32, 5), d: u64 });
${top}
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Odd, 0);
  const mac = ctx.header(Mac, 0);
  const words = ctx.header(Words, 0);
  if (!io || !mac || !words) return 0;
  ${body}
});`);
  return spec.programs["main"]?.instructions ?? [];
}

const count = (list: readonly Instruction[], accept: (opcode: number) => boolean): number =>
  list.filter(({ opcode }) => accept(opcode)).length;
/** The two loads of the packet's ends apart. */
const loads = (list: readonly Instruction[]): number => count(list, (opcode) => (opcode & 7) === 1) - 2;
const stores = (list: readonly Instruction[]): number =>
  count(list, (opcode) => (opcode & 7) === 2 || (opcode & 7) === 3);
const isAlu = (opcode: number, operation: number): boolean =>
  ((opcode & 7) === 4 || (opcode & 7) === 7) && (opcode & 0xf0) === operation;
const [DIV, MOD, END, MUL, CALL, LDDW] = [0x30, 0x90, 0xd0, 0x20, 0x85, 0x18];
const branches = (list: readonly Instruction[]): number =>
  count(
    list,
    (opcode) =>
      ((opcode & 7) === 5 || (opcode & 7) === 6) && (opcode & 0xf0) > 0 && (opcode & 0xf0) !== 0x80 && opcode !== 0x95,
  );

describe("code", () => {
  it("loads what is not aligned at once, in packets", () => {
    expect(loads(code("return io.w;"))).toBe(1);
    expect(loads(code("return io.h;"))).toBe(1);
    expect(loads(code("return u32(io.d >> 40n);"))).toBe(1);
  });

  it("copies six bytes as four and two", () => {
    const list = code("for (let i = 0; i < 6; i++) mac.to[i] = mac.from[i]!; return 1;");
    expect(loads(list)).toBeLessThanOrEqual(2);
    expect(stores(list)).toBeLessThanOrEqual(2);
  });

  it("clears by eight bytes", () => {
    expect(stores(code("for (let i = 0; i < 4; i++) words.w[i] = 0; return 1;"))).toBeLessThanOrEqual(2);
  });

  it("compares swapped fields with a swapped constant", () => {
    const list = code("return io.p === 0x0800 ? 1 : 2;");
    expect(count(list, (opcode) => isAlu(opcode, END))).toBe(0);
    expect(list.some(({ imm }) => imm === 0x0008)).toBe(true);
    expect(count(code("return io.q === 0x0a000001 ? 1 : 2;"), (opcode) => isAlu(opcode, END))).toBe(0);
  });

  it("swaps what is used as a number, and no twice-swapped field", () => {
    expect(count(code("return io.q >>> 8;"), (opcode) => isAlu(opcode, END))).toBe(1);
    expect(count(code("const q = io.q; io.q = q; return 1;"), (opcode) => isAlu(opcode, END))).toBe(0);
  });

  it("multiplies instead of dividing by a constant, and divides by what is none", () => {
    const constant = code("return io.w / 10;");
    expect(count(constant, (opcode) => isAlu(opcode, DIV))).toBe(0);
    expect(count(constant, (opcode) => isAlu(opcode, MUL))).toBe(1);
    expect(count(code("return io.w % 1000;"), (opcode) => isAlu(opcode, MOD))).toBe(0);
    expect(count(code("return io.w / io.h;"), (opcode) => isAlu(opcode, DIV))).toBe(1);
    expect(count(code("return u32(io.d / 1000n);"), (opcode) => isAlu(opcode, DIV))).toBe(1);
  });

  it("shifts and masks by powers of two", () => {
    const list = code("return io.w / 8 + (io.w % 16);");
    expect(count(list, (opcode) => isAlu(opcode, DIV) || isAlu(opcode, MOD) || isAlu(opcode, MUL))).toBe(0);
  });

  it("folds quotients of constants: the verifier knows nothing of one", () => {
    expect(code("return 100 / 7;").some(({ imm }) => imm === 14)).toBe(true);
  });

  it("makes a constant of 32 bits in one slot, a larger one in two", () => {
    expect(count(code("return io.w ^ 0xdeadbeef;"), (opcode) => opcode === LDDW)).toBe(0);
    expect(count(code("io.d = 0x0123456789abcdefn; return 1;"), (opcode) => opcode === LDDW)).toBe(1);
  });

  it("selects without a mask that the verifier would fork on", () => {
    const list = code("return (io.w & 1) !== 0 ? 12 : 0;");
    // No negation, no arithmetic shift.
    expect(count(list, (opcode) => isAlu(opcode, 0x80) || isAlu(opcode, 0xc0))).toBe(0);
  });

  it("shifts the bit that chooses", () => {
    for (const choice of ["(io.w & 4) !== 0 ? 32 : 0", "(io.w & 4) === 0 ? 32 : 0", "(io.w & 64) !== 0 ? 3 : 2"]) {
      expect(branches(code(`return ${choice};`)), choice).toBe(1);
    }
    expect(branches(code("let n = u32(io.h); if ((io.w & 8) !== 0) n |= 2; return n;"))).toBe(1);
  });

  it("reads a bit field by one load", () => {
    const top = 'const Bits = struct("Bits", { low: bits(u16, 3), high: bits(u16, 13) });';
    const list = code("const b = ctx.header(Bits, 0); return b ? b.high : 1;", top);
    expect(loads(list)).toBe(1);
  });

  it("tests the packet's length once for several headers", () => {
    expect(branches(code("return io.w + mac.to[0]! + words.w[1]!;"))).toBe(1);
  });

  it("calls once for each map of a choice, so that each call has one map", () => {
    const top = ["one", "two"]
      .map((name) => `const ${name} = array("${name}", { value: u32, maxEntries: 2 });`)
      .join("\n");
    const list = code("const v = io.w > 3 ? one.get(1) : two.get(1); return v ?? 7;", top);
    expect(count(list, (opcode) => opcode === CALL)).toBe(2);
  });

  it("extends nothing that has 32 bits already", () => {
    // A move of 32 bits would be the extension.
    expect(count(code("io.d = u64(io.w) + 1n; return 1;"), (opcode) => opcode === 0xbc)).toBe(0);
  });

  it("drops functions that nothing calls, and what comes after an end", () => {
    const spec = specOf(`
import { subprogram, u32, xdp } from "@skep/bpf";
export const unused = subprogram((n: u32): u32 => n + 1);
export const main = xdp("main", (ctx) => { if (ctx.rxQueueIndex > 3) { return 1; } else { return 2; } });`);
    expect(Object.keys(spec.functions)).toEqual([]);
    expect(spec.programs["main"]?.instructions.filter(({ opcode }) => opcode === 0x95).length).toBeLessThanOrEqual(2);
  });

  it("has a line at the start of every function", () => {
    const spec = specOf(`
import { subprogram, u32, xdp } from "@skep/bpf";
const f = subprogram((n: u32): u32 => { let s = n; for (let i = 0; i < 9; i++) s = (s ^ i) * 3; return s; });
export const a = xdp("a", (ctx) => f(ctx.rxQueueIndex) & 1);
export const b = xdp("b", (ctx) => f(ctx.ingressIfindex) & 1);`);
    for (const each of [...Object.values(spec.programs), ...Object.values(spec.functions)]) {
      expect(each.lines?.[0]).toMatchObject({ at: 0 });
      const places = each.lines?.map(({ at }) => at) ?? [];
      expect(places).toEqual([...new Set(places)].sort((x, y) => x - y));
    }
    expect(Object.keys(spec.functions)).toEqual(["f"]);
  });
});
