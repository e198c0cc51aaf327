/** @module Maps whose values name something of the machine: devices, CPUs, sockets, cgroups, perf events. */
import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import type { KernelObject } from "../object.ts";
import { VmMap, keyBytes, keyText, updateFlags, wordBytes, wordOf } from "./map.ts";
import type { MapHost } from "./map.ts";
import { Slab } from "./slab.ts";

/** Values in memory that programs may read, by key. */
abstract class SlotMap extends VmMap {
  protected readonly slots = new Map<string, number>();
  protected readonly slab: Slab;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize, writable: false });
  }

  protected get isArray(): boolean {
    return !this.spec.type.endsWith("_hash");
  }

  override lookup(key: Uint8Array): number {
    return this.slots.get(keyText(key)) ?? 0;
  }

  protected put(key: Uint8Array, value: Uint8Array): number {
    const text = keyText(key);
    const address = this.slots.get(text) ?? this.slab.take();
    this.slots.set(text, address);
    this.host.memory.bytes.set(value, address);
    return 0;
  }

  protected drop(key: Uint8Array): boolean {
    const text = keyText(key);
    const address = this.slots.get(text);
    if (address === undefined) return false;
    this.slab.give(address);
    return this.slots.delete(text);
  }

  override update(): number {
    return -errno.EOPNOTSUPP;
  }

  override remove(key: Uint8Array): number {
    if (!this.isArray) return this.drop(key) ? 0 : -errno.ENOENT;
    if (wordOf(key) >= this.spec.maxEntries) return -errno.EINVAL;
    this.drop(key);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    if (this.isArray) for (let i = 0; i < this.spec.maxEntries; i++) yield wordBytes(i);
    else for (const text of this.slots.keys()) yield keyBytes(text);
  }

  /** As an array's: any index leads on. */
  protected override nextUser(key: Uint8Array | null): Uint8Array | number {
    if (!this.isArray) return super.nextUser(key);
    const index = key === null ? 0xffff_ffff : wordOf(key);
    if (index >= this.spec.maxEntries) return wordBytes(0);
    return index === this.spec.maxEntries - 1 ? -errno.ENOENT : wordBytes(index + 1);
  }

  protected override release(): void {
    this.slab.release();
  }
}

/** `devmap`, `devmap_hash` (kernel/bpf/devmap.c): values are an interface's index and, in eight bytes, a program's id. */
export class DeviceMap extends SlotMap {
  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if (flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    return this.isArray ? this.updateArray(key, value, flags) : this.updateHash(key, value, flags);
  }

