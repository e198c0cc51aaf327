import type { DirectionPolicy, DirectionContext, RowChange } from "./direction-policy.ts";
import { SharedDirections } from "./shared-directions.ts";
import type { Enforcement } from "./plan.ts";
import { Peer, type CidrMatching, type NamedPort, type PolicyIdentity } from "./identity.ts";
import { formatLabels, type Labels } from "./labels.ts";
import { DEFAULT_MAX_ENTRIES, limitEntries, overflowOf } from "./limit.ts";
import type { ProxyPorts } from "./l7-need.ts";
import type { EndpointPolicy, PolicyMapEntry } from "./map-state.ts";
import { Repository } from "./repository.ts";
import type { PolicyDocument, Rule } from "./rule.ts";
import { SelectorCache, type CachedSelector } from "./selector-cache.ts";

export interface EngineOptions extends CidrMatching {
  readonly enforcement?: Enforcement;
  /** The host reaches its workloads whatever rules say, but for those that deny it. Default true. */
  readonly allowLocalhost?: boolean;
  /** Whether policies with a nodeSelector are in force on the host. Default false. */
  readonly hostFirewall?: boolean;
  /** Entries that the map of an endpoint holds. Default 16,384. */
  readonly maxEntries?: number;
  /** Namespaces at whose workloads nothing is denied; what would be is told. */
  readonly auditNamespaces?: readonly string[];
  /** Ports of proxies; without it none serves anything. */
  readonly proxyPorts?: ProxyPorts;
}

/** Whom a policy is resolved for. */
export interface PolicySubject {
  /** Endpoint number. */
  readonly id: number;
  readonly identity: PolicyIdentity;
  /** Of the endpoint itself. */
  readonly namedPorts?: readonly NamedPort[];
  /** Nothing is denied at this endpoint; what would be is told. */
  readonly audit?: boolean;
}

export interface PolicyDelta {
  readonly version: number;
  readonly put: readonly PolicyMapEntry[];
  readonly take: readonly PolicyMapEntry[];
}

/** Both directions of a subject; shared by endpoints with the same identity and named ports, each direction by all with the same rules. */
export interface SubjectPolicy {
  readonly key: string;
  readonly rules: readonly Rule[];
  readonly ingress: DirectionPolicy;
  readonly egress: DirectionPolicy;
  /** Grows when the entries may have changed. */
  version: number;
}

/** Rules and identities, and what they come to. */
export class PolicyEngine {
  readonly repository: Repository;
  readonly cache: SelectorCache;
  private readonly options: Required<EngineOptions>;
  private readonly subjects = new Map<string, CompiledPolicy>();
  private readonly directions = new SharedDirections();
  private compiledAt = 0;
  private versions = 0;

  constructor(options: EngineOptions = {}, repository = new Repository()) {
    this.options = {
      enforcement: options.enforcement ?? "default",
      allowLocalhost: options.allowLocalhost ?? true,
      hostFirewall: options.hostFirewall ?? false,
      dualStack: options.dualStack ?? false,
      cidrMatchesPods: options.cidrMatchesPods ?? false,
      auditNamespaces: options.auditNamespaces ?? [],
      maxEntries: options.maxEntries ?? DEFAULT_MAX_ENTRIES,
      proxyPorts: options.proxyPorts ?? (() => 0),
    };
    this.repository = repository;
    this.cache = new SelectorCache(this.options);
  }

  /** Adds and removes documents (by `documentKey`) in one step. Returns the revision. */
  update(documents: Iterable<PolicyDocument>, remove: Iterable<string> = []): number {
    const revision = this.repository.set(documents, remove);
    this.touched(this.cache.setGroups(this.repository.groups));
    return revision;
  }

  upsertIdentity(identity: PolicyIdentity): void {
    // A number may stand for other labels than before.
    if (!sameLabels(this.cache.get(identity.id)?.identity.labels, identity.labels)) this.forget(identity.id);
    this.identityChanged(identity.id, this.cache.upsert(identity));
  }

  removeIdentity(id: number): void {
    this.forget(id);
    this.identityChanged(id, this.cache.remove(id));
  }

