import { CLUSTER_LABEL, NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, formatLabelKey, parseLabelKey } from "../labels.ts";
import { equalTo, exists, labelSelector, type LabelSelector, type Operator, type Requirement } from "../selector.ts";
import type { Field, Misplaced, Reader } from "../source/reader.ts";
import { hintFor } from "../source/reader.ts";
import type { ParseSettings } from "./options.ts";

/** A selector as it was written, keys with their sources. */
export interface RawSelector {
  readonly labels: ReadonlyMap<string, string>;
  readonly expressions: readonly Requirement[];
}

export const emptySelector: RawSelector = { labels: new Map(), expressions: [] };

const operators: readonly Operator[] = ["In", "NotIn", "Exists", "DoesNotExist"];
const namespaceKey = { source: "k8s", key: NAMESPACE_LABEL };
const clusterKey = { source: "k8s", key: CLUSTER_LABEL };

const inSelector: Misplaced = {
  "*": { code: "SKEP6003", message: "unknown field", hint: "labels belong under matchLabels" },
};

/** Reads matchLabels and matchExpressions; keys without a source get `source`. Null after an error. */
export function parseSelector(reader: Reader, field: Field, source: string): RawSelector | null {
  const errors = reader.diagnostics.length;
  const fields = reader.fields(field, ["matchLabels", "matchExpressions"], inSelector);
  if (fields === null) return null;
  const labels = new Map<string, string>();
  const expressions: Requirement[] = [];
  const labelField = fields.get("matchLabels");
  const labelNode = labelField && reader.map(labelField);
  for (const [key, entry] of labelNode?.entries ?? []) {
    const at = { node: entry.value, path: `${labelField?.path ?? ""}[${JSON.stringify(key)}]` };
    checkLabelKey(reader, { node: { ...entry.value, span: entry.keySpan }, path: at.path }, key);
    const value = entry.value.kind === "scalar" && entry.value.value === null ? "" : reader.string(at);
    if (value === null) continue;
    checkLabelValue(reader, at, value);
    labels.set(formatLabelKey(parseLabelKey(key, source)), value);
  }
  for (const item of fields.list("matchExpressions") ?? []) {
    const requirement = parseExpression(reader, item, source);
    if (requirement) expressions.push(requirement);
  }
  return reader.diagnostics.length === errors ? { labels, expressions } : null;
}

function parseExpression(reader: Reader, field: Field, source: string): Requirement | null {
  const fields = reader.fields(field, ["key", "operator", "values"]);
  const keyField = fields?.require("key");
  const operatorField = fields?.require("operator");
  if (!fields || !keyField || !operatorField) return null;
  const key = reader.string(keyField);
  const operator = reader.oneOf(operatorField, operators, "SKEP6009");
  if (key === null || operator === null) return null;
  checkLabelKey(reader, keyField, key);
  const values = fields.list("values") ?? [];
  const texts: string[] = [];
  for (const item of values) {
    const text = reader.string(item);
    if (text === null) continue;
    checkLabelValue(reader, item, text);
    texts.push(text);
  }
  const wantsValues = operator === "In" || operator === "NotIn";
  if (wantsValues && values.length === 0) reader.report("SKEP6009", field, `the operator ${operator} needs values`);
  if (!wantsValues && values.length > 0)
    reader.report("SKEP6009", field, `the operator ${operator} takes no values`, "use In or NotIn, or remove them");
  return { key: parseLabelKey(key, source), operator, values: texts };
}

const namePattern = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const subdomainPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const sourcePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/i;
const labelSources = ["k8s", "any", "reserved", "cidr", "container", "fqdn", "cidrgroup", "node", "unspec"];

/** A label key of Kubernetes, with the source before it that Cilium allows. */
export function checkLabelKey(reader: Reader, at: Field, text: string): void {
  const parts = text.split(":");
  const key = parts[parts.length - 1] ?? "";
  const [source] = parts.length === 2 ? parts : [];
  if (parts.length > 2) return reader.report("SKEP6007", at, `${JSON.stringify(text)} has more than one \`:\``);
  if (source !== undefined && !sourcePattern.test(source))
    return reader.report(
      "SKEP6007",
      at,
      `${JSON.stringify(source)} is no source of labels`,
      hintFor(source, labelSources),
    );
  if (source === "cidr") return;
  const slash = key.indexOf("/");
  const [prefix, name] = slash < 0 ? [null, key] : [key.slice(0, slash), key.slice(slash + 1)];
  const prefixIsGood = prefix === null || (prefix.length <= 253 && subdomainPattern.test(prefix));
  if (!prefixIsGood || name.length > 63 || !namePattern.test(name))
    reader.report(
      "SKEP6007",
      at,
      `${JSON.stringify(text)} is no label key: letters, digits, \`-\`, \`_\`, \`.\`, at most 63, with a letter or digit at both ends`,
    );
}

