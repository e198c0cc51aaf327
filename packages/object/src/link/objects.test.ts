import { exit, lddw, call, mov64, r0, r1 } from "@skep/isa";
import { describe, expect, it } from "vitest";
import { describeSpec } from "../../test/describe-spec.ts";
import { golden, goldenNames } from "../../test/golden.ts";
import { BtfBuilder } from "../btf/builder.ts";
import { ObjectError } from "../errors.ts";
import { dataMap } from "../object/read-data.ts";
import { completeSpec } from "../object/complete.ts";
import { readObject } from "../object/read.ts";
import { writeObject } from "../object/write.ts";
import type { DataSection, FunctionSpec, MapSpec, ObjectSpec, Reference } from "../spec.ts";
import { linkObjects } from "./objects.ts";
import { linkProgram } from "./program.ts";

const [a, b] = [golden("link-a"), golden("link-b")];
/** Code, maps and data as text, without the numbers of types. */
const shape = (spec: ObjectSpec) =>
  describeSpec(spec)
    .replaceAll(/ (key |value )?\[\d+\]/g, "")
    .replaceAll(/types (\d+|none)/g, "");

interface Part {
  readonly functions?: readonly (Pick<FunctionSpec, "name" | "linkage"> & {
    readonly references?: readonly Reference[];
  })[];
  readonly data?: DataSection["variables"];
  readonly change?: Partial<ObjectSpec>;
}

/** A small object: functions that do what their references say, `.data` of 4-byte variables. */
function object({ functions = [], data = [], change = {} }: Part): ObjectSpec {
  const types = new BtfBuilder();
  const int = types.intType("int", 4, "signed");
  const proto = types.funcProto(int, []);
  const made = functions.map(({ name, linkage, references = [] }): FunctionSpec => {
    const typeId = types.func(name, proto, linkage === "static" ? "static" : "global");
    const first = references[0];
    const instructions = [first === undefined ? mov64(r0, 1) : first.kind === "call" ? call(0) : lddw(r1, 0), exit()];
    return { name, linkage, typeId, instructions, references, lines: [], coreRelocations: [] };
  });
  const contents = Uint8Array.from({ length: data.length * 4 }, (_, at) => at + 1);
  const variables = data.map((variable) => ({ ...variable, typeId: int }));
  return completeSpec({
    license: "GPL",
    byteOrder: "little",
    maps:
      data.length === 0 ? {} : { ".data": dataMap({ name: ".data", data: { contents, readOnly: false, variables } }) },
    programs: {},
    functions: Object.fromEntries(made.map((fn) => [fn.name, fn])),
    btf: types.build(),
    ...change,
  });
}

const variable = (name: string, offset: number, more: Partial<DataSection["variables"][number]> = {}) => ({
  name,
  offset,
  size: 4,
  typeId: 1,
  ...more,
});

