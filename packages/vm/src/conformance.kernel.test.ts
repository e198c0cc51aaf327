/** The instruction tests on the kernel: what it takes has to give the same as here. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import { openLinux } from "@skep/linux";
import { runInKernel } from "../test/conformance-kernel.ts";
import { blocks, hexBytes } from "./testing-conformance.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../../shared/data/bpf_conformance/tests");
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");
if (!existsSync(folder)) console.warn(`skipped: bpf_conformance is not beside the repository (${folder})`);

describe.skipIf(!privileged || !existsSync(folder))("bpf_conformance on the kernel", () => {
  test("gives what the files say wherever the verifier takes the program", () => {
    const linux = openLinux();
    const refused: string[] = [];
    const passed = new Map<string, number>();
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".data"))) {
      const parts = blocks(readFileSync(join(folder, file), "utf8"));
      const result = parts.get("result");
      const { instructions, diagnostics } = assemble(parts.get("asm") ?? "", { notation: "conformance" });
      if (result === undefined) throw new Error(`${file} has no result`);
      expect(diagnostics).toEqual([]);
      const memory = hexBytes(parts.get("mem") ?? "");
      const r0Wanted = BigInt(result.replace(/#.*/g, "").trim());
      const got = runInKernel(linux, instructions, memory);
      if (got === null) {
        refused.push(file);
        continue;
      }
      expect({ file, r0: `0x${got.toString(16)}` }).toEqual({ file, r0: `0x${r0Wanted.toString(16)}` });
      const group = file.split(/[-_.]/)[0] ?? file;
      passed.set(group, (passed.get(group) ?? 0) + 1);
    }
    const sum = [...passed.values()].reduce((a, b) => a + b, 0);
    console.info(
      `bpf_conformance, kernel: ${sum} passed; the verifier refuses ${refused.length}: ${refused.join(", ")}`,
    );
    expect(sum).toBeGreaterThan(270);
  });
});
