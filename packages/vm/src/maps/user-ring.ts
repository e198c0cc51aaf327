import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import type { Region } from "../memory.ts";
import { VmMap, roundUp } from "./map.ts";
import type { MapHost } from "./map.ts";

const HEADER = 8;

/** `user_ringbuf` (kernel/bpf/ringbuf.c): samples from user space, which a program drains. */
export class UserRingMap extends VmMap {
  private readonly samples: Uint8Array[] = [];
  private readonly region: Region;
  private used = 0;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.region = host.memory.allocate("ring", spec.maxEntries);
    this.region.writable = false;
    this.region.end = this.region.start;
  }

  /** False where there is no room. */
  produce(sample: Uint8Array): boolean {
    const room = roundUp(sample.length + HEADER, 8);
    if (this.used + room > this.spec.maxEntries) return false;
    this.used += room;
    this.samples.push(sample.slice());
    return true;
  }

  /** Puts the next sample where programs can read it; null where there is none. The place is valid until the next call. */
  consume(): { readonly address: number; readonly size: number } | null {
    const sample = this.samples.shift();
    if (sample === undefined) return null;
    this.used -= roundUp(sample.length + HEADER, 8);
    this.host.memory.bytes.set(sample, this.region.base);
    this.region.end = this.region.base + sample.length;
    return { address: this.region.base, size: sample.length };
  }

  override *keys(): Iterable<Uint8Array> {}

  protected override readUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override updateUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override removeUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override nextUser(): number {
    return -errno.ENOTSUPP;
  }

  protected override release(): void {
    this.host.memory.release(this.region);
  }
}
