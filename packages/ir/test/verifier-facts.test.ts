// What optimisation leaves because the kernel's verifier must see it: each beside what it does where nothing is lost.
import { describe, expect, it } from "vitest";
import { legalize, targetOf } from "../src/codegen/legalize.ts";
import { ALU32, MOV, X } from "../src/codegen/opcodes.ts";
import { selectFunction } from "../src/codegen/select.ts";
import type { MBlock, MInst } from "../src/codegen/mir.ts";
import { read, testPasses, type Case } from "./passes-harness.ts";

/** %3 is bounded by a branch, %9 is what is made of it and the index. */
const CHECKED = (made: string, index: string): string => `
  ${made}
  %6: i32 = const 8
  branch.ult %3, %6 b1, b2
  b1:
  ${index}
  %10: ptr = ptradd %2, %9
  %11: i32 = load.u8 %10 +0 map align 1
  return %11
  b2:
  return %6`;

/** The same without the branch. */
const FREE = (made: string, index: string): string => `
  ${made}
  ${index}
  %10: ptr = ptradd %2, %9
  %11: i32 = load.u8 %10 +0 map align 1
  return %11`;

const CASES: readonly Case[] = [
  {
    pass: "simplify",
    name: "the extension of a checked extension stays a copy of it",
    before: CHECKED("%3: i32 = ext.u8 %0", "%9: i64 = ext.u32 %3"),
  },
  {
    pass: "simplify",
    name: "that of one that nothing checks is one extension",
    before: FREE("%3: i32 = ext.u8 %0", "%9: i64 = ext.u32 %3"),
    has: [/%9: i64 = ext\.u8 %0/],
  },
  {
    pass: "simplify",
    name: "a part of a checked value is made of that value",
    before: CHECKED("%3: i32 = ext.u16 %0", "%8: i32 = ext.u8 %3\n%9: i64 = ext.u32 %8"),
    has: [/= ext\.u8 %3/],
    lacks: [/= ext\.u8 %0/],
  },
  {
    pass: "simplify",
    name: "the signed extension of a checked value, too",
    before: CHECKED("%3: i32 = ext.s8 %0", "%9: i64 = ext.s32 %3"),
  },
  {
    pass: "simplify",
    name: "a sum with a checked sum is not one with what that was made of, in 32 bits either",
    before: CHECKED("%4: i32 = const 5\n%3: i32 = add %0, %4", "%8: i32 = add %3, %4\n%9: i64 = ext.u32 %8"),
  },
  {
    pass: "simplify",
    name: "constants of a sum that nothing checks are put together",
    before: FREE(
      "%4: i32 = const 5\n%3: i32 = add %0, %4",
      "%8: i32 = add %3, %4\nstore.u32 %2, %3 +0 map align 4\n%9: i64 = ext.u32 %8",
    ),
    has: [/%8: i32 = add %0, %\d+/],
  },
  {
    pass: "simplify",
    name: "the shift of a checked shift is made of it",
    before: CHECKED("%4: i32 = const 3\n%3: i32 = lshr %0, %4", "%8: i32 = lshr %3, %4\n%9: i64 = ext.u32 %8"),
  },
  {
    pass: "simplify",
    name: "the rest of a checked, inverted value is made of it",
    before: CHECKED(
      "%4: i32 = const 21\n%5: i32 = const 1\n%3: i32 = xor %0, %4",
      "%8: i32 = xor %3, %5\n%9: i64 = ext.u32 %8",
    ),
  },
  {
    pass: "simplify",
    name: "a negated difference that is checked is negated",
    before: CHECKED("%4: i32 = trunc %1\n%3: i32 = sub %0, %4", "%8: i32 = neg %3\n%9: i64 = ext.u32 %8"),
  },
  {
    pass: "simplify",
    name: "else the difference is turned round",
    before: FREE("%4: i32 = trunc %1\n%3: i32 = sub %0, %4", "%8: i32 = neg %3\n%9: i64 = ext.u32 %8"),
    has: [/%8: i32 = sub %4, %0/],
  },
  {
    pass: "simplify",
    name: "a test of swapped bytes that are an index, too, stays on them",
    before: `
      %3: i32 = hton16 %0
      %6: i32 = const 5
      branch.eq %3, %6 b1, b2
      b1:
      %9: i64 = ext.u32 %3
      %10: ptr = ptradd %2, %9
      %11: i32 = load.u8 %10 +0 map align 1
      return %11
      b2:
      return %6`,
  },
  {
    pass: "simplify",
    name: "one of bytes that are only tested is a test of the bytes as they are",
    before: `
      %3: i32 = hton16 %0
      %6: i32 = const 5
      branch.eq %3, %6 b1, b2
      b1:
      return %0
      b2:
      return %6`,
    has: [/const 1280/],
  },
  {
    pass: "numbering",
    name: "an index scaled behind its check is not the one that was scaled before it",
    before: `
      %3: i64 = const 2
      %4: i64 = ext.u32 %0
      %5: i64 = shl %4, %3
      store.u64 %2, %5 +0 map align 8
      %6: i64 = const 8
      branch.ult %4, %6 b1, b2
      b1:
      %8: i64 = shl %4, %3
      %9: ptr = ptradd %2, %8
      %10: i32 = load.u32 %9 +0 map align 4
      return %10
      b2:
      return %0`,
  },
  {
    pass: "numbering",
    name: "it is where the check is of another value",
    before: `
      %3: i64 = const 2
      %4: i64 = ext.u32 %0
      %5: i64 = shl %4, %3
      store.u64 %2, %5 +0 map align 8
      branch.ult %1, %3 b1, b2
      b1:
      %8: i64 = shl %4, %3
      %9: ptr = ptradd %2, %8
      %10: i32 = load.u32 %9 +0 map align 4
      return %10
      b2:
      return %0`,
    has: [/ptradd %2, %5/],
  },
  {
    pass: "numbering",
    name: "nor do checks hold back what is no index",
    before: `
      %3: i64 = const 2
      %4: i64 = shl %1, %3
      store.u64 %2, %4 +0 map align 8
      branch.ult %1, %3 b1, b2
      b1:
      %5: i64 = shl %1, %3
      store.u64 %2, %5 +8 map align 8
      return %0
      b2:
      return %0`,
    has: [/store\.u64 %2, %4 \+8/],
  },
  {
    pass: "numbering",
    name: "what is computed anew serves what comes after the same check",
    before: `
      %3: i64 = const 2
      %4: i64 = ext.u32 %0
      %5: i64 = shl %4, %3
      store.u64 %2, %5 +0 map align 8
      %6: i64 = const 8
      branch.ult %4, %6 b1, b2
      b1:
      %8: i64 = shl %4, %3
      %9: ptr = ptradd %2, %8
      %10: i32 = load.u32 %9 +0 map align 4
      %11: i64 = shl %4, %3
      %12: ptr = ptradd %2, %11
      store.u32 %12, %10 +4 map align 4
      return %10
      b2:
      return %0`,
    has: [/store\.u32 %9, %10 \+4/],
  },
];

