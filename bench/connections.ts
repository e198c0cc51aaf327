// New connections through services, by the socket's hooks and by tc, beside kube-proxy's rules (iptables, nftables maps) for as many services and
// connections without a service; what changing one service and all costs; throughput between workloads beside plain routing. All are open at the
// same time and take turns in small blocks.
//   npm run bench -- connections [SIZES] [PARTS]    (default "10 100 1000 10000" "connect iperf3 updates"; CONNECTIONS=200 ROUNDS=80)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { World } from "@skep/control";
import { openDatapath } from "@skep/datapath";
import { openLinux, unmountPins } from "@skep/linux";
import { parsePrefix, type Prefix } from "@skep/net";
import { type Block, type By, Ground, PeerGround, PEERS, type Place, type Rules, type Update } from "./_connections.ts";
import { median, print } from "./_lines.ts";
import { documentsOf, serviceText } from "./_many.ts";
import { Rounds, shuffled } from "./_paired.ts";
import { needRoot, output, root, withFolder } from "./_setup.ts";

const SIZES = (process.argv[2] ?? "10 100 1000 10000").split(" ").map(Number);
const PARTS = (process.argv[3] ?? "connect iperf3 updates").split(" ");
const CONNECTIONS = Number(process.env["CONNECTIONS"] ?? 200);
const ROUNDS = Number(process.env["ROUNDS"] ?? 80);
/** Runs of `iperf3` of each kind. */
const BULK_ROUNDS = 16;
const BULK_BYTES = "512M";
/** Rounds in which the kernel counts the programs' time. */
const COUNTED_ROUNDS = 15;
const BENCH = "connections";

needRoot(BENCH);
if (!existsSync(join(PEERS, "conn.c"))) {
  console.error(`the server and the peers' rules are not there (${PEERS}): nothing is measured`);
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());

/** Signals are heard. */
async function breathe(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  stop.signal.throwIfAborted();
}

let drawn = 1;
/** The same order in every run (a linear congruential generator). */
function next(): number {
  drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0;
  return drawn / 2 ** 32;
}

// ---- new connections ----

type Group = "none" | "one" | "many";
const kindOf = (size: number, by: By, group: Group): string => `${size} ${by} ${group}`;
const peerKind = ({ rules, size }: Pick<PeerGround, "rules" | "size">): string => `${rules} ${size}`;
const FIGURES = ["us_p50", "us_cpu"] as const;
type Figure = (typeof FIGURES)[number];

interface Kind {
  readonly name: string;
  readonly block: () => Promise<Block>;
}

function kindsOf(grounds: readonly Ground[], peers: readonly PeerGround[]): Kind[] {
  const ours = grounds.flatMap((ground) =>
    (["socket", "tc"] as const).flatMap((by) =>
      (["none", "one", "many"] as const).map((group) => ({
        name: kindOf(ground.size, by, group),
        block: () => ground.block(by, group, CONNECTIONS),
      })),
    ),
  );
  return [...ours, ...peers.map((peer) => ({ name: peerKind(peer), block: () => peer.block(CONNECTIONS) }))];
}

type Measured = Readonly<Record<Figure, Rounds>>;

async function takeTurns(kinds: readonly Kind[]): Promise<Measured> {
  const rounds: Measured = { us_p50: new Rounds(), us_cpu: new Rounds() };
  for (const { block } of kinds) await block();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, block } of shuffled(kinds, next)) {
      const line = await block();
      for (const figure of FIGURES) rounds[figure].add(name, line[figure]);
    }
    await breathe();
  }
  return rounds;
}

const UNITS: Readonly<Record<Figure, readonly [string, string]>> = {
  us_p50: ["connect, p50", "us"],
  us_cpu: ["a connection, processor", "us"],
};

function compare(rounds: Measured, sizes: readonly number[]): void {
  const [fewest = 0] = sizes;
  const tell = (about: string, ours: string, theirs: readonly [string, string]): void => {
    for (const figure of FIGURES) {
      const [peer, peerName] = theirs;
      const measured = rounds[figure];
      if (!measured.has(peer)) continue;
      const [name, unit] = UNITS[figure];
      const line = { bench: BENCH, case: `${about}: ${name}`, unit, skep: measured.median(ours), peerName };
      print({ ...line, peer: measured.median(peer) }, measured.ratio(ours, peer));
    }
  };
  for (const size of sizes)
    for (const by of ["socket", "tc"] as const)
      for (const group of ["one", "many"] as const) {
        const ours = kindOf(size, by, group);
        const about = `${size} services, ${by}, to ${group === "one" ? "the last" : "any"}`;
        tell(about, ours, [kindOf(size, by, "none"), "without a service"]);
        if (size !== fewest) tell(about, ours, [kindOf(fewest, by, group), `with ${fewest} services`]);
        if (group === "many") continue;
        tell(about, ours, [`iptables ${size}`, "iptables"]);
        tell(about, ours, [`nftables ${size}`, "nftables maps"]);
        tell(about, ours, ["none 1", "plain routing, no service"]);
      }
}

