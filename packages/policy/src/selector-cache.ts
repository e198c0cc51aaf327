import { formatPrefix, prefixCovers, type Prefix } from "@skep/net";
import { matchesCidr, Peer, type CidrMatching, type PolicyIdentity } from "./identity.ts";
import { LabelSet } from "./labels.ts";
import type { CidrGroup, PeerSelector } from "./rule.ts";
import { anchorOf, matchesLabels } from "./selector.ts";

/** Label of a CIDR identity that a CiliumCIDRGroup holds. */
export const CIDR_GROUP_LABEL = "cidrgroup:io.cilium.policy.cidrgroupname/";

/** What a selector of services stands for. */
export interface ServicePeers {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the service; null where its backends are addresses. */
  readonly selector: Extract<PeerSelector, { kind: "labels" }>["selector"] | null;
  /** Addresses of backends without a selector. */
  readonly prefixes: readonly Prefix[];
}

/** A selector of peers and the identities that it selects now. */
export class CachedSelector {
  readonly key: string;
  readonly peer: PeerSelector;
  readonly selections = new Set<number>();
  users = 0;

  constructor(key: string, peer: PeerSelector) {
    this.key = key;
    this.peer = peer;
  }

  /** Selects every identity, known or not. */
  get isWildcard(): boolean {
    return this.peer.kind === "labels" && this.peer.selector.requirements.length === 0;
  }
}

/** Same text for selectors that select the same. */
export function peerKey(peer: PeerSelector): string {
  const except = (prefixes: readonly Prefix[]): string =>
    prefixes.length === 0 ? "" : ` except ${prefixes.map(formatPrefix).sort().join(",")}`;
  switch (peer.kind) {
    case "labels":
      return `labels ${peer.selector.text}`;
    case "cidr":
      return `cidr ${formatPrefix(peer.prefix)}${except(peer.except)}`;
    case "cidrGroup":
      return `group ${typeof peer.group === "string" ? peer.group : `{${peer.group.text}}`}${except(peer.except)}`;
    case "fqdn":
      return `fqdn ${peer.matchName} ${peer.matchPattern}`;
    case "service":
      return `service ${peer.namespace}/${typeof peer.service === "string" ? peer.service : `{${peer.service.text}}`}`;
    case "group":
      return `cloud ${JSON.stringify(peer.value)}`;
  }
}

/**
 * The identities that are known, and which of them each selector in use selects; kept up to date as identities come and go, without a
 * look at selectors that cannot match.
 */
export class SelectorCache {
  private readonly peers = new Map<number, Peer>();
  private readonly selectors = new Map<string, CachedSelector>();
  /** Selectors by a label key that what they match must have. */
  private readonly anchored = new Map<string, Set<CachedSelector>>();
  private readonly unanchored = new Set<CachedSelector>();
  private readonly groups = new Map<string, CidrGroup>();
  private readonly services = new Map<string, ServicePeers>();
  private readonly matching: CidrMatching;

  constructor(matching: CidrMatching = {}) {
    this.matching = matching;
  }

  get identities(): IterableIterator<Peer> {
    return this.peers.values();
  }

  get(id: number): Peer | null {
    return this.peers.get(id) ?? null;
  }

  /** Adds or replaces an identity. Returns the selectors whose selection changed, and those that select it before and after. */
  upsert(identity: PolicyIdentity): Set<CachedSelector> {
    const touched = this.remove(identity.id);
    const peer = new Peer(identity);
    this.peers.set(peer.id, peer);
    for (const selector of this.candidates(peer)) {
      if (!this.matches(selector.peer, peer)) continue;
      selector.selections.add(peer.id);
      touched.add(selector);
    }
    return touched;
  }

  /** Returns the selectors that selected it. */
  remove(id: number): Set<CachedSelector> {
    const touched = new Set<CachedSelector>();
    const peer = this.peers.get(id);
    if (!peer) return touched;
    for (const selector of this.candidates(peer)) if (selector.selections.delete(id)) touched.add(selector);
    this.peers.delete(id);
    return touched;
  }

  /** Takes a selector into use; `release` it as often. */
  acquire(peer: PeerSelector): CachedSelector {
    const key = peerKey(peer);
    let selector = this.selectors.get(key);
    if (!selector) {
      selector = new CachedSelector(key, peer);
      this.selectors.set(key, selector);
      this.file(selector);
      this.select(selector);
    }
    selector.users++;
    return selector;
  }

  release(selector: CachedSelector): void {
    selector.users--;
    if (selector.users > 0) return;
    this.selectors.delete(selector.key);
    for (const set of this.homes(selector)) set.delete(selector);
  }

  /** Sets the CIDR groups that selectors name. Returns the selectors whose selection changed. */
  setGroups(groups: Iterable<CidrGroup>): Set<CachedSelector> {
    this.groups.clear();
    for (const group of groups) this.groups.set(group.name, group);
    return this.reselect("cidrGroup");
  }

  /** Sets the services that selectors name. Returns the selectors whose selection changed. */
  setServices(services: Iterable<ServicePeers>): Set<CachedSelector> {
    this.services.clear();
    for (const service of services) this.services.set(`${service.namespace}/${service.name}`, service);
    return this.reselect("service");
  }

