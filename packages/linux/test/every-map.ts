/**
 * @module
 * A map of every type that can be made without types of its own.
 */
import { mapFlags, mapTypes } from "@skep/isa";
import type { MapSpec } from "@skep/object";
import type { LinuxBpf, LinuxMap } from "../src/bpf/index.ts";
import { features } from "../src/bpf/index.ts";
import { mapSpec } from "../src/bpf/testing.ts";

/** What differs from a key of four and a value of eight bytes. */
const shapes: Readonly<Record<string, Partial<MapSpec>>> = {
  prog_array: { valueSize: 4 },
  perf_event_array: { valueSize: 4 },
  cgroup_array: { valueSize: 4 },
  lpm_trie: { keySize: 8, flags: mapFlags.no_prealloc },
  array_of_maps: { valueSize: 4, inner: mapSpec("inner", "array") },
  hash_of_maps: { valueSize: 4, inner: mapSpec("inner", "array") },
  xskmap: { valueSize: 4 },
  cgroup_storage: { keySize: 8, maxEntries: 0 },
  percpu_cgroup_storage: { keySize: 8, maxEntries: 0 },
  queue: { keySize: 0 },
  stack: { keySize: 0 },
  bloom_filter: { keySize: 0 },
  ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
  user_ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
  arena: { keySize: 0, valueSize: 0, flags: mapFlags.mmapable },
};

/** Storages and struct_ops need types. */
const typed: ReadonlySet<string> = new Set([
  ...["sk_storage", "task_storage", "inode_storage", "cgrp_storage", "struct_ops", "unspec"],
]);

/** Types of maps that need no types of keys and values. */
export const untypedMaps: readonly string[] = Object.keys(mapTypes).filter((name) => !typed.has(name));

export function specOfType(type: string): MapSpec {
  return mapSpec(type, type, shapes[type] ?? {});
}

/** One of each type that this kernel has. */
export function* everyMap(bpf: LinuxBpf): IterableIterator<LinuxMap> {
  for (const type of untypedMaps) if (features.mapType(type)) yield bpf.createMap(specOfType(type));
}