  private updateArray(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if (wordOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    if (flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (wordOf(value) === 0) {
      // A program without a device is none.
      if (value.length > 4 && wordOf(value, 4) !== 0 && wordOf(value, 4) !== 0xffff_ffff) return -errno.EINVAL;
      this.drop(key);
      return 0;
    }
    return this.isDevice(value) ? this.put(key, value) : -errno.EINVAL;
  }

  private updateHash(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if (wordOf(value) === 0) return -errno.EINVAL;
    const there = this.slots.has(keyText(key));
    if (there && flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (!this.isDevice(value)) return -errno.EINVAL;
    if (!there && this.slots.size >= this.spec.maxEntries) return -errno.E2BIG;
    return this.put(key, value);
  }

  private isDevice(value: Uint8Array): boolean {
    const { mtu } = this.host.host();
    return mtu === undefined || mtu(wordOf(value)) !== null;
  }
}

/** `cpumap` (kernel/bpf/cpumap.c): values are a queue's length and, in eight bytes, a program's id. */
export class CpuMap extends SlotMap {
  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const size = wordOf(value);
    if (flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    if (wordOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    if (flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (size > 16_384) return -errno.EOVERFLOW;
    if (wordOf(key) >= this.host.cpus) return -errno.ENODEV;
    if (size === 0) {
      this.drop(key);
      return 0;
    }
    return this.put(key, value);
  }
}

/** `xskmap` (net/xdp/xskmap.c), `perf_event_array`, `cgroup_array`: values are descriptors or ids that the machine understands. */
export class NumberMap extends SlotMap {
  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const isXsk = this.spec.type === "xskmap";
    if (isXsk ? flags > BigInt(updateFlags.existing) : flags !== 0n) return -errno.EINVAL;
    if (wordOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    if (isXsk && flags === BigInt(updateFlags.new) && this.slots.has(keyText(key))) return -errno.EEXIST;
    if (isXsk && flags === BigInt(updateFlags.existing) && !this.slots.has(keyText(key))) return -errno.ENOENT;
    return this.put(key, value);
  }

  override remove(key: Uint8Array): number {
    if (wordOf(key) >= this.spec.maxEntries) return this.spec.type === "xskmap" ? -errno.EINVAL : -errno.E2BIG;
    if (this.drop(key)) return 0;
    return this.spec.type === "xskmap" ? 0 : -errno.ENOENT;
  }
}

/** `sockmap`, `sockhash`, `reuseport_sockarray` (net/core/sock_map.c, kernel/bpf/reuseport_array.c): values are the machine's sockets. */
export class SocketMap extends VmMap {
  private readonly sockets = new Map<string, KernelObject>();
  /** Is told of each socket that comes in under a first key, or has left its last one. */
  onChange: ((socket: KernelObject, entered: boolean) => void) | null = null;

  private get isHash(): boolean {
    return this.spec.type === "sockhash";
  }

  socketAt(key: Uint8Array): KernelObject | null {
    return this.sockets.get(keyText(key)) ?? null;
  }

  /** Address of the socket. */
  override lookup(key: Uint8Array): number {
    return this.socketAt(key)?.address ?? 0;
  }

  /** 0 or a negative errno. The entry ends with the socket. */
  put(key: Uint8Array, socket: KernelObject, flags: bigint): number {
    if (flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    if (!this.isHash && wordOf(key) >= this.spec.maxEntries) return -errno.E2BIG;
    const text = keyText(key);
    const there = this.sockets.has(text);
    if (there && flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (!there && flags === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (!there && this.isHash && this.sockets.size >= this.spec.maxEntries) return -errno.E2BIG;
    this.change(text, socket);
    socket.whenClosed(() => {
      if (this.sockets.get(text) === socket) this.change(text, null);
    });
    return 0;
  }

  private change(key: string, next: KernelObject | null): boolean {
    const before = this.sockets.get(key);
    const isNew = next !== null && ![...this.sockets.values()].includes(next);
    if (next === null) this.sockets.delete(key);
    else this.sockets.set(key, next);
    if (before && before !== next && ![...this.sockets.values()].includes(before)) this.onChange?.(before, false);
    if (isNew) this.onChange?.(next, true);
    return before !== undefined;
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const descriptor = wordOf(value);
    if (value.length === 8 && wordOf(value, 4) !== 0) return -errno.EINVAL;
    const socket = this.host.host().objectOf?.("socket", descriptor) ?? null;
    return socket === null ? -errno.EBADF : this.put(key, socket, flags);
  }

  /** Looking up gives the socket's cookie, where the value has room for it. */
  protected override readUser(key: Uint8Array): Uint8Array | number {
    if (this.spec.valueSize !== 8) return -errno.ENOSPC;
    const socket = this.socketAt(key);
    if (socket === null) return -errno.ENOENT;
    const cookie = this.host.host().socketCookie?.(socket) ?? 0n;
    return new Uint8Array(BigUint64Array.of(cookie).buffer);
  }

  override update(): number {
    return -errno.EOPNOTSUPP;
  }

  override remove(key: Uint8Array): number {
    if (this.change(keyText(key), null)) return 0;
    if (this.isHash) return -errno.ENOENT;
    if (this.spec.type === "reuseport_sockarray") {
      return wordOf(key) >= this.spec.maxEntries ? -errno.E2BIG : -errno.ENOENT;
    }
    return -errno.EINVAL;
  }

  override *keys(): Iterable<Uint8Array> {
    if (this.isHash) for (const text of this.sockets.keys()) yield keyBytes(text);
    else for (let i = 0; i < this.spec.maxEntries; i++) yield wordBytes(i);
  }
}
