import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatDiagnostic, hasErrors, parseDocuments, policyCodes } from "../src/index.ts";

const folder = new URL("fixtures/", import.meta.url);
const expectedFile = fileURLToPath(new URL("bad-policies.expected.txt", folder));

const heads: Readonly<Record<string, string>> = {
  cilium: "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: bad }\n",
  clusterwide: "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: { name: bad }\n",
  kubernetes: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: bad }\n",
  tiers: "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: { name: bad }\n",
};

interface BadCase {
  readonly name: string;
  readonly text: string;
}

function casesOf(text: string): BadCase[] {
  return text
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      const [, name = "", head] = /^(.*?)(?: \((\w+)\))?$/.exec(part.slice(0, end)) ?? [];
      return { name, text: `${head === undefined ? "" : (heads[head] ?? "")}${part.slice(end + 1)}` };
    });
}

function messagesOf(text: string): string {
  const { diagnostics } = parseDocuments("bad.yaml", text);
  return diagnostics.map(formatDiagnostic).join("\n");
}

/** Sections as in the file of cases: `=== name`, then the messages. */
function expectations(text: string): Map<string, string> {
  return new Map(
    text
      .split(/^=== /m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trimEnd()]),
  );
}

describe("policies that are refused", () => {
  const cases = casesOf(readFileSync(new URL("bad-policies.txt", folder), "utf8"));
  if (process.env["UPDATE_FIXTURES"]) {
    const lines = cases.map(({ name, text }) => `=== ${name}\n${messagesOf(text)}\n`);
    writeFileSync(
      expectedFile,
      `Messages of the cases in bad-policies.txt; UPDATE_FIXTURES=1 writes them anew.\n${lines.join("")}`,
    );
  }
  const expected = expectations(readFileSync(expectedFile, "utf8"));

  it("are at least 100 kinds", () => {
    expect(cases.length).toBeGreaterThanOrEqual(100);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  for (const { name, text } of cases)
    it(name, () => {
      const { documents, diagnostics } = parseDocuments("bad.yaml", text);
      expect(hasErrors(diagnostics)).toBe(true);
      for (const { code, span } of diagnostics) {
        expect(policyCodes).toHaveProperty(code);
        expect(span?.file).toBe("bad.yaml");
        expect(span?.line).toBeGreaterThan(0);
      }
      // Of two objects with one name both are there, and the file as a whole is refused.
      if (!name.includes("twice") || name.startsWith("syntax")) expect(documents).toEqual([]);
      expect(messagesOf(text)).toBe(expected.get(name));
    });
});
