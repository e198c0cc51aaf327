import { describe, expect, test } from "vitest";
import { goldenBytes } from "../../test/golden.ts";
import { ObjectError } from "../errors.ts";
import { readBtfSection } from "./btf-section.ts";
import { readObject } from "./read.ts";

describe("readBtfSection", () => {
  test("gives the types as they stand in the file", () => {
    const bytes = goldenBytes("global-data");
    const raw = readBtfSection(bytes);
    const filled = readObject(bytes).btf;
    expect(raw?.types.length).toBe(filled?.types.length);
    const sizes = (types: typeof filled) =>
      types?.types.flatMap((type) => (type.kind === "datasec" ? [type.size] : []));
    expect(sizes(raw ?? undefined)?.every((size) => size === 0)).toBe(true);
    expect(sizes(filled)?.every((size) => size > 0)).toBe(true);
  });

  test("what is no object is a typed error", () => {
    expect(() => readBtfSection(new Uint8Array(100))).toThrow(ObjectError);
  });
});
