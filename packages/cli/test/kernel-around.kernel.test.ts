// Types, networks, cgroups, struct_ops, iterators and features by the nouns of bpftool; and field by field what bpftool says of them.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { LinuxProgram } from "@skep/linux";
import { readObject } from "@skep/object";
import { skep } from "./in-process.ts";
import {
  bpftool,
  bpftoolIn,
  cannotUseBpf,
  hasBpftool,
  json,
  kernelObject,
  KernelLab,
  linuxTestdata,
  text,
} from "./kernel-lab.ts";

const reason = cannotUseBpf();
if (reason !== null) console.warn(`skipped: ${reason}`);

type Loose = Readonly<Record<string, unknown>>;

const programs = ["classify", "connect4", "count", "dissect", "egress", "entered", "message", "pass", "tell"];

describe.skipIf(reason !== null)("what is around kernel objects", () => {
  let lab: KernelLab;
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(handle: T): T => {
    open.push(handle);
    return handle;
  };
  beforeAll(async () => {
    lab = await KernelLab.open();
    await lab.load();
  });
  afterEach(() => {
    for (const each of open.splice(0).reverse()) each.close();
  });
  afterAll(() => lab?.close());

  const program = (name: string): LinuxProgram => keep(lab.machine.bpf.openProgram(lab.prog(name))!);
  const id = (path: string, kind: "prog" | "map") =>
    json(kind, "show", "pinned", path).then((each) => (each as { id: number }).id);

  describe("btf", () => {
    it.skipIf(!hasBpftool)("lists and prints types as bpftool does", async () => {
      const { btf_id: btf } = (await json("prog", "show", "pinned", lab.prog("pass"))) as { btf_id: number };
      const sorted = (value: unknown) => {
        const {
          prog_ids: progs,
          map_ids: mapIds,
          pids: _,
          ...rest
        } = value as { prog_ids: number[]; map_ids: number[]; pids: unknown };
        return { ...rest, progs: progs.sort(), maps: mapIds.sort() };
      };
      expect(sorted(await json("btf", "show", "id", `${btf}`))).toEqual(sorted(bpftool("btf", "show", "id", `${btf}`)));
      for (const source of [
        ["id", `${btf}`],
        ["map", "pinned", lab.map("flows")],
        ["map", "pinned", lab.map("flows"), "value"],
        ["prog", "pinned", lab.prog("pass")],
        ["file", kernelObject],
      ]) {
        expect(await json("btf", "dump", ...source)).toEqual(bpftool("btf", "dump", ...source));
        for (const format of ["raw", "c"]) {
          const args = ["btf", "dump", ...source, "format", format];
          const theirs = spawnSync("bpftool", args, { encoding: "utf8" }).stdout;
          expect(await text(...args), source.join(" ")).toBe(theirs);
        }
      }
    });

    it("names what is wrong", async () => {
      for (const [args, message] of [
        [["dump", "id", "4000000000"], /there is no BTF with id 4000000000/],
        [["dump", "map", "pinned", lab.map("plain")], /map plain has no types \(BTF\)/],
        [["dump", "file", "/nowhere"], /\/nowhere cannot be read: ENOENT/],
        [["dump", "file", "/etc/hostname"], /\/etc\/hostname: /],
        [["dump", "map", "pinned", lab.map("flows"), "format", "java"], /"java" is no format: one of raw, c, dts/],
        [["types", "task_structt"], /there is no type task_structt; there is .*task_struct/],
        [["types"], /which types\? such as task_struct/],
      ] as const)
        expect((await skep("btf", ...args)).stderr, args.join(" ")).toMatch(message);
    });
  });

  describe("net", () => {
    it("attaches to interfaces, lists as bpftool does, and detaches", async () => {
      const where = ["dev", "veth0", "netns", lab.netns];
      await text("net", "attach", "xdpgeneric", "pinned", lab.prog("pass"), ...where);
      const passId = await id(lab.prog("pass"), "prog");
      const classifyId = await id(lab.prog("classify"), "prog");
      expect((await skep("net", "attach", "xdpgeneric", "pinned", lab.prog("count"), ...where)).stderr).toMatch(
        /veth0 has an XDP program already: overwrite replaces it/,
      );
      const [found] = (await json("net", "list", "netns", lab.netns)) as { xdp: Loose[] }[];
      expect(found?.xdp).toMatchObject([{ devname: "veth0", mode: "generic", id: passId }]);
      if (hasBpftool) {
        const [theirs] = bpftoolIn(lab.netns, "net", "list") as { xdp: Loose[] }[];
        expect(found?.xdp).toEqual(theirs?.xdp);
      }
      await text("net", "attach", "xdpgeneric", "pinned", lab.prog("count"), ...where, "overwrite");
      await text("net", "detach", "xdpgeneric", ...where);
      await text("net", "attach", "tcx_ingress", "pinned", lab.prog("classify"), ...where);
      expect(await json("net", "list", ...where)).toMatchObject([
        { xdp: [], tc: [{ devname: "veth0", kind: "tcx/ingress", name: "classify", prog_id: classifyId }] },
      ]);
      expect(await text("net", "list", ...where)).toMatch(/^INTERFACE .*\nveth0 +tcx\/ingress +\d+ +classify\n$/);
      await text("net", "detach", "tcx_ingress", ...where);
      expect((await skep("net", "detach", "tcx_ingress", ...where)).stderr).toMatch(/which program\? .*: none/);
      expect((await skep("net", "list", "dev", "none0", "netns", lab.netns)).stderr).toBe(
        "skep: there is no interface none0\n",
      );
    });
  });

  describe("cgroup", () => {
    it("attaches, lists as bpftool does, detaches", async () => {
      const words = [lab.cgroup, "connect4", "pinned", lab.prog("connect4")];
      await text("cgroup", "attach", ...words, "multi");
      await text("cgroup", "attach", lab.cgroup, "egress", "pinned", lab.prog("egress"), "override");
      const shown = await json("cgroup", "show", lab.cgroup);
      expect(shown).toMatchObject([
        { attach_type: "cgroup_inet_egress", attach_flags: "override", name: "egress" },
        { attach_type: "cgroup_inet4_connect", attach_flags: "multi", name: "connect4" },
      ]);
      if (hasBpftool) {
        const byId = (list: unknown) => [...(list as { id: number }[])].sort((a, b) => a.id - b.id);
        expect(byId(shown)).toEqual(byId(bpftool("cgroup", "show", lab.cgroup)));
      }
      expect(await json("cgroup", "tree", lab.cgroup)).toEqual([{ cgroup: lab.cgroup, programs: shown }]);
      await text("cgroup", "detach", ...words);
      await text("cgroup", "detach", lab.cgroup, "cgroup_inet_egress", "pinned", lab.prog("egress"));
      expect(await json("cgroup", "show", lab.cgroup)).toEqual([]);
      expect((await skep("cgroup", "detach", ...words)).stderr).toMatch(/is not attached to cgroup_inet4_connect/);
      expect((await skep("cgroup", "show", "/nowhere")).stderr).toMatch(/there is no cgroup \/nowhere/);
      expect((await skep("cgroup", "attach", lab.cgroup, "conect4", "name", "x")).stderr).toMatch(
        /"conect4" is no attach type of cgroups: ingress/,
      );
    });
  });

  describe("perf", () => {
    it("lists programs on tracepoints by process", async () => {
      keep(lab.machine.bpf.attach(program("entered"), { hook: "raw_tracepoint", name: "sys_enter" }));
      const mine = (list: unknown) => (list as { pid: number }[]).filter(({ pid }) => pid === process.pid);
      const ours = mine(await json("perf", "list"));
      expect(ours).toMatchObject([{ fd_type: "raw_tracepoint", tracepoint: "sys_enter" }]);
      if (hasBpftool) expect(ours).toEqual(mine(bpftool("perf", "list")));
      expect(await text("perf", "list")).toContain(`(${process.pid})`);
    });
  });

  describe("struct-ops", () => {
    const object = join(linuxTestdata, "struct_ops.o");

    it("registers by a pinned link, lists and dumps as bpftool does", async () => {
      expect((await skep("struct-ops", "register", object)).stderr).toMatch(
        /steady is registered by a link.*name a folder/,
      );
      const folder = join(lab.pins, "ops");
      let listed: unknown;
      try {
        expect(await text("struct-ops", "register", object, folder)).toMatch(
          /^Registered tcp_congestion_ops steady id \d+, link pinned at .*\/steady\n$/,
        );
        listed = await json("struct_ops", "list");
        const steady = (list: unknown) => (list as Loose[]).filter(({ name }) => name === "steady");
        expect(steady(listed)).toMatchObject([{ kernel_struct_ops: "tcp_congestion_ops" }]);
        const number = `${steady(listed)[0]?.["id"] as number}`;
        if (hasBpftool) {
          expect(steady(listed)).toEqual(steady(bpftool("struct_ops", "list")));
          // For one it prints two values without a list around them.
          const theirs = spawnSync("bpftool", ["-j", "struct_ops", "dump", "id", number], { encoding: "utf8" }).stdout;
          expect(await json("struct_ops", "dump", "id", number)).toEqual(JSON.parse(`[${theirs}]`));
        }
        const [, dumped] = (await json("struct-ops", "dump", "id", number)) as Loose[];
        expect(dumped?.["bpf_struct_ops_tcp_congestion_ops"]).toMatchObject({ data: { name: "skep_steady" } });
        expect(await text("struct-ops", "list", "name", "steady")).toMatch(/steady +tcp_congestion_ops +ready\n$/);
        expect((await skep("struct-ops", "unregister", "id", number)).stderr).toMatch(
          /steady is registered by a link: detach that/,
        );
        await text("link", "detach", "pinned", join(folder, "steady"));
      } finally {
        lab.machine.bpf.removePins(folder);
      }
      expect((await skep("struct-ops", "show", "name", "nothing")).stderr).toMatch(
        /there is no struct_ops with name nothing/,
      );
    });

    it("registers what the kernel has no link for, until it is told otherwise", async () => {
      const available = () => readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "utf8").split(/\s+/);
      const folder = join(lab.pins, "plain-ops");
      try {
        const said = await text("struct-ops", "register", join(linuxTestdata, "objects/struct-ops.o"), folder);
        expect(said).toMatch(/^Registered tcp_congestion_ops plain id \d+$/m);
        expect(available()).toEqual(expect.arrayContaining(["skep_plain", "skep_linked"]));
      } finally {
        lab.machine.bpf.removePins(folder);
        await skep("struct-ops", "unregister", "name", "plain");
      }
      expect(available().filter((name) => name.startsWith("skep_"))).toEqual([]);
    });
  });

  describe("iter, gen, batch, token", () => {
    it("runs and pins iterators", async () => {
      const object = join(linuxTestdata, "iterators.o");
      expect((await text("iter", "run", object)).split("\n")).toContain(`${process.pid}`);
      const path = join(lab.pins, "tasks");
      await text("iter", "pin", object, path);
      expect(readFileSync(path, "utf8").split("\n")).toContain(`${process.pid}`);
      lab.machine.bpf.unpin(path);
      expect((await skep("iter", "run", kernelObject)).stderr).toMatch(/kernel\.o has no iterator/);
    });

    it("links objects that load", async () => {
      const output = join(lab.folder, "all.o");
      await text("gen", "object", output, kernelObject);
      expect(Object.keys(readObject(new Uint8Array(readFileSync(output))).programs).sort()).toEqual(programs);
      const path = join(lab.pins, "linked");
      await text("prog", "load", output, path);
      lab.machine.bpf.unpin(path);
      expect((await skep("gen", "object", output, kernelObject, kernelObject)).stderr).toMatch(/defined twice/);
    });

    it("runs a file of commands up to the first that fails", async () => {
      const file = join(lab.folder, "commands");
      const plain = `pinned ${lab.map("plain")}`;
      writeFileSync(
        file,
        `# comment\nmap update ${plain} \\\n  key 9 9 9 9 value 1 2 3 4 5 6\nmap lookup ${plain} key '9' 9 9 9\n\nmap lookup ${plain} key 8 8 8 8\nmap list\n`,
      );
      const ran = await skep("batch", "file", file);
      expect(ran.stdout).toBe("key: 09 09 09 09  value: 01 02 03 04 05 06\nkey: 08 08 08 08\nNot found\n");
      expect(ran.stderr).toMatch(/commands:6: the command failed: map lookup/);
      expect(ran.status).toBe(1);
    });

    it("lists delegations", async () => expect(await json("token", "list")).toEqual(expect.any(Array)));
  });

  describe("feature", () => {
    it("probes, and agrees with bpftool where that can tell", async () => {
      const ours = (await json("feature", "probe", "program_types", "map_types", "misc", "system_config")) as Record<
        string,
        Loose
      >;
      expect(ours["map_types"]).toMatchObject({ have_hash_map_type: true });
      expect(ours["misc"]).toMatchObject({ have_bounded_loops: true });
      if (hasBpftool) {
        const theirs = bpftool("feature", "probe", "kernel") as Record<string, Loose>;
        // An old bpftool tries tracing programs with what this kernel may refuse, and knows fewer types.
        const { have_tracing_prog_type: _, ...types } = theirs["program_types"] ?? {};
        expect(ours["program_types"]).toMatchObject(types);
        expect(ours["map_types"]).toMatchObject(theirs["map_types"] ?? {});
        expect(ours["misc"]).toMatchObject(theirs["misc"] ?? {});
        expect(ours["system_config"]).toMatchObject(theirs["system_config"] ?? {});
      }
      expect(await text("feature", "probe", "misc", "macros", "prefix", "MY_")).toContain(
        "#define MY_HAVE_BOUNDED_LOOPS 1\n",
      );
      expect((await json("feature", "list", "link_types")) as string[]).toContain("tcx");
      expect((await skep("feature", "probe", "everything")).stderr).toMatch(
        /"everything" is not understood: expected kernel, full/,
      );
    });

    it("knows the helpers of every program type", async () => {
      const { helpers } = (await json("feature", "probe", "helpers")) as { helpers: Record<string, string[]> };
      expect(helpers["xdp_available_helpers"]).toContain("bpf_xdp_adjust_head");
      expect(helpers["xdp_available_helpers"]).not.toContain("bpf_skb_store_bytes");
      expect(helpers["sched_cls_available_helpers"]).toContain("bpf_skb_store_bytes");
    });
  });
});
