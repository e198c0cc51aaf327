import { BtfBuilder, type MapSpec } from "@skep/object";
import { describe, expect, test } from "vitest";
import { ConversionError, convertRows } from "./conversion.ts";
import { describeLayout } from "./layout.ts";
import { LayoutTextError, parseLayout } from "./parse-layout.ts";

const layout = (key: string, value: string, type = "hash"): string => `${type} flags 0 key ${key} value ${value}`;
const u32 = "4 u32";
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("parseLayout", () => {
  test("reads what describeLayout writes of every kind of type", () => {
    const b = new BtfBuilder();
    const word = b.intType("u32", 4, "unsigned");
    const long = b.intType("i64", 8, "signed");
    const big = b.typedef("be16", b.intType("u16", 2, "unsigned"));
    const inner = b.union("U", [
      { name: "a", typeId: word },
      { name: "b", typeId: big },
    ]);
    const value = b.struct("V", [
      { name: "long", typeId: long },
      { name: "", typeId: inner },
      { name: "list", typeId: b.array(big, 3) },
      { name: "text", typeId: b.array(b.intType("char", 1, "signed"), 6) },
      { name: "flag", typeId: b.intType("bool", 1, "bool") },
    ]);
    const spec: MapSpec = {
      ...{ name: "m", type: "hash_of_maps", keySize: 4, valueSize: 4, maxEntries: 1, flags: 1, pinning: "none" },
      keyTypeId: word,
      inner: {
        ...{ name: "i", type: "array", keySize: 4, valueSize: 32, maxEntries: 1, flags: 0, pinning: "none" },
        ...{ keyTypeId: word, valueTypeId: value },
      },
    };
    const text = describeLayout(spec, b.build());
    expect(text).toContain("[3]u16be");
    const read = parseLayout(text);
    expect(read).toMatchObject({ type: "hash_of_maps", flags: 1, value: { size: 4, shape: null } });
    expect(read.inner?.value.shape).toMatchObject({
      kind: "struct",
      members: [
        { name: "long" },
        { name: "", shape: { kind: "union" } },
        { name: "list" },
        { name: "text" },
        { name: "flag" },
      ],
    });
  });

  test.each([
    "",
    "hash",
    "hash flags 0 key 4 u33 value bytes4",
    "hash flags 0 key 4 struct4{a@0 u32 value 4 u32",
    "hash flags 0 key bytes4 value bytes4 ",
  ])("refuses %j", (text) => expect(() => parseLayout(text)).toThrow(LayoutTextError));

  test("refuses a text that nests without end", () =>
    expect(() => parseLayout(layout(`4 ${"[1]".repeat(40)}u32`, u32))).toThrow("less nesting"));
});

describe("convertRows", () => {
  test("fields are found by name, wherever they stand; new ones are zero, those that are gone are left out", () => {
    const rows = convertRows(
      layout(u32, "8 struct8{gone@0 u16,count@2 u16,port@4 u16be,flag@6 u8}"),
      layout(u32, "16 struct16{port@0 u16be,new@4 u32,count@8 u64}"),
    );
    expect(rows.value(bytes(9, 9, 0x34, 0x12, 0, 80, 7, 0))).toEqual(
      bytes(0, 80, 0, 0, 0, 0, 0, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0),
    );
    expect(rows.key(bytes(1, 2, 3, 4))).toEqual(bytes(1, 2, 3, 4));
  });

  test("integers keep their number: signs are extended, byte order is turned", () => {
    const rows = convertRows(layout("2 i16", "4 u32be"), layout("4 i32", "8 u64"));
    expect(rows.key(bytes(0xfe, 0xff))).toEqual(bytes(0xfe, 0xff, 0xff, 0xff));
    expect(rows.value(bytes(1, 2, 3, 4))).toEqual(bytes(4, 3, 2, 1, 0, 0, 0, 0));
  });

  test("bit fields move and widen, also into whole integers", () => {
    const rows = convertRows(
      layout(u32, "4 struct4{a@0.0:3 u32,b@0.3:7 u32,c@1.2:2 i32}"),
      layout(u32, "8 struct8{b@0 u16,a@2.4:4 u32,c@4 i32}"),
    );
    // a = 5, b = 0x55, c = -2
    const word = 5 | (0x55 << 3) | (2 << 10);
    expect(rows.value(bytes(word & 255, word >> 8, 0, 0))).toEqual(bytes(0x55, 0, 0x50, 0, 0xfe, 0xff, 0xff, 0xff));
  });

  test("arrays may get longer, and their elements wider", () => {
    const rows = convertRows(layout(u32, "2 [2]u8"), layout(u32, "6 [3]u16"));
    expect(rows.value(bytes(1, 2))).toEqual(bytes(1, 0, 2, 0, 0, 0));
  });

  test("per-CPU values are rounded up to eight bytes each", () => {
    const from = layout(u32, "4 struct4{a@0 u32}", "percpu_hash");
    const to = layout(u32, "12 struct12{b@0 u64,a@8 u32}", "percpu_hash");
    const made = convertRows(from, to).value(bytes(1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0));
    expect([made.length, made[8], made[24]]).toEqual([32, 1, 2]);
  });

  test("inner maps have a conversion of their own", () => {
    const outer = (inner: string): string => `hash_of_maps flags 0 key 4 u32 value 4 u32 inner(${inner})`;
    const rows = convertRows(outer(layout(u32, "1 u8")), outer(layout(u32, "2 u16")));
    expect(rows.inner?.value(bytes(7))).toEqual(bytes(7, 0));
  });

  test.each([
    ["an integer that gets narrower", layout(u32, "4 u32"), layout(u32, "2 u16"), "the value was u32 and is u16"],
    ["an integer that loses its sign", layout(u32, "4 i32"), layout(u32, "8 u64"), "cannot hold all of it"],
    ["an integer that gets a sign but no room for it", layout(u32, "4 u32"), layout(u32, "4 i32"), "cannot hold"],
    ["a shorter array", layout(u32, "4 [4]u8"), layout(u32, "2 [2]u8"), "the value was [4]u8"],
    [
      "a field of another kind",
      layout(u32, "4 struct4{a@0 u32}"),
      layout(u32, "4 struct4{a@0 [4]u8}"),
      "the value.a was u32",
    ],
    [
      "a key with a new field",
      layout("4 struct4{a@0 u32}", u32),
      layout("8 struct8{a@0 u32,b@4 u32}", u32),
      "the key has other",
    ],
    [
      "a key without a field",
      layout("8 struct8{a@0 u32,b@4 u32}", u32),
      layout("4 struct4{a@0 u32}", u32),
      "the key has other",
    ],
    ["another type of map", layout(u32, u32), layout(u32, u32, "array"), "of type hash and is of type array"],
    [
      "another key of a trie",
      layout("8 struct8{p@0 u32,a@4 u32}", u32, "lpm_trie"),
      layout("12 struct12{p@0 u32,a@4 u64}", u32, "lpm_trie"),
      "trie",
    ],
    ["bytes without a type", layout(u32, "bytes4"), layout(u32, u32), "no types to go by"],
  ])("refuses %s", (_, from, to, why) => {
    expect(() => convertRows(from, to)).toThrow(ConversionError);
    expect(() => convertRows(from, to)).toThrow(why);
  });

  test("a hash may become one that evicts", () =>
    expect(convertRows(layout(u32, u32), layout(u32, u32, "lru_hash")).value(bytes(1, 0, 0, 0))).toEqual(
      bytes(1, 0, 0, 0),
    ));
});
