/**
 * What ends the process or corrupts memory where native calls, buffers, mappings and descriptors are handled carelessly: each with the
 * test that it does not happen here. Traps of single calls are in `src/sys/sys.test.ts`, of threads in `workers.kernel.test.ts`.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { exit, jmp, ldMap, ldx, mem, mov64, r0, r1, r2, r3, r6, call, stx } from "../src/bpf/testing-isa.ts";
import { LinuxBpf } from "../src/bpf/index.ts";
import { bytes, canUseBpf, mapSpec, number, objectSpec, type SmallProgram } from "../src/bpf/testing.ts";
import { liveMappings, openDescriptors, rawSyscall } from "../src/sys/index.ts";

const bpf = new LinuxBpf();
const source = fileURLToPath(new URL("../src", import.meta.url));

const files = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.includes(".test."))
  .map((name) => [name, readFileSync(join(source, name), "utf8")] as const);

describe("the seam", () => {
  test("one module calls native code, never on the thread pool, never variadic", () => {
    const importing = files.filter(([, text]) => /from "koffi"/.test(text)).map(([name]) => name);
    expect(importing).toEqual([join("sys", "library.ts")]);
    const library = files.find(([name]) => name === importing[0])?.[1] ?? "";
    expect(library).not.toMatch(/\.async\(|"\.\.\."/);
    const functions = [...library.matchAll(/libc\.func\("(\w+)"/g)].map(([, name]) => name);
    expect(functions).toEqual(["syscall", "mmap", "malloc_trim"]);
    expect(library.match(/libc\.func\(/g)).toHaveLength(functions.length);
  });

  test("no file reads /proc/net or /proc/self/net, which are the main thread's", () => {
    expect(
      files.filter(([, text]) => /["'`]\/proc\/(net|self\/net|self\/ns)/.test(text)).map(([name]) => name),
    ).toEqual([]);
  });
});

/** Reserves and submits a record of a sixteenth of four gigabytes without touching it, with its number in front. */
const HUGE = 16 << 20;
const huge: SmallProgram = {
  name: "huge",
  type: "syscall",
  flags: 16,
  code: [
    mov64(r6, r1),
    ldMap(r1, 0),
    mov64(r2, HUGE),
    mov64(r3, 0),
    call("ringbuf_reserve"),
    jmp("jne", r0, 0, 2),
    mov64(r0, 1),
    exit(),
    ldx("u64", r1, mem(r6)),
    stx("u64", mem(r0), r1),
    mov64(r1, r0),
    mov64(r2, 0),
    call("ringbuf_submit"),
    mov64(r0, 0),
    exit(),
  ],
  references: [{ at: 1, kind: "map", map: "ring" }],
};

const open: { close(): void }[] = [];
const keep = <T extends { close(): void }>(thing: T): T => {
  open.push(thing);
  return thing;
};

