import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { Slab } from "./slab.ts";
import { VmMap, updateFlags } from "./map.ts";
import type { MapHost } from "./map.ts";

/** `array` and `percpu_array` (kernel/bpf/arraymap.c): every index exists. */
export class ArrayMap extends VmMap {
  /** Address of the first value. */
  readonly base: number;
  private readonly slab: Slab;
  private readonly cpus: number;

  constructor(host: MapHost, spec: MapSpec, id: number) {
    super(host, spec, id);
    this.cpus = spec.type === "percpu_array" ? host.cpus : 1;
    this.slab = new Slab(host.memory, spec.valueSize, this.cpus);
    this.base = this.slab.takeRun(spec.maxEntries);
  }

  override get userValueSize(): number {
    return this.spec.type === "percpu_array" ? this.slab.stride * this.cpus : this.spec.valueSize;
  }

  override lookup(key: Uint8Array): number {
    return this.place(indexOf(key), this.cpus === 1 ? 0 : this.host.cpu);
  }

  override lookupCpu(key: Uint8Array, cpu: number): number {
    return this.spec.type === "percpu_array" && cpu < this.cpus ? this.place(indexOf(key), cpu) : 0;
  }

  /** array_map_update_elem */
  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const problem = this.problem(key, flags);
    if (problem !== 0) return problem;
    this.host.memory.bytes.set(value.subarray(0, this.spec.valueSize), this.lookup(key));
    return 0;
  }

  override remove(): number {
    return -errno.EINVAL;
  }

  override *keys(): Iterable<Uint8Array> {
    for (let i = 0; i < this.spec.maxEntries; i++) yield new Uint8Array(Uint32Array.of(i).buffer);
  }

  protected override readUser(key: Uint8Array): Uint8Array | null {
    const address = this.place(indexOf(key), 0);
    return address === 0 ? null : this.host.memory.bytes.slice(address, address + this.userValueSize);
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const problem = this.problem(key, flags);
    if (problem === 0) this.host.memory.bytes.set(value, this.place(indexOf(key), 0));
    return problem;
  }

  private problem(key: Uint8Array, flags: bigint): number {
    const mode = flags & ~BigInt(updateFlags.lock);
    if (mode > BigInt(updateFlags.existing)) return -errno.EINVAL;
    if (indexOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    return mode === BigInt(updateFlags.new) ? -errno.EEXIST : 0;
  }

  private place(index: number, cpu: number): number {
    if (index >= this.spec.maxEntries) return 0;
    return this.base + (index * this.cpus + cpu) * this.slab.stride;
  }
}

/** The index in a key of four bytes. */
export function indexOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}