export function checkLabelValue(reader: Reader, at: Field, text: string): void {
  if (text === "" || (text.length <= 63 && namePattern.test(text))) return;
  reader.report(
    "SKEP6008",
    at,
    `${JSON.stringify(text)} is no label value: letters, digits, \`-\`, \`_\`, \`.\`, at most 63, with a letter or digit at both ends`,
  );
}

/** The selector as it was written. */
export function plainSelector({ labels, expressions }: RawSelector): LabelSelector {
  const equalities = [...labels].map(([name, value]) => equalTo(parseLabelKey(name), value));
  return labelSelector([...equalities, ...expressions]);
}

function withLabel(raw: RawSelector, name: string, value: string): RawSelector {
  return { ...raw, labels: new Map([...raw.labels, [name, value]]) };
}

function withExpression(raw: RawSelector, requirement: Requirement): RawSelector {
  return { ...raw, expressions: [...raw.expressions, requirement] };
}

function mentions(raw: RawSelector, test: (name: string) => boolean): boolean {
  return [...raw.labels.keys()].some(test) || raw.expressions.some(({ key }) => test(formatLabelKey(key)));
}

const namespaceNames = [`k8s:${NAMESPACE_LABEL}`, `any:${NAMESPACE_LABEL}`];
const clusterNames = [`k8s:${CLUSTER_LABEL}`, `any:${CLUSTER_LABEL}`];

export function isInitSelector(raw: RawSelector): boolean {
  return mentions(raw, (name) => name === "reserved:init");
}

/** The subject of a namespaced policy: always within its namespace. */
export function subjectSelector(raw: RawSelector, namespace: string): LabelSelector {
  return plainSelector(namespace === "" ? raw : withLabel(raw, `k8s:${NAMESPACE_LABEL}`, namespace));
}

export interface PeerContext {
  readonly settings: ParseSettings;
  /** Empty for policies of the whole cluster. */
  readonly namespace: string;
  /** Whether the policy is about endpoints that have no labels yet. */
  readonly init: boolean;
}

/**
 * A selector of peers, in the policy's namespace where it names none (of the whole cluster: in any), and in the own
 * cluster. Cilium: pkg/k8s/apis/cilium.io/utils, getEndpointSelector.
 */
export function endpointPeer(raw: RawSelector, { settings, namespace, init }: PeerContext): LabelSelector {
  if (mentions(raw, (name) => name.startsWith("reserved:"))) return plainSelector(raw);
  let scoped = raw;
  if (!mentions(raw, (name) => namespaceNames.includes(name))) {
    if (namespace === "") {
      if (!init) scoped = withExpression(scoped, exists(namespaceKey));
    } else if (!mentions(raw, isNamespaceMetadata)) scoped = withLabel(scoped, formatLabelKey(namespaceKey), namespace);
  }
  return plainSelector(inCluster(scoped, settings.clusterName));
}

function isNamespaceMetadata(name: string): boolean {
  return name.startsWith(`k8s:${NAMESPACE_LABELS_PREFIX}`) || name.startsWith(`any:${NAMESPACE_LABELS_PREFIX}`);
}

/** Nodes other than this one, by their labels. */
export function nodePeer(raw: RawSelector, { settings }: PeerContext): LabelSelector {
  const remote = withExpression(raw, exists({ source: "reserved", key: "remote-node" }));
  return plainSelector(inCluster(remote, settings.clusterName));
}

function inCluster(raw: RawSelector, clusterName: string | null): RawSelector {
  if (clusterName === null || mentions(raw, (name) => clusterNames.includes(name))) return raw;
  return withLabel(raw, formatLabelKey(clusterKey), clusterName);
}

/** A peer of a NetworkPolicy: pods of the namespaces that the second selector matches, or of the policy's own. */
export function podPeer(
  pods: RawSelector,
  namespaces: RawSelector | null,
  { settings, namespace }: PeerContext,
): LabelSelector {
  const scoped = inCluster(pods, settings.clusterName);
  if (namespaces === null) return subjectSelector(scoped, namespace);
  return labelSelector([...plainSelector(scoped).requirements, ...namespaceRequirements(namespaces)]);
}

/** Labels of namespaces stand on their workloads, behind a prefix. */
export function namespaceRequirements(namespaces: RawSelector): readonly Requirement[] {
  const { requirements } = plainSelector(namespaces);
  if (requirements.length === 0) return [exists(namespaceKey)];
  return requirements.map((requirement) => ({
    ...requirement,
    key: { source: "k8s", key: `${NAMESPACE_LABELS_PREFIX}${requirement.key.key}` },
  }));
}
