import { describe, expect, test } from "vitest";
import { alu64, assemble, ldx, mem, mov64, exit, r0, r1 } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { MapSpec, ObjectSpec, ProgramSpec, Reference } from "@skep/object";
import type { EngineName } from "./cpu.ts";
import { UnsupportedError, VmError } from "./error.ts";
import { ArenaMap } from "./maps/other.ts";
import { RingMap } from "./maps/ring.ts";
import { QueueMap } from "./maps/queue.ts";
import { compareUnverified } from "../test/unverified.ts";
import { Vm } from "./vm.ts";
import type { VmOptions } from "./vm.ts";

function mapSpec(name: string, type: string, rest: Partial<MapSpec> = {}): MapSpec {
  return { name, type, keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, pinning: "none", ...rest };
}

/** Assembles in the kernel's notation; `map[name:x]` makes references. */
function program(name: string, text: string, type = "xdp"): ProgramSpec {
  const { instructions, diagnostics, references } = assemble(text);
  expect(diagnostics).toEqual([]);
  const found: Reference[] = references.map((each) => {
    if (each.kind !== "map") throw new Error(`unexpected reference ${each.kind}`);
    return { at: each.at, kind: "map", map: each.map };
  });
  return {
    name,
    section: type,
    type,
    flags: 0,
    linkage: "global",
    instructions,
    references: found,
    lines: [{ at: 0, file: "small.bpf.ts", line: 3, column: 1, text: "first" }],
    coreRelocations: [],
  };
}

const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];
/** Those that hold every access against its object. */
const checking: readonly EngineName[] = ["interpreter", "checked"];

function load(programs: readonly ProgramSpec[], maps: readonly MapSpec[] = [], options: Partial<VmOptions> = {}) {
  const vm = new Vm({ clock: () => 1234n, random: () => 99, ...options });
  const spec: ObjectSpec = {
    license: "GPL",
    byteOrder: "little",
    maps: Object.fromEntries(maps.map((map) => [map.name, map])),
    programs: Object.fromEntries(programs.map((each) => [each.name, each])),
    functions: {},
  };
  const object = vm.load(spec);
  const run = (packet = new Uint8Array(64), name = programs[0]?.name ?? "") => {
    const found = object.programs[name];
    if (found === undefined) throw new Error(`no program ${name}`);
    return vm.run(found, { packet });
  };
  return { vm, object, run };
}

function trap(
  text: string,
  options: Partial<VmOptions> = {},
): { kind: string; index: number; line: number | undefined } {
  try {
    load([program("p", text)], [], options).run();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    return { kind: error.kind, index: error.index, line: error.source?.line };
  }
  throw new Error("nothing was trapped");
}

const key = (index: number) => new Uint8Array(Uint32Array.of(index).buffer);

describe.each(checking)("what no verified program does is trapped, %s", (engine) => {
  test.each([
    ["a null pointer", "r1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit", "memory", 1],
    ["behind the packet", "r2 = *(u32 *)(r1 + 4)\nr0 = *(u8 *)(r2 + 0)\nexit", "memory", 1],
    ["across the packet's end", "r2 = *(u32 *)(r1 + 4)\nr0 = *(u16 *)(r2 - 1)\nexit", "memory", 1],
    ["before the packet", "r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 - 1)\nexit", "memory", 1],
    ["above the frame", "r0 = *(u64 *)(r10 + 0)\nexit", "memory", 0],
    ["below the frame", "*(u64 *)(r10 - 520) = r1\nr0 = 0\nexit", "memory", 0],
    ["a write to an xdp context", "*(u32 *)(r1 + 0) = r1\nr0 = 0\nexit", "memory", 0],
    ["a high address", "r1 <<= 32\nr0 = *(u8 *)(r1 + 0)\nexit", "memory", 1],
    ["no helper", "call 9999\nexit", "helper", 0],
    ["the program's end", "r0 = 0", "jump", 1],
  ])("%s", (_name, text, kind, index) => {
    expect(trap(text, { engine })).toEqual({ kind, index, line: 3 });
  });

  test("a loop without an end", () => {
    expect(trap("r0 = 0\ngoto -1", { budget: 1000, engine }).kind).toBe("budget");
  });

  test("a ninth frame", () => {
    const { vm } = load([], [], { engine });
    const spec = program("p", "r0 = 0\nexit");
    const recursion: Instruction[] = [{ opcode: 0x85, dst: 0, src: 1, offset: 0, imm: -1 }, exit()];
    const object = vm.load({
      license: "GPL",
      byteOrder: "little",
      maps: {},
      programs: { p: { ...spec, instructions: recursion, references: [{ at: 0, kind: "call", function: "p" }] } },
      functions: {},
    });
    const found = object.programs["p"];
    if (found === undefined) throw new Error("no program");
    expect(() => vm.run(found, {})).toThrow(expect.objectContaining({ kind: "call-depth" }));
  });

  test("from one value of a map into the next", () => {
    const text = [
      "*(u32 *)(r10 - 4) = 1",
      "r2 = r10",
      "r2 += -4",
      "r1 = map[name:values]",
      "call bpf_map_lookup_elem",
      "r1 = *(u64 *)(r0 + 0)",
      "r0 = *(u64 *)(r0 + 4)",
      "exit",
    ].join("\n");
    const { run } = load([program("p", text)], [mapSpec("values", "array")], { engine });
    expect(() => run()).toThrow(expect.objectContaining({ kind: "memory", index: 6 }));
  });
});

