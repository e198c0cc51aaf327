import { RINGBUF } from "@skep/bpf";
import { afterEach, describe, expect, test } from "vitest";
import { liveMappings, openDescriptors } from "../sys/index.ts";
import { add, call, exit, jmp, ldMap, ldx, mem, mov64, r0, r1, r2, r3, r4, r6, r10, stx } from "./testing-isa.ts";
import { LinuxBpf } from "./machine.ts";
import type { LinuxRingReader } from "./ring.ts";
import { canUseBpf, mapSpec, number, objectSpec, type SmallProgram } from "./testing.ts";

/** Puts its context's first eight bytes into the ring; the next four say how many bytes the record has (up to 32), the last four are flags. */
const emit: SmallProgram = {
  name: "emit",
  type: "syscall",
  flags: 16,
  code: [
    mov64(r6, r1),
    ldx("u64", r1, mem(r6)),
    stx("u64", mem(r10, -32), r1),
    stx("u64", mem(r10, -24), r1),
    stx("u64", mem(r10, -16), r1),
    stx("u64", mem(r10, -8), r1),
    ldMap(r1, 0),
    mov64(r2, r10),
    add(r2, -32),
    ldx("u32", r3, mem(r6, 8)),
    jmp("jgt", r3, 32, 2),
    ldx("u32", r4, mem(r6, 12)),
    call("ringbuf_output"),
    mov64(r0, 0),
    exit(),
  ],
  references: [{ at: 6, kind: "map", map: "ring" }],
};

/** Reserves sixteen bytes and throws them away again. */
const discard: SmallProgram = {
  name: "discard",
  type: "syscall",
  flags: 16,
  code: [
    ldMap(r1, 0),
    mov64(r2, 16),
    mov64(r3, 0),
    call("ringbuf_reserve"),
    jmp("jeq", r0, 0, 3),
    mov64(r1, r0),
    mov64(r2, 0),
    call("ringbuf_discard"),
    mov64(r0, 0),
    exit(),
  ],
  references: [{ at: 0, kind: "map", map: "ring" }],
};

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function ring(size = 4096) {
  const spec = objectSpec(
    [emit, discard],
    [mapSpec("ring", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: size })],
  );
  const collection = new LinuxBpf().load(spec);
  open.push(collection);
  const context = new Uint8Array(16);
  const view = new DataView(context.buffer);
  return {
    map: collection.maps["ring"]!,
    put(value: bigint, length = 8, flags = 0n) {
      view.setBigUint64(0, value, true);
      view.setUint32(8, length, true);
      view.setUint32(12, Number(flags), true);
      collection.programs["emit"]!.test({ context });
    },
    discard: () => collection.programs["discard"]!.test({}),
  };
}

function reading(map: ReturnType<typeof ring>["map"], onRecord: (record: Uint8Array) => void): LinuxRingReader {
  const reader = map.readRing(onRecord);
  open.push(reader);
  return reader as LinuxRingReader;
}

