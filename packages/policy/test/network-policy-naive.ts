/**
 * @module
 * Kubernetes NetworkPolicy read straight from its documentation: the reference that the engine is held against. Shares no code with it.
 */
export interface NaivePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As four numbers; pods are matched by address only where asked. */
  readonly ip: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}
export interface PolicyPeer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}
export interface PolicyPort {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}
export interface NetworkPolicy {
  apiVersion: "networking.k8s.io/v1";
  kind: "NetworkPolicy";
  metadata: { name: string; namespace: string };
  spec: {
    podSelector: Selector;
    policyTypes?: ("Ingress" | "Egress")[];
    ingress?: { from?: PolicyPeer[]; ports?: PolicyPort[] }[];
    egress?: { to?: PolicyPeer[]; ports?: PolicyPort[] }[];
  };
}

export interface Cluster {
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly NaivePod[];
}

export interface NaiveConnection {
  readonly from: NaivePod;
  readonly to: NaivePod;
  readonly protocol: string;
  readonly port: number;
}

export function naiveAllows(
  cluster: Cluster,
  policies: readonly NetworkPolicy[],
  connection: NaiveConnection,
): boolean {
  return (
    sideAllows(cluster, policies, { connection, ingress: false }) &&
    sideAllows(cluster, policies, { connection, ingress: true })
  );
}

export function sideAllows(
  cluster: Cluster,
  policies: readonly NetworkPolicy[],
  { connection, ingress }: { connection: NaiveConnection; ingress: boolean },
): boolean {
  const own = ingress ? connection.to : connection.from;
  const other = ingress ? connection.from : connection.to;
  const isolating = policies.filter(
    (policy) =>
      policy.metadata.namespace === own.namespace &&
      selects(policy.spec.podSelector, own.labels) &&
      isAbout(policy, ingress),
  );
  if (isolating.length === 0) return true;
  for (const policy of isolating) {
    const rules = ingress
      ? (policy.spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (policy.spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
    for (const { peers, ports } of rules) {
      const peerHolds =
        peers === undefined ||
        peers.length === 0 ||
        peers.some((peer) => holdsPeer(cluster, peer, { policy, pod: other }));
      const portHolds = ports === undefined || ports.length === 0 || ports.some((port) => holdsPort(port, connection));
      if (peerHolds && portHolds) return true;
    }
  }
  return false;
}

function isAbout({ spec }: NetworkPolicy, ingress: boolean): boolean {
  const types = spec.policyTypes ?? [];
  if (types.length > 0) return types.includes(ingress ? "Ingress" : "Egress");
  return ingress || (spec.egress ?? []).length > 0;
}

function holdsPeer(
  cluster: Cluster,
  peer: PolicyPeer,
  { policy, pod }: { policy: NetworkPolicy; pod: NaivePod },
): boolean {
  if (peer.ipBlock) return false; // Pods are not matched by address (Cilium's reading).
  const namespaceHolds = peer.namespaceSelector
    ? selects(peer.namespaceSelector, {
        "kubernetes.io/metadata.name": pod.namespace,
        ...cluster.namespaces[pod.namespace],
      })
    : pod.namespace === policy.metadata.namespace;
  return namespaceHolds && (peer.podSelector === undefined || selects(peer.podSelector, pod.labels));
}

function holdsPort(wanted: PolicyPort, { to, protocol, port }: NaiveConnection): boolean {
  if ((wanted.protocol ?? "TCP") !== protocol) return false;
  if (wanted.port === undefined) return true;
  if (typeof wanted.port === "string")
    return to.ports.some((named) => named.name === wanted.port && named.protocol === protocol && named.port === port);
  return port >= wanted.port && port <= (wanted.endPort ?? wanted.port);
}

function selects(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const own = labels[key];
    if (operator === "Exists" && own === undefined) return false;
    if (operator === "DoesNotExist" && own !== undefined) return false;
    if (operator === "In" && (own === undefined || !values.includes(own))) return false;
    if (operator === "NotIn" && own !== undefined && values.includes(own)) return false;
  }
  return true;
}
