import {
  array,
  be16,
  be32,
  config,
  global,
  hash,
  hashOfMaps,
  lruHash,
  percpuHash,
  progArray,
  ringBuf,
  struct,
  tc,
  u16,
  u32,
  u64,
  type Of,
} from "@skep/bpf";
import { BtfBuilder, type MapSpec, type ObjectSpec, type ProgramSpec } from "@skep/object";
import { describe, expect, expectTypeOf, test } from "vitest";
import {
  type EventStream,
  load,
  LayoutMismatchError,
  type PerCpuMap,
  type TypedMap,
  type Variable,
} from "../src/index.ts";
import { fakeBpf } from "./fake-machine.ts";

type U32 = Of<typeof u32>;
type U64 = Of<typeof u64>;

const Tuple = struct("Tuple", { saddr: be32, daddr: be32, sport: be16, dport: be16 });
const Count = struct("Count", { packets: u64, bytes: u64 });
const Limits = struct("Limits", { low: u16, high: u16 });

/** As `import * as module from "./count.bpf.ts"` gives it. */
const module = {
  Tuple,
  port: config("port", u16, 80),
  limits: config("limits", Limits, { low: 1, high: 2 }),
  total: global("total", u64, 5n),
  seen: lruHash("seen_map", { key: Tuple, value: Count, maxEntries: 64 }),
  numbers: hash("numbers", { key: u32, value: u64, maxEntries: 4 }),
  perCpu: percpuHash("percpu", { key: u32, value: Count, maxEntries: 4 }),
  policies: hashOfMaps("policies", {
    key: u32,
    inner: hash("inner", { key: u32, value: Limits, maxEntries: 8 }),
    maxEntries: 4,
  }),
  jumps: progArray("jumps", { maxEntries: 2 }),
  news: ringBuf("news", Tuple, { bytes: 4096 }),
  count: tc("count_prog", () => 0),
};

function program(name: string): ProgramSpec {
  const code = { instructions: [], references: [], lines: [], coreRelocations: [] };
  return { name, linkage: "global", section: "tc", type: "sched_cls", flags: 0, ...code };
}

/** The object that a compiler makes of the module; `narrow`: of an older one, where bytes were 32 bits. */
function object(options: { narrow?: boolean } = {}): ObjectSpec {
  const b = new BtfBuilder();
  const [half, word, long] = [
    b.intType("u16", 2, "unsigned"),
    b.intType("u32", 4, "unsigned"),
    b.intType("u64", 8, "unsigned"),
  ];
  const [half16, word32] = [b.typedef("be16", half), b.typedef("be32", word)];
  const tuple = b.struct("Tuple", [
    { name: "saddr", typeId: word32 },
    { name: "daddr", typeId: word32 },
    { name: "sport", typeId: half16 },
    { name: "dport", typeId: half16 },
  ]);
  const count = b.struct("Count", [
    { name: "packets", typeId: long },
    { name: "bytes", typeId: options.narrow ? word : long },
  ]);
  const limits = b.struct("Limits", [
    { name: "low", typeId: half },
    { name: "high", typeId: half },
  ]);
  const map = (name: string, type: string, change: Partial<MapSpec>): [string, MapSpec] => [
    name,
    { name, type, keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, pinning: "none", ...change },
  ];
  const section = (
    name: string,
    readOnly: boolean,
    variables: { name: string; typeId: number; size: number }[],
  ): [string, MapSpec] => {
    let at = 0;
    const placed = variables.map((each) => ({ ...each, offset: (at += 8) - 8 }));
    const contents = new Uint8Array(at);
    if (!readOnly) contents[0] = 5;
    return map(name, "array", { valueSize: at, maxEntries: 1, data: { contents, readOnly, variables: placed } });
  };
  return {
    license: "GPL",
    byteOrder: "little",
    functions: {},
    programs: { count_prog: program("count_prog") },
    maps: Object.fromEntries([
      map("seen_map", "lru_hash", { keySize: 12, valueSize: 16, keyTypeId: tuple, valueTypeId: count }),
      map("numbers", "hash", { keyTypeId: word, valueTypeId: long }),
      map("percpu", "percpu_hash", { valueSize: 16, keyTypeId: word, valueTypeId: count }),
      map("policies", "hash_of_maps", {
        valueSize: 4,
        keyTypeId: word,
        inner: { ...map("inner", "hash", { valueSize: 4, keyTypeId: word, valueTypeId: limits })[1] },
      }),
      map("jumps", "prog_array", { valueSize: 4 }),
      map("news", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 }),
      section(".rodata", true, [
        { name: "port", typeId: half, size: 2 },
        { name: "limits", typeId: limits, size: 4 },
      ]),
      section(".data", false, [{ name: "total", typeId: long, size: 8 }]),
    ]),
    btf: b.build(),
  };
}

