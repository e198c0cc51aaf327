import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { flow } from "@skep/api";
import {
  DnsNames,
  type FlowContext,
  MAX_CAPACITY,
  Observer,
  uuids,
  wallClock,
  withHistory,
  worldContext,
} from "@skep/flows";
import { Agent } from "./agent.ts";
import { Notices } from "./notices.ts";
import { checkLoopback, type LoopbackOptions, serveLoopback } from "./loopback.ts";
import type { AgentOptions } from "./options.ts";
import { checkOutputs, type OutputOptions, Outputs } from "./outputs.ts";
import { agentPageRoutes, type PageOptions, type RunningPage, servePage } from "./page.ts";
import { checkHubble, type HubbleOptions, type RunningHubble, serveHubble } from "./hubble.ts";
import { NodeLists } from "./peers.ts";
import { answers, serve, SocketTakenError } from "./server.ts";

export interface RunningAgent {
  readonly agent: Agent;
  readonly socket: string;
  /** Where metrics are served, where they are. */
  readonly metrics?: string;
  /** Where the API is served to pages, where it is. */
  readonly api?: string;
  /** Address of the page, where it is served. */
  readonly page?: string;
  /** Where Hubble's API is served on a port, where it is. */
  readonly hubble?: string;
  /** Ends; the datapath stays in force. */
  close(): Promise<void>;
}

/** The socket below a run folder. */
export function socketPath(run: string): string {
  return join(run, "skep.sock");
}

/** Series of a workload outlive it for this long. */
const GRACE_MS = 60_000;
/** After a change, until it is looked at for agent events. */
const NOTICE_MS = 50;
/** How often losses of the ring are looked for. */
const LOSS_MS = 1000;

/** Names for the agent's flows. `random`: 80 random bits for each flow's id. `dns`: names that workloads have resolved. */
export function flowContext(agent: Agent, random: () => bigint, dns?: DnsNames): FlowContext {
  return worldContext({
    world: agent.world,
    nodeName: agent.nodeName,
    clusterName: agent.clusterName,
    wallTime: wallClock(agent.options.machine.clock),
    uuid: uuids(random),
    ...(dns ? { names: (address, endpoint, time) => dns.names(address, endpoint, time) } : {}),
    entries: (endpoint) => agent.datapath.policyOf(endpoint),
    selects: (world, document, endpoint) => world.selects(document, endpoint),
  });
}

/** Gives, each time that it is asked, the workloads that have been gone for Cilium's minute of grace since it was asked last. */
function departures(agent: Agent): () => string[] {
  let present = new Set<string>();
  const gone = new Map<string, number>();
  let revision = 0;
  const look = (now: number): void => {
    // Who comes and goes raises it.
    if (agent.world.revision === revision) return;
    revision = agent.world.revision;
    const names = new Set(agent.endpoints().map(({ endpoint }) => `${endpoint.namespace}/${endpoint.name}`));
    for (const name of present) if (!names.has(name)) gone.set(name, now);
    for (const name of names) gone.delete(name);
    present = names;
  };
  return () => {
    const now = performance.now();
    look(now);
    const over = [...gone].filter(([, since]) => now - since >= GRACE_MS).map(([name]) => name);
    for (const name of over) gone.delete(name);
    return over;
  };
}

/** Agent events and other looks, off the way of what changes: several changes in a row are looked at once. */
function noticesOf(agent: Agent, flows: Observer, alsoLook: () => void): () => void {
  const startedAt = BigInt(Math.round(agent.startedAt * 1_000_000));
  const notices = new Notices(agent, startedAt, (event) => flows.addAgentEvent(event));
  let timer: NodeJS.Timeout | undefined;
  agent.onApplied = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      notices.look();
      alsoLook();
    }, NOTICE_MS);
  };
  return () => {
    agent.onApplied = null;
    clearTimeout(timer);
  };
}

