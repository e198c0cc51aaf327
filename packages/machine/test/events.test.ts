import type { MapSpec } from "@skep/object";
import { describe, expect, test } from "vitest";
import { type EventOptions, EventStream, EventStreamError } from "../src/index.ts";
import { codecOfShape } from "../src/codec/codec.ts";
import { FakeMap } from "./fake-machine.ts";

const codec = codecOfShape<number>({ kind: "int", size: 4, signed: false, bigEndian: false });
const spec: MapSpec = {
  name: "ring",
  type: "ringbuf",
  keySize: 0,
  valueSize: 0,
  maxEntries: 4096,
  flags: 0,
  pinning: "none",
};

function open(options: EventOptions = {}): {
  map: FakeMap;
  stream: EventStream<number>;
  emit: (...values: number[]) => void;
} {
  const map = new FakeMap(spec, 1);
  const emit = (...values: number[]) => values.forEach((value) => map.emit(codec.encode(value)));
  return { map, stream: new EventStream(map, codec, options), emit };
}

async function take(stream: EventStream<number>, count: number): Promise<number[]> {
  const values: number[] = [];
  for await (const value of stream) {
    values.push(value);
    if (values.length === count) break;
  }
  return values;
}

describe("EventStream", () => {
  test("gives what was there and what comes, in order", async () => {
    const { stream, emit } = open();
    emit(1, 2);
    const taken = take(stream, 5);
    await new Promise((resolve) => setImmediate(resolve));
    emit(3);
    emit(4, 5);
    expect(await taken).toEqual([1, 2, 3, 4, 5]);
  });

  test("a loop that is left lets go of the ring, and the next goes on where it left", async () => {
    const { map, stream, emit } = open();
    emit(1, 2, 3);
    expect(await take(stream, 2)).toEqual([1, 2]);
    expect(map.ring!.isClosed).toBe(true);
    emit(4);
    expect(await take(stream, 2)).toEqual([3, 4]);
  });

  test("batches hold all that came since the last", async () => {
    const { stream, emit } = open();
    emit(1, 2, 3);
    const batches: number[][] = [];
    for await (const batch of stream.batches()) {
      batches.push(batch);
      if (batches.length === 1) emit(4, 5);
      else break;
    }
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test("a slow consumer leaves records in the ring, and loses none", async () => {
    const { map, stream, emit } = open({ limit: 2 });
    const taken: number[] = [];
    emit(1);
    for await (const value of stream) {
      taken.push(value);
      if (taken.length === 1) {
        emit(2, 3, 4, 5, 6);
        expect(map.ring!.isStarted).toBe(false);
        expect(map.records.length).toBe(2);
      }
      if (value === 6) break;
    }
    expect(taken).toEqual([1, 2, 3, 4, 5, 6]);
    expect(stream.lost).toBe(0);
  });

  test.each([
    ["asked to", { limit: 2, overflow: "drop" } as const, true],
    ["the machine cannot wait", { limit: 2 }, false],
  ])("events beyond the limit are counted when %s", async (_, options, canStop) => {
    const { map, stream, emit } = open(options);
    map.canStop = canStop;
    emit(1, 2, 3, 4, 5);
    expect(await take(stream, 2)).toEqual([1, 2]);
    expect(stream.lost).toBe(3);
  });

  test("one consumer at a time", async () => {
    const { stream, emit } = open();
    const first = take(stream, 1);
    await expect(take(stream, 1)).rejects.toThrow(EventStreamError);
    emit(1);
    expect(await first).toEqual([1]);
  });

  test("closing ends a waiting loop", async () => {
    const { map, stream } = open();
    const waiting = take(stream, 1);
    await new Promise((resolve) => setImmediate(resolve));
    stream.close();
    expect(await waiting).toEqual([]);
    expect(map.ring!.isClosed).toBe(true);
    await expect(take(stream, 1)).rejects.toThrow("closed");
  });

  test("a record that is too short ends the loop with an error, after what came before", async () => {
    const { map, stream, emit } = open();
    emit(1);
    map.emit(new Uint8Array(2));
    const seen: number[] = [];
    const loop = async () => {
      for await (const value of stream) seen.push(value);
    };
    await expect(loop()).rejects.toThrow("an event has 4 bytes, the record 2");
    expect(seen).toEqual([1]);
  });
});
