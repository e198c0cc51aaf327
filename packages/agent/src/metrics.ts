/**
 * @module
 * The agent's own metrics, under Cilium's names (pkg/metrics), read when they are asked for; and the listener that serves them.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { checkFlowMetrics, type DnsNames, dropReasonText, FlowMetrics } from "@skep/flows";
import { collectDefaultMetrics, Counter, Gauge, type Metric, Registry } from "prom-client";
import type { Agent } from "./agent.ts";
import { pressureOf } from "./collector.ts";
import { type ActiveNames, activeNames } from "./dns-list.ts";
import type { Logger } from "./log.ts";

export interface MetricsOptions {
  /** `127.0.0.1:9962`; the port 0 is any free one. Loopback only. Absent: they are counted, and not served. */
  readonly listen?: string;
  /** Hubble's metrics of flows, each with its options. */
  readonly flows: readonly string[];
  readonly version: string;
}

/** The address to serve metrics on cannot be taken. */
export class MetricsListenError extends Error {
  override readonly name = "MetricsListenError";
}

const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

/** Throws MetricsListenError for anything but loopback: what leaves the machine needs TLS, which this listener does not speak. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3] ?? NaN);
  if (!found || port > 65_535) throw new MetricsListenError(`"${text}" is no address: write it as 127.0.0.1:9962`);
  if (!LOOPBACK.includes(host))
    throw new MetricsListenError(`metrics are served on loopback only, not on ${host}: use 127.0.0.1:${port}`);
  return { host, port };
}

const FIRST_OF_CLUSTER = 256;
const [LOCAL_SCOPE, REMOTE_NODE_SCOPE] = [1 << 24, 2 << 24];

type Collect = { readonly set: (labels: Record<string, string>, value: number) => void };

/** A gauge or counter whose values are read when it is scraped. */
function read(
  registry: Registry,
  definition: { readonly name: string; readonly help: string; readonly labels: readonly string[] },
  collect: (to: Collect) => void,
): Metric {
  const { name, help, labels } = definition;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (name.endsWith("_total") || name.includes("_count_") || name.includes("_bytes_"))
    return new Counter({
      ...options,
      collect() {
        this.reset();
        collect({ set: (values, value) => this.inc(values, value) });
      },
    });
  return new Gauge({
    ...options,
    collect() {
      this.reset();
      collect({ set: (values, value) => this.set(values, value) });
    },
  });
}

const DIRECTION = { ingress: "INGRESS", egress: "EGRESS" } as const;

function packetMetrics(registry: Registry, agent: Agent): void {
  const drops = { labels: ["reason", "direction"] };
  const forwards = { labels: ["direction"] };
  const each = (isDrop: boolean, what: "packets" | "bytes") => (to: Collect) => {
    for (const { reason, direction, ...counted } of agent.datapath.counters()) {
      if ((reason !== 0) !== isDrop) continue;
      const labels = isDrop ? { reason: dropReasonText(reason) } : {};
      to.set({ ...labels, direction: DIRECTION[direction] }, Number(counted[what]));
    }
  };
  read(registry, { ...drops, name: "cilium_drop_count_total", help: "Total dropped packets" }, each(true, "packets"));
  read(registry, { ...drops, name: "cilium_drop_bytes_total", help: "Total dropped bytes" }, each(true, "bytes"));
  read(
    registry,
    { ...forwards, name: "cilium_forward_count_total", help: "Total forwarded packets" },
    each(false, "packets"),
  );
  read(
    registry,
    { ...forwards, name: "cilium_forward_bytes_total", help: "Total forwarded bytes" },
    each(false, "bytes"),
  );
}

function count<T>(items: readonly T[], of: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(of(item), (counts.get(of(item)) ?? 0) + 1);
  return counts;
}

function enforcementOf({ ingressEnforced, egressEnforced, endpoint }: ReturnType<Agent["endpoints"]>[number]): string {
  const audit = endpoint.audit === true ? "-audit" : "";
  if (ingressEnforced && egressEnforced) return `both${audit}`;
  return ingressEnforced ? `ingress${audit}` : egressEnforced ? `egress${audit}` : "none";
}

/** Cilium's words for the scopes of numbers. */
function identityType(id: number): string {
  if (id < FIRST_OF_CLUSTER) return "reserved";
  return id < LOCAL_SCOPE ? "cluster_local" : id < REMOTE_NODE_SCOPE ? "node_local" : "remote_node";
}

