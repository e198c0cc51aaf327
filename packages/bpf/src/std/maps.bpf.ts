// What one does with maps again and again.
import { u32, u64, type BpfMap, type MapOfMaps } from "@skep/bpf";
import { linearSlot, log2 } from "./stats.bpf.ts";

/** The value, made of `initial` where there is none yet; null where the map has no room. Of LRU maps: the least used gives way. */
export function getOrAdd<K, V>(map: BpfMap<K, V>, key: K, initial: V): V | null {
  const known = map.get(key);
  if (known) return known;
  map.set(key, initial, "new");
  // Another CPU may have been faster: what is there now counts.
  return map.get(key);
}

/** Adds to a counter, made where there is none yet. */
export function increment<K>(map: BpfMap<K, u64>, key: K, by: u64): void {
  const counter = map.ref(key);
  if (counter) {
    counter.value += by;
    return;
  }
  if (map.set(key, by, "new") === 0n) return;
  const other = map.ref(key);
  if (other) other.value += by;
}

/** Counts in a histogram by powers of two: slot n holds 2^n up to 2^(n+1) - 1, the last what is larger. */
export function countLog2(histogram: BpfMap<u32, u64>, value: u64, slots: u32): void {
  const slot = log2(value);
  const counter = histogram.ref(slot < slots ? slot : slots - 1);
  if (counter) counter.value += 1n;
}

/** Counts in a linear histogram of `slots` + 2 counters: the first holds what is below `min`, the last what is above the others. */
export function countLinear(histogram: BpfMap<u32, u64>, value: u64, shape: { min: u64; step: u64; slots: u32 }): void {
  const counter = histogram.ref(linearSlot(value, shape.min, shape.step, shape.slots));
  if (counter) counter.value += 1n;
}

/** An element of an inner map; null where either is absent. */
export function getIn<O, K, V>(maps: MapOfMaps<O, BpfMap<K, V>>, outer: O, key: K): V | null {
  const inner = maps.get(outer);
  return inner ? inner.get(key) : null;
}
