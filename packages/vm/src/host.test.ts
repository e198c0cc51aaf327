/** What programs ask of the machine around them, and what calls them back. */
import { describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import type { FunctionSpec, MapSpec, ObjectSpec, Reference } from "@skep/object";
import type { EngineName } from "./cpu.ts";
import type { Host } from "./host.ts";
import { RingMap } from "./maps/ring.ts";
import { UserRingMap } from "./maps/user-ring.ts";
import { Vm } from "./vm.ts";

const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];

const base: MapSpec = {
  ...{ name: "m", type: "hash", keySize: 4, valueSize: 8, maxEntries: 8 },
  ...{ flags: 0, pinning: "none" },
};

/** Assembles; `map[name:x]` makes references, `func[name]` after a register the address of a callback. */
function code(name: string, text: string): FunctionSpec {
  const { instructions, diagnostics, references } = assemble(text.replace(/= &(\w+)/g, "= 0 ll"), {
    notation: "kernel",
  });
  expect(diagnostics).toEqual([]);
  const maps = references.flatMap((each): Reference[] =>
    each.kind === "map" ? [{ at: each.at, kind: "map", map: each.map }] : [],
  );
  const names = [...text.matchAll(/= &(\w+)/g)].map(([, callee = ""]) => callee);
  const wide = instructions.flatMap((insn, at) => (insn.opcode === 0x18 && insn.src === 0 ? [at] : []));
  const functions = names.map((callee, i): Reference => ({ at: wide[i] ?? -1, kind: "function", function: callee }));
  return { name, linkage: "static", instructions, references: [...maps, ...functions], lines: [], coreRelocations: [] };
}

interface Parts {
  readonly main: string;
  readonly callbacks?: Readonly<Record<string, string>>;
  readonly maps?: readonly MapSpec[];
  readonly type?: string;
}

function load(engine: EngineName, parts: Parts, host: Host = {}) {
  const type = parts.type ?? "sched_cls";
  const main = { ...code("main", parts.main), linkage: "global" as const, section: type, type, flags: 0 };
  const functions = Object.entries(parts.callbacks ?? {}).map(([name, text]) => [name, code(name, text)] as const);
  const spec: ObjectSpec = {
    ...{ license: "GPL", byteOrder: "little", programs: { main }, functions: Object.fromEntries(functions) },
    maps: Object.fromEntries((parts.maps ?? []).map((map) => [map.name, map])),
  };
  const vm = new Vm({ clock: () => 1000n, random: () => 7, engine, host });
  const object = vm.load(spec);
  const program = object.programs["main"];
  if (program === undefined) throw new Error("no program");
  return {
    vm,
    object,
    run: (more?: Host) => vm.run(program, { packet: new Uint8Array(64), ...(more ? { host: more } : {}) }),
  };
}

const key = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