describe("what the compiler knows of a program that nobody has verified", () => {
  const look = (index: number) => [
    ...[`*(u32 *)(r10 - 4) = ${index}`, "r2 = r10", "r2 += -4", "r1 = map[name:values]", "call bpf_map_lookup_elem"],
  ];
  // The last value: nothing is behind it.
  const VALUE = look(3);
  const PACKET = ["r6 = *(u32 *)(r1 + 0)", "r9 = *(u8 *)(r6 + 0)"];
  const SPILLED = ["*(u64 *)(r10 - 16) = r0", "r3 = r10", "r3 += -16"];
  const RELOADED = ["r1 = *(u64 *)(r10 - 16)", "r0 = *(u64 *)(r1 + 0)", "exit"];
  const LOOP = ["r8 = r0", "r8 += r7", "r1 = *(u8 *)(r8 + 0)", "r7 += 1", "if r7 < 9 goto -5", "exit"];
  test.each<[string, string, ...string[][]]>([
    ["a value that may be null", "r0 = *(u64 *)(r0 + 0)", look(9), ["r0 = *(u64 *)(r0 + 0)", "exit"]],
    ["null", "r0 = *(u64 *)(r0 + 0)", look(9), ["if r0 != 0 goto +1", "r0 = *(u64 *)(r0 + 0)", "exit"]],
    [
      "an index beyond a value",
      "r0 = *(u64 *)(r0 + 1)",
      PACKET,
      VALUE,
      ["if r0 == 0 goto +3", "r9 &= 8", "r0 += r9", "r0 = *(u64 *)(r0 + 1)", "exit"],
    ],
    ["a round too many", "r1 = *(u8 *)(r8 + 0)", VALUE, ["if r0 == 0 goto +6", "r7 = 0"], LOOP],
    [
      "a pointer overwritten through one that is not known",
      "r0 = *(u64 *)(r1 + 0)",
      PACKET,
      VALUE,
      ["if r0 == 0 goto +8"],
      SPILLED,
      ["r3 += r9", "*(u64 *)(r3 - 200) = 9"],
      RELOADED,
    ],
    [
      "a pointer overwritten through one to the packet",
      "r0 = *(u64 *)(r1 + 0)",
      PACKET,
      VALUE,
      ["if r0 == 0 goto +9"],
      SPILLED,
      ["r3 -= r6", "r6 += r3", "*(u64 *)(r6 + 0) = 9"],
      RELOADED,
    ],
    [
      "half of a pointer overwritten",
      "r0 = *(u64 *)(r1 + 0)",
      VALUE,
      ["if r0 == 0 goto +7"],
      SPILLED,
      ["*(u32 *)(r10 - 12) = 9"],
      RELOADED,
    ],
    [
      "a pointer overwritten by a helper",
      "r0 = *(u64 *)(r1 + 0)",
      VALUE,
      ["if r0 == 0 goto +10", "*(u64 *)(r10 - 16) = r0"],
      [
        "r1 = r10",
        "r1 += -16",
        "r2 = 8",
        "r3 = r10",
        "r3 += -64",
        "*(u64 *)(r10 - 64) = 9",
        "call bpf_probe_read_kernel",
      ],
      RELOADED,
    ],
  ])("%s is trapped as in the interpreter", (_name, at, ...texts) => {
    const lines = texts.flat();
    const packet = new Uint8Array(64).fill(200);
    for (const engine of checking) {
      const { run } = load([program("p", lines.join("\n"))], [mapSpec("values", "array")], { engine });
      expect(() => run(packet)).toThrow(expect.objectContaining({ kind: "memory", index: lines.lastIndexOf(at) }));
    }
  });

  test("programs of a generator, most of them damaged, end in the same way", { timeout: 60_000 }, () => {
    const { runs, stopped, differences } = compareUnverified({ seed: 4, programs: 60 });
    expect(differences).toEqual([]);
    expect(stopped).toBeGreaterThan(10);
    expect(runs - stopped).toBeGreaterThan(10);
  });
});

