import { existsSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BtfBuilder } from "./builder.ts";
import { decodeBtf } from "./decode.ts";
import { encodeBtf } from "./encode.ts";
import { essentialName } from "./flavor.ts";
import { openBtf } from "./open.ts";
import { alignOf, findByName, resolveType, sizeOf } from "./query.ts";
import type { BtfTypes } from "./types.ts";
import { ObjectError } from "../errors.ts";
import { viewOf } from "./view.ts";

/** One of every kind. */
function zoo(): BtfTypes {
  const b = new BtfBuilder();
  const u32 = b.intType("unsigned int", 4, "unsigned");
  const u64 = b.intType("unsigned long long", 8, "unsigned");
  const char = b.intType("char", 1, "char");
  const bool = b.intType("_Bool", 1, "bool");
  const node = b.reserve();
  const pointer = b.pointer(b.modifier("const", node));
  b.struct(
    "node",
    [
      { name: "next", typeId: pointer },
      { name: "value", typeId: u32 },
    ],
    { id: node },
  );
  b.struct("bits", [
    { name: "a", typeId: u32, bitOffset: 0, bitSize: 3 },
    { name: "b", typeId: u32, bitOffset: 3, bitSize: 29 },
  ]);
  b.union("both", [
    { name: "word", typeId: u32 },
    { name: "text", typeId: b.array(char, 7) },
  ]);
  b.enumType("sign", { minus: -1, plus: 1 });
  b.enumType("wide", { big: 1n << 40n, small: 1 });
  b.forward("elsewhere");
  b.forward("either", true);
  const typedef = b.typedef("word_t", b.modifier("volatile", u32));
  b.modifier("restrict", pointer);
  const proto = b.funcProto(u32, [
    { name: "first", typeId: pointer },
    { name: "", typeId: 0 },
  ]);
  const func = b.func("work", proto, "global");
  b.declTag("arg:nonnull", func, 0);
  const variable = b.variable("counter", typedef, "static");
  b.datasec(".bss", 8, [{ typeId: variable, offset: 4, size: 4 }]);
  b.floatType("double", 8);
  b.pointer(b.typeTag("kptr", u64));
  b.typedef("flag", bool);
  return b.build();
}

