/**
 * @module
 * The service map: who talks to whom, at which port, how often, and with what verdict.
 */
import { type End, endOf, type Grouping, sideOf } from "./ends.ts";
import {
  isReply,
  isServerError,
  layer7Name,
  type NamedPolicy,
  outcomeOf,
  policiesOf,
  policyName,
  type Row,
  transportOf,
  dropText,
} from "./row.ts";

export interface MapNode {
  readonly key: string;
  readonly kind: End["kind"];
  readonly title: string;
  readonly namespace: string;
  /** Names of its workloads, or its addresses where it has none. */
  readonly members: readonly string[];
  /** Identity labels that people gave, of the workload seen first. */
  readonly labels: readonly string[];
  /** Ports that it was asked at, in order. */
  readonly ports: readonly MapPort[];
}

export interface MapPort {
  /** `80/TCP`, `ICMPv4`. */
  readonly name: string;
  /** `HTTP`, where the flows say so. */
  readonly layer7: string;
}

export interface MapEdge {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly layer7: string;
  readonly forwarded: number;
  readonly dropped: number;
  readonly audited: number;
  /** Answers of the server that say that it failed. */
  readonly errors: number;
  /** Flows a second, over the window before the newest flow. */
  readonly rate: number;
  /** Milliseconds since 1970. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** How often each reason stands at a drop. */
  readonly reasons: ReadonlyMap<string, number>;
  /** The policies that its flows name, with how often. */
  readonly policies: readonly EdgePolicy[];
  /** The newest flow that was dropped, else the newest: what the details explain. */
  readonly sample: Row;
}

export interface EdgePolicy extends NamedPolicy {
  readonly count: number;
}

export interface ServiceMap {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
}

export type EdgeTone = "denied" | "mixed" | "audited" | "error" | "good";

/** Denied: all of it is dropped. Mixed: some of it. */
export function edgeTone({ forwarded, dropped, audited, errors }: MapEdge): EdgeTone {
  if (dropped > 0) return forwarded > 0 ? "mixed" : "denied";
  if (audited > 0) return "audited";
  return errors > 0 ? "error" : "good";
}

/** Flows of this long before the newest count for the rates, where nothing else is said. */
const RATE_MS = 30_000;

interface OpenNode {
  end: End;
  members: Set<string>;
  labels: readonly string[];
  ports: Map<string, string>;
}

interface OpenEdge {
  from: string;
  to: string;
  port: string;
  layer7: string;
  forwarded: number;
  dropped: number;
  audited: number;
  errors: number;
  recent: number;
  firstSeen: number;
  lastSeen: number;
  reasons: Map<string, number>;
  policies: Map<string, EdgePolicy>;
  sample: Row;
}

/** `80/TCP`; ICMP has no port. */
export function portName(name: string, port: number): string {
  return name.startsWith("ICMP") || name === "" ? name || "other" : `${port}/${name}`;
}

function peopleLabels(labels: readonly string[]): string[] {
  return labels
    .filter((label) => !/^k8s:io\.(cilium|kubernetes)\./.test(label))
    .map((label) => label.replace(/^k8s:/, ""));
}

/** Builds a map of rows; the order of the rows does not matter but for equal times. */
export function buildMap(rows: Iterable<Row>, grouping: Grouping): ServiceMap {
  const builder = new MapBuilder(grouping);
  for (const row of rows) builder.add(row);
  return builder.map();
}

/** Takes rows as they come. */
export class MapBuilder {
  readonly #grouping: Grouping;
  readonly #window: number;
  readonly #nodes = new Map<string, OpenNode>();
  readonly #edges = new Map<string, OpenEdge>();
  /** Times of the flows that count for the rates, with their edge; in the order in which they came. */
  #recent: { readonly time: number; readonly edge: OpenEdge }[] = [];
  #oldest = Infinity;
  #newest = 0;

  /** `window`: milliseconds before now whose flows count for the rates. */
  constructor(grouping: Grouping, window: number = RATE_MS) {
    this.#grouping = grouping;
    this.#window = window;
  }

  /** Of the newest flow that counted; milliseconds since 1970, 0 before the first. */
  get newest(): number {
    return this.#newest;
  }

