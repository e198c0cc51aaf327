/**
 * @module
 * One round of opening and closing everything that the package opens, and what must not grow from round to round.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AttachTarget } from "@skep/machine";
import { readObject, type ObjectSpec } from "@skep/object";
import { loadBtf, reducedTypes } from "../src/bpf/btf-load.ts";
import {
  btfById,
  enableStatistics,
  features,
  ids,
  LinuxBpf,
  mapById,
  programById,
  programCode,
  readIterator,
  unmountPins,
  type LinuxCollection,
} from "../src/bpf/index.ts";
import { everyMap } from "./every-map.ts";
import { openNet, openTun, type LinuxNet } from "../src/net/index.ts";
import { removeTestFolder, testFolder, testName } from "../src/net/testing.ts";
import {
  findFamily,
  listAddresses,
  listLinks,
  listRoutes,
  listRules,
  listSockets,
  NetlinkSocket,
  protocols,
  watchNetwork,
} from "../src/netlink/index.ts";
import { openProcesses } from "../src/processes/index.ts";
import { inNamespace, liveMappings, openDescriptors } from "../src/sys/index.ts";

const objects = [
  "maps",
  "tc",
  "xdp",
  "socket",
  "cgroup",
  "tracing",
  "iterators",
  "struct_ops",
  "arena",
  "usdt",
] as const;
type ObjectName = (typeof objects)[number];

const libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/usr/lib/libc.so.6"].find(
  (path) => existsSync(path),
);

/** Programs that this kernel may refuse as a matter of policy or build, and one that wants a target. */
const refusable = /^(function_|file_open|socket_create|replace_pass|timestamp|user_session)/;

type Part = (soak: Soak) => void | Promise<void>;

/** What is opened and closed, by name: how many each round. */
export interface Counts {
  [what: string]: number;
}

export class Soak {
  readonly counts: Counts = {};
  readonly bpf: LinuxBpf;
  readonly net: LinuxNet;
  readonly run: string;
  readonly #specs = new Map<ObjectName, ObjectSpec>();
  #kept: { close(): void }[] = [];
  #rounds = 0;

  constructor() {
    this.run = testFolder("soak");
    this.net = openNet({ run: this.run });
    this.bpf = new LinuxBpf();
    for (const name of objects) {
      const file = fileURLToPath(new URL(`../testdata/${name}.o`, import.meta.url));
      this.#specs.set(name, readObject(readFileSync(file)));
    }
  }

  get rounds(): number {
    return this.#rounds;
  }

  spec(name: ObjectName): ObjectSpec {
    const spec = this.#specs.get(name);
    if (!spec) throw new Error(`no object ${name}`);
    return spec;
  }

  keep<T extends { close(): void }>(what: string, thing: T): T {
    this.count(what);
    this.#kept.push(thing);
    return thing;
  }

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  load(name: ObjectName, programs?: readonly string[]): LinuxCollection {
    const collection = this.bpf.load(this.spec(name), programs ? { programs } : {});
    this.count("programs", Object.keys(collection.programs).length);
    this.count("maps", Object.keys(collection.maps).length);
    this.#kept.push(collection);
    return collection;
  }

  /** Loads one program of an object and attaches it. */
  attach(object: ObjectName, program: string, target: AttachTarget): void {
    const loaded = this.load(object, [program]).programs[program];
    if (!loaded) throw new Error(`no program ${program}`);
    this.keep(`links (${target.hook})`, this.bpf.attach(loaded, target));
  }

