// Passes that are there for the verifier alone: counters in memory that a call gets, and sums of one value that are more than it links.
import { testPasses, type Case } from "./passes-harness.ts";

/** A loop that counts at `at` of an object of 16 bytes; `inside` is what else it does. */
const COUNTED = (inside: string, at = 5): string => `
  %3: i32 = const 0
  %4: i32 = const 1
  %5: i32 = const 20
  %8: ptr = stack 16 align 8
  store.u32 %8, %3 +${at} stack align 1
  jump b1
  b1:
  ${inside}
  %6: i32 = load.u32 %8 +${at} stack align 1
  %7: i32 = add %6, %4
  store.u32 %8, %7 +${at} stack align 1
  branch.ult %7, %5 b1, b2
  b2:
  return %7`;

const CALL = (helper: number, args: string): string => `%9: i64 = helper ${helper}(${args})`;

const SUMS = (count: number): string => `
  ${Array.from({ length: count }, (_, at) => `%${10 + at}: i64 = const ${at + 1}\n%${30 + at}: i64 = add %1, %${10 + at}`).join("\n")}
  branch.ult %1, %10 b1, b2
  b1:
  ${Array.from({ length: count }, (_, at) => `%${50 + at}: ptr = ptradd %2, %${30 + at}\nstore.u8 %${50 + at}, %0 +0 map align 1`).join("\n")}
  return %0
  b2:
  return %0`;

const CASES: readonly Case[] = [
  {
    pass: "shadow",
    name: "what a loop counts in memory that a call reads is kept in a variable, and stored",
    before: COUNTED(CALL(1, "%2, %8")),
    has: [/local\.get/, /store\.u32 %8, %7 \+5/, /%6: i32 = binary|%6: i32 = or/],
    lacks: [/%6: i32 = load/],
  },
  {
    pass: "shadow",
    name: "it is read anew after a call that may write it",
    before: COUNTED(CALL(26, "%2, %3, %8, %5")),
    has: [/helper 26[^\n]*\n\s+%\d+: i32 = load\.u32 %8 \+5/],
  },
  {
    pass: "shadow",
    name: "not after one that writes beside it",
    before: COUNTED(
      `%11: i64 = const 12\n%10: ptr = ptradd %8, %11\n%12: i32 = const 4\n${CALL(26, "%2, %3, %10, %12")}`,
    ),
    lacks: [/load\.u32 %8/],
  },
  {
    pass: "shadow",
    name: "nor where another access covers a part of it",
    before: COUNTED(`${CALL(1, "%2, %8")}\nstore.u8 %8, %3 +6 stack align 1`),
  },
  {
    pass: "shadow",
    name: "memory that no call gets is left to promotion",
    before: COUNTED("store.u32 %2, %3 +0 map align 4"),
  },
  {
    pass: "shadow",
    name: "memory whose address is kept is left",
    before: COUNTED(`store.u64 %2, %8 +0 map align 8\n${CALL(1, "%2, %8")}`),
  },
  { pass: "sink", name: "five sums of one value stay: the verifier links them", before: SUMS(5) },
  {
    pass: "sink",
    name: "of more each is made behind the check",
    before: SUMS(7),
    has: [/b1:\n\s+%30: i64 = add %1, %10\n\s+%50: ptr = ptradd %2, %30/, /%36: i64 = add %1, %16\n\s+%56: ptr/],
  },
];

testPasses("passes for the verifier", CASES);
