/**
 * What every machine does, as tests. An implementation calls `machineSuite` from a test file of its own with a factory; the machine is
 * fresh for each test, and what a test makes is removed with it.
 */
import type { MapSpec } from "@skep/object";
import type { Address, Prefix } from "@skep/net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codecOfShape } from "../src/codec/codec.ts";
import { type Machine, type Namespace, perCpuMap, type RawMap, typedMap } from "../src/index.ts";

export * from "./hooks-suite.ts";
export * from "./redirects-suite.ts";
export * from "./streams-suite.ts";

export interface MachineUnderTest {
  readonly machine: Machine;
  /** A folder for pins that is this test's alone; made by `preparePins`. */
  readonly pins: string;
  /** A cgroup path below the root that is this test's alone. */
  readonly cgroup: string;
  /** Removes everything. */
  close(): void | Promise<void>;
}

const u32 = codecOfShape<number>({ kind: "int", size: 4, signed: false, bigEndian: false });
const u64 = codecOfShape<bigint>({ kind: "int", size: 8, signed: false, bigEndian: false });
const key = (value: number): Uint8Array => u32.encode(value);
const value = (number: bigint): Uint8Array => u64.encode(number);

const spec = (type: string, change: Partial<MapSpec> = {}): MapSpec => ({
  name: `suite_${type}`.slice(0, 15),
  type,
  keySize: 4,
  valueSize: 8,
  maxEntries: 8,
  flags: 0,
  pinning: "none",
  ...change,
});

/** The errno's name of what `run` throws. */
function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
  return "nothing thrown";
}

const v4 = (text: string): Address => ({ family: 4, bytes: Uint8Array.from(text.split("."), Number) });
const prefix = (text: string, length = 32): Prefix => ({ address: v4(text), length });

