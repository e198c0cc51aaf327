import { afterEach, describe, expect, test } from "vitest";
import { LinuxBpf } from "./machine.ts";
import { canUseBpf, mapSpec } from "./testing.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** More than one batch, and no whole number of them. */
const COUNT = 9001;

function keysOf(count: number): Uint8Array {
  const keys = new Uint8Array(count * 8);
  const view = new DataView(keys.buffer);
  for (let at = 0; at < count; at++) {
    view.setUint32(at * 8, 32, true);
    view.setUint32(at * 8 + 4, at * 3);
  }
  return keys;
}

const texts = (rows: Iterable<Uint8Array>): string[] =>
  [...rows].flatMap((row) =>
    Array.from({ length: row.length / 8 }, (_, at) => row.subarray(at * 8, at * 8 + 8).join()),
  );

describe.skipIf(!canUseBpf())("rows of keys", () => {
  test.each(["lpm_trie", "hash"] as const)("are written, read and deleted in a %s", (type) => {
    const map = new LinuxBpf().createMap(
      mapSpec("rows", type, { keySize: 8, valueSize: 1, maxEntries: 10_000, flags: 1 }),
    );
    open.push(map);
    const keys = keysOf(COUNT);
    map.setRows(keys, Uint8Array.of(7));
    expect(map.get(keys.slice(8, 16))).toEqual(Uint8Array.of(7));
    expect(texts(map.keyRows()).sort()).toEqual(texts([keys]).sort());
    // Every key but the last ten, and one that is not there.
    map.deleteRows(Uint8Array.of(...[32, 0, 0, 0, 255, 255, 255, 255], ...keys.subarray(0, (COUNT - 10) * 8)));
    expect(texts(map.keyRows()).sort()).toEqual(texts([keys.subarray((COUNT - 10) * 8)]).sort());
    expect(() => map.setRows(new Uint8Array(7), Uint8Array.of(1))).toThrow(RangeError);
  });
});