describe.skipIf(!canUseBpf())("traps", () => {
  afterEach(() => {
    for (const each of open.splice(0).reverse()) each.close();
    expect([openDescriptors(), liveMappings()]).toEqual([0, 0]);
  });

  test("keys and values survive collections between their writing and the call", () => {
    const map = keep(bpf.createMap(mapSpec("stress", "hash", { maxEntries: 4096 })));
    let wrong = 0;
    for (let round = 0; round < 60_000; round++) {
      const key = round % 4096;
      map.set(bytes(key, 4), bytes(BigInt(round), 8));
      // Garbage of the size of keys and values: what a freed buffer would be reused for.
      if (round % 50 === 0) Array.from({ length: 100 }, () => new Uint8Array(8).fill(255));
      if (number(map.get(bytes(key, 4))) !== BigInt(round)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test("a detached buffer never becomes a null pointer", () => {
    const map = keep(bpf.createMap(mapSpec("detached", "hash")));
    const key = bytes(1, 4).slice();
    structuredClone(key.buffer, { transfer: [key.buffer] });
    expect(() => map.get(key)).toThrow("a key of 0 bytes instead of 4");
    const value = bytes(1, 8).slice();
    structuredClone(value.buffer, { transfer: [value.buffer] });
    expect(() => map.set(bytes(1, 4), value)).toThrow("a value of 0 bytes instead of 8");
  });

  test("what one command leaves in the argument is not another's junk", () => {
    const map = keep(bpf.createMap(mapSpec("junk", "hash")));
    const key = bytes(1, 4);
    for (let round = 0; round < 3; round++) {
      map.set(key, bytes(7, 8), "new");
      expect(map.nextKey(null)).toEqual(key);
      expect(map.nextKey(key)).toBeNull();
      expect(() => map.get(key, { lock: true })).toThrow("EINVAL");
      map.set(key, bytes(8, 8), "existing");
      expect(number(map.get(key))).toBe(8n);
      expect(number(map.take(key))).toBe(8n);
      expect(map.delete(key)).toBe(false);
    }
    const queue = keep(bpf.createMap(mapSpec("junk_queue", "queue", { keySize: 0 })));
    queue.push(bytes(1, 8));
    expect([number(queue.peek()), number(queue.take()), queue.peek()]).toEqual([1n, 1n, null]);
  });

  test("what is read from a mapping is a copy that outlives it", () => {
    const map = keep(bpf.createMap(mapSpec("mapped", "array", { flags: 1024 })));
    map.set(bytes(0, 4), bytes(77, 8));
    const memory = map.mmap();
    const copy = memory.read(0, 8);
    memory.close();
    expect(number(copy)).toBe(77n);
    for (const use of [() => memory.read(0, 8), () => memory.u64(0), () => memory.setU64(0, 1n), () => memory.address])
      expect(use).toThrow("unmapped");
  });

  test("two mappings of one map end each for itself", () => {
    const map = keep(bpf.createMap(mapSpec("mapped", "array", { flags: 1024 })));
    const [one, two] = [map.mmap(), map.mmap()];
    one.close();
    two.setU64(8, 5n);
    expect(number(map.get(bytes(1, 4)))).toBe(5n);
    two.close();
  });

  test("positions beyond four gigabytes: no record is lost or read twice", () => {
    const maps = [mapSpec("ring", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: 64 << 20 })];
    const collection = keep(bpf.load(objectSpec([huge], maps)));
    const context = new Uint8Array(16);
    const seen: number[] = [];
    const reader = keep(
      collection.maps["ring"]!.readRingInPlace((view, at, length) => {
        expect(length).toBe(HUGE);
        seen.push(view.getUint32(at, true));
      }),
    );
    const count = 600;
    for (let record = 0; record < count; record++) {
      new DataView(context.buffer).setUint32(0, record, true);
      expect(collection.programs["huge"]!.test({ context }).returned).toBe(0);
      // At every phase of the ring: one, two or three wait.
      if (record % 3 !== 0 || record % 7 === 0) reader.drain();
    }
    reader.drain();
    expect(count * HUGE).toBeGreaterThan(2 * 2 ** 32);
    expect(seen).toEqual(Array.from({ length: count }, (_, record) => record));
  });

  test("waiting for readers takes no thread", async () => {
    const threads = () => readdirSync("/proc/self/task").length;
    const shape = { keySize: 0, valueSize: 0, maxEntries: 4096 };
    const readers = Array.from({ length: 8 }, (_, at) =>
      keep(keep(bpf.createMap(mapSpec(`ring${at}`, "ringbuf", shape))).readRing(() => undefined)),
    );
    const before = threads();
    for (const reader of readers) reader.start();
    await new Promise((resolve) => setImmediate(resolve));
    expect(threads()).toBe(before);
  });

  test("running out of descriptors at any step leaves none open", () => {
    const script = fileURLToPath(new URL("exhausted.ts", import.meta.url));
    const node = [process.execPath, "--conditions=skep-source", "--import", "tsx", script];
    const result = spawnSync("/bin/sh", ["-c", `ulimit -n 256; exec "$@"`, "sh", ...node], { encoding: "utf8" });
    expect(result.stderr).toBe("");
    const { attempts, failed, worked, codes, left, probes } = JSON.parse(result.stdout) as Record<string, unknown>;
    expect(left).toEqual([0, 0]);
    // A probe that found none does not say that the kernel lacks something, and is not remembered.
    expect(probes).toEqual(Array.from({ length: 6 }, () => ["InconclusiveError", "true"]));
    expect(codes).toEqual(["EMFILE"]);
    expect(failed).toBeGreaterThan(20);
    expect(worked).toBeGreaterThan(0);
    expect(Number(failed) + Number(worked)).toBe(attempts);
    expect(rawSyscall("getpid")).toBe(process.pid);
  });
});
