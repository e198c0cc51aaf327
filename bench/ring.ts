// Drain of a ring buffer: records of 64 bytes, three fields of each read, beside libbpf's ring_buffer__consume on the same program's ring.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLinux, type LinuxCollection, type LinuxRingReader } from "@skep/linux";
import { readObject } from "@skep/object";
import { median, print } from "./_lines.ts";
import { buildTwin, compiled, figures, libbpfName, needRoot, output, Samples, withFolder } from "./_setup.ts";

/** Fits into the ring of 32 MiB with its eight bytes of header each. */
const FILL = 450_000;
const OVERFILL = 500_000;
const ROUNDS = 9;

needRoot("ring");

/** Makes `count` records in the kernel; gives how many of them were lost. */
function fill({ programs, maps }: LinuxCollection, count: number): number {
  const lost = (): number => {
    const value = maps["counts"]?.get(new Uint8Array(Uint32Array.of(1).buffer));
    if (!value) throw new Error("the object lacks its counters");
    return Number(new BigUint64Array(value.buffer).reduce((sum, each) => sum + each, 0n));
  };
  const before = lost();
  if (!programs["fill"]) throw new Error("the object lacks its program");
  programs["fill"].test({ data: new Uint8Array(64), repeat: count });
  return lost() - before;
}

function expectSame(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

class Drain {
  readonly #collection: LinuxCollection;
  readonly #reader: LinuxRingReader;
  #ones = 0;
  #mismatches = 0;

  constructor(collection: LinuxCollection) {
    const ring = collection.maps["records"];
    if (!ring) throw new Error("the object lacks its ring");
    this.#collection = collection;
    this.#reader = ring.readRing((record) => {
      const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
      this.#take(view.getUint32(0, true), view.getUint32(8, true), view.getUint32(12, true));
    }) as LinuxRingReader;
  }

  #take(sequence: number, first: number, second: number): void {
    this.#ones += second;
    if (sequence !== first) this.#mismatches += 1;
  }

  /** Events a second. All that were made are drained or counted as lost. */
  #timed(count: number, drain: () => number): { rate: number; lost: number } {
    [this.#ones, this.#mismatches] = [0, 0];
    const lost = fill(this.#collection, count);
    const started = performance.now();
    const drained = drain();
    const seconds = (performance.now() - started) / 1000;
    expectSame(drained + lost, count, "records drained and lost");
    expectSame(this.#ones, drained, "sum of a field");
    expectSame(this.#mismatches, 0, "records whose fields disagree");
    return { rate: drained / seconds, lost };
  }

  views(count: number): { rate: number; lost: number } {
    return this.#timed(count, () => this.#reader.drain());
  }

  raw(count: number): { rate: number; lost: number } {
    return this.#timed(count, () =>
      this.#reader.drainRaw((data, at) =>
        this.#take(data.getUint32(at, true), data.getUint32(at + 8, true), data.getUint32(at + 12, true)),
      ),
    );
  }

  close(): void {
    this.#reader.close();
  }
}

await withFolder((folder) => {
  const twin = buildTwin("ring", folder);
  const object = compiled("bench/twins/ring.bpf.ts");
  const file = join(folder, "ring.o");
  writeFileSync(file, object);
  const [ours, peers] = [new Samples(), new Samples()];
  const collection = openLinux().bpf.load(readObject(object));
  const drain = new Drain(collection);
  try {
    drain.raw(FILL);
    drain.views(FILL);
    for (let at = 0; at < ROUNDS; at++) {
      const [raw, views] = [drain.raw(FILL), drain.views(FILL)];
      expectSame(raw.lost + views.lost, 0, "lost of a fill that fits");
      ours.add("in place", raw.rate);
      ours.add("a view each", views.rate);
      if (twin) peers.addAll(figures(output(twin, [file, String(FILL)])));
    }
    ours.add("lost", drain.raw(OVERFILL).lost);
    if (twin) peers.add("lost", figures(output(twin, [file, String(OVERFILL)])).get("lost") ?? Number.NaN);
  } finally {
    drain.close();
    collection.close();
  }
  const peerName = twin ? `ring_buffer__consume, ${libbpfName()}` : null;
  for (const name of ["in place", "a view each"]) {
    const peer = twin ? median(peers.of("rate")) : null;
    print({
      ...{ bench: "ring", case: `drain of 64-byte records, three fields, ${name}`, unit: "events/s" },
      ...{ skep: median(ours.of(name)), peer, peerName },
    });
  }
  print({
    ...{ bench: "ring", case: `lost and counted of ${OVERFILL} into a ring too small`, unit: "events" },
    ...{ skep: median(ours.of("lost")), peer: twin ? (peers.of("lost").at(-1) ?? null) : null, peerName },
  });
});
