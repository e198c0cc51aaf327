// Operations on a hash map from user space: 10,000 entries, keys of four and values of eight bytes, beside libbpf's in C.
import { openLinux, type LinuxMap } from "@skep/linux";
import { median, print } from "./_lines.ts";
import { buildTwin, figures, libbpfName, needRoot, output, Samples, withFolder } from "./_setup.ts";

const ENTRIES = 10_000;
const REPEATS = 10;
const ROUNDS = 9;
/** Ours, and the peer's case that stands beside it. */
const CASES = [
  ["lookup", "lookup"],
  ["lookup into the caller's buffer", "lookup"],
  ["update", "update"],
  ["batch update of 10,000", "batch update"],
  ["batch read of 10,000", "batch read"],
] as const;

needRoot("maps");

const bytesOf = (array: Uint32Array | BigUint64Array): Uint8Array => new Uint8Array(array.buffer);
const keys = Array.from({ length: ENTRIES }, (_, at) => bytesOf(Uint32Array.of(at)));
const values = keys.map((_, at) => bytesOf(BigUint64Array.of(BigInt(at) + 1n)));
const rows = keys.map((key, at) => [key, values[at] ?? new Uint8Array(8)] as const);

/** Nanoseconds an entry. */
function timed(repeats: number, run: () => void): number {
  const started = performance.now();
  for (let repeat = 0; repeat < repeats; repeat++) run();
  return ((performance.now() - started) * 1e6) / (repeats * ENTRIES);
}

function expectSum(found: number, what: string): void {
  const wanted = (ENTRIES * (ENTRIES + 1)) / 2;
  if (found !== wanted) throw new Error(`${what}: the values add up to ${found} instead of ${wanted}`);
}

/** The low half of a value, which holds all of it. */
const number = (value: Uint8Array): number =>
  (value[0] ?? 0) + (value[1] ?? 0) * 0x100 + (value[2] ?? 0) * 0x1_0000 + (value[3] ?? 0) * 0x100_0000;

function round(map: LinuxMap): Map<string, number> {
  const buffer = new Uint8Array(8);
  const update = timed(REPEATS, () => {
    for (const [key, value] of rows) map.set(key, value);
  });
  let sum = 0;
  const lookup = timed(REPEATS, () => {
    sum = 0;
    for (const key of keys) {
      const value = map.get(key);
      if (value) sum += number(value);
    }
  });
  expectSum(sum, "lookup");
  const into = timed(REPEATS, () => {
    sum = 0;
    for (const key of keys) if (map.getInto(key, buffer)) sum += number(buffer);
  });
  expectSum(sum, "lookup into a buffer");
  const batchUpdate = timed(REPEATS, () => map.setAll(rows));
  const batchRead = timed(REPEATS, () => {
    sum = 0;
    for (const [, value] of map.entries()) sum += number(value);
  });
  expectSum(sum, "batch read");
  return new Map([
    ["lookup", lookup],
    ["lookup into the caller's buffer", into],
    ["update", update],
    ["batch update of 10,000", batchUpdate],
    ["batch read of 10,000", batchRead],
  ]);
}

await withFolder((folder) => {
  const twin = buildTwin("maps", folder);
  const [ours, peers] = [new Samples(), new Samples()];
  using map = openLinux().bpf.createMap({
    ...{ name: "bench_hash", type: "hash", keySize: 4, valueSize: 8, maxEntries: ENTRIES * 2, flags: 0 },
    pinning: "none",
  });
  round(map);
  for (let at = 0; at < ROUNDS; at++) {
    ours.addAll(round(map));
    if (twin) peers.addAll(figures(output(twin, [String(ENTRIES), String(REPEATS)])));
  }
  for (const [name, peer] of CASES) {
    print({
      ...{ bench: "maps", case: name, unit: "ns an entry", skep: median(ours.of(name)) },
      ...{ peer: twin ? median(peers.of(peer)) : null, peerName: twin ? libbpfName() : null },
    });
  }
});
