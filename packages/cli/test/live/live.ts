/**
 * @module
 * A load of long and short connections through a service, while the agent is killed and started again, its programs are replaced and
 * backends come and go. The kernel's own counters of each client's namespace say what was retransmitted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { openLinux } from "@skep/linux";
import { closeStage, type Host, openStage } from "../../src/demo/host.ts";
import { command, sleep, type Stage } from "../../src/demo/stage.ts";

const workload = join(dirname(fileURLToPath(import.meta.url)), "workload.mjs");
const ADDRESS = "10.96.0.20";
const SERVERS = ["server-1", "server-2", "server-3"];

/** What one client saw. */
export interface Seen {
  readonly answered: number;
  readonly failures: readonly string[];
  readonly servers: Readonly<Record<string, number>>;
  readonly streams: readonly { readonly lines: number; readonly trouble: string }[];
  /** Retransmission time-outs, and segments sent again for any reason. */
  readonly timeouts: number;
  /** Segments of which the other end had the first copy already (RFC 2883): late, not lost. */
  readonly twice: number;
  readonly retransmitted: number;
  readonly resetsReceived: number;
}

export interface LiveResult {
  readonly kills: number;
  /** Programs that stood at a workload's interface, one after another, by the kernel's number of each. */
  readonly programs: number;
  readonly backendChanges: number;
  readonly policyChanges: number;
  readonly clients: readonly Seen[];
}

/** `lanes`: labels that a server must have to be a backend. */
function service(lane: string | null): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: live
  namespace: default
spec:
  clusterIP: ${ADDRESS}
  selector:
    app: server
${lane === null ? "" : `    ${lane}: "true"\n`}  ports:
    - protocol: TCP
      port: 80
      targetPort: 80
`;
}

/** Clients may reach servers; the second rule comes and goes, and with it the whole map of the servers' policy. */
function policy(isWider: boolean): string {
  return `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: live
  namespace: default
spec:
  endpointSelector:
    matchLabels:
      app: server
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: client
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
${isWider ? "    - fromEndpoints:\n        - matchLabels:\n            app: auditor\n" : ""}`;
}

/** Lanes that each server is in: with every choice of a lane two of the three are backends. */
const LANES: Readonly<Record<string, readonly string[]>> = {
  "server-1": ["a", "b"],
  "server-2": ["b", "c"],
  "server-3": ["c", "a"],
};
const CHOICES = [null, "a", "b", "c"];

function start(stage: Stage, name: string, labels: readonly string[], args: readonly string[]): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      ...[command(), "run", "--run", stage.run, "--name", name],
      ...labels.flatMap((label) => ["--label", label]),
      ...["--", process.execPath, workload, ...args],
    ],
    { stdio: ["pipe", "pipe", "inherit"], detached: true },
  );
  stage.track(child);
  return child;
}

/** The child's next line; throws where it ends without one. */
function line(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) throw new Error("the child has no output");
    const lines = readline.createInterface({ input: child.stdout });
    lines.once("line", (text) => {
      lines.removeAllListeners("close");
      resolve(text);
      lines.close();
      child.stdout?.resume();
    });
    lines.once("close", () => reject(new Error("a workload of the load ended before it said anything")));
  });
}

async function restart(stage: Stage, host: Host, options: readonly string[]): Promise<void> {
  const agent = stage.agent;
  const gone = new Promise((resolve) => agent?.once("exit", resolve));
  agent?.kill("SIGKILL");
  await gone;
  stage.startAgent(host.netns, options);
  if ((await stage.ready()) === null)
    throw new Error(`the agent did not come back:\n${readFileSync(stage.agentLog, "utf8").slice(-2000)}`);
}

/** The kernel's number of the program at the first server's interface. */
function programInForce(stage: Stage): number {
  const machine = openLinux({ runFolder: stage.run });
  const links = join(stage.pins, "links");
  const name = machine.bpf.pins(links).find((each) => each.startsWith("tcx_ingress-"));
  const link = name === undefined ? null : machine.bpf.openLink(join(links, name));
  if (!link) throw new Error(`no program of a workload's interface is pinned in ${links}`);
  try {
    return link.info.programId;
  } finally {
    link.close();
  }
}

/** Plays `rounds` rounds; throws where the ground cannot be made. */
export async function live(options: {
  readonly run: string;
  readonly rounds: number;
  readonly clients: number;
  readonly streams: number;
  readonly onRound?: (round: number) => void;
}): Promise<LiveResult> {
  const opened = await openStage(options.run);
  if ("refused" in opened) throw new Error(opened.refused);
  const { stage, host } = opened;
  try {
    stage.prepareFolder({ "service.yaml": service(null), "policy.yaml": policy(false) });
    stage.startAgent(host.netns);
    if ((await stage.ready()) === null) throw new Error(readFileSync(stage.agentLog, "utf8"));
    for (const name of SERVERS) {
      const lanes = (LANES[name] ?? []).map((lane) => `${lane}=true`);
      await line(start(stage, name, ["app=server", ...lanes], ["server", name]));
    }
    const clients: ChildProcess[] = [];
    for (let n = 0; n < options.clients; n++) {
      const client = start(stage, `client-${n}`, ["app=client"], ["client", ADDRESS, "80", String(options.streams)]);
      await line(client);
      clients.push(client);
    }
    let policyChanges = 0;
    const programs = new Set([programInForce(stage)]);
    for (let round = 0; round < options.rounds; round++) {
      // Other constants make other programs: every second start replaces them by different ones.
      await restart(stage, host, round % 2 === 0 ? ["--policy-verdicts"] : []);
      programs.add(programInForce(stage));
      stage.writePolicy("service.yaml", service(CHOICES[round % CHOICES.length] ?? null));
      if (round % 3 === 0) {
        stage.writePolicy("policy.yaml", policy(round % 2 === 0));
        policyChanges += 1;
      }
      await sleep(200);
      options.onRound?.(round);
    }
    const seen = clients.map(async (client) => {
      const told = line(client);
      client.stdin?.end();
      return JSON.parse(await told) as Seen;
    });
    const { rounds } = options;
    return {
      ...{ kills: rounds, programs: programs.size, backendChanges: rounds, policyChanges },
      clients: await Promise.all(seen),
    };
  } finally {
    await closeStage(stage, host);
  }
}

/** Everything that must not have happened; empty: nothing did. */
export function troubles(result: LiveResult): string[] {
  return result.clients.flatMap((seen, at) => [
    ...seen.failures.map((failure) => `client ${at}: request ${failure}`),
    ...seen.streams.flatMap(({ trouble }, stream) =>
      trouble === "" ? [] : [`client ${at}: stream ${stream}: ${trouble}`],
    ),
    // A machine that is busy elsewhere acknowledges late: nothing was lost.
    ...(seen.timeouts > seen.twice ? [`client ${at}: ${seen.timeouts - seen.twice} retransmission time-outs`] : []),
    ...(seen.resetsReceived > 0 ? [`client ${at}: ${seen.resetsReceived} established connections reset`] : []),
  ]);
}
