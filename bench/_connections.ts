// A host with an agent of its own, a client and three servers, and the peers' rules beside it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { enableStatistics, openLinux, programById, unmountPins } from "@skep/linux";
import { connect } from "../packages/cli/src/client.ts";
import { documentsOf, serviceAddress, serviceText } from "./_many.ts";
import { output, root } from "./_setup.ts";

export const PEERS = join(root, "../shared/peers/kubeproxy");
const READY_MS = 600_000;
/** The client and the servers share one, as in the peers' recipe. */
const CPU = "0";
const OTHER_CPU = "1";
export const PORT = 8080;

export interface Line {
  readonly mode?: string;
  readonly test: string;
  readonly which?: string;
  readonly per_s?: number;
  readonly us_p50?: number;
  readonly us_p99?: number;
  readonly bad?: number;
  readonly full_ms?: number;
  readonly add_one_ms?: number;
  readonly gbps?: number;
}
export const linesOf = (text: string): Line[] =>
  text.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Line] : []));

export interface Pod {
  readonly address: string;
  readonly netns: string;
  /** Its cgroup's `cgroup.procs`. */
  readonly processes: string;
}

/** An agent on a host of its own, with a client and three servers. */
export class Ground {
  readonly #children: ChildProcess[] = [];
  readonly #folder: string;
  readonly #machine: ReturnType<typeof openLinux>;
  readonly #host: string;
  readonly #cgroup: string;
  readonly #programs: { readonly server: string; readonly client: string };
  #mountPoint: string | undefined;
  #agent: ChildProcess | undefined;
  netns = "";
  client: Pod = { address: "", netns: "", processes: "" };
  servers: Pod[] = [];

  readonly #signal: AbortSignal;

  /** `programs`: the peers' server, and bench/twins/connect.c. `signal`: waits for nothing any more. */
  constructor(folder: string, programs: { readonly server: string; readonly client: string }, signal: AbortSignal) {
    this.#folder = folder;
    this.#programs = programs;
    this.#signal = signal;
    this.#machine = openLinux({ runFolder: folder });
    this.#host = `skep-connections-${process.pid}`;
    this.#cgroup = `skep-bench-${process.pid}`;
  }

