/**
 * @module
 * Nodes as the agent's API tells them: this one first, then those that the folder names.
 */
import { type NodeRow, tunnelEnd } from "@skep/control";
import { formatAddress, formatPrefix } from "@skep/net";
import type { Agent } from "./agent.ts";
import { ROUTES } from "./reconciler.ts";

export function nodeMessages(agent: Agent): object[] {
  const { world, options, nodeName } = agent;
  const own = world.nodes.own();
  const local = {
    name: nodeName,
    local: true,
    addresses: (own?.addresses ?? agent.hostAddresses).map(formatAddress),
    podCidrs: [options.podCidr, options.podCidr6].filter((each) => each !== undefined),
    endpoints: world.endpoints().length,
    labels: { ...own?.labels, ...options.nodeLabels },
  };
  const behind = new Map<string, number>();
  for (const { node } of world.nodes.endpoints()) {
    const key = node ? formatAddress(node) : "";
    behind.set(key, (behind.get(key) ?? 0) + 1);
  }
  return [local, ...world.nodes.remote().map((node) => remoteMessage(node, { agent, behind }))];
}

function remoteMessage(node: NodeRow, of: { agent: Agent; behind: ReadonlyMap<string, number> }): object {
  const { options, failures } = of.agent;
  const routing = options.routing ?? "native";
  const addresses = node.addresses.map(formatAddress);
  const tunnel = tunnelEnd(node.addresses, options.tunnelFamily ?? 4);
  const problems = failures.get(ROUTES)?.split("; ") ?? [];
  return {
    ...{ name: node.name, local: false, addresses, routing, labels: { ...node.labels } },
    podCidrs: node.podCidrs.map(formatPrefix),
    tunnelEndpoint: routing !== "native" && tunnel ? formatAddress(tunnel) : "",
    endpoints: addresses.reduce((sum, address) => sum + (of.behind.get(address) ?? 0), 0),
    problem: problems.find((each) => each.startsWith(`${node.name} (`)) ?? "",
  };
}
