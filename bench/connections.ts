// New connections through services, by the socket's hooks and by tc, beside kube-proxy's rules (iptables, nftables maps) for as many services and
// connections without a service; what changing one service and all costs; throughput between workloads beside plain routing.
//   npm run bench -- connections [SIZES]    (default "10 100 1000 10000"; CONNECTIONS=4000 ROUNDS=3)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { World } from "@skep/control";
import { openDatapath } from "@skep/datapath";
import { openLinux, unmountPins } from "@skep/linux";
import { parsePrefix, type Prefix } from "@skep/net";
import { endPeers, Ground, type Line, peers, PEERS, PORT } from "./_connections.ts";
import { median, print } from "./_lines.ts";
import { documentsOf, serviceText } from "./_many.ts";
import { needRoot, output, root, Samples, withFolder } from "./_setup.ts";

const SIZES = (process.argv[2] ?? "10 100 1000 10000").split(" ").map(Number);
const CONNECTIONS = Number(process.env["CONNECTIONS"] ?? 4000);
const ROUNDS = Number(process.env["ROUNDS"] ?? 3);
const BENCH = "connections";

needRoot(BENCH);
if (!existsSync(join(PEERS, "conn.c"))) {
  console.error(`the server and the peers' rules are not there (${PEERS}): nothing is measured`);
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    stop.abort();
    void endPeers();
  });

interface Told {
  readonly case: string;
  readonly unit: string;
  readonly skep: number;
  readonly peer?: number | undefined;
  readonly peerName?: string;
}

function tell({ peer, peerName, ...line }: Told): void {
  print({ bench: BENCH, ...line, peer: peer ?? null, peerName: peer === undefined ? null : (peerName ?? null) });
}

const middle = (values: readonly number[]): number | undefined => (values.length === 0 ? undefined : median(values));

function compare(samples: Samples, size: number, rules: readonly Line[]): void {
  const of = (mode: string, pick: (line: Line) => number | undefined): number | undefined =>
    middle(
      rules.flatMap((line) =>
        line.mode === mode && line.test === "rate" && line.which !== "first" ? (pick(line) ?? []) : [],
      ),
    );
  const figures = [
    ["connect, p50", "us", "p50", (line: Line) => line.us_p50],
    ["connect, p99", "us", "p99", (line: Line) => line.us_p99],
    ["new connections", "a second", "rate", (line: Line) => line.per_s],
  ] as const;
  for (const [name, unit, key, pick] of figures) {
    tell({
      case: `${size} services, none: ${name}`,
      unit,
      skep: median(samples.of(`none ${key}`)),
      peer: of("direct", pick),
      peerName: "no rules",
    });
    for (const by of ["socket", "tc"] as const)
      for (const [mode, peerName] of [
        ["legacy", "iptables"],
        ["nft", "nftables maps"],
      ] as const) {
        const skep = median(samples.of(`${by} ${key}`));
        tell({ case: `${size} services, ${by}: ${name}`, unit, skep, peer: of(mode, pick), peerName });
      }
    for (const [by, plain] of [
      ["socket", "none"],
      ["tc", "none beside tc"],
    ] as const)
      tell({
        ...{ case: `${size} services, ${by}: ${name}`, unit, skep: median(samples.of(`${by} ${key}`)) },
        ...{ peer: median(samples.of(`${plain} ${key}`)), peerName: "the same without a service" },
      });
  }
}

/** Of each of our own kinds in a round, with another first in each: drift of the machine meets all. */
const TURNS = 3;

/** Signals are heard. */
async function breathe(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  stop.signal.throwIfAborted();
}

async function turn(ground: Ground, address: string, { at, samples }: { at: number; samples: Samples }): Promise<void> {
  const servers = { addresses: ground.servers.map((server) => server.address), port: PORT, count: CONNECTIONS };
  const service = { addresses: [address], port: 80, count: CONNECTIONS };
  const kinds = [
    ["none", "socket", servers],
    ["socket", "socket", service],
    ["tc", "tc", service],
    ["none beside tc", "tc", servers],
  ] as const;
  for (const [name, by, to] of [...kinds.slice(at % kinds.length), ...kinds.slice(0, at % kinds.length)]) {
    await breathe();
    const line = ground.rate(by, to);
    samples.add(`${name} p50`, line.us_p50 ?? Number.NaN);
    samples.add(`${name} p99`, line.us_p99 ?? Number.NaN);
    samples.add(`${name} rate`, line.per_s ?? Number.NaN);
  }
  samples.add(
    "program, none",
    ground.connectNanoseconds(() => ground.rate("socket", servers)),
  );
  samples.add(
    "program, socket",
    ground.connectNanoseconds(() => ground.rate("socket", service)),
  );
}

