/**
 * @module
 * Names for flows from what control knows. Everything that is derived is kept until control's revision changes: events come fast.
 */
import type { Endpoint } from "@skep/control";
import { type Address, packAddress, sameAddress } from "@skep/net";
import type { Decision, EndpointInfo, FlowContext, PolicyName, ServiceName } from "./decode/context.ts";
import { matchTypeOf, type MatchEntry } from "./decode/match-type.ts";

/** The part of control's `World` that is asked. */
export interface FlowWorld {
  readonly revision: number;
  endpoint(id: number): Endpoint | null;
  identityLabels(identity: number): readonly string[];
  /** `namespace/name`; null where no service is at the address. */
  serviceAt(address: Address, port: number, protocol: number): string | null;
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
  readonly uuid: (sequence?: number) => string;
  /** DNS names that the endpoint had resolved to an address at a time (`DnsNames`). Default: none are known. */
  readonly names?: FlowContext["names"];
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

/** What lives as long as the context: endpoints as they were last, and the interfaces' names. */
class Known<W extends FlowWorld> {
  readonly options: WorldContextOptions<W>;
  readonly cluster: string;
  readonly interfaces = new Map<number, string>();
  readonly #known = new Map<number, KnownEndpoint>();

  constructor(options: WorldContextOptions<W>) {
    this.options = options;
    this.cluster = options.clusterName ?? "default";
  }

