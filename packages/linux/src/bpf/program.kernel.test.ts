import { afterEach, describe, expect, test } from "vitest";
import {
  add,
  call,
  exit,
  jmp,
  lddw,
  ldMap,
  ldMapValue,
  ldx,
  mem,
  mov64,
  r0,
  r1,
  r2,
  r3,
  r10,
  st,
  stx,
} from "./testing-isa.ts";
import { openDescriptors } from "../sys/index.ts";
import { ConfigError } from "./config.ts";
import { LinuxBpf } from "./machine.ts";
import type { LinuxCollection } from "./load.ts";
import { MapMismatchError } from "./map-errors.ts";
import { NotSupportedError } from "./not-supported.ts";
import { VerifierError } from "./verifier-error.ts";
import { bytes, canUseBpf, mapSpec, number, objectSpec, type SmallProgram } from "./testing.ts";
import type { LoadOptions } from "@skep/machine";
import type { MapSpec } from "@skep/object";

const machine = new LinuxBpf();
const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function load(
  programs: readonly SmallProgram[],
  maps: readonly MapSpec[] = [],
  options: LoadOptions = {},
): LinuxCollection {
  const collection = machine.load(objectSpec(programs, maps), options);
  open.push(collection);
  return collection;
}

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

const one = new Uint8Array(64);
const rodata: MapSpec = mapSpec(".rodata", "array", {
  valueSize: 16,
  maxEntries: 1,
  flags: 0x80,
  data: {
    contents: new Uint8Array(16),
    readOnly: true,
    variables: [
      { name: "port", offset: 0, size: 2, typeId: 0 },
      { name: "limit", offset: 8, size: 8, typeId: 0 },
    ],
  },
});

const readsLimit: SmallProgram = {
  name: "reads_limit",
  type: "socket_filter",
  code: [ldMapValue(r1, 0, 8), ldx("u64", r0, mem(r1)), exit()],
  references: [{ at: 0, kind: "data", map: ".rodata", offset: 8 }],
};

