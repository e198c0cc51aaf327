/**
 * @module
 * Names for what an event holds as numbers: the agent's side of a flow.
 */
import { randomBytes } from "node:crypto";
import type { Endpoint } from "@skep/control";
import { type EndpointInfo, type FlowContext, type PolicyName, uuids, wallClock } from "@skep/flows";
import { formatAddress, sameAddress } from "@skep/net";
import { formatLabels } from "@skep/policy";
import type { Agent } from "./agent.ts";

const CLUSTER = "default";
const ALL_TRAFFIC = 4;
const NO_MATCH = 0;

export function flowContext(agent: Agent): FlowContext {
  const { world, options } = agent;
  const interfaces = new Map<number, string>();
  return {
    nodeName: `${CLUSTER}/${agent.nodeName}`,
    nodeLabels: [],
    wallTime: wallClock(options.machine.clock),
    endpoint: (id) => {
      const found = world.endpoint(id);
      return found ? infoOf(found) : null;
    },
    peer: (identity, address) => {
      const local = world.endpoints().find((each) => sameAddress(each.address, address));
      if (local) return infoOf(local);
      return {
        id: 0,
        identity,
        namespace: "",
        labels: world.identityLabels(identity),
        podName: "",
        workloads: [],
        clusterName: "",
      };
    },
    service: (address, port, protocol) => {
      const text = formatAddress(address);
      const found = world
        .services()
        .find((row) => row.port === port && row.protocol === protocol && formatAddress(row.address) === text);
      return found ? { name: found.name, namespace: found.namespace } : null;
    },
    names: () => [],
    policies: ({ cookie }) => policiesOf(agent, cookie),
    matchType: ({ cookie }) => (cookie === 0 ? NO_MATCH : world.rulesOf(cookie).length > 0 ? 2 : ALL_TRAFFIC),
    interfaceName: (index) => {
      const known = interfaces.get(index);
      if (known !== undefined) return known;
      for (const each of options.machine.net.host.interfaces()) interfaces.set(each.index, each.name);
      return interfaces.get(index) ?? "";
    },
    uuid: uuids(() => randomBytes(10).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)),
  };
}

function infoOf(endpoint: Endpoint): EndpointInfo {
  return {
    id: endpoint.id,
    identity: endpoint.identity,
    namespace: endpoint.namespace,
    labels: formatLabels(endpoint.labels),
    podName: endpoint.name,
    workloads: [],
    clusterName: CLUSTER,
  };
}

function policiesOf(agent: Agent, cookie: number): PolicyName[] {
  const found = new Map<string, PolicyName>();
  for (const origin of agent.world.rulesOf(cookie)) {
    if (origin.kind === "builtin") continue;
    const { kind, namespace, name } = origin;
    found.set(`${kind}/${namespace}/${name}`, {
      kind,
      namespace,
      name,
      labels: [],
      revision: BigInt(agent.appliedRevision),
    });
  }
  return [...found.values()];
}
