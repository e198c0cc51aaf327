import { formatPrefix, parsePrefix, prefixCovers, type Prefix } from "@skep/net";
import { PolicyEngine, type EngineOptions } from "./engine.ts";
import type { ConnectionEnd } from "./explain.ts";
import {
  Peer,
  reservedIdentities,
  reservedLabels,
  type NamedPort,
  type PolicyIdentity,
  type ReservedName,
} from "./identity.ts";
import { cidrLabel, formatLabels, parseLabel, type Labels } from "./labels.ts";
import { matchesDns } from "./l7-match.ts";
import { documentKey, type PolicyDocument } from "./rule.ts";
import type { ServicePeers } from "./selector-cache.ts";
import { workloadLabels, type NamespaceSpec, type WorkloadSpec } from "./workloads.ts";

export interface ModelOptions extends EngineOptions {
  /** Default `default`. */
  readonly clusterName?: string;
}

/** One end of a connection with the name that people know it by. */
export interface ModelEnd extends ConnectionEnd {
  readonly name: string;
}

const FIRST_IDENTITY = 256;
const LOCAL_SCOPE = 2 ** 24;
const FIRST_NAME = LOCAL_SCOPE + 2 ** 20;

/**
 * Policies and the workloads that they are about, without a machine: what tests, traces, comparisons and simulations of policies ask. An L7
 * rule counts as served, so that its verdict can be asked for.
 */
export class PolicyModel {
  readonly engine: PolicyEngine;
  private readonly clusterName: string;
  private readonly namespaces = new Map<string, Readonly<Record<string, string>>>();
  private readonly workloads = new Map<string, ModelEnd>();
  private readonly numbers = new Map<string, number>();
  private readonly prefixes = new Map<string, PolicyIdentity>();
  private nextName = FIRST_NAME;

  constructor(options: ModelOptions = {}) {
    this.engine = new PolicyEngine({ proxyPorts: () => 1, hostFirewall: true, ...options });
    this.clusterName = options.clusterName ?? "default";
    for (const [name, id] of Object.entries(reservedIdentities))
      if (name !== "unknown") this.engine.upsertIdentity({ id, labels: reservedLabels(name as "host") });
  }

  /** Labels of a namespace; before the workloads that stand in it. */
  addNamespace({ name, labels }: NamespaceSpec): void {
    this.namespaces.set(name, labels);
  }

  addWorkload(spec: WorkloadSpec): ModelEnd {
    const { namespace, name, namedPorts = [] } = spec;
    const labels = workloadLabels(spec, this.namespaces.get(namespace) ?? {}, this.clusterName);
    const identity = this.identityOf(labels, namedPorts);
    const subject = { id: identity.id, identity, namedPorts };
    const end = { name: `${namespace}/${name}`, identity, subject };
    this.workloads.set(end.name, end);
    return end;
  }

  setServices(services: readonly ServicePeers[]): void {
    this.engine.setServices(services);
  }

  /** Replaces all policies. */
  setDocuments(documents: readonly PolicyDocument[]): void {
    const { repository, cache } = this.engine;
    const kept = new Set(documents.map(documentKey));
    this.engine.update(
      documents,
      repository.documents.map(documentKey).filter((key) => !kept.has(key)),
    );
    for (const prefix of repository.prefixes(cache)) this.prefixIdentity(prefix);
  }

  get ends(): readonly ModelEnd[] {
    return [...this.workloads.values()];
  }

  /**
   * An end as people write it: a workload (`namespace/name`, or `name` in the namespace `default` or any), labels (`app=web,tier=front`), an
   * address, an entity (`host`, `world` ...), or a DNS name. Null if it is none of these.
   */
  end(text: string): ModelEnd | null {
    const workload = this.workloads.get(text) ?? this.workloads.get(`default/${text}`);
    if (workload) return workload;
    const named = this.ends.filter(({ name }) => name.endsWith(`/${text}`));
    if (named.length === 1) return named[0] ?? null;
    const entity = text.replace(/^reserved:/, "");
    if (entity !== "unknown" && Object.hasOwn(reservedIdentities, entity)) return this.reserved(entity as ReservedName);
    const prefix = parsePrefix(text);
    if (prefix) return this.addressEnd(text, prefix);
    if (text.includes("=")) return this.labelsEnd(text);
    return /^[-\w]+(\.[-\w]+)+\.?$/.test(text) ? this.nameEnd(text) : null;
  }

