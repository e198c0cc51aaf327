import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { attachTypes, commands, helpers, linkTypes, mapTypes, programTypes } from "../src/index.ts";
import { findTool } from "./tools.ts";

const btf = "/sys/kernel/btf/vmlinux";
const missing = findTool("bpftool") === null || !existsSync(btf);
if (missing) console.warn("needs bpftool and the kernel's BTF: the comparison of the tables is skipped");

/** The enumerators of the running kernel by name. */
function enumerators(): Map<string, number> {
  const options = { encoding: "utf8", maxBuffer: 1 << 30 } as const;
  const text = execFileSync("bpftool", ["btf", "dump", "file", btf, "format", "raw"], options);
  return new Map(
    Array.from(text.matchAll(/^\t'(\w+)' val=(-?\d+)$/gm), ([, name, value]) => [name ?? "", Number(value)]),
  );
}

describe.skipIf(missing)("the tables", () => {
  test("have the running kernel's numbers", () => {
    const kernel = enumerators();
    const known = (prefix: string, table: Readonly<Record<string, number>>) => {
      let compared = 0;
      for (const [name, number] of Object.entries(table)) {
        const theirs = kernel.get(`${prefix}${name.toUpperCase()}`) ?? kernel.get(`${prefix}${name}`);
        // Names of later kernels are not there.
        if (theirs === undefined) continue;
        compared++;
        expect(`${name} ${theirs}`).toBe(`${name} ${number}`);
      }
      return compared;
    };
    expect(known("BPF_PROG_TYPE_", programTypes)).toBeGreaterThan(30);
    expect(known("BPF_MAP_TYPE_", mapTypes)).toBeGreaterThan(30);
    expect(known("BPF_", attachTypes)).toBeGreaterThan(40);
    expect(known("BPF_LINK_TYPE_", linkTypes)).toBeGreaterThan(8);
    expect(known("BPF_", commands)).toBeGreaterThan(30);
    const functions = Object.fromEntries(helpers.map((helper) => [helper.name, helper.id]));
    expect(known("BPF_FUNC_", functions)).toBe(211);
  });
});
