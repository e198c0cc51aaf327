import { describe, expect, it } from "vitest";
import { describeSpec } from "../../test/describe-spec.ts";
import { golden, goldenBytes, goldenNames } from "../../test/golden.ts";
import { damage, random } from "../../test/mutate.ts";
import { relocate } from "../core/relocate.ts";
import { readElf } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import { objectBtf } from "../link/load-info.ts";
import { linkProgram } from "../link/program.ts";
import type { ObjectSpec } from "../spec.ts";
import { completeSpec } from "./complete.ts";
import { readObject } from "./read.ts";
import { writeObject } from "./write.ts";

describe("objects of clang and GCC", () => {
  it.each(goldenNames)("%s is read", async (name) => {
    await expect(describeSpec(golden(name))).toMatchFileSnapshot(`../../testdata/${name}.spec`);
  });

  const untyped = ["legacy-maps", "gcc-plain"];
  it.each(untyped)("%s: maps without types get types when they are written", (name) => {
    const spec = golden(name);
    const again = readObject(writeObject(spec));
    expect(again).toEqual(completeSpec(spec));
    expect(again.maps).toEqual(spec.maps);
    expect(again.btf?.types.some((type) => type.kind === "datasec" && type.name === ".maps")).toBe(true);
  });

  const typed = goldenNames.filter((name) => !untyped.includes(name));
  it.each(typed)("%s is the same after writing and reading", (name) => {
    const spec = golden(name);
    const file = writeObject(spec);
    expect(readObject(file)).toEqual(spec);
    expect(completeSpec(spec)).toEqual(spec);
    expect(writeObject(readObject(file))).toEqual(file);
  });

  // Bit fields lie elsewhere, so that the code differs.
  const bigEndian = goldenNames.filter((name) => name.endsWith(".eb") && !name.includes("bitfields"));
  it.each(bigEndian)("%s says what the little-endian one says", (name) => {
    const strip = (spec: ObjectSpec) => describeSpec(spec).replaceAll(/byte order.*|contents .*/g, "");
    expect(strip(golden(name))).toBe(strip(golden(name.slice(0, -3))));
  });
});

/** Runs what takes a file; anything but an ObjectError is a fault. */
function use(bytes: Uint8Array): "read" | "refused" {
  const attempt = <T>(run: () => T): T | null => {
    try {
      return run();
    } catch (error) {
      if (error instanceof ObjectError) return null;
      throw error;
    }
  };
  const spec = attempt(() => readObject(bytes));
  if (spec === null) return "refused";
  attempt(() => writeObject(spec));
  for (const name of Object.keys(spec.programs)) {
    attempt(() => {
      const linked = linkProgram(spec, name);
      objectBtf(spec, [linked]);
      if (spec.btf !== undefined) relocate(linked, { local: spec.btf, target: spec.btf });
    });
  }
  return "read";
}

/** Where the sections of these names lie in a file. */
function sectionsOf(file: Uint8Array, names: RegExp): { readonly offset: number; readonly size: number }[] {
  return readElf(file)
    .sections.filter(({ name, data }) => names.test(name) && data.length > 16)
    .map(({ data }) => ({ offset: data.byteOffset - file.byteOffset, size: data.length }));
}

describe("damaged objects", () => {
  const files = goldenNames.map((name) => goldenBytes(name));

  it("give a typed error, and nothing else, 3,000 times", () => {
    const next = random(20_251_121);
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < 3000; round++) {
      const file = files[next(files.length)];
      if (file !== undefined) outcomes[use(damage(file, next))]++;
    }
    // Both happen: the damage is neither always fatal nor always harmless.
    expect(Math.min(outcomes.read, outcomes.refused)).toBeGreaterThan(500);
  }, 600_000);

  it.each([
    ["function, line and CO-RE information", /^\.BTF\.ext$/],
    ["types", /^\.BTF$/],
    ["relocations", /^\.rel/],
    ["symbols and names", /^\.(symtab|strtab)$/],
    ["maps and struct_ops", /^(\.maps|maps|\.struct_ops.*)$/],
  ])(
    "give a typed error where %s are damaged",
    (_, sections) => {
      const next = random(19_750_203);
      const places = files.flatMap((file) => sectionsOf(file, sections).map((place) => ({ file, ...place })));
      expect(places.length).toBeGreaterThan(2);
      const outcomes = { read: 0, refused: 0 };
      for (let round = 0; round < 500; round++) {
        const place = places[next(places.length)];
        if (place === undefined) continue;
        const { file, offset, size } = place;
        const part = damage(file.subarray(offset, offset + size), next).subarray(0, size);
        const bytes = Uint8Array.from(file);
        bytes.set(part, offset);
        outcomes[use(bytes)]++;
      }
      expect(outcomes.read + outcomes.refused).toBe(500);
      expect(outcomes.read).toBeGreaterThan(20);
    },
    60_000,
  );

  it.each([0, 1, 4, 16, 63, 64, 100])("of %i bytes are refused", (length) => {
    expect(() => readObject(goldenBytes("subprograms").slice(0, length))).toThrow(ObjectError);
  });

  it("name the section", () => {
    const bytes = goldenBytes("global-data");
    const at = Buffer.from(bytes).indexOf(Buffer.from([0x9f, 0xeb, 1, 0, 24]));
    bytes[at] = 0;
    expect(() => readObject(bytes)).toThrow(/section \.BTF/);
  });
});
