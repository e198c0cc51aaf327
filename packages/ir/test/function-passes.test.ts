// Passes on whole functions as text: calls, stack objects, packet tests, counters, copies of blocks. Each with what it must leave.
import { describe, expect, it } from "vitest";
import { parseFunctions, printFunction, verifyFunction, type IrFunction } from "../src/index.ts";
import { legalize, targetOf } from "../src/codegen/legalize.ts";
import { demoteOutside, duplicateFor, LocalNames, Readers } from "../src/passes/duplicate.ts";
import { scaleCounters } from "../src/passes/index-forms.ts";
import { inlineCalls } from "../src/passes/inline.ts";
import { mergeChecks } from "../src/passes/merge-checks.ts";
import { ConstantPool } from "../src/passes/pool.ts";
import { shareStack } from "../src/passes/share-stack.ts";
import { constructSsa } from "../src/passes/ssa.ts";
import { read } from "./passes-harness.ts";

function readAll(text: string): IrFunction[] {
  const { functions, diagnostics } = parseFunctions(text);
  expect(diagnostics.map(({ message }) => message)).toEqual([]);
  return functions;
}

/** The function's text after what is done to it. */
function after(fn: IrFunction, pass: (fn: IrFunction) => unknown): string {
  expect(verifyFunction(fn)).toEqual([]);
  pass(fn);
  expect(verifyFunction(fn)).toEqual([]);
  return printFunction(fn);
}

describe("inlining", () => {
  const twice = (how: string): string => `
static ${how}function twice(n: i32): i32 {
b0:
  %0: i32 = param 0
  %1: i32 = add %0, %0
  return %1
}
`;
  const caller = (calls: number): string => `
static inline(never) function main(a: i32): i32 {
b0:
  %0: i32 = param 0
${Array.from({ length: calls }, (_, at) => `  %${at + 1}: i32 = call twice(%${at})`).join("\n")}
  return %${calls}
}
`;
  /** What main becomes, and what is told. */
  function inlined(text: string, auto = true): { main: string; told: readonly string[] } {
    const functions = readAll(text);
    const told = inlineCalls(functions, { auto }).map(({ code }) => code);
    for (const fn of functions) expect(verifyFunction(fn)).toEqual([]);
    const main = functions.find(({ name }) => name === "main") as IrFunction;
    return { main: printFunction(main), told };
  }

  it("puts the body where it is called, with the arguments for its parameters", () => {
    const { main } = inlined(twice("") + caller(2));
    expect(main).not.toMatch(/call/);
    expect(main.match(/= add/g)).toHaveLength(2);
  });

  it("joins what a callee returns in several places", () => {
    const callee = `
static function twice(n: i32): i32 {
b0:
  %0: i32 = param 0
  %1: i32 = const 7
  branch.ult %0, %1 b1, b2
b1:
  return %1
b2:
  return %0
}
`;
    expect(inlined(callee + caller(1)).main).toMatch(/phi \[b\d+ %\d+\] \[b\d+ %\d+\]/);
  });

  it("leaves a subprogram that is asked for, and without optimisation what is not asked for", () => {
    expect(inlined(twice("inline(never) ") + caller(2)).main).toMatch(/call twice/);
    expect(inlined(twice("") + caller(2), false).main).toMatch(/call twice/);
    expect(inlined(twice("inline(always) ") + caller(2), false).main).not.toMatch(/call/);
  });

  it("leaves a global function: the verifier takes it by itself", () => {
    expect(inlined(twice("").replace("static", "global") + caller(1)).main).toMatch(/call twice/);
  });

  it("leaves a large one that is called twice, not one that is called once", () => {
    const body = Array.from({ length: 90 }, (_, at) => `  %${at + 1}: i32 = add %${at}, %0`).join("\n");
    const large = `
static function twice(n: i32): i32 {
b0:
  %0: i32 = param 0
${body}
  return %90
}
`;
    expect(inlined(large + caller(2)).main.match(/call/g)).toHaveLength(2);
    expect(inlined(large + caller(1)).main).not.toMatch(/call/);
  });

  it("tells of recursion: the kernel has none", () => {
    const itself = `
static function twice(n: i32): i32 {
b0:
  %0: i32 = param 0
  %1: i32 = call twice(%0)
  return %1
}
`;
    expect(inlined(itself + caller(1)).told).toEqual(["SKEP2005"]);
  });
});

