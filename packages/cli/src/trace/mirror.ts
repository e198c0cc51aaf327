/**
 * @module
 * Maps of a machine of one's own that read through to the pinned ones: what a program looks up is fetched when it does, and what it writes stays
 * here. The datapath in force notices nothing (a look-up from user space does not even refresh an LRU map's entry, kernel/bpf/hashtab.c).
 */
import { openDatapathMap } from "@skep/datapath";
import type { BpfMachine, RawMap } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import type { Vm, VmMap } from "@skep/vm";

/** Entries of a map here: only those that are asked for get in. */
const ENTRIES = 4096;
const READ_THROUGH = new Set(["hash", "lru_hash", "lpm_trie", "array", "hash_of_maps"]);

/** Overrides of sizes, so that the machine is small. */
export function mirrorSizes(spec: ObjectSpec): Record<string, number> {
  const large = Object.values(spec.maps).filter(
    ({ type, maxEntries }) => type !== "array" && READ_THROUGH.has(type) && maxEntries > ENTRIES,
  );
  return Object.fromEntries(large.map(({ name }) => [name, ENTRIES]));
}

const keyText = (key: Uint8Array): string => String.fromCharCode(...key);

export class Mirror {
  readonly #vm: Vm;
  /** By the map's number here. */
  readonly #sources = new Map<number, RawMap>();
  /** Keys that are as the source has them, or have been written here since. */
  readonly #seen = new Map<number, Map<string, boolean>>();

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Throws LayoutError where another version has pinned the maps. */
  open(bpf: BpfMachine, place: { pins: string; spec: ObjectSpec; maps: Readonly<Record<string, VmMap>> }): void {
    for (const { name, type, data } of Object.values(place.spec.maps)) {
      const map = place.maps[name];
      if (!map || data || !READ_THROUGH.has(type)) continue;
      const source = openDatapathMap(bpf, { pins: place.pins, spec: place.spec, name });
      if (source) this.#sources.set(map.id, source);
    }
  }

  /** Makes the map here answer as the source would. False: the source has nothing for the key, and nothing was written here. */
  fetch(map: VmMap, key: Uint8Array): boolean {
    const source = this.#sources.get(map.id);
    if (!source) return true;
    const seen = this.#seen.get(map.id) ?? new Map<string, boolean>();
    this.#seen.set(map.id, seen);
    const text = keyText(key);
    const known = seen.get(text);
    if (known !== undefined) return known;
    const found = source.info.type === "hash_of_maps" ? this.#fetchMap(map, source, key) : fetchValue(map, source, key);
    seen.set(text, found);
    return found;
  }

  /** The program has written the key: what stands here counts. */
  written(map: VmMap, key: Uint8Array): void {
    this.#seen.get(map.id)?.set(keyText(key), true);
  }

  #fetchMap(outer: VmMap, source: RawMap, key: Uint8Array): boolean {
    const inner = source.getMap(key);
    const like = outer.spec.inner;
    if (!inner || !like) return false;
    const made = this.#vm.createMap(like.maxEntries > ENTRIES ? { ...like, maxEntries: ENTRIES } : like);
    this.#sources.set(made.id, inner);
    this.#vm.setMap(outer, key, made);
    return true;
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
    this.#sources.clear();
  }
}

/** Of a trie the longest match is put under the whole key that was asked for. */
function fetchValue(map: VmMap, source: RawMap, key: Uint8Array): boolean {
  const value = source.get(key);
  if (value) map.set(key, value);
  return value !== null;
}