describe("maps", () => {
  test("LRU evicts what was not looked up", () => {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const map = vm.createMap(mapSpec("lru", "lru_hash", { maxEntries: 3 }));
    for (const i of [1, 2, 3]) map.set(key(i), new Uint8Array(8).fill(i));
    expect(map.lookup(key(1))).not.toBe(0);
    map.set(key(4), new Uint8Array(8));
    expect([1, 2, 3, 4].map((i) => map.get(key(i)) !== null)).toEqual([true, false, true, true]);
  });

  test("an update leaves the old element to those who hold its address", () => {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const map = vm.createMap(mapSpec("hash", "hash"));
    map.set(key(1), new Uint8Array(8).fill(1));
    const held = map.lookup(key(1));
    map.set(key(1), new Uint8Array(8).fill(2));
    expect(vm.memory.bytes[held]).toBe(1);
    expect(map.get(key(1))?.[0]).toBe(2);
  });

  test("pages of an arena", () => {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const arena = vm.createMap(mapSpec("arena", "arena", { keySize: 0, valueSize: 0, maxEntries: 4, flags: 1 << 10 }));
    if (!(arena instanceof ArenaMap)) throw new Error("no arena");
    const { base } = arena;
    expect(arena.reserve(base + 4096, 2)).toBe(0);
    expect(arena.reserve(base + 8192, 1)).toBe(-16);
    expect(arena.reserve(base + 3 * 4096, 2)).toBe(-22);
    expect(arena.allocate(0, 2)).toBe(0);
    expect(arena.allocate(base + 4096, 1)).toBe(0);
    expect([arena.allocate(0, 1), arena.allocate(0, 1), arena.allocate(0, 1)]).toEqual([base, base + 3 * 4096, 0]);
    vm.memory.bytes[base] = 7;
    expect(arena.view()[0]).toBe(7);
    arena.view()[1] = 9;
    expect(vm.memory.bytes[base + 1]).toBe(9);
    arena.free(base, 2);
    expect(arena.view()[0]).toBe(0);
    expect(arena.allocate(0, 2)).toBe(base);
  });

  test("queue and stack", () => {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    for (const [type, order] of [
      ["queue", [1, 2, 3]],
      ["stack", [3, 2, 1]],
    ] as const) {
      const map = vm.createMap(mapSpec(type, type, { keySize: 0, valueSize: 1, maxEntries: 3 }));
      if (!(map instanceof QueueMap)) throw new Error("no queue");
      for (const i of [1, 2, 3]) map.set(new Uint8Array(0), Uint8Array.of(i));
      expect(() => map.set(new Uint8Array(0), Uint8Array.of(4))).toThrow(expect.objectContaining({ code: "E2BIG" }));
      expect([map.take()?.[0], map.take()?.[0], map.take()?.[0], map.take()]).toEqual([...order, null]);
    }
  });

  test("a ring is full until it is read, and records are contiguous at its end", () => {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const ring = vm.createMap(mapSpec("ring", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 }));
    if (!(ring instanceof RingMap)) throw new Error("no ring");
    const read = (): number[] => {
      const first: number[] = [];
      ring.drain((record) => first.push(record[0] ?? -1));
      return first;
    };
    for (let round = 0; round < 5; round++) {
      expect(ring.output(new Uint8Array(1500).fill(round), 0n)).toBe(0);
      expect(ring.output(new Uint8Array(1500).fill(round + 100), 0n)).toBe(0);
      expect(ring.output(new Uint8Array(1500), 0n)).toBe(-11);
      expect(read()).toEqual([round, round + 100]);
    }
    const busy = ring.reserve(16, 0n);
    expect(ring.output(Uint8Array.of(7), 0n)).toBe(0);
    expect(read()).toEqual([]);
    expect(ring.finish(busy, true)).toBe(true);
    expect(read()).toEqual([7]);
  });
});

