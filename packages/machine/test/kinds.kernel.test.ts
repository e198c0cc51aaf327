import {
  array,
  be32,
  bloomFilter,
  cgroupArray,
  cpuMap,
  devMap,
  hash,
  hashOfMaps,
  lpmTrie,
  percpuArray,
  percpuHash,
  perfEventArray,
  queue,
  ringBuf,
  skStorage,
  sockHash,
  sockMap,
  stack,
  stackTraces,
  struct,
  u16,
  u32,
  u64,
  type Of,
} from "@skep/bpf";
import { createServer, type Server } from "node:net";
import { openLinux } from "@skep/linux";
import { type MapSpec, type ObjectSpec } from "@skep/object";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import {
  type App,
  type EventStream,
  LayoutMismatchError,
  load,
  MapTypeError,
  type PerCpuMap,
  type TypedBloomFilter,
  type TypedMap,
  type TypedMapOfMaps,
  type TypedQueue,
  type TypedReferences,
  type TypedStacks,
  type TypedStorage,
} from "../src/index.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: making maps needs root and BPF");

const Prefix = struct("Prefix", { bits: u32, address: be32 });
const Value = struct("Value", { count: u64, port: u16 });

/** What an old object without BTF declares, with the types that its author knows. */
const module = {
  plain: hash("plain", { key: u32, value: Value, maxEntries: 4 }),
  each: percpuArray("each", { value: u64, maxEntries: 2 }),
  eachHash: percpuHash("each_hash", { key: u32, value: u64, maxEntries: 2 }),
  prefixes: lpmTrie("prefixes", { key: Prefix, value: u64, maxEntries: 4 }),
  line: queue("line", { value: Value, maxEntries: 2 }),
  pile: stack("pile", { value: u32, maxEntries: 2 }),
  seen: bloomFilter("seen", { value: Value, maxEntries: 16 }),
  news: ringBuf("news", Value, { bytes: 4096 }),
  perf: perfEventArray("perf", Value),
  owned: skStorage("owned", { value: u64 }),
  sockets: sockMap("sockets", { maxEntries: 2 }),
  named: sockHash("named", { key: u32, maxEntries: 2 }),
  ports: devMap("ports", { maxEntries: 4 }),
  cpus: cpuMap("cpus", { maxEntries: 4 }),
  groups: cgroupArray("groups", { maxEntries: 2 }),
  stacks: stackTraces("stacks", { frames: 8, maxEntries: 4 }),
  nested: hashOfMaps("nested", {
    key: u32,
    inner: array("nested_in", { value: u64, maxEntries: 1 }),
    maxEntries: 2,
  }),
};

interface Declared {
  readonly kind: "map";
  readonly name: string;
  readonly type: string;
  readonly maxEntries: number;
  readonly flags: number;
  readonly key?: { readonly size: number };
  readonly value?: { readonly size: number };
  readonly inner?: Declared;
}

/** Sizes of what the kernel has a size of its own for. */
const own: Readonly<Record<string, Partial<MapSpec>>> = {
  ringbuf: { valueSize: 0 },
  perf_event_array: { keySize: 4, valueSize: 4 },
  cgroup_array: { valueSize: 4 },
  hash_of_maps: { valueSize: 4 },
  sockmap: { valueSize: 4 },
  sockhash: { valueSize: 4 },
  devmap: { valueSize: 8 },
  cpumap: { valueSize: 8 },
};

function specOf(map: Declared): MapSpec {
  return {
    ...{ name: map.name, type: map.type, maxEntries: map.maxEntries, flags: map.flags, pinning: "none" as const },
    ...{ keySize: map.key?.size ?? 0, valueSize: map.value?.size ?? 0 },
    ...(map.inner ? { inner: specOf(map.inner) } : {}),
    ...own[map.type],
  };
}

function legacy(change: Readonly<Record<string, Partial<MapSpec>>> = {}): ObjectSpec {
  const specs = Object.values(module).map((each) => specOf(each as unknown as Declared));
  // A storage takes no map without types.
  const maps = specs.filter(({ type }) => type !== "sk_storage");
  return {
    license: "GPL",
    byteOrder: "little",
    maps: Object.fromEntries(maps.map((spec) => [spec.name, { ...spec, ...change[spec.name] }])),
    programs: {},
    functions: {},
  };
}

