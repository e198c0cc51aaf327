import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { Lru } from "./lru.ts";
import type { LruNode } from "./lru.ts";
import { VmMap, createFlags, updateFlags } from "./map.ts";
import type { MapHost, SpecialField } from "./map.ts";
import { control, node } from "./shapes.ts";
import { Slab } from "./slab.ts";
import { Table } from "./table.ts";

/** `hash`, `percpu_hash`, and their LRU kinds (kernel/bpf/hashtab.c). */
export class HashMap extends VmMap {
  private readonly table: Table;
  private readonly slab: Slab;
  private readonly cpus: number;
  private readonly perCpu: boolean;
  private readonly lru: Lru | null;

  constructor(host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) {
    super(host, spec, place);
    this.perCpu = spec.type.includes("percpu");
    this.cpus = this.perCpu ? host.cpus : 1;
    const writable = (spec.flags & createFlags.readOnlyProgram) === 0;
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize, cpus: this.cpus, writable });
    this.table = new Table(host.memory, spec);
    this.lru = spec.type.startsWith("lru") ? this.makeLru(host, spec) : null;
    this.setControl(control.mask, this.table.mask);
    this.setControl(control.buckets, this.table.buckets);
    this.setControl(control.cpuOffset, this.perCpu ? host.cpu * this.slab.stride : 0);
  }

  private makeLru(host: MapHost, spec: MapSpec): Lru {
    const { memory } = host;
    return new Lru(
      {
        isUsed: (at) => memory.u32[(at + node.used) >>> 2] !== 0,
        setUsed: (at, used) => (memory.u32[(at + node.used) >>> 2] = used ? 1 : 0),
        evict: (at) => {
          this.lru?.forget(at);
          this.drop(at);
        },
      },
      { entries: spec.maxEntries, cpus: host.cpus, common: (spec.flags & createFlags.noCommonLru) === 0 },
    );
  }

  private drop(at: number): void {
    this.giveValue(this.table.valueOf(at));
    this.table.remove(at);
  }

  private giveValue(address: number): void {
    for (let cpu = 0; cpu < this.cpus; cpu++) this.emptyValue(address + cpu * this.slab.stride);
    this.slab.give(address);
  }

  get size(): number {
    return this.table.size;
  }

  override get userValueSize(): number {
    return this.perCpu ? this.slab.stride * this.cpus : this.spec.valueSize;
  }

  /** By programs: an LRU map remembers it. */
  override lookup(key: Uint8Array): number {
    return this.lookupAt(key, this.perCpu ? this.host.cpu : 0);
  }

  override lookupCpu(key: Uint8Array, cpu: number): number {
    return this.perCpu && cpu < this.cpus ? this.lookupAt(key, cpu) : 0;
  }

  private lookupAt(key: Uint8Array, cpu: number): number {
    const at = this.table.find(key);
    if (at === 0) return 0;
    if (this.lru !== null) this.setUsed(at);
    return this.table.valueOf(at) + cpu * this.slab.stride;
  }

  private setUsed(at: number): void {
    this.host.memory.u32[(at + node.used) >>> 2] = 1;
  }

  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const offset = this.perCpu ? this.host.cpu * this.slab.stride : 0;
    return this.put(key, flags, (address, isNew) => {
      if (isNew && this.perCpu) this.clear(address);
      this.putValue(address + offset, value);
    });
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    return this.put(key, flags, (address) => {
      if (!this.perCpu) {
        this.putValue(address, value);
        return;
      }
      const { stride } = this.slab;
      for (let cpu = 0; cpu < this.cpus; cpu++) {
        this.host.memory.bytes.set(
          value.subarray(cpu * stride, cpu * stride + this.spec.valueSize),
          address + cpu * stride,
        );
      }
    });
  }

  private clear(address: number): void {
    this.host.memory.bytes.fill(0, address, address + this.slab.stride * this.cpus);
  }

  private put(key: Uint8Array, flags: bigint, write: (address: number, isNew: boolean) => void): number {
    const lock = BigInt(updateFlags.lock);
    const mode = flags & ~lock;
    const locked = (flags & lock) !== 0n;
    if (mode > BigInt(updateFlags.existing) || (locked && (this.lru !== null || this.perCpu))) return -errno.EINVAL;
    return this.lru === null
      ? this.putPlain(key, { mode, locked }, write)
      : this.putLru(this.lru, { key, mode }, write);
  }

  /** htab_map_update_elem: an update makes a new element; who holds the old one's address still sees the old value. */
  private putPlain(
    key: Uint8Array,
    how: { mode: bigint; locked: boolean },
    write: (address: number, isNew: boolean) => void,
  ): number {
    const old = this.table.find(key);
    if (old !== 0 && how.mode === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (old === 0 && how.mode === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (old !== 0 && (this.perCpu || how.locked)) {
      write(this.table.valueOf(old), false);
      return 0;
    }
    if (old === 0 && this.table.size >= this.spec.maxEntries) return -errno.E2BIG;
    const address = this.fresh();
    write(address, true);
    if (old === 0) this.table.insert(key, address);
    else {
      this.giveValue(this.table.valueOf(old));
      this.table.setValue(old, address);
    }
    return 0;
  }

  private fresh(): number {
    const address = this.slab.take();
    this.clear(address);
    return address;
  }

  /** htab_lru_map_update_elem: the place for the new element is taken before the old one is looked for. */
  private putLru(
    lru: Lru,
    how: { key: Uint8Array; mode: bigint },
    write: (address: number, isNew: boolean) => void,
  ): number {
    const { key, mode } = how;
    const existing = mode === BigInt(updateFlags.existing);
    const entry = this.perCpu && existing ? null : lru.take(this.host.cpu);
    if (entry === null && !(this.perCpu && existing)) return -errno.ENOMEM;
    const old = this.table.find(key);
    const problem =
      old !== 0 && mode === BigInt(updateFlags.new) ? -errno.EEXIST : old === 0 && existing ? -errno.ENOENT : 0;
    if (problem !== 0 || (old !== 0 && this.perCpu)) {
      if (problem === 0) {
        this.setUsed(old);
        write(this.table.valueOf(old), false);
      }
      if (entry !== null) lru.giveNode(entry);
      return problem;
    }
    if (entry !== null) this.addLru(lru, { entry, key, old }, write);
    return 0;
  }

  private addLru(
    lru: Lru,
    what: { entry: LruNode; key: Uint8Array; old: number },
    write: (address: number, isNew: boolean) => void,
  ): void {
    const address = this.fresh();
    write(address, true);
    if (what.old !== 0) this.removeNode(what.old);
    const at = this.table.insert(what.key, address);
    lru.bind(what.entry, at);
    if (what.old !== 0) this.setUsed(at);
  }

  private removeNode(at: number): void {
    this.drop(at);
    this.lru?.give(at);
  }

  override remove(key: Uint8Array): number {
    const at = this.table.find(key);
    if (at === 0) return -errno.ENOENT;
    this.removeNode(at);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const at of this.table.nodes()) yield this.table.keyOf(at);
  }

  /** User space leaves no trace in an LRU map. */
  protected override readUser(key: Uint8Array): Uint8Array | number {
    const at = this.table.find(key);
    return at === 0 ? -errno.ENOENT : this.valueBytes(this.table.valueOf(at));
  }

  protected override takeUser(key: Uint8Array): Uint8Array | number {
    const value = this.readUser(key);
    if (typeof value !== "number") this.remove(key);
    return value;
  }

  protected override nextUser(key: Uint8Array | null): Uint8Array | number {
    const next = this.table.next(key === null ? 0 : this.table.find(key));
    return next === 0 ? -errno.ENOENT : this.table.keyOf(next);
  }

  protected override release(): void {
    this.table.release();
    this.slab.release();
  }
}
