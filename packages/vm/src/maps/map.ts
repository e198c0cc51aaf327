import type { MapSpec } from "@skep/object";
import { MAP_BASE } from "../code.ts";
import { CONTROLS, CONTROL_BYTES } from "../layout.ts";
import type { Code } from "../code.ts";
import { MapError, errno } from "../error.ts";
import type { Host } from "../host.ts";
import type { Memory } from "../memory.ts";

/** What maps share of their machine. */
export interface MapHost {
  readonly memory: Memory;
  readonly cpus: number;
  /** The CPU that programs run on. */
  readonly cpu: number;
  /** The machine around it. */
  readonly host: () => Host;
  /** Index in the table of compiled programs; -1 where programs are only interpreted. */
  readonly slotOf: (program: Code) => number;
  /** The map of an id, null where there is none: what user space puts into maps of maps. */
  readonly mapById: (id: number) => VmMap | null;
  /** What a value holds (references, lists, timers) is let go of. */
  readonly empty: (address: number, fields: readonly SpecialField[]) => void;
}

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK (include/uapi/linux/bpf.h). */
export const updateFlags = { any: 0, new: 1, existing: 2, lock: 4 } as const;

/** Flags of BPF_MAP_CREATE that maps here ask for (include/uapi/linux/bpf.h). */
export const createFlags = {
  noPrealloc: 1 << 0,
  noCommonLru: 1 << 1,
  numaNode: 1 << 2,
  readOnly: 1 << 3,
  writeOnly: 1 << 4,
  stackBuildId: 1 << 5,
  zeroSeed: 1 << 6,
  readOnlyProgram: 1 << 7,
  writeOnlyProgram: 1 << 8,
  clone: 1 << 9,
  mmapable: 1 << 10,
  preserveElements: 1 << 11,
  innerMap: 1 << 12,
  link: 1 << 13,
} as const;

/** A part of a value that only helpers touch: updates leave it as it is. `kptr`: a pointer that holds a reference. */
export interface SpecialField {
  readonly kind:
    | "bpf_spin_lock"
    | "bpf_res_spin_lock"
    | "bpf_timer"
    | "bpf_wq"
    | "bpf_task_work"
    | "bpf_list_head"
    | "bpf_list_node"
    | "bpf_rb_root"
    | "bpf_rb_node"
    | "bpf_refcount"
    | "kptr";
  readonly offset: number;
  readonly size: number;
}

const OWNING: ReadonlySet<SpecialField["kind"]> = new Set([
  "kptr",
  "bpf_list_head",
  "bpf_rb_root",
  "bpf_timer",
  "bpf_wq",
  "bpf_task_work",
]);

export type UpdateMode = "any" | "new" | "existing";

/**
 * A map. What programs call (`lookup`, `update`, `remove`, `push`, `pop`) gives addresses and negative errno as the kernel's helpers do;
 * what user space calls (`get`, `set`, `delete`, `take`, `nextKey`, `entries`) copies bytes and throws `MapError` with the kernel's errno.
 */
export abstract class VmMap {
  readonly spec: MapSpec;
  readonly id: number;
  /** What `lddw` of the map loads. */
  readonly handle: number;
  /** Spin locks, timers, references, lists in the value. */
  readonly fields: readonly SpecialField[];
  protected readonly host: MapHost;
  private readonly owning: readonly SpecialField[];
  private isFrozen = false;

  constructor(host: MapHost, spec: MapSpec, place: { id: number; fields?: readonly SpecialField[] }) {
    this.host = host;
    this.spec = spec;
    this.id = place.id;
    this.fields = place.fields ?? [];
    this.owning = this.fields.filter(({ kind }) => OWNING.has(kind));
    this.handle = MAP_BASE + place.id * CONTROL_BYTES;
    const at = (CONTROLS + place.id * CONTROL_BYTES) >>> 2;
    host.memory.u32.fill(0, at, at + (CONTROL_BYTES >>> 2));
  }

  /** A word of the map's control block (maps/shapes.ts). */
  controlWord(offset: number): number {
    return this.host.memory.u32[(CONTROLS + this.id * CONTROL_BYTES + offset) >>> 2] ?? 0;
  }

  /** Stores bytes at any address of the machine's memory. */
  writeBytes(address: number, bytes: Uint8Array): void {
    this.host.memory.bytes.set(bytes, address);
  }

  protected controlAddress(offset: number): number {
    return CONTROLS + this.id * CONTROL_BYTES + offset;
  }

  protected setControl(offset: number, value: number): void {
    this.host.memory.u32[(CONTROLS + this.id * CONTROL_BYTES + offset) >>> 2] = value;
  }

  /** Bytes of a value as user space sees it: all CPUs' of a per-CPU map, each rounded up to eight. */
  get userValueSize(): number {
    return this.spec.valueSize;
  }

  // ---- programs ----

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
  /** Keys in the order of BPF_MAP_GET_NEXT_KEY. */
  abstract keys(): Iterable<Uint8Array>;

  // ---- user space ----

  /** BPF_MAP_LOOKUP_ELEM. Null where the key is absent. `lock`: the value is read under its spin lock (BPF_F_LOCK). */
  get(key: Uint8Array, options: { readonly lock?: boolean } = {}): Uint8Array | null {
    this.checkAccess("get", createFlags.writeOnly);
    this.checkSize("get", key, this.spec.keySize);
    if (options.lock === true) this.needLock("get");
    const found = this.readUser(key);
    if (typeof found === "number") {
      if (found === -errno.ENOENT) return null;
      throw new MapError("get", this.spec.name, -found);
    }
    return found;
  }

