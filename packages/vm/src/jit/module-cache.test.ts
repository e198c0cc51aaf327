import { describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import type { MapSpec, ObjectSpec, ProgramSpec, Reference } from "@skep/object";
import { Vm } from "../vm.ts";

const TEXT = `
  r1 = 0
  *(u32 *)(r10 - 4) = r1
  r2 = r10
  r2 += -4
  r1 = map[name:values]
  call bpf_map_lookup_elem
  if r0 == 0 goto +1
  r0 = *(u32 *)(r0 + 0)
  exit
`;

const mapSpec = (name: string, rest: Partial<MapSpec> = {}): MapSpec => ({
  ...{ name, type: "array", keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, pinning: "none" },
  ...rest,
});

function objectOf(maps: readonly MapSpec[], text = TEXT): ObjectSpec {
  const { instructions, diagnostics, references } = assemble(text);
  expect(diagnostics).toEqual([]);
  const found = references.flatMap((each): Reference[] =>
    each.kind === "map" ? [{ at: each.at, kind: "map", map: each.map }] : [],
  );
  const program: ProgramSpec = {
    ...{ name: "p", section: "xdp", type: "xdp", flags: 0, linkage: "global", instructions, references: found },
    ...{ lines: [], coreRelocations: [] },
  };
  return {
    ...{ license: "GPL", byteOrder: "little", functions: {}, programs: { p: program } },
    maps: Object.fromEntries(maps.map((map) => [map.name, map])),
  };
}

/** A machine of its own with the object, its first value set; what the program gives. */
function answer(spec: ObjectSpec, value: number): number {
  const vm = new Vm({ clock: () => 0n, random: () => 0 });
  const { maps, programs } = vm.load(spec);
  const { values } = maps;
  const { p } = programs;
  if (values === undefined || p === undefined) throw new Error("nothing was loaded");
  const bytes = new Uint8Array(values.spec.valueSize);
  new DataView(bytes.buffer).setUint32(0, value, true);
  values.set(new Uint8Array(4), bytes);
  return vm.run(p, { packet: new Uint8Array(64) }).returned;
}

describe("programs that were compiled before", () => {
  test("read their own machine's maps", () => {
    const spec = objectOf([mapSpec("values")]);
    expect([1, 2, 3].map((value) => answer(spec, value))).toEqual([1, 2, 3]);
    // The same instructions, read anew.
    expect(answer(objectOf([mapSpec("values")]), 4)).toBe(4);
  });

  test("are compiled again where a map lies elsewhere or has another shape", () => {
    expect(answer(objectOf([mapSpec("values")]), 5)).toBe(5);
    expect(answer(objectOf([mapSpec("other", { maxEntries: 9000 }), mapSpec("values")]), 6)).toBe(6);
    expect(answer(objectOf([mapSpec("values", { valueSize: 64 })]), 7)).toBe(7);
    expect(answer(objectOf([mapSpec("values", { type: "hash" })]), 8)).toBe(8);
    expect(answer(objectOf([mapSpec("values", { type: "lru_hash" })]), 9)).toBe(9);
    expect(answer(objectOf([mapSpec("values", { type: "percpu_array" })]), 10)).toBe(10);
    expect(answer(objectOf([mapSpec("values")]), 11)).toBe(11);
  });

  test("are compiled again where an instruction differs", () => {
    const other = TEXT.replace("*(u32 *)(r0 + 0)", "*(u32 *)(r0 + 4)");
    expect(answer(objectOf([mapSpec("values")]), 5)).toBe(5);
    expect(answer(objectOf([mapSpec("values")], other), 5)).toBe(0);
  });
});
