import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { formatPrefix } from "@skep/net";
import { DeniedFile, parseDenied } from "./denied.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-denied-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the file of denied prefixes", () => {
  it("has one a line, of both families", () => {
    const text = "# bad\n203.0.113.0/24 # those\n\n198.51.100.7\n2001:db8::/32\n2001:db8:1::9\n";
    expect(parseDenied(text, "f").map(formatPrefix)).toEqual([
      ...["203.0.113.0/24", "198.51.100.7/32", "2001:db8::/32", "2001:db8:1::9/128"],
    ]);
    expect(() => parseDenied("203.0.113.0/24\n203.0.113/24\n", "bad.txt")).toThrow(
      'bad.txt:2: "203.0.113/24" is no prefix',
    );
  });

  it("is read again when it changes; while it is wrong what it said stays", () => {
    const path = join(folder, "denied.txt");
    const seen: string[][] = [];
    const file = new DeniedFile(path, (prefixes) => seen.push(prefixes.map(formatPrefix)));
    expect(() => file.refresh()).toThrow(/ENOENT/);
    writeFileSync(path, "203.0.113.0/24\n");
    expect([file.refresh(), file.refresh()]).toEqual([true, false]);
    writeFileSync(path, "203.0.113.0/24\nnot a prefix\n");
    expect(() => file.refresh()).toThrow(/:2: "not a prefix"/);
    writeFileSync(path, "203.0.113.0/24\n198.51.100.0/24\n");
    expect(file.refresh()).toBe(true);
    expect(seen).toEqual([["203.0.113.0/24"], ["203.0.113.0/24", "198.51.100.0/24"]]);
  });
});