  async round(): Promise<void> {
    for (const part of parts) {
      try {
        await part(this);
      } finally {
        for (const each of this.#kept.splice(0).reverse()) each.close();
      }
    }
    this.#rounds++;
    // Handles of the event loop end in its next turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  close(): void {
    removeTestFolder(this.run);
  }
}

const parts: readonly Part[] = [
  maps,
  programs,
  rings,
  networkLinks,
  traceLinks,
  otherLinks,
  pins,
  types,
  sockets,
  namespaces,
  cgroups,
];

function maps(soak: Soak): void {
  for (const map of everyMap(soak.bpf)) soak.keep("maps", map);
  const hash = soak.keep("maps", soak.bpf.createMap(plainHash));
  const rows = Array.from({ length: 200 }, (_, at) => [u32(at), new Uint8Array(8)] as const);
  hash.setAll(rows);
  if ([...hash.entries()].length !== rows.length) throw new Error("entries are missing");
  hash.deleteAll(rows.map(([key]) => key));
  soak.keep("maps", hash.duplicate());
}

function programs(soak: Soak): void {
  for (const name of ["tc", "xdp", "socket", "cgroup", "arena"] as const) {
    const names = Object.keys(soak.spec(name).programs).filter((each) => !refusable.test(each));
    soak.load(name, names);
  }
  const { programs: loaded } = soak.load("xdp", ["pass"]);
  const program = loaded["pass"];
  if (!program) throw new Error("no program");
  program.test({ data: new Uint8Array(64), repeat: 10 });
  programCode(program);
  soak.keep("programs", programById(program.info.id) ?? { close: () => undefined });
  soak.keep("statistics", enableStatistics());
  // A probe loads programs and makes maps; what it found is kept, so this is a real one in the first round alone.
  features.mapType("hash");
}

function rings(soak: Soak): void {
  const { maps: all, programs: loaded } = soak.load("maps", ["emit", "use"]);
  const context = new Uint8Array(16);
  new DataView(context.buffer).setUint32(8, 50, true);
  let seen = 0;
  const ring = all["ring"];
  if (!ring) throw new Error("no ring");
  const reader = soak.keep(
    "ring readers",
    ring.readRingInPlace(() => seen++),
  );
  reader.start();
  loaded["emit"]?.test({ context });
  reader.drain();
  reader.stop?.();
  if (seen !== 50) throw new Error(`${seen} records instead of 50`);
  const perf = all["perf"];
  const writer = all["orders"];
  const mapped = all["mapped"];
  if (!perf || !writer || !mapped) throw new Error("maps are missing");
  const perfReader = soak.keep(
    "perf readers",
    perf.readRing(() => undefined),
  );
  perfReader.start();
  perfReader.drain();
  soak.keep("user ring writers", writer.writeRing()).write(new Uint8Array(8));
  soak.keep("mappings", mapped.mmap());
}

function networkLinks(soak: Soak): void {
  const space = soak.net.createNamespace("links");
  soak.count("namespaces");
  const inside = new LinuxBpf({ netns: space.path });
  const attach = (object: ObjectName, program: string, target: AttachTarget): void => {
    const loaded = soak.load(object, [program]).programs[program];
    if (loaded) soak.keep(`links (${target.hook})`, inside.attach(loaded, target));
  };
  try {
    attach("tc", "see", { hook: "tcx", interface: 1, direction: "ingress" });
    attach("tc", "see", { hook: "tcx", interface: 1, direction: "egress" });
    attach("xdp", "pass", { hook: "xdp", interface: 1, mode: "generic" });
    attach("socket", "hook", { hook: "netfilter", family: 4, point: "input", priority: 1 });
    attach("socket", "any_port", { hook: "sk_lookup" });
    attach("socket", "dissect", { hook: "flow_dissector" });
    inside.query({ hook: "tcx", interface: 1, direction: "ingress" });
  } finally {
    soak.net.deleteNamespace("links");
  }
}

function traceLinks(soak: Soak): void {
  soak.attach("tracing", "raw", { hook: "raw_tracepoint", name: "sys_enter" });
  soak.attach("tracing", "executed", { hook: "tracing" });
  soak.attach("tracing", "entered", { hook: "tracepoint", category: "syscalls", name: "sys_enter_kill" });
  soak.attach("tracing", "sample", {
    hook: "perf_event",
    event: { event: "cpu_clock", sample: { frequency: 10 } },
  });
  if (!libc) return;
  soak.attach("tracing", "user_entry", { hook: "uprobe", path: libc, function: "getenv" });
  soak.attach("tracing", "user_many", { hook: "uprobe_multi", path: libc, places: ["getenv", "setenv"] });
}

function otherLinks(soak: Soak): void {
  const { programs: loaded } = soak.load("iterators", ["tasks"]);
  const tasks = loaded["tasks"];
  if (tasks) readIterator(soak.keep("links (iterator)", soak.bpf.attach(tasks, { hook: "iterator" })));
  const ops = soak.load("struct_ops", ["ssthresh", "cong_avoid", "undo_cwnd"]);
  const steady = ops.maps["steady"];
  if (steady) soak.keep("links (struct_ops)", soak.bpf.attachStructOps(steady));
  const sock = soak.load("socket", ["to_end"]);
  const [program, ends] = [sock.programs["to_end"], sock.maps["ends"]];
  if (program && ends) soak.keep("links (sockmap)", soak.bpf.attach(program, { hook: "sockmap", map: ends }));
}

function pins(soak: Soak): void {
  const folder = join(soak.run, "pins");
  const { mountPoint } = soak.bpf.preparePins(folder);
  soak.count("mounts");
  try {
    const map = soak.keep("maps", soak.bpf.createMap(plainHash));
    map.pin(join(folder, "map"));
    const { programs: loaded } = soak.load("tracing", ["raw"]);
    const raw = loaded["raw"];
    if (!raw) throw new Error("no program");
    raw.pin(join(folder, "program"));
    const link = soak.keep("links", soak.bpf.attach(raw, { hook: "raw_tracepoint", name: "sys_enter" }));
    link.pin(join(folder, "link"));
    for (const opened of [
      soak.bpf.openMap(join(folder, "map")),
      soak.bpf.openProgram(join(folder, "program")),
      soak.bpf.openLink(join(folder, "link")),
    ]) {
      if (!opened) throw new Error("a pin is not there");
      soak.keep("pins", opened);
    }
  } finally {
    soak.bpf.removePins(folder);
    if (mountPoint !== undefined) unmountPins(mountPoint);
  }
}

function types(soak: Soak): void {
  const spec = soak.spec("maps");
  const all = { func: true, globalFunc: true, datasec: true, questionMark: true } as const;
  const rest = { float: true, declTag: true, typeTag: true, enum64: true } as const;
  soak.keep("types", loadBtf(reducedTypes(spec, [], { ...all, ...rest }).btf));
  const hash = soak.keep("maps", soak.bpf.createMap(plainHash));
  soak.keep("maps", mapById(hash.info.id) ?? { close: () => undefined });
  const { programs: loaded } = soak.load("tc", ["see"]);
  const program = loaded["see"];
  if (program) btfById(program.info.btfId);
  for (const kind of ["map", "program", "link", "btf"] as const) soak.count("ids", [...ids(kind)].length);
}

function sockets(soak: Soak): void {
  const route = soak.keep("netlink sockets", NetlinkSocket.open());
  for (const list of [listLinks, listAddresses, listRoutes, listRules]) list(route);
  const generic = soak.keep("netlink sockets", NetlinkSocket.open(protocols.generic));
  findFamily(generic, "nlctrl");
  const diag = soak.keep("netlink sockets", NetlinkSocket.open(protocols.sockDiag));
  listSockets(diag, { family: 4, protocol: "tcp" });
  const ignore = (): void => undefined;
  soak.keep("network watches", watchNetwork(["links", "routes"], ignore, ignore));
}

function namespaces(soak: Soak): void {
  const [left, right] = [soak.net.createNamespace("left"), soak.net.createNamespace("right")];
  soak.count("namespaces", 2);
  try {
    const { host, peer } = left.createVeth("a", { namespace: right, name: "b" });
    left.setUp(host.index, true);
    left.addAddress(host.index, { address: { family: 4, bytes: Uint8Array.of(10, 9, 0, 1) }, length: 24 });
    right.setUp(peer.index, true);
    left.routes();
    soak.keep(
      "tun devices",
      inNamespace(right.path, () => openTun({ mode: "tap", name: "tap0" })),
    );
  } finally {
    for (const name of ["left", "right"]) soak.net.deleteNamespace(name);
  }
}

async function cgroups(soak: Soak): Promise<void> {
  const processes = openProcesses();
  const name = testName("soak");
  const { path } = processes.createCgroup(name);
  soak.count("cgroups");
  try {
    for (const program of ["connect4", "egress", "device", "sysctl", "socket_events"])
      soak.attach("cgroup", program, { hook: "cgroup", path });
  } finally {
    await processes.deleteCgroup(name);
  }
}

const plainHash = {
  ...{ name: "soak", type: "hash", keySize: 4, valueSize: 8, maxEntries: 256, flags: 0 },
  pinning: "none",
} as const;

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

export interface Sample {
  readonly round: number;
  /** Entries of /proc/self/fd. */
  readonly descriptors: number;
  /** Those that the library counts itself. */
  readonly owned: number;
  readonly mappings: number;
  /** Mounts below the folder of the soak. */
  readonly mounts: number;
  /** Bytes. */
  readonly resident: number;
  readonly heap: number;
}

export function sample(soak: Soak): Sample {
  const { rss, heapUsed } = process.memoryUsage();
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return {
    round: soak.rounds,
    descriptors: readdirSync("/proc/self/fd").length,
    owned: openDescriptors(),
    mappings: liveMappings(),
    mounts: mounts.filter((line) => line.includes(soak.run)).length,
    resident: rss,
    heap: heapUsed,
  };
}
