import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { mapFlags, mapTypes } from "@skep/isa";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { createMap } from "../src/bpf/map-create.ts";
import { possibleCpus } from "../src/bpf/cpus.ts";
import { bytes, canUseBpf, mapSpec, number } from "../src/bpf/testing.ts";
import {
  enableStatistics,
  memoryOf,
  unmountPins,
  type LinuxCollection,
  type LinuxMap,
  type PerfReader,
} from "../src/bpf/index.ts";
import { testFolder, testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import {
  FileSystemContext,
  liveMappings,
  openDescriptors,
  takeDescriptor,
  processDescriptor,
  rawSyscall,
} from "../src/sys/index.ts";
import { countOf, Lab, printTable, refusedRow, row, sendText, sockaddr, testObject, u32 } from "./lab.ts";

const enabled = canUseBpf();
printTable("Maps");

describe.skipIf(!enabled)("maps", () => {
  let lab: Lab;

  beforeAll(() => {
    lab = new Lab("maps");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect([openDescriptors(), liveMappings()]).toEqual([0, 0]);
  });

  const packet = new Uint8Array(64);

  /** Loads `maps.o`; `process` is this one where a program asks. */
  function load(...programs: string[]): LinuxCollection {
    const collection = lab.load("maps", programs);
    const bss = collection.maps[".bss"]!;
    const data = bss.get(u32(0))!;
    const place = testObject("maps").maps[".bss"]!.data!.variables.find((each) => each.name === "process")!;
    data.set(bytes(process.pid, 8), place.offset);
    bss.set(u32(0), data);
    return collection;
  }

  row("every type that the kernel has can be made", () => {
    const withTypes = testObject("maps").maps;
    const shapes: Readonly<Record<string, Parameters<typeof mapSpec>[2]>> = {
      prog_array: { valueSize: 4 },
      perf_event_array: { valueSize: 4 },
      cgroup_array: { valueSize: 4 },
      lpm_trie: { keySize: 8, flags: mapFlags.no_prealloc },
      array_of_maps: { valueSize: 4, inner: mapSpec("inner", "array") },
      hash_of_maps: { valueSize: 4, inner: mapSpec("inner", "array") },
      xskmap: { valueSize: 4 },
      cgroup_storage: { keySize: 8, maxEntries: 0 },
      percpu_cgroup_storage: { keySize: 8, maxEntries: 0 },
      queue: { keySize: 0 },
      stack: { keySize: 0 },
      bloom_filter: { keySize: 0 },
      ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
      user_ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
      arena: { keySize: 0, valueSize: 0, flags: mapFlags.mmapable },
    };
    const made: string[] = [];
    const refused: string[] = [];
    // Storages and struct_ops need types: they are loaded with the objects of other rows.
    const typed = new Set(["sk_storage", "task_storage", "inode_storage", "cgrp_storage", "struct_ops", "unspec"]);
    for (const type of Object.keys(mapTypes).filter((name) => !typed.has(name))) {
      try {
        const map = lab.keep(createMap(mapSpec(type, type, shapes[type] ?? {})));
        expect(map.info.type).toBe(type);
        made.push(type);
      } catch (error) {
        expect(error).toMatchObject({ name: "NotSupportedError", feature: `map type ${type}` });
        refused.push(type);
      }
    }
    expect(made.length).toBeGreaterThanOrEqual(28);
    expect(Object.values(withTypes).map((map) => map.type)).toContain("task_storage");
    return `works: ${made.length} made, refused: ${refused.join(", ")}`;
  });

  row("ring buffer from a program: 10,000 records, in order, none lost", () => {
    const collection = load("emit");
    const context = new Uint8Array(16);
    const view = new DataView(context.buffer);
    let next = 0n;
    const reader = lab.keep(
      collection.maps["ring"]!.readRing((record) => {
        expect(number(record)).toBe(next);
        next++;
      }),
    );
    for (let round = 0; round < 10; round++) {
      view.setBigUint64(0, next, true);
      view.setUint32(8, 1000, true);
      collection.programs["emit"]!.test({ context });
      expect(reader.drain()).toBe(1000);
    }
    expect(next).toBe(10_000n);
    expect(countOf(collection, 0)).toBe(0);
  });

  row("user ring buffer: what is written is drained by the program; back-pressure", async () => {
    const collection = load("drain");
    const writer = lab.keep(collection.maps["orders"]!.writeRing());
    expect(writer.write(bytes(7, 8))).toBe(true);
    expect(writer.write(bytes(8, 8))).toBe(true);
    const drain = () => {
      collection.programs["drain"]!.test({ context: new Uint8Array(16) });
      return countOf(collection, 5);
    };
    expect(drain()).toBe(2);
    expect([countOf(collection, 3), countOf(collection, 4)]).toEqual([2, 8]);
    expect(writer.pending).toBe(0);
    let written = 0;
    while (writer.write(bytes(written, 8))) written++;
    expect(written).toBe(4096 / 16);
    expect(() => writer.write(new Uint8Array(5000))).toThrow(RangeError);
    const waiting = writer.send(bytes(1234, 8));
    setImmediate(drain);
    await waiting;
    drain();
    expect(countOf(collection, 4)).toBe(1234);
  });

  row("perf buffers of all CPUs: records, lost counts", async () => {
    const collection = load("emit_perf");
    let lost = 0;
    const seen: bigint[] = [];
    let wake: () => void = () => {};
    const onRecord = (record: Uint8Array) => {
      seen.push(number(record));
      wake();
    };
    const onLost = (count: number) => (lost += count);
    const reader = lab.keep(collection.maps["perf"]!.readRing(onRecord, { bytes: 4096, onLost })) as PerfReader;
    const link = lab.keep(
      lab.bpf.attach(collection.programs["emit_perf"]!, { hook: "raw_tracepoint", name: "sys_enter" }),
    );
    rawSyscall("getpid");
    expect(reader.drain()).toBeGreaterThan(0);
    expect(seen.every((pid) => pid === BigInt(process.pid))).toBe(true);
    for (let at = 0; at < 500; at++) rawSyscall("getpid");
    // The kernel tells of what it lost with the next record that fits.
    reader.drain();
    rawSyscall("getpid");
    reader.drain();
    expect(lost).toBeGreaterThan(0);
    expect(reader.lost).toBe(lost);
    const woken = new Promise<void>((resolve) => (wake = resolve));
    reader.start();
    rawSyscall("getpid");
    await woken;
    reader.stop();
    link.close();
  });

  row("mapped arrays: counters without a system call", () => {
    const collection = load("use");
    const mapped = collection.maps["mapped"]!;
    const memory = lab.keep(mapped.mmap());
    collection.programs["use"]!.test({ data: packet, repeat: 5 });
    expect([memory.u64(8), memory.counter(8), memory.u32(8)]).toEqual([15n, 15, 15]);
    memory.setU64(16, 77n);
    expect(number(mapped.get(u32(2)))).toBe(77n);
    memory.write(24, bytes(5, 8));
    expect(memory.read(24, 8)).toEqual(bytes(5, 8));
    expect(() => memory.u64(4096)).toThrow(RangeError);
    expect(() => memory.u64(-8)).toThrow(RangeError);
    const readOnly = lab.keep(mapped.mmap({ readOnly: true }));
    expect(readOnly.u64(16)).toBe(77n);
    expect(() => readOnly.setU64(16, 1n)).toThrow("read only");
    memory.close();
    expect(() => memory.u64(8)).toThrow("unmapped");
    expect(() => collection.maps["counts"]!.mmap()).toThrow();
  });

  row("arena: pages that a program allocates and the process reads", () => {
    const collection = lab.load("arena", ["fill"]);
    expect(collection.programs["fill"]!.test({}).returned).toBe(0);
    const memory = collection.maps["arena"]!.mapArena();
    // A pointer into an arena holds the low half of the address in this process.
    const place = (BigInt(countOf(collection, 0)) - memory.address) & 0xffff_ffffn;
    expect(memory.u64(Number(place))).toBe(0x1122334455667788n);
  });

  row("maps of maps: the inner map is exchanged under a running program", () => {
    const collection = load("use");
    const { first, second, outer, table } = collection.maps as Record<string, LinuxMap>;
    first!.set(u32(0), bytes(100, 8));
    second!.set(u32(0), bytes(200, 8));
    const run = () => {
      collection.programs["use"]!.test({ data: packet });
      return [countOf(collection, 6), countOf(collection, 7)];
    };
    outer!.setMap(u32(7), first!);
    expect(run()).toEqual([100, 200]);
    outer!.setMap(u32(7), second!);
    expect(run()).toEqual([200, 200]);
    expect(
      [...table!.entries()].map(([key, id]) => [key[0], Number(number(new Uint8Array([...id, 0, 0, 0, 0])))]),
    ).toEqual([[1, second!.info.id]]);
  });

  row("per-CPU values, longest prefixes, bloom filter and queue from a program's side", () => {
    const collection = load("use");
    const { each, prefixes, bloom, queue } = collection.maps as Record<string, LinuxMap>;
    prefixes!.set(new Uint8Array([...u32(8), 10, 0, 0, 0]), bytes(8, 8));
    prefixes!.set(new Uint8Array([...u32(16), 10, 1, 0, 0]), bytes(16, 8));
    bloom!.push(u32(7));
    collection.programs["use"]!.test({ data: packet, repeat: 3 });
    const values = each!.get(u32(0))!;
    let sum = 0n;
    for (let cpu = 0; cpu < possibleCpus(); cpu++) sum += number(values, cpu * 8);
    expect(sum).toBe(3n);
    expect([countOf(collection, 8), countOf(collection, 9)]).toEqual([16, 1]);
    expect([queue!.take(), queue!.take(), queue!.take(), queue!.take()].map((value) => value && number(value))).toEqual(
      [5n, 5n, 5n, null],
    );
  });

  row("task storage: written by a program, read by a pidfd", () => {
    const collection = load("remember");
    lab.keep(lab.bpf.attach(collection.programs["remember"]!, { hook: "tracing" }));
    rawSyscall("getpid");
    const self = lab.keep(processDescriptor(process.pid));
    expect(number(collection.maps["of_task"]!.get(u32(self.fd)))).toBeGreaterThan(0n);
    expect(collection.maps["of_task"]!.delete(u32(self.fd))).toBe(true);
  });

  row("socket storage: written by a program, read by the socket", async () => {
    const processes = openProcesses();
    const name = testName("maps");
    const cgroup = processes.createCgroup(name);
    try {
      const collection = load("store");
      lab.keep(lab.bpf.attach(collection.programs["store"]!, { hook: "cgroup", path: cgroup.path }));
      const of_socket = collection.maps["of_socket"]!;
      const home = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
      writeFileSync(`${cgroup.path}/cgroup.procs`, String(process.pid));
      const socket = lab.udp(lab.host);
      writeFileSync(`${processes.cgroupRoot}${home}/cgroup.procs`, String(process.pid));
      expect(of_socket.get(u32(socket.fd))).toBeNull();
      sendText(socket, "one", sockaddr([127, 0, 0, 1], 9));
      sendText(socket, "two", sockaddr([127, 0, 0, 1], 9));
      expect(number(of_socket.get(u32(socket.fd)))).toBe(2n);
      of_socket.set(u32(socket.fd), bytes(41, 8));
      expect(number(of_socket.get(u32(socket.fd)))).toBe(41n);
      expect(of_socket.delete(u32(socket.fd))).toBe(true);
    } finally {
      lab.reset();
      await processes.deleteCgroup(name);
    }
  });

  row("inode and cgroup storage, by descriptor", async () => {
    const collection = load("use_inode_and_cgroup");
    const file = openSync(fileURLToPath(import.meta.url), "r");
    const processes = openProcesses();
    const name = testName("store");
    const cgroup = processes.createCgroup(name);
    const folder = openSync(cgroup.path, "r");
    try {
      for (const [map, fd] of [
        ["of_inode", file],
        ["of_cgroup", folder],
      ] as const) {
        const storage = collection.maps[map]!;
        expect(storage.get(u32(fd))).toBeNull();
        storage.set(u32(fd), bytes(9, 8));
        expect(number(storage.get(u32(fd)))).toBe(9n);
        expect(storage.delete(u32(fd))).toBe(true);
      }
    } finally {
      closeSync(file);
      closeSync(folder);
      lab.reset();
      await processes.deleteCgroup(name);
    }
  });

  row("maps pinned by name are found again, and refused when they differ", () => {
    const folder = testFolder("maps");
    const { mountPoint } = lab.bpf.preparePins(`${folder}/pins`);
    try {
      const options = { programs: [], pins: `${folder}/pins` };
      const first = lab.bpf.load(testObject("maps"), options);
      first.maps["kept"]!.set(u32(3), bytes(33, 8));
      first.close();
      expect(lab.bpf.pins(`${folder}/pins`)).toEqual(["kept"]);
      const second = lab.keep(lab.bpf.load(testObject("maps"), options));
      expect(number(second.maps["kept"]!.get(u32(3)))).toBe(33n);
      const differs = () => lab.bpf.load(testObject("maps"), { ...options, maxEntries: { kept: 9 } });
      expect(differs).toThrow("map kept does not fit its spec: size 8 instead of 9");
    } finally {
      lab.reset();
      lab.bpf.removePins(`${folder}/pins`);
      if (mountPoint) unmountPins(mountPoint);
      rmSync(folder, { recursive: true });
    }
  });

  row("a hash of a million entries", () => {
    const map = lab.keep(createMap(mapSpec("million", "hash", { maxEntries: 1_000_000, flags: mapFlags.no_prealloc })));
    map.setAll(Array.from({ length: 20_000 }, (_, at) => [u32(at), bytes(at, 8)] as const));
    expect(number(map.get(u32(19_999)))).toBe(19_999n);
    expect([...map.keys()].length).toBe(20_000);
    expect(memoryOf(map.fd)).toBeGreaterThan(0);
  });

  row("runs and their time are counted while it is asked for", () => {
    const collection = load("use");
    const program = collection.programs["use"]!;
    const counting = lab.keep(enableStatistics());
    program.test({ data: packet, repeat: 1000 });
    const counted = program.refresh();
    expect(counted.runCount).toBeGreaterThanOrEqual(1000n);
    expect(counted.runTime).toBeGreaterThan(0n);
    counting.close();
  });

  refusedRow("a BPF token in the initial user namespace", "SyscallError", () => {
    const folder = testFolder("token");
    const { mountPoint } = lab.bpf.preparePins(folder);
    try {
      lab.keep(lab.bpf.createToken(folder));
    } finally {
      if (mountPoint) unmountPins(mountPoint);
      rmSync(folder, { recursive: true });
    }
  });

  row("a BPF token delegated to a user namespace", async () => {
    const script = fileURLToPath(new URL("token.ts", import.meta.url));
    const node = [process.execPath, "--conditions=skep-source", "--import", "tsx", script];
    const child = spawn("unshare", ["--user", "--map-root-user", "--mount", ...node], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
    const opened = await next();
    // What may be done in the namespace is delegated from outside, on the file system that it opened.
    const process_ = lab.keep(processDescriptor(opened["pid"] as number));
    const context = new FileSystemContext("bpf", takeDescriptor(process_, opened["fd"] as number, "filesystem"));
    for (const what of ["cmds", "maps", "progs", "attachs"]) context.set(`delegate_${what}`, "any");
    context.create();
    context.close();
    child.stdin!.end("go\n");
    const result = await next();
    await new Promise((resolve) => child.on("exit", resolve));
    expect(result).toEqual({ without: "MissingCapabilityError", map: "hash", value: 5, returned: 2 });
    return "works; without the token: MissingCapabilityError";
  });
});
