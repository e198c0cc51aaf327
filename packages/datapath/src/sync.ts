/**
 * @module
 * Bringing a map to rows that are wanted: adds and changes first, then deletes.
 */
import type { RawMap } from "@skep/machine";
import { keyText } from "./encode.ts";

export type Rows = ReadonlyMap<string, readonly [key: Uint8Array, value: Uint8Array]>;

export function write(map: RawMap, wanted: Rows): number {
  let changed = 0;
  for (const [key, value] of wanted.values()) {
    const present = map.get(key);
    if (present && keyText(present) === keyText(value)) continue;
    map.set(key, value);
    changed += 1;
  }
  return changed;
}

export function prune(map: RawMap, wanted: Rows): number {
  const stale = [...map.entries()].map(([key]) => key).filter((key) => !wanted.has(keyText(key)));
  map.deleteAll(stale);
  return stale.length;
}

export function sync(map: RawMap, wanted: Rows): { changed: number; deleted: number } {
  return { changed: write(map, wanted), deleted: prune(map, wanted) };
}
