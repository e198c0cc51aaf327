import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { constructSsa, parseFunctions, printModule, type Inst, type IrFunction, type IrModule } from "@skep/ir";
import { lowerModule } from "../src/index.ts";
import { Random } from "../../ir/test/random.ts";
import { generateModule, printModule as printSource } from "./fuzz/generate.ts";
import { lowerText } from "./fuzz/check.ts";

const ROOT = join(import.meta.dirname, "../../..");

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Without what the text leaves out: numbers of instructions that give nothing. */
function shape(fn: IrFunction): unknown {
  const inst = (one: Inst): unknown => ({
    ...one,
    id: one.type === undefined ? null : one.id,
    args: one.args.map((arg) => arg.id),
    ...(one.op === "phi" ? { blocks: one.blocks.map((block) => block.id) } : {}),
  });
  return {
    ...fn,
    nextId: null,
    blocks: fn.blocks.map((block) => ({ ...block, insts: block.insts.map(inst), terminator: terminator(block) })),
  };
}

function terminator({ terminator: one }: IrFunction["blocks"][number]): unknown {
  switch (one?.op) {
    case "jump":
      return { ...one, to: one.to.id };
    case "branch":
      // oxlint-disable-next-line unicorn/no-thenable -- a block's number
      return { ...one, args: one.args.map((arg) => arg.id), then: one.then.id, else: one.else.id };
    case "switch":
      return {
        ...one,
        args: one.args.map((arg) => arg.id),
        cases: one.cases.map(({ value, to }) => ({ value, to: to.id })),
        default: one.default.id,
      };
    case "return":
      return { ...one, args: one.args.map((arg) => arg.id) };
    default:
      return one;
  }
}

function expectSame(module: IrModule): void {
  const text = printModule(module, { locations: true });
  const { functions, diagnostics } = parseFunctions(text);
  expect(diagnostics).toEqual([]);
  expect(printModule({ ...module, functions }, { locations: true })).toBe(text);
  expect(functions.map(shape)).toEqual(module.functions.map(shape));
}

/** Kernel modules of the product and its examples. */
const FILES = [
  "packages/datapath/src/bpf/skep.bpf.ts",
  ...kernelModules("examples"),
  ...kernelModules("packages/bpf/src"),
];

function kernelModules(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".bpf.ts") && !file.includes("node_modules"))
    .map((file) => join(folder, file));
}

describe("the text of the IR", () => {
  for (const file of FILES) {
    it(`holds all of ${file}`, (test) => {
      const { module, diagnostics } = lowerModule(join(ROOT, file), { readFile }, { functions: true });
      // A part of a module, such as one without programs of its own.
      if (!module || module.functions.length === 0) return test.skip(diagnostics[0]?.message ?? "no functions");
      expectSame(module);
    });
  }

  it("holds random modules, as they are lowered and in SSA form", () => {
    for (const seed of [1, 2, 3, 4]) {
      const { module } = lowerText(printSource(generateModule(new Random(seed), seed, { functions: 3, programs: 8 })));
      if (!module) throw new Error(`seed ${seed} is not lowered`);
      expectSame(module);
      for (const fn of module.functions) constructSsa(fn);
      expectSame(module);
    }
  });
});
