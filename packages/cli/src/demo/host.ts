/**
 * @module
 * The example's ground: a host namespace, a cgroup and a folder; made before the play and taken away after it, also what a killed one left.
 */
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { openLinux, unmountPins } from "@skep/linux";
import { leftovers, skep, sleep, Stage } from "./stage.ts";

const HOST = "skep-example-host";

export interface Host {
  /** Path of the host's namespace. */
  readonly netns: string;
  addressOf(workload: string): Promise<string>;
}

/** Makes the ground, or says in a few lines why it cannot. */
export async function openStage(run: string): Promise<{ stage: Stage; host: Host } | { refused: string }> {
  const stage = new Stage({ run });
  const left = leftovers(stage);
  if (left?.alive)
    return {
      refused: `the example is already running (${stage.manifest})\nuse it from another terminal, or end it there with Ctrl-C`,
    };
  if (left) await clear(stage, left.pids);
  else if ((await skep(["status", "--run", run])).code === 0) {
    return {
      refused: `an agent is at work in ${run}\nend it, or give the example a folder of its own: npm start -- --run /run/skep-example`,
    };
  }
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const machine = openLinux({ runFolder: run });
  const netns = machine.net.createNamespace(HOST).path;
  stage.note();
  return { stage, host: { netns, addressOf: (workload) => addressOf(stage, workload) } };
}

async function addressOf(stage: Stage, workload: string): Promise<string> {
  const { stdout, stderr } = await skep(["endpoint", "list", "--run", stage.run, "-o", "json"]);
  const endpoints = JSON.parse(stdout || "[]") as { name: string; ipv4: string }[];
  const found = endpoints.find((endpoint) => endpoint.name === workload);
  if (!found) throw new Error(`no endpoint ${workload}: ${stderr.trim()}`);
  return found.ipv4;
}

/** Everything back, in the order in which nothing is left without its owner. */
export async function closeStage(stage: Stage, host: Host): Promise<void> {
  await stage.endWorkloads();
  await stage.endAgent();
  await takeDown(stage, host.netns);
}

async function clear(stage: Stage, pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, "SIGTERM");
  await sleep(500);
  for (const pid of pids) signal(pid, "SIGKILL");
  const netns = openLinux({ runFolder: stage.run }).net.openNamespace(HOST);
  await takeDown(stage, netns?.path ?? null);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function takeDown(stage: Stage, netns: string | null): Promise<void> {
  const machine = openLinux({ runFolder: stage.run });
  await machine.processes.deleteCgroup(stage.cgroup);
  if (netns !== null) {
    const { code, stderr } = await skep([
      "down",
      ...stage
        .agentOptions(netns)
        .filter((option, at, all) => option !== "--node-name" && all[at - 1] !== "--node-name"),
    ]);
    if (code !== 0) process.stderr.write(`skep demo: taking the datapath down: ${stderr.trim()}\n`);
  }
  if (machine.net.openNamespace(HOST)) machine.net.deleteNamespace(HOST);
  if (isMountPoint(stage.pins)) unmountPins(stage.pins);
  if (existsSync(stage.run)) rmSync(stage.run, { recursive: true, force: true });
}

function isMountPoint(path: string): boolean {
  return existsSync(path) && statSync(path).dev !== statSync(dirname(path)).dev;
}
