import { describe, expect, test } from "vitest";
import { Lru, type LruNode } from "./lru.ts";

/** A table that only knows who was evicted; nobody is used. */
function lruOf(entries: number, cpus: number, common: boolean): { lru: Lru; evicted: number[] } {
  const evicted: number[] = [];
  const owner = { isUsed: () => false, setUsed: () => undefined, evict: (at: number) => void evicted.push(at) };
  return { lru: new Lru(owner, { entries, cpus, common }), evicted };
}

describe("elements of an LRU map", () => {
  test("each is there once before one is evicted", () => {
    const { lru, evicted } = lruOf(1024, 1, true);
    const taken = new Set<LruNode>();
    for (let at = 1; at <= 1024; at++) {
      const entry = lru.take(0);
      if (entry === null) throw new Error("no element");
      lru.bind(entry, at);
      taken.add(entry);
    }
    expect({ different: taken.size, evicted: evicted.length }).toEqual({ different: 1024, evicted: 0 });
    expect(lru.take(0)).not.toBeNull();
    expect(evicted.length).toBeGreaterThan(0);
  });

  test("what was given back is taken before what was never used", () => {
    const { lru } = lruOf(1000, 1, false);
    const entry = lru.take(0);
    if (entry === null) throw new Error("no element");
    lru.bind(entry, 1);
    lru.give(1);
    expect(lru.take(0)).toBe(entry);
  });

  test("a CPU's own share is its own: the next is evicted, whatever the others have", () => {
    const { lru, evicted } = lruOf(10, 4, false);
    const take = (cpu: number, at: number): number | undefined => {
      const entry = lru.take(cpu);
      if (entry !== null) lru.bind(entry, at);
      return entry?.cpu;
    };
    // Ten by four, rounded up.
    expect([1, 2, 3].map((at) => take(2, at))).toEqual([2, 2, 2]);
    expect(evicted).toEqual([]);
    expect(take(2, 4)).toBe(2);
    expect(evicted.length).toBeGreaterThan(0);
    expect(take(0, 5)).toBe(0);
  });
});