describe.skipIf(!privileged)("an object without types, and the module that names them", () => {
  let app: App<typeof module>;
  let server: Server;
  beforeEach(async () => {
    app = load(openLinux(), legacy(), { module });
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    app.close();
    server.close();
  });

  test("every kind of map has its own handle", () => {
    expectTypeOf(app.maps.plain).toEqualTypeOf<TypedMap<u32, Of<typeof Value>>>();
    expectTypeOf(app.maps.each).toEqualTypeOf<PerCpuMap<u32, u64>>();
    expectTypeOf(app.maps.line).toEqualTypeOf<TypedQueue<Of<typeof Value>>>();
    expectTypeOf(app.maps.pile).toEqualTypeOf<TypedQueue<u32>>();
    expectTypeOf(app.maps.seen).toEqualTypeOf<TypedBloomFilter<Of<typeof Value>>>();
    expectTypeOf<(typeof app.maps)["owned"]>().toEqualTypeOf<TypedStorage<u64>>();
    expectTypeOf(app.maps.sockets).toEqualTypeOf<TypedReferences<u32>>();
    expectTypeOf(app.maps.ports).toEqualTypeOf<TypedReferences<number>>();
    expectTypeOf(app.maps.groups).toEqualTypeOf<TypedReferences<number>>();
    expectTypeOf(app.maps.stacks).toEqualTypeOf<TypedStacks>();
    expectTypeOf(app.maps.nested).toEqualTypeOf<TypedMapOfMaps<u32, TypedMap<u32, u64>>>();
    expectTypeOf(app.events.perf).toEqualTypeOf<EventStream<Of<typeof Value>>>();
    expectTypeOf<keyof typeof app.events>().toEqualTypeOf<"news" | "perf">();
  });

  test("hashes, arrays of CPUs, prefixes", () => {
    const { plain, each, eachHash, prefixes } = app.maps;
    plain.set(1, { count: 2n, port: 80 });
    expect(plain.take(1)).toEqual({ count: 2n, port: 80 });
    expect(plain.take(1)).toBeNull();
    const values = Array.from({ length: openLinux().bpf.possibleCpus }, (_, cpu) => BigInt(cpu + 1));
    const sum = values.reduce((total, value) => total + value);
    each.set(1, values);
    eachHash.set(9, values);
    expect([each.get(1)?.sum(), each.get(0)?.sum(), eachHash.get(9)?.sum()]).toEqual([sum, 0n, sum]);
    prefixes.set({ bits: 8, address: 0x0a000000 }, 8n);
    prefixes.set({ bits: 16, address: 0x0a010000 }, 16n);
    expect(prefixes.get({ bits: 32, address: 0x0a010203 })).toBe(16n);
    expect(prefixes.get({ bits: 32, address: 0x0a020203 })).toBe(8n);
    expect([...prefixes.keys()]).toHaveLength(2);
  });

  test("queue and stack give what was pushed, in their order", () => {
    const { line, pile } = app.maps;
    expect([line.pop(), line.peek(), pile.pop()]).toEqual([null, null, null]);
    for (const count of [1n, 2n]) line.push({ count, port: 7 });
    expect(() => line.push({ count: 3n, port: 7 })).toThrow("E2BIG");
    line.push({ count: 3n, port: 7 }, { replaceOldest: true });
    expect([line.peek()?.count, line.pop()?.count, line.pop()?.count, line.pop()]).toEqual([2n, 2n, 3n, null]);
    for (const each of [1, 2]) pile.push(each);
    expect([pile.peek(), pile.pop(), pile.pop(), pile.pop()]).toEqual([2, 2, 1, null]);
  });

  test("a bloom filter knows what was added", () => {
    const { seen } = app.maps;
    expect(seen.mayHold({ count: 1n, port: 1 })).toBe(false);
    seen.add({ count: 1n, port: 1 });
    expect(seen.mayHold({ count: 1n, port: 1 })).toBe(true);
  });

  test("sockets, interfaces, CPUs and cgroups are put by their numbers", () => {
    const { sockets, named, ports, cpus, groups, stacks } = app.maps;
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    sockets.set(0, fd);
    named.set(77, fd);
    expect([sockets.delete(0), named.delete(77), named.delete(77)]).toEqual([true, true, false]);
    // The loopback interface is in every namespace.
    ports.set(2, 1);
    expect(new DataView(ports.raw.get(Uint8Array.of(2, 0, 0, 0))!.buffer).getUint32(0, true)).toBe(1);
    cpus.set(0, 64);
    expect(() => groups.set(0, fd)).toThrow(/EBADF|EINVAL/);
    expect(stacks.get(1)).toBeNull();
  });

  test("inner maps are made, put and got back", () => {
    const { nested } = app.maps;
    const inner = nested.createInner();
    inner.set(0, 42n);
    nested.set(5, inner);
    inner.close();
    const back = nested.get(5);
    expect(back?.get(0)).toBe(42n);
    back?.close();
    expect(nested.get(6)).toBeNull();
  });

  test("events are read, though none comes", () => {
    const [ring, perf] = [app.events.news.inPlace(() => undefined), app.events.perf.inPlace(() => undefined)];
    expect([ring.drain(), perf.drain(), app.events.perf.lost]).toEqual([0, 0, 0]);
    expect(app.events.news.field("port")(new DataView(Value.encode({ count: 1n, port: 8 }).buffer), 0)).toBe(8);
    ring.close();
    perf.close();
  });
});

test.skipIf(!privileged).each([
  ["plain", { valueSize: 8 }, MapTypeError],
  ["line", { valueSize: 4 }, MapTypeError],
  ["seen", { valueSize: 4 }, MapTypeError],
] as const)("%s of another size is refused", (name, change, error) => {
  expect(() => load(openLinux(), legacy({ [name]: change }), { module })).toThrow(error);
  expect(LayoutMismatchError.prototype).toBeInstanceOf(Error);
});
