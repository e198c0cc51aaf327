import { describe, expect, it } from "vitest";
import { parseFunctions, verifyModule } from "../src/index.ts";
import { arrayMap, dataMap, moduleOf } from "./module.ts";

/** A function around instructions. */
const fn = (...lines: string[]): string =>
  [
    "static function f(a: i32, b: i64, p: ptr): i32 {",
    "b0:",
    ...HEAD,
    ...lines.map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
const HEAD = ["  %0: i32 = param 0", "  %1: i64 = param 1", "  %2: ptr = param 2", "  %3: i32 = const 7"];

function complaints(text: string): string[] {
  const { functions, diagnostics } = parseFunctions(text);
  expect(diagnostics).toEqual([]);
  const module = moduleOf(functions, { maps: [arrayMap("m", 8, 4)], data: [dataMap(".data", new Uint8Array(8))] });
  return verifyModule(module).map((one) => one.message);
}

const OTHER = "static function g(x: i64): i64 {\nb0:\n  %0: i64 = param 0\n  return %0\n}\n";

/** What is wrong, the text, and a part of the complaint. */
const WRONG: readonly (readonly [string, string, string])[] = [
  ["a block without an end", fn(), "has no terminator"],
  ["a way to the entry", fn("jump b0"), "goes to the entry"],
  ["operands of two types", fn("%4: i32 = add %0, %1", "return %4"), "operand 1 is i64, not i32"],
  ["an operand too few", fn("%4: i32 = add %0", "return %4"), "1 operands, not 2"],
  ["a compare of two types", fn("%4: i32 = cmp.eq %0, %1", "return %4"), "operand 1 is i64"],
  ["a compare that gives i64", fn("%4: i64 = cmp.eq %1, %1", "return %0"), "result is i64, not i32"],
  ["arithmetic on pointers", fn("%4: ptr = add %2, %2", "return %0"), "result is ptr, not int"],
  ["a pointer moved by i32", fn("%4: ptr = ptradd %2, %0", "return %0"), "operand 1 is i32, not i64"],
  ["a truncation of i32", fn("%4: i32 = trunc %0", "return %4"), "operand 0 is i32, not i64"],
  ["a condition of 64 bits", fn("%4: i32 = select %1, %0, %3", "return %4"), "operand 0 is i64, not i32"],
  ["a constant that is too wide", fn("%4: i32 = const 4294967296", "return %4"), "not a value of 32 bits"],
  ["a byte swap wider than its value", fn("%4: i32 = bswap 64 %0", "return %4"), "64 bits of 32"],
  ["eight bytes into i32", fn("%4: i32 = load.u64 %2 +0 map align 8", "return %4"), "8 bytes into 32 bits"],
  ["a pointer of a byte", fn("%4: ptr = load.u8 %2 +0 ctx align 1", "return %0"), "a pointer of less than 4 bytes"],
  ["a store through an integer", fn("store.u32 %1, %0 +0 map align 4", "return %0"), "operand 0 is i64, not ptr"],
  ["eight bytes of i32", fn("store.u64 %2, %0 +0 map align 8", "return %0"), "8 bytes of an i32"],
  ["an atomic of the wrong width", fn("atomic.add.u64 %2, %0 +0 map", "return %0"), "operand 1 is i32, not i64"],
  ["no room on the stack", fn("%4: ptr = stack 0 align 8", "return %0"), "size or alignment"],
  ["six arguments", fn("%4: i64 = helper 5(%0, %0, %0, %0, %0, %0)", "return %0"), "the kernel passes 5"],
  ["a value used before it is there", fn("%5: i32 = add %4, %0", "%4: i32 = neg %0", "return %5"), "does not dominate"],
  [
    "a value of another way",
    fn("branch.eq %0, %3 b1, b2", "b1:", "%4: i32 = neg %0", "return %4", "b2:", "return %4")
      .replaceAll("  b1:", "b1:")
      .replaceAll("  b2:", "b2:"),
    "does not dominate",
  ],
  [
    "a phi without a way",
    fn("branch.eq %0, %3 b1, b2", "b1:", "jump b2", "b2:", "%4: i32 = phi [b0 %0]", "return %4")
      .replaceAll("  b1:", "b1:")
      .replaceAll("  b2:", "b2:"),
    "predecessors are",
  ],
  [
    "a phi behind others",
    fn("jump b1", "b1:", "%4: i32 = neg %0", "%5: i32 = phi [b0 %0]", "return %5").replaceAll("  b1:", "b1:"),
    "after other instructions",
  ],
  [
    "a parameter inside",
    fn("jump b1", "b1:", "%4: i32 = param 0", "return %4").replaceAll("  b1:", "b1:"),
    "outside of the entry",
  ],
  [
    "a branch of two types",
    fn("branch.eq %0, %1 b1, b1", "b1:", "return %0").replaceAll("  b1:", "b1:"),
    "compares i32 with i64",
  ],
  ["a switch on a pointer", fn("switch %2 [1 b1] b1", "b1:", "return %0").replaceAll("  b1:", "b1:"), "switch on ptr"],
  ["a case twice", fn("switch %0 [1 b1] [1 b1] b1", "b1:", "return %0").replaceAll("  b1:", "b1:"), "a case twice"],
  ["a result of the wrong type", fn("return %1"), "returns i64, not i32"],
  ["no result", fn("return"), "returns nothing, not i32"],
  ["a map that is not there", fn("%4: ptr = map nothing", "return %0"), "unknown map nothing"],
  ["a section that is not there", fn("%4: ptr = data .bss +0", "return %0"), "unknown data section .bss"],
  ["a function that is not there", fn("%4: i64 = call g(%1)", "return %0"), "unknown function g"],
  ["the address of one", fn("%4: ptr = function g", "return %0"), "unknown function g"],
  ["two functions of a name", fn("return %0") + fn("return %0"), "two functions named f"],
  ["arguments of other types", fn("%4: i64 = call g(%0)", "return %0") + OTHER, "g takes (i64), called with (i32)"],
  ["a result taken as another", fn("%4: i32 = call g(%1)", "return %4") + OTHER, "g returns i64, taken as i32"],
];

describe("the verifier of the IR", () => {
  it("has nothing against what is right", () => {
    expect(complaints(fn("%4: i64 = call g(%1)", "return %0") + OTHER)).toEqual([]);
  });

  for (const [name, text, wanted] of WRONG) {
    it(`refuses ${name}`, () => {
      expect(complaints(text).join("\n")).toContain(wanted);
    });
  }
});

describe("text that is not IR", () => {
  const cases: readonly (readonly [string, string, string, number])[] = [
    ["no function", "hello", "static or global is missing", 1],
    ["an end that is missing", "static function f() {\nb0:\n  return", "the function does not end", 1],
    ["no block", "static function f() {\n  return\n}", "a block's name is missing", 2],
    ["an instruction that is none", fn("%4: i32 = frobnicate %0", "return %0"), "'frobnicate' is no instruction", 7],
    ["a type that is none", fn("%4: i16 = neg %0", "return %0"), "a type is missing", 7],
    ["a value that is not there", fn("return %9"), "there is no %9", 7],
    ["a block that is not there", fn("jump b9"), "there is no block b9", 7],
    ["a value twice", fn("%3: i32 = neg %0", "return %0"), "%3 is there twice", 7],
    ["a block twice", fn("jump b0").replace("  jump", "b0:\n  jump"), "b0 is there twice", 7],
    ["too much", fn("%4: i32 = neg %0 %1", "return %0"), "is too much", 7],
    ["a predicate that is none", fn("%4: i32 = cmp.near %0, %0", "return %0"), "'near' is no predicate", 7],
    ["a space that is none", fn("%4: i32 = load.u32 %2 +0 moon align 4", "return %0"), "'moon' is no space", 7],
    ["a width that is none", fn("%4: i32 = ext.s7 %0", "return %0"), "7 is no width", 7],
  ];
  for (const [name, text, message, line] of cases) {
    it(`is told: ${name}`, () => {
      const { diagnostics } = parseFunctions(text, "bad.ir");
      expect(diagnostics[0]).toMatchObject({ code: "SKEP2009", severity: "error", span: { file: "bad.ir", line } });
      expect(diagnostics[0]?.message).toContain(message);
    });
  }

  it("does not hide what is right beside it", () => {
    const { functions, diagnostics } = parseFunctions(`${fn("jump b9")}${OTHER}`);
    expect([functions.map((one) => one.name), diagnostics.length]).toEqual([["g"], 1]);
  });
});
