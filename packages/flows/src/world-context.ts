/**
 * @module
 * Names for flows from what control knows. Everything that is derived is kept until control's revision changes: events come fast.
 */
import type { Endpoint, ServiceRow } from "@skep/control";
import { type Address, formatAddress } from "@skep/net";
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

const serviceKey = (address: Address, port: number, protocol: number): string =>
  `${formatAddress(address)} ${port} ${protocol}`;

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
  readonly #infos = new WeakMap<Endpoint, EndpointInfo>();
  readonly #last = new Map<number, Endpoint>();
  #revision = -1;
  readonly #peers = new Map<number, EndpointInfo>();
  readonly #policies = new Map<string, readonly PolicyName[]>();
  readonly #interfaces = new Map<number, string>();
  #services: Map<string, ServiceName> | null = null;

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

  #endpoint(id: number): Endpoint | null {
    const found = this.#options.world.endpoint(id);
    if (!found) return this.#last.get(id) ?? null;
    if (this.#last.get(id) !== found) {
      this.#last.delete(id);
      this.#last.set(id, found);
      this.#interfaces.set(found.interfaceIndex, found.interfaceName);
      this.#forgetOldest();
    }
    return found;
  }

  #forgetOldest(): void {
    for (const [id, endpoint] of this.#last) {
      if (this.#last.size <= KEEP_GONE) return;
      if (this.#options.world.endpoint(id) !== null) continue;
      this.#last.delete(id);
      this.#interfaces.delete(endpoint.interfaceIndex);
    }
  }

  endpoint(id: number): EndpointInfo | null {
    const endpoint = this.#endpoint(id);
    if (!endpoint) return null;
    let info = this.#infos.get(endpoint);
    if (!info) {
      info = {
        id,
        identity: endpoint.identity,
        namespace: endpoint.namespace,
        labels: Object.entries(endpoint.labels)
          .map(([key, value]) => labelText(key, value))
          .sort(),
        podName: endpoint.name,
        workloads: [{ name: endpoint.name, kind: "Pod" }],
        clusterName: this.#cluster,
      };
      this.#infos.set(endpoint, info);
    }
    return info;
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
    this.#services ??= new Map(
      this.#options.world
        .services()
        .map((row) => [serviceKey(row.address, row.port, row.protocol), { name: row.name, namespace: row.namespace }]),
    );
    if (this.#services.size === 0) return null;
    return this.#services.get(serviceKey(address, port, protocol)) ?? null;
  }

  names(): readonly string[] {
    return [];
  }

  policies(decision: Decision): readonly PolicyName[] {
    this.#fresh();
    const key = decision.cookie === 0 ? `${decision.endpoint} ${decision.direction}` : `${decision.cookie}`;
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
    const endpoint = this.#endpoint(id);
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
