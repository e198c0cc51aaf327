/** The kernel's maps and ours: the same operations, the same answers and error codes. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LinuxMap } from "@skep/linux";
import { openLinux } from "@skep/linux";
import type { MapSpec } from "@skep/object";
import { BloomMap } from "./maps/bloom.ts";
import type { VmMap } from "./maps/map.ts";
import { numbers, outcome } from "./testing-numbers.ts";
import { Vm } from "./vm.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: maps of the kernel need root and BPF");

const cpus = privileged ? openLinux().bpf.possibleCpus : 1;
const LOOPBACK = 1;
const newVm = (): Vm =>
  new Vm({
    ...{ clock: () => 0n, random: () => 0, cpus },
    host: { mtu: (index) => (index === LOOPBACK ? 65_536 : null) },
  });

const base: MapSpec = {
  ...{ name: "agreement", type: "hash", keySize: 4, valueSize: 8, maxEntries: 4 },
  ...{ flags: 0, pinning: "none" },
};

type Next = (below: number) => number;
interface Case {
  readonly name: string;
  readonly spec: Partial<MapSpec> & { readonly type: string };
  readonly key?: (next: Next) => Uint8Array;
  readonly value?: (next: Next, size: number) => Uint8Array;
  /** Keys come in an order of the implementation's own. */
  readonly unordered?: boolean;
}

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const smallKey = (next: Next): Uint8Array => word(next(9));
const wideKey = (next: Next): Uint8Array => word(next(200));
const prefix = (next: Next): Uint8Array => {
  const key = new Uint8Array(8);
  key[0] = [0, 1, 8, 9, 16, 24, 31, 32, 33][next(9)] ?? 0;
  key.set([10, next(2) * 128, next(2), next(2)], 4);
  return key;
};
const noKey = (): Uint8Array => new Uint8Array(0);
const device = (next: Next, size: number): Uint8Array => {
  const value = new Uint8Array(size);
  value[0] = [0, LOOPBACK, LOOPBACK, 200][next(4)] ?? 0;
  return value;
};
const queueSize = (next: Next, size: number): Uint8Array => {
  const value = new Uint8Array(size);
  new DataView(value.buffer).setUint32(0, [0, 1, 192, 16_384, 16_385][next(5)] ?? 0, true);
  return value;
};