describe.each(engines)("helpers, %s", (engine) => {
  test("a tail call 33 times, then goes on", () => {
    const text = [
      "r6 = r1",
      "*(u32 *)(r10 - 4) = 0",
      "r2 = r10",
      "r2 += -4",
      "r1 = map[name:counter]",
      "call bpf_map_lookup_elem",
      "r1 = *(u64 *)(r0 + 0)",
      "r1 += 1",
      "*(u64 *)(r0 + 0) = r1",
      "r1 = r6",
      "r2 = map[name:programs]",
      "r3 = 0",
      "call bpf_tail_call",
      "r0 = 2",
      "exit",
    ].join("\n");
    const { run, object } = load(
      [program("p", text)],
      [
        mapSpec("counter", "array"),
        mapSpec("programs", "prog_array", { valueSize: 4, values: [{ index: 0, name: "p" }] }),
      ],
      { engine },
    );
    expect(run().returned).toBe(2);
    expect(object.maps["counter"]?.get(key(0))?.[0]).toBe(34);
  });

  test("xdp_adjust_head makes room, and old pointers end at the new start", () => {
    const text = "r6 = r1\nr2 = -4\ncall bpf_xdp_adjust_head\nr1 = *(u32 *)(r6 + 0)\n*(u32 *)(r1 + 0) = 7\nexit";
    const result = load([program("p", text)], [], { engine }).run(new Uint8Array(60).fill(9));
    expect(result.returned).toBe(0);
    expect([...result.packet.subarray(0, 6)]).toEqual([7, 0, 0, 0, 9, 9]);
    expect(result.packet.length).toBe(64);
  });

  test("clock and chance come from outside", () => {
    const text = "call bpf_ktime_get_ns\nr6 = r0\ncall bpf_get_prandom_u32\nr0 += r6\nexit";
    expect(load([program("p", text)], [], { engine }).run().returned).toBe(1234 + 99);
  });

  test("bpf_loop calls back until it is told to stop", () => {
    const { vm } = load([], [], { engine });
    const main = assemble(
      "r1 = 10\nr2 = 0 ll\nr3 = r10\nr3 += -8\n*(u64 *)(r3 + 0) = 0\nr4 = 0\ncall bpf_loop\nr1 = *(u64 *)(r10 - 8)\nr0 <<= 8\nr0 |= r1\nexit",
      { notation: "llvm" },
    );
    expect(main.diagnostics).toEqual([]);
    const callback = assemble(
      "r3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nif r1 < 4 goto +1\nr0 = 1\nexit",
    );
    const at = main.instructions.findIndex((insn) => insn.opcode === 0x18);
    const base = program("p", "r0 = 0\nexit");
    const object = vm.load({
      license: "GPL",
      byteOrder: "little",
      maps: {},
      programs: {
        p: { ...base, instructions: main.instructions, references: [{ at, kind: "function", function: "add" }] },
      },
      functions: { add: { ...base, name: "add", linkage: "static", instructions: callback.instructions } },
    });
    const found = object.programs["p"];
    if (found === undefined) throw new Error("no program");
    // Five rounds: 0 + 1 + 2 + 3 + 4.
    expect(vm.run(found, {}).r0).toBe((5n << 8n) | 10n);
  });

  test("an operand of the context is the packet's length", () => {
    const base = program("p", "r0 = 0\nexit", "sched_cls");
    const instructions = [ldx("u32", r0, mem(r1, 0)), alu64("add", r0, 1), mov64(r1, 0), exit()];
    expect(load([{ ...base, instructions }], [], { engine }).run(new Uint8Array(77)).returned).toBe(78);
  });

  test("lookups of every kind find what user space put there", () => {
    const kinds = [
      mapSpec("plain", "array"),
      mapSpec("each_cpu", "percpu_array"),
      mapSpec("table", "hash", { keySize: 7, valueSize: 8 }),
      mapSpec("each_cpu_table", "percpu_hash", { keySize: 24 }),
      mapSpec("recent", "lru_hash", { keySize: 4 }),
      mapSpec("prefixes", "lpm_trie", { keySize: 20, flags: 1 }),
    ];
    for (const spec of kinds) {
      const lines = Array.from({ length: 6 }, (_, i) => `*(u32 *)(r10 - ${24 - i * 4}) = ${i === 0 ? 3 : 0}`);
      const text = [
        ...lines,
        "r2 = r10",
        "r2 += -24",
        `r1 = map[name:${spec.name}]`,
        "call bpf_map_lookup_elem",
        "if r0 == 0 goto +1",
        "r0 = *(u64 *)(r0 + 0)",
        "exit",
      ].join("\n");
      const { run, object } = load([program("p", text)], [spec], { engine, cpus: 2, cpu: 1 });
      const map = object.maps[spec.name];
      if (map === undefined) throw new Error("no map");
      const wanted = new Uint8Array(spec.keySize);
      wanted[0] = 3;
      const before = run().returned;
      const value = new Uint8Array(map.userValueSize).fill(5);
      map.set(wanted, value);
      expect({ kind: spec.type, before, after: run().r0 }).toEqual({
        kind: spec.type,
        before: 0,
        after: 0x0505_0505_0505_0505n,
      });
    }
  });

  test("a map of maps leads to the inner map's value", () => {
    const text = [
      "*(u32 *)(r10 - 4) = 0",
      "r2 = r10",
      "r2 += -4",
      "r1 = map[name:outer]",
      "call bpf_map_lookup_elem",
      "if r0 == 0 goto +6",
      "r1 = r0",
      "r2 = r10",
      "r2 += -4",
      "call bpf_map_lookup_elem",
      "if r0 == 0 goto +1",
      "r0 = *(u64 *)(r0 + 0)",
      "exit",
    ].join("\n");
    const inner = mapSpec("inner", "hash");
    const { run, object, vm } = load(
      [program("p", text)],
      [mapSpec("outer", "array_of_maps", { valueSize: 4, inner })],
      { engine },
    );
    expect(run().r0).toBe(0n);
    const outer = object.maps["outer"];
    if (outer === undefined) throw new Error("no map");
    for (const value of [7, 9]) {
      const made = vm.createMap(inner);
      made.set(key(0), new Uint8Array(8).fill(value));
      vm.setMap(outer, key(0), made);
      expect(run().r0 & 0xffn).toBe(BigInt(value));
    }
  });

  test("a helper that is not here is named when the program is loaded", () => {
    const wanted = (error: unknown) => error instanceof UnsupportedError && error.missing === "bpf_get_task_stack";
    let caught: unknown = null;
    try {
      load([program("p", "call bpf_get_task_stack\nexit")], [], { engine });
    } catch (error) {
      caught = error;
    }
    expect(wanted(caught)).toBe(true);
  });

  test("a loop whose two entries make it irreducible", () => {
    // Enters the loop in its middle or at its head, by the packet's length.
    const text = [
      "r0 = 0",
      "r3 = *(u32 *)(r1 + 4)",
      "r2 = *(u32 *)(r1 + 0)",
      "r3 -= r2",
      "r4 = 5",
      "if r3 > 64 goto +2",
      "r0 += 1",
      "r4 -= 1",
      "r0 += 16",
      "if r4 > 0 goto -4",
      "exit",
    ].join("\n");
    const { run } = load([program("p", text)], [], { engine });
    expect(run(new Uint8Array(64)).returned).toBe(5 * 17);
    expect(run(new Uint8Array(65)).returned).toBe(5 * 17 + 16);
  });
});

