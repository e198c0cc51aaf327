import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { Slab } from "./slab.ts";
import { VmMap, keyBytes, keyText, updateFlags } from "./map.ts";
import type { MapHost } from "./map.ts";

interface Entry {
  readonly address: number;
  /** Looked up since the last eviction passed by. */
  used: boolean;
}

/** `hash`, `percpu_hash`, and their LRU kinds (kernel/bpf/hashtab.c). */
export class HashMap extends VmMap {
  private readonly elements = new Map<string, Entry>();
  private readonly slab: Slab;
  private readonly cpus: number;
  private readonly perCpu: boolean;
  private readonly lru: boolean;

  constructor(host: MapHost, spec: MapSpec, id: number) {
    super(host, spec, id);
    this.perCpu = spec.type.includes("percpu");
    this.lru = spec.type.startsWith("lru");
    this.cpus = this.perCpu ? host.cpus : 1;
    this.slab = new Slab(host.memory, spec.valueSize, this.cpus);
  }

  get size(): number {
    return this.elements.size;
  }

  override get userValueSize(): number {
    return this.perCpu ? this.slab.stride * this.cpus : this.spec.valueSize;
  }

  override lookup(key: Uint8Array): number {
    return this.find(key, this.perCpu ? this.host.cpu : 0);
  }

  override lookupCpu(key: Uint8Array, cpu: number): number {
    return this.perCpu && cpu < this.cpus ? this.find(key, cpu) : 0;
  }

  private find(key: Uint8Array, cpu: number): number {
    const entry = this.elements.get(keyText(key));
    if (entry === undefined) return 0;
    entry.used = true;
    return entry.address + cpu * this.slab.stride;
  }

  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const entry = this.entryFor(key, flags);
    if (typeof entry === "number") return entry;
    const cpu = this.perCpu ? this.host.cpu : 0;
    this.host.memory.bytes.set(value.subarray(0, this.spec.valueSize), entry.address + cpu * this.slab.stride);
    return 0;
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const entry = this.entryFor(key, flags);
    if (typeof entry === "number") return entry;
    this.host.memory.bytes.set(value, entry.address);
    return 0;
  }

  protected override readUser(key: Uint8Array): Uint8Array | null {
    const entry = this.elements.get(keyText(key));
    return entry === undefined ? null : this.host.memory.bytes.slice(entry.address, entry.address + this.userValueSize);
  }

  /** The entry to write, made where it is absent and may be; a negative errno otherwise. */
  private entryFor(key: Uint8Array, flags: bigint): Entry | number {
    const mode = flags & ~BigInt(updateFlags.lock);
    if (mode > BigInt(updateFlags.existing)) return -errno.EINVAL;
    const text = keyText(key);
    const old = this.elements.get(text);
    if (old !== undefined) return mode === BigInt(updateFlags.new) ? -errno.EEXIST : this.replace(text, old, flags);
    if (mode === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (this.elements.size >= this.spec.maxEntries) {
      if (!this.lru) return -errno.E2BIG;
      this.evict();
    }
    const entry: Entry = { address: this.slab.take(), used: false };
    this.host.memory.bytes.fill(0, entry.address, entry.address + this.slab.stride * this.cpus);
    this.elements.set(text, entry);
    return entry;
  }

  /** An update makes a new element (htab_map_update_elem): who holds the old one's address still sees the old value. */
  private replace(text: string, old: Entry, flags: bigint): Entry {
    if (this.perCpu || (flags & BigInt(updateFlags.lock)) !== 0n) return old;
    const entry: Entry = { address: this.slab.take(), used: false };
    this.host.memory.bytes.fill(0, entry.address, entry.address + this.slab.stride);
    this.slab.give(old.address);
    this.elements.set(text, entry);
    return entry;
  }

  /** The oldest that was not looked up goes; those that were get a second chance, as on the kernel's inactive list (bpf_lru_list.c). */
  private evict(): void {
    for (const [text, entry] of this.elements) {
      this.elements.delete(text);
      if (!entry.used) {
        this.slab.give(entry.address);
        return;
      }
      entry.used = false;
      this.elements.set(text, entry);
    }
  }

  override remove(key: Uint8Array): number {
    const text = keyText(key);
    const entry = this.elements.get(text);
    if (entry === undefined) return -errno.ENOENT;
    this.elements.delete(text);
    this.slab.give(entry.address);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const text of this.elements.keys()) yield keyBytes(text);
  }
}
