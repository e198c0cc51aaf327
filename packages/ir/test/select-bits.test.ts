// Choices by a bit between numbers that are a bit apart.
import { testPasses, type Case } from "./passes-harness.ts";

/** `(%0 & mask) != 0 ? yes : no` of the type. */
const CHOICE = (mask: number, yes: string, no: string, more = ""): string => `
  %3: i32 = const ${mask}
  %4: i32 = const 0
  %6: ${yes}
  %7: ${no}
  %5: i32 = and %0, %3
  branch.ne %5, %4 b1, b2
  b1:
  jump b3
  b2:
  jump b3
  b3:
  %8: ${yes.slice(0, 3)} = phi [b1 %6] [b2 %7]
  ${more}
  store.u32 %2, %4 +0 map align 4
  return %5`;

const STEP = (op: string, by: number): string => `
  %3: i32 = const 8
  %4: i32 = const 0
  %6: i32 = const ${by}
  %7: i32 = trunc %1
  %5: i32 = and %0, %3
  branch.eq %5, %4 b2, b1
  b1:
  %9: i32 = ${op} %7, %6
  jump b2
  b2:
  %8: i32 = phi [b0 %7] [b1 %9]
  return %8`;

const USE = "store.u32 %2, %8 +4 map align 4";
const CASES: readonly Case[] = [
  { name: "shifted up", before: CHOICE(4, "i32 = const 32", "i32 = const 0", USE), has: [/shl %5/], lacks: [/branch/] },
  {
    name: "shifted down",
    before: CHOICE(64, "i32 = const 2", "i32 = const 0", USE),
    has: [/lshr %5/],
    lacks: [/branch/],
  },
  {
    name: "the other way",
    before: CHOICE(4, "i32 = const 0", "i32 = const 32", USE),
    has: [/xor /],
    lacks: [/branch/],
  },
  {
    name: "on top of another number",
    before: CHOICE(1, "i32 = const 5", "i32 = const 4", USE),
    has: [/add %5/],
    lacks: [/branch/],
  },
  {
    name: "less than another",
    before: CHOICE(1, "i32 = const 15", "i32 = const 16", USE),
    has: [/sub %7, %5/],
    lacks: [/branch/],
  },
  {
    name: "in 64 bits beyond 32",
    before: CHOICE(4, "i64 = const 17179869184", "i64 = const 0", "store.u64 %2, %8 +8 map align 8"),
    has: [/i64 = ext\.u32 %5/, /i64 = shl/],
    lacks: [/branch/],
  },
  {
    name: "not where they are more than a bit apart",
    before: CHOICE(4, "i32 = const 33", "i32 = const 0", USE),
    has: [/branch/],
  },
  { name: "not by several bits", before: CHOICE(6, "i32 = const 32", "i32 = const 0", USE), has: [/branch/] },
  {
    name: "not where the number is a part of an address: a constant for each way is better",
    before: CHOICE(
      4,
      "i32 = const 32",
      "i32 = const 0",
      "%9: i64 = ext.u32 %8\n%10: ptr = ptradd %2, %9\nstore.u8 %10, %4 +0 map align 1",
    ),
    has: [/branch/],
  },
  { name: "a step that only a bit asks for", before: STEP("or", 2), has: [/or %7, %/], lacks: [/branch/] },
  { name: "a sum that only a bit asks for", before: STEP("add", 8), has: [/add %7, %5/], lacks: [/branch/] },
  { name: "not one of more than a bit", before: STEP("add", 12) },
].map((one) => ({ pass: "selectBits", ...one }));

testPasses("choices by a bit", CASES);