  setServices(services: Parameters<SelectorCache["setServices"]>[0]): void {
    this.touched(this.cache.setServices(services));
  }

  /** What a change of single services costs does not depend on how many there are. */
  changeServices(...change: Parameters<SelectorCache["changeServices"]>): void {
    this.touched(this.cache.changeServices(...change));
  }

  /** The policy of a subject, compiled when its rules changed. */
  subject(subject: PolicySubject): SubjectPolicy {
    return this.compiled(subject);
  }

  private compiled(subject: PolicySubject): CompiledPolicy {
    this.recompile();
    const key = subjectKey(subject);
    const known = this.subjects.get(key);
    if (known) return known;
    const compiled = this.compile(key, subject);
    this.subjects.set(key, compiled);
    return compiled;
  }

  /** Drops what was compiled for other subjects than these. */
  retain(subjects: Iterable<PolicySubject>): void {
    const keep = new Set([...subjects].map(subjectKey));
    for (const [key, policy] of this.subjects) {
      if (keep.has(key)) continue;
      this.close(policy);
      this.subjects.delete(key);
    }
  }

  /** Whether the map holds all of it. */
  fits(subject: PolicySubject): boolean {
    const { ingress, egress } = this.subject(subject);
    return ingress.size + egress.size <= this.options.maxEntries;
  }

  /** The policy as its map is to hold it; with `overflow` where it does not hold all. */
  resolve(subject: PolicySubject): EndpointPolicy {
    const { ingress, egress } = this.subject(subject);
    const { maxEntries } = this.options;
    const entries = [...ingress.entries(), ...egress.entries()];
    const policy = {
      endpoint: subject.id,
      revision: this.repository.revision,
      ingressEnforced: ingress.enforced,
      egressEnforced: egress.enforced,
    };
    // A copy: a list that grew keeps room for more, and there is one for each endpoint.
    if (entries.length <= maxEntries) return { ...policy, entries: entries.slice() };
    const overflow = overflowOf(entries.length, maxEntries, [...ingress.costs(), ...egress.costs()]);
    return { ...policy, entries: limitEntries(entries, maxEntries), overflow };
  }

  /**
   * What came and went since that version of the subject's policy, where whole identities did: entries to put in and entries to take out,
   * in an order that at no moment allows more than before and after. Null: the policy is to be written as a whole.
   */
  delta(subject: PolicySubject, since: number): PolicyDelta | null {
    const policy = this.compiled(subject);
    // Of the rules that held before nothing is known any more.
    if (since < policy.compiledAt) return null;
    if (policy.ingress.size + policy.egress.size > this.options.maxEntries) return null;
    const changes = [policy.ingress, policy.egress].map((direction) => direction.changesSince(since));
    const all: RowChange[] = [];
    for (const part of changes) {
      if (part === null) return null;
      all.push(...part);
    }
    if (all.some(({ before, after }) => before.length > 0 && after.length > 0)) return null;
    const put = new Map<string, PolicyMapEntry>();
    const take = new Map<string, PolicyMapEntry>();
    for (const { before, after } of all.sort((a, b) => a.version - b.version)) {
      for (const entry of before) if (!put.delete(entryKey(entry))) take.set(entryKey(entry), entry);
      for (const entry of after) {
        take.delete(entryKey(entry));
        put.set(entryKey(entry), entry);
      }
    }
    return {
      version: policy.version,
      put: [...put.values()].sort(narrowFirst),
      take: [...take.values()].sort(broadFirst),
    };
  }

  private forget(id: number): void {
    for (const [key, policy] of this.subjects) {
      if (policy.subject.identity.id !== id) continue;
      this.close(policy);
      this.subjects.delete(key);
    }
  }

  private close({ ingress, egress }: SubjectPolicy): void {
    this.directions.release(ingress);
    this.directions.release(egress);
  }

  private identityChanged(id: number, selectors: ReadonlySet<CachedSelector>): void {
    const version = this.versions + 1;
    const changed = new Set<DirectionPolicy>();
    for (const direction of this.directions.all())
      if ((direction.hasOpenNames || direction.uses(selectors)) && direction.refresh(id, version))
        changed.add(direction);
    this.raise(changed, version);
  }

