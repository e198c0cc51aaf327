import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import { prepare } from "./code.ts";
import type { Engine, EngineName } from "./cpu.ts";
import { Interpreter } from "./interpreter/interpreter.ts";
import { Jit } from "./jit/engine.ts";
import { Memory } from "./memory.ts";
import { blocks, hexBytes } from "./testing-conformance.ts";
import { ubpfHelpers } from "./conformance-helpers.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const suites = [
  { name: "bpf_conformance", folder: join(root, "shared/data/bpf_conformance/tests"), least: 313 },
  { name: "uBPF", folder: join(root, "shared/data/ubpf/tests"), least: 40 },
];

function filesIn(folder: string, prefix = ""): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = join(prefix, entry.name);
    return entry.isDirectory() ? filesIn(folder, name) : entry.name.endsWith(".data") ? [name] : [];
  });
}

const engines: Readonly<Record<EngineName, (memory: Memory) => Engine>> = {
  interpreter: (memory) => new Interpreter(memory, { helpers: ubpfHelpers, budget: 10_000_000 }),
  checked: (memory) => new Jit(memory, { helpers: ubpfHelpers, budget: 10_000_000, checked: true }),
  fast: (memory) => new Jit(memory, { helpers: ubpfHelpers, checked: false }),
};

/** An engine with its memory, for one program after the other. */
function runner(name: EngineName): (asm: string, mem: Uint8Array) => bigint {
  const memory = new Memory();
  const engine = engines[name](memory);
  return (asm, mem) => {
    const { instructions, diagnostics } = assemble(asm, { notation: "conformance" });
    expect(diagnostics).toEqual([]);
    const region = memory.allocate("memory", mem.length);
    try {
      memory.bytes.set(mem, region.base);
      const code = prepare(instructions, { name: "test" });
      return engine.run(code, mem.length === 0 ? 0 : region.base, mem.length);
    } finally {
      memory.release(region);
    }
  };
}

for (const engine of ["interpreter", "checked", "fast"] as const) {
  const run = runner(engine);
  for (const { name: suite, folder, least } of suites) {
    const there = existsSync(folder);
    if (!there) console.warn(`skipped: ${suite} is not beside the repository (${folder})`);
    describe.skipIf(!there)(`${suite}, ${engine}`, () => {
      const passed = new Map<string, number>();
      const left: string[] = [];
      for (const file of there ? filesIn(folder) : []) {
        const parts = blocks(readFileSync(join(folder, file), "utf8"));
        const asm = parts.get("asm");
        const result = parts.get("result");
        if (asm === undefined || result === undefined || parts.has("error") || parts.has("error pattern")) {
          left.push(file);
          continue;
        }
        const group = file.split(/[-_./]/)[0] ?? file;
        test(file, () => {
          const r0 = run(asm, hexBytes(parts.get("mem") ?? ""));
          expect(`0x${r0.toString(16)}`).toBe(`0x${BigInt(result.replace(/#.*/g, "").trim()).toString(16)}`);
          passed.set(group, (passed.get(group) ?? 0) + 1);
        });
      }
      afterAll(() => {
        const table = Array.from(passed, ([group, count]) => `${group} ${count}`).join(", ");
        const sum = Array.from(passed.values()).reduce((a, b) => a + b, 0);
        console.info(`${suite}, ${engine}: ${sum} passed (${table})`);
        if (left.length > 0 && engine === "interpreter") {
          console.warn(`${suite}: ${left.length} files are no runnable programs: ${left.join(", ")}`);
        }
      });
      test("the suite is whole", () => {
        expect(filesIn(folder).length - left.length).toBeGreaterThanOrEqual(least);
      });
    });
  }
}