/** Of the program at connect(), by the kernel's own count. */
async function countPrograms(grounds: readonly Ground[]): Promise<void> {
  const rounds = new Rounds();
  for (let round = 0; round < COUNTED_ROUNDS; round++) {
    for (const ground of shuffled(grounds, next))
      for (const group of ["none", "one", "many"] as const) {
        const run = (): Promise<Block> => ground.block("socket", group, CONNECTIONS);
        rounds.add(kindOf(ground.size, "socket", group), await ground.connectNanoseconds(run));
      }
    await breathe();
  }
  for (const { size } of grounds)
    for (const group of ["one", "many"] as const) {
      const [ours, none] = [kindOf(size, "socket", group), kindOf(size, "socket", "none")];
      const about = `${size} services: the program at connect(), to ${group === "one" ? "the last" : "any"}`;
      const line = { bench: BENCH, case: about, unit: "ns", skep: rounds.median(ours), peerName: "no service found" };
      print({ ...line, peer: rounds.median(none) }, rounds.ratio(ours, none));
    }
}

// ---- throughput ----

async function throughput(ground: Ground, plain: PeerGround): Promise<void> {
  const [gbps, cpu] = [new Rounds(), new Rounds()];
  for (const each of [ground, plain]) each.bulk("64M");
  for (let round = 0; round < BULK_ROUNDS; round++) {
    for (const [name, each] of shuffled([["skep", ground] as const, ["plain", plain] as const], next)) {
      const run = each.bulk(BULK_BYTES);
      gbps.add(name, run.gbps);
      cpu.add(name, run.cpuMs);
    }
    await breathe();
  }
  for (const [rounds, name, unit] of [
    [gbps, "throughput", "Gbit/s"],
    [cpu, "processor of both ends", "ms a GB"],
  ] as const) {
    const line = { bench: BENCH, case: `workload to workload, iperf3: ${name}`, unit, peerName: "plain routing" };
    print({ ...line, skep: rounds.median("skep"), peer: rounds.median("plain") }, rounds.ratio("skep", "plain"));
  }
}

// ---- what a change costs ----

function prefix(text: string): Prefix {
  const found = parsePrefix(text);
  if (!found) throw new Error(`${text} is no prefix`);
  return found;
}

type Updates = ReadonlyMap<string, Update>;

/** From the text of the document to the kernel's maps. */
function updates(folder: string, size: number, peers: Updates): void {
  mkdirSync(folder);
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
    for (const [rules, peerName] of [
      ["iptables", "iptables-restore"],
      ["nftables", "nft -f"],
    ] as const) {
      const peer = peers.get(`${rules} ${size}`);
      const line = { bench: BENCH, unit: "ms", peerName };
      print({ ...line, case: `${size} services: one more`, skep: median(one), peer: peer?.one ?? null });
      print({ ...line, case: `${size} services: all`, skep: all, peer: peer?.all ?? null });
    }
  } finally {
    datapath.destroy();
    if (mountPoint !== undefined) unmountPins(mountPoint);
    spawnSync("rmdir", [join(machine.processes.cgroupRoot, name)]);
  }
}

// ---- the whole ----

/** What was opened is closed in the end, whatever happened. */
class Opened {
  readonly grounds: Ground[] = [];
  readonly peers: PeerGround[] = [];
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  #placeOf(name: string): Place {
    return { ...this.#place, folder: join(this.#place.folder, name) };
  }

  /** All at the same time. */
  async openGrounds(sizes: readonly number[]): Promise<void> {
    for (const size of sizes) this.grounds.push(new Ground(size, this.#placeOf(`ground-${size}`)));
    const failed = (await Promise.allSettled(this.grounds.map((each) => each.open()))).find(
      (each) => each.status === "rejected",
    );
    if (failed) throw failed.reason;
  }

  async openPeer(rules: Rules, size: number): Promise<PeerGround> {
    const peer = new PeerGround(rules, size, this.#placeOf(`${rules}-${size}`));
    this.peers.push(peer);
    await peer.open();
    return peer;
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.close();
    for (const ground of this.grounds) await ground.close();
  }
}

async function measure(opened: Opened, folder: string): Promise<void> {
  const plain = await opened.openPeer("none", 1);
  const loaded = new Map<string, Update>();
  const hasPeers = PARTS.includes("connect") || PARTS.includes("updates");
  for (const size of hasPeers ? SIZES : [])
    for (const rules of ["iptables", "nftables"] as const) {
      const peer = await opened.openPeer(rules, size);
      loaded.set(peerKind(peer), peer.load());
      await breathe();
    }
  if (PARTS.includes("updates")) for (const size of SIZES) updates(join(folder, `updates-${size}`), size, loaded);
  if (!PARTS.includes("connect") && !PARTS.includes("iperf3")) return;
  await opened.openGrounds(PARTS.includes("connect") ? SIZES : SIZES.slice(0, 1));
  if (PARTS.includes("connect")) {
    compare(await takeTurns(kindsOf(opened.grounds, opened.peers)), SIZES);
    await countPrograms(opened.grounds);
  }
  const [ground] = opened.grounds;
  if (ground && PARTS.includes("iperf3")) await throughput(ground, plain);
}

await withFolder(async (folder) => {
  const programs = { server: join(folder, "conn"), client: join(folder, "connect") };
  output("cc", ["-O2", "-w", join(PEERS, "conn.c"), "-o", programs.server]);
  output("cc", ["-O2", "-Wall", join(root, "bench/twins/connect.c"), "-o", programs.client]);
  const opened = new Opened({ folder, programs, signal: stop.signal });
  try {
    await measure(opened, folder);
  } catch (error) {
    if (!stop.signal.aborted) {
      for (const ground of opened.grounds) console.error(`the agent's log, ${ground.size} services:\n${ground.log}`);
      throw error;
    }
    process.exitCode = 130;
  } finally {
    await opened.close();
  }
});