  private touched(selectors: ReadonlySet<CachedSelector>): void {
    if (selectors.size === 0) return;
    const version = this.versions + 1;
    const changed = new Set<DirectionPolicy>();
    for (const direction of this.directions.all()) {
      if (!direction.uses(selectors)) continue;
      direction.refreshAll(version);
      changed.add(direction);
    }
    this.raise(changed, version);
  }

  /** Who has one of these directions has another version. */
  private raise(changed: ReadonlySet<DirectionPolicy>, version: number): void {
    if (changed.size === 0) return;
    this.versions = version;
    for (const policy of this.subjects.values())
      if (changed.has(policy.ingress) || changed.has(policy.egress)) policy.version = version;
  }

  /** After a change of rules: subjects that other rules select now are compiled anew. */
  private recompile(): void {
    if (this.compiledAt === this.repository.revision) return;
    this.compiledAt = this.repository.revision;
    for (const [key, policy] of this.subjects) {
      const { subject } = policy;
      const rules = this.rulesFor(new Peer(subject.identity));
      if (rules.length === policy.rules.length && rules.every((rule, i) => rule === policy.rules[i])) continue;
      const compiled = this.compile(key, subject);
      this.close(policy);
      this.subjects.set(key, compiled);
    }
  }

  private rulesFor(peer: Peer): Rule[] {
    if (peer.labels.has("reserved:host") && !this.options.hostFirewall) return [];
    return this.repository.rulesFor(peer);
  }

  private compile(key: string, subject: PolicySubject): CompiledPolicy {
    const peer = new Peer(subject.identity);
    const isOpenHost = peer.labels.has("reserved:host") && !this.options.hostFirewall;
    const rules = this.rulesFor(peer);
    const version = ++this.versions;
    const context: DirectionContext = {
      version,
      cache: this.cache,
      cookies: this.repository.cookies,
      enforcement: isOpenHost ? "never" : this.options.enforcement,
      allowLocalhost: this.options.allowLocalhost,
      proxyPorts: this.options.proxyPorts,
      auditAll: subject.audit === true || this.options.auditNamespaces.includes(peer.labels.namespace ?? ""),
      subject: peer,
      namedPorts: subject.namedPorts ?? [],
    };
    return {
      key,
      subject,
      rules,
      ingress: this.directions.acquire("ingress", rules, context),
      egress: this.directions.acquire("egress", rules, context),
      version,
      compiledAt: version,
    };
  }
}

function sameLabels(a: Labels | undefined, b: Labels): boolean {
  return a !== undefined && formatLabels(a).join() === formatLabels(b).join();
}

interface CompiledPolicy extends SubjectPolicy {
  readonly subject: PolicySubject;
  /** The version that it had at first. */
  readonly compiledAt: number;
}

function entryKey({ direction, identity, protocol, port, portPrefix }: PolicyMapEntry): string {
  return `${direction} ${identity} ${protocol} ${port}/${portPrefix}`;
}

function depthOf({ protocol, portPrefix }: PolicyMapEntry): number {
  return protocol === 0 ? 0 : 1 + portPrefix;
}

/** Exceptions before what they are taken from. */
function narrowFirst(a: PolicyMapEntry, b: PolicyMapEntry): number {
  return depthOf(b) - depthOf(a);
}

function broadFirst(a: PolicyMapEntry, b: PolicyMapEntry): number {
  return depthOf(a) - depthOf(b);
}

function subjectKey({ identity, namedPorts, audit }: PolicySubject): string {
  const ports = (namedPorts ?? []).map(({ name, protocol, port }) => `${name}/${protocol}=${port}`).sort();
  return `${identity.id} ${ports.join(",")}${audit ? " audit" : ""}`;
}

/** Resolves one endpoint's policy from scratch. */
export function resolve(
  repository: Repository,
  identities: Iterable<PolicyIdentity>,
  endpoint: PolicySubject,
  options: EngineOptions = {},
): EndpointPolicy {
  const engine = new PolicyEngine(options, repository);
  for (const identity of identities) engine.upsertIdentity(identity);
  engine.cache.setGroups(repository.groups);
  return engine.resolve(endpoint);
}
