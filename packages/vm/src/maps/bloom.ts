import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { VmMap } from "./map.ts";
import type { MapHost } from "./map.ts";
import { hashKey } from "./shapes.ts";

/** `bloom_filter` (kernel/bpf/bloom_filter.c): what was pushed is always found; what was not is found now and then. */
export class BloomMap extends VmMap {
  private readonly bits: Uint32Array;
  private readonly hashes: number;
  private readonly mask: number;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.hashes = Number((spec.mapExtra ?? 0n) & 0xfn) || 5;
    // Optimal for so many hashes: entries * hashes / ln 2, with 7/5 for 1/ln 2.
    const wanted = Math.max(64, Math.floor((spec.maxEntries * this.hashes) / 5) * 7);
    const size = 2 ** Math.ceil(Math.log2(wanted));
    this.mask = size - 1;
    this.bits = new Uint32Array(size / 32);
  }

  private *places(value: Uint8Array): Iterable<number> {
    let step = hashKey(value, 0, this.spec.valueSize);
    for (let i = 0; i < this.hashes; i++) {
      yield (step >>> 0) & this.mask;
      step = Math.imul(step ^ (step >>> 13), 0x9e37_79b1) + i + 1;
    }
  }

  override push(value: Uint8Array, flags: bigint): number {
    if (flags !== 0n) return -errno.EINVAL;
    for (const at of this.places(value)) this.bits[at >>> 5] = (this.bits[at >>> 5] ?? 0) | (1 << (at & 31));
    return 0;
  }

  private contains(value: Uint8Array): boolean {
    for (const at of this.places(value)) if (((this.bits[at >>> 5] ?? 0) & (1 << (at & 31))) === 0) return false;
    return true;
  }

  /** Peeking asks for the value at the address. */
  override pop(address: number, keep: boolean): number {
    if (!keep) return -errno.EOPNOTSUPP;
    return this.contains(this.host.memory.read(address, this.spec.valueSize)) ? 0 : -errno.ENOENT;
  }

  /** Whether the value may have been pushed: BPF_MAP_LOOKUP_ELEM of it. */
  has(value: Uint8Array): boolean {
    return this.contains(value);
  }

  override *keys(): Iterable<Uint8Array> {}

  protected override readUser(): number {
    return -errno.EINVAL;
  }

  protected override updateUser(_key: Uint8Array, value: Uint8Array, flags: bigint): number {
    return this.push(value, flags);
  }

  protected override nextUser(): number {
    return -errno.EOPNOTSUPP;
  }
}
