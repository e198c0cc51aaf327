/**
 * @module
 * The agent's services for its router: what comes in is checked here, and what fails becomes a status code with one clear line.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { skep } from "@skep/api";
import { type DnsNames, dropReasonText, type Observer } from "@skep/flows";
import { formatAddress, formatMac, parseAddress } from "@skep/net";
import { ASKED_STATES, type Endpoint } from "@skep/control";
import { formatLabels, type NamedPort, type PolicyMapEntry } from "@skep/policy";
import type { Agent } from "./agent.ts";
import { dnsNameMessages, dnsStatusMessage } from "./dns-list.ts";
import { type EndpointStatus, RequestError } from "./options.ts";
import { nodeMessages } from "./node-list.ts";
import { addressPoolMessages, serviceMessages } from "./service-list.ts";

const VERSION = "0.1.0";
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  0: "ANY",
  1: "ICMP",
  6: "TCP",
  17: "UDP",
  58: "ICMPv6",
  132: "SCTP",
};

const CODES = {
  "not-found": Code.NotFound,
  exists: Code.AlreadyExists,
  invalid: Code.InvalidArgument,
  exhausted: Code.ResourceExhausted,
  refused: Code.FailedPrecondition,
} as const;

/** Errors of requests keep their kind; the rest is internal, and said. */
function edge<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw asConnectError(error);
  }
}

function asConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof RequestError)
    return new ConnectError(error.message, CODES[error.kind], undefined, undefined, error);
  return ConnectError.from(error, Code.Internal);
}

/** Beside the agent itself. */
export interface Served {
  readonly flows: Observer;
  /** Absent where nobody learns names. */
  readonly dns?: DnsNames;
}

export function agentRoutes(router: ConnectRouter, agent: Agent, served: Served): void {
  const { dns } = served;
  router.service(skep.Agent, {
    getStatus: () => edge(() => status(agent, served)),
    listEndpoints: () => edge(() => ({ endpoints: agent.endpoints().map((each) => endpointMessage(agent, each)) })),
    createEndpoint: ({ namespace, name, labels, namedPorts, annotations }) =>
      edge(() => {
        const request = {
          namespace: namespace || "default",
          name,
          labels,
          namedPorts: namedPorts.map(checkedPort),
          annotations,
        };
        return { endpoint: endpointMessage(agent, agent.createEndpoint(request)) };
      }),
    deleteEndpoint: async ({ namespace, name }) => {
      const endpoint = agent.world.findEndpoint(namespace || "default", name);
      if (!endpoint) throw new ConnectError(`no workload ${namespace || "default"}/${name}`, Code.NotFound);
      try {
        await agent.removeEndpoint(endpoint);
      } catch (error) {
        throw asConnectError(error);
      }
      return {};
    },
    listIdentities: () =>
      edge(() => ({
        identities: agent.world.identities().map(({ id, labels }) => ({ id, labels: formatLabels(labels) })),
      })),
    listDnsNames: () => edge(() => ({ names: dns ? dnsNameMessages(dns) : [] })),
    listNodes: () => edge(() => ({ nodes: nodeMessages(agent) })),
    listServices: () =>
      edge(() => ({ services: serviceMessages(agent.world), addressPools: addressPoolMessages(agent.world) })),
    setBackendState: (request) => edge(() => setBackendState(agent, request)),
    getPolicy: ({ endpoint }) => edge(() => policy(agent, endpoint)),
    getSettings: () =>
      edge(() => ({
        settings: settingsMessage(agent),
        hostFirewall: agent.options.hostFirewall ?? false,
        nodeLabels: { ...agent.options.nodeLabels },
      })),
    setSettings: ({ enforcement, auditNamespaces }) =>
      edge(() => {
        agent.configure({
          ...(enforcement === "" ? {} : { enforcement: checkedEnforcement(enforcement) }),
          ...(auditNamespaces ? { auditNamespaces: [...new Set(auditNamespaces.names)].sort() } : {}),
        });
        return { settings: settingsMessage(agent) };
      }),
    setAudit: ({ endpoint, audit }) =>
      edge(() => ({ endpoint: endpointMessage(agent, agent.setAudit(findEndpoint(agent, endpoint), audit)) })),
    waitForPolicy: async ({ revision, timeoutMs }, context) => {
      const limit = AbortSignal.any([context.signal, AbortSignal.timeout(timeoutMs || 10_000)]);
      const wanted = Number(revision) || agent.world.revision;
      const reached = await agent.waitForRevision(wanted, limit);
      if (reached < wanted)
        throw new ConnectError(`revision ${wanted} is not in force yet: ${reached} is`, Code.DeadlineExceeded);
      return { revision: BigInt(reached) };
    },
  });
}

