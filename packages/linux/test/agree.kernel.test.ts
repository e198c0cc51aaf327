import { spawnSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { disassemble } from "@skep/isa";
import { loadTypes, reducedTypes, loadBtf } from "../src/bpf/btf-load.ts";
import { canUseBpf, mapSpec, objectSpec } from "../src/bpf/testing.ts";
import { exit, mov64, r0 } from "../src/bpf/testing-isa.ts";
import { createMap } from "../src/bpf/map-create.ts";
import {
  btfById,
  enableStatistics,
  fdInfo,
  ids,
  linkById,
  mapById,
  memoryOf,
  programById,
  programCode,
  readStream,
  VerifierError,
} from "../src/bpf/index.ts";
import { testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import { liveMappings, openDescriptors } from "../src/sys/index.ts";
import { Lab, testObject } from "./lab.ts";

const enabled = canUseBpf();
const hasTool = spawnSync("bpftool", ["version"]).status === 0;
if (enabled && !hasTool) console.warn("skipped: bpftool is not installed");

function tool(...args: string[]): Record<string, unknown> {
  const result = spawnSync("bpftool", ["-j", ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
  if (result.status !== 0) throw new Error(result.stderr || result.stdout);
  return JSON.parse(result.stdout) as Record<string, unknown>;
}

describe.skipIf(!enabled)("what the kernel tells", () => {
  let lab: Lab;
  beforeAll(() => {
    lab = new Lab("agree");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect([openDescriptors(), liveMappings()]).toEqual([0, 0]);
  });

  test.skipIf(!hasTool)("programs: field by field what bpftool says", () => {
    const collection = lab.load("maps", ["use", "emit", "remember"]);
    for (const program of Object.values(collection.programs)) {
      const { info } = program;
      expect(tool("prog", "show", "id", String(info.id))).toMatchObject({
        id: info.id,
        type: info.type,
        name: info.name,
        tag: info.tag,
        gpl_compatible: info.gplCompatible,
        uid: info.uid,
        bytes_xlated: info.translatedSize,
        bytes_jited: info.jitedSize,
        bytes_memlock: memoryOf(program.fd),
        map_ids: info.mapIds,
        btf_id: info.btfId,
      });
    }
  });

  test.skipIf(!hasTool)("maps: field by field what bpftool says", () => {
    const collection = lab.load("maps", []);
    for (const map of Object.values(collection.maps)) {
      const { info } = map;
      const shown = tool("map", "show", "id", String(info.id));
      expect(shown).toMatchObject({
        id: info.id,
        name: info.name,
        flags: info.flags,
        bytes_key: info.keySize,
        bytes_value: info.valueSize,
        max_entries: info.maxEntries,
        bytes_memlock: memoryOf(map.fd),
        frozen: fdInfo(map.fd)["frozen"],
      });
      // An old bpftool writes numbers for types that it does not know.
      if (typeof shown["type"] === "string") expect(shown["type"]).toBe(info.type);
      if (info.btfId > 0) expect(shown["btf_id"]).toBe(info.btfId);
    }
  });

  test.skipIf(!hasTool)("links: field by field what bpftool says", async () => {
    const processes = openProcesses();
    const name = testName("agree");
    const cgroup = processes.createCgroup(name);
    try {
      const cgroups = lab.load("cgroup", ["connect4"]);
      const tracing = lab.load("tracing", ["raw", "executed"]);
      const sockets = lab.load("socket", ["any_port"]);
      const iterators = lab.load("iterators", ["tasks"]);
      const links = [
        lab.bpf.attach(cgroups.programs["connect4"]!, { hook: "cgroup", path: cgroup.path }),
        lab.bpf.attach(tracing.programs["raw"]!, { hook: "raw_tracepoint", name: "sys_enter" }),
        lab.bpf.attach(tracing.programs["executed"]!, { hook: "tracing" }),
        lab.bpf.attach(sockets.programs["any_port"]!, { hook: "sk_lookup" }),
        lab.bpf.attach(iterators.programs["tasks"]!, { hook: "iterator" }),
      ].map((link) => lab.keep(link));
      const expected = [
        { cgroup_id: Number(cgroup.id), attach_type: "cgroup_inet4_connect" },
        { tp_name: "sys_enter" },
        // A tp_btf program is linked as a raw tracepoint (bpf_raw_tp_link_attach): no attach type is told.
        { type: "raw_tracepoint", tp_name: "sched_process_exec" },
        { attach_type: "sk_lookup" },
        { target_name: "task" },
      ];
      for (const [at, link] of links.entries()) {
        const { id, type, programId } = link.info;
        const shown = tool("link", "show", "id", String(id));
        expect(shown).toMatchObject({ id, type, prog_id: programId, ...expected[at] });
      }
      const netns = linkById(links[3]!.info.id)!;
      expect(tool("link", "show", "id", String(netns.info.id))["netns_ino"]).toBe(netns.info.namespaceInode);
      netns.close();
    } finally {
      lab.reset();
      await processes.deleteCgroup(name);
    }
  });

  test.skipIf(!hasTool)("the translated instructions are those that bpftool dumps", () => {
    const { programs } = lab.load("maps", ["use"]);
    const code = programCode(programs["use"]!);
    const dumped = tool("prog", "dump", "xlated", "id", String(programs["use"]!.info.id)) as unknown as {
      disasm: string;
    }[];
    expect(code.translated).toHaveLength(dumped.length);
    expect(code.translatedBytes.byteLength).toBe(programs["use"]!.info.translatedSize);
    expect(code.lines.length).toBeGreaterThan(5);
    expect(code.functions[0]?.slot).toBe(0);
    expect(code.jited.byteLength).toBe(code.jitedFunctions.reduce((sum, each) => sum + each.length, 0));
    expect(disassemble(code.translated).length).toBeGreaterThan(0);
  });

  test("everything is listed by its id, and opened by it", () => {
    const collection = lab.load("maps", ["use"]);
    const map = collection.maps["mapped"]!;
    const program = collection.programs["use"]!;
    expect([...ids("map")]).toContain(map.info.id);
    expect([...ids("program")]).toContain(program.info.id);
    expect([...ids("btf")]).toContain(program.info.btfId);
    const again = lab.keep(mapById(map.info.id)!);
    expect(again.info).toEqual(map.info);
    const same = lab.keep(programById(program.info.id)!);
    expect(same.info.tag).toBe(program.info.tag);
    expect(btfById(program.info.btfId)?.info).toMatchObject({ isKernel: false });
    for (const open of [mapById, programById, linkById, btfById]) expect(open(0x7fff_ffff)).toBeNull();
  });

  test("streams of a program are empty where it printed nothing", () => {
    const { programs } = lab.load("maps", ["use"]);
    expect(readStream(programs["use"]!, "stdout")).toHaveLength(0);
  });

  test("types without what an old kernel lacks still load, and programs with them", () => {
    const spec = testObject("maps");
    const none = {
      func: false,
      globalFunc: false,
      datasec: false,
      questionMark: false,
      float: false,
      declTag: false,
      typeTag: false,
      enum64: false,
    };
    for (const features of [none, { ...none, func: true }, { ...none, func: true, datasec: true }]) {
      loadBtf(reducedTypes(spec, [], features).btf).close();
    }
    loadTypes(spec, [])!.descriptor.close();
  });

  test("a field that the kernel does not have is named, not the poisoned instruction", () => {
    const spec = testObject("tracing");
    const program = spec.programs["executed"]!;
    const types = spec.btf!.types.map((type) =>
      type.kind === "struct" && type.name === "task_struct"
        ? {
            ...type,
            members: type.members.map((member) =>
              member.name === "tgid" ? { ...member, name: "no_such_field" } : member,
            ),
          }
        : type,
    );
    const load = () => lab.bpf.load({ ...spec, btf: { ...spec.btf!, types }, programs: { executed: program } });
    let error: unknown;
    try {
      load();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(VerifierError);
    expect((error as VerifierError).message).toMatch(
      /^executed: the target has no .*task_struct.*no_such_field \(.*tracing\.bpf\.c:\d+\)$/,
    );
  });

  test("the verifier's log of what it accepts is kept on request", () => {
    const spec = objectSpec([{ name: "logged", type: "xdp", code: [mov64(r0, 2), exit()] }]);
    const collection = lab.keep(lab.bpf.load(spec, { logLevel: 2 }));
    expect(collection.programs["logged"]!.log).toContain("r0 = 2");
    expect(lab.keep(lab.bpf.load(spec)).programs["logged"]!.log).toBe("");
  });

  test("opening and closing everything, many times: descriptors, mappings and memory stay", async () => {
    const round = () => {
      const maps = lab.load("maps", ["emit", "use"]);
      const ring = maps.maps["ring"]!.readRing(() => {});
      const writer = maps.maps["orders"]!.writeRing();
      const perf = maps.maps["perf"]!.readRing(() => {});
      const memory = maps.maps["mapped"]!.mmap();
      for (const each of [ring, perf]) {
        each.start();
        each.drain();
        each.stop?.();
      }
      const raw = lab.load("tracing", ["raw"]);
      const link = lab.bpf.attach(raw.programs["raw"]!, { hook: "raw_tracepoint", name: "sys_enter" });
      createMap(mapSpec("soak", "hash")).close();
      enableStatistics().close();
      for (const each of [ring, writer, perf, memory, link]) each.close();
      lab.reset();
    };
    for (let warm = 0; warm < 10; warm++) round();
    const descriptors = openDescriptors();
    const resident = process.memoryUsage().rss;
    for (let at = 0; at < 100; at++) {
      round();
      // Handles of the event loop end in its next turn.
      if (at % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect([openDescriptors(), liveMappings()]).toEqual([descriptors, 0]);
    expect(process.memoryUsage().rss - resident).toBeLessThan(64 << 20);
  });
});
