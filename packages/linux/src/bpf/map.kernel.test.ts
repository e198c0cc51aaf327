import { afterEach, describe, expect, test } from "vitest";
import { isErrno, liveMappings, openDescriptors } from "../sys/index.ts";
import { possibleCpus } from "./cpus.ts";
import { createMap } from "./map-create.ts";
import type { LinuxMap } from "./map.ts";
import { bytes, canUseBpf, mapSpec, number } from "./testing.ts";

const open: LinuxMap[] = [];
function make(...args: Parameters<typeof mapSpec>): LinuxMap {
  const map = createMap(mapSpec(...args));
  open.push(map);
  return map;
}
afterEach(() => {
  for (const map of open.splice(0)) map.close();
});

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isErrno(error, "EEXIST", "ENOENT", "EPERM", "E2BIG", "EINVAL", "EBADF")) return error.code;
    throw error;
  }
  return "none";
}

const key = (value: number) => bytes(value, 4);
const value = (number: number | bigint) => bytes(number, 8);

describe.skipIf(!canUseBpf())("maps", () => {
  test("set, get, delete; absence is null; modes", () => {
    const map = make("plain", "hash");
    expect(map.get(key(1))).toBeNull();
    map.set(key(1), value(11));
    expect(number(map.get(key(1)))).toBe(11n);
    expect(code(() => map.set(key(1), value(1), "new"))).toBe("EEXIST");
    expect(code(() => map.set(key(2), value(1), "existing"))).toBe("ENOENT");
    map.set(key(1), value(12), "existing");
    expect(number(map.get(key(1)))).toBe(12n);
    expect(map.delete(key(1))).toBe(true);
    expect(map.delete(key(1))).toBe(false);
    expect(map.info).toMatchObject({ type: "hash", name: "plain", keySize: 4, valueSize: 8, maxEntries: 16, flags: 0 });
    expect(map.info.id).toBeGreaterThan(0);
  });

  test("values given back are copies", () => {
    const map = make("copies", "hash");
    map.set(key(1), value(1));
    const first = map.get(key(1));
    map.set(key(1), value(2));
    expect(number(first)).toBe(1n);
  });

  test("sizes are checked before the kernel reads beyond a buffer", () => {
    const map = make("sizes", "hash");
    expect(() => map.get(new Uint8Array(3))).toThrow("a key of 3 bytes instead of 4");
    expect(() => map.set(key(1), new Uint8Array(7))).toThrow("a value of 7 bytes instead of 8");
    expect(() => map.setAll([[key(1), new Uint8Array(9)]])).toThrow("a value of 9 bytes");
    expect([...map.entries()]).toEqual([]);
  });

  test.each(["hash", "lru_hash", "lpm_trie", "array"])("batches: %s with more entries than one batch", (type) => {
    const isTrie = type === "lpm_trie";
    const size = isTrie ? 8 : 4;
    const count = 10_000;
    const map = make("many", type, { keySize: size, maxEntries: count * 2, flags: isTrie ? 1 : 0 });
    const keyOf = (at: number) => (isTrie ? new Uint8Array([...bytes(32, 4), ...bytes(at, 4)]) : key(at));
    const entries = Array.from({ length: count }, (_, at) => [keyOf(at), value(at * 3)] as const);
    map.setAll(entries);
    const found = new Map(
      [...map.entries()].map(([k, v]) => [number(new Uint8Array([...k, 0, 0, 0, 0]), isTrie ? 0 : 0), number(v)]),
    );
    expect(found.size).toBe(type === "array" ? count * 2 : count);
    expect(number(map.get(keyOf(777)))).toBe(2331n);
    if (type === "array") return;
    map.deleteAll([keyOf(count + 5), ...entries.slice(0, 6000).map(([k]) => k), keyOf(3), keyOf(9999)]);
    expect([...map.entries()].length).toBe(count - 6001);
    expect(map.get(keyOf(5999))).toBeNull();
    expect(number(map.get(keyOf(6000)))).toBe(18_000n);
  });

  test("deleting while iterating visits every entry once", () => {
    const map = make("moving", "hash", { maxEntries: 20_000 });
    map.setAll(Array.from({ length: 12_000 }, (_, at) => [key(at), value(at)]));
    const seen = new Set<bigint>();
    for (const [k, v] of map.entries()) {
      expect(seen.has(number(v))).toBe(false);
      seen.add(number(v));
      map.delete(k);
    }
    expect(seen.size).toBe(12_000);
    expect([...map.entries()]).toEqual([]);
  });

  test("maps without batches are walked key by key", () => {
    const map = make("walked", "devmap_hash", { valueSize: 4 });
    map.set(key(7), bytes(1, 4));
    expect([...map.entries()].map(([k]) => [...k])).toEqual([[7, 0, 0, 0]]);
    map.deleteAll([key(7), key(8)]);
    expect(map.keys()).toEqual([]);
  });

  test("longest prefix wins", () => {
    const map = make("prefixes", "lpm_trie", { keySize: 8, flags: 1 });
    const prefix = (length: number, ...address: number[]) => new Uint8Array([...bytes(length, 4), ...address]);
    map.set(prefix(8, 10, 0, 0, 0), value(8));
    map.set(prefix(24, 10, 1, 2, 0), value(24));
    expect(number(map.get(prefix(32, 10, 1, 2, 3)))).toBe(24n);
    expect(number(map.get(prefix(32, 10, 9, 9, 9)))).toBe(8n);
    expect(map.get(prefix(32, 11, 0, 0, 1))).toBeNull();
  });

  test("per-CPU values: one of eight bytes for every possible CPU", () => {
    const map = make("each", "percpu_array", { valueSize: 4 });
    const size = possibleCpus() * 8;
    expect(map.get(key(0))).toHaveLength(size);
    const all = new Uint8Array(size);
    for (let cpu = 0; cpu < possibleCpus(); cpu++) all[cpu * 8] = cpu + 1;
    map.set(key(0), all);
    expect(map.get(key(0))).toEqual(all);
    expect([...map.entries()]).toHaveLength(16);
    expect(() => map.set(key(0), new Uint8Array(4))).toThrow(RangeError);
  });

  test("queues, stacks and bloom filters", () => {
    const queue = make("queue", "queue", { keySize: 0 });
    const stack = make("stack", "stack", { keySize: 0, maxEntries: 2 });
    for (const map of [queue, stack]) {
      expect(map.take()).toBeNull();
      map.push(value(1));
      map.push(value(2));
    }
    expect(number(queue.peek())).toBe(1n);
    expect(number(queue.take())).toBe(1n);
    expect(number(stack.take())).toBe(2n);
    stack.push(value(3));
    expect(code(() => stack.push(value(4)))).toBe("E2BIG");
    stack.push(value(4), { replaceOldest: true });
    expect(number(stack.take())).toBe(4n);
    const bloom = make("bloom", "bloom_filter", { keySize: 0 });
    bloom.push(value(5));
    expect(bloom.mayHold(value(5))).toBe(true);
    expect(bloom.mayHold(value(6))).toBe(false);
  });

  test("take removes from a hash", () => {
    const map = make("taken", "hash");
    map.set(key(1), value(9));
    expect(number(map.take(key(1)))).toBe(9n);
    expect(map.take(key(1))).toBeNull();
  });

  test("maps of maps hold the inner map by reference", () => {
    const inner = mapSpec("inner", "array", { maxEntries: 1 });
    const outer = make("outer", "hash_of_maps", { valueSize: 4, inner });
    const first = make("first", "array", { maxEntries: 1 });
    const second = make("second", "array", { maxEntries: 1 });
    outer.setMap(key(1), first);
    expect(number(new Uint8Array([...(outer.get(key(1)) as Uint8Array), 0, 0, 0, 0]))).toBe(BigInt(first.info.id));
    outer.setMap(key(1), second);
    expect([...outer.entries()].map(([, id]) => new DataView(id.buffer).getUint32(0, true))).toEqual([second.info.id]);
    outer.setMaps([
      [key(1), second],
      [key(3), first],
    ]);
    expect([...outer.entries()]).toHaveLength(2);
    expect(outer.delete(key(3))).toBe(true);
    const opened = outer.getMap(key(1));
    expect(opened?.info.id).toBe(second.info.id);
    opened?.close();
    expect(outer.getMap(key(2))).toBeNull();
    const wrong = make("wrong", "hash");
    expect(code(() => outer.setMap(key(2), wrong))).toBe("EINVAL");
  });

  test("a frozen map is read only for user space", () => {
    const map = make("frozen", "array");
    map.set(key(0), value(1));
    map.freeze();
    expect(code(() => map.set(key(0), value(2)))).toBe("EPERM");
    expect(number(map.get(key(0)))).toBe(1n);
  });

  test("errors of the kernel name the command and the map", () => {
    const map = make("small_map", "array", { maxEntries: 1 });
    expect(() => map.set(key(5), value(1))).toThrow("bpf(MAP_UPDATE_ELEM) map small_map: E2BIG: argument too large");
  });

  test("use after close is refused, and nothing leaks", () => {
    const before = { fds: openDescriptors(), mappings: liveMappings() };
    const map = make("closed", "hash");
    map.close();
    map.close();
    expect(code(() => map.get(key(1)))).toBe("EBADF");
    expect({ fds: openDescriptors(), mappings: liveMappings() }).toEqual(before);
  });

  test("sizes that the kernel wants are made of what a spec says", () => {
    expect(make("ring", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: 5000 }).info.maxEntries).toBe(8192);
    expect(make("perf", "perf_event_array", { valueSize: 4, maxEntries: 0 }).info.maxEntries).toBe(possibleCpus());
    expect(make("very_long_name_of_a_map", "hash").info.name).toBe("very_long_name_");
    expect(make("odd-name!", "hash").info.name).toBe("odd_name_");
  });
});
