import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { assemble, decode } from "../src/index.ts";
import { compileC, findTool, withFolder } from "./tools.ts";

const clang = findTool("clang-19", "clang");
const objdump = findTool("llvm-objdump-19", "llvm-objdump");
const missing = clang === null || objdump === null;
if (missing) console.warn("clang or llvm-objdump is not installed: the comparison with LLVM is skipped");

interface Shown {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** The instructions that llvm-objdump shows: their bytes, and their text. */
function show(object: string): Shown[] {
  const lines = execFileSync(objdump ?? "", ["-d", object], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const match = /^\s*\d+:\t((?:[0-9a-f]{2} ?)+)\t(.*)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) return [];
    const bytes = Uint8Array.from(match[1].trim().split(" "), (pair) => Number.parseInt(pair, 16));
    return [{ bytes, text: match[2] }];
  });
}

describe.skipIf(missing)("LLVM's disassembly", () => {
  test.each([
    ["packets", "v3"],
    ["packets", "v4"],
    ["skbs", "v4"],
  ] as const)("%s for %s is what we assemble to the same bytes", (name, cpu) => {
    const shown = withFolder((folder) => show(compileC(name, { clang: clang ?? "", folder, cpu })));
    let compared = 0;
    for (const { bytes, text } of shown) {
      // LLVM 19 shows helper and local calls alike, and has no word for 32-bit atomics and ordered accesses.
      if (/^call |^<unknown>/.test(text) || (bytes[0] === 0xc3 && bytes[5] === 1)) continue;
      compared++;
      const { instructions, diagnostics } = assemble(text, { notation: "llvm" });
      expect(diagnostics, text).toEqual([]);
      expect(instructions, text).toEqual(decode(bytes).instructions);
    }
    expect(compared).toBeGreaterThan(20);
    expect(compared).toBeGreaterThan(shown.length - 10);
  });
});