const NO_PREALLOC = 1;
const NO_COMMON_LRU = 2;
const cases: readonly Case[] = [
  { name: "hash", spec: { type: "hash", maxEntries: 5, valueSize: 12 }, unordered: true },
  { name: "hash, not preallocated", spec: { type: "hash", maxEntries: 5, flags: NO_PREALLOC }, unordered: true },
  { name: "hash, odd sizes", spec: { type: "hash", keySize: 4, valueSize: 3, maxEntries: 3 }, unordered: true },
  { name: "percpu_hash", spec: { type: "percpu_hash", maxEntries: 5, valueSize: 12 }, unordered: true },
  { name: "array", spec: { type: "array", maxEntries: 5, valueSize: 12 } },
  { name: "percpu_array", spec: { type: "percpu_array", maxEntries: 5, valueSize: 12 } },
  { name: "lru_hash, 8", spec: { type: "lru_hash", maxEntries: 8 }, unordered: true, key: wideKey },
  { name: "lru_hash, 100", spec: { type: "lru_hash", maxEntries: 100 }, unordered: true, key: wideKey },
  {
    name: "lru_hash, one list per CPU",
    spec: { type: "lru_hash", maxEntries: 40, flags: NO_COMMON_LRU },
    ...{ unordered: true, key: wideKey },
  },
  { name: "lru_percpu_hash", spec: { type: "lru_percpu_hash", maxEntries: 30 }, unordered: true, key: wideKey },
  { name: "lpm_trie", spec: { type: "lpm_trie", keySize: 8, maxEntries: 6, flags: NO_PREALLOC }, key: prefix },
  { name: "queue", spec: { type: "queue", keySize: 0, maxEntries: 3 }, key: noKey },
  { name: "stack", spec: { type: "stack", keySize: 0, maxEntries: 3 }, key: noKey },
  { name: "ringbuf", spec: { type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 }, key: noKey },
  { name: "user_ringbuf", spec: { type: "user_ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 }, key: noKey },
  { name: "devmap", spec: { type: "devmap", maxEntries: 5 }, value: device },
  { name: "devmap of indexes", spec: { type: "devmap", valueSize: 4, maxEntries: 5 }, value: device },
  { name: "devmap_hash", spec: { type: "devmap_hash", maxEntries: 5 }, value: device, unordered: true },
  { name: "cpumap", spec: { type: "cpumap", maxEntries: 5 }, value: queueSize },
  { name: "prog_array", spec: { type: "prog_array", valueSize: 4, maxEntries: 5 }, value: () => word(0xffff_fff0) },
  { name: "stack_trace", spec: { type: "stack_trace", valueSize: 80, maxEntries: 5 } },
];

function operate(
  map: LinuxMap | VmMap,
  what: number,
  how: { key: Uint8Array; value: Uint8Array; mode: string },
): unknown {
  switch (what) {
    case 0:
      return map.delete(how.key);
    case 1:
    case 2:
      return map.get(how.key);
    case 3:
      return map.take(how.key);
    case 4: {
      const next = map.nextKey(how.key.length === 0 ? null : how.key);
      return next === null ? null : [...next].join(" ");
    }
    case 5:
      return map.get(how.key, { lock: true });
    default:
      return map.set(how.key, how.value, how.mode as "any");
  }
}

const sorted = (map: LinuxMap | VmMap): string => outcome(() => [...map.entries()].map(String).sort().join("; "));

describe.skipIf(!privileged)("maps as the kernel's", () => {
  const linux = privileged ? openLinux() : null;
  const pin = (list: string): void => {
    const { status } = spawnSync("taskset", ["-a", "-c", "-p", list, String(process.pid)]);
    if (status !== 0) console.warn("taskset is not there: LRU maps may differ where the test changes its CPU");
  };
  // What LRU maps evict depends on the CPU.
  beforeAll(() => pin("0"));
  afterAll(() => pin(`0-${cpus - 1}`));

  test.each(cases)("$name", ({ spec: part, key = smallKey, value, unordered }) => {
    if (linux === null) throw new Error("no machine");
    const spec: MapSpec = { ...base, ...part };
    const seen = new Map<string, number>();
    for (const seed of [1, 2]) {
      const theirs = linux.bpf.createMap(spec) as LinuxMap;
      const mine = newVm().createMap(spec);
      try {
        expect(mine.userValueSize).toBe(theirs.copiedSize);
        const next = numbers(seed * 7919);
        for (let i = 0; i < 700; i++) {
          const size = mine.userValueSize;
          const how = {
            key: key(next),
            value: value?.(next, size) ?? valueOf(next, spec, size),
            mode: ["any", "any", "new", "existing"][next(4)] ?? "any",
          };
          const what = next(10);
          // Which key follows is the implementation's matter in a hash; only errors are not.
          if (what === 4 && unordered === true) continue;
          const wanted = outcome(() => operate(theirs, what, how));
          const got = outcome(() => operate(mine, what, how));
          expect({ seed, i, what, ...how, got }).toEqual({ seed, i, what, ...how, got: wanted });
          const kind = `${what} ${/^[\d ]+$/.test(wanted) ? "bytes" : wanted}`;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
        if (spec.keySize > 0) expect(sorted(mine)).toBe(sorted(theirs));
      } finally {
        theirs.close();
      }
    }
    // Answers that are all the same would prove nothing.
    expect(seen.size).toBeGreaterThan(3);
  });

  test("bloom_filter: what was pushed is found, in both", () => {
    if (linux === null) throw new Error("no machine");
    const spec: MapSpec = { ...base, type: "bloom_filter", keySize: 0, valueSize: 8, maxEntries: 100 };
    const theirs = linux.bpf.createMap(spec) as LinuxMap;
    try {
      const mine = newVm().createMap(spec);
      if (!(mine instanceof BloomMap)) throw new Error("no bloom filter");
      const next = numbers(3);
      const all = Array.from({ length: 200 }, () => Uint8Array.from({ length: 8 }, () => next(256)));
      for (const value of all.slice(0, 100)) {
        theirs.push(value);
        mine.set(new Uint8Array(0), value);
      }
      for (const value of all.slice(0, 100)) expect([theirs.mayHold(value), mine.has(value)]).toEqual([true, true]);
      expect(all.slice(100).filter((value) => mine.has(value)).length).toBeLessThan(20);
      const empty = new Uint8Array(0);
      for (const run of [
        (map: LinuxMap | VmMap) => map.set(empty, all[0] ?? empty, "new"),
        (map: LinuxMap | VmMap) => map.take(),
        (map: LinuxMap | VmMap) => map.delete(empty),
        (map: LinuxMap | VmMap) => map.nextKey(null),
      ])
        expect(outcome(() => run(mine))).toBe(outcome(() => run(theirs)));
    } finally {
      theirs.close();
    }
  });

  test.each(["array_of_maps", "hash_of_maps"])("%s takes maps that are like its own", (type) => {
    if (linux === null) throw new Error("no machine");
    const inner: MapSpec = { ...base, type: "array", maxEntries: 2 };
    const spec: MapSpec = { ...base, type, valueSize: 4, maxEntries: 3, inner };
    const vm = newVm();
    const mine = vm.createMap(spec);
    const theirs = linux.bpf.createMap(spec) as LinuxMap;
    const shapes = [inner, { ...inner, maxEntries: 3 }, { ...inner, valueSize: 4 }, { ...inner, type: "hash" }];
    const pairs = shapes.map((shape) => ({ mine: vm.createMap(shape), theirs: linux.bpf.createMap(shape) }));
    try {
      const next = numbers(11);
      for (let i = 0; i < 200; i++) {
        const key = word(next(5));
        const pair = pairs[next(8)] ?? pairs[0];
        if (pair === undefined) throw new Error("no map");
        const what = next(3);
        const run = (map: LinuxMap | VmMap): string =>
          outcome(() => {
            if (what === 0) return map.delete(key);
            if (what === 1) return map.get(key) === null;
            return map === mine ? vm.setMap(mine, key, pair.mine) : theirs.setMap(key, pair.theirs);
          });
        expect({ i, what, key, got: run(mine) }).toEqual({ i, what, key, got: run(theirs) });
      }
    } finally {
      for (const each of pairs) each.theirs.close();
      theirs.close();
    }
  });

  test("creation refuses what the kernel refuses, with its code", () => {
    if (linux === null) throw new Error("no machine");
    const next = numbers(5);
    const pick = <T>(from: readonly T[]): T => from[next(from.length)] as T;
    const types = [...new Set(cases.map(({ spec }) => spec.type)), "bloom_filter", "sockmap", "sockhash", "xskmap"];
    types.push("perf_event_array", "cgroup_array", "reuseport_sockarray");
    const results = new Map<string, number>();
    const vm = newVm();
    for (let i = 0; i < 1500; i++) {
      const type = pick(types);
      // Where the loader or the kernel's configuration chooses the size, only good ones are compared.
      const chosen = type.endsWith("ringbuf") || type === "cpumap" || type === "perf_event_array";
      const spec: MapSpec = {
        ...base,
        type,
        keySize: pick([0, 4, 4, 8, 5]),
        valueSize: pick([0, 4, 8, 8, 64]),
        maxEntries: chosen ? (type === "cpumap" ? 5 : 4096) : pick([0, 1, 5, 4096, 6000]),
        flags: pick([0, 0, 0, 1, 1, 2, 8, 16, 24, 64, 128, 256, 384, 1024, 2048, 4096, 1 << 30]),
        mapExtra: pick([0n, 0n, 0n, 0n, 3n, 16n]),
      };
      const wanted = outcome(() => linux.bpf.createMap(spec).close());
      const got = outcome(() => vm.closeMap(vm.createMap(spec)));
      expect({ i, ...spec, got }).toEqual({ i, ...spec, got: wanted });
      results.set(wanted, (results.get(wanted) ?? 0) + 1);
    }
    expect(results.get("undefined")).toBeGreaterThan(60);
    expect(results.size).toBeGreaterThan(1);
  });
});

/** Random bytes; zero between the CPUs' values, which the kernel does not keep. */
function valueOf(next: Next, spec: MapSpec, size: number): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, () => next(256));
  const stride = Math.ceil(spec.valueSize / 8) * 8;
  if (size > spec.valueSize) for (let i = 0; i < size; i++) if (i % stride >= spec.valueSize) bytes[i] = 0;
  return bytes;
}
