/**
 * @module
 * What worker threads do in tests: `workerData.task` says which, the answer is one message.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { readObject } from "@skep/object";
import { LinuxBpf, mapById, programById } from "../src/bpf/index.ts";
import { bytes, mapSpec, number } from "../src/bpf/testing.ts";
import { errno, inNamespace, liveMappings, openDescriptors, rawSyscall } from "../src/sys/index.ts";

if (!parentPort) throw new Error("started outside of a worker");
const port = parentPort;
const data = workerData as {
  readonly task: string;
  readonly id: number;
  readonly path: string;
  readonly count: number;
};

const packet = new Uint8Array(64);

/** Maps, programs, a ring and their ends, as a whole program would use them. */
function everything(): object {
  const bpf = new LinuxBpf();
  const spec = readObject(readFileSync(fileURLToPath(new URL("../testdata/maps.o", import.meta.url))));
  let wrong = 0;
  let records = 0;
  for (let round = 0; round < 5; round++) {
    const map = bpf.createMap(mapSpec("worker", "hash", { maxEntries: 2000 }));
    for (let at = 0; at < 1000; at++) map.set(bytes(at, 4), bytes(at * 7, 8));
    for (let at = 0; at < 1000; at++) if (number(map.get(bytes(at, 4))) !== BigInt(at * 7)) wrong++;
    map.close();
    const collection = bpf.load(spec, { programs: ["emit", "use"] });
    collection.programs["use"]?.test({ data: packet, repeat: 10 });
    const reader = collection.maps["ring"]?.readRing(() => records++);
    const context = new Uint8Array(16);
    new DataView(context.buffer).setUint32(8, 100, true);
    collection.programs["emit"]?.test({ context });
    reader?.drain();
    reader?.close();
    collection.close();
  }
  return { wrong, records, descriptors: openDescriptors(), mappings: liveMappings() };
}

/** Reads a ring that another thread opened, until `count` records have come. */
function ring(): void {
  const map = mapById(data.id);
  if (!map) throw new Error("the ring is gone");
  let next = 0n;
  let inOrder = true;
  const reader = map.readRingInPlace((view, at) => {
    if (view.getBigUint64(at, true) !== next) inOrder = false;
    next++;
    if (next < BigInt(data.count)) return;
    // What is closed from its own callback ends with the drain.
    reader.close();
    map.close();
    setImmediate(() =>
      port.postMessage({ inOrder, records: Number(next), descriptors: openDescriptors(), mappings: liveMappings() }),
    );
  });
  reader.start();
  port.postMessage("started");
}

/** Runs a program that another thread loaded, by its id and by its pin. */
function program(): object {
  const byId = programById(data.id);
  const byPin = new LinuxBpf().openProgram(data.path);
  if (!byId || !byPin) throw new Error("the program is gone");
  const returned = [byId, byPin].map((each) => each.test({ data: packet, repeat: data.count }).returned);
  byId.close();
  byPin.close();
  return { returned, descriptors: openDescriptors() };
}

/** Fails again and again in a way of its own. */
function failing(): object {
  let wrong = 0;
  for (let at = 0; at < data.count; at++) if (rawSyscall("close", -1) !== -(errno["EBADF"] ?? 0)) wrong++;
  return { wrong };
}

/** Is in another network namespace, which no other thread notices. */
function elsewhere(): object {
  const here = (): string => readlinkSync("/proc/thread-self/ns/net");
  const before = here();
  const inside = inNamespace(data.path, here);
  return { before, inside, after: here() };
}

const tasks: Readonly<Record<string, () => object | void>> = { everything, ring, program, failing, elsewhere };
const answer = tasks[data.task]?.();
if (answer) port.postMessage(answer);
