/**
 * @module
 * What is well-formed and still likely a mistake: selectors without a workload, labels that nobody has, references into the void.
 */
import type { Diagnostic, PolicyCode, Span } from "./diagnostic.ts";
import { LabelSet, NAMESPACE_LABEL, type Labels } from "./labels.ts";
import type { PeerSelector, PolicyDocument, Rule } from "./rule.ts";
import { hintFor } from "./source/reader.ts";
import { matchesLabels, meets, type LabelSelector, type Requirement } from "./selector.ts";
import { formatSelector, shortRequirement } from "./text.ts";
import { workloadLabels, type ForeignObjects } from "./workloads.ts";

export interface KnownObjects extends Pick<ForeignObjects, "workloads" | "namespaces" | "services"> {
  /** Default `default`. */
  readonly clusterName?: string;
}

/** Warnings about policies among known workloads. */
export function checkPolicies(documents: readonly PolicyDocument[], known: KnownObjects): Diagnostic[] {
  const namespaces = new Map(known.namespaces.map(({ name, labels }) => [name, labels]));
  const all = known.workloads.map((workload) =>
    workloadLabels(workload, namespaces.get(workload.namespace) ?? {}, known.clusterName ?? "default"),
  );
  const checker = new Checker(all, documents, known);
  for (const document of documents) checker.check(document);
  return checker.diagnostics;
}

class Checker {
  readonly diagnostics: Diagnostic[] = [];
  private readonly sets: readonly LabelSet[];
  private readonly groups: ReadonlySet<string>;
  private readonly known: KnownObjects;
  private readonly values = new Map<string, Set<string>>();

  constructor(labels: readonly Labels[], documents: readonly PolicyDocument[], known: KnownObjects) {
    this.sets = labels.map((own) => new LabelSet(own));
    this.groups = new Set(documents.flatMap(({ cidrGroup }) => cidrGroup?.name ?? []));
    this.known = known;
    for (const set of this.sets)
      for (const [key, value] of set.pairs()) this.values.set(key, (this.values.get(key) ?? new Set()).add(value));
  }

  check(document: PolicyDocument): void {
    const subjects = new Set<string>();
    for (const rule of document.rules) {
      if (!rule.node && !subjects.has(rule.subject.text)) this.subject(rule, document.span);
      subjects.add(rule.subject.text);
      for (const peer of rule.peers ?? []) this.peer(peer, rule);
    }
  }

  private subject(rule: Rule, span: Span): void {
    if (isReserved(rule.subject) || this.sets.some((set) => matchesLabels(rule.subject, set))) return;
    const path = rule.origin.path.replace(/\.\w+\[\d+\]$/, "");
    this.warn("SKEP6042", { span, path }, `no workload is selected by ${formatSelector(rule.subject)}`);
    this.labels(rule.subject, { span, path });
  }

  private peer(peer: PeerSelector, { origin }: Rule): void {
    const at = { span: peer.span ?? origin.span, path: origin.path };
    if (peer.kind === "cidrGroup" && typeof peer.group === "string" && !this.groups.has(peer.group))
      this.warn("SKEP6046", at, `there is no CiliumCIDRGroup ${peer.group}`, hintFor(peer.group, [...this.groups]));
    if (peer.kind === "service" && typeof peer.service === "string") this.service(peer.namespace, peer.service, at);
    if (peer.kind !== "labels" || peer.entity !== undefined || isReserved(peer.selector)) return;
    if (this.sets.some((set) => matchesLabels(peer.selector, set))) return;
    this.warn("SKEP6042", at, `no workload is selected by ${formatSelector(peer.selector)}`);
    this.labels(peer.selector, at);
  }

  private service(namespace: string, name: string, at: Place): void {
    const names = this.known.services
      .filter((service) => service.namespace === namespace)
      .map((service) => service.name);
    if (!names.includes(name))
      this.warn("SKEP6046", at, `there is no service ${namespace}/${name}`, hintFor(name, names));
  }

  /** Which part of a selector that selects nothing is to blame. */
  private labels({ requirements }: LabelSelector, at: Place): void {
    for (const requirement of requirements) {
      if (requirement.key.key === NAMESPACE_LABEL || this.sets.some((set) => meets(requirement, set))) continue;
      this.warn("SKEP6045", at, `no workload has ${shortRequirement(requirement)}`, this.hint(requirement));
    }
  }

  private hint({ key, values }: Requirement): string | undefined {
    const known = this.values.get(key.key);
    if (!known)
      return hintFor(
        key.key,
        [...this.values.keys()].filter((name) => !name.startsWith("io.")),
      );
    const [value = ""] = values;
    return hintFor(value, [...known]) ?? `workloads have ${[...known].sort().slice(0, 5).join(", ")}`;
  }

  private warn(code: PolicyCode, { span, path }: Place, message: string, hint?: string): void {
    this.diagnostics.push({
      ...{ code, severity: "warning", message: `${path}: ${message}`, path },
      ...(span ? { span } : {}),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

interface Place {
  readonly span: Span | null;
  readonly path: string;
}

/** About identities that are no workloads. */
function isReserved({ requirements }: LabelSelector): boolean {
  return requirements.some(({ key }) => key.source === "reserved" || key.source === "cidr");
}
