/**
 * @module
 * Maps, programs and variables as user space has them: names, codecs and numbers. What they do, they do in the kernel.
 */
import type { Type } from "./api.ts";

export type MapKind =
  | "hash"
  | "lru_hash"
  | "percpu_hash"
  | "lru_percpu_hash"
  | "array"
  | "percpu_array"
  | "lpm_trie"
  | "hash_of_maps"
  | "array_of_maps"
  | "prog_array"
  | "ringbuf"
  | "queue"
  | "stack"
  | "perf_event_array"
  | "stack_trace"
  | "devmap"
  | "devmap_hash"
  | "cpumap"
  | "xskmap"
  | "sockmap"
  | "sockhash"
  | "reuseport_sockarray"
  | "cgroup_array"
  | "bloom_filter"
  | "sk_storage"
  | "task_storage"
  | "inode_storage"
  | "cgrp_storage"
  | "cgroup_storage"
  | "percpu_cgroup_storage"
  | "user_ringbuf"
  | "arena";

export interface MapDescriptor {
  readonly kind: "map";
  readonly name: string;
  /** The kernel's name without prefix, lower case. */
  readonly type: MapKind;
  readonly maxEntries: number;
  readonly flags: number;
  /** Absent where the map has no keys. */
  readonly key?: Type<unknown>;
  /** Of a ring: its record. */
  readonly value?: Type<unknown>;
  readonly inner?: MapDescriptor;
}

export interface ProgramDescriptor {
  readonly kind: "program";
  readonly name: string;
  readonly section: string;
}

export interface VariableDescriptor {
  readonly kind: "config" | "global";
  readonly name: string;
  readonly type: Type<unknown>;
  readonly value: unknown;
}

/** Thrown by what only a kernel program may call. */
export class KernelOnlyError extends Error {
  override readonly name = "KernelOnlyError";
  constructor(what: string) {
    super(`${what} runs in the kernel only: this module was imported in user space for its names and types`);
  }
}

/** Something whose call throws. */
export function kernelOnly(what: string): (...args: unknown[]) => never {
  return () => {
    throw new KernelOnlyError(what);
  };
}

const MAP_METHODS = [
  "get",
  "set",
  "delete",
  "ref",
  "forEach",
  "push",
  "pop",
  "peek",
  "emit",
  "reserve",
  "submit",
  "discard",
  "tailCall",
  "output",
  "id",
  "redirect",
  "add",
  "has",
  "getOn",
  "drain",
  "reserveBytes",
  "submitBytes",
  "discardBytes",
  "query",
  "allocate",
  "free",
  "at",
];

export function mapDescriptor(parts: Omit<MapDescriptor, "kind">): MapDescriptor {
  const descriptor = { kind: "map", ...parts } as const;
  for (const method of MAP_METHODS) {
    Object.defineProperty(descriptor, method, { value: kernelOnly(`${parts.name}.${method}`), enumerable: false });
  }
  return descriptor;
}
