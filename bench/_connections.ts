// Where connections are made: a host with an agent of its own, a client and three servers; and as many of each beside a node with the peers' rules.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { enableStatistics, openLinux, programById, unmountPins } from "@skep/linux";
import { connect } from "../packages/cli/src/client.ts";
import { documentsOf, serviceAddress, serviceText } from "./_many.ts";
import { output, root } from "./_setup.ts";

export const PEERS = join(root, "../shared/peers/kubeproxy");
const READY_MS = 600_000;
/** The clients and the servers share one, as in the peers' recipe; agents and what receives `iperf3` have the other. */
const CPU = "0";
const OTHER_CPU = "1";
const PORT = 8080;
/** Of the servers of `iperf3`. */
const BULK_PORT = 5201;

/** What one block of connections took: at the clock and of the processor, of which softirqs are a part. */
export interface Block {
  readonly bad: number;
  readonly per_s: number;
  readonly us_p50: number;
  readonly us_p99: number;
  readonly us_cpu: number;
}

export interface Programs {
  /** The peers' server, and bench/twins/connect.c. */
  readonly server: string;
  readonly client: string;
}

/** Runs `command` in a network namespace, in a cgroup where one is given. */
function within(netns: string, command: readonly string[], processes?: string): readonly [string, string[]] {
  const inside = ["nsenter", `--net=${netns}`, ...command];
  return processes === undefined
    ? ["env", inside]
    : ["sh", ["-c", 'echo $$ > "$0" && exec "$@"', processes, ...inside]];
}

/** A client that is asked for one block after another. */
class Client {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #name: string;

  constructor(name: string, [command, args]: readonly [string, string[]]) {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    this.#name = name;
    this.#lines = createInterface({ input: child.stdout });
  }

