/**
 * @module
 * Names for flows from what control knows. Everything that is derived is kept until control's revision changes: events come fast.
 */
import type { Endpoint, ServiceRow } from "@skep/control";
import { type Address, sameAddress } from "@skep/net";
import type { Decision, EndpointInfo, FlowContext, PolicyName, ServiceName } from "./decode/context.ts";
import { matchTypeOf, type MatchEntry } from "./decode/match-type.ts";

/** The part of control's `World` that is asked. */
export interface FlowWorld {
  readonly revision: number;
  endpoint(id: number): Endpoint | null;
  identityLabels(identity: number): readonly string[];
  services(): readonly ServiceRow[];
  rulesOf(cookie: number): readonly RuleName[];
  documents(): readonly PolicyDocumentName[];
}

interface RuleName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

interface PolicyDocumentName extends RuleName {
  readonly rules: readonly { readonly direction: "ingress" | "egress"; readonly defaultDeny: boolean }[];
}

export interface WorldContextOptions<W extends FlowWorld> {
  readonly world: W;
  /** Without the cluster. */
  readonly nodeName: string;
  /** Default `default`. */
  readonly clusterName?: string;
  readonly wallTime: (monotonic: bigint) => bigint;
  readonly uuid: () => string;
  /** The endpoint's policy as it is in force. */
  readonly entries: (endpoint: number) => readonly MatchEntry[] | null;
  readonly selects: (world: W, document: ReturnType<W["documents"]>[number], endpoint: Endpoint) => boolean;
}

/** Endpoints that are gone keep their names for events that are still under way. */
const KEEP_GONE = 1024;

const labelText = (key: string, value: string): string => (value === "" ? key : `${key}=${value}`);

interface KnownEndpoint {
  readonly endpoint: Endpoint;
  readonly info: EndpointInfo;
}