describe("shared stack", () => {
  const objects = (text: string): number => after(read(text), shareStack).match(/= stack/g)?.length ?? 0;

  it("is one object for two that are never alive together, as large and as aligned as the larger", () => {
    const text = `
      %3: ptr = stack 8 align 8
      store.u32 %3, %0 +0 stack align 4
      %4: i64 = helper 3(%2, %3)
      %5: ptr = stack 16 align 4
      store.u32 %5, %0 +0 stack align 4
      %6: i64 = helper 3(%2, %5)
      return %0`;
    expect(after(read(text), shareStack)).toMatch(/stack 16 align 8/);
    expect(objects(text)).toBe(1);
  });

  it("is two where one is read after the other was written", () => {
    const text = `
      %3: ptr = stack 8 align 8
      store.u32 %3, %0 +0 stack align 4
      %5: ptr = stack 8 align 8
      store.u32 %5, %0 +0 stack align 4
      %4: i64 = helper 3(%2, %3)
      %6: i64 = helper 3(%2, %5)
      return %0`;
    expect(objects(text)).toBe(2);
  });

  it("is two where the address of one is stored: who reads it is not known", () => {
    const text = `
      %3: ptr = stack 8 align 8
      store.u64 %2, %3 +0 map align 8
      %5: ptr = stack 8 align 8
      store.u32 %5, %0 +0 stack align 4
      %6: i64 = helper 3(%2, %5)
      return %0`;
    expect(objects(text)).toBe(2);
  });

  it("is two where a loop comes back to the first", () => {
    const text = `
      %3: i32 = const 0
      %4: ptr = stack 8 align 8
      %5: ptr = stack 8 align 8
      store.u32 %4, %0 +0 stack align 4
      jump b1
      b1:
      %6: i32 = load.u32 %4 +0 stack align 4
      store.u32 %5, %6 +0 stack align 4
      %7: i64 = helper 3(%2, %5)
      branch.eq %6, %3 b1, b2
      b2:
      return %0`;
    expect(objects(text)).toBe(2);
  });

  it("is two where a phi may point into either", () => {
    const text = `
      %3: i32 = const 0
      %4: ptr = stack 8 align 8
      store.u32 %4, %0 +0 stack align 4
      %5: ptr = stack 8 align 8
      store.u32 %5, %3 +0 stack align 4
      branch.eq %0, %3 b1, b2
      b1:
      jump b3
      b2:
      jump b3
      b3:
      %6: ptr = phi [b1 %4] [b2 %5]
      %7: i64 = helper 3(%2, %6)
      return %0`;
    expect(objects(text)).toBe(2);
  });
});

describe("packet tests", () => {
  /** Two tests of the packet's length: what is between, where each fails, and how far the second reaches. */
  const packet = (parts: { between?: string; second?: string; fails?: string; root?: string }): string => {
    const { between = "", second = "34", fails = "b9", root = "%4" } = parts;
    return `
      %4: ptr = load.u32 %2 +0 ctx align 4
      %5: ptr = load.u32 %2 +4 ctx align 4
      %6: i64 = const 14
      %7: i64 = const ${second}
      %3: i32 = const 3
      %8: ptr = ptradd %4, %6
      branch.ugt %8, %5 b9, b1
      b1:
      ${between}
      %10: ptr = ptradd ${root}, %7
      branch.ugt %10, %5 ${fails}, b2
      b2:
      %11: i32 = load.u8 %4 +33 packet align 1
      return %11
      b9:
      return %0${fails === "b9" ? "" : "\n      b8:\n      return %3"}`;
  };
  const tests = (parts: Parameters<typeof packet>[0]): number =>
    after(read(packet(parts)), mergeChecks).match(/branch/g)?.length ?? 0;

  it("become one, of which the further says it all", () => {
    expect(tests({})).toBe(1);
    expect(after(read(packet({})), mergeChecks)).toMatch(/branch\.ugt %10/);
  });

  it("stay two where they fail differently", () => expect(tests({ fails: "b8" })).toBe(2));

  it("stay two where the first reaches further", () => expect(tests({ second: "10" })).toBe(2));

  it("stay two where something is done between", () => {
    expect(tests({ between: "%12: i64 = helper 5()" })).toBe(2);
    expect(tests({ between: "%12: i32 = load.u8 %4 +0 packet align 1" })).toBe(2);
  });

  it("stay two where a variable part was added: that pointer has a range of its own", () => {
    expect(tests({ between: "%13: ptr = ptradd %4, %1", root: "%13" })).toBe(2);
  });

  it("stay two of memory that is no packet", () => {
    const text = packet({}).replaceAll("ctx align 4", "map align 4");
    expect(after(read(text), mergeChecks).match(/branch/g)).toHaveLength(2);
  });
});