function stateMetrics(registry: Registry, agent: Agent, version: string): void {
  const gauge = (name: string, help: string, labels: readonly string[], collect: (to: Collect) => void): void =>
    void read(registry, { name: `cilium_${name}`, help, labels }, collect);
  gauge("version", "Version of the agent", ["version"], (to) => to.set({ version }, 1));
  gauge("endpoint", "Number of endpoints managed by this agent", [], (to) => to.set({}, agent.endpoints().length));
  gauge("endpoint_state", "Count of all endpoints, by state", ["endpoint_state"], (to) => {
    for (const [state, n] of count(agent.endpoints(), (each) => each.state)) to.set({ endpoint_state: state }, n);
  });
  const families = [
    ["ipv4", agent.world.pods],
    ["ipv6", agent.world.pods6],
  ] as const;
  gauge("ip_addresses", "Number of allocated IP addresses", ["family"], (to) => {
    for (const [family, pool] of families) if (pool) to.set({ family }, pool.used);
  });
  gauge("ipam_capacity", "Total number of IPs in the IPAM pool labeled by family", ["family"], (to) => {
    for (const [family, pool] of families) if (pool) to.set({ family }, Number(pool.capacity));
  });
  gauge("ipam_events_total", "Number of IPAM events received", ["action", "family"], (to) => {
    for (const [family, pool] of families) {
      if (!pool) continue;
      to.set({ action: "allocate", family }, pool.counts.allocated);
      to.set({ action: "release", family }, pool.counts.released);
    }
  });
  gauge("errors_warnings_total", "Number of total errors in the agent", ["level", "subsystem"], (to) => {
    const { counts } = agent.options.log;
    for (const [level, n] of Object.entries(counts ?? {})) to.set({ level, subsystem: "agent" }, n);
  });
  gauge("policy", "Number of policies currently loaded", [], (to) => to.set({}, agent.world.documents().length));
  gauge("policy_max_revision", "Highest policy revision number in the agent", [], (to) =>
    to.set({}, agent.world.revision),
  );
  gauge(
    "policy_endpoint_enforcement_status",
    "Number of endpoints labeled by policy enforcement status",
    ["enforcement"],
    (to) => {
      for (const [enforcement, n] of count(agent.endpoints(), enforcementOf)) to.set({ enforcement }, n);
    },
  );
  gauge("identity", "Number of identities currently allocated", ["type"], (to) => {
    for (const [type, n] of count(agent.world.identities(), ({ id }) => identityType(id))) to.set({ type }, n);
  });
  gauge("nodes_all_num", "Number of nodes managed", [], (to) => to.set({}, agent.world.nodes.remote().length + 1));
  gauge("services", "Number of services currently loaded", [], (to) => to.set({}, agent.world.services().length));
  gauge("not_in_force", "Documents that are refused, and maps that are not as they should be", ["kind"], (to) => {
    const errors = agent.world.diagnostics().filter(({ severity }) => severity === "error");
    to.set({ kind: "document" }, errors.length);
    to.set({ kind: "map" }, agent.failures.size);
  });
}

const FAMILY = { skep_ct: "conntrack", skep_nat: "nat" } as const;

/** Of the tables of flows: how full, and what the looks through them have found. */
function tableMetrics(registry: Registry, agent: Agent): void {
  const define = (name: string, help: string, labels: readonly string[], collect: (to: Collect) => void): void =>
    void read(registry, { name: `cilium_${name}`, help, labels }, collect);
  define("bpf_map_pressure", "Fill percentage of map, by map name", ["map_name"], (to) => {
    for (const use of agent.datapath.tableUse()) to.set({ map_name: use.name }, pressureOf(use));
  });
  define("bpf_map_capacity", "Entries that a map has room for", ["map_group"], (to) => {
    for (const { name, capacity } of agent.datapath.tableUse()) to.set({ map_group: name }, capacity);
  });
  define("datapath_conntrack_gc_runs_total", "Number of conntrack garbage collector runs", ["status"], (to) => {
    to.set({ status: "completed" }, agent.collector.totals.runs);
    to.set({ status: "uncompleted" }, agent.collector.totals.failures);
  });
  define("datapath_conntrack_gc_interval_seconds", "Seconds between runs of the garbage collector", [], (to) =>
    to.set({}, agent.collector.intervalMs / 1000),
  );
  for (const [map, family] of Object.entries(FAMILY)) {
    define(`datapath_${family}_gc_entries`, `Entries that the last run found in ${map}`, ["status"], (to) => {
      const use = agent.datapath.tableUse().find(({ name }) => name === map);
      to.set({ status: "alive" }, use?.alive ?? 0);
      to.set({ status: "deleted" }, use?.removed ?? 0);
    });
  }
  define("datapath_table_emergencies_total", "Looks through a table because it was full", ["map_name"], (to) => {
    for (const { name, emergencies } of agent.datapath.tableUse()) to.set({ map_name: name }, emergencies);
  });
}

