import { describe, expect, it } from "vitest";
import { Cursor, CursorStream, type Gap, type Selection } from "./read.ts";
import { Ring } from "./ring.ts";

interface Entry {
  readonly time: bigint;
}

const all: Selection<Entry> = {
  ...{ number: 0, first: false, follow: false, since: null, until: null },
  ...{ matches: () => true, counts: () => true },
};

const show = (found: Entry | Gap): string => ("lost" in found ? `lost ${found.lost}` : `${found.time}`);

function streamOf(ring: Ring<Entry>, over: Partial<Selection<Entry>> = {}, signal = new AbortController().signal) {
  return new CursorStream(new Cursor(ring, { ...all, ...over }, signal), show);
}

function ringOf(count: number, capacity = 5000): Ring<Entry> {
  const ring = new Ring<Entry>(capacity);
  for (let at = 0; at < count; at++) ring.push({ time: BigInt(at) });
  return ring;
}

async function gather(stream: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const each of stream) found.push(each);
  return found;
}

describe("a reader of a ring", () => {
  it("gives all that was there when it began, more than one turn takes too", async () => {
    const ring = ringOf(2000);
    const stream = streamOf(ring);
    const first = await stream.next();
    ring.push({ time: 9999n });
    expect([first.value, ...(await gather(stream))]).toEqual(Array.from({ length: 2000 }, (_, at) => `${at}`));
  });

  it("answers in the order in which it was asked", async () => {
    const ring = ringOf(1);
    const stream = streamOf(ring, { follow: true, number: 1 });
    const asked = [stream.next(), stream.next(), stream.next(), stream.return(), stream.next()];
    for (const time of [1n, 2n]) ring.push({ time });
    expect(await Promise.all(asked)).toEqual([
      ...["0", "1", "2"].map((value) => ({ done: false, value })),
      ...[1, 2].map(() => ({ done: true, value: undefined })),
    ]);
  });

  it("ends for who leaves, and with its signal", async () => {
    const stop = new AbortController();
    const stream = streamOf(ringOf(3), { follow: true, number: 3 }, stop.signal);
    for await (const each of stream) if (each === "1") break;
    expect((await stream.next()).done).toBe(true);
    const waiting = streamOf(ringOf(3), { follow: true }, stop.signal).next();
    stop.abort();
    expect((await waiting).done).toBe(true);
  });

  it.each([0, 600])("fails once where looking fails at %i", async (at) => {
    const matches = ({ time }: Entry): boolean => {
      if (time === BigInt(at)) throw new Error("no");
      return true;
    };
    const stream = streamOf(ringOf(700), { matches });
    await expect(gather(stream)).rejects.toThrow("no");
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("lets others have their turn, and says what it missed in it", async () => {
    const ring = ringOf(700, 700);
    setImmediate(() => {
      for (let at = 700; at < 1400; at++) ring.push({ time: BigInt(at) });
    });
    const found = await gather(streamOf(ring, { follow: true, first: false, number: 700, until: 1398n }));
    expect(found.slice(511, 514)).toEqual(["511", "lost 188", "700"]);
  });
});
