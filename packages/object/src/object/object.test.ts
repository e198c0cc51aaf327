import { encode, exit, lddw, r1 } from "@skep/isa";
import { describe, expect, it } from "vitest";
import { sampleSpec } from "../../test/sample.ts";
import { decodeBtf } from "../btf/decode.ts";
import { R_BPF, SHF, SHT, STB, STT } from "../elf/format.ts";
import { writeElf } from "../elf/write.ts";
import { ObjectError } from "../errors.ts";
import { programBtf } from "../link/load-info.ts";
import { linkProgram } from "../link/program.ts";
import { completeSpec } from "./complete.ts";
import { readObject } from "./read.ts";
import { writeObject } from "./write.ts";

describe("objects", () => {
  it.each(["little", "big"] as const)("come back from their %s-endian file, completed", (byteOrder) => {
    const spec = sampleSpec(byteOrder);
    const file = writeObject(spec);
    const read = readObject(file);
    expect(read).toEqual(completeSpec(spec));
    expect(completeSpec(read)).toEqual(read);
    expect(writeObject(read)).toEqual(file);
  });

  it("keep the type ids that they had", () => {
    const spec = sampleSpec();
    const before = spec.btf?.types ?? [];
    expect(completeSpec(spec).btf?.types.slice(0, before.length)).toEqual(before);
  });

  it("follow a change of a map that was read", () => {
    const read = readObject(writeObject(sampleSpec()));
    const seen = read.maps["seen"];
    if (seen === undefined) throw new Error("no map");
    const changed = { ...read, maps: { ...read.maps, seen: { ...seen, maxEntries: 99, flags: 1 } } };
    expect(readObject(writeObject(changed)).maps["seen"]).toMatchObject({
      maxEntries: 99,
      flags: 1,
      keyTypeId: seen.keyTypeId,
    });
  });

  it.each([
    [
      "a program in a section of another type",
      (spec: ReturnType<typeof sampleSpec>) => ({
        ...spec,
        programs: { count: { ...spec.programs["count"], section: "tc" } },
      }),
    ],
    ["a map that is not there", (spec: ReturnType<typeof sampleSpec>) => ({ ...spec, maps: {} })],
  ])("are not written with %s", (_, change) => {
    expect(() => writeObject(change(sampleSpec()) as ReturnType<typeof sampleSpec>)).toThrow(ObjectError);
  });
});

describe("jump tables", () => {
  it("are refused by name: a kernel of today has no map for them", () => {
    const code = { name: "xdp", type: SHT.progbits, flags: SHF.alloc | SHF.execinstr, align: 8 };
    const relocations = [{ offset: 0, type: R_BPF.r64_64, symbol: { global: "BPF.JT.0.0" } }];
    const table = { name: ".jumptables", type: SHT.progbits, flags: SHF.alloc, align: 1, data: new Uint8Array(16) };
    const symbol = { section: "xdp", value: 0, size: 24, type: STT.func, bind: STB.global };
    const file = writeElf({
      byteOrder: "little",
      sections: [{ ...code, data: encode([lddw(r1, 0), exit()]), relocations }, table],
      symbols: [
        { ...symbol, name: "switching" },
        { ...symbol, name: "BPF.JT.0.0", section: ".jumptables", size: 16, type: STT.object },
      ],
    });
    expect(() => readObject(file)).toThrow(
      expect.objectContaining({
        name: "ObjectError",
        code: "unsupported",
        message: expect.stringMatching(/jump table/),
      }),
    );
  });
});

describe("linking a program", () => {
  const spec = sampleSpec();
  const linked = linkProgram(spec, "count");

  it("appends what it reaches, and resolves the calls in slots", () => {
    expect(linked.functions).toEqual([
      expect.objectContaining({ name: "count", at: 0, slot: 0, count: 4 }),
      expect.objectContaining({ name: "bump", at: 4, slot: 4, count: 13 }),
    ]);
    expect(linked.instructions[1]).toMatchObject({ opcode: 0x85, src: 1, imm: 2 });
    expect(linked.references).toEqual([
      { at: 7, kind: "map", map: "seen" },
      { at: 13, kind: "data", map: ".rodata", offset: 0 },
    ]);
  });

  it("gives function and line information in slots", () => {
    expect(linked.funcInfo.map(({ slot }) => slot)).toEqual([0, 4]);
    expect(linked.lines.map(({ slot, line }) => [slot, line])).toEqual([
      [0, 8],
      [2, 8],
      [4, 3],
      [7, 4],
      [10, 5],
      [14, 6],
    ]);
    const info = programBtf(spec, linked);
    expect(info?.funcInfo.length).toBe(16);
    expect(info?.lineInfo.length).toBe(6 * 16);
    expect(decodeBtf(info?.btf ?? new Uint8Array()).types).toEqual(spec.btf?.types);
  });

  it("refuses what it does not find", () => {
    expect(() => linkProgram(spec, "nothing")).toThrow(ObjectError);
    expect(() => linkProgram({ ...spec, functions: {} }, "count")).toThrow(/bump/);
  });
});
