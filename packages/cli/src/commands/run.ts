/**
 * @module
 * `skep run`: a command as a workload. The command is a child of this process, never of the agent.
 */
import type { ChildProcess } from "node:child_process";
import os from "node:os";
import type { skep } from "@skep/api";
import { Code, ConnectError } from "@connectrpc/connect";
import { JOIN_FAILED, spawnWorkload } from "@skep/linux";
import { type AgentClient, callError, connect, withClient } from "../client.ts";
import { CliError, systemCode } from "../errors.ts";
import { parseLabels, parseNamedPort } from "../labels.ts";
import { note } from "../output/print.ts";

export interface RunOptions {
  readonly run: string;
  readonly name: string;
  readonly namespace: string;
  readonly label?: readonly string[];
  readonly port?: readonly string[];
  /** `kubernetes.io/egress-bandwidth=10M` */
  readonly annotation?: readonly string[];
  readonly command: readonly string[];
}

/** Signals that a terminal gives to the whole group of processes: a child of it has them already. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];
const FORWARDED: readonly NodeJS.Signals[] = [...FROM_TERMINAL, "SIGTERM", "SIGHUP", "SIGUSR2", "SIGCONT"];
const NOT_FOUND = 127;

/** The end of the child as an exit status, as shells give it. */
function statusOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]);
}

function forwardSignals(child: ChildProcess): () => void {
  const handlers = FORWARDED.map((signal) => {
    const handler = (): void => {
      if (!(FROM_TERMINAL.includes(signal) && process.stdin.isTTY)) child.kill(signal);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  return () => handlers.forEach(([signal, handler]) => process.off(signal, handler));
}

function runChild(endpoint: skep.Endpoint, command: readonly string[]): Promise<number> {
  const [program = "", ...args] = command;
  const child = spawnWorkload({
    command: program,
    args,
    netnsPath: endpoint.netnsPath,
    cgroupPath: endpoint.cgroupPath,
    env: {
      ...{ ...process.env, SKEP_ENDPOINT: `${endpoint.id}`, SKEP_ADDRESS: endpoint.ipv4 },
      ...(endpoint.ipv6 === "" ? {} : { SKEP_ADDRESS6: endpoint.ipv6 }),
    },
    stdio: "inherit",
  });
  const restore = forwardSignals(child);
  return new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(statusOf(code, signal)));
  }).finally(restore);
}

async function execute(endpoint: skep.Endpoint, command: readonly string[]): Promise<number> {
  try {
    const status = await runChild(endpoint, command);
    if (status === JOIN_FAILED) note(`the workload could not join its cgroup ${endpoint.cgroupPath}`);
    return status;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    note(`${command[0] ?? ""}: command not found`);
    return NOT_FOUND;
  }
}

/** An agent that is away takes the endpoint away itself, when it comes back and finds the cgroup empty. */
async function removeEndpoint(run: string, endpoint: skep.Endpoint): Promise<void> {
  const { namespace, name } = endpoint;
  const client = connect(run);
  try {
    await client.agent.deleteEndpoint({ namespace, name });
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return;
    const reason = callError(error, client.socket).message;
    note(`the workload ${namespace}/${name} is not removed yet, an agent that runs will do it: ${reason}`);
  } finally {
    client.close();
  }
}

async function create({ agent }: AgentClient, options: RunOptions): Promise<skep.Endpoint> {
  const { namespace, name, label = [], port = [], annotation = [] } = options;
  const request = {
    namespace,
    name,
    labels: parseLabels(label),
    namedPorts: port.map(parseNamedPort),
    annotations: parseLabels(annotation),
  };
  const { endpoint } = await agent.createEndpoint(request);
  if (!endpoint) throw new CliError("the agent made no endpoint: it is of another version than this command");
  return endpoint;
}

export async function run(options: RunOptions): Promise<number> {
  const endpoint = await withClient(options.run, (client) => create(client, options));
  try {
    return await execute(endpoint, options.command);
  } finally {
    await removeEndpoint(options.run, endpoint);
  }
}
