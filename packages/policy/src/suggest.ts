/**
 * @module
 * Policies that allow what was recorded and nothing that was not: one for each kind of workload, by labels.
 */
import { ipProtocols } from "@skep/net";
import { stringify } from "yaml";
import type { FlowEnd, RecordedFlow } from "./flow-record.ts";
import { generalizePaths } from "./generalize.ts";
import type { HttpRequest } from "./l7-match.ts";
import { NAMESPACE_LABEL } from "./labels.ts";
import { parseDocuments } from "./parse/documents.ts";
import type { PolicyDocument } from "./rule.ts";
import { isWorkload, simulate, type SimulatedChange } from "./simulate.ts";
import { isIcmp, protocolName } from "./text.ts";

export interface SuggestOptions {
  /** Also allow what was dropped. Default false. */
  readonly dropped?: boolean;
  /** Rules of HTTP where requests were recorded; they need a proxy. Default true. */
  readonly http?: boolean;
  /** Names instead of the whole world where they were recorded; they need the DNS proxy. Default false. */
  readonly names?: boolean;
}

export interface Suggestion {
  /** Documents, apart by `---`. */
  readonly yaml: string;
  readonly documents: readonly PolicyDocument[];
  /** Flows that the suggestion is made for. */
  readonly flows: number;
  /** The proof: flows of these that the suggestion denies. Empty unless something is wrong. */
  readonly denied: readonly SimulatedChange[];
}

/** Labels that tell kinds of workloads apart, best first. */
const telling = [
  ...["app.kubernetes.io/name", "k8s-app", "app", "name", "run", "component", "app.kubernetes.io/component"],
  ...["class", "role", "tier", "org"],
];