  /** Single services anew, and those of `gone` (`namespace/name`) no more. Returns the selectors whose selection changed. */
  changeServices(changed: Iterable<ServicePeers>, gone: Iterable<string>): Set<CachedSelector> {
    for (const key of gone) this.services.delete(key);
    for (const service of changed) this.services.set(`${service.namespace}/${service.name}`, service);
    return this.reselect("service");
  }

  /** Prefixes that a selector with groups or services stands for; none for other kinds. */
  prefixesOf(peer: PeerSelector): readonly Prefix[] {
    if (peer.kind === "cidr") return [peer.prefix, ...peer.except];
    if (peer.kind === "cidrGroup") return [...this.groupsOf(peer).flatMap(({ prefixes }) => prefixes), ...peer.except];
    if (peer.kind === "service") return this.servicesOf(peer).flatMap(({ prefixes }) => prefixes);
    return [];
  }

  /** Whether the selector selects the identity, by its labels or address. */
  matches(selector: PeerSelector, peer: Peer): boolean {
    switch (selector.kind) {
      case "labels":
        return matchesLabels(selector.selector, peer.labels);
      case "cidr":
        return matchesCidr(peer, selector.prefix, this.matching) && !isExcepted(peer, selector.except);
      case "cidrGroup":
        return peer.isWorld && this.inGroup(selector, peer) && !isExcepted(peer, selector.except);
      case "fqdn":
        return peer.labels.has(`fqdn:${selector.matchName || selector.matchPattern}`);
      case "service":
        return this.servicesOf(selector).some((service) => servesFrom(service, peer));
      case "group":
        return false;
    }
  }

  private inGroup(selector: Extract<PeerSelector, { kind: "cidrGroup" }>, peer: Peer): boolean {
    if (typeof selector.group === "string" && peer.labels.has(`${CIDR_GROUP_LABEL}${selector.group}`)) return true;
    const { cidr } = peer;
    return cidr !== null && this.groupsOf(selector).some(({ prefixes }) => prefixes.some((p) => prefixCovers(p, cidr)));
  }

  private groupsOf({ group }: Extract<PeerSelector, { kind: "cidrGroup" }>): CidrGroup[] {
    if (typeof group === "string") return [this.groups.get(group) ?? []].flat();
    return [...this.groups.values()].filter(({ labels }) => matchesLabels(group, plainLabels(labels)));
  }

  private servicesOf({ namespace, service }: Extract<PeerSelector, { kind: "service" }>): ServicePeers[] {
    if (typeof service === "string") return [this.services.get(`${namespace}/${service}`) ?? []].flat();
    return [...this.services.values()].filter(
      (known) =>
        (namespace === "" || known.namespace === namespace) && matchesLabels(service, plainLabels(known.labels)),
    );
  }

  private reselect(kind: PeerSelector["kind"]): Set<CachedSelector> {
    const touched = new Set<CachedSelector>();
    for (const selector of this.selectors.values()) {
      if (selector.peer.kind !== kind) continue;
      const before = new Set(selector.selections);
      this.select(selector);
      const same = before.size === selector.selections.size && [...before].every((id) => selector.selections.has(id));
      if (!same) touched.add(selector);
    }
    return touched;
  }

  private select(selector: CachedSelector): void {
    selector.selections.clear();
    for (const peer of this.peers.values()) if (this.matches(selector.peer, peer)) selector.selections.add(peer.id);
  }

  private file(selector: CachedSelector): void {
    for (const set of this.homes(selector)) set.add(selector);
  }

  private homes(selector: CachedSelector): Set<CachedSelector>[] {
    const anchor = selector.peer.kind === "labels" ? anchorOf(selector.peer.selector) : null;
    if (anchor === null) return [this.unanchored];
    const names = anchor.values.length === 0 ? [anchor.key] : anchor.values.map((value) => `${anchor.key}=${value}`);
    return names.map((name) => {
      const set = this.anchored.get(name) ?? new Set();
      this.anchored.set(name, set);
      return set;
    });
  }

  private *candidates(peer: Peer): IterableIterator<CachedSelector> {
    yield* this.unanchored;
    for (const [key, value] of peer.labels.pairs()) {
      yield* this.anchored.get(key) ?? [];
      yield* this.anchored.get(`${key}=${value}`) ?? [];
    }
  }
}

function plainLabels(labels: Readonly<Record<string, string>>): LabelSet {
  return new LabelSet(Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value])));
}

function isExcepted({ cidr }: Peer, except: readonly Prefix[]): boolean {
  return cidr !== null && except.some((prefix) => prefixCovers(prefix, cidr));
}

function servesFrom(service: ServicePeers, peer: Peer): boolean {
  const { selector, prefixes } = service;
  if (selector) return peer.labels.namespace === service.namespace && matchesLabels(selector, peer.labels);
  return prefixes.some((prefix) => peer.cidr !== null && peer.isWorld && prefixCovers(prefix, peer.cidr));
}
