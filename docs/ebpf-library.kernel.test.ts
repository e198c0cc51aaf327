import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatWithOptions } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { compile } from "@skep/compiler";
import { writeObject } from "@skep/object";
import { liveMappings, openDescriptors } from "@skep/linux";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: the examples of the library need root and BPF");

const here = dirname(fileURLToPath(import.meta.url));
const page = readFileSync(join(here, "ebpf-library.md"), "utf8");
const blocks = [...page.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)].map(
  (match) => [match[1] ?? "", match[2] ?? ""] as const,
);
const examples = blocks.filter(([name]) => !name.endsWith(".bpf.ts"));

/** What the comments behind `console.log` say that it prints, in order. */
function promised(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\);? ?\)?;? \/\/ (.*)$/gm)].map((match) => match[1] ?? "");
}

test("every block of the page is an example or the program", () => {
  expect(page.match(/^```/gm)).toHaveLength(blocks.length * 2);
  expect(examples.length).toBeGreaterThan(7);
  for (const [, code] of examples) expect(promised(code)).toHaveLength(code.match(/console\.log\(/g)?.length ?? 0);
});

describe.skipIf(!isRoot)("the examples of the page print what they say", () => {
  const folder = join(here, "..", ".cache", `docs-ebpf-${process.pid}`);
  const home = process.cwd();

  beforeAll(() => {
    mkdirSync(folder, { recursive: true });
    for (const [name, code] of blocks) writeFileSync(join(folder, name.endsWith(".ts") ? name : `${name}.ts`), code);
    const { spec, diagnostics } = compile(join(folder, "count.bpf.ts"), {
      readFile: (file) => readFileSync(file, "utf8"),
    });
    if (!spec) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
    writeFileSync(join(folder, "count.o"), writeObject(spec));
    for (const name of ["half-a.o", "half-b.o"])
      copyFileSync(join(here, "../packages/linux/testdata/objects", name), join(folder, name));
    process.chdir(folder);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    expect([openDescriptors(), liveMappings()]).toEqual([0, 0]);
  });
  afterAll(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(examples)("%s", async (name, code) => {
    const printed: string[] = [];
    const format = (...values: unknown[]): string =>
      formatWithOptions({ breakLength: Number.POSITIVE_INFINITY, compact: true }, ...values);
    vi.spyOn(console, "log").mockImplementation((...values) => void printed.push(format(...values)));
    await import(join(folder, `${name}.ts`));
    expect(printed).toEqual(promised(code));
  });
});
