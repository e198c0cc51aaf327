import { mapFlags, mapTypes, mapTypeNumber } from "@skep/isa";
import { encodeBtf, type BtfType } from "@skep/object";
import { Descriptor, PAGE_SIZE } from "../../sys/index.ts";
import { Attributes, bpfChecked } from "../attributes.ts";
import { conclusive } from "./run.ts";

interface Shape {
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly needsInner?: boolean;
  readonly needsTypes?: boolean;
}

const plain: Shape = { keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 };
const ring: Shape = { keySize: 0, valueSize: 0, maxEntries: PAGE_SIZE, flags: 0 };
const keyless: Shape = { ...plain, keySize: 0 };
const storage: Shape = { ...plain, maxEntries: 0, flags: mapFlags.no_prealloc, needsTypes: true };
const cgroupStorage: Shape = { ...plain, keySize: 8, maxEntries: 0 };

/** The smallest map of each type that differs from a plain one. */
const shapes: Readonly<Record<string, Shape>> = {
  lpm_trie: { ...plain, keySize: 8, flags: mapFlags.no_prealloc },
  stack_trace: { ...plain, valueSize: 8 },
  cgroup_storage: cgroupStorage,
  percpu_cgroup_storage: cgroupStorage,
  array_of_maps: { ...plain, needsInner: true },
  hash_of_maps: { ...plain, needsInner: true },
  queue: keyless,
  stack: keyless,
  bloom_filter: keyless,
  reuseport_sockarray: { ...plain, valueSize: 8 },
  sk_storage: storage,
  inode_storage: storage,
  task_storage: storage,
  cgrp_storage: storage,
  ringbuf: ring,
  user_ringbuf: ring,
  arena: { keySize: 0, valueSize: 0, maxEntries: 1, flags: mapFlags.mmapable },
  insn_array: { ...plain, valueSize: 16 },
};

const int: BtfType = { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding: "signed" };

function withTypes<T>(needed: boolean | undefined, use: (fd: number) => T): T {
  if (!needed) return use(0);
  const bytes = encodeBtf({ types: [int] }, { byteOrder: "little" });
  const fd = new Attributes().pointer(0, bytes).u32(16, bytes.byteLength).try("btf_load");
  if (fd < 0) conclusive("types", -fd);
  if (fd < 0) return use(0);
  const descriptor = new Descriptor(fd, "btf");
  try {
    return use(fd);
  } finally {
    descriptor.close();
  }
}

function withInner<T>(needed: boolean | undefined, use: (fd: number) => T): T {
  if (!needed) return use(0);
  const attributes = new Attributes().u32(0, mapTypes.array).u32(4, 4).u32(8, 4).u32(12, 1);
  const made = attributes.try("map_create");
  conclusive("maps in maps", -made);
  const inner = new Descriptor(bpfChecked("map_create", made), "map");
  try {
    return use(inner.fd);
  } finally {
    inner.close();
  }
}

/**
 * The result of making the smallest map of a type: a descriptor that is closed again (0), or the negated errno. Throws
 * `InconclusiveError`.
 */
export function tryMapType(name: string, flags = 0): number {
  const type = mapTypeNumber(name);
  if (type === null) throw new RangeError(`no such map type: ${name}`);
  const shape = shapes[name] ?? plain;
  return withTypes(shape.needsTypes, (btf) =>
    withInner(shape.needsInner, (inner) => {
      const attributes = new Attributes()
        .u32(0, type)
        .u32(4, shape.keySize)
        .u32(8, shape.valueSize)
        .u32(12, shape.maxEntries)
        .u32(16, shape.flags | flags)
        .u32(20, inner);
      if (btf) attributes.u32(48, btf).u32(52, 1).u32(56, 1);
      const result = attributes.try("map_create");
      conclusive(`map type ${name}`, -result);
      if (result < 0) return result;
      new Descriptor(result, "map").close();
      return 0;
    }),
  );
}

const known = new Map<string, boolean>();

/**
 * Whether the kernel has the type. struct_ops maps are known by their refusal: a kernel without them says EINVAL before it asks for
 * types (ENOTSUPP, EOPNOTSUPP).
 */
export function hasMapType(name: string): boolean {
  let has = known.get(name);
  if (has === undefined) {
    has = name === "struct_ops" ? hasStructOps() : tryMapType(name) === 0;
    known.set(name, has);
  }
  return has;
}

/** With a value type that does not exist the kernel looks for it and finds none: ENOTSUPP or ENOENT, not EINVAL. */
function hasStructOps(): boolean {
  const result = new Attributes()
    .u32(0, mapTypes.struct_ops)
    .u32(4, 4)
    .u32(8, 4)
    .u32(12, 1)
    .u32(60, 1)
    .try("map_create");
  conclusive("map type struct_ops", -result);
  return result === -524 || result === -2 || result >= 0;
}
