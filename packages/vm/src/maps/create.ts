import type { MapSpec } from "@skep/object";
import { MapError, errno } from "../error.ts";
import { ArrayMap } from "./array.ts";
import { BloomMap } from "./bloom.ts";
import { HashMap } from "./hash.ts";
import { LpmMap } from "./lpm.ts";
import { createFlags as flags } from "./map.ts";
import type { MapHost, SpecialField, VmMap } from "./map.ts";
import { ArrayOfMaps, HashOfMaps, ProgramArray } from "./nested.ts";
import { ArenaMap, StackTraceMap, StructOpsMap } from "./other.ts";
import { QueueMap } from "./queue.ts";
import { RingMap } from "./ring.ts";
import { CpuMap, DeviceMap, NumberMap, SocketMap } from "./slots.ts";
import { CgroupStorage, StorageMap } from "./storage.ts";
import { UserRingMap } from "./user-ring.ts";

type Maker = new (host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) => VmMap;

interface Kind {
  readonly make: Maker;
  readonly flags: number;
  /** Bytes of a key that the type wants; absent: more than none. */
  readonly keySizes?: readonly number[];
  readonly valueSizes?: readonly number[];
  /** May be 0, or must. */
  readonly entries?: "any" | "none";
}

const access = flags.readOnly | flags.writeOnly | flags.readOnlyProgram | flags.writeOnlyProgram;
const plain = flags.numaNode | access;
/** Without those for programs. */
const outside = flags.numaNode | flags.readOnly | flags.writeOnly;
const hash = plain | flags.noPrealloc | flags.zeroSeed;
const lru = plain | flags.noCommonLru | flags.zeroSeed;
const array = plain | flags.mmapable | flags.innerMap;
const index = [4] as const;
const none = [0] as const;
const storage = { flags: flags.noPrealloc | flags.clone, keySizes: index, entries: "none" } as const;

/** What each *_map_alloc_check wants (kernel/bpf, net/core/sock_map.c, net/xdp/xskmap.c). */
const kinds: Readonly<Record<string, Kind>> = {
  array: { make: ArrayMap, flags: array, keySizes: index },
  percpu_array: { make: ArrayMap, flags: plain, keySizes: index },
  hash: { make: HashMap, flags: hash },
  percpu_hash: { make: HashMap, flags: hash },
  lru_hash: { make: HashMap, flags: lru },
  lru_percpu_hash: { make: HashMap, flags: lru },
  lpm_trie: { make: LpmMap, flags: plain | flags.noPrealloc },
  queue: { make: QueueMap, flags: plain, keySizes: none },
  stack: { make: QueueMap, flags: plain, keySizes: none },
  bloom_filter: { make: BloomMap, flags: plain | flags.zeroSeed, keySizes: none },
  ringbuf: { make: RingMap, flags: flags.numaNode, keySizes: none, valueSizes: none },
  user_ringbuf: { make: UserRingMap, flags: flags.numaNode, keySizes: none, valueSizes: none },
  array_of_maps: { make: ArrayOfMaps, flags: outside, keySizes: index, valueSizes: index },
  hash_of_maps: { make: HashOfMaps, flags: hash, valueSizes: index },
  prog_array: { make: ProgramArray, flags: outside, keySizes: index, valueSizes: index },
  perf_event_array: { make: NumberMap, flags: outside | flags.preserveElements, keySizes: index, valueSizes: index },
  cgroup_array: { make: NumberMap, flags: outside, keySizes: index, valueSizes: index },
  devmap: { make: DeviceMap, flags: outside, keySizes: index, valueSizes: [4, 8] },
  devmap_hash: { make: DeviceMap, flags: outside, keySizes: index, valueSizes: [4, 8] },
  cpumap: { make: CpuMap, flags: flags.numaNode, keySizes: index, valueSizes: [4, 8] },
  xskmap: { make: NumberMap, flags: outside, keySizes: index, valueSizes: index },
  sockmap: { make: SocketMap, flags: outside, keySizes: index, valueSizes: [4, 8] },
  sockhash: { make: SocketMap, flags: outside, valueSizes: [4, 8] },
  reuseport_sockarray: { make: SocketMap, flags: plain, keySizes: index, valueSizes: [4, 8] },
  sk_storage: { make: StorageMap, ...storage },
  task_storage: { make: StorageMap, ...storage },
  inode_storage: { make: StorageMap, ...storage },
  cgrp_storage: { make: StorageMap, ...storage },
  cgroup_storage: { make: CgroupStorage, flags: plain, keySizes: [8, 16], entries: "none" },
  percpu_cgroup_storage: { make: CgroupStorage, flags: plain, keySizes: [8, 16], entries: "none" },
  stack_trace: { make: StackTraceMap, flags: outside | flags.stackBuildId, keySizes: index },
  arena: { make: ArenaMap, flags: -1, keySizes: none, valueSizes: none },
  struct_ops: { make: StructOpsMap, flags: -1, keySizes: index },
};