function lastBytes({ bytes }: Address): number {
  const at = bytes.length - 4;
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

function frontendsOf(rows: readonly ServiceRow[]): Map<number, ServiceRow[]> {
  const found = new Map<number, ServiceRow[]>();
  for (const row of rows) {
    const key = lastBytes(row.address);
    const same = found.get(key);
    if (same) same.push(row);
    else found.set(key, [row]);
  }
  return found;
}

function policyName(rule: RuleName, revision: bigint): PolicyName {
  const labels = [
    `k8s:io.cilium.k8s.policy.derived-from=${rule.kind}`,
    `k8s:io.cilium.k8s.policy.name=${rule.name}`,
    ...(rule.namespace === "" ? [] : [`k8s:io.cilium.k8s.policy.namespace=${rule.namespace}`]),
  ];
  return { kind: rule.kind, namespace: rule.namespace, name: rule.name, labels, revision };
}

/** One per policy, in the order given. */
function distinct(rules: readonly RuleName[], revision: bigint): PolicyName[] {
  const found = new Map<string, PolicyName>();
  for (const rule of rules) {
    const key = `${rule.kind}/${rule.namespace}/${rule.name}`;
    if (!found.has(key)) found.set(key, policyName(rule, revision));
  }
  return [...found.values()];
}

class WorldContext<W extends FlowWorld> implements FlowContext {
  readonly nodeName: string;
  readonly nodeLabels: readonly string[] = [];
  readonly wallTime: (monotonic: bigint) => bigint;
  readonly uuid: () => string;
  readonly #options: WorldContextOptions<W>;
  readonly #cluster: string;
  readonly #known = new Map<number, KnownEndpoint>();
  #revision = -1;
  readonly #peers = new Map<number, EndpointInfo>();
  readonly #policies = new Map<number, readonly PolicyName[]>();
  readonly #interfaces = new Map<number, string>();
  #services: Map<number, ServiceRow[]> | null = null;

  constructor(options: WorldContextOptions<W>) {
    this.#options = options;
    this.#cluster = options.clusterName ?? "default";
    this.nodeName = `${this.#cluster}/${options.nodeName}`;
    this.wallTime = options.wallTime;
    this.uuid = options.uuid;
  }

  /** Drops what was derived from an older state of control. */
  #fresh(): void {
    const { revision } = this.#options.world;
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#peers.clear();
    this.#policies.clear();
    this.#services = null;
  }

  /** The endpoint as it is, or as it was last. */
  #endpoint(id: number): KnownEndpoint | null {
    const found = this.#options.world.endpoint(id);
    const known = this.#known.get(id) ?? null;
    if (!found || known?.endpoint === found) return known;
    const fresh = { endpoint: found, info: this.#infoOf(found) };
    this.#known.delete(id);
    this.#known.set(id, fresh);
    this.#interfaces.set(found.interfaceIndex, found.interfaceName);
    this.#forgetOldest();
    return fresh;
  }

  #forgetOldest(): void {
    for (const [id, { endpoint }] of this.#known) {
      if (this.#known.size <= KEEP_GONE) return;
      if (this.#options.world.endpoint(id) !== null) continue;
      this.#known.delete(id);
      this.#interfaces.delete(endpoint.interfaceIndex);
    }
  }

  #infoOf(endpoint: Endpoint): EndpointInfo {
    return {
      id: endpoint.id,
      identity: endpoint.identity,
      namespace: endpoint.namespace,
      labels: Object.entries(endpoint.labels)
        .map(([key, value]) => labelText(key, value))
        .sort(),
      podName: endpoint.name,
      workloads: [{ name: endpoint.name, kind: "Pod" }],
      clusterName: this.#cluster,
    };
  }

  endpoint(id: number): EndpointInfo | null {
    return this.#endpoint(id)?.info ?? null;
  }

  peer(identity: number): EndpointInfo {
    this.#fresh();
    let info = this.#peers.get(identity);
    if (!info) {
      const labels = [...this.#options.world.identityLabels(identity)].sort();
      info = { id: 0, identity, namespace: "", labels, podName: "", workloads: [], clusterName: "" };
      this.#peers.set(identity, info);
    }
    return info;
  }

  service(address: Address, port: number, protocol: number): ServiceName | null {
    this.#fresh();
    this.#services ??= frontendsOf(this.#options.world.services());
    // Most addresses are no frontend: that is told without making a key.
    const rows = this.#services.get(lastBytes(address));
    return (
      rows?.find((row) => row.port === port && row.protocol === protocol && sameAddress(row.address, address)) ?? null
    );
  }

  names(): readonly string[] {
    return [];
  }

  policies(decision: Decision): readonly PolicyName[] {
    this.#fresh();
    // Default deny is of an endpoint and a direction, and has no cookie: negative keys.
    const key =
      decision.cookie !== 0 ? decision.cookie : -1 - decision.endpoint * 2 - (decision.direction === "ingress" ? 1 : 0);
    let policies = this.#policies.get(key);
    if (!policies) {
      const rules = decision.cookie === 0 ? this.#defaultDeny(decision) : this.#rules(decision.cookie);
      policies = distinct(rules, BigInt(this.#revision));
      this.#policies.set(key, policies);
    }
    return policies;
  }

  /** What allows a direction that no policy enforces is no policy. */
  #rules(cookie: number): readonly RuleName[] {
    return this.#options.world.rulesOf(cookie).filter((rule) => rule.kind !== "builtin");
  }

  /** Nothing matched: the policies that select the endpoint have turned the direction to default deny. */
  #defaultDeny({ endpoint: id, direction }: Decision): readonly RuleName[] {
    const { world, selects } = this.#options;
    const endpoint = this.#endpoint(id)?.endpoint;
    if (!endpoint) return [];
    return world
      .documents()
      .filter((document) => document.rules.some((rule) => rule.direction === direction && rule.defaultDeny))
      .filter((document) => selects(world, document, endpoint));
  }

  matchType(decision: Decision): number {
    if (decision.cookie === 0) return 0;
    const entries = this.#options.entries(decision.endpoint);
    return entries ? matchTypeOf(entries, decision) : 0;
  }

  interfaceName(index: number): string {
    return this.#interfaces.get(index) ?? "";
  }
}

export function worldContext<W extends FlowWorld>(options: WorldContextOptions<W>): FlowContext {
  return new WorldContext(options);
}