const key = { saddr: 0x0a000001, daddr: 0x0a000002, sport: 1234, dport: 80 };

describe("load", () => {
  test("types of the handles are those of the module", () => {
    const app = load({ bpf: fakeBpf() }, object(), { module, config: { port: 8080, limits: { low: 3, high: 4 } } });
    expectTypeOf(app.maps.numbers).toEqualTypeOf<TypedMap<U32, U64>>();
    expectTypeOf(app.maps.seen.get).returns.toEqualTypeOf<Of<typeof Count> | null>();
    expectTypeOf(app.globals.total).toEqualTypeOf<Variable<U64>>();
    expectTypeOf<keyof typeof app.maps>().toEqualTypeOf<"seen" | "numbers" | "perCpu" | "policies" | "jumps">();
    expectTypeOf<keyof typeof app.events>().toEqualTypeOf<"news">();
    expectTypeOf<keyof typeof app.programs>().toEqualTypeOf<"count">();
    expectTypeOf<keyof typeof app.globals>().toEqualTypeOf<"total">();
    expectTypeOf(app.events.news).toEqualTypeOf<EventStream<Of<typeof Tuple>>>();
    expectTypeOf<Parameters<typeof app.maps.numbers.set>[1]>().toEqualTypeOf<U64>();
    // @ts-expect-error a key of another map
    expect(() => app.maps.numbers.get(key)).toThrow(RangeError);
    // @ts-expect-error a number where a bigint is wanted
    app.maps.numbers.set(1, 2);
    // @ts-expect-error no such map
    expect(() => app.maps.nothing).toThrow("no map nothing");
    // @ts-expect-error no such field
    expect(() => app.maps.seen.set(key, { packets: 1n })).toThrow("value.bytes is missing");
    // @ts-expect-error a global is not set before the load
    expect(() => load({ bpf: fakeBpf() }, object(), { module, config: { total: "x" } })).toThrow(TypeError);
  });

  test("maps take and give values", () => {
    const bpf = fakeBpf();
    const app = load({ bpf }, object(), { module });
    const { seen, numbers } = app.maps;
    expect(seen.get(key)).toBeNull();
    seen.set(key, { packets: 1n, bytes: 60n });
    expect(seen.get(key)).toEqual({ packets: 1n, bytes: 60n });
    expect(Buffer.from([...seen.raw.entries()][0]![0]).toString("hex")).toBe("0a0000010a00000204d20050");
    expect(seen.has(key)).toBe(true);
    expect([...seen]).toEqual([[key, { packets: 1n, bytes: 60n }]]);
    expect(seen.delete(key)).toBe(true);
    expect(seen.delete(key)).toBe(false);
    numbers.setAll([
      [1, 10n],
      [2, 20n],
      [3, 30n],
    ]);
    expect(() => numbers.set(1, 1n, "new")).toThrow("EEXIST");
    expect([...numbers.keys()]).toEqual([1, 2, 3]);
    expect([...numbers.values()]).toEqual([10n, 20n, 30n]);
    numbers.deleteAll([1, 3]);
    expect([...numbers.entries()]).toEqual([[2, 20n]]);
    numbers.clear();
    expect([...numbers]).toEqual([]);
    app.close();
    expect(bpf.loads[0]!.collection.maps["seen_map"]!.isClosed).toBe(true);
  });

  test("a per-CPU map has a value for each CPU, and their sum", () => {
    const app = load({ bpf: fakeBpf() }, object(), { module });
    const map = app.maps.perCpu;
    expectTypeOf(map).toEqualTypeOf<PerCpuMap<U32, Of<typeof Count>>>();
    map.set(1, [
      { packets: 1n, bytes: 2n },
      { packets: 10n, bytes: 20n },
    ]);
    expect(map.get(1)).toHaveLength(2);
    expect(map.get(1)![1]).toEqual({ packets: 10n, bytes: 20n });
    expect(map.get(1)!.sum()).toEqual({ packets: 11n, bytes: 22n });
    expect(map.get(2)).toBeNull();
  });

  test("maps of maps and program arrays hold objects", () => {
    const bpf = fakeBpf();
    const app = load({ bpf }, object(), { module });
    const inner = app.maps.policies.createInner();
    inner.set(7, { low: 1, high: 2 });
    app.maps.policies.set(42, inner);
    const held = bpf.loads[0]!.collection.maps["policies"]!.held;
    expect([...held.values()]).toEqual([inner.raw]);
    expect([...app.maps.policies.keys()]).toEqual([42]);
    expect(app.maps.policies.get(42)?.get(7)).toEqual({ low: 1, high: 2 });
    expect(app.maps.policies.get(43)).toBeNull();
    expect(app.maps.policies.has(42)).toBe(true);
    expect(app.maps.policies.delete(42)).toBe(true);
    app.maps.jumps.set(1, app.programs.count);
    expect([...bpf.loads[0]!.collection.maps["jumps"]!.held.values()]).toEqual([app.programs.count]);
  });

  test("configuration reaches the loader under the object's names", () => {
    const bpf = fakeBpf();
    load({ bpf }, object(), {
      module,
      config: { port: 8080, limits: { low: 3, high: 4 } },
      maxEntries: { numbers: 9 },
    });
    expect(bpf.loads[0]!.options).toEqual({
      config: { port: 8080, limits: Uint8Array.of(3, 0, 4, 0) },
      maxEntries: { numbers: 9 },
    });
  });

  test("globals are read and written in place", () => {
    const app = load({ bpf: fakeBpf() }, object(), { module });
    expect(app.globals.total.value).toBe(5n);
    app.globals.total.value = 6n;
    expect(app.globals.total.value).toBe(6n);
  });

  test("without the module the object's names are used", () => {
    const app = load<{ numbers: typeof module.numbers; seen: typeof module.seen }>({ bpf: fakeBpf() }, object());
    app.maps.numbers.set(1, 2n);
    expect(app.maps.numbers.get(1)).toBe(2n);
    expect(() => app.maps.seen).toThrow(
      "the object has no map seen; its names are those in the object unless the module is given",
    );
  });

  test("a module that is not the object's is refused, and nothing stays loaded", () => {
    const bpf = fakeBpf();
    const error = (() => {
      try {
        load({ bpf }, object({ narrow: true }), { module });
      } catch (thrown) {
        return thrown;
      }
      return null;
    })();
    expect(error).toBeInstanceOf(LayoutMismatchError);
    expect((error as LayoutMismatchError).difference.path).toBe("value.bytes");
    expect(bpf.loads[0]!.collection.maps["numbers"]!.isClosed).toBe(true);
  });

  test("attach goes to the machine", () => {
    const app = load({ bpf: fakeBpf() }, object(), { module });
    const link = app.attach(app.programs.count, { hook: "tcx", interface: 3, direction: "ingress" });
    expect(link.info.type).toBe("tcx");
    expect(array.length).toBe(2);
  });
});
