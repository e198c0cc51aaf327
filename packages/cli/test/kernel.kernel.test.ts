// The nouns of bpftool on real programs and maps; and field by field what bpftool says of them.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { isTraceOn, type LinuxProgram, openDescriptors } from "@skep/linux";
import { assemble } from "@skep/isa";
import { readObject, writeObject } from "@skep/object";
import { skep } from "./in-process.ts";
import { bpftool, cannotUseBpf, hasBpftool, json, kernelObject, KernelLab, linuxTestdata, text } from "./kernel-lab.ts";

const reason = cannotUseBpf();
if (reason !== null) console.warn(`skipped: ${reason}`);

type Loose = Readonly<Record<string, unknown>>;

const programs = ["classify", "connect4", "count", "dissect", "egress", "entered", "message", "pass", "tell"];
const maps = [
  "calls",
  "each",
  "each_key",
  "events",
  "first",
  "flows",
  "kernel_bss",
  "kernel_data",
  "kernel_rodata",
  "pile",
  "plain",
  "second",
  "sockets",
  "table",
  "waiting",
];

describe.skipIf(reason !== null)("kernel objects", () => {
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

  const idsOf = async (kind: "prog" | "map", names: readonly string[]) => {
    const found = new Set<number>();
    for (const name of names) found.add(await id(lab[kind](name), kind));
    return found;
  };

  /** Without what an old bpftool does not tell, and with times that may be a second apart. */
  const comparable = (value: unknown): unknown => {
    const { pids: _, loaded_at: loaded, ...rest } = value as Loose;
    return { ...rest, ...(loaded === undefined ? {} : { loaded: Math.round(Number(loaded) / 4) }) };
  };

  describe("prog", () => {
    it.skipIf(!hasBpftool)("lists programs as bpftool does", async () => {
      for (const name of programs) {
        const path = lab.prog(name);
        const [ours, theirs] = [await json("prog", "show", "pinned", path), bpftool("prog", "show", "pinned", path)];
        expect(comparable(ours), name).toEqual(comparable(theirs));
      }
      const wanted = await idsOf("prog", programs);
      const mine = (list: unknown) => (list as { id: number }[]).filter((each) => wanted.has(each.id)).map(comparable);
      expect(mine(await json("prog", "list"))).toEqual(mine(bpftool("prog", "list")));
      expect(mine(await json("prog", "list"))).toHaveLength(programs.length);
    });

    it.skipIf(!hasBpftool)("dumps the instructions that bpftool dumps, with lines, prototypes and names", async () => {
      for (const [name, wordLists] of [
        ["count", [["linum"], ["opcodes"]]],
        ["tell", [[]]],
      ] as const) {
        for (const words of wordLists) {
          const args = ["dump", "xlated", "pinned", lab.prog(name), ...words];
          // An old bpftool shows a move that makes an address of one processor's memory as a move.
          const ours = JSON.stringify(await json("prog", ...args)).replaceAll(/&\(void __percpu \*\)\((r\d+)\)/g, "$1");
          expect(JSON.parse(ours), `${name} ${words.join(" ")}`).toEqual(bpftool("prog", ...args));
        }
      }
    });

    it("prints a listing with source lines and names of maps, labels, a graph, bytes", async () => {
      const path = lab.prog("count");
      const listing = await text("prog", "dump", "xlated", "pinned", path, "linum");
      expect(listing).toMatch(
        /^int count\(struct xdp_md \* ctx\):\n; SEC\("xdp"\) .*\[file:\.\/kernel\.bpf\.c line_num:\d+ /,
      );
      expect(listing).toMatch(/map\[id:\d+ flows\]/);
      expect(listing).toMatch(/call pc\+\d+#bpf_prog_[\da-f]{16}_add/);
      const labelled = await text("prog", "dump", "xlated", "pinned", path, "labels");
      expect(labelled).toMatch(/^count:\n/);
      expect(labelled).toMatch(/goto L\d/);
      expect(assemble(labelled).diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
      const graph = await text("prog", "dump", "xlated", "pinned", path, "visual");
      expect(graph.match(/subgraph/g)).toHaveLength(3);
      const file = join(lab.folder, "code.bin");
      await text("prog", "dump", "xlated", "pinned", path, "file", file);
      const shown = (await json("prog", "show", "pinned", path)) as Loose;
      expect(readFileSync(file).length).toBe(shown["bytes_xlated"]);
      const jited = (await json("prog", "dump", "jited", "pinned", path)) as { opcodes: string[] }[];
      expect(jited).toHaveLength(3);
      await text("prog", "dump", "jited", "pinned", path, "file", file);
      expect(readFileSync(file).length).toBe(shown["bytes_jited"]);
      expect([...readFileSync(file)].slice(0, 3).map((byte) => `0x${byte.toString(16).padStart(2, "0")}`)).toEqual(
        jited[0]?.opcodes.slice(0, 3),
      );
    });

    it("loads one program, with another's maps, and pins what it made or nothing", async () => {
      const path = join(lab.pins, "one");
      const mapFolder = join(lab.pins, "one-maps");
      const flows = lab.map("flows");
      await text("prog", "load", kernelObject, path, "map", "name", "flows", "pinned", flows, "pinmaps", mapFolder);
      const loaded = (await json("prog", "show", "pinned", path)) as { name: string; map_ids: number[] };
      const first = Object.values(readObject(new Uint8Array(readFileSync(kernelObject))).programs)[0];
      expect(loaded.name).toBe(first?.name);
      expect(loaded.map_ids).toContain(await id(flows, "map"));
      expect(existsSync(join(mapFolder, "kernel_bss"))).toBe(true);
      lab.machine.bpf.unpin(path);
      // The second pin is in the way: the first is taken off again.
      const again = await skep("prog", "load", kernelObject, path, "pinmaps", mapFolder);
      expect(again.status).toBe(1);
      expect(again.stderr).toMatch(/one-maps\/\w+ is there already/);
      expect(existsSync(path)).toBe(false);
      lab.machine.bpf.removePins(mapFolder);
      await text("prog", "load", kernelObject, path, "type", "kprobe");
      expect(await json("prog", "show", "pinned", path)).toMatchObject({ type: "kprobe" });
      lab.machine.bpf.unpin(path);
      expect((await skep("prog", "load", kernelObject, path, "type", "nonsense")).stderr).toMatch(
        /"nonsense" is no program type/,
      );
      expect((await skep("prog", "load", kernelObject, path, "map", "name", "none", "pinned", flows)).stderr).toMatch(
        /no map none: it has second, table, each, flows/,
      );
    });

    it("tells what the verifier refuses: the line, the registers, the end of its log", async () => {
      // Reads a packet without asking for its end.
      const { instructions } = assemble(`r1 = *(u32 *)(r1 +0)\n${"r2 = 5\n".repeat(20)}r0 = *(u8 *)(r1 +0)\nexit\n`);
      const wrong = { name: "wrong", section: "xdp", type: "xdp", flags: 0, linkage: "global", instructions } as const;
      const none = { references: [], lines: [], coreRelocations: [] };
      const module = join(lab.folder, "wrong.o");
      writeFileSync(
        module,
        writeObject({
          license: "GPL",
          byteOrder: "little",
          maps: {},
          functions: {},
          programs: { wrong: { ...wrong, ...none } },
        }),
      );
      const log = join(lab.folder, "log");
      const refused = await skep("prog", "load", module, join(lab.pins, "never"), "log", log);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/^skep: wrong: .*invalid access to packet.*\n(.*\n)* {4}R1 = pkt/);
      expect(refused.stderr).toMatch(/\nthe verifier's log:\n\(\d+ lines before; `log FILE` keeps them\)\n(.*\n){12}$/);
      expect(readFileSync(log, "utf8").split("\n").length).toBeGreaterThan(12);
      expect(existsSync(join(lab.pins, "never"))).toBe(false);
    });

    it("runs a program on bytes", async () => {
      const input = join(lab.folder, "packet");
      writeFileSync(input, new Uint8Array(64).fill(7));
      const path = lab.prog("pass");
      const ran = (await json(
        "prog",
        "run",
        "pinned",
        path,
        "data_in",
        input,
        "data_out",
        "-",
        "repeat",
        "3",
      )) as Loose;
      expect(ran["retval"]).toBe(2);
      expect(ran["data_out"]).toEqual(Array.from({ length: 64 }, () => 7));
      if (hasBpftool) {
        const theirs = bpftool("prog", "run", "pinned", path, "data_in", input, "data_out", "-", "repeat", "3");
        expect({ ...ran, duration: 0 }).toEqual({ ...(theirs as Loose), duration: 0 });
      }
      expect(await text("prog", "run", "pinned", path, "data_in", input, "data_out", "-")).toMatch(
        /^0000000 {2}07 07 .*\n(.*\n){3}Return value: 2, duration: \d+ns\n$/,
      );
      const context = join(lab.folder, "context");
      writeFileSync(context, new Uint8Array(16));
      expect(await json("prog", "run", "pinned", lab.prog("entered"), "ctx_in", context)).toMatchObject({ retval: 0 });
    });

    it("counts runs, and follows what programs print", async () => {
      const profile = json("prog", "profile", "pinned", lab.prog("entered"), "duration", "0.2");
      const entered = program("entered");
      const timer = setInterval(() => entered.test({ context: new Uint8Array(16) }), 20);
      const counted = (await profile) as { run_cnt: number; run_time_ns: number; ns_per_run: number };
      expect(counted.run_cnt).toBeGreaterThan(0);
      expect(counted.ns_per_run).toBeCloseTo(counted.run_time_ns / counted.run_cnt, 0);
      try {
        if (isTraceOn()) expect(await text("prog", "tracelog", "count", "20")).toContain("bpf_trace_printk: skep 1\n");
        else console.warn("skipped: the machine's trace is switched off (tracing_on)");
      } finally {
        clearInterval(timer);
      }
      const refused = await skep("prog", "profile", "pinned", lab.prog("entered"), "cycles");
      expect(refused.status).toBe(2);
      expect(refused.stderr).toMatch(/does not support the metric cycles/);
    });

    it("attaches to maps of sockets, and takes off again", async () => {
      const words = ["pinned", lab.prog("message"), "sk_msg_verdict", "pinned", lab.map("sockets")];
      await text("prog", "attach", ...words);
      await text("prog", "detach", ...words);
      expect((await skep("prog", "detach", ...words)).stderr).toMatch(/PROG_DETACH.*ENOENT/);
      expect((await skep("prog", "attach", "pinned", lab.prog("message"), "nothing")).stderr).toMatch(
        /"nothing" is no attach type: one of sk_msg_verdict/,
      );
    });

    it("pins once more, and names what is wrong", async () => {
      const path = join(lab.pins, "again");
      await text("prog", "pin", "pinned", lab.prog("pass"), path);
      expect(await id(path, "prog")).toBe(await id(lab.prog("pass"), "prog"));
      expect((await skep("prog", "pin", "pinned", lab.prog("pass"), path)).stderr).toMatch(/again is there already/);
      const listed = (await skep("prog", "list", "-f", "-j")).stdout;
      expect(listed).toContain(`"pinned":["${path}","${lab.prog("pass")}"]`);
      lab.machine.bpf.unpin(path);
      for (const [args, message, status] of [
        [["prog", "show", "id", "4000000000"], /^skep: there is no program with id 4000000000\n$/, 1],
        [["prog", "show", "name", "no_such_program"], /there is no program with name no_such_program/, 1],
        [["prog", "show", "tag", "12"], /"12" is no tag: it has sixteen hexadecimal digits/, 2],
        [["prog", "show", "pinned", "/nowhere"], /nothing is pinned at \/nowhere/, 1],
        [["prog", "show", "pinned", lab.map("flows")], /flows is a map, not a program/, 1],
        [["prog", "show", "id"], /the program's id is missing after "id"/, 2],
        [["prog", "show", "id", "x"], /"x" is no whole number/, 2],
        [["prog", "dump", "xlated"], /which program\? id ID, tag TAG, name NAME, pinned PATH/, 2],
        [["prog", "nonsense"], /"nonsense" is no verb of skep prog: list, dump, pin, load/, 2],
        [["prog", "show", "nonsense"], /"nonsense" is not understood: expected id ID, tag TAG/, 2],
      ] as const) {
        const ran = await skep(...args);
        expect(ran.stderr, args.join(" ")).toMatch(message);
        expect(ran.status, args.join(" ")).toBe(status);
      }
      const asJson = await skep("-j", "prog", "show", "id", "4000000000");
      expect(asJson).toEqual({ status: 1, stderr: "", stdout: '{"error":"there is no program with id 4000000000"}\n' });
    });
  });

  describe("map", () => {
    const entries = async () => {
      const flows = ["pinned", lab.map("flows")];
      await text("map", "update", ...flows, "key", "address=1", "port=9", "protocol=3", "value", "packets=72057598332895231",
        "balance=-2", "state=STATE_OPEN", "open=true", "name=hello", "mac=de:ad:be:ef:01:02", "low=5", "high=15", "word=0x01020304",
        "pair[0].a=1", "pair[1].b=4", "pointer=0xffff000000001000"); // prettier-ignore
      await text(
        "map",
        "update",
        ...flows,
        "key",
        "hex",
        "02000000",
        "09",
        "00",
        "03",
        "00",
        "value",
        "hex",
        "00".repeat(56),
      );
      await text("map", "update", "pinned", lab.map("each"), "key", "1", "value", "77");
      await text(
        "map",
        "update",
        "pinned",
        lab.map("each_key"),
        "key",
        "5",
        "value",
        '{"address":1,"port":2,"protocol":3}',
      );
      await text(
        "map",
        "update",
        "pinned",
        lab.map("plain"),
        "key",
        "1",
        "2",
        "3",
        "4",
        "value",
        "1",
        "2",
        "3",
        "4",
        "5",
        "0x6",
      );
      await text("map", "update", "pinned", lab.map("calls"), "key", "1", "value", "pinned", lab.prog("pass"));
      await text("map", "update", "pinned", lab.map("table"), "key", "0", "value", "pinned", lab.map("first"));
    };

    it.skipIf(!hasBpftool)("lists and dumps maps as bpftool does", async () => {
      await entries();
      for (const name of maps) {
        const words = ["pinned", lab.map(name)];
        expect(comparable(await json("map", "show", ...words)), name).toEqual(
          comparable(bpftool("map", "show", ...words)),
        );
        // Of what cannot be read bpftool tells the C library's words.
        if (["sockets", "events"].includes(name)) continue;
        expect(await json("map", "dump", ...words), name).toEqual(bpftool("map", "dump", ...words));
      }
      const key = ["key", "hex", "01", "00", "00", "00", "09", "00", "03", "00"];
      for (const words of [
        ["lookup", "pinned", lab.map("flows"), ...key],
        ["getnext", "pinned", lab.map("flows")],
      ])
        expect(await json("map", ...words)).toEqual(bpftool("map", ...words));
      const wanted = await idsOf("map", maps);
      // In a list bpftool shows the types of the map before for those that have none.
      const mine = (list: unknown) =>
        (list as { id: number }[])
          .filter((each) => wanted.has(each.id))
          .map((each) => ({ ...(comparable(each) as Loose), btf_id: 0 }));
      expect(mine(await json("map", "list"))).toEqual(mine(bpftool("map", "list")));
    });

    it("prints values for people: structs, processors, what ids stand for, variables", async () => {
      await entries();
      const flows = await text("map", "dump", "pinned", lab.map("flows"));
      expect(flows).toContain(
        "key: { address: 1, port: 9, protocol: 3 }\nvalue: {\n  packets: 72057598332895231\n  balance: -2\n  state: STATE_OPEN\n",
      );
      expect(flows).toContain("  name: hello\n  mac: de:ad:be:ef:01:02\n  low: 5\n  high: 15\n  word: 16909060\n");
      expect(flows).toMatch(/Found 2 elements\n$/);
      expect(await text("map", "dump", "pinned", lab.map("each"))).toMatch(/^key: 0\nvalue:\n {2}cpu 0: 0\n/);
      expect(await text("map", "dump", "pinned", lab.map("table"))).toMatch(
        /key: 01 00 00 00 {2}value: map \d+ second\n/,
      );
      expect(await text("map", "dump", "pinned", lab.map("calls"))).toMatch(/^key: 1 {2}value: program \d+ pass\n/);
      expect(await text("map", "dump", "pinned", lab.map("kernel_data"))).toBe(
        "last = { address: 1, port: 2, protocol: 3 }\nhidden = 9\n",
      );
    });

    it("writes variables by name, and values back from JSON", async () => {
      await text("map", "update", "pinned", lab.map("kernel_data"), "value", "hidden=9", "last.port=2");
      await text("map", "update", "pinned", lab.map("kernel_bss"), "value", "seen=7");
      expect(await json("map", "dump", "pinned", lab.map("kernel_bss"))).toMatchObject([
        { formatted: { value: { ".bss": [{ seen: 7 }] } } },
      ]);
      await entries();
      const dump = (await json("map", "dump", "pinned", lab.map("flows"))) as {
        key: string[];
        value: string[];
        formatted: { value: unknown };
      }[];
      const [entry] = dump.filter(({ key }) => key[0] === "0x01");
      await text(
        "map",
        "update",
        "pinned",
        lab.map("flows"),
        "key",
        "hex",
        ...entry!.key,
        "value",
        JSON.stringify(entry!.formatted.value),
        "exist",
      );
      const again = (await json(
        "map",
        "lookup",
        "pinned",
        lab.map("flows"),
        "key",
        "hex",
        ...entry!.key,
      )) as typeof entry;
      // Long integers are exact: JSON.parse of this test is not.
      expect(again!.value.slice(8, 48)).toEqual(entry!.value.slice(8, 48));
    });

    it("looks up, steps, deletes, and says what is not there", async () => {
      await entries();
      const flows = ["pinned", lab.map("flows")];
      const key = ["key", "address=1", "port=9", "protocol=3"];
      expect((await skep("map", "lookup", ...flows, ...key)).status).toBe(0);
      expect(await json("map", "getnext", ...flows)).toMatchObject({ key: null });
      await text("map", "delete", ...flows, ...key);
      const gone = await skep("map", "lookup", ...flows, ...key, "-j");
      expect(gone).toEqual({ status: 1, stdout: "null\n", stderr: "" });
      for (const [args, message] of [
        [["delete", ...flows, ...key], /the key { address: 1, port: 9, protocol: 3 } is not there/],
        [["update", ...flows, ...key, "value", "packets=1", "exist"], /is not there/],
        [
          ["update", ...flows, "key", "prt=1", "value", "packets=1"],
          /key has no member prt: it has address, port, protocol/,
        ],
        [
          ["update", ...flows, ...key, "value", "state=NONE"],
          /value\.state: "NONE" is no value of enum state: STATE_NEW, STATE_OPEN/,
        ],
        [["update", ...flows, ...key, "value", "low=8"], /value\.low: 8 does not fit 3 bits/],
        [["update", ...flows, ...key], /the value is missing: value VALUE/],
        [["update", ...flows, ...key, "value", "packets=1", "never"], /"never" is no field=value/],
        [
          ["update", "pinned", lab.map("plain"), "key", "hex", "01", "0g", "03", "04", "value", "1"],
          /key, byte 2: "0g" is no byte/,
        ],
        [["update", "pinned", lab.map("plain"), "key", "1", "2", "3", "value", "1"], /key: 3 bytes instead of 4/],
        [
          ["update", "pinned", lab.map("plain"), "key", "a=1", "value", "1"],
          /the map has no types for its key: give 4 bytes/,
        ],
      ] as const) {
        const ran = await skep("map", ...args);
        expect(ran.stderr, args.join(" ")).toMatch(message);
        expect(ran.status).not.toBe(0);
      }
    });

    it("pushes and pops", async () => {
      for (const [name, expected] of [
        ["pile", ["0x02", "0x01"]],
        ["waiting", ["0x01", "0x02"]],
      ] as const) {
        const words = ["pinned", lab.map(name)];
        while ((await skep("map", "pop", ...words, "-j")).status === 0);
        await text("map", "push", ...words, "value", "1");
        await text("map", "enqueue", ...words, "value", "hex", "02", "00", "00", "00");
        const peeked = await json("map", "peek", ...words);
        const popped = await json("map", "dequeue", ...words);
        expect(popped).toEqual(peeked);
        expect(popped).toEqual({ key: [], value: [expected[0], "0x00", "0x00", "0x00"] });
        expect(await text("map", "pop", ...words)).toBe(`value: ${expected[1].slice(2)} 00 00 00\n`);
        expect((await skep("map", "pop", ...words)).stderr).toBe("skep: the map is empty\n");
      }
    });

    it("makes, pins and freezes", async () => {
      const path = join(lab.pins, "made");
      await text(
        "map",
        "create",
        path,
        "type",
        "lpm_trie",
        "key",
        "8",
        "value",
        "4",
        "entries",
        "4",
        "name",
        "made",
        "flags",
        "no_prealloc",
      );
      expect(await json("map", "show", "pinned", path)).toMatchObject({
        type: "lpm_trie",
        name: "made",
        bytes_key: 8,
        flags: 1,
      });
      await text("map", "pin", "pinned", path, `${path}-too`);
      await text("map", "freeze", "pinned", path);
      const refused = await skep(
        "map",
        "update",
        "pinned",
        path,
        "key",
        "8",
        "0",
        "0",
        "0",
        "10",
        "0",
        "0",
        "0",
        "value",
        "1",
      );
      expect(refused.stderr).toMatch(/map made is frozen/);
      expect(await json("map", "show", "pinned", `${path}-too`)).toMatchObject({ frozen: 1 });
      const outer = join(lab.pins, "outer");
      await text(
        "map",
        "create",
        outer,
        "type",
        "hash_of_maps",
        "key",
        "4",
        "value",
        "4",
        "entries",
        "2",
        "name",
        "outer",
        "inner_map",
        "pinned",
        lab.map("first"),
      );
      await text("map", "update", "pinned", outer, "key", "9", "value", "pinned", lab.map("second"));
      expect(await text("map", "dump", "pinned", outer)).toMatch(/^key: 09 00 00 00 {2}value: map \d+ second\n/);
      expect((await skep("map", "create", path, "type", "hush")).stderr).toMatch(/"hush" is no map type: hash, array/);
      for (const each of [path, `${path}-too`, outer]) lab.machine.bpf.unpin(each);
    });

    it("follows events", async () => {
      const piped = text("map", "event_pipe", "pinned", lab.map("events"), "count", "2", "-j");
      const tell = program("tell");
      const timer = setInterval(() => tell.test({ context: new Uint8Array(16) }), 10);
      try {
        const [first] = (await piped)
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { data: string[] });
        expect(first?.data.slice(0, 8)).toEqual(["0x08", "0x00", "0x00", "0x00", "0x2a", "0x00", "0x00", "0x00"]);
      } finally {
        clearInterval(timer);
      }
      expect((await skep("map", "event_pipe", "pinned", lab.map("flows"))).stderr).toMatch(
        /map flows is a hash: events come from/,
      );
    });
  });

  describe("link", () => {
    it("lists links as bpftool does, pins, updates and detaches them", async () => {
      const { bpf } = lab.machine;
      const iterators = keep(
        bpf.load(readObject(new Uint8Array(readFileSync(join(linuxTestdata, "iterators.o")))), { programs: ["tasks"] }),
      );
      const links = [
        bpf.attach(program("connect4"), { hook: "cgroup", path: lab.cgroup, attachType: "cgroup_inet4_connect" }),
        bpf.attach(program("entered"), { hook: "raw_tracepoint", name: "sys_enter" }),
        bpf.attach(iterators.programs["tasks"]!, { hook: "iterator" }),
      ].map(keep);
      for (const { info } of links) {
        const words = ["show", "id", `${info.id}`];
        const ours = comparable(await json("link", ...words));
        expect(ours).toMatchObject({ id: info.id, type: info.type, prog_id: info.programId });
        if (hasBpftool) expect(ours).toEqual(comparable(bpftool("link", ...words)));
      }
      const [cgroup, raw] = links;
      const held = (await json("link", "show", "id", `${raw!.info.id}`)) as { pids: { pid: number }[] };
      expect(held.pids.map(({ pid }) => pid)).toContain(process.pid);
      const path = join(lab.pins, "link");
      await text("link", "pin", "id", `${cgroup!.info.id}`, path);
      expect(await text("link", "list", "-f")).toContain(path);
      await text("link", "update", "pinned", path, "prog", "pinned", lab.prog("connect4"));
      await text("link", "detach", "pinned", path);
      expect(await json("link", "show", "pinned", path)).toMatchObject({ cgroup_id: 0 });
      lab.machine.bpf.unpin(path);
      expect((await skep("link", "show", "id", "4000000000")).stderr).toBe(
        "skep: there is no link with id 4000000000\n",
      );
    });

    it("tells where links of perf events and probes are", async () => {
      const { bpf } = lab.machine;
      const file = join(linuxTestdata, "probed.x64");
      const names = ["entered", "user_entry", "user_many"];
      const tracing = keep(
        bpf.load(readObject(new Uint8Array(readFileSync(join(linuxTestdata, "tracing.o")))), { programs: names }),
      );
      const [tracepoint, uprobe, several] = [
        bpf.attach(tracing.programs["entered"]!, { hook: "tracepoint", category: "syscalls", name: "sys_enter_kill" }),
        bpf.attach(tracing.programs["user_entry"]!, { hook: "uprobe", path: file, function: "stage", cookie: 7n }),
        bpf.attach(tracing.programs["user_many"]!, { hook: "uprobe_multi", path: file, places: ["stage"] }),
      ].map(keep);
      const shown = (link: typeof tracepoint) => json("link", "show", "id", `${link!.info.id}`);
      expect(await shown(tracepoint)).toMatchObject({ type: "perf_event", tracepoint: "sys_enter_kill" });
      expect(await shown(uprobe)).toMatchObject({ type: "perf_event", retprobe: false, file, offset: 0xe8, cookie: 7 });
      expect(await shown(several)).toMatchObject({ type: "uprobe_multi", retprobe: false, path: file, func_cnt: 1 });
    });
  });

  it("names the capability that is missing, and tries nothing", () => {
    const root = join(linuxTestdata, "../../..");
    const node = [
      process.execPath,
      "--conditions=skep-source",
      "--import",
      "tsx",
      join(root, "packages/cli/src/main.ts"),
    ];
    const drop = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    const run = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync("setpriv", [...drop, ...node, ...args], {
        cwd: root,
        encoding: "utf8",
      });
      return { status, stdout, stderr };
    };
    expect(run("prog", "list")).toEqual({
      status: 2,
      stdout: "",
      stderr: "skep: listing every program needs CAP_SYS_ADMIN\n",
    });
  });

  it("closes what it opens", async () => {
    const before = openDescriptors();
    await json("prog", "list");
    await json("map", "dump", "pinned", lab.map("flows"));
    await skep("map", "lookup", "pinned", lab.map("flows"), "key", "wrong=1");
    expect(openDescriptors()).toBe(before);
  });
});
