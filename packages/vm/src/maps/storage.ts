import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import type { ObjectKind } from "../host.ts";
import type { KernelObject } from "../object.ts";
import { VmMap, updateFlags, wordOf } from "./map.ts";
import type { MapHost, SpecialField } from "./map.ts";
import { Slab } from "./slab.ts";

const kinds: Readonly<Record<string, ObjectKind>> = {
  sk_storage: "socket",
  task_storage: "task",
  inode_storage: "inode",
  cgrp_storage: "cgroup",
};

/** BPF_LOCAL_STORAGE_GET_F_CREATE */
const CREATE = 1n;

/** `sk_storage`, `task_storage`, `inode_storage`, `cgrp_storage` (kernel/bpf/bpf_local_storage.c): a value per kernel object, gone with it. */
export class StorageMap extends VmMap {
  private readonly values = new Map<KernelObject, number>();
  private readonly slab: Slab;

  constructor(host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) {
    super(host, spec, place);
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize });
  }

  get size(): number {
    return this.values.size;
  }

  /** bpf_sk_storage_get and its like: the value's address, 0 where there is none and none was to be made. */
  of(object: KernelObject, flags: bigint, initial: Uint8Array | null): number {
    if (flags > CREATE) return 0;
    const known = this.values.get(object);
    if (known !== undefined || flags !== CREATE) return known ?? 0;
    return this.make(object, initial);
  }

  private make(object: KernelObject, initial: Uint8Array | null): number {
    const address = this.slab.take();
    this.host.memory.bytes.fill(0, address, address + this.slab.stride);
    if (initial !== null) this.putValue(address, initial);
    this.values.set(object, address);
    object.whenClosed(() => this.removeFrom(object));
    return address;
  }

  /** 0 or -ENOENT. */
  removeFrom(object: KernelObject): number {
    const address = this.values.get(object);
    if (address === undefined) return -errno.ENOENT;
    this.emptyValue(address);
    this.slab.give(address);
    this.values.delete(object);
    return 0;
  }

  /** The object of a descriptor, as user space names it. */
  private objectOf(key: Uint8Array): KernelObject | null {
    return this.host.host().objectOf?.(kinds[this.spec.type] ?? "socket", wordOf(key)) ?? null;
  }

  protected override readUser(key: Uint8Array): Uint8Array | number {
    const object = this.objectOf(key);
    if (object === null) return -errno.EBADF;
    const address = this.values.get(object);
    return address === undefined ? -errno.ENOENT : this.valueBytes(address);
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if ((flags & ~BigInt(updateFlags.lock)) > BigInt(updateFlags.existing)) return -errno.EINVAL;
    const object = this.objectOf(key);
    if (object === null) return -errno.EBADF;
    const mode = flags & ~BigInt(updateFlags.lock);
    const address = this.values.get(object);
    if (address !== undefined && mode === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (address === undefined && mode === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (address === undefined) this.make(object, value);
    else this.putValue(address, value);
    return 0;
  }

  protected override removeUser(key: Uint8Array): number {
    const object = this.objectOf(key);
    return object === null ? -errno.EBADF : this.removeFrom(object);
  }

  protected override nextUser(): number {
    return -errno.ENOTSUPP;
  }

  override *keys(): Iterable<Uint8Array> {}

  protected override release(): void {
    this.slab.release();
  }
}

/** `cgroup_storage`, `percpu_cgroup_storage` (kernel/bpf/local_storage.c): a value per cgroup, made when its program first asks. */
export class CgroupStorage extends VmMap {
  private readonly values = new Map<bigint, number>();
  private readonly slab: Slab;

  constructor(host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) {
    super(host, spec, place);
    const cpus = spec.type.startsWith("percpu") ? host.cpus : 1;
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize, cpus });
  }

  override get userValueSize(): number {
    return this.spec.type.startsWith("percpu") ? this.slab.stride * this.host.cpus : this.spec.valueSize;
  }

  /** bpf_get_local_storage */
  of(cgroup: bigint): number {
    let address = this.values.get(cgroup);
    if (address === undefined) {
      address = this.slab.take();
      this.host.memory.bytes.fill(0, address, address + this.userValueSize);
      this.values.set(cgroup, address);
    }
    return address + (this.spec.type.startsWith("percpu") ? this.host.cpu * this.slab.stride : 0);
  }

  private idOf(key: Uint8Array): bigint {
    return new DataView(key.buffer, key.byteOffset).getBigUint64(0, true);
  }

  protected override readUser(key: Uint8Array): Uint8Array | number {
    const address = this.values.get(this.idOf(key));
    return address === undefined ? -errno.ENOENT : this.valueBytes(address);
  }

  /** Only what is there: user space makes none. */
  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if ((flags & ~6n) !== 0n) return -errno.EINVAL;
    const address = this.values.get(this.idOf(key));
    if (address === undefined) return -errno.ENOENT;
    this.host.memory.bytes.set(value, address);
    return 0;
  }

  override remove(): number {
    return -errno.EINVAL;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const id of this.values.keys()) {
      const key = new Uint8Array(this.spec.keySize);
      new DataView(key.buffer).setBigUint64(0, id, true);
      yield key;
    }
  }

  protected override release(): void {
    this.slab.release();
  }
}