describe.skipIf(!canUseBpf())("ring buffers", () => {
  test("records come in order with their lengths; what was discarded does not come", () => {
    const { map, put, discard } = ring();
    const seen: [bigint, number][] = [];
    const reader = reading(map, (record) => seen.push([number(record), record.byteLength]));
    expect(reader.drain()).toBe(0);
    put(1n);
    discard();
    put(2n, 20);
    put(3n, 32);
    expect(reader.pending).toBeGreaterThan(0);
    expect(reader.drain()).toBe(3);
    expect(seen).toEqual([
      [1n, 8],
      [2n, 20],
      [3n, 32],
    ]);
    expect(reader.drain()).toBe(0);
    expect(reader.pending).toBe(0);
  });

  test("records that lie across the end of the ring are whole, for many rounds", () => {
    const { map, put } = ring();
    const seen: bigint[] = [];
    const reader = reading(map, (record) => {
      expect(record.byteLength).toBe(24);
      expect(number(record, 16)).toBe(number(record));
      seen.push(number(record));
    });
    for (let round = 0n; round < 2000n; round++) {
      put(round, 24);
      if (round % 7n === 0n) reader.drain();
    }
    reader.drain();
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, at) => BigInt(at)));
  });

  test("a ring that is larger than the window is read whole, round after round, in rows that pass its end", () => {
    const { map, put } = ring(512 << 10);
    let next = 0n;
    const reader = reading(map, (record) => {
      if (number(record) !== next || number(record, 16) !== next) throw new Error(`${number(record)} for ${next}`);
      next += 1n;
    });
    // One byte of the ring is never used.
    const full = Math.floor(((512 << 10) - 1) / 32);
    const rows = [1, full - 1, 10, Math.floor(full / 3), full];
    let value = 0n;
    for (const row of rows) {
      for (let at = 0; at < row; at++) put(value++, 24);
      expect(reader.drain()).toBe(row);
    }
    expect(next).toBe(BigInt(rows.reduce((sum, row) => sum + row)));
  });

  test("a full ring takes nothing more, and takes again once it was read", () => {
    const { map, put } = ring();
    let count = 0;
    const reader = reading(map, () => count++);
    for (let at = 0n; at < 1000n; at++) put(at, 32);
    const first = reader.drain();
    // A record of 32 bytes fills 40; the kernel keeps the last from meeting the first.
    expect(first).toBe(Math.floor(4095 / 40));
    put(1n);
    expect(reader.drain()).toBe(1);
    expect(count).toBe(first + 1);
  });

  test("start wakes for every record, and stop ends it", async () => {
    const { map, put } = ring();
    const seen: bigint[] = [];
    let wake: () => void = () => {};
    const reader = reading(map, (record) => {
      seen.push(number(record));
      wake();
    });
    const next = () => new Promise<void>((resolve) => (wake = resolve));
    reader.start();
    for (let at = 0n; at < 50n; at++) {
      const woken = next();
      put(at);
      await woken;
    }
    expect(seen).toHaveLength(50);
    reader.stop();
    put(99n);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toHaveLength(50);
    const woken = next();
    reader.start();
    await woken;
    expect(seen.at(-1)).toBe(99n);
  });

  test("records that the reader is not told of are read once the rest is due", async () => {
    const { map, put } = ring();
    const seen: bigint[] = [];
    let wake: () => void = () => {};
    const reader = reading(map, (record) => {
      seen.push(number(record));
      wake();
    });
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
    };
    put(1n, 8, RINGBUF.NO_WAKEUP);
    reader.start({ restMs: 5 });
    await until(1);
    put(2n, 8, RINGBUF.FORCE_WAKEUP);
    await until(2);
    put(3n, 8, RINGBUF.NO_WAKEUP);
    await until(3);
    reader.stop();
    reader.start();
    put(4n, 8, RINGBUF.NO_WAKEUP);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([1n, 2n, 3n]);
    put(5n, 8, RINGBUF.FORCE_WAKEUP);
    await until(5);
    expect(seen).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  test("the map may be closed first, and a reader from its own callback", () => {
    const before = { fds: openDescriptors(), mappings: liveMappings() };
    const { map, put } = ring();
    put(1n);
    put(2n);
    let count = 0;
    const reader = map.readRing(() => {
      count++;
      reader.close();
    });
    map.close();
    expect(reader.drain()).toBe(1);
    expect(count).toBe(1);
    expect(() => reader.drain()).toThrow("closed");
    for (const each of open.splice(0)) each.close();
    expect({ fds: openDescriptors(), mappings: liveMappings() }).toEqual(before);
  });

  test("a callback that throws has had its record", () => {
    const { map, put } = ring();
    put(1n);
    put(2n);
    const seen: bigint[] = [];
    const reader = reading(map, (record) => {
      seen.push(number(record));
      if (seen.length === 1) throw new Error("first");
    });
    expect(() => reader.drain()).toThrow("first");
    expect(reader.drain()).toBe(1);
    expect(seen).toEqual([1n, 2n]);
  });

  test("another kind of map is refused", () => {
    const map = new LinuxBpf().createMap(mapSpec("no_ring", "hash"));
    expect(() => map.readRing(() => {})).toThrow("no_ring is no ring buffer but hash");
    map.close();
  });
});
