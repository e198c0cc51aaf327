import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { flow, skep } from "@skep/api";
import { type FlowContext, Observer, observerRoutes, recordOf, uuids, wallClock, worldContext } from "@skep/flows";
import { Agent, type AgentOptions } from "./agent.ts";
import { answers, serve, SocketTakenError } from "./server.ts";
import { agentRoutes } from "./service.ts";

export interface RunningAgent {
  readonly agent: Agent;
  readonly socket: string;
  /** Ends; the datapath stays in force. */
  close(): Promise<void>;
}

/** The socket below a run folder. */
export function socketPath(run: string): string {
  return join(run, "skep.sock");
}

/** How often losses of the ring are looked for. */
const LOSS_MS = 1000;

/** Names for the agent's flows. `random`: 80 random bits for each flow's id. */
export function flowContext(agent: Agent, random: () => bigint): FlowContext {
  return worldContext({
    world: agent.world,
    nodeName: agent.nodeName,
    wallTime: wallClock(agent.options.machine.clock),
    uuid: uuids(random),
    entries: (endpoint) => agent.datapath.policyOf(endpoint),
    selects: (world, document, endpoint) => world.selects(document, endpoint),
  });
}

/** Starts the agent and its API. Throws SocketTakenError where another one answers, and whatever loading the datapath throws. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const socket = socketPath(options.run);
  if (await answers(socket)) throw new SocketTakenError(socket);
  const agent = new Agent(options);
  const clock = options.machine.clock;
  const flows = new Observer({
    nodeName: `default/${agent.nodeName}`,
    version: "0.1.0",
    now: () => BigInt(Math.round(clock.now() * 1_000_000)),
  });
  const context = flowContext(agent, () => randomBytes(10).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n));
  const reader = agent.datapath.readEvents((event) => flows.add(recordOf(event, context)));
  // What a dead agent did not read still lies in the ring.
  reader.drain();
  let lost = agent.datapath.lostEvents();
  const losses = setInterval(() => {
    const now = agent.datapath.lostEvents();
    if (now > lost) flows.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, now - lost);
    lost = now;
  }, LOSS_MS);
  const server = await serve(socket, (router) => {
    agentRoutes(router, agent, flows);
    observerRoutes(router, flows, { address: `unix://${socket}`, services: [skep.Agent] });
  });
  const stop = async (): Promise<void> => {
    clearInterval(losses);
    reader.close();
    await server.close();
  };
  return {
    agent,
    socket,
    close: async () => {
      await stop();
      agent.close();
    },
  };
}
