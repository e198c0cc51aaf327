import type { MapSpec } from "@skep/object";
import { LoadError, errno } from "../error.ts";
import { Slab } from "./slab.ts";
import { VmMap, keyText, updateFlags } from "./map.ts";
import type { MapHost } from "./map.ts";

const NO_PREALLOC = 1;

interface Node {
  readonly address: number;
  /** The bytes as the last update gave them: the kernel keeps what stands behind the prefix. */
  readonly bytes: Uint8Array;
}

/** `lpm_trie` (kernel/bpf/lpm_trie.c): keys are a length in bits (u32) and bytes; lookups find the longest prefix. */
export class LpmMap extends VmMap {
  /** By length of the prefix, in bits; keys are the whole bytes, masked. */
  private readonly prefixes = new Map<number, Map<string, Node>>();
  private readonly slab: Slab;
  private readonly maxBits: number;
  private count = 0;

  constructor(host: MapHost, spec: MapSpec, id: number) {
    super(host, spec, id);
    if ((spec.flags & NO_PREALLOC) === 0) throw new LoadError(`map ${spec.name}: an LPM trie needs BPF_F_NO_PREALLOC`);
    this.maxBits = (spec.keySize - 4) * 8;
    this.slab = new Slab(host.memory, spec.valueSize, 1);
  }

  override lookup(key: Uint8Array): number {
    const bits = prefixLength(key);
    if (bits > this.maxBits) return 0;
    const lengths = [...this.prefixes.keys()].filter((length) => length <= bits).sort((a, b) => b - a);
    for (const length of lengths) {
      const node = this.prefixes.get(length)?.get(masked(key, length));
      if (node !== undefined) return node.address;
    }
    return 0;
  }

  /** trie_update_elem */
  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if (flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    const bits = prefixLength(key);
    if (bits > this.maxBits) return -errno.EINVAL;
    const text = masked(key, bits);
    let address = this.prefixes.get(bits)?.get(text)?.address;
    if (address !== undefined && flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (address === undefined) {
      if (flags === BigInt(updateFlags.existing)) return -errno.ENOENT;
      if (this.count >= this.spec.maxEntries) return -errno.ENOSPC;
      address = this.slab.take();
      this.count++;
    }
    const row = this.prefixes.get(bits) ?? new Map<string, Node>();
    this.prefixes.set(bits, row.set(text, { address, bytes: key.slice(4) }));
    this.host.memory.bytes.set(value.subarray(0, this.spec.valueSize), address);
    return 0;
  }

  override remove(key: Uint8Array): number {
    const bits = prefixLength(key);
    if (bits > this.maxBits) return -errno.EINVAL;
    const row = this.prefixes.get(bits);
    const text = masked(key, bits);
    const node = row?.get(text);
    if (row === undefined || node === undefined) return -errno.ENOENT;
    row.delete(text);
    if (row.size === 0) this.prefixes.delete(bits);
    this.slab.give(node.address);
    this.count--;
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const [bits, row] of this.prefixes) {
      for (const { bytes } of row.values()) {
        const key = new Uint8Array(this.spec.keySize);
        new DataView(key.buffer).setUint32(0, bits, true);
        key.set(bytes, 4);
        yield key;
      }
    }
  }
}

function prefixLength(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}

/** The bytes behind the length with all bits behind the prefix cleared. */
function masked(key: Uint8Array, bits: number): string {
  const bytes = key.slice(4);
  const whole = bits >> 3;
  bytes.fill(0, bits % 8 === 0 ? whole : whole + 1);
  if (bits % 8 !== 0) bytes[whole] = (bytes[whole] ?? 0) & (0xff00 >> (bits % 8));
  return keyText(bytes);
}
