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

/** Labels prepared for many look-ups. */
export class LabelSet {
  readonly labels: Labels;
  private readonly exact = new Map<string, string>();
  private readonly bySource = new Map<string, string>();
  private readonly prefixes: Prefix[] = [];

  constructor(labels: Labels) {
    this.labels = labels;
    for (const name of Object.keys(labels).sort()) {
      const value = labels[name] ?? "";
      const { source, key } = parseLabelKey(name, "k8s");
      this.exact.set(name, value);
      const prefix = source === "cidr" ? prefixOfCidrKey(key) : null;
      if (prefix) this.prefixes.push(prefix);
      if (!this.bySource.has(key)) this.bySource.set(key, value);
    }
  }

  /** Null if the label is absent. A key of source `cidr` is there when it names a prefix around that of the label. */
  get({ source, key }: LabelKey): string | null {
    const value = source === "any" ? this.bySource.get(key) : this.exact.get(`${source}:${key}`);
    if (value !== undefined) return value;
    const prefix = source === "cidr" && this.prefixes.length > 0 ? prefixOfCidrKey(key) : null;
    return prefix && this.prefixes.some((own) => prefixCovers(prefix, own)) ? "" : null;
  }

  has(name: string): boolean {
    return this.exact.has(name);
  }

  /** Keys without their sources, with every value that one of the sources gives. */
  *pairs(): IterableIterator<readonly [key: string, value: string]> {
    for (const [name, value] of this.exact) yield [parseLabelKey(name, "k8s").key, value];
  }

  get namespace(): string | null {
    return this.exact.get(`k8s:${NAMESPACE_LABEL}`) ?? null;
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
