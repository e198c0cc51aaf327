import type { Prefix } from "@skep/net";
import { formatPrefix } from "@skep/net";
import { Cookies } from "./cookies.ts";
import type { Peer } from "./identity.ts";
import { NAMESPACE_LABEL } from "./labels.ts";
import { documentKey, type CidrGroup, type PolicyDocument, type Rule, type RuleOrigin } from "./rule.ts";
import { matchesLabels } from "./selector.ts";
import type { SelectorCache } from "./selector-cache.ts";

/** All policies that are in force. */
export class Repository {
  readonly cookies = new Cookies();
  private readonly byKey = new Map<string, PolicyDocument>();
  /** Rules by the namespace that their subject must be in; empty: any. */
  private readonly byNamespace = new Map<string, Set<Rule>>();
  private number = 0;

  /** Grows with every change. */
  get revision(): number {
    return this.number;
  }

  get documents(): readonly PolicyDocument[] {
    return [...this.byKey.values()];
  }

  get(key: string): PolicyDocument | null {
    return this.byKey.get(key) ?? null;
  }

  get groups(): readonly CidrGroup[] {
    return this.documents.flatMap(({ cidrGroup }) => cidrGroup ?? []);
  }

  get rules(): readonly Rule[] {
    return this.documents.flatMap(({ rules }) => rules);
  }

  /** Adds the documents, each in the place of the one of the same kind, namespace and name. One revision for all. */
  set(documents: Iterable<PolicyDocument>, remove: Iterable<string> = []): number {
    const removed = [...remove];
    const added = [...documents];
    if (removed.length + added.length === 0) return this.number;
    for (const key of removed) this.drop(key);
    for (const document of added) this.put(document);
    return ++this.number;
  }

  /** Counts a change that is not one of documents, such as one of services. */
  touch(): number {
    return ++this.number;
  }

  /** The rules behind an entry or event. */
  rulesOf(cookie: number): readonly RuleOrigin[] {
    return this.cookies.rulesOf(cookie);
  }

  /** The rules whose subject the identity is, in the order of their keys. */
  rulesFor(subject: Peer): Rule[] {
    const found: Rule[] = [];
    const isHost = subject.labels.has("reserved:host");
    for (const namespace of new Set(["", subject.labels.namespace ?? ""]))
      for (const rule of this.byNamespace.get(namespace) ?? [])
        if (rule.node === isHost && matchesLabels(rule.subject, subject.labels)) found.push(rule);
    return found.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  /** Every prefix that a rule names: each needs an identity of its own. */
  prefixes(cache: SelectorCache): Prefix[] {
    const found = new Map<string, Prefix>();
    for (const rule of this.rules)
      for (const peer of rule.peers ?? [])
        for (const prefix of cache.prefixesOf(peer)) found.set(formatPrefix(prefix), prefix);
    return [...found.values()];
  }

  private put(document: PolicyDocument): void {
    this.drop(documentKey(document));
    this.byKey.set(documentKey(document), document);
    for (const rule of document.rules) {
      const namespace = namespaceOf(rule);
      this.byNamespace.set(namespace, (this.byNamespace.get(namespace) ?? new Set()).add(rule));
      this.cookies.ruleId(rule.key, rule.origin);
    }
  }

  private drop(key: string): void {
    const document = this.byKey.get(key);
    this.byKey.delete(key);
    for (const rule of document?.rules ?? []) this.byNamespace.get(namespaceOf(rule))?.delete(rule);
  }
}

function namespaceOf(rule: Rule): string {
  for (const { key, operator, values } of rule.subject.requirements)
    if (key.key === NAMESPACE_LABEL && key.source === "k8s" && operator === "In" && values.length === 1)
      return values[0] ?? "";
  return "";
}
