import { errno } from "../error.ts";
import { VmMap, updateFlags } from "./map.ts";

/** `queue` and `stack` (kernel/bpf/queue_stack_maps.c). */
export class QueueMap extends VmMap {
  private readonly values: Uint8Array[] = [];

  /** BPF_EXIST: what is oldest makes room. */
  override push(value: Uint8Array, flags: bigint): number {
    const replace = flags === BigInt(updateFlags.existing);
    if (flags === BigInt(updateFlags.new) || flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    if (this.values.length >= this.spec.maxEntries) {
      if (!replace) return -errno.E2BIG;
      this.values.shift();
    }
    this.values.push(value.slice(0, this.spec.valueSize));
    return 0;
  }

  /** An empty queue zeroes the value. */
  override pop(address: number, keep: boolean): number {
    const value = this.next(keep);
    this.host.memory.write(address, value ?? new Uint8Array(this.spec.valueSize));
    return value === null ? -errno.ENOENT : 0;
  }

  override *keys(): Iterable<Uint8Array> {}

  /** The next value, which stays. */
  protected override readUser(): Uint8Array | number {
    return this.next(true)?.slice() ?? -errno.ENOENT;
  }

  protected override updateUser(_key: Uint8Array, value: Uint8Array, flags: bigint): number {
    return this.push(value, flags);
  }

  override remove(): number {
    return -errno.EINVAL;
  }

  protected override takeUser(): Uint8Array | number {
    return this.next(false) ?? -errno.ENOENT;
  }

  protected override nextUser(): number {
    return -errno.EINVAL;
  }

  private next(keep: boolean): Uint8Array | null {
    const last = this.spec.type === "stack";
    if (keep) return this.values.at(last ? -1 : 0) ?? null;
    return (last ? this.values.pop() : this.values.shift()) ?? null;
  }
}
