import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile, formatDiagnostic, PROBLEMS } from "@skep/compiler";
import { diagnosticsPage, EXAMPLES } from "../packages/compiler/scripts/diagnostics-page.ts";

const page = readFileSync(new URL("./diagnostics.md", import.meta.url), "utf8");
const wrong = (name: string): string =>
  readFileSync(new URL(`../packages/compiler/testdata/wrong/${name}`, import.meta.url), "utf8");
const sections = [...page.matchAll(/^## (SKEP\d+)\n[\s\S]*?```ts\n([\s\S]*?)\n```\n\n```text\n([\s\S]*?)\n```$/gm)].map(
  ([, code = "", source = "", told = ""]) => ({ code, source, told }),
);

describe("the page of diagnostics", () => {
  it("has every code once, and is what the script writes", () => {
    const documented = Object.entries(PROBLEMS)
      .filter(([name]) => name in EXAMPLES)
      .map(([, { code }]) => code);
    expect(sections.map(({ code }) => code)).toEqual(documented);
    expect(page).toBe(diagnosticsPage(wrong));
  });

  it.each(sections)("$code is told of its example", ({ code, source, told }) => {
    const place = /^\/([\w-]+)\.bpf\.ts/m.exec(told)?.[0] ?? "/main.bpf.ts";
    const lib = wrong("lib/verdict.bpf.ts");
    const files: Record<string, string> = { [place]: `${source}\n`, "/lib/verdict.bpf.ts": lib };
    const result = compile(place, { readFile: (path) => files[path] });
    expect(result.spec).toBeNull();
    expect(result.diagnostics.map((one) => one.code)).toContain(code);
    const lines = result.diagnostics.map((one) => formatDiagnostic(one, one.span && result.sources[one.span.file]));
    expect(lines.join("\n")).toBe(told);
  });
});