type BackendStateRequest = Pick<skep.SetBackendStateRequest, "address" | "port" | "protocol" | "state">;

function setBackendState(agent: Agent, { address, port, protocol, state }: BackendStateRequest): object {
  const [host, asked] = [parseAddress(address), ASKED_STATES.find((each) => each === state)];
  const number = PORTED[(protocol || "TCP").toUpperCase()];
  if (!host) throw new RequestError("invalid", `${JSON.stringify(address)} is no address`);
  if (number === undefined) throw new RequestError("invalid", `${JSON.stringify(protocol)} is not TCP, UDP or SCTP`);
  if (port < 1 || port > 65_535) throw new RequestError("invalid", `${port} is no port`);
  if (!asked)
    throw new RequestError(
      "invalid",
      `${JSON.stringify(state)} is no state that a backend can be given: ${ASKED_STATES.join(", ")}`,
    );
  const services = agent.setBackendState({ address: host, port, protocol: number }, asked);
  return { backend: { address, port, protocol: PROTOCOL_NAMES[number] ?? "", state: asked }, services };
}

const PORTED: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

const ENFORCEMENTS = ["default", "always", "never"] as const;

function checkedEnforcement(text: string): (typeof ENFORCEMENTS)[number] {
  const found = ENFORCEMENTS.find((each) => each === text);
  if (!found)
    throw new RequestError("invalid", `${JSON.stringify(text)} is no enforcement: ${ENFORCEMENTS.join(", ")}`);
  return found;
}

function checkedPort({ name, protocol, port }: { name: string; protocol: number; port: number }): NamedPort {
  const valid = /^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(name) && /[a-z]/.test(name);
  if (!valid) throw new RequestError("invalid", `${JSON.stringify(name)} is no name of a port`);
  if (port < 1 || port > 65_535) throw new RequestError("invalid", `${port} is no port`);
  if (![6, 17, 132].includes(protocol)) throw new RequestError("invalid", `protocol ${protocol} has no ports`);
  return { name, protocol, port };
}

function settingsMessage(agent: Agent): { enforcement: string; auditNamespaces: string[] } {
  const { enforcement, auditNamespaces } = agent.settings;
  return { enforcement, auditNamespaces: [...auditNamespaces] };
}

/** By `namespace/name`, `name` or number. */
function findEndpoint(agent: Agent, name: string): Endpoint {
  const [namespace, bare] = name.includes("/") ? name.split("/", 2) : ["default", name];
  const found = agent.world
    .endpoints()
    .find((each) => String(each.id) === name || (each.namespace === namespace && each.name === bare));
  if (!found) throw new RequestError("not-found", `no endpoint ${name}`);
  return found;
}

