import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LinuxBpf, unmountPins } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { removeTestFolder, testFolder } from "../src/net/testing.ts";
import { errno, rawSyscall } from "../src/sys/index.ts";
import { Lab } from "./lab.ts";

const enabled = canUseBpf();

/** Node 20 does not hand the loader of TypeScript on to its workers. */
function start(workerData: object): Worker {
  const entry = new URL("./worker-tasks.ts", import.meta.url).href;
  const code = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(entry)}); });`;
  return new Worker(code, { eval: true, workerData, execArgv: ["--conditions=skep-source"] });
}

async function answer(workerData: object): Promise<unknown> {
  const worker = start(workerData);
  const [message] = (await once(worker, "message")) as [unknown];
  await worker.terminate();
  return message;
}

describe.skipIf(!enabled)("worker threads", () => {
  let lab: Lab;
  let folder = "";
  beforeAll(() => {
    lab = new Lab("workers");
    folder = testFolder("workers");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    removeTestFolder(folder);
  });

  test("several use the library at once, beside this one", async () => {
    const workers = Array.from({ length: 3 }, () => answer({ task: "everything" }));
    const collection = lab.load("maps", ["use"]);
    for (let at = 0; at < 200; at++) collection.programs["use"]!.test({ data: new Uint8Array(64) });
    for (const result of await Promise.all(workers))
      expect(result).toEqual({ wrong: 0, records: 500, descriptors: 0, mappings: 0 });
  });

  test("a reader in a worker has every record of a ring that is filled here", async () => {
    const { maps, programs } = lab.load("maps", ["emit"]);
    const rounds = 20;
    const worker = start({ task: "ring", id: maps["ring"]!.info.id, count: rounds * 1000 });
    expect(await once(worker, "message")).toEqual(["started"]);
    const done = once(worker, "message");
    const context = new Uint8Array(16);
    const view = new DataView(context.buffer);
    view.setUint32(8, 1000, true);
    const ring = lab.keep(maps["ring"]!.readRingInPlace(() => undefined)) as unknown as { readonly pending: number };
    for (let round = 0; round < rounds; round++) {
      // The ring holds 64 KiB: what the worker has not read must not be lost.
      while (ring.pending > 32 * 1024) await new Promise((resolve) => setImmediate(resolve));
      view.setBigUint64(0, BigInt(round * 1000), true);
      programs["emit"]!.test({ context });
    }
    expect(await done).toEqual([{ inOrder: true, records: rounds * 1000, descriptors: 0, mappings: 0 }]);
    await worker.terminate();
  });

  test("a program is shared by its id and its pin", async () => {
    const pins = join(folder, "bpf");
    const { mountPoint } = new LinuxBpf().preparePins(pins);
    try {
      const program = lab.load("xdp", ["drop"]).programs["drop"]!;
      program.pin(join(pins, "drop"));
      const tasks = Array.from({ length: 2 }, () =>
        answer({ task: "program", id: program.info.id, path: join(pins, "drop"), count: 10 }),
      );
      for (const result of await Promise.all(tasks)) expect(result).toEqual({ returned: [1, 1], descriptors: 0 });
    } finally {
      lab.bpf.removePins(pins);
      if (mountPoint !== undefined) unmountPins(mountPoint);
    }
  });

  test("errors belong to the thread that made them", async () => {
    const worker = answer({ task: "failing", count: 100_000 });
    const state = { isDone: false };
    let wrong = 0;
    void worker.then(() => (state.isDone = true));
    while (!state.isDone) {
      for (let at = 0; at < 1000; at++) if (rawSyscall("kill", 1 << 22, 0) !== -errno["ESRCH"]!) wrong++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([await worker, wrong]).toEqual([{ wrong: 0 }, 0]);
  });

  test("a thread's namespace is its own", async () => {
    const here = readlinkSync("/proc/thread-self/ns/net");
    const result = (await answer({ task: "elsewhere", path: lab.host.path })) as Record<string, string>;
    expect(result["before"]).toBe(here);
    expect(result["after"]).toBe(here);
    expect(result["inside"]).not.toBe(here);
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(here);
  });
});