  /** The endpoint as it is, or as it was last. */
  endpoint(id: number): KnownEndpoint | null {
    const found = this.options.world.endpoint(id);
    const known = this.#known.get(id) ?? null;
    if (!found || known?.endpoint === found) return known;
    const fresh = { endpoint: found, info: this.#infoOf(found) };
    this.#known.delete(id);
    this.#known.set(id, fresh);
    this.interfaces.set(found.interfaceIndex, found.interfaceName);
    this.#forgetOldest();
    return fresh;
  }

  #forgetOldest(): void {
    for (const [id, { endpoint }] of this.#known) {
      if (this.#known.size <= KEEP_GONE) return;
      if (this.options.world.endpoint(id) !== null) continue;
      this.#known.delete(id);
      this.interfaces.delete(endpoint.interfaceIndex);
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
      clusterName: this.cluster,
    };
  }
}

const NO_NAMES: readonly string[] = [];
/** Addresses and ports of which is remembered whose they are. */
const MAX_SERVICES = 2048;

interface ServiceAnswer {
  readonly address: Address;
  readonly protocol: number;
  readonly name: ServiceName | null;
}

function serviceName(text: string | null): ServiceName | null {
  const slash = text?.indexOf("/") ?? -1;
  return text === null ? null : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** Names as one revision of control has them. What was asked while it held is answered the same afterwards. */
class Names<W extends FlowWorld> implements FlowContext {
  readonly nodeName: string;
  readonly nodeLabels: readonly string[] = [];
  readonly wallTime: (monotonic: bigint) => bigint;
  readonly uuid: (sequence?: number) => string;
  readonly revision: number;
  readonly #known: Known<W>;
  readonly #options: WorldContextOptions<W>;
  readonly #endpoints = new Map<number, KnownEndpoint>();
  readonly #peers = new Map<number, EndpointInfo>();
  readonly #policies = new Map<number, readonly PolicyName[]>();
  readonly #matchTypes = new Map<string, number>();
  /** Answers by port and the end of the address: to know them takes no text. */
  readonly #services = new Map<number, ServiceAnswer[]>();
  #isPast = false;

  constructor(known: Known<W>) {
    const { options } = known;
    this.#known = known;
    this.#options = options;
    this.nodeName = `${known.cluster}/${options.nodeName}`;
    this.wallTime = options.wallTime;
    this.uuid = options.uuid;
    this.revision = options.world.revision;
  }

  /** From here on what is known is kept. */
  end(): void {
    this.#isPast = true;
  }

  #endpoint(id: number): KnownEndpoint | null {
    const before = this.#endpoints.get(id);
    if (this.#isPast && before) return before;
    const found = this.#known.endpoint(id);
    if (found && found !== before) this.#endpoints.set(id, found);
    return found;
  }

  endpoint(id: number): EndpointInfo | null {
    return this.#endpoint(id)?.info ?? null;
  }

  peer(identity: number): EndpointInfo {
    let info = this.#peers.get(identity);
    if (!info) {
      const labels = [...this.#options.world.identityLabels(identity)].sort();
      info = { id: 0, identity, namespace: "", labels, podName: "", workloads: [], clusterName: "" };
      this.#peers.set(identity, info);
    }
    return info;
  }

  service(address: Address, port: number, protocol: number): ServiceName | null {
    const place = port * 0x1_0000_0000 + (lastBytes(address) >>> 0);
    const known = this.#services.get(place);
    const same = known?.find((each) => each.protocol === protocol && sameAddress(each.address, address));
    if (same) return same.name;
    const name = serviceName(this.#options.world.serviceAt(address, port, protocol));
    // What was not asked while it held is told as it is now, and not kept.
    if (this.#isPast) return name;
    if (this.#services.size >= MAX_SERVICES) this.#services.clear();
    const answer = { address: packAddress(address), protocol, name };
    this.#services.set(place, known ? [...known, answer] : [answer]);
    return name;
  }

  names(address: Address, endpoint: number, time: bigint): readonly string[] {
    return this.#options.names?.(address, endpoint, time) ?? NO_NAMES;
  }

  policies(decision: Decision): readonly PolicyName[] {
    // Default deny is of an endpoint and a direction, and has no cookie: negative keys.
    const key =
      decision.cookie !== 0 ? decision.cookie : -1 - decision.endpoint * 2 - (decision.direction === "ingress" ? 1 : 0);
    let policies = this.#policies.get(key);
    if (!policies) {
      const rules = decision.cookie === 0 ? this.#defaultDeny(decision) : this.#rules(decision.cookie);
      policies = distinct(rules, BigInt(this.revision));
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
    const { endpoint, direction, cookie, peer, protocol, port } = decision;
    const key = `${endpoint} ${direction} ${cookie} ${peer} ${protocol} ${port}`;
    let found = this.#matchTypes.get(key);
    if (found === undefined) {
      const entries = this.#options.entries(endpoint);
      found = entries ? matchTypeOf(entries, decision) : 0;
      if (this.#matchTypes.size >= MAX_MATCH_TYPES) this.#matchTypes.clear();
      this.#matchTypes.set(key, found);
    }
    return found;
  }

  interfaceName(index: number): string {
    return this.#known.interfaces.get(index) ?? "";
  }
}

const MAX_MATCH_TYPES = 10_000;
/** Revisions of which names are kept for flows that are read later. */
const KEEP_REVISIONS = 256;

class WorldContext<W extends FlowWorld> implements FlowContext {
  readonly nodeName: string;
  readonly nodeLabels: readonly string[] = [];
  readonly wallTime: (monotonic: bigint) => bigint;
  readonly uuid: (sequence?: number) => string;
  readonly #known: Known<W>;
  readonly #past = new Map<number, Names<W>>();
  #now: Names<W>;
  #epoch = 1;

  constructor(options: WorldContextOptions<W>) {
    this.#known = new Known(options);
    this.#now = new Names(this.#known);
    this.#past.set(this.#epoch, this.#now);
    this.nodeName = this.#now.nodeName;
    this.wallTime = options.wallTime;
    this.uuid = options.uuid;
  }

  /** Names of the newest state of control. */
  #fresh(): Names<W> {
    if (this.#known.options.world.revision === this.#now.revision) return this.#now;
    this.#now.end();
    this.#now = new Names(this.#known);
    this.#epoch += 1;
    this.#past.set(this.#epoch, this.#now);
    if (this.#past.size > KEEP_REVISIONS) this.#past.delete(this.#epoch - KEEP_REVISIONS);
    return this.#now;
  }

  get epoch(): number {
    this.#fresh();
    return this.#epoch;
  }

  during(epoch: number): FlowContext {
    return this.#past.get(epoch) ?? this.#fresh();
  }

  endpoint(id: number): EndpointInfo | null {
    return this.#fresh().endpoint(id);
  }

  peer(identity: number): EndpointInfo {
    return this.#fresh().peer(identity);
  }

  service(address: Address, port: number, protocol: number): ServiceName | null {
    return this.#fresh().service(address, port, protocol);
  }

  names(address: Address, endpoint: number, time: bigint): readonly string[] {
    return this.#fresh().names(address, endpoint, time);
  }

  policies(decision: Decision): readonly PolicyName[] {
    return this.#fresh().policies(decision);
  }

  matchType(decision: Decision): number {
    return this.#fresh().matchType(decision);
  }

  interfaceName(index: number): string {
    return this.#known.interfaces.get(index) ?? "";
  }
}

export function worldContext<W extends FlowWorld>(options: WorldContextOptions<W>): FlowContext {
  return new WorldContext(options);
}
