/**
 * @module
 * The example's cast: an agent on a host of its own, workloads started with `skep run`, and their orders. Everything is a child of this
 * process or hangs under one folder, so that it can be taken away, also by a later start after a kill.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import readline from "node:readline";
import type { Answer, Order } from "./workload.ts";

/** `dist/`: the bundle that runs, unless a test names another. */
let dist = dirname(process.argv[1] ?? ".");

/** Uses the bundle in another folder. */
export function useCommand(folder: string): void {
  dist = folder;
}

export function command(): string {
  return join(dist, "skep.mjs");
}

export function workload(): string {
  return join(dist, "demo-workload.mjs");
}

export interface StageOptions {
  /** The agent's run folder; the rest hangs below it. */
  readonly run: string;
}

/** Runs `skep ARGS` to its end. */
export function skep(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command(), ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString("utf8")));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString("utf8")));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until the answer is not null, or the time is over. */
export async function until<T>(ms: number, ask: () => Promise<T | null> | T | null): Promise<T | null> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() >= end) return null;
    await sleep(50);
  }
}

function ended(child: ChildProcess, ms: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

export async function endChild(child: ChildProcess, ms = 5000): Promise<void> {
  child.kill("SIGTERM");
  if (await ended(child, ms)) return;
  child.kill("SIGKILL");
  await ended(child, ms);
}

/** A ship: a workload that flies by orders on its standard input. */
export class Pilot {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    if (child.stdout) {
      readline.createInterface({ input: child.stdout }).on("line", (line) => {
        const answer = JSON.parse(line) as Answer;
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      });
    }
  }

  order(
    kind: Order["kind"],
    host: string,
    options: Partial<Pick<Order, "port" | "timeout" | "from" | "size">> = {},
  ): Promise<Answer> {
    const { port = 80, timeout = 1000, ...rest } = options;
    const order: Order = { id: this.#next++, kind, host, port, timeout, ...rest };
    return new Promise((resolve) => {
      this.#waiting.set(order.id, resolve);
      this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    });
  }
}

export class Stage {
  readonly run: string;
  readonly policies: string;
  readonly pins: string;
  readonly cgroup: string;
  readonly agentLog: string;
  readonly #workloads: ChildProcess[] = [];
  #agent: ChildProcess | undefined;

  constructor(options: StageOptions) {
    this.run = options.run;
    this.policies = join(options.run, "example");
    this.pins = join(options.run, "bpf");
    this.cgroup = `skep-${options.run.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`;
    this.agentLog = join(options.run, "agent.log");
  }

  get manifest(): string {
    return join(this.run, "example.json");
  }

  /** Notes who belongs to the example, for a later start that finds it killed. */
  note(): void {
    const pids = [this.#agent, ...this.#workloads].flatMap((child) => (child?.pid === undefined ? [] : [child.pid]));
    writeFileSync(this.manifest, JSON.stringify({ pid: process.pid, pids }));
  }

  agentOptions(netns: string): string[] {
    return [
      ...["--run", this.run, "--state", join(this.run, "state"), "--pins", this.pins, "--cgroup", this.cgroup],
      ...["--netns", netns, "--node-name", "endor"],
    ];
  }

  startAgent(netns: string, more: readonly string[] = []): ChildProcess {
    const log = openSync(this.agentLog, "a", 0o600);
    try {
      this.#agent = spawn(process.execPath, [command(), "up", this.policies, ...this.agentOptions(netns), ...more], {
        stdio: ["ignore", log, log],
        // Ctrl-C at the terminal is this process's to handle: the agent ends last.
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    this.note();
    return this.#agent;
  }

  get agent(): ChildProcess | undefined {
    return this.#agent;
  }

  ready(): Promise<true | null> {
    return until(60_000, async () => {
      if (this.#agent && this.#agent.exitCode !== null) return null;
      return (await skep(["status", "--run", this.run, "-o", "json"])).code === 0 ? true : null;
    });
  }

  start(name: string, labels: Readonly<Record<string, string>>, role: "server" | "pilot"): ChildProcess {
    const flags = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
    const child = spawn(
      process.execPath,
      [command(), "run", "--run", this.run, "--name", name, ...flags, "--", process.execPath, workload(), role, name],
      { stdio: ["pipe", "pipe", "inherit"], detached: true },
    );
    this.#workloads.push(child);
    this.note();
    return child;
  }

  /** Another process of the example: it ends with the workloads. */
  track(child: ChildProcess): void {
    this.#workloads.push(child);
    this.note();
  }

  async endWorkloads(): Promise<void> {
    await Promise.all(this.#workloads.splice(0).map((child) => endChild(child)));
  }

  async endAgent(): Promise<void> {
    if (this.#agent) await endChild(this.#agent);
    this.#agent = undefined;
  }

  prepareFolder(documents: Readonly<Record<string, string>>): void {
    mkdirSync(this.policies, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(documents)) writeFileSync(join(this.policies, name), text);
  }

  writePolicy(name: string, text: string): void {
    writeFileSync(join(this.policies, name), text);
  }

  removePolicy(name: string): void {
    rmSync(join(this.policies, name), { force: true });
  }
}

/** What an earlier start that was killed has left: its process, where it still lives, and those that it started. */
export function leftovers(stage: Stage): { alive: boolean; pids: number[] } | null {
  if (!existsSync(stage.manifest)) return null;
  const { pid, pids } = JSON.parse(readFileSync(stage.manifest, "utf8")) as { pid: number; pids: number[] };
  return { alive: pid !== process.pid && isOurs(pid, stage.run), pids: pids.filter((each) => isOurs(each, stage.run)) };
}

/** A pid may have been given to another process since: ours name the command. */
function isOurs(pid: number, run: string): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return line.includes("skep.mjs") && (line.includes("demo") || line.includes(run));
  } catch {
    return false;
  }
}
