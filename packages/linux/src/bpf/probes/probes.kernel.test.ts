import { linkTypes, mapTypes, programTypes } from "@skep/isa";
import { describe, expect, test } from "vitest";
import { openDescriptors } from "../../sys/index.ts";
import { canUseBpf, mapSpec } from "../testing.ts";
import { createMap } from "../map-create.ts";
import { NotSupportedError } from "../not-supported.ts";
import { features, linkTypesSince, mapTypesSince, programTypesSince } from "./index.ts";

const named = (table: object) => Object.keys(table).filter((name) => name !== "unspec");

describe.skipIf(!canUseBpf())("probes", () => {
  test("every type has an answer, the same when it is asked again, and no descriptor stays", () => {
    const before = openDescriptors();
    for (let round = 0; round < 2; round++) {
      const answers = [
        ...named(programTypes).map((name) => features.programType(name)),
        ...named(mapTypes).map((name) => features.mapType(name)),
        ...Object.keys(linkTypesSince).map((name) => features.linkType(name)),
      ];
      expect(answers.every((answer) => typeof answer === "boolean")).toBe(true);
    }
    expect(openDescriptors()).toBe(before);
  });

  test("what every kernel with BPF has is there", () => {
    for (const type of ["socket_filter", "xdp", "sched_cls", "kprobe", "tracepoint"]) {
      expect(features.programType(type), type).toBe(true);
    }
    for (const type of ["hash", "array", "prog_array", "percpu_hash"]) expect(features.mapType(type), type).toBe(true);
    expect(features.instructions("v2")).toBe(true);
    expect(features.instructions("manyInstructions")).toBe(true);
  });

  test("a denied map type is a NotSupportedError when it is made, with the release that has it", () => {
    const denied = Object.keys(mapTypesSince).find((name) => !features.mapType(name));
    if (denied === undefined) return console.warn("skipped: this kernel has every map type");
    const make = () => createMap(mapSpec("denied", denied, { valueSize: 16 }));
    expect(make).toThrow(NotSupportedError);
    expect(make).toThrow(`map type ${denied} (Linux ${mapTypesSince[denied]} has it)`);
  });

  test("helpers depend on the program's type", () => {
    expect(features.helper("xdp", "map_lookup_elem")).toBe(true);
    expect(features.helper("xdp", "bpf_xdp_adjust_head")).toBe(true);
    expect(features.helper("xdp", "skb_load_bytes")).toBe(false);
    expect(features.helper("sched_cls", "skb_load_bytes")).toBe(true);
    expect(features.helper("socket_filter", "probe_read_kernel")).toBe(true);
    expect(() => features.helper("xdp", "no_such_helper")).toThrow(RangeError);
  });

  test("kernel functions are known by name and by who may call them", () => {
    expect(features.kfunc("no_such_function")).toBe(false);
    expect(features.kfunc("bpf_task_from_pid", "syscall")).toBe(true);
    expect(features.kfunc("bpf_task_from_pid", "lwt_in")).toBe(false);
    expect(features.kfunc("tcp_v4_connect", "syscall")).toBe(false);
  });

  test("flags belong to map types", () => {
    expect(features.mapFlag("mmapable")).toBe(true);
    expect(features.mapFlag("mmapable", "hash")).toBe(false);
    expect(features.mapFlag("no_prealloc", "hash")).toBe(true);
  });

  test("unknown names are mistakes, not missing features", () => {
    expect(() => features.programType("nothing")).toThrow(RangeError);
    expect(() => features.mapType("nothing")).toThrow(RangeError);
    expect(() => features.linkType("nothing")).toThrow(RangeError);
  });

  test("the tables of releases name real types", () => {
    expect(Object.keys(programTypesSince).filter((name) => !(name in programTypes))).toEqual([]);
    expect(Object.keys(mapTypesSince).filter((name) => !(name in mapTypes))).toEqual([]);
    expect(Object.keys(linkTypesSince).filter((name) => !(name in linkTypes))).toEqual([]);
  });
});
