import type { MapSpec } from "@skep/object";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type EventOptions, EventStream, EventStreamError, ShapeError } from "../src/index.ts";
import { codecOfShape } from "../src/codec/codec.ts";
import type { Shape } from "../src/codec/shape.ts";
import { FakeMap } from "./fake-machine.ts";

const codec = codecOfShape<number>({ kind: "int", size: 4, signed: false, bigEndian: false });
interface Event {
  readonly sequence: bigint;
  readonly key: { readonly port: number; readonly deep: { readonly bit: number } };
}
const int = (size: 1 | 2 | 8, bigEndian = false): Shape => ({ kind: "int", size, signed: false, bigEndian });
const bit: Shape = {
  kind: "struct",
  size: 1,
  members: [{ name: "bit", shape: int(1), offset: 0, bits: { shift: 2, width: 3 } }],
};
const eventShape: Shape = {
  kind: "struct",
  size: 16,
  members: [
    { name: "sequence", shape: int(8), offset: 0 },
    {
      name: "key",
      offset: 10,
      shape: {
        kind: "struct",
        size: 5,
        members: [
          { name: "port", shape: int(2, true), offset: 1 },
          { name: "deep", shape: bit, offset: 4 },
        ],
      },
    },
  ],
};

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

  test("in place: fields are read where they lie, by one consumer, until it is closed", () => {
    const map = new FakeMap(spec, 1);
    const record = codecOfShape<Event>(eventShape);
    const stream = new EventStream(map, record);
    const [port, sequence, deep] = [
      stream.field("key.port"),
      stream.numberField("sequence"),
      stream.field("key.deep.bit"),
    ];
    expectTypeOf(port).returns.toEqualTypeOf<number>();
    const seen: number[][] = [];
    const reader = stream.inPlace((view, at) => seen.push([port(view, at), sequence(view, at), deep(view, at)]));
    expect(() => stream.inPlace(() => undefined)).toThrow(EventStreamError);
    map.emit(record.encode({ sequence: 2n ** 53n - 1n, key: { port: 443, deep: { bit: 5 } } }));
    map.emit(record.encode({ sequence: 1n, key: { port: 80, deep: { bit: 1 } } }));
    expect(reader.drain()).toBe(2);
    expect(seen).toEqual([
      [443, 2 ** 53 - 1, 5],
      [80, 1, 1],
    ]);
    map.emit(new Uint8Array(3));
    expect(() => reader.drain()).toThrow("an event has 16 bytes, the record 3");
    reader.close();
    stream.inPlace(() => undefined).close();
    // @ts-expect-error no such field
    expect(() => stream.field("key.none")).toThrow(ShapeError);
    // @ts-expect-error not of 64 bits
    expect(() => stream.numberField("key.port")).toThrow(ShapeError);
  });
});
