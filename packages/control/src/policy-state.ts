/**
 * @module
 * The policy engine with what control knows: settings, identities with their ports, services, and the subjects of endpoints and of the host.
 */
import {
  type Diagnostic,
  type EndpointPolicy,
  type EngineOptions,
  type NamedPort,
  type PolicyDelta,
  type PolicyDocument,
  PolicyEngine,
  type PolicyIdentity,
  type PolicySubject,
  problemsOf,
  type Repository,
  reservedIdentities,
  reservedLabels,
  type RuleOrigin,
  documentKey,
  type ServicePeers,
} from "@skep/policy";
import type { EndpointSeed, Labels } from "./model.ts";

/** How policies are enforced. */
export type PolicySettings = Pick<
  EngineOptions,
  "enforcement" | "auditNamespaces" | "allowLocalhost" | "hostFirewall" | "maxEntries"
>;

/** What became of an endpoint's policy since a version of it. */
export type PolicyChange =
  | { readonly kind: "none"; readonly version: number }
  | { readonly kind: "delta"; readonly version: number; readonly delta: PolicyDelta }
  | { readonly kind: "whole"; readonly version: number; readonly policy: EndpointPolicy };

/** The host's own endpoint: its number is no workload's. */
export const HOST_ENDPOINT = 65_535;

/** More than an engine ever counts. */
const ENGINE_VERSIONS = 2 ** 40;

export class PolicyState {
  #engine: PolicyEngine;
  #settings: PolicySettings;
  /** Each engine counts its versions anew. */
  #engines = 0;
  /** Identities that the engine has been told, with the ports that they name. */
  readonly #known = new Map<number, KnownIdentity>();
  readonly #host: PolicySubject;

  /** `nodeLabels`: of the node itself, what a nodeSelector selects. */
  constructor(settings: PolicySettings, nodeLabels: Readonly<Record<string, string>>) {
    this.#settings = settings;
    this.#engine = new PolicyEngine(settings);
    this.#host = hostSubject(nodeLabels);
  }

  get settings(): PolicySettings {
    return this.#settings;
  }

  get repository(): Repository {
    return this.#engine.repository;
  }

  get cache(): PolicyEngine["cache"] {
    return this.#engine.cache;
  }

  /** Other enforcement, for all policies at once. `settle` and `setServices` follow. */
  configure(settings: PolicySettings): void {
    const { repository } = this.#engine;
    this.#settings = settings;
    // The rules keep their cookies: events under way keep their meaning.
    this.#engine = new PolicyEngine(settings, repository);
    this.#engines += 1;
    this.#engine.cache.setGroups(repository.groups);
    this.#known.clear();
  }

  /** Replaces all policies. */
  setDocuments(documents: readonly PolicyDocument[]): void {
    const kept = new Set(documents.map(documentKey));
    const gone = this.repository.documents.map(documentKey).filter((key) => !kept.has(key));
    this.#engine.update(documents, gone);
  }

  setServices(services: readonly ServicePeers[]): void {
    this.#engine.setServices(services);
  }

  changeServices(...change: Parameters<PolicyEngine["changeServices"]>): void {
    this.#engine.changeServices(...change);
  }

  /** The identities there are, and the workloads that have them. */
  settle(identities: readonly PolicyIdentity[], seeds: Iterable<EndpointSeed>): void {
    const users = new Map<number, EndpointSeed[]>();
    for (const seed of seeds) {
      const all = users.get(seed.identity) ?? [];
      all.push(seed);
      users.set(seed.identity, all);
    }
    for (const identity of identities) this.setIdentity(identity, users.get(identity.id) ?? []);
    const kept = new Set(identities.map(({ id }) => id));
    for (const id of [...this.#known.keys()]) if (!kept.has(id)) this.removeIdentity(id);
  }

  /** An identity, new or as before, and the workloads that have it. */
  setIdentity(identity: PolicyIdentity, users: Iterable<EndpointSeed>): void {
    const told = this.#withFacts(identity, namedPortsOf(users));
    const { labels } = told;
    const namedPorts = told.namedPorts ? JSON.stringify(told.namedPorts) : "";
    const before = this.#known.get(identity.id);
    if (before?.labels === labels && before.namedPorts === namedPorts) return;
    this.#known.set(identity.id, { labels, namedPorts });
    this.#engine.upsertIdentity(told);
  }

  removeIdentity(id: number): void {
    if (this.#known.delete(id)) this.#engine.removeIdentity(id);
  }

  /** Drops what was resolved for other subjects than these and the host. */
  retain(endpoints: readonly PolicySubject[]): void {
    this.#engine.retain([...endpoints, this.#host]);
  }

  #withFacts(identity: PolicyIdentity, namedPorts: readonly NamedPort[]): PolicyIdentity {
    if (identity.id === reservedIdentities.host) return this.#host.identity;
    return namedPorts.length > 0 ? { ...identity, namedPorts } : identity;
  }

  policyOf(subject: PolicySubject): EndpointPolicy {
    return this.#engine.resolve(subject);
  }

  hostPolicy(): EndpointPolicy {
    return this.#engine.resolve(this.#host);
  }

  /** Of the subject's policy as it is now. */
  version(subject: PolicySubject): number {
    return this.#engines * ENGINE_VERSIONS + this.#engine.subject(subject).version;
  }

  /** What is to be written so that the subject's policy is in force; `since` is the version that is, 0 none. */
  change(subject: PolicySubject, since: number): PolicyChange {
    const base = this.#engines * ENGINE_VERSIONS;
    const version = this.version(subject);
    if (version === since) return { kind: "none", version };
    const delta = since > base ? this.#engine.delta(subject, since - base) : null;
    if (delta) return { kind: "delta", version, delta };
    return { kind: "whole", version, policy: this.policyOf(subject) };
  }

  /** The same of the host's own policy. */
  hostChange(since: number): PolicyChange {
    return this.change(this.#host, since);
  }

  /** Which directions policies have closed by default. */
  enforced(subject: PolicySubject): { readonly ingress: boolean; readonly egress: boolean } {
    const { ingress, egress } = this.#engine.subject(subject);
    return { ingress: ingress.enforced, egress: egress.enforced };
  }

  /** What keeps the subjects' policies from being in force as they are written; once for those that share one. */
  problems(subjects: readonly PolicySubject[]): Diagnostic[] {
    const byKey = new Map(subjects.map((subject) => [this.#engine.subject(subject).key, subject]));
    return [...byKey.values()].flatMap((subject) => problemsOf(this.#engine, subject));
  }

  rulesOf(cookie: number): readonly RuleOrigin[] {
    return this.repository.rulesOf(cookie);
  }
}

/** An identity as the engine has it. */
interface KnownIdentity {
  readonly labels: Labels;
  /** As text. */
  readonly namedPorts: string;
}

function hostSubject(nodeLabels: Readonly<Record<string, string>>): PolicySubject {
  const labels = { ...reservedLabels("host") };
  for (const [key, value] of Object.entries(nodeLabels)) labels[key.includes(":") ? key : `k8s:${key}`] = value;
  return { id: HOST_ENDPOINT, identity: { id: reservedIdentities.host, labels } };
}

/** The ports that workloads name. */
function namedPortsOf(seeds: Iterable<EndpointSeed>): NamedPort[] {
  const all: NamedPort[] = [];
  for (const { namedPorts = [] } of seeds)
    for (const port of namedPorts) if (!all.some((other) => samePort(other, port))) all.push(port);
  return all;
}

function samePort(a: NamedPort, b: NamedPort): boolean {
  return a.name === b.name && a.protocol === b.protocol && a.port === b.port;
}