  async block(group: string, count: number): Promise<Block> {
    const gone = new AbortController();
    const line = new Promise<string>((resolve, reject) => {
      this.#lines.once("line", resolve);
      this.#child.once("exit", () => reject(new Error(`${this.#name}: the client is gone`)));
      gone.signal.addEventListener("abort", () => this.#child.removeAllListeners("exit"));
    });
    this.#child.stdin?.write(`${group} ${count}\n`);
    const block = JSON.parse(await line) as Block;
    gone.abort();
    if (block.bad !== 0) throw new Error(`${this.#name}: ${block.bad} of ${count} connections (${group}) failed`);
    return block;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Bytes in a row from one end to another: what a run of `iperf3` took. */
export interface Bulk {
  readonly gbps: number;
  /** Processor time of both ends for a GB, in ms, softirqs that their own system calls ran included. */
  readonly cpuMs: number;
}

interface IperfEnd {
  readonly sum_received: { readonly bits_per_second: number; readonly bytes: number; readonly seconds: number };
  readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number };
}

function bulk(netns: string, address: string, bytes: string): Bulk {
  const args = [`--net=${netns}`, "taskset", "-c", CPU, "iperf3", "-c", address, "-p", `${BULK_PORT}`];
  const { end } = JSON.parse(output("nsenter", [...args, "-n", bytes, "-J"])) as { end: IperfEnd };
  const { host_total, remote_total } = end.cpu_utilization_percent;
  const received = end.sum_received;
  const spent = ((host_total + remote_total) / 100) * received.seconds;
  return { gbps: received.bits_per_second / 1e9, cpuMs: (spent * 1e3) / (received.bytes / 1e9) };
}

const server = ({ server: program }: Programs, address: string): string[] => [
  ...["taskset", "-c", CPU, program, "server", address, `${PORT}`],
];
const bulkServer = (): string[] => ["taskset", "-c", OTHER_CPU, "iperf3", "-s", "-p", `${BULK_PORT}`];
const client = ({ client: program }: Programs, groups: readonly string[]): string[] => [
  ...["taskset", "-c", CPU, program, ...groups],
];

interface Pod {
  readonly address: string;
  readonly netns: string;
  /** Its cgroup's `cgroup.procs`. */
  readonly processes: string;
}

export interface Place {
  readonly folder: string;
  readonly programs: Programs;
  /** Waits for nothing any more. */
  readonly signal: AbortSignal;
  /** The command, where it is not this version's. */
  readonly skep?: string;
}

/** How the client's connections get to a backend: the socket's hooks see processes of the agent's cgroup alone. */
export type By = "socket" | "tc";

/** An agent on a host of its own, with a client and three servers, and as many services as are asked for. */
export class Ground {
  readonly size: number;
  readonly #place: Place;
  readonly #children: ChildProcess[] = [];
  readonly #clients = new Map<By, Client>();
  readonly #machine: ReturnType<typeof openLinux>;
  readonly #host: string;
  readonly #cgroup: string;
  #mountPoint: string | undefined;
  #agent: ChildProcess | undefined;
  #netns = "";
  #client: Pod = { address: "", netns: "", processes: "" };
  #servers: Pod[] = [];

  constructor(size: number, place: Place) {
    this.size = size;
    this.#place = place;
    mkdirSync(place.folder, { recursive: true });
    this.#machine = openLinux({ runFolder: place.folder });
    this.#host = `skep-connections-${process.pid}-${size}`;
    this.#cgroup = `skep-bench-${process.pid}-${size}`;
  }

  get #skep(): string {
    return this.#place.skep ?? join(root, "dist/skep.mjs");
  }

  get #places(): string[] {
    const at = (name: string): string => join(this.#place.folder, name);
    return [
      ...["--run", at("run"), "--state", at("state"), "--pins", at("bpf"), "--cgroup", this.#cgroup],
      ...["--netns", this.#netns],
    ];
  }

  async open(): Promise<void> {
    const { folder, programs } = this.#place;
    this.#netns = this.#machine.net.createNamespace(this.#host).path;
    for (const name of ["run", "policies"]) mkdirSync(join(folder, name), { recursive: true });
    this.#mountPoint = (this.#machine.bpf.preparePins(join(folder, "bpf")) as { mountPoint?: string }).mountPoint;
    const log = openSync(join(folder, "log"), "a");
    const up = [this.#skep, "up", join(folder, "policies"), ...this.#places];
    const args = ["-c", OTHER_CPU, process.execPath, ...up, "--service-cidr", "10.96.0.0/14"];
    this.#agent = spawn("taskset", args, { stdio: ["ignore", log, log] });
    await this.#until(() => this.#answers());
    await this.#makePods();
    // A workload without a process has ended, for the agent.
    this.#start(this.#client, ["sleep", "infinity"]);
    for (const each of this.#servers) {
      this.#start(each, server(programs, "0.0.0.0"));
      this.#start(each, bulkServer());
    }
    this.#writeServices();
    await this.#until(() => this.#reaches(serviceAddress(this.size - 1), 80));
    this.#startClients();
  }

  async #makePods(): Promise<void> {
    const agent = connect(join(this.#place.folder, "run"));
    try {
      for (const name of ["client", "server-1", "server-2", "server-3"]) {
        const { endpoint } = await agent.agent.createEndpoint({ name, namespace: "default", labels: { app: name } });
        if (!endpoint) throw new Error(`no endpoint ${name}`);
        const pod = {
          address: endpoint.ipv4,
          netns: endpoint.netnsPath,
          processes: join(this.#cgroupPath, `default-${name}`, "cgroup.procs"),
        };
        if (name === "client") this.#client = pod;
        else this.#servers.push(pod);
      }
    } finally {
      agent.close();
    }
  }

  async #answers(): Promise<boolean> {
    if (this.#agent?.exitCode !== null) throw new Error(this.log);
    const agent = connect(join(this.#place.folder, "run"));
    try {
      await agent.agent.getStatus({});
      return true;
    } catch {
      return false;
    } finally {
      agent.close();
    }
  }

  async #until(ask: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + READY_MS;
    while (!(await ask())) {
      this.#place.signal.throwIfAborted();
      if (performance.now() > end) throw new Error("the agent does not get there");
      await sleep(200);
    }
  }

  /** The end of what the agent said. */
  get log(): string {
    return readFileSync(join(this.#place.folder, "log"), "utf8").slice(-4000);
  }

  #start({ netns, processes }: Pod, command: readonly string[]): void {
    const [program, args] = within(netns, command, processes);
    this.#children.push(spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] }));
  }

  /** The first half have backends that are not there; those of the others are the servers. */
  #writeServices(): void {
    const folder = join(this.#place.folder, "policies");
    const half = this.size >> 1;
    for (const [name, text] of documentsOf({ services: half, identities: 0, endpoints: 0 }))
      writeFileSync(join(folder, name), text);
    const backends = this.#servers.map(({ address }) => address);
    const served = Array.from({ length: this.size - half }, (_, at) => serviceText(half + at, backends));
    for (let at = 0; at < served.length; at += 100)
      writeFileSync(join(folder, `served-${at}.yaml`), served.slice(at, at + 100).join("---\n"));
  }

  #reaches(address: string, port: number): boolean {
    const args = [`--net=${this.#client.netns}`, "timeout", "2", "bash", "-c", `</dev/tcp/${address}/${port}`];
    return spawnSync("nsenter", args).status === 0;
  }

  #startClients(): void {
    const { netns, processes } = this.#client;
    const half = this.size >> 1;
    const groups = [
      `none=${PORT}:${this.#servers.map(({ address }) => address).join(",")}`,
      `one=80:${serviceAddress(this.size - 1)}`,
      `many=80:${serviceAddress(half)}+${this.size - half}`,
    ];
    const command = client(this.#place.programs, groups);
    this.#clients.set("socket", new Client(`${this.size} services, socket`, within(netns, command, processes)));
    this.#clients.set("tc", new Client(`${this.size} services, tc`, within(netns, command)));
  }

  /** Connections to the servers themselves, each to one at random as a service's are; to the last service; to any of those that are served. */
  block(by: By, group: "none" | "one" | "many", count: number): Promise<Block> {
    const client = this.#clients.get(by);
    if (!client) throw new Error("the ground is not open");
    return client.block(group, count);
  }

  get #cgroupPath(): string {
    return join(this.#machine.processes.cgroupRoot, this.#cgroup);
  }

  /** Nanoseconds that the agent's program at connect() runs, by the kernel's own count, while `run` connects. */
  async connectNanoseconds(
    run: () => Promise<unknown>,
    attachType: "cgroup_inet4_connect" | "cgroup_inet_sock_release" = "cgroup_inet4_connect",
  ): Promise<number> {
    const target = { hook: "cgroup", path: this.#cgroupPath, attachType } as const;
    const [attached] = this.#machine.bpf.query(target).programs;
    const program = attached ? programById(attached.programId) : null;
    if (!program) throw new Error("no program at connect()");
    const counting = enableStatistics();
    try {
      const before = program.refresh();
      await run();
      const after = program.refresh();
      const runs = after.runCount - before.runCount;
      if (runs === 0n) throw new Error("the program at connect() did not run");
      return Number(after.runTime - before.runTime) / Number(runs);
    } finally {
      counting.close();
      program.close();
    }
  }

  bulk(bytes: string): Bulk {
    return bulk(this.#client.netns, this.#servers[0]?.address ?? "", bytes);
  }

  async close(): Promise<void> {
    for (const each of this.#clients.values()) each.kill();
    for (const child of this.#children) child.kill("SIGKILL");
    const agent = this.#agent;
    if (agent && agent.exitCode === null) {
      const gone = new Promise((resolve) => agent.once("exit", resolve));
      agent.kill("SIGTERM");
      await gone;
    }
    spawnSync(process.execPath, [this.#skep, "down", ...this.#places], { stdio: "inherit" });
    if (this.#mountPoint !== undefined) unmountPins(this.#mountPoint);
    this.#machine.net.deleteNamespace(this.#host);
    if (this.#machine.processes.cgroupProcesses(this.#cgroup)) await this.#machine.processes.deleteCgroup(this.#cgroup);
  }
}

// ---- peers ----

export type Rules = "none" | "iptables" | "nftables";

const CLIENT_ADDRESS = "10.244.1.2";
const BACKENDS = ["10.244.9.1", "10.244.9.2", "10.244.9.3"];

/** What loading the peers' rules took, in ms: all of them, and those of one service more (taken out again by nothing). */
export interface Update {
  readonly all: number;
  readonly one: number;
}

/** Of some 700 services each: nft takes several times as long for all at once. */
function piecesOf(text: string): string[] {
  const lines = text.trimEnd().split("\n");
  const size = 9000;
  const starts = Array.from({ length: Math.ceil(lines.length / size) }, (_, at) => at * size);
  return starts.map((start) => `${lines.slice(start, start + size).join("\n")}\n`);
}

/**
 * As the peers' recipe has it: a client, a node with rules and three servers in a namespace each, joined by veth pairs; without rules the node only
 * routes.
 */
export class PeerGround {
  readonly rules: Rules;
  readonly size: number;
  readonly #place: Place;
  readonly #names: { readonly client: string; readonly node: string; readonly backend: string };
  readonly #children: ChildProcess[] = [];
  #client: Client | undefined;

  constructor(rules: Rules, size: number, place: Place) {
    this.rules = rules;
    this.size = size;
    this.#place = place;
    mkdirSync(place.folder, { recursive: true });
    const name = `skep-peer-${process.pid}-${rules}-${size}`;
    this.#names = { client: `${name}-c`, node: `${name}-n`, backend: `${name}-b` };
  }

  #in(name: string, command: string, input?: string): void {
    const args = ["netns", "exec", name, "sh", "-ec", command];
    const { status, stderr } = spawnSync("ip", args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });
    if (status !== 0) throw new Error(`${command.slice(0, 100)}: ${stderr.slice(0, 500)}`);
  }

  async open(): Promise<void> {
    const { client: from, node, backend } = this.#names;
    for (const name of Object.values(this.#names)) output("ip", ["netns", "add", name]);
    this.#in(from, `ip link add c0 type veth peer name n0 netns ${node}`);
    this.#in(backend, `ip link add b0 type veth peer name n1 netns ${node}`);
    this.#in(from, `ip addr add ${CLIENT_ADDRESS}/24 dev c0; ip link set c0 up`);
    this.#in(backend, BACKENDS.map((each) => `ip addr add ${each}/24 dev b0`).join(";"));
    this.#in(backend, "ip link set b0 up");
    this.#in(node, "ip addr add 10.244.1.1/24 dev n0; ip addr add 10.244.9.254/24 dev n1");
    this.#in(node, "ip link set n0 up; ip link set n1 up; sysctl -qw net.ipv4.ip_forward=1");
    this.#in(from, "ip route add default via 10.244.1.1");
    this.#in(backend, "ip route add default via 10.244.9.254");
    for (const each of BACKENDS) this.#start(backend, server(this.#place.programs, each));
    this.#start(backend, bulkServer());
    await sleep(300);
    const last = this.size - 1;
    const service = `10.96.${last >> 8}.${last & 255}`;
    const groups = [`none=${PORT}:${BACKENDS.join(",")}`, `one=80:${service}`];
    const [program, args] = within(`/run/netns/${from}`, client(this.#place.programs, groups));
    this.#client = new Client(`${this.rules}, ${this.size} services`, [program, args]);
  }

  #start(name: string, command: readonly string[]): void {
    const [program, args] = within(`/run/netns/${name}`, command);
    this.#children.push(spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] }));
  }

  /** Loads the rules of as many services, and of one more. */
  load(): Update {
    const [kind, all, more] =
      this.rules === "iptables"
        ? (["iptables", "iptables-legacy-restore", "iptables-legacy-restore --noflush"] as const)
        : (["nft", "nft -f -", "nft -f -"] as const);
    const generate = (mode: string): string => output("python3", [join(PEERS, "gen.py"), mode, `${this.size}`]);
    const timed = (command: string, texts: readonly string[]): number => {
      const started = performance.now();
      for (const text of texts) this.#in(this.#names.node, command, text);
      return performance.now() - started;
    };
    const text = generate(kind);
    return {
      all: timed(all, this.rules === "nftables" ? piecesOf(text) : [text]),
      one: timed(more, [generate(`${kind}-add`)]),
    };
  }

  block(count: number): Promise<Block> {
    if (!this.#client) throw new Error("the ground is not open");
    return this.#client.block(this.rules === "none" ? "none" : "one", count);
  }

  bulk(bytes: string): Bulk {
    return bulk(`/run/netns/${this.#names.client}`, BACKENDS[0] ?? "", bytes);
  }

  close(): void {
    this.#client?.kill();
    for (const child of this.#children) child.kill("SIGKILL");
    for (const name of Object.values(this.#names)) spawnSync("ip", ["netns", "del", name]);
  }
}
