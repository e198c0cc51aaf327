import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

const here = dirname(fileURLToPath(import.meta.url));
const page = readFileSync(join(here, "simulated-machine.md"), "utf8");
const examples = [...page.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)].map(
  ([, name = "", code = ""]) => [name, code] as const,
);

/** What the comments behind `console.log` say that it prints, in order. */
const promised = (code: string): string[] =>
  [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = ""]) => text);

describe("the page of the simulated machine", () => {
  const folder = join(here, "..", ".cache", `docs-sim-${process.pid}`);

  beforeAll(() => mkdirSync(folder, { recursive: true }));
  afterEach(() => vi.restoreAllMocks());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("has its two examples", () => {
    expect(examples.map(([name]) => name)).toEqual(["two-hosts.ts", "a-filter.ts"]);
  });

  test.each(examples)("%s prints what it says", async (name, code) => {
    const lines: string[] = [];
    vi.spyOn(console, "log").mockImplementation((value: unknown) => void lines.push(String(value)));
    writeFileSync(join(folder, name), code);
    await import(join(folder, name));
    expect(promised(code)).toHaveLength(2);
    expect(lines).toEqual(promised(code));
  });
});
