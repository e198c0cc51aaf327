/**
 * @module
 * What a metric of flows is asked for: `drop:sourceContext=pod|ip;labelsContext=source_namespace,destination_namespace`, as Cilium's option
 * `hubble-metrics` takes it.
 */

/** A metric's configuration cannot be read. */
export class MetricsError extends Error {
  override readonly name = "MetricsError";
}

export const contextKinds = [
  "identity",
  "namespace",
  "pod",
  "pod-name",
  "dns",
  "ip",
  "reserved-identity",
  "workload",
  "workload-name",
  "app",
] as const;
export type ContextKind = (typeof contextKinds)[number];

/** Labels that `labelsContext` may name. */
export const contextLabels = [
  ...(["source", "destination"] as const).flatMap((end) =>
    ["ip", "pod", "namespace", "workload", "workload_kind", "app"].map((what) => `${end}_${what}`),
  ),
  "traffic_direction",
] as const;

/** Kinds by preference: the first that says something is the label's value. */
export type Context = readonly ContextKind[];

export interface MetricOptions {
  readonly name: string;
  readonly source: Context;
  readonly destination: Context;
  /** In place of `source` and `destination` for flows of that direction. */
  readonly sourceEgress: Context;
  readonly sourceIngress: Context;
  readonly destinationEgress: Context;
  readonly destinationIngress: Context;
  readonly labels: readonly string[];
  /** What the metric itself knows: `port`, `syn-only`, `any-drop`, `query`... */
  readonly flags: ReadonlySet<string>;
}

const CONTEXTS = {
  sourceContext: "source",
  destinationContext: "destination",
  sourceEgressContext: "sourceEgress",
  sourceIngressContext: "sourceIngress",
  destinationEgressContext: "destinationEgress",
  destinationIngressContext: "destinationIngress",
} as const;

function contextOf(option: string, value: string): Context {
  return value.split("|").map((text) => {
    const kind = contextKinds.find((each) => each === text);
    if (!kind) throw new MetricsError(`${option}: "${text}" is none of ${contextKinds.join(", ")}`);
    return kind;
  });
}

function labelsOf(value: string): string[] {
  return value.split(",").map((text) => {
    if (!(contextLabels as readonly string[]).includes(text))
      throw new MetricsError(`labelsContext: "${text}" is none of ${contextLabels.join(", ")}`);
    return text;
  });
}

/** Throws MetricsError, which names what it does not know. Whether there is such a metric is not asked here. */
export function parseMetric(text: string): MetricOptions {
  const at = text.indexOf(":");
  const name = at < 0 ? text : text.slice(0, at);
  const contexts: Record<(typeof CONTEXTS)[keyof typeof CONTEXTS], Context> = {
    ...{ source: [], destination: [], sourceEgress: [], sourceIngress: [] },
    ...{ destinationEgress: [], destinationIngress: [] },
  };
  let labels: string[] = [];
  const flags = new Set<string>();
  for (const option of at < 0 ? [] : text.slice(at + 1).split(";")) {
    const [key = "", value] = option.split("=", 2);
    if (key === "labelsContext") labels = labelsOf(value ?? "");
    else if (Object.hasOwn(CONTEXTS, key))
      contexts[CONTEXTS[key as keyof typeof CONTEXTS]] = contextOf(key, value ?? "");
    else if (value === undefined || value === "true") flags.add(key);
    else throw new MetricsError(`"${text}": there is no option ${key}`);
  }
  return { name, ...contexts, labels, flags };
}
