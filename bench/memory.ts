// Resident memory of `skep up` with many endpoints, services and identities: a process of its own on a host of its own (a namespace), after the load
// and after minutes of changes, beside the same process with an empty folder.
//   npm run bench -- memory [MINUTES]    (default 5; ENDPOINTS=1000 SERVICES=10000 IDENTITIES=10000)
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openLinux, unmountPins } from "@skep/linux";
import { connect } from "../packages/cli/src/client.ts";
import { print } from "./_lines.ts";
import { documentsOf, type Scale, serviceFile } from "./_many.ts";
import { needRoot, output, root, withFolder } from "./_setup.ts";

const minutes = Number(process.argv[2] ?? "5");
const scaleOf = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const SCALE: Scale = {
  services: scaleOf("SERVICES", 10_000),
  identities: scaleOf("IDENTITIES", 10_000),
  endpoints: scaleOf("ENDPOINTS", 1000),
};
const NOTHING: Scale = { services: 0, identities: 0, endpoints: 0 };
const START_MS = 600_000;
/** Between two changes: a service's backends, a service that comes and goes. */
const CHANGE_MS = 500;
/** Until what a load or changes have left behind is given back, which is done once a minute at most. */
const REST_MS = 70_000;
const MIB = 1 << 20;
/** Of /proc/PID/stat, in a second. */
const TICKS = 100;
/** Workloads between two words on how far it is. */
const TOLD = 100;

needRoot("memory");

interface Agent {
  readonly child: ChildProcess;
  readonly run: string;
  readonly policies: string;
}

/** MiB that are the process's own and resident, and the most that ever were. */
function memoryOf({ child }: Agent): { now: number; most: number } {
  const text = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1]) / 1024;
  return { now: field("VmRSS"), most: field("VmHWM") };
}

/** Seconds of the processor that the process has used. */
function cpuOf({ child }: Agent): number {
  const text = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function answers(agent: Agent): Promise<boolean> {
  const client = connect(agent.run);
  try {
    await client.agent.getStatus({});
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

async function start(folder: string, netns: string, scale: Scale): Promise<Agent> {
  const [run, policies] = [join(folder, "run"), join(folder, "policies")];
  for (const each of [run, policies]) mkdirSync(each, { recursive: true });
  for (const [name, text] of documentsOf(scale)) writeFileSync(join(policies, name), text);
  const log = openSync(join(folder, "log"), "a");
  const child = spawn(
    process.execPath,
    [
      ...(process.env["NODE_FLAGS"] ?? "").split(" ").filter((flag) => flag !== ""),
      ...[join(root, "dist/skep.mjs"), "up", policies, "--run", run, "--state", join(folder, "state")],
      ...["--pins", join(folder, "bpf"), "--cgroup", `skep-bench-${process.pid}`, "--netns", netns],
      ...["--pod-cidr", "10.244.0.0/16", "--service-cidr", "10.96.0.0/14", "--node-name", "bench"],
    ],
    { stdio: ["ignore", log, log] },
  );
  const agent = { child, run, policies };
  const end = performance.now() + START_MS;
  while (!(await answers(agent))) {
    if (child.exitCode !== null || performance.now() > end)
      throw new Error(`no agent:\n${readFileSync(join(folder, "log"), "utf8").slice(-4000)}`);
    await sleep(200);
  }
  return agent;
}

/**
 * Workloads that the scale's policies select, a tenth by each; one without a process would be taken away again. Returns the processes.
 */
async function addEndpoints(agent: Agent, count: number): Promise<ChildProcess[]> {
  const client = connect(agent.run);
  const processes: ChildProcess[] = [];
  try {
    for (let at = 0; at < count; at++) {
      const labels = { app: `app-${at % 10}`, instance: `i${at}` };
      const { endpoint } = await client.agent.createEndpoint({ name: `workload-${at}`, namespace: "default", labels });
      const procs = join(endpoint?.cgroupPath ?? "", "cgroup.procs");
      processes.push(spawn("sh", ["-c", `echo $$ > ${procs} && exec sleep 1000000`], { stdio: "ignore" }));
      if ((at + 1) % TOLD === 0)
        console.error(
          `${at + 1} workloads: ${memoryOf(agent).now.toFixed(0)} MiB, ${cpuOf(agent).toFixed(1)} s of the processor`,
        );
    }
    return processes;
  } finally {
    client.close();
  }
}

/** One after the other a file of services is written with other backends, until the time is over. */
async function changeFor(agent: Agent, { services }: Scale, until: number): Promise<number> {
  let changes = 0;
  while (performance.now() < until) {
    const { name, text } = serviceFile(changes % Math.max(1, Math.floor(services / 100)), changes + 1);
    writeFileSync(join(agent.policies, name), text);
    changes += 1;
    await sleep(CHANGE_MS);
  }
  return changes;
}

async function end({ child }: Agent): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

function tell(name: string, skep: number, unit = "MiB"): void {
  print({ bench: "memory", case: name, unit, skep, peer: null, peerName: null });
}

async function measure(folder: string, scale: Scale, name: string): Promise<void> {
  const machine = openLinux({ runFolder: folder });
  const host = `skep-memory-${process.pid}`;
  const netns = machine.net.createNamespace(host).path;
  const pins = join(folder, "bpf");
  const { mountPoint } = machine.bpf.preparePins(pins) as { mountPoint?: string };
  try {
    const agent = await start(folder, netns, scale);
    let processes: readonly ChildProcess[] = [];
    try {
      const started = memoryOf(agent);
      tell(`${name}: ready`, started.now);
      tell(`${name}: the most until then`, started.most);
      if (scale.endpoints > 0) {
        processes = await addEndpoints(agent, scale.endpoints);
        tell(`${name}: with its endpoints`, memoryOf(agent).now);
      }
      await sleep(REST_MS);
      tell(`${name}: a minute later`, memoryOf(agent).now);
      if (scale.services === 0) return;
      const before = cpuOf(agent);
      const changes = await changeFor(agent, scale, performance.now() + minutes * 60_000);
      await sleep(5000);
      tell(`${name}: after ${minutes} minutes and ${changes} changes`, memoryOf(agent).now);
      tell(`${name}: of the processor for each change`, ((cpuOf(agent) - before) / changes) * 1000, "ms");
      await sleep(REST_MS);
      const last = memoryOf(agent);
      tell(`${name}: a minute after them`, last.now);
      tell(`${name}: the most of all`, last.most);
    } finally {
      if (process.env["HOLD"] && scale.services > 0) await sleep(Number(process.env["HOLD"]) * 1000);
      for (const child of processes) child.kill("SIGKILL");
      await end(agent);
      output(process.execPath, [
        ...[join(root, "dist/skep.mjs"), "down", "--run", agent.run, "--state", join(folder, "state"), "--pins", pins],
        ...["--cgroup", `skep-bench-${process.pid}`, "--netns", netns],
      ]);
    }
  } finally {
    if (mountPoint !== undefined) unmountPins(mountPoint);
    machine.net.deleteNamespace(host);
  }
}

console.error(`heap of this process aside: ${Math.round(process.memoryUsage().rss / MIB)} MiB`);
for (const [scale, name] of [
  [NOTHING, "empty"],
  [SCALE, `${SCALE.endpoints} endpoints, ${SCALE.services} services x 3, ${SCALE.identities} identities`],
] as const)
  await withFolder((folder) => measure(folder, scale, name));
