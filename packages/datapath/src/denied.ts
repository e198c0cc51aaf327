/**
 * @module
 * Lists of denied prefixes in their maps: of a million no more is kept than a number for each.
 */
import type { RawMap } from "@skep/machine";
import { formatPrefix, type Prefix } from "@skep/net";
import { Deny6Key } from "./bpf/denied.bpf.ts";
import { decodeAddress, encodeAddress } from "./encode.ts";

type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** Entries that are put together at a time. */
const AT_ONCE = 16_384;
const LENGTHS = 64;
const PRESENT = Uint8Array.of(1);

interface Codec<Id> {
  readonly of: (prefix: Prefix) => Id;
  readonly key: (id: Id, prefix: Prefix) => Uint8Array;
  readonly read: (key: Uint8Array) => Id;
}

/** Deny4Key: the length as the machine has it, then the address in network order. */
const IPV4: Codec<number> = {
  of: ({ address: { bytes }, length }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) * LENGTHS + length,
  key(_, { address, length }) {
    const key = new Uint8Array(8);
    key[0] = length;
    key.set(address.bytes, 4);
    return key;
  },
  read: (key) => new DataView(key.buffer, key.byteOffset).getUint32(4) * LENGTHS + (key[0] ?? 0),
};

const IPV6: Codec<string> = {
  of: formatPrefix,
  key: (_, { address, length }) => Deny6Key.encode({ prefixLength: length, address: encodeAddress(address) }),
  read(key) {
    const { prefixLength: length, address } = Deny6Key.decode(key);
    return formatPrefix({ address: decodeAddress(address), length });
  },
};

/** Brings the map to exactly the family's prefixes: what is new first. */
export function syncDeniedMap(
  map: RawMap,
  prefixes: readonly Prefix[],
  family: 4 | 6,
): { changed: number; deleted: number } {
  return family === 4 ? bring(map, prefixes, { family, codec: IPV4 }) : bring(map, prefixes, { family, codec: IPV6 });
}

function bring<Id>(
  map: RawMap,
  prefixes: readonly Prefix[],
  { family, codec }: { readonly family: 4 | 6; readonly codec: Codec<Id> },
): { changed: number; deleted: number } {
  const missing = new Set<Id>();
  for (const prefix of prefixes) if (prefix.address.family === family) missing.add(codec.of(prefix));
  const stale: Uint8Array[] = [];
  for (const [key] of map.entries()) if (!missing.delete(codec.read(key))) stale.push(key);
  const changed = missing.size;
  let entries: Entry[] = [];
  for (const prefix of missing.size === 0 ? [] : prefixes) {
    if (prefix.address.family !== family) continue;
    const id = codec.of(prefix);
    if (!missing.delete(id)) continue;
    if (entries.push([codec.key(id, prefix), PRESENT]) < AT_ONCE) continue;
    map.setAll(entries);
    entries = [];
  }
  map.setAll(entries);
  map.deleteAll(stale);
  return { changed, deleted: stale.length };
}