  /** BPF_MAP_UPDATE_ELEM. `mode`: or the flags as a number. */
  set(key: Uint8Array, value: Uint8Array, mode: UpdateMode | number = "any"): void {
    this.checkWrite("set");
    this.checkSize("set", key, this.spec.keySize);
    this.checkSize("set", value, this.userValueSize);
    const flags = typeof mode === "number" ? mode : updateFlags[mode];
    if ((flags & updateFlags.lock) !== 0) this.needLock("set");
    const result = this.updateUser(key, value, BigInt(flags));
    if (result < 0) throw new MapError("set", this.spec.name, -result);
  }

  /** BPF_MAP_DELETE_ELEM. False where the key was absent. */
  delete(key: Uint8Array): boolean {
    this.checkWrite("delete");
    this.checkSize("delete", key, this.spec.keySize);
    const result = this.removeUser(key);
    if (result === -errno.ENOENT) return false;
    if (result < 0) throw new MapError("delete", this.spec.name, -result);
    return true;
  }

  /** BPF_MAP_LOOKUP_AND_DELETE_ELEM: the value, which is gone then; null where the key is absent. Queues and stacks have no key. */
  take(key: Uint8Array = new Uint8Array(0)): Uint8Array | null {
    this.checkAccess("take", createFlags.writeOnly);
    this.checkWrite("take");
    this.checkSize("take", key, this.spec.keySize);
    const found = this.takeUser(key);
    if (typeof found !== "number") return found;
    if (found === -errno.ENOENT) return null;
    throw new MapError("take", this.spec.name, -found);
  }

  /** BPF_MAP_GET_NEXT_KEY: the key behind this one, the first for null and for a key that is absent; null at the end. */
  nextKey(key: Uint8Array | null): Uint8Array | null {
    this.checkAccess("nextKey", createFlags.writeOnly);
    if (key !== null) this.checkSize("nextKey", key, this.spec.keySize);
    const found = this.nextUser(key);
    if (typeof found !== "number") return found;
    if (found === -errno.ENOENT) return null;
    throw new MapError("nextKey", this.spec.name, -found);
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const key of [...this.keys()]) {
      const value = this.readUser(key);
      if (typeof value !== "number") yield [key, value];
    }
  }

  /** BPF_MAP_FREEZE: user space cannot write any more (EPERM). */
  freeze(): void {
    if (this.isFrozen) throw new MapError("freeze", this.spec.name, errno.EBUSY);
    this.isFrozen = true;
  }

  get frozen(): boolean {
    return this.isFrozen;
  }

  /** Gives its memory back. Programs that hold the map must not run any more. */
  close(): void {
    if (this.owning.length > 0) {
      for (const key of [...this.keys()])
        for (const address of this.copiesOf(key)) this.host.empty(address, this.owning);
    }
    this.release();
  }

  /** Addresses of a key's value, of every CPU. */
  private copiesOf(key: Uint8Array): readonly number[] {
    const own = this.lookup(key);
    const others = Array.from({ length: this.host.cpus }, (_, cpu) => this.lookupCpu(key, cpu));
    return [...new Set([own, ...others])].filter((address) => address !== 0);
  }

  /** The value is overwritten, or gone. */
  protected emptyValue(address: number): void {
    if (this.owning.length > 0) this.host.empty(address, this.owning);
  }

  protected release(): void {}

  /** The value as user space has it, or a negative errno. */
  protected readUser(key: Uint8Array): Uint8Array | number {
    const address = this.lookup(key);
    if (address === 0) return -errno.ENOENT;
    return this.valueBytes(address);
  }

  protected updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    return this.update(key, value, flags);
  }

  protected removeUser(key: Uint8Array): number {
    return this.remove(key);
  }

  protected takeUser(_key: Uint8Array): Uint8Array | number {
    return -errno.ENOTSUPP;
  }

  protected nextUser(key: Uint8Array | null): Uint8Array | number {
    const text = key === null ? null : keyText(key);
    const all = [...this.keys()];
    const at = text === null ? -1 : all.findIndex((each) => keyText(each) === text);
    return all[at + 1] ?? -errno.ENOENT;
  }

  /** A copy of a value; what only helpers touch is zero for user space. */
  protected valueBytes(address: number): Uint8Array {
    const bytes = this.host.memory.bytes.slice(address, address + this.userValueSize);
    for (const { offset, size } of this.fields) bytes.fill(0, offset, offset + size);
    return bytes;
  }

  /** Stores a value; special fields stay as they are. */
  protected putValue(address: number, value: Uint8Array): void {
    const { bytes } = this.host.memory;
    let from = 0;
    for (const { offset, size } of this.fields) {
      bytes.set(value.subarray(from, offset), address + from);
      from = offset + size;
    }
    bytes.set(value.subarray(from, this.spec.valueSize), address + from);
  }

  private checkSize(operation: string, bytes: Uint8Array, size: number): void {
    if (bytes.length !== size) throw new MapError(operation, this.spec.name, errno.EINVAL);
  }

  private checkAccess(operation: string, forbidden: number): void {
    if ((this.spec.flags & forbidden) !== 0) throw new MapError(operation, this.spec.name, errno.EPERM);
  }

  private checkWrite(operation: string): void {
    this.checkAccess(operation, createFlags.readOnly);
    if (this.isFrozen) throw new MapError(operation, this.spec.name, errno.EPERM);
  }

  /** BPF_F_LOCK needs a spin lock in the value. */
  private needLock(operation: string): void {
    if (this.fields.some(({ kind }) => kind === "bpf_spin_lock")) return;
    throw new MapError(operation, this.spec.name, errno.EINVAL);
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

export function wordBytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** The unsigned word at the start of the bytes. */
export function wordOf(bytes: Uint8Array, at = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}