  get #places(): string[] {
    const at = (name: string): string => join(this.#folder, name);
    return [
      ...["--run", at("run"), "--state", at("state"), "--pins", at("bpf"), "--cgroup", this.#cgroup],
      ...["--netns", this.netns],
    ];
  }

  async open(): Promise<void> {
    this.netns = this.#machine.net.createNamespace(this.#host).path;
    for (const name of ["run", "policies"]) mkdirSync(join(this.#folder, name), { recursive: true });
    this.#mountPoint = (this.#machine.bpf.preparePins(join(this.#folder, "bpf")) as { mountPoint?: string }).mountPoint;
    const log = openSync(join(this.#folder, "log"), "a");
    const args = ["up", join(this.#folder, "policies"), ...this.#places, "--service-cidr", "10.96.0.0/14"];
    this.#agent = spawn(process.execPath, [join(root, "dist/skep.mjs"), ...args], { stdio: ["ignore", log, log] });
    await this.#until(() => this.#answers());
    const client = connect(join(this.#folder, "run"));
    try {
      for (const name of ["client", "server-1", "server-2", "server-3"]) {
        const { endpoint } = await client.agent.createEndpoint({ name, namespace: "default", labels: { app: name } });
        if (!endpoint) throw new Error(`no endpoint ${name}`);
        const pod = {
          address: endpoint.ipv4,
          netns: endpoint.netnsPath,
          processes: join(this.#cgroupPath, `default-${name}`, "cgroup.procs"),
        };
        if (name === "client") this.client = pod;
        else this.servers.push(pod);
      }
    } finally {
      client.close();
    }
    // A workload without a process has ended, for the agent.
    this.#start(this.client, ["sleep", "infinity"]);
    for (const server of this.servers)
      this.#start(server, ["taskset", "-c", CPU, this.#programs.server, "server", "0.0.0.0", `${PORT}`]);
    await sleep(300);
  }

  async #answers(): Promise<boolean> {
    if (this.#agent?.exitCode !== null) throw new Error(this.log);
    const client = connect(join(this.#folder, "run"));
    try {
      await client.agent.getStatus({});
      return true;
    } catch {
      return false;
    } finally {
      client.close();
    }
  }

  async #until(ask: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + READY_MS;
    while (!(await ask())) {
      this.#signal.throwIfAborted();
      if (performance.now() > end) throw new Error("the agent does not get there");
      await sleep(200);
    }
  }

  /** The end of what the agent said. */
  get log(): string {
    return readFileSync(join(this.#folder, "log"), "utf8").slice(-4000);
  }

  #start({ netns, processes }: Pod, command: readonly string[]): void {
    const script = 'echo $$ > "$0" && exec "$@"';
    const args = ["-c", script, processes, "nsenter", `--net=${netns}`, ...command];
    this.#children.push(spawn("sh", args, { stdio: ["ignore", "ignore", "inherit"] }));
  }

  /**
   * Connections, each to one of the addresses at random: to the servers themselves it is to be as many as a service has, or their processes share
   * the processor otherwise. `by`: the socket's hooks see processes of the agent's cgroup alone.
   */
  rate(
    by: "socket" | "tc",
    { addresses, port, count }: { addresses: readonly string[]; port: number; count: number },
  ): Line {
    const { client } = this.#programs;
    const run = [
      "nsenter",
      `--net=${this.client.netns}`,
      "taskset",
      "-c",
      CPU,
      client,
      `${port}`,
      `${count}`,
      ...addresses,
    ];
    const enter = by === "socket" ? `echo $$ > ${this.client.processes}; ` : "";
    const [line] = linesOf(output("sh", ["-c", `${enter}exec ${run.join(" ")}`]));
    if (!line) throw new Error("the client printed nothing");
    if (line.bad !== 0) throw new Error(`${line.bad} connections to ${addresses.join(", ")} port ${port} failed`);
    return line;
  }

  get #cgroupPath(): string {
    return join(this.#machine.processes.cgroupRoot, this.#cgroup);
  }

  /** Nanoseconds that the agent's program at connect() runs, by the kernel's own count, while `run` connects. */
  connectNanoseconds(run: () => void): number {
    const target = { hook: "cgroup", path: this.#cgroupPath, attachType: "cgroup_inet4_connect" } as const;
    const [attached] = this.#machine.bpf.query(target).programs;
    const program = attached ? programById(attached.programId) : null;
    if (!program) throw new Error("no program at connect()");
    const counting = enableStatistics();
    try {
      const before = program.refresh();
      run();
      const after = program.refresh();
      const runs = after.runCount - before.runCount;
      if (runs === 0n) throw new Error("the program at connect() did not run");
      return Number(after.runTime - before.runTime) / Number(runs);
    } finally {
      counting.close();
      program.close();
    }
  }

  #reaches(address: string, port: number): boolean {
    const args = [`--net=${this.client.netns}`, "timeout", "2", "bash", "-c", `</dev/tcp/${address}/${port}`];
    return spawnSync("nsenter", args).status === 0;
  }

  /** As many services; the last one's backends are the servers. */
  async services(count: number): Promise<string> {
    const folder = join(this.#folder, "policies");
    const last = count - 1;
    for (const [name, text] of documentsOf({ services: last, identities: 0, endpoints: 0 }))
      writeFileSync(join(folder, name), text);
    const backends = this.servers.map(({ address }) => address);
    writeFileSync(join(folder, "last.yaml"), serviceText(last, backends));
    await this.#until(() => this.#reaches(serviceAddress(last), 80));
    return serviceAddress(last);
  }

  /** Gbit/s. */
  throughput(): number {
    const [server] = this.servers;
    if (!server) throw new Error("no server");
    this.#start(server, ["taskset", "-c", OTHER_CPU, "iperf3", "-s", "-1", "-p", "5201"]);
    spawnSync("sleep", ["0.4"]);
    const client = [
      `--net=${this.client.netns}`,
      "taskset",
      "-c",
      CPU,
      "iperf3",
      "-c",
      server.address,
      "-t",
      "1.5",
      "-J",
    ];
    const { end } = JSON.parse(output("nsenter", client)) as { end: { sum_received: { bits_per_second: number } } };
    return end.sum_received.bits_per_second / 1e9;
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    const agent = this.#agent;
    if (agent && agent.exitCode === null) {
      const gone = new Promise((resolve) => agent.once("exit", resolve));
      agent.kill("SIGTERM");
      await gone;
    }
    spawnSync(process.execPath, [join(root, "dist/skep.mjs"), "down", ...this.#places], { stdio: "inherit" });
    if (this.#mountPoint !== undefined) unmountPins(this.#mountPoint);
    this.#machine.net.deleteNamespace(this.#host);
    if (this.#machine.processes.cgroupProcesses(this.#cgroup)) await this.#machine.processes.deleteCgroup(this.#cgroup);
  }
}

/** What runs besides, to be ended with the bench. */
const running = new Set<ChildProcess>();

/** Ends the peers' run, which then takes its namespaces away. */
export async function endPeers(): Promise<void> {
  for (const child of running) {
    const gone = new Promise((resolve) => child.once("close", resolve));
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    await gone;
  }
}

/** The peers' rules for as many services, and their ground without any. */
export async function peers(
  size: number,
  of: { readonly connections: number; readonly rounds: number },
): Promise<Line[]> {
  const env = {
    ...process.env,
    ...{ SIZES: `${size}`, MODES: "legacy nft", NC: `${of.connections}`, ROUNDS: `${of.rounds}`, UR: "1" },
  };
  const child = spawn("bash", [join(PEERS, "run.sh")], { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  running.delete(child);
  const lines = linesOf(stdout);
  if (lines.length === 0) console.error(`no peers for ${size} services: ${stderr.slice(-500)}`);
  return lines;
}
