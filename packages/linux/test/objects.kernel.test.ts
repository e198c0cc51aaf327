/**
 * Objects of clang and GCC, one for each thing that a compiler and a loader agree on: each is loaded, run, and what it did is read.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { linkObjects, readObject, type ObjectSpec } from "@skep/object";
import { possibleCpus } from "../src/bpf/cpus.ts";
import {
  readIterator,
  type LinuxCollection,
  type LinuxLoadOptions,
  type LinuxMap,
  type LinuxProgram,
} from "../src/bpf/index.ts";
import { kernelConfig } from "../src/bpf/kernel-config.ts";
import { kernelVersion } from "../src/bpf/kernel-version.ts";
import { missingFeatures } from "../src/bpf/old-kernels.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { openDescriptors } from "../src/sys/index.ts";
import { Lab, printTable, refusedRow, row, u32 } from "./lab.ts";

const enabled = canUseBpf();
printTable("Objects of clang and GCC");

function readFrom(path: string): ObjectSpec {
  return readObject(readFileSync(fileURLToPath(new URL(path, import.meta.url))));
}

const objectOf = (name: string) => readFrom(`../testdata/objects/${name}.o`);
const gccObject = (name: string) => readFrom(`../../object/testdata/gcc-${name}.o`);

const packet = new Uint8Array(64).fill(0x5a);
const zero = u32(0);

function littleEndian(value: Uint8Array): bigint {
  return value.reduceRight((whole, byte) => (whole << 8n) | BigInt(byte), 0n);
}

describe.skipIf(!enabled)("objects", () => {
  let lab: Lab;

  beforeAll(() => {
    lab = new Lab("objects");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  /** A loaded object with its programs and what its variables hold. */
  function load(spec: ObjectSpec, options: LinuxLoadOptions = {}) {
    const collection = lab.keep(lab.bpf.load(spec, options));
    const bytesOf = (name: string): Uint8Array => {
      for (const { name: map, data } of Object.values(spec.maps)) {
        const variable = data?.variables.find((each) => each.name === name);
        const value = variable && collection.maps[map]?.get(zero);
        if (variable && value) return value.slice(variable.offset, variable.offset + variable.size);
      }
      throw new RangeError(`no variable ${name}`);
    };
    return {
      collection,
      program: (name: string): LinuxProgram => present(collection.programs[name]),
      map: (name: string): LinuxMap => present(collection.maps[name]),
      /** Signed, little endian. */
      number: (name: string): number => {
        const bytes = bytesOf(name);
        return Number(BigInt.asIntN(bytes.length * 8, littleEndian(bytes)));
      },
      text: (name: string): string => new TextDecoder().decode(bytesOf(name)).replace(/\0.*$/s, ""),
      bytesOf,
    };
  }

  function present<T>(value: T | undefined): T {
    if (value === undefined) throw new Error("it is not there");
    return value;
  }

  /** Runs a program that takes nothing. */
  function run(program: LinuxProgram): number {
    return program.test({ context: new Uint8Array(program.info.type === "syscall" ? 8 : 0) }).returned | 0;
  }

  row("CO-RE: fields, sizes, types, enums and bit fields of the running kernel", () => {
    const object = load(objectOf("core"));
    run(object.program("read_types"));
    expect(object.number("tgid")).toBe(process.pid);
    expect(object.number("leader")).toBe(process.pid);
    expect(object.text("comm")).toBe(readFileSync("/proc/thread-self/comm", "utf8").trim());
    const read = (names: string) => names.split(" ").map((name) => object.number(name));
    expect(read("has_state has_comm comm_size struct_size")).toEqual([0, 1, 16, 16]);
    expect(read("type_exists type_missing value_exists value_missing value executing")).toEqual([1, 0, 1, 0, 1, 0]);
  });

  row("global data: configured, changed, in sections of its own, hidden", () => {
    const object = load(objectOf("globals"), {
      config: { factor: 21, name: new TextEncoder().encode("bees\0\0\0\0") },
    });
    expect(run(object.program("compute"))).toBe(1);
    expect(run(object.program("compute"))).toBe(2);
    expect(object.number("counter")).toBe(40 + 2 * 21);
    expect(object.number("in_own_bss")).toBe(7 + 11 + 13);
    expect(object.number("total")).toBe(15 + "b".charCodeAt(0) + 82);
    expect(object.map(".rodata").info.flags & 0x80).toBe(0x80);
    expect(() => object.map(".rodata").set(zero, new Uint8Array(object.map(".rodata").info.valueSize))).toThrow(
      "EPERM",
    );
  });

  row("ring buffer: reserved, copied, discarded, of a length known at run time", () => {
    const object = load(objectOf("ring"));
    expect(run(object.program("emit"))).toBe(0);
    const records: Uint8Array[] = [];
    const reader = lab.keep(object.map("ring").readRing((record) => void records.push(record.slice())));
    expect(reader.drain()).toBe(3);
    const text = (record: Uint8Array | undefined, at: number) =>
      new TextDecoder().decode(record?.subarray(at)).replace(/\0.*$/s, "");
    expect(records.map((record) => [record.length, record[0]]).slice(0, 2)).toEqual([
      [16, 1],
      [16, 2],
    ]);
    expect([text(records[0], 8), text(records[1], 8), text(records[2], 0)]).toEqual(["inplace", "copied", "dyn"]);
  });

  row("user ring buffer: drained by a callback", () => {
    const object = load(objectOf("user-ring"));
    const writer = lab.keep(object.map("orders").writeRing());
    for (const value of [40n, 2n, -100n]) writer.write(new Uint8Array(new BigInt64Array([value]).buffer));
    run(object.program("drain"));
    expect([object.number("drained"), object.number("sum")]).toEqual([3, -58]);
  });

  row("subprograms: static, global, hidden, weak, in sections of their own, with tags", () => {
    const object = load(objectOf("subprograms"));
    expect(run(object.program("first"))).toBe(23 + 11 + 20);
    expect(run(object.program("second"))).toBe(42);
  });

  row("tail calls through an array that the object fills, from a subprogram", () => {
    const object = load(objectOf("tail-calls"));
    expect(object.program("entry").test({ data: packet }).returned).toBe(107);
    expect(object.number("trace")).toBe(123);
  });

  row("struct_ops: with a link, without, made when asked for, with a member that no kernel has", () => {
    const available = () => readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "utf8").split(/\s+/);
    const spec = objectOf("struct-ops");
    const object = load(spec);
    expect(Object.keys(object.collection.programs).sort()).toEqual(["cong_avoid", "ssthresh", "undo_cwnd"]);
    expect(object.collection.maps).not.toHaveProperty("lazy");
    expect(available()).not.toContain("skep_linked");
    for (const [map, name] of Object.entries({ linked: "skep_linked", plain: "skep_plain" })) {
      const link = lab.bpf.attachStructOps(object.map(map));
      expect(available()).toContain(name);
      link.close();
      expect(available()).not.toContain(name);
    }
    // The map has its value already.
    const again = lab.bpf.attachStructOps(object.map("linked"));
    expect(available()).toContain("skep_linked");
    again.close();
    const lazy = load(spec, { programs: ["lazy_ssthresh", "ssthresh", "undo_cwnd", "cong_avoid"] });
    lab.keep(lab.bpf.attachStructOps(lazy.map("lazy")));
    expect(available()).toContain("skep_lazy");
  });

  row("maps of maps that the object fills, with inner maps of several sizes", () => {
    const object = load(objectOf("inner-maps"));
    expect(run(object.program("fill"))).toBe(3);
    expect(littleEndian(present(object.map("small").get(zero) ?? undefined))).toBe(0n);
    expect(littleEndian(present(object.map("large").get(u32(8)) ?? undefined))).toBe(208n);
    expect(littleEndian(present(object.map("counted").get(u32(5)) ?? undefined))).toBe(55n);
  });

  row("the kernel's configuration and version", () => {
    const object = load(objectOf("kconfig"));
    run(object.program("read_config"));
    const config = kernelConfig();
    expect(object.number("version")).toBe(kernelVersion());
    expect(object.number("hz")).toBe(Number(config.get("CONFIG_HZ")));
    expect([object.number("has_bpf"), object.number("inet"), object.number("missing")]).toEqual([1, 1, 0]);
    expect(object.number("jit")).toBe(config.get("CONFIG_BPF_JIT")?.charCodeAt(0));
    expect(`"${object.text("hostname")}"`).toBe(config.get("CONFIG_DEFAULT_HOSTNAME"));
  });

  row("the kernel's symbols: by address, functions, flavours, ones that are not there", () => {
    const object = load(objectOf("ksyms"), { config: { wanted_pid: process.pid } });
    expect(run(object.program("look"))).toBe(0);
    expect(object.number("found_pid")).toBe(process.pid);
    const line = /^([0-9a-f]+) \w bpf_map_put$/m.exec(readFileSync("/proc/kallsyms", "utf8"));
    expect(littleEndian(object.bytesOf("address"))).toBe(BigInt(`0x${line?.[1]}`));
    const flags = ["missing_variable", "missing_symbol", "has_missing_function", "has_flavored"];
    expect(flags.map((name) => object.number(name))).toEqual([0, 0, 0, 1]);
    expect(() => load(objectOf("ksyms"), { programs: ["reaches_missing"] })).toThrow(
      /^reaches_missing: the kernel has no function skep_is_no_function \(.*ksyms.bpf.c:\d+\)$/,
    );
  });

  refusedRow("the kernel's variables with their types (CONFIG_KALLSYMS_ALL)", "VerifierError", () => {
    const object = load(objectOf("ksyms"), { programs: ["variables"] });
    expect(run(object.program("variables"))).toBe(0);
    expect([object.number("cpu"), object.number("own_cpu")]).toEqual([0, 1]);
  });

  row("a program that sleeps and reads the memory of its process", () => {
    const memory = lab.keep(load(objectOf("globals")).map(".data").mmap());
    const from = memory.address;
    const object = load(objectOf("sleepable"), { config: { from } });
    memory.write(0, new TextEncoder().encode("12345678the rest"));
    expect(run(object.program("copy"))).toBe(0);
    expect(object.number("read")).toBe(Number(littleEndian(new TextEncoder().encode("12345678"))));
    expect(object.text("text").startsWith("the rest")).toBe(true);
    expect(object.number("missing")).toBe(-14);
  });

  row("timers whose callback starts them again", async () => {
    const object = load(objectOf("timers"));
    expect(run(object.program("start"))).toBe(0);
    for (let wait = 0; wait < 4000 && object.number("fired") < 3; wait++)
      await new Promise((done) => setTimeout(done, 5));
    expect([object.number("fired"), object.number("key_seen")]).toEqual([3, 0]);
  });

  row("loops: bpf_loop, for_each_map_elem, open-coded iterators", () => {
    const object = load(objectOf("loops"), { config: { rounds: 2000 } });
    run(object.program("loop"));
    run(object.program("iterate"));
    const sum = (2000 * 1999) / 2;
    expect(["looped", "iterated", "of_elements"].map((name) => object.number(name))).toEqual([sum, sum, 300]);
  });

  row("per-CPU values: one's own, another's", () => {
    const cpus = possibleCpus();
    const object = load(objectOf("per-cpu"), { config: { other: 0 } });
    const context = { context: new Uint8Array(0) };
    for (let cpu = 0; cpu < cpus; cpu++) object.program("add").test({ ...context, cpu });
    const values = new BigUint64Array(present(object.map("slots").get(zero) ?? undefined).buffer);
    expect([...values].reduce((sum, value) => sum + value, 0n)).toBe(3n * BigInt(cpus));
    expect(object.number("from_other")).toBeGreaterThanOrEqual(0);
    expect([...present(object.map("recent").get(u32(9)) ?? undefined)].some((byte) => byte > 0)).toBe(true);
  });

  row("spin locks, and lists of objects that the program makes", () => {
    const object = load(objectOf("locks"));
    expect(object.program("use").test({ data: packet }).returned).toBe(0);
    expect([object.number("popped"), object.number("left")]).toEqual([42, 0]);
    const value = new Uint32Array(present(object.map("locked").get(zero) ?? undefined).buffer);
    expect([...value.subarray(1)]).toEqual([2, 2]);
  });

  row("exceptions, with the object's own callback and without", () => {
    const object = load(objectOf("exceptions"), { config: { limit: 70 } });
    const result = (name: string, size: number) =>
      object.program(name).test({ data: new Uint8Array(size).fill(1) }).returned;
    expect([result("with_callback", 64), result("with_callback", 80)]).toEqual([65, 1080]);
    expect([result("without_callback", 64), result("without_callback", 80)]).toEqual([66, 80]);
  });

  row("storage of a cgroup, shared and per CPU", () => {
    const object = load(objectOf("cgroup-storage"));
    const ip = packet.slice();
    ip.set([0x08, 0x00, 0x45], 12);
    expect(object.program("count").test({ data: ip, repeat: 3 }).returned).toBe(1);
    expect(object.number("seen")).toBe(3);
  });

  row("text: literals in sections of their own, formats in read-only data", () => {
    const object = load(objectOf("strings"));
    run(object.program("print"));
    expect(object.text("out")).toBe("a hive has 6 of bee");
    expect([object.number("length"), object.number("compared")]).toEqual([20, 0]);
  });

  row("dynptrs and slices of packets", () => {
    const object = load(objectOf("dynptrs"));
    const data = packet.slice();
    data.set([0x08, 0x00, 0x45], 12);
    data[63] = 99;
    const result = object.program("look").test({ data });
    expect(result.returned).toBe(0);
    expect([object.number("size"), object.number("first"), object.number("last")]).toEqual([64, 0x45, 99]);
    expect(result.data[60]).toBe(0x7f);
  });

  row("socket filter with the old instructions that load packets", () => {
    const program = load(objectOf("socket-filter")).program("keep");
    const udp = packet.slice();
    udp.set([0x08, 0x00, 0x45], 12);
    udp[23] = 17;
    const tcp = udp.slice();
    tcp[23] = 6;
    expect([udp, tcp, packet].map((data) => program.test({ data }).returned)).toEqual([42, 14, 0]);
  });

  row("programs that are loaded only when they are named", () => {
    const spec = objectOf("autoload");
    expect(Object.keys(load(spec).collection.programs)).toEqual(["always"]);
    const name = "only_when_asked_for_by_its_long_name";
    const object = load(spec, { programs: [name] });
    expect(run(object.program(name))).toBe(2);
    expect(object.program(name)).toMatchObject({ name, info: { name: name.slice(0, 15) } });
    expect(() => load(spec, { programs: ["refused_by_every_kernel"] })).toThrow(
      /refused_by_every_kernel: .*mem access/,
    );
  });

  row("instructions of CPU version 4", () => {
    const object = load(objectOf("v4"), { config: { dividend: -100, divisor: 7 } });
    run(object.program("compute"));
    expect(["quotient", "rest", "extended", "swap"].map((name) => object.number(name))).toEqual([
      -14, -2, -3, 0x44332211,
    ]);
  });

  row("two objects, linked by us", () => {
    const object = load(linkObjects([objectOf("half-a"), objectOf("half-b")]));
    expect(run(object.program("entry"))).toBe(35);
    const values = [1, 2].map((key) => littleEndian(present(object.map("shared").get(u32(key)) ?? undefined)));
    expect(values).toEqual([35n, 5n]);
    expect(() => load(objectOf("half-a"))).toThrow(/does not define/);
    expect(() => load(objectOf("half-b"))).toThrow(/another object/);
  });

  row("netfilter: verdicts on packets", () => {
    const object = load(objectOf("netfilter"));
    const verdict = (size: number) => {
      const data = new Uint8Array(size);
      data.set([0x08, 0x00, 0x45, 0x00, 0x00, size - 14], 12);
      return object.program("filter").test({ data }).returned;
    };
    expect([verdict(60), object.number("length"), verdict(80)]).toEqual([1, 60, 0]);
    expect(object.number("hook")).toBeGreaterThanOrEqual(0);
  });

  row("sk_lookup: which socket a packet gets", () => {
    const object = load(objectOf("sk-lookup"));
    // struct bpf_sk_lookup: family, protocol, addresses, local_port at 60.
    const context = (port: number) => {
      const bytes = new DataView(new ArrayBuffer(72));
      bytes.setUint32(8, 2, true);
      bytes.setUint32(12, 6, true);
      bytes.setUint32(60, port, true);
      return new Uint8Array(bytes.buffer);
    };
    const verdicts = [4321, 80].map((port) => object.program("choose").test({ context: context(port) }).returned);
    expect(verdicts).toEqual([0, 1]);
    expect([object.number("port"), object.number("passes")]).toEqual([80, 2]);
  });

  row("iterators: tasks (sleepable), elements of a map", () => {
    const object = load(objectOf("iterate"));
    const read = (name: string, target: object) =>
      new TextDecoder()
        .decode(readIterator(lab.keep(lab.bpf.attach(object.program(name), { hook: "iterator", ...target }))))
        .trim()
        .split("\n");
    expect(read("tasks", {})).toContain(`${process.pid}`);
    for (const index of [0, 1, 2]) object.map("squares").set(u32(index), u32(index * index));
    expect(read("elements", { map: object.map("squares") })).toEqual(["0=0", "1=1", "2=4"]);
  });

  for (const name of ["enters", "leaves", "changes", "guards"]) {
    refusedRow(`trampolines: ${objectOf("traced").programs[name]?.section}`, "NotSupportedError", () => {
      load(objectOf("traced"), { programs: [name] });
    });
  }

  refusedRow("freplace", "NotSupportedError", () => {
    const spec = objectOf("traced");
    const target = load(spec).program("replaced");
    load(spec, { programs: ["replaces"], targets: { replaces: target } });
  });

  row("kprobe.multi: loaded", () => {
    expect(load(objectOf("traced"), { programs: ["probes"] }).program("probes").info.type).toBe("kprobe");
  });

  row("GCC: data, functions of both linkages, maps with types", () => {
    const object = load(gccObject("globals"), { config: { factor: 10 } });
    const entry = object.program("entry");
    const g = "g".charCodeAt(0);
    expect(entry.test({ data: packet }).returned).toBe((40 + 10 + 3 + 1) * 2 + g);
    expect(entry.test({ data: packet }).returned).toBe((53 + 10 + 4 + 1) * 2 + g);
    const flow = new BigUint64Array(present(object.map("flows").get(u32(packet.length)) ?? undefined).buffer);
    expect([...flow]).toEqual([2n, BigInt(packet.length)]);
    expect([object.number("own"), object.number("zeroed"), object.map("flows").info.keyTypeId > 0]).toEqual([
      5,
      2,
      true,
    ]);
  });

  row("GCC: static functions, a ring, a program array that the object fills", () => {
    const object = load(gccObject("calls"));
    const records: Uint8Array[] = [];
    const reader = lab.keep(object.map("ring").readRing((record) => void records.push(record.slice())));
    expect(object.program("entry").test({ data: packet }).returned).toBe(77);
    expect(reader.drain()).toBe(1);
    expect([...new Int32Array(present(records[0]).buffer)]).toEqual([packet.length * 3, packet.length - 7]);
  });

  row("GCC: fields of the kernel's types", () => {
    const object = load(gccObject("core"));
    run(object.program("look"));
    expect([object.number("tgid"), object.number("leader")]).toEqual([process.pid, process.pid]);
  });

  row("GCC: without types, maps as they were before they had any", () => {
    const object = load(gccObject("plain"));
    expect(object.program("note").test({ data: packet }).returned).toBe(2);
    expect(littleEndian(present(object.map("first").get(u32(1)) ?? undefined))).toBe(BigInt(packet.length));
    expect(littleEndian(present(object.map("second").get(u32(packet.length)) ?? undefined))).toBe(1n);
  });

  row("what old kernels lack, and this one has", () => {
    expect(missingFeatures() === null).toBe(kernelVersion() >= 0x5_05_00);
  });

  row("types that the kernel refuses are left out, and said", () => {
    const spec = objectOf("socket-filter");
    const types = spec.btf?.types.map((type) =>
      type.kind === "func_proto" ? { ...type, params: type.params.map((each) => ({ ...each, name: "" })) } : type,
    );
    const collection: LinuxCollection = load({ ...spec, btf: { types: types ?? [] } }).collection;
    expect(collection.refusedTypes?.message).toMatch(/the kernel refuses the object's types: .*Invalid arg#1/);
    expect(present(collection.programs["keep"]).test({ data: packet }).returned).toBe(0);
    expect(load(spec).collection.refusedTypes).toBeNull();
  });
});