describe.skipIf(!canUseBpf())("programs", () => {
  test("load, run and say who they are", () => {
    const { programs } = load([{ name: "a_rather_long_program_name", type: "xdp", code: [mov64(r0, 2), exit()] }]);
    const program = programs["a_rather_long_program_name"]!;
    expect(program.name).toBe("a_rather_long_program_name");
    expect(program.info).toMatchObject({ type: "xdp", name: "a_rather_long_p", gplCompatible: true });
    expect(program.info.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(program.info.verifiedInstructions).toBe(2);
    const result = program.test({ data: one, repeat: 10 });
    expect(result.returned).toBe(2);
    expect(result.data).toEqual(one);
    expect(result.duration).toBeGreaterThanOrEqual(0);
  });

  test("config is in place before the verifier looks, and frozen", () => {
    const { programs, maps } = load([readsLimit], [rodata], { config: { limit: 77n, port: 80 } });
    expect(programs["reads_limit"]!.test({ data: one }).returned).toBe(77);
    expect(new DataView(maps[".rodata"]!.get(bytes(0, 4))!.buffer).getUint16(0, true)).toBe(80);
    expect(() => maps[".rodata"]!.set(bytes(0, 4), new Uint8Array(16))).toThrow("EPERM");
  });

  test.each<[string, LoadOptions["config"], string]>([
    ["an unknown variable", { nothing: 1 }, "no such variable"],
    ["a value that does not fit", { port: 65_536 }, "does not fit 2 bytes"],
    ["a negative that does not fit", { port: -32_769 }, "does not fit 2 bytes"],
    ["a fraction", { port: 1.5 }, "not an integer"],
    ["bytes of another length", { port: new Uint8Array(3) }, "3 bytes instead of 2"],
  ])("config refuses %s", (_, config, message) => {
    const error = thrown(() => load([readsLimit], [rodata], { config: config! }));
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain(message);
  });

  test("a refused program says which instruction and why", () => {
    const before = openDescriptors();
    const error = thrown(() =>
      load([{ type: "xdp", code: [ldx("u64", r1, mem(r2)), mov64(r0, 0), exit()] }], [mapSpec("kept", "hash")]),
    ) as VerifierError;
    expect(error).toBeInstanceOf(VerifierError);
    expect(error.summary).toBe("R2 !read_ok");
    expect(error.instruction).toMatchObject({ slot: 0, opcode: 0x79 });
    expect(error.message).toBe("small: R2 !read_ok (instruction 0)");
    expect(error.log).toContain("R2 !read_ok");
    expect((error.cause as Error).message).toContain("EACCES");
    expect(openDescriptors()).toBe(before);
  });

  test("registers before the failing instruction are told", () => {
    const error = thrown(() =>
      load([{ type: "xdp", code: [mov64(r3, 7), ldx("u32", r2, mem(r1, 200)), mov64(r0, 0), exit()] }]),
    ) as VerifierError;
    expect(error.summary).toContain("invalid bpf_context access");
    expect(error.instruction?.slot).toBe(1);
    expect(error.registers).toMatchObject({ R1: "ctx()", R3: "7" });
    expect(error.detail()).toContain("R1 = ctx()");
  });

  test("a log larger than the first buffer is read whole", () => {
    // 40 independent branches on unknown values write far more than 256 KiB of states.
    const code = Array.from({ length: 3000 }, () => [
      call("get_prandom_u32"),
      jmp("jeq", r0, 7, 1),
      mov64(r3, r0),
    ]).flat();
    const error = thrown(() =>
      load([{ type: "xdp", code: [...code, ldx("u64", r0, mem(r10, 8)), exit()] }]),
    ) as VerifierError;
    expect(error).toBeInstanceOf(VerifierError);
    expect(error.log.length).toBeGreaterThan(256 * 1024);
    expect(error.truncated).toBe(false);
    expect(error.summary).toMatch(/invalid (read from|access to) stack/);
  });

  test("what the kernel's policy refuses is a NotSupportedError", () => {
    const error = thrown(() =>
      load([{ type: "tracing", attachType: "trace_fentry", attachTo: "tcp_v4_connect", code: [mov64(r0, 0), exit()] }]),
    );
    expect(error).toBeInstanceOf(NotSupportedError);
    expect((error as NotSupportedError).feature).toBe("tracing programs of trace_fentry");
  });

  test("a target that the kernel does not have is a NotSupportedError", () => {
    const program: SmallProgram = {
      type: "tracing",
      attachType: "trace_raw_tp",
      attachTo: "no_such_event",
      code: [mov64(r0, 0), exit()],
    };
    expect(thrown(() => load([program]))).toBeInstanceOf(NotSupportedError);
  });

  test("programs share maps, and count by them", () => {
    const counts: SmallProgram = {
      type: "xdp",
      code: [
        st("u32", mem(r10, -4), 0),
        mov64(r2, r10),
        add(r2, -4),
        ldMap(r1, 0),
        call("map_lookup_elem"),
        jmp("jeq", r0, 0, 3),
        ldx("u64", r1, mem(r0)),
        add(r1, 1),
        stx("u64", mem(r0), r1),
        mov64(r0, 2),
        exit(),
      ],
      references: [{ at: 3, kind: "map", map: "count" }],
    };
    const { programs, maps } = load([counts], [mapSpec("count", "array", { maxEntries: 1 })]);
    programs["small"]!.test({ data: one, repeat: 100 });
    expect(number(maps["count"]!.get(bytes(0, 4)))).toBe(100n);
  });

  test("tail calls follow what the array's spec names, and what is put there later", () => {
    const enter: SmallProgram = {
      name: "enter",
      type: "xdp",
      code: [ldMap(r2, 0), mov64(r3, 1), call("tail_call"), mov64(r0, 0), exit()],
      references: [{ at: 0, kind: "map", map: "jumps" }],
    };
    const target = (name: string, value: number): SmallProgram => ({
      name,
      type: "xdp",
      code: [mov64(r0, value), exit()],
    });
    const jumps = mapSpec("jumps", "prog_array", {
      valueSize: 4,
      maxEntries: 4,
      values: [{ index: 1, name: "first" }],
    });
    const { programs, maps } = load([enter, target("first", 3), target("second", 4)], [jumps]);
    expect(programs["enter"]!.test({ data: one }).returned).toBe(3);
    maps["jumps"]!.setProgram(bytes(1, 4), programs["second"]!);
    expect(programs["enter"]!.test({ data: one }).returned).toBe(4);
    maps["jumps"]!.delete(bytes(1, 4));
    expect(programs["enter"]!.test({ data: one }).returned).toBe(0);
  });

  test("only the programs that are asked for", () => {
    const bad: SmallProgram = { name: "bad", type: "xdp", code: [exit()] };
    const good: SmallProgram = { name: "good", type: "xdp", code: [mov64(r0, 1), exit()] };
    expect(Object.keys(load([bad, good], [], { programs: ["good"] }).programs)).toEqual(["good"]);
    expect(() => load([good], [], { programs: ["other"] })).toThrow("the object has no program other");
  });

  test("maps that are there are adopted when they fit, and left alone when they do not", () => {
    const spec = mapSpec("shared", "hash");
    const first = load([], [spec]);
    first.maps["shared"]!.set(bytes(1, 4), bytes(5, 8));
    const adopted = first.maps["shared"]!.duplicate();
    const second = load([], [spec], { maps: { shared: adopted } });
    expect(number(second.maps["shared"]!.get(bytes(1, 4)))).toBe(5n);
    const wider = mapSpec("shared", "hash", { valueSize: 16 });
    const error = thrown(() => load([], [wider], { maps: { shared: adopted } })) as MapMismatchError;
    expect(error).toBeInstanceOf(MapMismatchError);
    expect(error.differences).toEqual(["value size 8 instead of 16"]);
    expect(number(adopted.get(bytes(1, 4)))).toBe(5n);
    expect(load([], [spec], { maxEntries: { shared: 99 } }).maps["shared"]!.info.maxEntries).toBe(99);
  });

  test("syscall programs get their context and give it back", () => {
    const program: SmallProgram = {
      type: "syscall",
      flags: 16,
      code: [lddw(r0, 0x1122), stx("u32", mem(r1, 4), r0), mov64(r0, 0), exit()],
    };
    const { programs } = load([program]);
    const result = programs["small"]!.test({ context: new Uint8Array([1, 2, 3, 4, 0, 0, 0, 0]) });
    expect([...result.context]).toEqual([1, 2, 3, 4, 0x22, 0x11, 0, 0]);
  });
});