describe("counters", () => {
  const counted = (parts: { use?: string; limit?: string; start?: string }): string => {
    const { use = "", limit = "16", start = "0" } = parts;
    return `
      %3: i32 = const ${start}
      %4: i32 = const 1
      %5: i32 = const ${limit}
      %6: i64 = const 2
      jump b1
      b1:
      %7: i32 = phi [b0 %3] [b1 %8]
      %9: i64 = ext.u32 %7
      %10: i64 = shl %9, %6
      %11: ptr = ptradd %2, %10
      store.u32 %11, %0 +0 map align 4
      ${use}
      %8: i32 = add %7, %4
      branch.ult %8, %5 b1, b2
      b2:
      return %0`;
  };
  const scaled = (parts: Parameters<typeof counted>[0]): string =>
    after(read(counted(parts)), (fn) => scaleCounters(fn, new ConstantPool(fn)));

  it("that are only scaled count in steps of the scale, up to the scaled limit", () => {
    const text = scaled({});
    expect(text).toMatch(/%7: i64 = phi/);
    expect(text).toMatch(/= const 64/);
    expect(text).not.toMatch(/shl/);
  });

  it("stay where something else reads them", () => {
    expect(scaled({ use: "store.u32 %2, %7 +0 map align 4" })).toMatch(/shl %9, %6/);
    expect(scaled({ use: "%12: i64 = shl %9, %9\n      store.u64 %2, %12 +0 map align 8" })).toMatch(/shl %9, %6/);
  });

  it("stay where their end is not known", () => {
    expect(scaled({ limit: "0" })).toMatch(/shl %9, %6/);
    expect(
      after(read(counted({}).replace("%8, %5", "%8, %0")), (fn) => scaleCounters(fn, new ConstantPool(fn))),
    ).toMatch(/shl %9, %6/);
  });

  it("stay where the scaled end would be no index", () => {
    expect(scaled({ limit: "1073741823" })).toMatch(/shl %9, %6/);
  });
});

describe("copies of blocks", () => {
  const text = `
    %3: i32 = const 3
    %4: i32 = const 4
    branch.eq %0, %3 b1, b2
    b1:
    jump b3
    b2:
    jump b3
    b3:
    %5: i32 = phi [b1 %3] [b2 %4]
    %6: i32 = add %5, %0
    branch.ult %6, %4 b4, b5
    b4:
    return %6
    b5:
    %7: i32 = phi [b3 %5]
    return %7`;

  it("take over the edges from some predecessors; what is read below goes through variables", () => {
    const fn = read(text);
    const named = (id: number) => fn.blocks.find((block) => block.id === id) as IrFunction["blocks"][number];
    const result = after(fn, () => {
      demoteOutside(fn, named(3), { names: new LocalNames(fn), readers: new Readers(fn.blocks) });
      duplicateFor(fn, named(3), new Set([named(1)]));
      constructSsa(fn);
    });
    expect(result.match(/= add/g)).toHaveLength(2);
    expect(result).toMatch(/return %\d+/);
    expect(result).not.toMatch(/local/);
    // Below the two copies their values meet.
    expect(result).toMatch(/b4:[^]*phi[^]*return/);
  });

  it("give out no variable that is there already", () => {
    const fn = read("local.set x.4.i32 %0\n%3: i32 = local.get x.4.i32\nreturn %3");
    const names = new LocalNames(fn);
    expect(names.make(fn.blocks[0]?.insts[0] as never).id).toBe(5);
    expect(names.make(fn.blocks[0]?.insts[0] as never).id).toBe(6);
  });
});

describe("sinking onto an edge", () => {
  const choose = (made: string, other = "%0"): string => `
    %3: i32 = const 3
    ${made}
    branch.eq %0, %3 b1, b2
    b1:
    jump b3
    b2:
    jump b3
    b3:
    %5: i32 = phi [b1 %4] [b2 ${other}]
    return %5`;
  const lowered = (text: string): string => after(read(text), (fn) => legalize(fn, targetOf({})));

  it("makes there what only that way needs", () => {
    expect(lowered(choose("%4: i32 = add %0, %3"))).toMatch(/b1:[^b]*%4: i32 = add %0, %3/);
  });

  it("not what needs a register more, has an effect, or is read elsewhere", () => {
    expect(lowered(choose("%4: i32 = add %0, %3", "%3"))).toMatch(/b0:[^]*%4: i32 = add %0, %3[^]*b1:/);
    expect(lowered(choose("%4: i32 = load.u32 %2 +0 map align 4"))).toMatch(/b0:[^]*%4: i32 = load[^]*b1:/);
    const twice = choose("%4: i32 = add %0, %3\n    store.u32 %2, %4 +0 map align 4");
    expect(lowered(twice)).toMatch(/b0:[^]*%4: i32 = add %0, %3[^]*b1:/);
  });
});