  private reserved(name: ReservedName): ModelEnd | null {
    const identity = this.engine.cache.get(reservedIdentities[name])?.identity;
    if (!identity) return null;
    return { name, identity, subject: name === "host" ? { id: identity.id, identity } : null };
  }

  /** The longest prefix that a policy names, else the world. */
  private addressEnd(text: string, address: Prefix): ModelEnd | null {
    let best: PolicyIdentity | null = null;
    for (const identity of this.prefixes.values()) {
      const { cidr } = identity;
      if (!cidr || !prefixCovers(cidr, address)) continue;
      if (!best?.cidr || cidr.length > best.cidr.length) best = identity;
    }
    if (best) return { name: text, identity: best, subject: null };
    const world = this.reserved("world");
    return world && { ...world, name: text };
  }

  private labelsEnd(text: string): ModelEnd {
    const labels: Record<string, string> = {};
    for (const part of text.split(",")) {
      const { key, value } = parseLabel(part.trim());
      labels[key] = value;
    }
    const namespace = labels["k8s:io.kubernetes.pod.namespace"] ?? labels["k8s:namespace"] ?? "default";
    delete labels["k8s:namespace"];
    const spec = { namespace, name: text, labels };
    const identity = this.identityOf(workloadLabels(spec, this.namespaces.get(namespace) ?? {}, this.clusterName), []);
    return { name: text, identity, subject: { id: identity.id, identity } };
  }

  /** An end with exactly these labels, with their sources. */
  labelledEnd(name: string, labels: Labels): ModelEnd {
    const identity = this.identityOf(labels, []);
    return { name, identity, subject: { id: identity.id, identity } };
  }

  /** An address that the name resolved to, selected by every rule that names or matches it. */
  private nameEnd(name: string): ModelEnd {
    const labels: Record<string, string> = { "reserved:world": "" };
    for (const { peers } of this.engine.repository.rules)
      for (const peer of peers ?? [])
        if (peer.kind === "fqdn" && matchesDns({ ...peer }, name))
          labels[`fqdn:${peer.matchName || peer.matchPattern}`] = "";
    const key = formatLabels(labels).join(";");
    const known = this.numbers.get(key);
    const identity = { id: known ?? this.nextName++, labels };
    this.numbers.set(key, identity.id);
    this.engine.upsertIdentity(identity);
    return { name, identity, subject: null };
  }

  private identityOf(labels: Labels, namedPorts: readonly NamedPort[]): PolicyIdentity {
    const key = formatLabels(labels).join(";");
    const id = this.numbers.get(key) ?? FIRST_IDENTITY + this.numbers.size;
    this.numbers.set(key, id);
    const known = this.engine.cache.get(id)?.identity.namedPorts ?? [];
    const fresh = namedPorts.filter((port) => !known.some((other) => samePort(other, port)));
    const identity = { id, labels, namedPorts: [...known, ...fresh] };
    this.engine.upsertIdentity(identity);
    return identity;
  }

  private prefixIdentity(prefix: Prefix): void {
    const key = formatPrefix(prefix);
    if (this.prefixes.has(key)) return;
    const labels = { [cidrLabel(prefix)]: "", "reserved:world": "" };
    const identity = { id: LOCAL_SCOPE + 1 + this.prefixes.size, labels, cidr: prefix };
    this.prefixes.set(key, identity);
    this.engine.upsertIdentity(identity);
  }
}

function samePort(a: NamedPort, b: NamedPort): boolean {
  return a.name === b.name && a.protocol === b.protocol && a.port === b.port;
}

/** For messages: the labels that tell an end apart. */
export function describeEnd({ name, identity }: ModelEnd): string {
  const peer = new Peer(identity);
  return peer.isWorld || identity.id < FIRST_IDENTITY ? name : `${name} (${shortLabels(identity.labels).join(", ")})`;
}

/** Labels that people gave. */
export function shortLabels(labels: Labels): string[] {
  return formatLabels(labels)
    .filter((label) => !label.startsWith("k8s:io.cilium.") && !label.startsWith("k8s:io.kubernetes."))
    .map((label) => label.replace(/^k8s:/, ""));
}