export function machineSuite(name: string, factory: () => MachineUnderTest): void {
  describe(name, () => {
    let tested: MachineUnderTest;
    let machine: Machine;
    const maps: RawMap[] = [];
    const make = (...args: Parameters<typeof spec>): RawMap => {
      const map = machine.bpf.createMap(spec(...args));
      maps.push(map);
      return map;
    };

    beforeEach(() => {
      tested = factory();
      ({ machine } = tested);
    });
    afterEach(async () => {
      for (const map of maps.splice(0)) map.close();
      for (const each of machine.net.namespaces()) machine.net.deleteNamespace(each);
      await tested.close();
    });

    mapTests(make);
    test("a per-CPU map has a value for each possible CPU", () => {
      expect(make("percpu_array", { maxEntries: 1 }).get(key(0))).toHaveLength(machine.bpf.possibleCpus * 8);
    });
    test("an empty ring has no records, read either way", () => {
      const ring = make("ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 });
      for (const reader of [ring.readRing(() => undefined), ring.readRingInPlace(() => undefined)]) {
        expect(reader.drain()).toBe(0);
        reader.start();
        reader.stop?.();
        reader.close();
      }
    });
    pinTests(make, () => tested);
    networkTests(() => machine);
    processTests(() => tested);

    test("the monotonic clock does not go back", () => {
      const first = machine.clock.monotonic();
      expect(machine.clock.monotonic()).toBeGreaterThanOrEqual(first);
    });

    test("what the clock runs later runs once, unless it is cancelled", async () => {
      const runs: string[] = [];
      const cancel = machine.clock.after(0, () => runs.push("cancelled"));
      cancel();
      await new Promise<void>((resolve) => {
        machine.clock.after(1, () => {
          runs.push("run");
          resolve();
        });
      });
      expect(runs).toEqual(["run"]);
    });
  });
}

type Make = (type: string, change?: Partial<MapSpec>) => RawMap;

function mapTests(make: Make): void {
  describe("maps", () => {
    test.each(["hash", "lru_hash"])("%s: set, get, delete and the modes of setting", (type) => {
      const map = make(type, { maxEntries: 64 });
      expect(map.get(key(1))).toBeNull();
      expect(map.delete(key(1))).toBe(false);
      expect(codeOf(() => map.set(key(1), value(1n), "existing"))).toBe("ENOENT");
      map.set(key(1), value(1n), "new");
      expect(codeOf(() => map.set(key(1), value(2n), "new"))).toBe("EEXIST");
      map.set(key(1), value(3n));
      expect(map.get(key(1))).toEqual(value(3n));
      map.set(key(1), value(4n), "existing");
      expect(map.get(key(1))).toEqual(value(4n));
      expect(map.delete(key(1))).toBe(true);
      expect(map.get(key(1))).toBeNull();
    });

    test.each(["hash", "lru_hash"])("%s: what is taken is gone", (type) => {
      const map = make(type, { maxEntries: 64 });
      map.set(key(1), value(5n));
      expect(map.take(key(1))).toEqual(value(5n));
      expect(map.take(key(1))).toBeNull();
      expect(map.get(key(1))).toBeNull();
    });

    test.each([
      ["queue", [1n, 2n]],
      ["stack", [2n, 1n]],
    ] as const)("a %s gives what was put, in its order", (type, order) => {
      const none = new Uint8Array(0);
      const map = make(type, { keySize: 0, maxEntries: 2 });
      expect([map.get(none), map.take(none)]).toEqual([null, null]);
      for (const each of [1n, 2n]) map.set(none, value(each));
      expect(codeOf(() => map.set(none, value(3n)))).toBe("E2BIG");
      expect(map.get(none)).toEqual(value(order[0]));
      expect([map.take(none), map.take(none), map.take(none)]).toEqual([value(order[0]), value(order[1]), null]);
    });

    test("a bloom filter knows what was put", () => {
      const map = make("bloom_filter", { keySize: 0, maxEntries: 64 });
      expect(map.mayHold(value(1n))).toBe(false);
      map.set(new Uint8Array(0), value(1n));
      expect(map.mayHold(value(1n))).toBe(true);
    });

    test("a value that was got is a copy", () => {
      const map = make("hash");
      map.set(key(1), value(1n));
      const first = map.get(key(1));
      first!.fill(255);
      expect(map.get(key(1))).toEqual(value(1n));
    });

    test("keys and values of another size are refused", () => {
      const map = make("hash");
      expect(() => map.get(new Uint8Array(3))).toThrow();
      expect(() => map.set(key(1), new Uint8Array(4))).toThrow();
      expect([...map.entries()]).toEqual([]);
    });

    test("a full hash says so", () => {
      const map = make("hash", { maxEntries: 2 });
      map.set(key(1), value(1n));
      map.set(key(2), value(2n));
      expect(codeOf(() => map.set(key(3), value(3n)))).toBe("E2BIG");
      map.set(key(2), value(4n));
    });

    test("entries, and many at once", () => {
      const map = make("hash", { maxEntries: 1000 });
      const rows = Array.from({ length: 700 }, (_, at) => [key(at), value(BigInt(at) * 3n)] as const);
      map.setAll(rows);
      const found = new Map([...map.entries()].map(([each, held]) => [u32.decode(each), u64.decode(held)]));
      expect(found).toEqual(new Map(rows.map(([each, held]) => [u32.decode(each), u64.decode(held)])));
      map.deleteAll(rows.slice(0, 650).map(([each]) => each));
      expect([...map.entries()]).toHaveLength(50);
      map.deleteAll([]);
      map.setAll([]);
    });

    test("an array has all its elements from the start, and keeps them", () => {
      const map = make("array", { maxEntries: 3 });
      expect(map.get(key(2))).toEqual(value(0n));
      expect(map.get(key(3))).toBeNull();
      map.set(key(2), value(9n));
      expect([...map.entries()].map(([, each]) => u64.decode(each))).toEqual([0n, 0n, 9n]);
      expect(codeOf(() => map.set(key(3), value(1n)))).toBe("E2BIG");
    });

    test("an LPM trie finds the longest prefix that matches", () => {
      const map = make("lpm_trie", { keySize: 8, flags: 1 });
      const at = (length: number, ...bytes: number[]) => Uint8Array.of(length, 0, 0, 0, ...bytes);
      map.set(at(0, 0, 0, 0, 0), value(1n));
      map.set(at(8, 10, 0, 0, 0), value(2n));
      map.set(at(25, 10, 1, 2, 128), value(3n));
      map.set(at(32, 10, 1, 2, 129), value(4n));
      const lookup = (...bytes: number[]) => u64.decode(map.get(at(32, ...bytes))!);
      expect(lookup(11, 0, 0, 1)).toBe(1n);
      expect(lookup(10, 1, 2, 1)).toBe(2n);
      expect(lookup(10, 1, 2, 200)).toBe(3n);
      expect(lookup(10, 1, 2, 129)).toBe(4n);
      expect([...map.entries()]).toHaveLength(4);
      expect(map.delete(at(0, 0, 0, 0, 0))).toBe(true);
      expect(map.get(at(32, 11, 0, 0, 1))).toBeNull();
    });

    test.each(["percpu_hash", "percpu_array", "lru_percpu_hash"])("%s: a value for each CPU", (type) => {
      const map = perCpuMap(make(type, { maxEntries: 64 }), { key: u32, value: u64 });
      map.raw.set(key(1), new Uint8Array(perCpuBytes(make)));
      const count = map.get(1)!.length;
      map.set(
        1,
        Array.from({ length: count }, (_, cpu) => BigInt(cpu + 1)),
      );
      expect([...map.get(1)!]).toEqual(Array.from({ length: count }, (_, cpu) => BigInt(cpu + 1)));
      expect(map.get(1)!.sum()).toBe(BigInt((count * (count + 1)) / 2));
    });

    test("per-CPU values are rounded up to eight bytes", () => {
      const raw = make("percpu_array", { valueSize: 12, maxEntries: 1 });
      expect(raw.get(key(0))!.length % 16).toBe(0);
    });

    test("a map of maps gives what was put last", () => {
      const inner = spec("hash", { name: "suite_inner" });
      const outer = make("hash_of_maps", { valueSize: 4, inner });
      const [first, second] = [make("hash", { name: "suite_inner" }), make("hash", { name: "suite_inner" })];
      expect(outer.get(key(1))).toBeNull();
      outer.setMap(key(1), first);
      expect(u32.decode(outer.get(key(1))!)).toBe(first.info.id);
      outer.setMap(key(1), second);
      expect(u32.decode(outer.get(key(1))!)).toBe(second.info.id);
      expect([...outer.entries()].map(([each]) => u32.decode(each))).toEqual([1]);
      expect(outer.delete(key(1))).toBe(true);
    });

    test("a map of maps refuses maps of another layout", () => {
      const outer = make("hash_of_maps", { valueSize: 4, inner: spec("hash") });
      const other = make("hash", { valueSize: 16 });
      expect(codeOf(() => outer.setMap(key(1), other))).toBe("EINVAL");
    });

    test("a frozen map is read only", () => {
      const map = make("array", { maxEntries: 1 });
      map.set(key(0), value(5n));
      map.freeze();
      expect(codeOf(() => map.set(key(0), value(6n)))).toBe("EPERM");
      expect(map.get(key(0))).toEqual(value(5n));
    });

    test("the description is the spec's", () => {
      const map = make("lru_hash", { maxEntries: 128 });
      expect(map.info).toMatchObject({ type: "lru_hash", keySize: 4, valueSize: 8, maxEntries: 128 });
      expect(make("hash").info.id).not.toBe(map.info.id);
    });

    test("typed maps work on it", () => {
      const map = typedMap(make("hash"), { key: u32, value: u64 });
      map.setAll([
        [1, 2n],
        [3, 4n],
      ]);
      expect(new Map(map)).toEqual(
        new Map([
          [1, 2n],
          [3, 4n],
        ]),
      );
      expect(() => map.set(1, -1n)).toThrow(RangeError);
    });
  });
}

function perCpuBytes(make: Make): number {
  return make("percpu_array", { maxEntries: 1 }).get(key(0))!.length;
}

function pinTests(make: Make, tested: () => MachineUnderTest): void {
  describe("pins", () => {
    test("a pinned map outlives its handle, and is the same map", () => {
      const { machine, pins } = tested();
      machine.bpf.preparePins(pins);
      expect(machine.bpf.pins(pins)).toEqual([]);
      expect(machine.bpf.openMap(`${pins}/m`)).toBeNull();
      const map = make("hash");
      map.set(key(1), value(1n));
      map.pin(`${pins}/m`);
      const { id } = map.info;
      map.close();
      expect(machine.bpf.pins(pins)).toEqual(["m"]);
      const opened = machine.bpf.openMap(`${pins}/m`)!;
      expect(opened.info.id).toBe(id);
      expect(opened.get(key(1))).toEqual(value(1n));
      opened.close();
      machine.bpf.unpin(`${pins}/m`);
      expect(machine.bpf.openMap(`${pins}/m`)).toBeNull();
    });

    test("a name is taken once", () => {
      const { machine, pins } = tested();
      machine.bpf.preparePins(pins);
      make("hash").pin(`${pins}/m`);
      expect(codeOf(() => make("hash").pin(`${pins}/m`))).toBe("EEXIST");
    });

    test("a folder is removed with what is in it", () => {
      const { machine, pins } = tested();
      machine.bpf.preparePins(pins);
      machine.bpf.preparePins(`${pins}/deep`);
      make("hash").pin(`${pins}/deep/m`);
      machine.bpf.removePins(pins);
      expect(machine.bpf.openMap(`${pins}/deep/m`)).toBeNull();
      expect(machine.bpf.pins(pins)).toEqual([]);
    });
  });
}

function networkTests(machine: () => Machine): void {
  const pair = (left: Namespace, right: Namespace) =>
    left.createVeth("a", { namespace: right, name: "b", mac: Uint8Array.of(2, 0, 0, 0, 0, 2) }, { mtu: 1400 });

  describe("network", () => {
    test("a namespace has lo up, a cookie of its own, and its name once", () => {
      const { net } = machine();
      const [one, two] = [net.createNamespace("one"), net.createNamespace("two")];
      expect(net.namespaces().sort()).toEqual(["one", "two"]);
      expect(one.interfaces()).toMatchObject([{ index: 1, name: "lo", up: true }]);
      expect(new Set([one.cookie, two.cookie, net.host.cookie]).size).toBe(3);
      expect(net.openNamespace("one")!.cookie).toBe(one.cookie);
      expect(net.openNamespace("three")).toBeNull();
      expect(codeOf(() => net.createNamespace("one"))).toBe("EEXIST");
      net.deleteNamespace("one");
      expect(net.openNamespace("one")).toBeNull();
      expect(net.namespaces()).toEqual(["two"]);
    });

    test("a veth has an end in each namespace, down and without addresses", () => {
      const { net } = machine();
      const [left, right] = [net.createNamespace("left"), net.createNamespace("right")];
      const { host, peer } = pair(left, right);
      expect(host).toMatchObject({ name: "a", up: false, mtu: 1400, kind: "veth", peerIndex: peer.index });
      expect(peer).toMatchObject({ name: "b", up: false, mtu: 1400, kind: "veth", peerIndex: host.index });
      expect([...peer.mac]).toEqual([2, 0, 0, 0, 0, 2]);
      expect(left.interface("a")).toEqual(host);
      expect(left.interface("b")).toBeNull();
      expect(left.addresses().filter(({ index }) => index === host.index)).toEqual([]);
      expect(codeOf(() => pair(left, right))).toBe("EEXIST");
      left.setUp(host.index, true);
      expect(left.interface("a")!.up).toBe(true);
      left.setUp(host.index, false);
      expect(left.interface("a")!.up).toBe(false);
    });

    test("an end goes with the other, and with its namespace", () => {
      const { net } = machine();
      const [left, right] = [net.createNamespace("left"), net.createNamespace("right")];
      pair(left, right);
      expect(right.deleteInterface("b")).toBe(true);
      expect(right.deleteInterface("b")).toBe(false);
      expect(left.interface("a")).toBeNull();
    });

    test("addresses and routes", () => {
      const { net } = machine();
      const [left, right] = [net.createNamespace("left"), net.createNamespace("right")];
      const { index } = pair(left, right).host;
      left.addAddress(index, prefix("10.0.0.1", 24));
      expect(codeOf(() => left.addAddress(index, prefix("10.0.0.1", 24)))).toBe("EEXIST");
      expect(left.addresses().find((each) => each.index === index)!.prefix).toEqual(prefix("10.0.0.1", 24));
      left.setUp(index, true);
      right.setUp(right.interface("b")!.index, true);
      const route = { destination: prefix("10.9.0.0", 16), gateway: v4("10.0.0.2"), interface: index };
      left.addRoute(route);
      left.addRoute({
        destination: prefix("10.8.0.1"),
        interface: index,
        scope: "link",
        source: v4("10.0.0.1"),
        mtu: 1200,
      });
      expect(left.routes()).toContainEqual(expect.objectContaining(route));
      expect(left.routes()).toContainEqual({
        destination: prefix("10.8.0.1"),
        interface: index,
        scope: "link",
        source: v4("10.0.0.1"),
        mtu: 1200,
      });
      expect(codeOf(() => left.addRoute(route))).toBe("EEXIST");
      expect(left.deleteRoute(route)).toBe(true);
      expect(left.deleteRoute(route)).toBe(false);
      const neighbour = { index, address: v4("10.0.0.2"), mac: Uint8Array.of(2, 0, 0, 0, 0, 2) };
      left.addNeighbour(neighbour.index, neighbour.address, neighbour.mac);
      expect(left.neighbours()).toContainEqual(neighbour);
    });

    test("what is not there is an error with the kernel's number", () => {
      const space = machine().net.createNamespace("empty");
      expect(codeOf(() => space.setUp(99, true))).toBe("ENODEV");
      expect(codeOf(() => space.addAddress(99, prefix("10.0.0.1")))).toBe("ENODEV");
      expect(codeOf(() => space.addRoute({ destination: prefix("10.0.0.1"), interface: 99 }))).toBe("ENODEV");
    });
  });
}

function processTests(tested: () => MachineUnderTest): void {
  describe("cgroups", () => {
    test("are made with their parents, have one id, and are removed with what is below", async () => {
      const { machine, cgroup } = tested();
      const { processes } = machine;
      const made = processes.createCgroup(`${cgroup}/a/b`);
      expect(made.path).toBe(`${processes.cgroupRoot}/${cgroup}/a/b`);
      expect(processes.createCgroup(`${cgroup}/a/b`)).toEqual(made);
      expect(processes.createCgroup(`${cgroup}/a`).id).not.toBe(made.id);
      expect(processes.cgroupProcesses(cgroup)).toEqual([]);
      await processes.deleteCgroup(cgroup);
      expect(processes.cgroupProcesses(cgroup)).toBeNull();
      await processes.deleteCgroup(cgroup);
    });
  });
}