async function connections(ground: Ground, size: number): Promise<Line[]> {
  const address = await ground.services(size);
  const samples = new Samples();
  for (let at = 0; at < ROUNDS * TURNS; at++) await turn(ground, address, { at, samples });
  const rules = await peers(size, { connections: CONNECTIONS, rounds: ROUNDS });
  compare(samples, size, rules);
  tell({
    case: `${size} services: the program at connect(), beside one that finds no service`,
    unit: "ns",
    skep: median(samples.of("program, socket")),
    peer: median(samples.of("program, none")),
    peerName: "no service found",
  });
  return rules;
}

// ---- what a change costs ----

function prefix(text: string): Prefix {
  const found = parsePrefix(text);
  if (!found) throw new Error(`${text} is no prefix`);
  return found;
}

/** From the text of the document to the kernel's maps. */
function updates(folder: string, size: number, rules: readonly Line[]): void {
  const machine = openLinux({ runFolder: folder });
  const pins = join(folder, "bpf");
  const { mountPoint } = machine.bpf.preparePins(pins) as { mountPoint?: string };
  const name = `skep-bench-${process.pid}-updates`;
  const datapath = openDatapath(machine, { pins, cgroup: machine.processes.createCgroup(name).path });
  try {
    const world = new World({
      podCidr: prefix("10.244.0.0/16"),
      serviceCidr: prefix("10.96.0.0/14"),
      nodeName: "bench",
    });
    for (const [file, text] of documentsOf({ services: size, identities: 0, endpoints: 0 }))
      world.applyFile(file, text);
    world.settle();
    const started = performance.now();
    world.loadBalancerChanges();
    datapath.replaceLoadBalancer(world.loadBalancerRows());
    const all = performance.now() - started;
    const one = Array.from({ length: 40 }, (_, at) => {
      const text = serviceText(size + at, ["10.100.200.1", "10.100.200.2", "10.100.200.3"]);
      const before = performance.now();
      world.applyFile(`one-${at}.yaml`, text);
      world.settle();
      for (const change of world.loadBalancerChanges()) datapath.syncLoadBalancer(change);
      return performance.now() - before;
    });
    for (const [mode, peerName] of [
      ["legacy", "iptables-restore"],
      ["nft", "nft -f"],
    ] as const) {
      const line = rules.find((each) => each.mode === mode && each.test === "update");
      tell({ case: `${size} services: one more`, unit: "ms", skep: median(one), peer: line?.add_one_ms, peerName });
      tell({ case: `${size} services: all`, unit: "ms", skep: all, peer: line?.full_ms, peerName });
    }
  } finally {
    datapath.destroy();
    if (mountPoint !== undefined) unmountPins(mountPoint);
    spawnSync("rmdir", [join(machine.processes.cgroupRoot, name)]);
  }
}

async function measure(ground: Ground, folder: string): Promise<void> {
  const plain: number[] = [];
  const ours: number[] = [];
  for (const size of SIZES) {
    const rules = await connections(ground, size);
    plain.push(...rules.flatMap((line) => (line.mode === "direct" ? (line.gbps ?? []) : [])));
    for (let at = 0; at < ROUNDS; at++) ours.push(ground.throughput());
    stop.signal.throwIfAborted();
    const own = join(folder, `updates-${size}`);
    mkdirSync(own);
    updates(own, size, rules);
    await breathe();
  }
  tell({
    ...{ case: "workload to workload, iperf3", unit: "Gbit/s", skep: median(ours) },
    ...{ peer: middle(plain), peerName: "plain routing" },
  });
}

await withFolder(async (folder) => {
  const [server, client] = [join(folder, "conn"), join(folder, "connect")];
  output("cc", ["-O2", "-w", join(PEERS, "conn.c"), "-o", server]);
  output("cc", ["-O2", "-Wall", join(root, "bench/twins/connect.c"), "-o", client]);
  const place = join(folder, "ground");
  mkdirSync(place);
  const ground = new Ground(place, { server, client }, stop.signal);
  try {
    await ground.open();
    await measure(ground, folder);
  } catch (error) {
    if (!stop.signal.aborted) {
      console.error(`the agent's log:\n${ground.log}`);
      throw error;
    }
    process.exitCode = 130;
  } finally {
    await endPeers();
    await ground.close();
  }
});