/** An agent whose flows cannot go where they should does not start. */
async function outputsOf(agent: Agent, ...[options, place]: Tail<Parameters<typeof Outputs.open>>): Promise<Outputs> {
  try {
    return await Outputs.open(agent, options, place);
  } catch (error) {
    agent.close();
    throw error;
  }
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

export interface StartOptions extends AgentOptions, OutputOptions {
  /** Flows kept in memory, 124 bytes each. Default 65,535. */
  readonly flowCapacity?: number;
  /** Where the other nodes serve Hubble's API, as the Peer service tells it. Default the port of `hubble`, else 4244. */
  readonly hubblePeerPort?: number;
  /** Default: the API is served on the socket alone. */
  readonly api?: LoopbackOptions;
  readonly page?: Pick<PageOptions, "listen" | "files">;
  /** Hubble's own services on a port too. */
  readonly hubble?: HubbleOptions;
}

/** Starts the agent and its API. Throws SocketTakenError where another one answers, and whatever loading the datapath throws. */
export async function startAgent(options: StartOptions): Promise<RunningAgent> {
  const begun = performance.now();
  const socket = socketPath(options.run);
  if (await answers(socket)) throw new SocketTakenError(socket);
  checkOutputs(options);
  for (const served of [options.api, options.page]) if (served) checkLoopback(served.listen);
  if (options.hubble) checkHubble(options.hubble);
  const agent = new Agent(options);
  const clock = options.machine.clock;
  const dns = new DnsNames();
  const random = (): bigint => randomBytes(10).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
  const context = flowContext(agent, random, dns);
  const now = (): bigint => BigInt(Math.round(clock.now() * 1_000_000));
  const place = { nodeName: `${agent.clusterName}/${agent.nodeName}`, version: "0.1.0", now };
  const outputs = await outputsOf(agent, options, { ...place, dns });
  const flows = new Observer({
    ...place,
    context,
    capacity: options.flowCapacity ?? MAX_CAPACITY,
    onFlow: (record) => outputs.add(record),
    onLoss: (source, lost) => outputs.addLoss(source, lost),
    onAgentEvent: (event) => outputs.addAgentEvent(event),
  });
  const reader = agent.datapath.readRecords(
    (view, at) => flows.addEvent(view, at),
    (answer) => dns.learn({ ...answer, time: context.wallTime(answer.time) }),
  );
  // What a dead agent did not read still lies in the ring.
  reader.drain();
  let lost = agent.datapath.lostEvents();
  const departed = departures(agent);
  const here = `unix://${socket}`;
  const nodes = new NodeLists(agent, { here, ...options });
  const stopNotices = noticesOf(agent, flows, () => nodes.refresh());
  const losses = setInterval(() => {
    // Of a processor that was taken away between a look at the time and its record.
    reader.drain();
    const lostNow = agent.datapath.lostEvents();
    if (lostNow > lost) flows.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, lostNow - lost);
    lost = lostNow;
    for (const pod of departed()) outputs.forget(pod);
    dns.tidy(now(), (endpoint) => agent.world.endpoint(endpoint) !== null);
    outputs.look();
    hubble?.look();
  }, LOSS_MS);
  const routes = agentPageRoutes(agent, flows, {
    address: here,
    peers: nodes.onSocket,
    dns,
    ...(outputs.history && { history: outputs.history }),
  });
  const server = await serve(socket, routes);
  const api = options.api ? await serveLoopback(options.api, routes) : null;
  let page: RunningPage | null = null;
  let hubble: RunningHubble | null = null;
  const stop = async (): Promise<void> => {
    clearInterval(losses);
    stopNotices();
    reader.close();
    await Promise.all([api?.close(), page?.close(), hubble?.close()]);
    await server.close();
    await outputs.close();
  };
  try {
    if (options.page) page = await servePage({ ...options.page, routes });
    if (options.hubble) {
      const served = outputs.history ? withHistory(flows, outputs.history) : flows;
      hubble = await serveHubble(options.hubble, { flows: served, peers: nodes.onPort, log: options.log });
      nodes.listens(hubble.port);
    }
  } catch (error) {
    await stop();
    agent.close();
    throw error;
  }
  agent.activity.started(performance.now() - begun);
  return {
    agent,
    socket,
    ...(outputs.metricsAddress === null ? {} : { metrics: outputs.metricsAddress }),
    ...(api ? { api: api.address } : {}),
    ...(page ? { page: page.url } : {}),
    ...(hubble ? { hubble: hubble.address } : {}),
    close: async () => {
      await stop();
      agent.close();
    },
  };
}