/** Of the names that workloads have resolved; Cilium's, with its labels. */
function nameMetrics(registry: Registry, agent: Agent, dns: DnsNames): void {
  const define = (name: string, help: string, labels: readonly string[], collect: (to: Collect) => void): void =>
    void read(registry, { name: `cilium_fqdn_${name}`, help, labels }, collect);
  const active = (): ActiveNames[] => activeNames(dns, BigInt(Math.round(agent.options.machine.clock.now() * 1e6)));
  define("active_names", "Domains in the DNS cache that have not expired, per endpoint", ["endpoint"], (to) => {
    for (const { endpoint, names } of active()) to.set({ endpoint: `${endpoint}` }, names);
  });
  define(
    "active_ips",
    "Addresses in the DNS cache of domains that have not expired, per endpoint",
    ["endpoint"],
    (to) => {
      for (const { endpoint, addresses } of active()) to.set({ endpoint: `${endpoint}` }, addresses);
    },
  );
  define("gc_deletions_total", "Names that were taken out of the DNS cache since they had expired", [], (to) =>
    to.set({}, dns.counts.expired),
  );
  const answers = {
    ...{ name: "skep_dns_answers_total", help: "Answers of name servers to workloads, by what became of them" },
    labels: ["result"],
  };
  read(registry, answers, (to) => {
    const { learned, empty, malformed, tooLong } = dns.counts;
    for (const [result, value] of Object.entries({ learned, empty, malformed, too_long: tooLong })) {
      to.set({ result }, value);
    }
  });
}

/** Throws MetricsListenError or the flows' MetricsError where the options cannot be served: asked before anything is loaded. */
export function checkMetrics(options: MetricsOptions): void {
  if (options.listen !== undefined) parseListen(options.listen);
  checkFlowMetrics(options.flows);
}

export interface RunningMetrics {
  readonly registry: Registry;
  readonly flows: FlowMetrics;
  /** With the port that was taken. */
  readonly address: string;
  close(): Promise<void>;
}

/** All that the agent counts. Throws the flows' MetricsError. */
export function agentRegistry(
  agent: Agent,
  options: Pick<MetricsOptions, "flows" | "version">,
  dns: DnsNames,
): Pick<RunningMetrics, "registry" | "flows"> {
  const registry = new Registry();
  const flows = new FlowMetrics({ registry, metrics: options.flows });
  packetMetrics(registry, agent);
  tableMetrics(registry, agent);
  stateMetrics(registry, agent, options.version);
  nameMetrics(registry, agent, dns);
  for (const metric of agent.activity.metrics) registry.registerMetric(metric);
  collectDefaultMetrics({ register: registry, prefix: "skep_" });
  return { registry, flows };
}

/** Serves `/metrics`. Throws MetricsListenError before anything listens. */
export async function serveMetrics(
  { registry, flows }: Pick<RunningMetrics, "registry" | "flows">,
  options: { readonly listen: string },
  log: Logger,
): Promise<RunningMetrics> {
  const { host, port } = parseListen(options.listen);
  const server = http.createServer((request, response) => {
    if (request.method !== "GET" || request.url?.replace(/\?.*/s, "") !== "/metrics") {
      response.writeHead(request.method === "GET" ? 404 : 405).end("metrics are at /metrics\n");
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      (error: unknown) => {
        log.error("the metrics cannot be read", { error: String(error) });
        response.writeHead(500).end("the metrics cannot be read\n");
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new MetricsListenError(`metrics cannot be served on ${options.listen}: ${cause.message}`, { cause })),
    );
    server.listen(port, host, resolve);
  });
  const taken = server.address() as AddressInfo;
  const shown = taken.family === "IPv6" ? `[${taken.address}]` : taken.address;
  return {
    registry,
    flows,
    address: `${shown}:${taken.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
