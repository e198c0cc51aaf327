/**
 * @module
 * Runs with fewer capabilities: calls every public entry point that needs one, and prints the outcomes by name.
 */
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exit, mov64, r0 } from "@skep/isa";
import type { AttachTarget } from "@skep/machine";
import {
  enableStatistics,
  features,
  ids,
  LinuxBpf,
  linkById,
  mapById,
  netlink,
  openNet,
  openTun,
  programById,
  programCode,
  type LinuxProgram,
} from "../src/index.ts";
import { currentPrivilege, missingCapabilities } from "../src/bpf/capabilities.ts";
import { mapSpec, objectSpec } from "../src/bpf/testing.ts";

const bpf = new LinuxBpf();
const folder = mkdtempSync(join(tmpdir(), "skep-unprivileged-"));
const net = openNet({ run: folder });
const program = (type: string) => objectSpec([{ name: "small", type, code: [mov64(r0, 1), exit()] }]);

type Closable = { close(): void } | boolean | string | null | readonly unknown[] | void;

function outcome(run: () => Closable): string {
  try {
    const made = run();
    if (typeof made === "object" && made !== null && "close" in made) made.close();
    return "done";
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

const withSocket = (run: (socket: netlink.NetlinkSocket) => Closable) => (): Closable => {
  const socket = netlink.NetlinkSocket.open();
  try {
    return run(socket);
  } finally {
    socket.close();
  }
};

const bpfEntries: Readonly<Record<string, () => Closable>> = {
  map: () => bpf.createMap(mapSpec("plain", "hash")),
  "load socket_filter": () => bpf.load(program("socket_filter")),
  "load xdp": () => bpf.load(program("xdp")),
  "load kprobe": () => bpf.load(program("kprobe")),
  ids: () => [...ids("map")],
  mapById: () => mapById(1),
  programById: () => programById(1),
  linkById: () => linkById(1),
  statistics: () => enableStatistics(),
  "feature map": () => features.mapType("hash"),
  "feature flag": () => features.mapFlag("mmapable"),
  "feature program": () => features.programType("xdp"),
  "feature helper": () => features.helper("kprobe", "probe_read_kernel"),
  "feature link": () => features.linkType("tcx"),
  query: () => bpf.query({ hook: "tcx", interface: 1, direction: "ingress" }).programs,
};

const none = { address: { family: 4 as const, bytes: Uint8Array.of(192, 0, 2, 1) }, length: 32 };

/** Only without CAP_NET_ADMIN: with it they would change this machine. */
const networkEntries: Readonly<Record<string, () => Closable>> = {
  pins: () => bpf.preparePins(join(folder, "pins")).mountPoint,
  namespace: () => net.createNamespace("none").name,
  "set up": () => net.host.setUp(1, true),
  tun: () => openTun({ mode: "tun", name: "skepnone0" }),
  "list links": withSocket((socket) => netlink.listLinks(socket)),
  "create link": withSocket((socket) => netlink.createLink(socket, { kind: "bridge", name: "skepnone1" })),
  "add address": withSocket((socket) => netlink.addAddress(socket, { index: 1, prefix: none })),
  "add route": withSocket((socket) => netlink.addRoute(socket, { destination: none, interface: 1 })),
  "add rule": withSocket((socket) => netlink.addRule(socket, { family: 4, table: 4321, priority: 4321 })),
  "add qdisc": withSocket((socket) => netlink.addQdisc(socket, { index: 1, kind: "clsact" })),
};

/** Hooks, tried with a program that belongs to none of them: the capability is asked for first. */
const targets: readonly AttachTarget[] = [
  { hook: "tcx", interface: 1, direction: "ingress" },
  { hook: "netkit", interface: 1 },
  { hook: "xdp", interface: 1 },
  { hook: "cgroup", path: "/", attachType: "cgroup_inet_egress" },
  { hook: "netfilter", family: 4, point: "input", priority: 1 },
  { hook: "sk_lookup" },
  { hook: "flow_dissector" },
  { hook: "raw_tracepoint", name: "sys_enter" },
  { hook: "tracing" },
  { hook: "tracepoint", category: "syscalls", name: "sys_enter_kill" },
  { hook: "kprobe", function: "vfs_read" },
  { hook: "kprobe_multi", functions: ["vfs_read"] },
  { hook: "uprobe", path: process.execPath, offset: 64 },
  { hook: "uprobe_multi", path: process.execPath, places: [64] },
  { hook: "usdt", path: process.execPath, provider: "none", name: "none" },
  { hook: "perf_event", event: { event: "cpu_clock", sample: { frequency: 1 } } },
  { hook: "iterator" },
];

function attaching(small: LinuxProgram): Record<string, string> {
  const each = targets.map((target) => [`attach ${target.hook}`, outcome(() => bpf.attach(small, target))] as const);
  return { code: outcome(() => void programCode(small)), ...Object.fromEntries(each) };
}

const isHarmless = missingCapabilities(["CAP_NET_ADMIN"], currentPrivilege()).length > 0;
const entries = { ...bpfEntries, ...(isHarmless ? networkEntries : {}) };
const results = Object.fromEntries(Object.entries(entries).map(([name, run]) => [name, outcome(run)]));
if (results["load socket_filter"] === "done") {
  const collection = bpf.load(program("socket_filter"));
  if (collection.programs["small"]) Object.assign(results, attaching(collection.programs["small"]));
  collection.close();
}
rmdirSync(folder);
console.log(JSON.stringify(results));
