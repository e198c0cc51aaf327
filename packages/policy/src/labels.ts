import { formatPrefix, parsePrefix, prefixCovers, type Prefix } from "@skep/net";

/** Labels with their source as `k8s:org` to `empire`; `reserved:host` has the value "". */
export type Labels = Readonly<Record<string, string>>;

/** Label of a workload that holds its namespace. */
export const NAMESPACE_LABEL = "io.kubernetes.pod.namespace";
/** Prefix of the labels of a workload's namespace, on the workload. */
export const NAMESPACE_LABELS_PREFIX = "io.cilium.k8s.namespace.labels.";
export const CLUSTER_LABEL = "io.cilium.k8s.policy.cluster";
export const SERVICE_ACCOUNT_LABEL = "io.cilium.k8s.policy.serviceaccount";

/** A key with the source that it must come from; `any` is every source. */
export interface LabelKey {
  readonly source: string;
  readonly key: string;
}

/** `k8s:app` or `app`, which gets `source`. */
export function parseLabelKey(text: string, source = "any"): LabelKey {
  const colon = text.indexOf(":");
  if (colon > 0) return { source: text.slice(0, colon), key: text.slice(colon + 1) };
  return { source, key: text.slice(colon + 1) };
}

export function formatLabelKey({ source, key }: LabelKey): string {
  return `${source}:${key}`;
}

/** `k8s:app=web`; a label without a value has none after it. */
export function formatLabel(key: string, value: string): string {
  return value === "" ? key : `${key}=${value}`;
}

/** `source:key=value`, sorted: what identifies a set of labels. */
export function formatLabels(labels: Labels): string[] {
  return Object.keys(labels)
    .sort()
    .map((key) => formatLabel(key, labels[key] ?? ""));
}

/** Reads `source:key=value`; without a source it is `k8s`. */
export function parseLabel(text: string): { readonly key: string; readonly value: string } {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  return { key: formatLabelKey(parseLabelKey(name, "k8s")), value: equals < 0 ? "" : text.slice(equals + 1) };
}

export function parseLabels(texts: readonly string[]): Labels {
  return Object.fromEntries(texts.map(parseLabel).map(({ key, value }) => [key, value]));
}

/** The names of a set of labels. Thousands of workloads have the same. */
interface LabelNames {
  readonly sorted: readonly string[];
  /** The first name of each key, whatever its source. */
  readonly byKey: ReadonlyMap<string, string>;
  readonly prefixes: readonly Prefix[];
}

function readNames(sorted: readonly string[]): LabelNames {
  const byKey = new Map<string, string>();
  const prefixes: Prefix[] = [];
  for (const name of sorted) {
    const { source, key } = parseLabelKey(name, "k8s");
    const prefix = source === "cidr" ? prefixOfCidrKey(key) : null;
    if (prefix) prefixes.push(prefix);
    if (!byKey.has(key)) byKey.set(key, name);
  }
  return { sorted, byKey, prefixes };
}

const MOST_NAMES = 1024;
const knownNames = new Map<string, LabelNames>();

function namesOf(labels: Labels): LabelNames {
  const sorted = Object.keys(labels).sort();
  const text = sorted.join("\0");
  const known = knownNames.get(text);
  if (known) return known;
  const names = readNames(sorted);
  // Those of prefixes are each their own.
  if (names.prefixes.length > 0) return names;
  if (knownNames.size >= MOST_NAMES) knownNames.clear();
  knownNames.set(text, names);
  return names;
}

/** Labels prepared for many look-ups. */
export class LabelSet {
  readonly labels: Labels;
  private readonly names: LabelNames;

  constructor(labels: Labels) {
    this.labels = labels;
    this.names = namesOf(labels);
  }

  /** Null if the label is absent. A key of source `cidr` is there when it names a prefix around that of the label. */
  get({ source, key }: LabelKey): string | null {
    const { byKey, prefixes } = this.names;
    const name = source === "any" ? byKey.get(key) : `${source}:${key}`;
    if (name !== undefined && this.has(name)) return this.labels[name] ?? "";
    const prefix = source === "cidr" && prefixes.length > 0 ? prefixOfCidrKey(key) : null;
    return prefix && prefixes.some((own) => prefixCovers(prefix, own)) ? "" : null;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.labels, name);
  }

  /** Keys without their sources, with every value that one of the sources gives. */
  *pairs(): IterableIterator<readonly [key: string, value: string]> {
    for (const name of this.names.sorted) yield [parseLabelKey(name, "k8s").key, this.labels[name] ?? ""];
  }

  get namespace(): string | null {
    const name = `k8s:${NAMESPACE_LABEL}`;
    return this.has(name) ? (this.labels[name] ?? "") : null;
  }
}

/** The label of a CIDR identity: `cidr:10.0.0.0/8`; colons of IPv6 are dashes, at both ends with a 0, as in Cilium's. */
export function cidrLabel(prefix: Prefix): string {
  const [address = "", length = ""] = formatPrefix(prefix).split("/");
  const text = address.replace(/^:/, "0:").replace(/:$/, ":0").replaceAll(":", "-");
  return `cidr:${text}/${length}`;
}

/** The prefix that a key of source `cidr` names. Null if it is none. */
export function prefixOfCidrKey(key: string): Prefix | null {
  return parsePrefix(key.replaceAll("-", ":"));
}
