import { mapFlags, mapTypeNumber } from "@skep/isa";
import type { MapSpec } from "@skep/object";
import { Descriptor, PAGE_SIZE } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";
import { needCapabilities } from "./capabilities.ts";
import { possibleCpus } from "./cpus.ts";
import { MapMismatchError } from "./map-errors.ts";
import { openModuleBtf } from "./kernel-btf.ts";
import { LinuxMap } from "./map.ts";
import { NotSupportedError } from "./not-supported.ts";
import { hasFeature } from "./probes/basic.ts";
import { hasMapType } from "./probes/map-types.ts";
import { isPassing } from "./probes/run.ts";
import { mapTypesSince } from "./probes/since.ts";
import type { StructOpsLayout } from "./struct-ops.ts";

export interface CreateMapOptions {
  /** The object's BTF as the kernel holds it: for the types of key and value. */
  readonly btf?: Descriptor | null;
  readonly maxEntries?: number;
  /** The kernel's side of a struct_ops map. */
  readonly structOps?: StructOpsLayout;
  /** Descriptor of a BPF token, 0 for none. */
  readonly token?: number;
}

/** Rings are powers of two and whole pages; a spec may say anything. */
export function ringSize(bytes: number): number {
  let size = PAGE_SIZE;
  while (size < bytes) size *= 2;
  return size;
}

const DEFAULT_RING = 256 * 1024;

/** The size that the kernel is asked for. */
function entriesOf(spec: MapSpec, wanted: number | undefined): number {
  const given = wanted ?? spec.maxEntries;
  if (spec.type === "ringbuf" || spec.type === "user_ringbuf") return ringSize(given || DEFAULT_RING);
  if ((spec.type === "perf_event_array" || spec.type === "cpumap") && given === 0) return possibleCpus();
  return given;
}

// Types whose key and value are not the program's own: the kernel refuses BTF for them (map_check_btf; libbpf: bpf_object__create_map).
const withoutTypes = new Set([
  "perf_event_array",
  "cgroup_array",
  "stack_trace",
  "array_of_maps",
  "hash_of_maps",
  "devmap",
  "devmap_hash",
  "cpumap",
  "xskmap",
  "sockmap",
  "sockhash",
  "queue",
  "stack",
  "arena",
]);

// Types that the kernel sets a size and flags of its own for, or that live with what they describe.
const storages = new Set(["sk_storage", "task_storage", "inode_storage", "cgrp_storage"]);

/**
 * BPF_MAP_CREATE. Without BTF where the spec has none, the type takes none, or the kernel refuses the map with it (libbpf:
 * bpf_object__create_map).
 */
export function createMap(spec: MapSpec, options: CreateMapOptions = {}): LinuxMap {
  if (!options.token) needCapabilities(`creating map ${spec.name}`, "CAP_BPF");
  const innerOptions = { btf: options.btf ?? null, token: options.token ?? 0 };
  const inner = spec.inner ? createMap({ ...spec.inner, name: `${spec.name}.inner` }, innerOptions) : null;
  const module = options.structOps?.module ? openModuleBtf(options.structOps.module) : null;
  try {
    const fds = { inner: inner?.fd ?? 0, module: module?.fd ?? 0 };
    const create = () => attributesOf(spec, options, fds);
    const isTyped = options.btf && !options.structOps && !withoutTypes.has(spec.type);
    const typed = isTyped && ((spec.keyTypeId ?? 0) !== 0 || (spec.valueTypeId ?? 0) !== 0);
    const result = typed ? withTypes(create(), spec, options.btf.fd).try("map_create") : create().try("map_create");
    const plain = typed && result < 0 && !isPassing(result) ? create().try("map_create") : result;
    if (plain >= 0 || isPassing(plain) || hasFeature("names")) return madeMap(plain, spec);
    return madeMap(attributesOf({ ...spec, name: "" }, options, fds).try("map_create"), spec);
  } finally {
    inner?.close();
    module?.close();
  }
}

function attributesOf(
  spec: MapSpec,
  options: CreateMapOptions,
  fds: { readonly inner: number; readonly module: number },
): Attributes {
  const type = mapTypeNumber(spec.type);
  if (type === null) throw new TypeError(`map ${spec.name}: unknown type ${spec.type}`);
  const { structOps, token = 0 } = options;
  const attributes = new Attributes()
    .u32(0, type)
    .u32(4, spec.keySize)
    .u32(8, structOps?.valueSize ?? spec.valueSize)
    .u32(12, entriesOf(spec, options.maxEntries))
    .u32(16, flagsOf(spec) | (token ? mapFlags.token_fd : 0) | (fds.module ? mapFlags.vtype_btf_obj_fd : 0))
    .u32(20, fds.inner)
    .u32(24, spec.numaNode ?? 0)
    .name(28, spec.name)
    .u32(60, structOps?.valueTypeId ?? 0)
    .u64(64, spec.mapExtra ?? 0n)
    .u32(72, fds.module)
    .u32(76, token);
  // For struct_ops the BTF is there, but the types are the kernel's.
  return structOps && options.btf ? attributes.u32(48, options.btf.fd) : attributes;
}

function withTypes(attributes: Attributes, spec: MapSpec, btf: number): Attributes {
  return attributes
    .u32(48, btf)
    .u32(52, spec.keyTypeId ?? 0)
    .u32(56, spec.valueTypeId ?? 0);
}

function flagsOf(spec: MapSpec): number {
  return spec.flags | (storages.has(spec.type) ? mapFlags.no_prealloc : 0);
}

/** Types that a kernel does not know are refused with EINVAL, as is much else: what it knows otherwise decides. */
function madeMap(result: number, spec: MapSpec): LinuxMap {
  if (result >= 0) {
    const descriptor = new Descriptor(result, "map");
    try {
      return new LinuxMap(descriptor);
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }
  const cause = bpfError("map_create", -result, `${spec.type} ${spec.name}`);
  if (cause.code === "EINVAL" && !hasMapType(spec.type))
    throw new NotSupportedError(`map type ${spec.type}`, { minKernel: mapTypesSince[spec.type] ?? null, cause });
  throw cause;
}

/** Throws `MapMismatchError` where a map that is there is not what the spec says. */
export function checkFits(map: LinuxMap, spec: MapSpec, maxEntries?: number): void {
  const { info } = map;
  const wanted = entriesOf(spec, maxEntries);
  const differences: string[] = [];
  const compare = (what: string, is: number | string, should: number | string) => {
    if (is !== should) differences.push(`${what} ${is} instead of ${should}`);
  };
  compare("type", info.type, spec.type);
  compare("key size", info.keySize, spec.keySize);
  compare("value size", info.valueSize, spec.valueSize);
  compare("size", info.maxEntries, wanted);
  // devmaps are made read-only for programs by the kernel itself.
  const own = spec.type.startsWith("devmap") ? mapFlags.rdonly_prog : 0;
  compare("flags", info.flags & ~own, flagsOf(spec) & ~own);
  if (differences.length > 0) throw new MapMismatchError(spec.name, differences);
}