describe("linking objects", () => {
  const linked = linkObjects([a, b]);

  it.each([
    ["functions and data", ["link-a", "link-b"], "linked"],
    ["weak and declared maps, aligned data", ["link-c", "link-d"], "linked-maps"],
  ] as const)("gives what bpftool gives: %s", (_, parts, theirs) => {
    const ours = linkObjects(parts.map((name) => golden(name)));
    const sorted = (spec: ObjectSpec) => shape(spec).split("\n").sort();
    expect(sorted(ours)).toEqual(sorted(golden(theirs)));
    expect(readObject(writeObject(ours))).toEqual(ours);
  });

  it("refuses maps of one name that differ, and two strong ones", () => {
    const [c, d] = [golden("link-c"), golden("link-d")];
    const withMap = (spec: ObjectSpec, name: string, change: Partial<MapSpec>): ObjectSpec => {
      const map = { ...spec.maps[name], ...change } as MapSpec;
      return { ...spec, maps: { ...spec.maps, [name]: map } };
    };
    expect(() => linkObjects([c, withMap(d, "weak_map", { maxEntries: 4 })])).toThrow(/different definitions/);
    expect(() => linkObjects([c, withMap(c, "shared", {})])).toThrow(/shared is defined twice/);
  });

  it("keeps sections where their variables want them", () => {
    const [c, d] = [golden("link-c"), golden("link-d")];
    expect(linkObjects([d, c]).maps[".data"]?.data).toMatchObject({ align: 64 });
    const lined = linkObjects([c, d]).maps[".data"]?.data?.variables.find(({ name }) => name === "lined");
    expect(lined?.offset).toBe(64);
  });

  it("gives a file that is read again", () => {
    expect(readObject(writeObject(linked))).toEqual(linked);
    expect(linkProgram(linked, "entry").functions.map(({ name }) => name)).toEqual([
      "entry",
      "helper",
      "other_function",
      "helper.1",
      "choose",
    ]);
  });

  it("takes one object as it is", () => {
    for (const name of goldenNames) expect(shape(linkObjects([golden(name)]))).toBe(shape(golden(name)));
  });

  it("gives the same in two steps", () => {
    const c = object({ functions: [{ name: "third", linkage: "global" }] });
    expect(shape(linkObjects([linkObjects([a, b]), c]))).toBe(shape(linkObjects([a, b, c])));
  });

  it("leaves declared what no object defines", () => {
    const alone = linkObjects([a]);
    expect(() => linkProgram(alone, "entry")).toThrow(/other_function/);
    expect(readObject(writeObject(alone))).toEqual(alone);
  });

  it("keeps the declared kernel functions and configuration of all", () => {
    const all = linkObjects([golden("kfuncs"), golden("kconfig"), golden("iterators"), golden("ksyms")]);
    const names = [...(all.btf?.types ?? [])].flatMap((type) =>
      type.kind === "datasec" && type.name === ".ksyms" ? type.variables.length : [],
    );
    expect(names).toEqual([5 + 3 + 4]);
    expect(all.maps[".kconfig"]?.data?.variables.length).toBe(6);
    expect(readObject(writeObject(all))).toEqual(all);
  });

  it("lets a strong function take the place of a weak one, and tells static ones apart", () => {
    const use = (name: string, called: string): Part["functions"] => [
      { name, linkage: "global", references: [{ at: 0, kind: "call", function: called }] },
    ];
    const one = object({
      functions: [
        { name: "f", linkage: "weak" },
        { name: "s", linkage: "static" },
        ...(use("u1", "s") ?? []),
        ...(use("u2", "f") ?? []),
      ],
    });
    const two = object({
      functions: [{ name: "f", linkage: "global" }, { name: "s", linkage: "static" }, ...(use("u3", "s") ?? [])],
    });
    const both = linkObjects([one, two]);
    expect(both.functions["f"]?.linkage).toBe("global");
    expect(both.functions["u1"]?.references).toEqual([{ at: 0, kind: "call", function: "s" }]);
    expect(both.functions["u3"]?.references).toEqual([{ at: 0, kind: "call", function: "s.1" }]);
    expect(Object.keys(both.functions).sort()).toEqual(["f", "s", "s.1", "u1", "u2", "u3"]);
  });

  it("moves references to data, also into the definition that counts", () => {
    const reads = (offset: number): Part["functions"] => [
      { name: `read${offset}`, linkage: "global", references: [{ at: 0, kind: "data", map: ".data", offset }] },
    ];
    const one = object({
      data: [variable("own", 0), variable("shared", 4, { weak: true })],
      functions: [...(reads(0) ?? []), ...(reads(6) ?? [])],
    });
    const two = object({
      data: [variable("local", 0, { linkage: "static" }), variable("shared", 4)],
      functions: [
        { name: "ext", linkage: "global", references: [{ at: 0, kind: "extern", name: "own", weak: false }] },
      ],
    });
    const both = linkObjects([one, two]);
    const offset = (name: string) =>
      both.functions[name]?.references.map((reference) => (reference.kind === "data" ? reference.offset : -1));
    expect([offset("read0"), offset("read6"), offset("ext")]).toEqual([[0], [14], [0]]);
    expect(both.maps[".data"]?.data?.variables.map(({ name, offset: at }) => [name, at])).toEqual([
      ["own", 0],
      ["local", 8],
      ["shared", 12],
    ]);
  });

  it.each<[string, ObjectSpec, ObjectSpec, RegExp]>([
    [
      "functions defined twice",
      object({ functions: [{ name: "f", linkage: "global" }] }),
      object({ functions: [{ name: "f", linkage: "global" }] }),
      /function f is defined twice/,
    ],
    [
      "variables defined twice",
      object({ data: [variable("v", 0)] }),
      object({ data: [variable("v", 0)] }),
      /variable v is defined twice/,
    ],
    [
      "maps defined twice",
      { ...golden("inner-maps"), programs: {} },
      { ...golden("inner-maps"), programs: {} },
      /map \w+ is defined twice/,
    ],
    ["licenses that differ", object({}), object({ change: { license: "MIT" } }), /different license/],
    ["byte orders that differ", object({}), object({ change: { byteOrder: "big" } }), /different byte order/],
  ])("refuses %s", (_, one, two, message) => {
    expect(() => linkObjects([one, two])).toThrow(message);
    expect(() => linkObjects([one, two])).toThrow(ObjectError);
  });

  it("refuses a declaration that differs from its definition", () => {
    const extern = (maxEntries: number): ObjectSpec => {
      const totals = b.maps["totals"];
      if (totals === undefined) throw new Error("no map");
      return { ...b, maps: { ...b.maps, totals: { ...totals, maxEntries } } };
    };
    expect(() => linkObjects([a, extern(4)])).not.toThrow();
    expect(() => linkObjects([a, extern(5)])).toThrow(/different definitions/);
    expect(() => linkObjects([])).toThrow(ObjectError);
  });
});