describe("loads through pointers to kernel objects", () => {
  const walk = `
    r6 = *(u64 *)(r1 + 0)
    r7 = *(u64 *)(r6 + 8)
    r0 = *(u32 *)(r6 + 0)
    r2 = *(u64 *)(r7 + 16)
    r0 += r2
    r3 = 0x1234567890abcdef ll
    r4 = *(s16 *)(r3 + 0)
    r0 += r4
    r5 = *(s8 *)(r6 + 4)
    r0 += r5
    *(u64 *)(r10 - 8) = r0
    r0 = *(u64 *)(r10 - 8)
    exit`;

  test.each(engines)(
    "%s: a bad pointer gives 0 where a program walks the kernel, as the kernel's loads do",
    (engine) => {
      for (const type of ["tracing", "lsm"]) {
        const { vm, object } = load([program("walk", walk, type)], [], { engine });
        const bytes = new Uint8Array(16);
        bytes.set([42, 0, 0, 0, 0xfe]);
        // Its second member points nowhere.
        new DataView(bytes.buffer).setBigUint64(8, 0xffff_8880_0000_1000n, true);
        const kernel = vm.createObject("task_struct", bytes);
        const context = new Uint8Array(BigUint64Array.of(BigInt(kernel.address)).buffer);
        expect(vm.run(object.programs["walk"]!, { context }).r0).toBe(40n);
      }
    },
  );

  test.each(checking)("%s: stores trap there, and loads in programs that walk nothing", (engine) => {
    const context = new Uint8Array(8);
    const stores = load([program("stores", "r2 = 64\n*(u32 *)(r2 + 0) = 1\nr0 = 0\nexit", "tracing")], [], { engine });
    expect(() => stores.vm.run(stores.object.programs["stores"]!, { context })).toThrow(VmError);
    const filter = load([program("filter", "r2 = 64\nr0 = *(u32 *)(r2 + 0)\nexit", "xdp")], [], { engine });
    expect(() => filter.run()).toThrow(VmError);
  });
});
