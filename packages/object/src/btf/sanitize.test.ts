import { describe, expect, it } from "vitest";
import { golden } from "../../test/golden.ts";
import { linkProgram } from "../link/program.ts";
import { objectBtf } from "../link/load-info.ts";
import { BtfBuilder } from "./builder.ts";
import { decodeBtf } from "./decode.ts";
import { kernelBtf } from "./kernel.ts";
import { sizeOf } from "./query.ts";
import { sanitizeBtf } from "./sanitize.ts";
import type { BtfFeatures } from "./sanitize.ts";
import type { BtfType } from "./types.ts";

function make() {
  const b = new BtfBuilder();
  const int = b.intType("int", 4, "signed");
  const variable = b.variable("x", int, "global");
  const section = b.datasec("?.data.x", 8, [{ typeId: variable, offset: 4, size: 4 }]);
  const proto = b.funcProto(int, [{ name: "a", typeId: int }]);
  const func = b.func("f", proto, "global");
  const float = b.floatType("double", 8);
  const decl = b.declTag("tag", func);
  const tag = b.typeTag("kptr", int);
  const signed = b.enumType("e", { A: -1 });
  const wide = b.enumType("w", { B: 1n << 40n });
  return { btf: b.build(), ids: { variable, section, proto, func, float, decl, tag, signed, wide } };
}

describe("sanitizing BTF", () => {
  const { btf, ids } = make();

  it("changes nothing for a kernel that knows everything", () => {
    expect(sanitizeBtf(btf, {})).toEqual(btf);
  });

  it.each<[keyof BtfFeatures, keyof typeof ids, Partial<BtfType>]>([
    ["datasec", "variable", { kind: "int", name: "x", size: 1 }],
    ["datasec", "section", { kind: "struct", name: "__data_x", size: 8 }],
    ["questionMark", "section", { kind: "datasec", name: "_.data.x" }],
    ["func", "proto", { kind: "enum", size: 4 }],
    ["func", "func", { kind: "typedef", name: "f" }],
    ["globalFunc", "func", { kind: "func", linkage: "static" }],
    ["float", "float", { kind: "struct", name: "", size: 8 }],
    ["declTag", "decl", { kind: "int", size: 1 }],
    ["typeTag", "tag", { kind: "const" }],
    ["enum64", "signed", { kind: "enum", signed: false }],
    ["enum64", "wide", { kind: "union", size: 8 }],
  ])("without %s: %s", (feature, id, wanted) => {
    const clean = sanitizeBtf(btf, { [feature]: false });
    expect(clean.types[ids[id] - 1]).toMatchObject(wanted);
    btf.types.forEach((type, index) => {
      if (["struct", "datasec", "float", "enum64"].includes(type.kind))
        expect(sizeOf(clean, index + 1)).toBe(sizeOf(btf, index + 1));
    });
  });

  it("leaves function information out where functions are unknown", () => {
    const spec = golden("subprograms");
    const linked = [linkProgram(spec, "first")];
    expect(objectBtf(spec, linked, { func: false })?.programs["first"]?.funcInfo.length).toBe(0);
    expect(objectBtf(spec, linked)?.programs["first"]?.funcInfo.length).toBe(8 * (linked[0]?.functions.length ?? 0));
  });
});

describe("BTF for loading", () => {
  it("makes of externs what a kernel takes", () => {
    for (const name of ["kfuncs", "ksyms", "kconfig"]) {
      const spec = golden(name);
      const { types } = kernelBtf(spec, spec.btf ?? { types: [] });
      expect(types.some((type) => (type.kind === "func" || type.kind === "var") && type.linkage === "extern")).toBe(
        false,
      );
      expect(types.some((type) => type.kind === "datasec" && type.size === 0)).toBe(false);
    }
  });

  it("makes hidden functions static", () => {
    const spec = golden("subprograms");
    const bytes = objectBtf(spec, [])?.btf ?? new Uint8Array();
    const linkage = (name: string) =>
      decodeBtf(bytes).types.flatMap((type) => (type.kind === "func" && type.name === name ? [type.linkage] : []));
    expect(linkage("hidden")).toEqual(["static"]);
    expect(linkage("global")).toEqual(["global"]);
  });
});