/** Throws `MapError` with the errno that BPF_MAP_CREATE gives. `place.id`: its number in the machine. */
export function createMap(
  host: MapHost,
  spec: MapSpec,
  place: { id: number; fields?: readonly SpecialField[] },
): VmMap {
  const problem = problemOf(spec);
  if (problem !== 0) throw new MapError("create", spec.name, problem);
  const kind = kinds[spec.type];
  if (kind === undefined) throw new MapError("create", spec.name, errno.EINVAL);
  return new kind.make(host, spec, place);
}

/** 0, or a positive errno. */
function problemOf(spec: MapSpec): number {
  const kind = kinds[spec.type];
  if (kind === undefined) return errno.EINVAL;
  const extra = spec.mapExtra ?? 0n;
  if (extra !== 0n && (spec.type === "bloom_filter" ? extra > 0xfn : spec.type !== "arena")) return errno.EINVAL;
  if ((spec.flags & ~kind.flags) !== 0) return lruPrealloc(spec) ? errno.ENOTSUPP : errno.EINVAL;
  if ((spec.flags & (flags.readOnly | flags.writeOnly)) === (flags.readOnly | flags.writeOnly)) return errno.EINVAL;
  const both = flags.readOnlyProgram | flags.writeOnlyProgram;
  if ((spec.flags & both) === both) return errno.EINVAL;
  const fits = (size: number, sizes: readonly number[] | undefined) => sizes?.includes(size) ?? size > 0;
  if (!fits(spec.keySize, kind.keySizes) || !fits(spec.valueSize, kind.valueSizes)) return errno.EINVAL;
  if (kind.entries === "none" ? spec.maxEntries !== 0 : spec.maxEntries < 1) return errno.EINVAL;
  return special(spec);
}

function lruPrealloc(spec: MapSpec): boolean {
  return spec.type.startsWith("lru") && (spec.flags & flags.noPrealloc) !== 0;
}

function special(spec: MapSpec): number {
  const size = spec.maxEntries;
  switch (spec.type) {
    case "lpm_trie":
      if ((spec.flags & flags.noPrealloc) === 0) return errno.EINVAL;
      return spec.keySize < 5 || spec.keySize > 4 + 256 ? errno.EINVAL : 0;
    case "ringbuf":
    case "user_ringbuf":
      return size % 4096 !== 0 || !Number.isInteger(Math.log2(size)) ? errno.EINVAL : 0;
    case "stack_trace":
      return spec.valueSize < 8 || spec.valueSize % 8 !== 0 ? errno.EINVAL : 0;
    case "cpumap":
      return size > 8192 ? errno.E2BIG : 0;
    case "sk_storage":
    case "task_storage":
    case "inode_storage":
    case "cgrp_storage":
      return (spec.flags & flags.noPrealloc) === 0 ? errno.EINVAL : 0;
    case "percpu_array":
    case "percpu_hash":
    case "lru_percpu_hash":
      // PCPU_MIN_UNIT_SIZE
      return Math.ceil(spec.valueSize / 8) * 8 > 32_768 ? errno.E2BIG : 0;
    default:
      return 0;
  }
}
