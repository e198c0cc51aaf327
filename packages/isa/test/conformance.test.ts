import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { assemble, disassemble, encode, validate } from "../src/index.ts";
import { dataFiles, rawBytes, readBlocks, refusal, sharedData } from "./conformance-files.ts";

const data = sharedData();
if (data === null) console.warn("conformance data is not there: its tests are skipped");

describe.skipIf(data === null)("bpf_conformance", () => {
  const folder = join(data ?? "", "bpf_conformance");

  test("all 313 tests assemble, are well-formed, and read back from the kernel's notation", () => {
    const files = dataFiles(join(folder, "tests"));
    expect(files.length).toBe(313);
    let compared = 0;
    for (const file of files) {
      const blocks = readBlocks(join(folder, "tests", file));
      const { instructions, diagnostics } = assemble(blocks.get("asm") ?? "", { notation: "conformance", file });
      expect(diagnostics, file).toEqual([]);
      expect(instructions.length, file).toBeGreaterThan(0);
      expect(validate(instructions), file).toEqual([]);
      expect(assemble(disassemble(instructions, { style: "labels" })).instructions, file).toEqual(instructions);
      const raw = blocks.get("raw");
      if (raw === undefined) continue;
      compared++;
      expect(encode(instructions), file).toEqual(rawBytes(raw));
    }
    expect(compared).toBe(1);
  });

  test("the negative files are refused", () => {
    const files = dataFiles(join(folder, "negative"));
    expect(files.length).toBe(60);
    const taken = files.filter((file) => refusal(join(folder, "negative", file)) === null);
    // Their encoding is right: one fails when it runs, the other by its result.
    expect(taken).toEqual(["error.data", "incorrect_return_value_high_bits.data"]);
  });

  test.each([
    ["invalid_imm32_dec_range", "2147483648 does not fit 32 bits"],
    ["invalid_imm32_hex_range", "0x100000000 does not fit 32 bits"],
    ["invalid_label", "there is no label NOT_A_LABEL"],
    ["invalid_lock", 'expected ",", but the line ends'],
    ["invalid_mnemonic", 'there is no instruction "ldxq"'],
    ["invalid_offset_range", "+0x10000 does not fit the 16 bits of an offset"],
    ["invalid_register", "there is no register %r50"],
    ["invalid_operand_count", 'expected ",", but the line ends'],
    ["unused-be16-src", "slot 0: unused field src is 1, not 0"],
    ["unused-exit-imm", "slot 0: unused field imm is 1, not 0"],
  ])("%s: %s", (file, message) => {
    expect(refusal(join(folder, "negative", `${file}.data`))).toBe(message);
  });
});

describe.skipIf(data === null)("uBPF's tests", () => {
  const folder = join(data ?? "", "ubpf", "tests");

  test("assemble, and equal their raw blocks", () => {
    let assembled = 0;
    let compared = 0;
    const refused: string[] = [];
    for (const file of dataFiles(folder)) {
      const blocks = readBlocks(join(folder, file));
      const asm = blocks.get("asm");
      if (asm === undefined) continue;
      const { instructions, diagnostics } = assemble(asm, { notation: "conformance", file });
      if (diagnostics.length > 0) {
        refused.push(`${file}: ${diagnostics[0]?.message}`);
        continue;
      }
      assembled++;
      const raw = blocks.get("raw");
      if (raw === undefined) continue;
      compared++;
      expect(encode(instructions), file).toEqual(rawBytes(raw));
    }
    expect({ assembled, compared, refused }).toMatchInlineSnapshot(`
      {
        "assembled": 63,
        "compared": 6,
        "refused": [
          "errors/err-invalid-reg-dst.data: there is no register %r11",
          "errors/err-invalid-reg-src.data: there is no register %r11",
        ],
      }
    `);
  });
});