describe("BTF", () => {
  it.each(["little", "big"] as const)("comes back from %s-endian bytes", (byteOrder) => {
    const bytes = encodeBtf(zoo(), { byteOrder });
    expect(decodeBtf(bytes)).toEqual(zoo());
    expect(encodeBtf(decodeBtf(bytes), { byteOrder })).toEqual(bytes);
    const lazy = openBtf(bytes);
    expect(Array.from({ length: lazy.end - 1 }, (_, index) => lazy.get(index + 1))).toEqual(zoo().types);
  });

  it("keeps equal types once", () => {
    const b = new BtfBuilder();
    expect(b.pointer(b.intType("int", 4, "signed"))).toBe(b.pointer(b.intType("int", 4, "signed")));
    expect(b.func("f", 1, "static")).not.toBe(b.func("f", 1, "static"));
    const again = new BtfBuilder(b.build());
    expect(again.intType("int", 4, "signed")).toBe(1);
  });

  it("lays structs out as C does", () => {
    const b = new BtfBuilder();
    const u8 = b.intType("u8", 1, "unsigned");
    const u64 = b.intType("u64", 8, "unsigned");
    const id = b.struct("s", [
      { name: "a", typeId: u8 },
      { name: "b", typeId: u64 },
      { name: "c", typeId: u8 },
    ]);
    const packed = b.struct(
      "p",
      [
        { name: "a", typeId: u8 },
        { name: "b", typeId: u64, offset: 1 },
      ],
      { size: 9 },
    );
    expect(b.get(id)).toMatchObject({ size: 24, members: [{ bitOffset: 0 }, { bitOffset: 64 }, { bitOffset: 128 }] });
    expect([sizeOf(b, id), alignOf(b, id), sizeOf(b, packed), alignOf(b, packed)]).toEqual([24, 8, 9, 1]);
    expect(() => {
      b.reserve();
      b.build();
    }).toThrow(ObjectError);
  });

  it("answers questions", () => {
    const btf = zoo();
    const typedef = findByName(btf, "word_t", "typedef");
    expect(typedef).not.toBeNull();
    expect(resolveType(btf, typedef?.id ?? 0)).toMatchObject({ kind: "int", name: "unsigned int" });
    expect(sizeOf(btf, findByName(btf, "both")?.id ?? 0)).toBe(8);
    expect(sizeOf(btf, findByName(btf, "elsewhere")?.id ?? 0)).toBeNull();
    expect(sizeOf(btf, 0)).toBeNull();
    expect(findByName(btf, "nothing")).toBeNull();
    expect(() => viewOf(btf).get(10_000)).toThrow(ObjectError);
  });

  it.each([
    ["task_struct", "task_struct"],
    ["task_struct___old", "task_struct"],
    ["a___b___c", "a___b"],
    ["a____b", "a____b"],
    ["___x", "___x"],
    ["x___", "x___"],
  ])("takes the flavor off %s", (name, essential) => {
    expect(essentialName(name)).toBe(essential);
  });

  it("finds flavors in data and in bytes alike", () => {
    const b = new BtfBuilder();
    for (const name of ["x", "x___v2", "y", "x___v3", "x____4"]) b.struct(name, []);
    const views = [viewOf(b.build()), openBtf(encodeBtf(b.build(), { byteOrder: "little" }))];
    for (const view of views) {
      expect(view.flavors("x")).toEqual([1, 2, 4]);
      expect(view.named("x___v3")).toEqual([4]);
      expect(view.flavors("x___v2")).toEqual([]);
    }
  });

  it("reads and writes split BTF", () => {
    const base = openBtf(encodeBtf(zoo(), { byteOrder: "little" }));
    const own: BtfTypes = {
      firstId: base.end,
      types: [
        {
          kind: "struct",
          name: "mine",
          size: 4,
          members: [{ name: "v", typeId: 1, bitOffset: 0, bitSize: 0 }],
          hasBitfields: false,
        },
        { kind: "ptr", typeId: base.end },
      ],
    };
    const bytes = encodeBtf(own, { byteOrder: "little", baseStringBytes: base.strings.own.length });
    expect(decodeBtf(bytes, { base })).toEqual(own);
    const split = openBtf(bytes, base);
    expect(split.named("mine")).toEqual([base.end]);
    expect(split.named("node")).toEqual(base.named("node"));
    expect(sizeOf(split, base.end + 1)).toBe(8);
  });

  it("throws ObjectError, and nothing else, for damaged bytes", () => {
    const good = encodeBtf(zoo(), { byteOrder: "little" });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(good.length),
        (edits, length) => {
          const bytes = good.slice(0, length % 3 === 0 ? length : good.length);
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          const attempt = (run: () => void) => {
            try {
              run();
            } catch (error) {
              expect(error).toBeInstanceOf(ObjectError);
            }
          };
          attempt(() => {
            const btf = decodeBtf(bytes);
            btf.types.forEach((_, index) => attempt(() => void sizeOf(btf, index + 1)));
            btf.types.forEach((_, index) => attempt(() => void alignOf(btf, index + 1)));
          });
          attempt(() => void openBtf(bytes).named("node"));
        },
      ),
      { numRuns: 3000, seed: 7 },
    );
  });
});

const vmlinux = "/sys/kernel/btf/vmlinux";
if (!existsSync(vmlinux)) console.warn(`skipped: no ${vmlinux}`);

describe.skipIf(!existsSync(vmlinux))("the kernel's own BTF", () => {
  it("is opened without decoding it", () => {
    const view = openBtf(readFileSync(vmlinux));
    const task = findByName(view, "task_struct", "struct");
    expect(task?.type.members.some(({ name }) => name === "pid")).toBe(true);
    expect(view.end).toBeGreaterThan(10_000);
  });

  it("comes back from its bytes", () => {
    const bytes = readFileSync(vmlinux);
    const types = decodeBtf(bytes);
    const again = decodeBtf(encodeBtf(types, { byteOrder: "little" }));
    expect(again.types.length).toBe(types.types.length);
    for (let index = 0; index < types.types.length; index += 97) expect(again.types[index]).toEqual(types.types[index]);
  });
});
