import { BtfBuilder, type MapSpec } from "@skep/object";
import { describe, expect, test } from "vitest";
import { describeLayout } from "./layout.ts";

const build = (change: { name?: string; field?: string; order?: boolean; pad?: boolean; typedef?: string } = {}) => {
  const b = new BtfBuilder();
  // Other types before it: ids differ, layouts do not.
  if (change.pad) b.intType("padding", 8, "unsigned");
  const word = b.intType("u32", 4, "unsigned");
  const address = b.typedef(change.typedef ?? "be32", word);
  const fields = [
    { name: change.field ?? "address", typeId: address },
    { name: "count", typeId: word },
  ];
  const key = b.struct(change.name ?? "Key", change.order ? fields.reverse() : fields);
  const spec: MapSpec = {
    name: "m",
    type: "hash",
    keySize: 8,
    valueSize: 4,
    maxEntries: 10,
    flags: 0,
    keyTypeId: key,
    valueTypeId: word,
    pinning: "none",
  };
  return { spec, btf: b.build() };
};
const layout = (change: Parameters<typeof build>[0], spec: Partial<MapSpec> = {}): string => {
  const made = build(change);
  return describeLayout({ ...made.spec, ...spec }, made.btf);
};

describe("describeLayout", () => {
  const base = layout({});

  test("is stable", () => {
    const { spec, btf } = build();
    expect(describeLayout(spec, btf)).toBe("hash flags 0 key 8 struct8{address@0 u32be,count@4 u32} value 4 u32");
  });

  test.each([
    ["the name of a type", { name: "Other" }],
    ["type ids", { pad: true }],
    ["the kernel's own name of network order", { typedef: "__be32" }],
  ])("%s does not count", (_, change) => expect(layout(change)).toBe(base));

  test("the number of entries and the map's name do not count", () =>
    expect(layout({}, { maxEntries: 99, name: "other" })).toBe(base));

  test.each([
    ["a field's name", { field: "source" }],
    ["the order of fields", { order: true }],
    ["byte order", { typedef: "u32_t" }],
  ])("%s counts", (_, change) => expect(layout(change)).not.toBe(base));

  test.each([
    ["the type", { type: "lru_hash" }],
    ["flags", { flags: 1 }],
    ["sizes", { valueSize: 8 }],
    ["an inner map", { inner: build().spec }],
  ])("%s of the map counts", (_, change) => expect(layout({}, change)).not.toBe(base));

  test("without types the sizes alone count", () => {
    const { spec } = build();
    expect(describeLayout(spec)).toBe("hash flags 0 key bytes8 value bytes4");
  });
});
