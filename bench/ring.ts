// A ring buffer's records of 64 bytes: the drain of what is there with three fields of each read, beside libbpf's ring_buffer__consume on
// the same program's ring; and end to end, while a thread of each process runs the program.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { openLinux } from "@skep/linux";
import { load, type App, type RingReader } from "@skep/machine";
import { readObject } from "@skep/object";
import { median, print } from "./_lines.ts";
import { buildTwin, compiled, figures, libbpfName, needRoot, output, Samples, withFolder } from "./_setup.ts";
import { startWorker } from "./_worker.ts";
import * as module from "./twins/ring.bpf.ts";

/** Fits into the ring of 32 MiB with its eight bytes of header each. */
const FILL = 450_000;
const OVERFILL = 500_000;
const ROUNDS = 9;
const CONCURRENT = 4_000_000;
const CONCURRENT_ROUNDS = 3;

needRoot("ring");

type Ring = App<typeof module>;

const lostOf = (app: Ring): number => Number(app.maps.counts.get(1)?.sum() ?? 0n);

/** Makes `count` records in the kernel; gives how many of them were lost. */
function fill(app: Ring, count: number): number {
  const before = lostOf(app);
  app.programs.fill.test({ data: new Uint8Array(64), repeat: count });
  return lostOf(app) - before;
}

function expectSame(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

/** What the fields of the records add up to. */
class Check {
  ones = 0;
  mismatches = 0;

  take(sequence: number, first: number, second: number): void {
    this.ones += second;
    if (sequence % 0x1_0000_0000 !== first) this.mismatches += 1;
  }

  finish(drained: number): void {
    expectSame(this.ones, drained, "sum of a field");
    expectSame(this.mismatches, 0, "records whose fields disagree");
    [this.ones, this.mismatches] = [0, 0];
  }
}

/** Events a second. All that were made are drained or counted as lost. */
function timed(app: Ring, count: number, drain: () => number): { rate: number; lost: number } {
  const lost = fill(app, count);
  const started = performance.now();
  const drained = drain();
  const seconds = (performance.now() - started) / 1000;
  expectSame(drained + lost, count, "records drained and lost");
  return { rate: drained / seconds, lost };
}

/** A reader that stays open, as a program's does. */
interface Drain {
  run(count: number): { rate: number; lost: number };
  close(): void;
}

function drainOf(app: Ring, check: Check, reader: RingReader): Drain {
  return {
    run(count) {
      const result = timed(app, count, () => reader.drain());
      check.finish(count - result.lost);
      return result;
    },
    close: () => reader.close(),
  };
}

/** Three fields in place. */
function openInPlace(app: Ring, check: Check): RingReader {
  const { records } = app.events;
  const sequence = records.numberField("sequence");
  const first = records.field("first");
  const second = records.field("second");
  return records.inPlace((view, at) => check.take(sequence(view, at), first(view, at), second(view, at)));
}

function openViews(app: Ring, check: Check): RingReader {
  return app.events.records.raw.readRing((record) => {
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    check.take(view.getUint32(0, true), view.getUint32(8, true), view.getUint32(12, true));
  });
}

/** Whole events as objects, by the stream's loop. */
async function objects(app: Ring, count: number): Promise<{ rate: number; lost: number }> {
  const check = new Check();
  const lost = fill(app, count);
  const started = performance.now();
  let drained = 0;
  for await (const batch of app.events.records.batches()) {
    for (const { sequence, first, second } of batch) check.take(Number(sequence), first, second);
    drained += batch.length;
    if (drained >= count - lost) break;
  }
  const seconds = (performance.now() - started) / 1000;
  check.finish(drained);
  return { rate: drained / seconds, lost };
}

/** Has the worker make `count` records; 0 ends it. */
function run(producer: Worker, count: number): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  producer.postMessage({ count });
}

/** A worker makes `CONCURRENT` records while this thread drains them. */
async function concurrent(app: Ring, producer: Worker): Promise<{ rate: number; lost: number }> {
  const check = new Check();
  const reader = openInPlace(app, check);
  const before = lostOf(app);
  const started = performance.now();
  let drained = 0;
  let isDone = false;
  const done = once(producer, "message").then(() => (isDone = true));
  run(producer, CONCURRENT);
  for (;;) {
    const wasDone = isDone;
    drained += reader.drain();
    if (wasDone) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  const seconds = (performance.now() - started) / 1000;
  reader.close();
  const lost = lostOf(app) - before;
  expectSame(drained + lost, CONCURRENT, "records drained and lost");
  check.finish(drained);
  return { rate: drained / seconds, lost };
}

await withFolder(async (folder) => {
  const twin = buildTwin("ring", folder, ["-pthread"]);
  const object = compiled("bench/twins/ring.bpf.ts");
  const file = join(folder, "ring.o");
  writeFileSync(file, object);
  const [ours, peers] = [new Samples(), new Samples()];
  const app = load(openLinux(), readObject(object), { module });
  const producer = startWorker("_producer.ts", { program: app.programs.fill.info.id });
  try {
    await once(producer, "message");
    for (const [name, open] of [
      ["fields in place", openInPlace],
      ["a view each", openViews],
    ] as const) {
      const check = new Check();
      const drain = drainOf(app, check, open(app, check));
      drain.run(FILL);
      for (let at = 0; at < ROUNDS; at++) {
        const { rate, lost } = drain.run(FILL);
        expectSame(lost, 0, "lost of a fill that fits");
        ours.add(name, rate);
        if (twin) peers.addAll(figures(output(twin, [file, String(FILL), "0"])));
      }
      if (open === openInPlace) ours.add("lost", drain.run(OVERFILL).lost);
      drain.close();
    }
    for (let at = 0; at < ROUNDS; at++) ours.add("an object each", (await objects(app, FILL)).rate);
    if (twin)
      peers.add("lost of too many", figures(output(twin, [file, String(OVERFILL), "0"])).get("lost") ?? Number.NaN);
    for (let at = 0; at < CONCURRENT_ROUNDS; at++) {
      const { rate, lost } = await concurrent(app, producer);
      ours.add("concurrent", rate);
      ours.add("concurrent lost", lost);
      if (!twin) continue;
      for (const [name, value] of figures(output(twin, [file, "0", String(CONCURRENT)])))
        peers.add(`concurrent ${name}`, value);
    }
  } finally {
    run(producer, 0);
    app.close();
  }
  const peerName = twin ? `ring_buffer__consume, ${libbpfName()}` : null;
  const line = (name: string, unit: string, [mine, theirs]: readonly [string, string]): void =>
    print({
      ...{ bench: "ring", case: name, unit, skep: median(ours.of(mine)) },
      ...{ peer: twin ? median(peers.of(theirs)) : null, peerName },
    });
  for (const name of ["fields in place", "a view each", "an object each"])
    line(`drain of 64-byte records, three fields, ${name}`, "events/s", [name, "rate"]);
  line(`lost and counted of ${OVERFILL} into a ring too small`, "events", ["lost", "lost of too many"]);
  line("end to end with a producing thread, three fields in place", "events/s", ["concurrent", "concurrent rate"]);
  line(`end to end, lost and counted of ${CONCURRENT}`, "events", ["concurrent lost", "concurrent lost"]);
});