/** A kind of workload: a namespace and the labels that select it. */
interface Kind {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Peer = { readonly kind: Kind } | { readonly entity: string } | { readonly name: string };

interface Edge {
  readonly subject: Kind;
  readonly peer: Peer;
  readonly ingress: boolean;
  readonly protocol: number;
  readonly port: number;
  readonly requests: readonly HttpRequest[];
}

export function suggest(flows: readonly RecordedFlow[], options: SuggestOptions = {}): Suggestion {
  const wanted = flows.filter(({ forwarded }) => forwarded || options.dropped);
  const kinds = kindsOf(wanted);
  const edges = edgesOf(wanted, kinds, options);
  const policies = [...groupBy(edges, ({ subject }) => kindKey(subject)).values()].map(policyOf);
  const text = policies
    .sort((a, b) => compare(sortKey(a), sortKey(b)))
    .map((policy) => stringify(policy, { lineWidth: 120, aliasDuplicateObjects: false }))
    .join("---\n");
  const { documents } = parseDocuments("suggested.yaml", text);
  const asked = wanted.map((flow) => ({ ...flow, forwarded: true }));
  // Asked without exceptions for the host: the suggestion is to stand on its own.
  const replay = simulate({ after: documents, flows: asked });
  return { yaml: text, documents, flows: wanted.length, denied: replay.changes };
}

/** By its labels as text: the kind of each workload. */
function kindsOf(flows: readonly RecordedFlow[]): Map<string, Kind> {
  const kinds = new Map<string, Kind>();
  for (const { source, destination } of flows)
    for (const end of [source, destination]) if (isWorkload(end)) kinds.set(JSON.stringify(end.labels), kindOf(end));
  return kinds;
}

/** The most telling label; without one, all that people gave. */
function kindOf({ labels, namespace }: FlowEnd): Kind {
  const own = new Map<string, string>();
  for (const [name, value] of Object.entries(labels)) {
    const key = name.replace(/^k8s:/, "");
    if (!key.startsWith("io.cilium.") && !key.startsWith("io.kubernetes.")) own.set(key, value);
  }
  const home = labels[`k8s:${NAMESPACE_LABEL}`] ?? namespace;
  for (const key of telling) {
    const value = own.get(key);
    if (value !== undefined) return { namespace: home, labels: { [key]: value } };
  }
  return { namespace: home, labels: Object.fromEntries([...own].sort(([a], [b]) => compare(a, b))) };
}

function kindKey({ namespace, labels }: Kind): string {
  return `${namespace}/${Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",")}`;
}

function edgesOf(flows: readonly RecordedFlow[], kinds: ReadonlyMap<string, Kind>, options: SuggestOptions): Edge[] {
  const edges = new Map<string, Edge>();
  for (const flow of flows)
    for (const ingress of [true, false]) {
      const [own, other] = ingress ? [flow.destination, flow.source] : [flow.source, flow.destination];
      const subject = kinds.get(JSON.stringify(own.labels));
      const peer = peerOf(other, kinds, { ...options, ingress });
      if (!subject || peer === null) continue;
      const { protocol, port } = flow;
      const key = [kindKey(subject), peerKey(peer), ingress, protocol, port].join(" ");
      const request = options.http !== false && flow.request?.kind === "http" ? [flow.request as HttpRequest] : [];
      const requests = [...(edges.get(key)?.requests ?? []), ...request];
      edges.set(key, { subject, peer, ingress, protocol, port, requests });
    }
  return [...edges.values()];
}

/** Null: nothing needs to be allowed (the host reaches its workloads). */
function peerOf(
  end: FlowEnd,
  kinds: ReadonlyMap<string, Kind>,
  { ingress, names }: SuggestOptions & { readonly ingress: boolean },
): Peer | null {
  const kind = kinds.get(JSON.stringify(end.labels));
  if (kind) return { kind };
  const reserved = Object.keys(end.labels)
    .find((label) => label.startsWith("reserved:"))
    ?.slice("reserved:".length);
  if (ingress && reserved === "host") return null;
  const [name] = end.names;
  if (names && !ingress && name !== undefined) return { name: name.replace(/\.$/, "") };
  const entity = reserved === undefined || reserved.startsWith("world") ? "world" : reserved;
  return { entity };
}

function peerKey(peer: Peer): string {
  if ("kind" in peer) return `kind ${kindKey(peer.kind)}`;
  return "entity" in peer ? `entity ${peer.entity}` : `name ${peer.name}`;
}

interface PolicyObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

function policyOf(edges: readonly Edge[]): PolicyObject {
  const [first] = edges;
  if (!first) throw new Error("a group of edges is never empty");
  const { namespace, labels } = first.subject;
  const name = nameOf(Object.values(labels).join("-") || "all");
  const rules = (ingress: boolean): unknown[] => rulesOf(edges.filter((edge) => edge.ingress === ingress));
  const [ingress, egress] = [rules(true), rules(false)];
  return {
    apiVersion: "cilium.io/v2",
    kind: "CiliumNetworkPolicy",
    metadata: { name: `${name}-observed`, namespace },
    spec: {
      endpointSelector: Object.keys(labels).length === 0 ? {} : { matchLabels: labels },
      ...(ingress.length > 0 ? { ingress } : {}),
      ...(egress.length > 0 ? { egress } : {}),
    },
  };
}

function nameOf(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name.slice(0, 200) || "workload";
}

/** Peers that use the same ports share a rule. */
function rulesOf(edges: readonly Edge[]): unknown[] {
  const byPeer = groupBy(edges, ({ peer }) => peerKey(peer));
  const shared = groupBy([...byPeer.values()], (part) => `${peerMember(part)} ${JSON.stringify(portsOf(part))}`);
  return [...shared.values()]
    .map((parts) => {
      const [part = []] = parts;
      const peers = parts.flatMap(([edge]) => (edge ? [peerValue(edge)] : []));
      return portsOf(part).map((ports) => ({ [peerMember(part)]: peers.sort(byText), ...ports }));
    })
    .flat()
    .sort(byText);
}

function peerMember([edge]: readonly Edge[]): string {
  const side = edge?.ingress ? "from" : "to";
  if (!edge || "kind" in edge.peer) return `${side}Endpoints`;
  return "entity" in edge.peer ? `${side}Entities` : `${side}FQDNs`;
}

function peerValue({ peer, subject }: Edge): unknown {
  if ("entity" in peer) return peer.entity;
  if ("name" in peer) return { matchName: peer.name };
  const { namespace, labels } = peer.kind;
  const scope = namespace === subject.namespace ? {} : { [`k8s:${NAMESPACE_LABEL}`]: namespace };
  return { matchLabels: { ...scope, ...labels } };
}

/** The ports of one peer as members of rules: ICMP stands alone, and each set of requests too. */
function portsOf(edges: readonly Edge[]): Readonly<Record<string, unknown>>[] {
  const icmps = edges.filter(({ protocol }) => isIcmp(protocol)).sort(byPort);
  const ports = edges.filter(({ protocol }) => !isIcmp(protocol)).sort(byPort);
  const plain = ports.filter(({ requests }) => requests.length === 0);
  const toPorts = [
    ...(plain.length > 0 ? [{ ports: plain.map(portValue) }] : []),
    ...ports
      .filter(({ requests }) => requests.length > 0)
      .map((edge) => ({ ports: [portValue(edge)], rules: { http: generalizePaths(edge.requests) } })),
  ];
  const fields = icmps.map(({ protocol, port }) => ({
    family: protocol === ipProtocols.icmp ? "IPv4" : "IPv6",
    type: port,
  }));
  return [...(toPorts.length > 0 ? [{ toPorts }] : []), ...(fields.length > 0 ? [{ icmps: [{ fields }] }] : [])];
}

function portValue({ protocol, port }: Edge): { port: string; protocol: string } {
  return { port: String(port), protocol: protocolName(protocol) };
}

function byPort(a: Edge, b: Edge): number {
  return a.protocol - b.protocol || a.port - b.port;
}

function byText(a: unknown, b: unknown): number {
  return compare(JSON.stringify(a), JSON.stringify(b));
}

function sortKey({ metadata }: PolicyObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
