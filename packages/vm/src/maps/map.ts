import type { MapSpec } from "@skep/object";
import { MAP_BASE } from "../code.ts";
import { CONTROLS, CONTROL_BYTES } from "../layout.ts";
import type { Code } from "../code.ts";
import { MapError, errno } from "../error.ts";
import type { Memory } from "../memory.ts";

/** What maps share of their machine. */
export interface MapHost {
  readonly memory: Memory;
  readonly cpus: number;
  /** The CPU that programs run on. */
  readonly cpu: number;
}

/** BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK (include/uapi/linux/bpf.h). */
export const updateFlags = { any: 0, new: 1, existing: 2, lock: 4 } as const;

/**
 * A map. What programs call (`lookup`, `update`, `remove`, `push`, `pop`) gives addresses and negative errno as the kernel's helpers do;
 * what user space calls (`get`, `set`, `delete`, `entries`) copies bytes and throws `MapError`.
 */
export abstract class VmMap {
  readonly spec: MapSpec;
  readonly id: number;
  /** What `lddw` of the map loads. */
  readonly handle: number;
  protected readonly host: MapHost;

  constructor(host: MapHost, spec: MapSpec, id: number) {
    this.host = host;
    this.spec = spec;
    this.id = id;
    this.handle = MAP_BASE + id * CONTROL_BYTES;
  }

  /** A word of the map's control block (maps/shapes.ts). */
  controlWord(offset: number): number {
    return this.host.memory.u32[(CONTROLS + this.id * CONTROL_BYTES + offset) >>> 2] ?? 0;
  }

  protected setControl(offset: number, value: number): void {
    this.host.memory.u32[(CONTROLS + this.id * CONTROL_BYTES + offset) >>> 2] = value;
  }

  /** Bytes of a value as user space sees it: all CPUs' of a per-CPU map, each rounded up to eight. */
  get userValueSize(): number {
    return this.spec.valueSize;
  }

  /** Address of the value (of this CPU), 0 where the key is absent. */
  lookup(_key: Uint8Array): number {
    return 0;
  }
  /** Address of another CPU's value; 0 for maps that are not per CPU. */
  lookupCpu(_key: Uint8Array, _cpu: number): number {
    return 0;
  }
  update(_key: Uint8Array, _value: Uint8Array, _flags: bigint): number {
    return -errno.EOPNOTSUPP;
  }
  remove(_key: Uint8Array): number {
    return -errno.EOPNOTSUPP;
  }
  push(_value: Uint8Array, _flags: bigint): number {
    return -errno.EOPNOTSUPP;
  }
  /** Copies the next value to `address`; `keep`: it stays. */
  pop(_address: number, _keep: boolean): number {
    return -errno.EOPNOTSUPP;
  }
  /** Map behind a key of a map of maps. */
  innerMap(_key: Uint8Array): VmMap | null {
    return null;
  }
  /** Program behind an index of a program array. */
  programAt(_index: number): Code | null {
    return null;
  }
  abstract keys(): Iterable<Uint8Array>;

  get(key: Uint8Array): Uint8Array | null {
    this.checkSize("get", key, this.spec.keySize);
    return this.readUser(key);
  }

  set(key: Uint8Array, value: Uint8Array, mode: "any" | "new" | "existing" = "any"): void {
    this.checkSize("set", key, this.spec.keySize);
    this.checkSize("set", value, this.userValueSize);
    const result = this.updateUser(key, value, BigInt(updateFlags[mode]));
    if (result < 0) throw new MapError("set", this.spec.name, -result);
  }

  /** False where the key was absent. */
  delete(key: Uint8Array): boolean {
    this.checkSize("delete", key, this.spec.keySize);
    const result = this.remove(key);
    if (result === -errno.ENOENT) return false;
    if (result < 0) throw new MapError("delete", this.spec.name, -result);
    return true;
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const key of [...this.keys()]) {
      const value = this.readUser(key);
      if (value !== null) yield [key, value];
    }
  }

  protected readUser(key: Uint8Array): Uint8Array | null {
    const address = this.lookup(key);
    return address === 0 ? null : this.host.memory.bytes.slice(address, address + this.userValueSize);
  }

  protected updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    return this.update(key, value, flags);
  }

  private checkSize(operation: string, bytes: Uint8Array, size: number): void {
    if (bytes.length !== size) throw new MapError(operation, this.spec.name, errno.EINVAL);
  }
}

export function roundUp(size: number, to: number): number {
  return Math.ceil(size / to) * to;
}

/** Bytes as a key of a `Map`. */
export function keyText(key: Uint8Array): string {
  return String.fromCharCode(...key);
}

export function keyBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