function status(agent: Agent, { flows, dns }: Served): ReturnType<typeof create<typeof skep.GetStatusResponseSchema>> {
  const { world, options } = agent;
  const errors = [...world.diagnostics(), ...agent.problems()]
    .filter((each) => each.severity === "error")
    .map(({ code, message, span, hint }) => ({
      file: span?.file ?? "",
      line: span?.line ?? 0,
      column: span?.column ?? 0,
      code,
      message,
      hint: hint ?? "",
    }));
  const failures = [...agent.failures].map(([what, error]) => `${what} is not in force: ${error}`);
  const conflicts = world
    .identityConflicts()
    .map((id) => `the cluster's identity ${id} is not taken over: its number or its labels are another's on this node`);
  return create(skep.GetStatusResponseSchema, {
    version: VERSION,
    nodeName: agent.nodeName,
    startedAt: BigInt(agent.startedAt),
    machine: options.machine.name,
    podCidr: options.podCidr,
    podCidr6: options.podCidr6 ?? "",
    policyRevision: BigInt(agent.appliedRevision),
    endpoints: world.endpoints().length,
    identities: world.identities().length,
    services: world.services().length,
    flowsSeen: flows.seen,
    eventsLost: flows.lost,
    errors,
    counters: agent.datapath.counters().map(({ reason, direction, packets, bytes }) => ({
      ...{ reason, direction, packets, bytes },
      reasonName: reason === 0 ? "Forwarded" : dropReasonText(reason),
    })),
    pid: process.pid,
    directory: options.directory,
    ...(dns && { dns: dnsStatusMessage(dns) }),
    warnings: [...agent.warnings, ...failures, ...conflicts],
  });
}

function endpointMessage(agent: Agent, each: EndpointStatus): ReturnType<typeof create<typeof skep.EndpointSchema>> {
  const { endpoint, record } = each;
  return create(skep.EndpointSchema, {
    id: endpoint.id,
    name: endpoint.name,
    namespace: endpoint.namespace,
    labels: { ...endpoint.labels },
    identity: endpoint.identity,
    identityLabels: formatLabels(endpoint.labels),
    ipv4: formatAddress(endpoint.address),
    ipv6: endpoint.address6 ? formatAddress(endpoint.address6) : "",
    interface: endpoint.interfaceName,
    state: each.state,
    reason: each.reason,
    policyRevision: BigInt(each.revision),
    ingressEnforced: each.ingressEnforced,
    egressEnforced: each.egressEnforced,
    netnsPath: agent.netnsPath(record),
    cgroupPath: agent.cgroupPath(record),
    mac: formatMac(endpoint.mac),
    namedPorts: [...(endpoint.namedPorts ?? [])],
    audit: endpoint.audit ?? false,
  });
}

function policy(agent: Agent, name: string): object {
  const { world } = agent;
  const rules = world.documents().map((document) => ({
    kind: document.kind,
    namespace: document.namespace,
    name: document.name,
    file: document.span.file,
    line: document.span.line,
    text: document.text,
    endpoints: world
      .endpoints()
      .flatMap((endpoint) => (world.selects(document, endpoint) ? [`${endpoint.namespace}/${endpoint.name}`] : [])),
  }));
  const entries = name === "" ? [] : policyEntries(agent, name);
  return { revision: BigInt(agent.appliedRevision), rules, entries, clusterName: agent.clusterName };
}

function policyEntries(agent: Agent, name: string): object[] {
  const found = findEndpoint(agent, name);
  return (agent.datapath.policyOf(found.id) ?? []).map((entry) => ({
    direction: entry.direction,
    identity: entry.identity,
    labels: entry.identity === 0 ? [] : agent.world.identityLabels(entry.identity),
    protocol: PROTOCOL_NAMES[entry.protocol] ?? String(entry.protocol),
    port: portText(entry),
    verdict: verdictText(entry),
    cookie: entry.cookie,
    rules: agent.world
      .rulesOf(entry.cookie)
      .map((origin) => (origin.kind === "builtin" ? origin.name : `${origin.namespace}/${origin.name}`)),
    precedence: entry.precedence,
  }));
}

function verdictText(entry: PolicyMapEntry): string {
  if (entry.deny) return "deny";
  if (entry.proxyPort !== 0) return "redirect";
  return entry.audit ? "audit" : "allow";
}

function portText(entry: PolicyMapEntry): string {
  if (entry.portPrefix === 0) return "";
  const last = entry.port + (1 << (16 - entry.portPrefix)) - 1;
  return last === entry.port ? String(entry.port) : `${entry.port}-${last}`;
}
