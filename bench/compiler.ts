// Code of the compiler beside clang's: the same algorithm in TypeScript and in C (bench/twins/code), run on the same packets and maps in one
// run, in turns; verdicts, packets and maps compared. Nanoseconds of a run net of an empty program's, and bytes of machine code.
// `npm run bench -- compiler [NAME...]`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openLinux, type LinuxCollection, type LinuxProgram } from "@skep/linux";
import { readObject } from "@skep/object";
import { TWINS, type Twin } from "./_code-twins.ts";
import { print } from "./_lines.ts";
import { compiled, needRoot, output, root, Samples, withFolder } from "./_setup.ts";

/** The wrapper calls a program so often: the kernel's figure is whole nanoseconds. */
const CALLS = 8;
/** A batch takes about this long; for XDP the kernel takes twenty milliseconds more to change its dispatcher. */
const BATCH_NS = 1_000_000;
const ROUNDS = 30;
const PEER = "clang-19 -O2 -mcpu=v3";

needRoot("compiler");
const { bpf } = openLinux();

/** The bytes of a twin in C. */
function clang(name: string, folder: string): Uint8Array {
  const file = join(folder, `${name}.o`);
  const flags = ["-O2", "-g", "-mcpu=v3", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu"];
  output("clang-19", [...flags, "-c", join(root, `bench/twins/code/${name}.bpf.c`), "-o", file]);
  return readFileSync(file);
}

function program(collection: LinuxCollection, name: string): LinuxProgram {
  const found = collection.programs[name];
  if (!found) throw new Error(`the object lacks its program ${name}`);
  return found;
}

/** The wrapper (bench/twins/code/wrap.bpf.c) around one program. */
class Wrapper {
  readonly #collection: LinuxCollection;
  readonly #hook: "xdp" | "tc";

  /** Without a program: around one that does nothing. */
  constructor(object: Uint8Array, hook: "xdp" | "tc", target?: LinuxProgram) {
    // A program array takes programs of one type only.
    const programs = [`wrap_${hook}`, `idle_${hook}`];
    this.#collection = bpf.load(readObject(object), { programs });
    this.#hook = hook;
    const called = target ?? program(this.#collection, `idle_${hook}`);
    this.#collection.maps["target"]?.setProgram(new Uint8Array(4), called);
  }

  /** Whole nanoseconds of `CALLS` runs of the program. */
  run(packet: Uint8Array, repeat: number): number {
    this.#collection.maps["original"]?.set(new Uint8Array(4), packet.slice(0, 96));
    return program(this.#collection, `wrap_${this.#hook}`).test({ data: packet, repeat }).duration;
  }

  close(): void {
    this.#collection.close();
  }
}

/** One side of a twin, loaded, its maps filled. */
class Side {
  readonly #twin: Twin;
  readonly #collection: LinuxCollection;
  readonly #wrapper: Wrapper;
  readonly #reader;

  constructor(twin: Twin, object: Uint8Array, wrapper: Uint8Array) {
    this.#twin = twin;
    this.#collection = bpf.load(readObject(object));
    this.#wrapper = new Wrapper(wrapper, twin.hook, program(this.#collection, "run"));
    this.#reader = twin.ring === undefined ? null : this.#map(twin.ring).readRing(() => undefined);
    for (const [index, name] of (twin.calls?.programs ?? []).entries()) {
      if (name === null) continue;
      this.#map(twin.calls?.map ?? "").setProgram(Uint8Array.of(index, 0, 0, 0), program(this.#collection, name));
    }
    for (const [name, entries] of Object.entries(twin.entries ?? {})) {
      for (const [key, value] of entries) this.#map(name).set(key, value);
    }
  }

  #map(name: string) {
    const map = this.#collection.maps[name];
    if (!map) throw new Error(`the object lacks its map ${name}`);
    return map;
  }

  get jitedSize(): number {
    return Object.values(this.#collection.programs).reduce((sum, { info }) => sum + info.jitedSize, 0);
  }

  run(packet: Uint8Array, repeat: number): number {
    const duration = this.#wrapper.run(packet, repeat);
    this.#reader?.drain();
    return duration;
  }

  /** Once without the wrapper: what comes out. */
  once(packet: Uint8Array) {
    const { returned, data } = program(this.#collection, "run").test({ data: packet });
    this.#reader?.drain();
    return { returned, data };
  }

  state(): string {
    const of = (name: string): string => {
      const entries = [...this.#map(name).entries()].map(
        // Sections are as long as what a compiler puts there: both begin with the result.
        ([key, value]) => `${hex(key)}=${hex(name === ".bss" ? value.slice(0, 8) : value)}`,
      );
      return `${name}: ${entries.sort().join(" ")}`;
    };
    return this.#twin.compared.map(of).join("\n");
  }

  close(): void {
    this.#reader?.close();
    this.#wrapper.close();
    this.#collection.close();
  }
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

function expectSame(found: string | number, wanted: string | number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} from Skep, ${wanted} expected`);
}

/** The same packets through both: verdicts, what comes out, and what the maps hold. */
function compare(twin: Twin, ours: Side, peer: Side): void {
  for (const [index, packet] of twin.packets.entries()) {
    const [a, b] = [ours.once(packet), peer.once(packet)];
    if (index === 0) expectSame(a.returned, twin.verdict, `${twin.name}: verdict`);
    expectSame(a.returned, b.returned, `${twin.name}: verdict of packet ${index}`);
    expectSame(hex(a.data), hex(b.data), `${twin.name}: packet ${index}`);
  }
  expectSame(ours.state(), peer.state(), `${twin.name}: maps`);
}

/** Means of the middle halves of many batches in turn, net of the empty program's; the mean over the packets. */
function measure(twin: Twin, idle: Wrapper, sides: { ours: Side; peer: Side }): { ours: number; peer: number } {
  const total = { ours: 0, peer: 0 };
  for (const packet of twin.packets) {
    const samples = new Samples();
    const repeat = Math.ceil(BATCH_NS / Math.max(sides.peer.run(packet, 100), 50));
    for (let round = 0; round < ROUNDS; round++) {
      samples.add("idle", idle.run(packet, repeat));
      // Who comes first changes.
      const order = round % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const);
      for (const who of order) samples.add(who, sides[who].run(packet, repeat));
    }
    const base = middle(samples.of("idle"));
    total.ours += (middle(samples.of("ours")) - base) / CALLS;
    total.peer += (middle(samples.of("peer")) - base) / CALLS;
  }
  const count = twin.packets.length;
  return { ours: total.ours / count, peer: total.peer / count };
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const quarter = sorted.length >> 2;
  const kept = sorted.slice(quarter, sorted.length - quarter);
  return kept.reduce((sum, value) => sum + value, 0) / kept.length;
}

const geometric = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

await withFolder((folder) => {
  const wanted = process.argv.slice(2);
  const twins = TWINS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const wrapper = clang("wrap", folder);
  const idle = { xdp: new Wrapper(wrapper, "xdp"), tc: new Wrapper(wrapper, "tc") };
  const [times, sizes]: number[][] = [[], []];
  for (const twin of twins) {
    const ours = new Side(twin, compiled(`bench/twins/code/${twin.name}.bpf.ts`), wrapper);
    const peer = new Side(twin, clang(twin.name, folder), wrapper);
    compare(twin, ours, peer);
    const figures = measure(twin, idle[twin.hook], { ours, peer });
    const line = { bench: "compiler", peerName: PEER };
    print({ ...line, case: twin.name, unit: "ns", skep: figures.ours, peer: figures.peer });
    print({ ...line, case: `${twin.name}, machine code`, unit: "bytes", skep: ours.jitedSize, peer: peer.jitedSize });
    times?.push(figures.ours / figures.peer);
    sizes?.push(ours.jitedSize / peer.jitedSize);
    ours.close();
    peer.close();
  }
  idle.xdp.close();
  idle.tc.close();
  const line = { bench: "compiler", unit: "geometric mean of ratios", peer: 1, peerName: PEER };
  print({ ...line, case: `time, ${twins.length} twins`, skep: geometric(times ?? []) });
  print({ ...line, case: `machine code, ${twins.length} twins`, skep: geometric(sizes ?? []) });
});
