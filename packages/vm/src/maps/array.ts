import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { VmMap, createFlags, updateFlags, wordBytes, wordOf } from "./map.ts";
import type { MapHost, SpecialField } from "./map.ts";
import { control } from "./shapes.ts";
import { Slab } from "./slab.ts";

/** Entries that are copied at once. */
const BATCH = 1024;

/** `array` and `percpu_array` (kernel/bpf/arraymap.c): every index exists. */
export class ArrayMap extends VmMap {
  /** Address of the first value. */
  readonly base: number;
  private readonly slab: Slab;
  private readonly cpus: number;

  constructor(host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) {
    super(host, spec, place);
    this.cpus = spec.type === "percpu_array" ? host.cpus : 1;
    const writable = (spec.flags & createFlags.readOnlyProgram) === 0;
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize, cpus: this.cpus, writable });
    this.base = this.slab.takeRun(spec.maxEntries);
    this.setControl(control.entries, spec.maxEntries);
    this.setControl(control.base, this.base);
    this.setControl(control.stride, this.slab.stride * this.cpus);
    this.setControl(control.cpuOffset, this.perCpu ? host.cpu * this.slab.stride : 0);
  }

  private get perCpu(): boolean {
    return this.spec.type === "percpu_array";
  }

  override get userValueSize(): number {
    return this.perCpu ? this.slab.stride * this.cpus : this.spec.valueSize;
  }

  override lookup(key: Uint8Array): number {
    return this.place(wordOf(key), this.perCpu ? this.host.cpu : 0);
  }

  override lookupCpu(key: Uint8Array, cpu: number): number {
    return this.perCpu && cpu < this.cpus ? this.place(wordOf(key), cpu) : 0;
  }

  /** array_map_update_elem */
  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const problem = this.problem(key, flags);
    if (problem !== 0) return problem;
    const address = this.lookup(key);
    this.putValue(address, value);
    this.emptyValue(address);
    return 0;
  }

  override remove(): number {
    return -errno.EINVAL;
  }

  override *keys(): Iterable<Uint8Array> {
    for (let i = 0; i < this.spec.maxEntries; i++) yield wordBytes(i);
  }

  /** As the kernel's batches do: what stands there when a batch is read. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const { maxEntries } = this.spec;
    const size = this.userValueSize;
    const stride = this.slab.stride * this.cpus;
    for (let first = 0; first < maxEntries; first += BATCH) {
      const count = Math.min(BATCH, maxEntries - first);
      const keys = new Uint8Array(Uint32Array.from({ length: count }, (_, i) => first + i).buffer);
      const start = this.base + first * stride;
      const values = this.host.memory.bytes.slice(start, start + (count - 1) * stride + size);
      for (let i = 0; i < count; i++) {
        const value = values.subarray(i * stride, i * stride + size);
        for (const { offset, size: bytes } of this.fields) value.fill(0, offset, offset + bytes);
        yield [keys.subarray(i * 4, i * 4 + 4), value];
      }
    }
  }

  protected override readUser(key: Uint8Array): Uint8Array | number {
    const address = this.place(wordOf(key), 0);
    return address === 0 ? -errno.ENOENT : this.valueBytes(address);
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const problem = this.problem(key, flags);
    if (problem !== 0) return problem;
    const address = this.place(wordOf(key), 0);
    if (!this.perCpu) {
      this.putValue(address, value);
      this.emptyValue(address);
    }
    const { stride } = this.slab;
    for (let cpu = 0; this.perCpu && cpu < this.cpus; cpu++) {
      const part = value.subarray(cpu * stride, cpu * stride + this.spec.valueSize);
      this.putValue(address + cpu * stride, part);
      this.emptyValue(address + cpu * stride);
    }
    return 0;
  }

  /** array_map_get_next_key */
  protected override nextUser(key: Uint8Array | null): Uint8Array | number {
    const index = key === null ? 0xffff_ffff : wordOf(key);
    if (index >= this.spec.maxEntries) return wordBytes(0);
    return index === this.spec.maxEntries - 1 ? -errno.ENOENT : wordBytes(index + 1);
  }

  private problem(key: Uint8Array, flags: bigint): number {
    const mode = flags & ~BigInt(updateFlags.lock);
    if (mode > BigInt(updateFlags.existing)) return -errno.EINVAL;
    if (wordOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    return mode === BigInt(updateFlags.new) ? -errno.EEXIST : 0;
  }

  private place(index: number, cpu: number): number {
    if (index >= this.spec.maxEntries) return 0;
    return this.base + (index * this.cpus + cpu) * this.slab.stride;
  }

  protected override release(): void {
    this.slab.release();
  }
}
