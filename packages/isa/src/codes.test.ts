import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isaCodes } from "./codes.ts";

test("every code in the sources is in the table, and the other way round", () => {
  const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && name !== "codes.ts")
    .map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));
  const used = new Set(sources.join("\n").match(/ISA\d{4}/g));
  expect(Array.from(used).sort()).toEqual(Object.keys(isaCodes).sort());
});