  add(row: Row): void {
    const message = row.flow;
    // An agent's own notes and packets without addresses are no conversation.
    if (!message.source && !message.destination && !message.IP) return;
    const reply = isReply(message);
    const [client, server] = reply ? (["destination", "source"] as const) : (["source", "destination"] as const);
    const transport = transportOf(message);
    const port = portName(transport.name, reply ? transport.sourcePort : transport.destinationPort);
    const from = this.#node(row, client);
    const to = this.#node(row, server);
    const layer7 = layer7Name(message);
    if (!to.ports.get(port)) to.ports.set(port, layer7);
    const edge = this.#edge(row, { from: from.end.key, to: to.end.key, port });
    if (layer7 !== "") edge.layer7 = layer7;
    this.#count(edge, row, reply);
  }

  #node({ flow: message }: Row, side: "source" | "destination"): OpenNode {
    const given = sideOf(message, side);
    const end = endOf(given, this.#grouping);
    let node = this.#nodes.get(end.key);
    if (!node) {
      node = { end, members: new Set(), labels: peopleLabels(given.endpoint?.labels ?? []), ports: new Map() };
      this.#nodes.set(end.key, node);
    }
    const member = end.pod || end.address;
    if (member !== "") node.members.add(member);
    return node;
  }

  #edge(row: Row, { from, to, port }: { from: string; to: string; port: string }): OpenEdge {
    const key = `${from}>${to}:${port}`;
    let edge = this.#edges.get(key);
    if (!edge) {
      edge = {
        ...{ from, to, port, layer7: "", forwarded: 0, dropped: 0, audited: 0, errors: 0, recent: 0 },
        ...{ firstSeen: row.time, lastSeen: row.time, reasons: new Map(), policies: new Map(), sample: row },
      };
      this.#edges.set(key, edge);
    }
    return edge;
  }

  #count(edge: OpenEdge, row: Row, reply: boolean): void {
    const outcome = outcomeOf(row.flow);
    edge.firstSeen = Math.min(edge.firstSeen, row.time);
    edge.lastSeen = Math.max(edge.lastSeen, row.time);
    if (isServerError(row.flow)) edge.errors += 1;
    for (const policy of policiesOf(row.flow)) countPolicy(edge.policies, policy);
    if (outcome === "dropped") {
      edge.dropped += 1;
      const reason = dropText(row.flow) || "Dropped";
      edge.reasons.set(reason, (edge.reasons.get(reason) ?? 0) + 1);
      edge.sample = row;
    } else if (outcome === "audited") edge.audited += 1;
    // Answers show that it passes, and count no second time.
    else if (!reply) edge.forwarded += 1;
    if (edge.dropped === 0) edge.sample = row;
    if (reply && outcome !== "dropped") return;
    this.#oldest = Math.min(this.#oldest, row.time);
    this.#newest = Math.max(this.#newest, row.time);
    this.#recent.push({ time: row.time, edge });
    edge.recent += 1;
  }

  /** `now`: milliseconds since 1970; the newest flow where absent. */
  map(now: number = this.#newest): ServiceMap {
    const since = now - this.#window;
    this.#recent = this.#recent.filter(({ time, edge }) => {
      if (time >= since) return true;
      edge.recent -= 1;
      return false;
    });
    const seconds = Math.max(1, Math.min(this.#window, now - this.#oldest) / 1000);
    const nodes = [...this.#nodes.values()].map(nodeOf).sort(byKey);
    const edges = [...this.#edges].map(([key, edge]) => edgeOf(key, edge, seconds)).sort(byKey);
    return { nodes, edges };
  }
}

function countPolicy(policies: Map<string, EdgePolicy>, policy: NamedPolicy): void {
  const key = `${policy.verdict} ${policy.direction} ${policy.kind} ${policyName(policy)}`;
  policies.set(key, { ...policy, count: (policies.get(key)?.count ?? 0) + 1 });
}

function nodeOf({ end, members, labels, ports }: OpenNode): MapNode {
  const { key, kind, title, namespace } = end;
  const shown = [...ports].map(([name, layer7]) => ({ name, layer7 })).sort((a, b) => comparePorts(a.name, b.name));
  return { key, kind, title, namespace, members: [...members].sort(), labels, ports: shown };
}

function edgeOf(key: string, edge: OpenEdge, seconds: number): MapEdge {
  const { recent, policies, ...rest } = edge;
  return { ...rest, key, rate: recent / seconds, policies: [...policies.values()], reasons: new Map(edge.reasons) };
}

function comparePorts(a: string, b: string): number {
  return (Number.parseInt(a, 10) || 0) - (Number.parseInt(b, 10) || 0) || (a < b ? -1 : a > b ? 1 : 0);
}

const byKey = (a: { readonly key: string }, b: { readonly key: string }): number =>
  a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
