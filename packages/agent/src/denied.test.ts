import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { formatPrefix } from "@skep/net";
import { DeniedFile, parseDenied } from "./denied.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-denied-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (text: string): string[] => Array.from(parseDenied(Buffer.from(text), "f"), formatPrefix);

describe("the file of denied prefixes", () => {
  it("has one a line, of both families", () => {
    const text = "# bad\n203.0.113.0/24 # those\n\n198.51.100.7\n2001:db8::/32\n2001:db8:1::9\n";
    expect(read(text)).toEqual(["198.51.100.7/32", "203.0.113.0/24", "2001:db8::/32", "2001:db8:1::9/128"]);
    expect(() => read("203.0.113.0/24\n203.0.113/24\n")).toThrow('f:2: "203.0.113/24" is no prefix');
  });

  it.each([
    ["", []],
    ["10.0.0.0/8", ["10.0.0.0/8"]],
    ["10.1.2.3/8\r\n10.1.2.3\r\n", ["10.0.0.0/8", "10.1.2.3/32"]],
    [
      "  10.1.2.3 # one\n\n255.255.255.255/32\n0.0.0.0/0\n10.1.2.3/32",
      ["0.0.0.0/0", "10.1.2.3/32", "255.255.255.255/32"],
    ],
    ["2001:db8::1/32\n2001:db8::/32\n", ["2001:db8::/32"]],
  ])("%j says %j", (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it.each(["10.0.0.256", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "010.0.0.0", "10.0.0.0/08", "10.0.0.0.", "1.2.3.4/2x"])(
    "%s is no prefix",
    (line) => {
      expect(() => read(`192.0.2.0/24\n${line}\n`)).toThrow(`f:2: "${line}" is no prefix`);
    },
  );

  it("is read again when it changes; while it is wrong what it said stays", () => {
    const path = join(folder, "denied.txt");
    const seen: string[][] = [];
    const file = new DeniedFile(path, (prefixes) => seen.push(Array.from(prefixes, formatPrefix)));
    expect(() => file.refresh()).toThrow(/ENOENT/);
    writeFileSync(path, "203.0.113.0/24\n");
    expect([file.refresh(), file.refresh()]).toEqual([true, false]);
    writeFileSync(path, "203.0.113.0/24\nnot a prefix\n");
    expect(() => file.refresh()).toThrow(/:2: "not a prefix"/);
    writeFileSync(path, "203.0.113.0/24\n198.51.100.0/24\n");
    expect(file.refresh()).toBe(true);
    expect(seen).toEqual([["203.0.113.0/24"], ["198.51.100.0/24", "203.0.113.0/24"]]);
  });
});