testPasses("facts of the verifier in passes", CASES);

/** What is selected for the function's text. */
function select(text: string): MBlock[] {
  const fn = read(text);
  const target = targetOf({});
  legalize(fn, target);
  const { code, diagnostics } = selectFunction(fn, target);
  expect(diagnostics).toEqual([]);
  return code.blocks;
}

const isMove32 = (inst: MInst | undefined): boolean => inst?.kind === "mov" && inst.opcode === (ALU32 | MOV | X);

/** Moves of 32 bits among what is selected, but for parameters. */
const moves = (text: string): number =>
  select(text)
    .flatMap(({ insts }) => insts)
    .filter((inst) => isMove32(inst) && inst.a > 10).length;

/** The condition of the first branch: JSET is 0x40. */
function condition(blocks: readonly MBlock[], at = 0): number | undefined {
  const branches = blocks.flatMap(({ terminator }) => (terminator.kind === "branch" ? [terminator.condition] : []));
  return branches[at];
}

const JSET = 0x40;

describe("facts of the verifier in selection", () => {
  const extended = (made: string): string => `
    %3: i32 = trunc %1
    %4: i32 = const 7
    ${made}
    %6: i64 = ext.u32 %5
    store.u64 %2, %6 +0 map align 8
    return %4`;
  const plain = (made: string): string => `
    %3: i32 = trunc %1
    %4: i32 = const 7
    ${made}
    store.u32 %2, %5 +0 map align 4
    return %4`;

  it.each([
    "%5: i32 = udiv %0, %3",
    "%5: i32 = umod %0, %3",
    "%5: i32 = udiv %0, %4",
    "%5: i32 = shl %0, %3",
    "%5: i32 = lshr %0, %3",
    "%5: i32 = ashr %0, %3",
    "%5: i32 = neg %0",
  ])("%s: the verifier loses its width, an extension is a move", (made) => {
    expect(moves(extended(made))).toBe(1);
    expect(moves(plain(made))).toBe(0);
  });

  it.each(["%5: i32 = add %0, %3", "%5: i32 = lshr %0, %4", "%5: i32 = and %0, %3"])(
    "%s keeps its width: an extension is nothing",
    (made) => {
      expect(moves(extended(made))).toBe(0);
    },
  );

  it("a quotient that comes through a phi, too", () => {
    const text = `
      %3: i32 = trunc %1
      branch.eq %0, %3 b1, b2
      b1:
      %4: i32 = udiv %0, %3
      jump b3
      b2:
      jump b3
      b3:
      %5: i32 = phi [b1 %4] [b2 %0]
      %6: i64 = ext.u32 %5
      store.u64 %2, %6 +0 map align 8
      return %3`;
    const quotients = select(text).map(({ insts }) => {
      const at = insts.findIndex((inst) => inst.kind === "alu" && (inst.opcode & 0xf0) === 0x30);
      return at >= 0 && isMove32(insts[at + 1]);
    });
    expect(quotients).toContain(true);
  });

  const index = (sum: string): string => `
    %3: i64 = const 8
    %4: i64 = const 2000000000
    %5: i64 = const 20
    ${sum}
    branch.ult %6, %3 b1, b2
    b1:
    %7: ptr = ptradd %2, %6
    %8: i32 = load.u8 %7 +0 map align 1
    return %8
    b2:
    return %0`;

  it("an index far from what it was made of is moved: the verifier refuses its distance", () => {
    expect(moves(index("%6: i64 = add %1, %4"))).toBe(1);
    expect(moves(index("%9: i64 = load.u64 %2 +0 data align 8\n%6: i64 = add %1, %9"))).toBe(1);
  });

  it("one that is near is not, nor one of what is never known", () => {
    expect(moves(index("%6: i64 = add %1, %5"))).toBe(0);
    expect(
      moves(
        index("%9: i64 = load.u64 %2 +0 map align 8\n%10: i64 = load.u64 %2 +8 packet align 8\n%6: i64 = add %10, %9"),
      ),
    ).toBe(0);
  });

  const loop = (tested: string): string => `
    %3: i32 = const 3
    %4: i32 = const 0
    %5: i32 = const 1
    %6: i32 = and %0, %3
    jump b1
    b1:
    %7: i32 = phi [b0 %6] [b4 %12]
    ${tested}
    %9: i32 = and %8, %3
    branch.eq %9, %4 b2, b3
    b2:
    store.u32 %2, %3 +0 map align 4
    jump b4
    b3:
    jump b4
    b4:
    %12: i32 = sub %7, %5
    branch.ne %12, %4 b1, b5
    b5:
    return %4`;

  it("bits of a loop's counter are not tested in place", () => {
    expect(condition(select(loop("%8: i32 = add %7, %5")))).not.toBe(JSET);
    expect(condition(select(loop("%8: i32 = sub %7, %3")))).not.toBe(JSET);
  });

  it("those of what is loaded there are", () => {
    expect(condition(select(loop("%8: i32 = load.u32 %2 +4 map align 4")))).toBe(JSET);
  });

  it("what a loop begins with is not tested in place before it either", () => {
    const text = (tested: string): string => `
      %3: i32 = const 3
      %4: i32 = const 0
      %5: i32 = const 1
      %9: i32 = and ${tested}, %3
      branch.eq %9, %4 b1, b2
      b1:
      return %4
      b2:
      %7: i32 = phi [b0 %0] [b2 %12]
      %12: i32 = sub %7, %5
      branch.ne %12, %4 b2, b3
      b3:
      return %4`;
    expect(condition(select(text("%0")))).not.toBe(JSET);
    expect(condition(select(text("%0").replace("phi [b0 %0]", "phi [b0 %3]")))).toBe(JSET);
  });
});
