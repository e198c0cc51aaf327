import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile, formatDiagnostic, PROBLEMS } from "../src/index.ts";

const folder = fileURLToPath(new URL("../testdata/wrong/", import.meta.url));
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".bpf.ts"))
  .map((file) => file.slice(0, -".bpf.ts".length));

function read(path: string): string | undefined {
  try {
    return readFileSync(`${folder}${path.slice(1)}`, "utf8");
  } catch {
    return undefined;
  }
}

/** Diagnostics of a fixture as a person sees them. */
function diagnose(name: string): { text: string; codes: string[] } {
  const result = compile(`/${name}.bpf.ts`, { readFile: read });
  expect(result.spec).toBeNull();
  const lines = result.diagnostics.map((one) => formatDiagnostic(one, one.span && result.sources[one.span.file]));
  return { text: `${lines.join("\n")}\n`, codes: result.diagnostics.map((one) => one.code) };
}

describe("wrong programs", () => {
  // `vitest -u` writes the expected texts.
  for (const name of names) {
    it(name, async () => {
      const { text, codes } = diagnose(name);
      expect(codes.length).toBeGreaterThan(0);
      expect(codes).not.toContain(PROBLEMS.internal.code);
      await expect(text).toMatchFileSnapshot(`${folder}${name}.diag`);
    });
  }
});

it("every code has a wrong program", () => {
  const shown = new Set(names.flatMap((name) => readFileSync(`${folder}${name}.diag`, "utf8").match(/SKEP\d+/g) ?? []));
  const untested = Object.values(PROBLEMS)
    .map(({ code }) => code)
    .filter((code) => !shown.has(code));
  // A file that is missing has no text to show; a failure of the compiler has no program.
  expect(untested).toEqual([PROBLEMS.noFile.code, PROBLEMS.internal.code]);
});