describe.each(engines)("%s", (engine) => {
  test("a callback sees every element of a map", () => {
    const { object, run } = load(engine, {
      maps: [base],
      main: "*(u64 *)(r10 - 8) = 0\nr1 = map[name:m]\nr2 = &sum\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_for_each_map_elem\nr1 = *(u64 *)(r10 - 8)\nr0 <<= 32\nr0 |= r1\nexit",
      callbacks: { sum: "r1 = *(u64 *)(r3 + 0)\nr2 = *(u64 *)(r4 + 0)\nr2 += r1\n*(u64 *)(r4 + 0) = r2\nr0 = 0\nexit" },
    });
    for (const i of [1, 2, 3]) object.maps["m"]?.set(key(i), Uint8Array.of(i * 10, 0, 0, 0, 0, 0, 0, 0));
    expect(run().r0).toBe((3n << 32n) | 60n);
  });

  test("a timer fires when the machine's clock says so", () => {
    const due: { at: bigint; run: () => void }[] = [];
    const host: Host = {
      schedule: (at, run) => {
        const entry = { at, run };
        due.push(entry);
        return () => void due.splice(due.indexOf(entry), 1);
      },
    };
    const parts: Parts = {
      maps: [{ ...base, type: "array", valueSize: 24, maxEntries: 1 }],
      main: [
        ...["*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4", "r1 = map[name:m]", "call bpf_map_lookup_elem"],
        ...["if r0 == 0 goto +12", "r6 = r0", "r1 = r6", "r2 = map[name:m]", "r3 = 1", "call bpf_timer_init"],
        ...["r1 = r6", "r2 = &fire", "call bpf_timer_set_callback", "r1 = r6", "r2 = 500", "r3 = 0"],
        ...["call bpf_timer_start", "exit"],
      ].join("\n"),
      callbacks: { fire: "r1 = *(u64 *)(r3 + 16)\nr1 += 1\n*(u64 *)(r3 + 16) = r1\nr0 = 0\nexit" },
    };
    const { object, run } = load(engine, parts, host);
    expect(run().returned).toBe(0);
    expect(due.map(({ at }) => at)).toEqual([1500n]);
    due[0]?.run();
    expect(object.maps["m"]?.get(key(0))?.[16]).toBe(1);
  });

  test("a record is written through a dynptr", () => {
    const ring: MapSpec = { ...base, type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 };
    const { object, run } = load(engine, {
      maps: [ring],
      main: [
        ...["*(u64 *)(r10 - 8) = 77", "r1 = map[name:m]", "r2 = 16", "r3 = 0", "r4 = r10", "r4 += -32"],
        ...["call bpf_ringbuf_reserve_dynptr", "r6 = r0", "r1 = r10", "r1 += -32", "r2 = 8", "r3 = r10", "r3 += -8"],
        ...["r4 = 8", "r5 = 0", "call bpf_dynptr_write", "r6 |= r0", "r1 = r10", "r1 += -32", "r2 = 12", "r3 = r10"],
        ...["r3 += -8", "r4 = 8", "r5 = 0", "call bpf_dynptr_write", "r7 = r0", "r1 = r10", "r1 += -32", "r2 = 0"],
        ...["call bpf_ringbuf_submit_dynptr", "r0 = r7", "r0 |= r6", "exit"],
      ].join("\n"),
    });
    // The second write goes beyond the end: E2BIG.
    expect(BigInt.asIntN(64, run().r0)).toBe(-7n);
    const records: number[][] = [];
    const map = object.maps["m"];
    if (!(map instanceof RingMap)) throw new Error("no ring");
    map.drain((record) => records.push([...record]));
    expect(records).toEqual([[0, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0]]);
  });

  test("samples of user space are drained", () => {
    const ring: MapSpec = { ...base, type: "user_ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 };
    const { object, run } = load(engine, {
      maps: [ring],
      main: "*(u64 *)(r10 - 8) = 0\nr1 = map[name:m]\nr2 = &take\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_user_ringbuf_drain\nr1 = *(u64 *)(r10 - 8)\nr0 <<= 32\nr0 |= r1\nexit",
      callbacks: {
        take: "r6 = r2\nr2 = 0\nr3 = 4\ncall bpf_dynptr_data\nif r0 == 0 goto +6\nr0 = 0\nexit\nr0 = 0\nexit\nr0 = 0\nexit\nr1 = *(u64 *)(r6 + 0)\nr1 += 1\n*(u64 *)(r6 + 0) = r1\nr0 = 0\nexit",
      },
    });
    const map = object.maps["m"];
    if (!(map instanceof UserRingMap)) throw new Error("no ring");
    expect([map.produce(Uint8Array.of(1, 2, 3, 4)), map.produce(Uint8Array.of(5, 6, 7, 8))]).toEqual([true, true]);
    // A sample is read-only, so that bpf_dynptr_data gives null.
    expect(run().r0).toBe((2n << 32n) | 2n);
  });

  test("sockets: found, kept with a storage, released", () => {
    const storage: MapSpec = { ...base, type: "sk_storage", maxEntries: 0, flags: 1 };
    const released: string[] = [];
    const parts: Parts = {
      maps: [storage],
      main: [
        ...["r6 = r1", "*(u64 *)(r10 - 16) = 0", "*(u32 *)(r10 - 8) = 0x5000000a", "r1 = r6", "r2 = r10", "r2 += -16"],
        ...["r3 = 12", "r4 = -1", "r5 = 0", "call bpf_sk_lookup_tcp", "if r0 == 0 goto +16", "r7 = r0"],
        ...["r1 = map[name:m]", "r2 = r7", "r3 = 0", "r4 = 1", "call bpf_sk_storage_get", "r1 = *(u64 *)(r0 + 0)"],
        ...["r1 += 1", "*(u64 *)(r0 + 0) = r1", "r8 = r1", "r9 = *(u32 *)(r7 + 4)", "r1 = r7", "call bpf_sk_release"],
        ...["r0 = r8", "r9 <<= 8", "r0 |= r9", "exit"],
      ].join("\n"),
    };
    const host: { -readonly [K in keyof Host]: Host[K] } = {};
    const { vm, object, run } = load(engine, parts, host);
    const socket = vm.createObject("bpf_sock", Uint8Array.of(0, 0, 0, 0, 2, 0, 0, 0));
    host.findSocket = (query) => (query.protocol === "tcp" && query.source.length === 4 ? socket : null);
    host.releaseSocket = (each) => released.push(each.kind);
    expect([run().returned, run().returned]).toEqual([0x201, 0x202]);
    expect(released).toEqual(["bpf_sock", "bpf_sock"]);
    socket.close();
    expect((object.maps["m"] as unknown as { size: number }).size).toBe(0);
  });

  test("a route, and what differs for one run", () => {
    const parts: Parts = {
      main: [
        ...["r6 = r1", ...[64, 56, 48, 40, 32, 24, 16, 8].map((at) => `*(u64 *)(r10 - ${at}) = 0`)],
        ...["*(u8 *)(r10 - 64) = 2", "*(u32 *)(r10 - 32) = 0x0200000a", "r1 = r6", "r2 = r10", "r2 += -64", "r3 = 64"],
        ...["r4 = 0", "call bpf_fib_lookup", "r1 = *(u32 *)(r10 - 56)", "r0 <<= 8", "r0 |= r1", "exit"],
      ].join("\n"),
    };
    const { run } = load(engine, parts, { fibLookup: () => ({ result: 2 }) });
    expect(run().returned).toBe(2 << 8);
    const asked: number[][] = [];
    const over: Host = {
      fibLookup: ({ destination }) => {
        asked.push([...destination]);
        return { result: 0, interfaceIndex: 9 };
      },
    };
    expect(run(over).returned).toBe(9);
    expect(asked).toEqual([[10, 0, 0, 2]]);
    expect(run().returned).toBe(2 << 8);
  });

  test("text is made from values and printed", () => {
    const lines: string[] = [];
    const { run } = load(
      engine,
      {
        main: [
          // "%d %x\0"
          ...["*(u64 *)(r10 - 8) = 0", "*(u32 *)(r10 - 8) = 0x25206425", "*(u8 *)(r10 - 4) = 120"],
          ...["r1 = r10", "r1 += -8", "r2 = 8", "r3 = -5", "r4 = 255", "r5 = 0", "call bpf_trace_printk", "exit"],
        ].join("\n"),
      },
      { print: (text) => void lines.push(text) },
    );
    expect(run()).toMatchObject({ returned: 5, prints: ["-5 ff"] });
    expect(lines).toEqual(["-5 ff"]);
  });
});
