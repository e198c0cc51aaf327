/**
 * @module
 * The labels that a metric's context options add to each of its series.
 */
import { flow } from "@skep/api";
import { reservedIdentityName } from "../names/identities.ts";
import type { Context, ContextKind, MetricOptions } from "./options.ts";

type End = "source" | "destination";

const RESERVED = "reserved:";
const APP_LABELS = ["k8s:app", "k8s:k8s-app", "k8s:app.kubernetes.io/name"];

function appOf(endpoint: flow.Endpoint): string {
  for (const name of APP_LABELS) {
    const found = endpoint.labels.find((label) => label.startsWith(`${name}=`));
    if (found) return found.slice(name.length + 1);
  }
  return "";
}

const under = (namespace: string, name: string): string =>
  name === "" || namespace === "" ? name : `${namespace}/${name}`;

function reservedOf(endpoint: flow.Endpoint): string {
  const label = endpoint.labels.find((each) => each.startsWith(RESERVED));
  return label ? label : (reservedIdentityName(endpoint.identity) ?? "");
}

/** What a kind says of an end; empty: nothing. */
function valueOf(kind: ContextKind, message: flow.Flow, end: End): string {
  const endpoint = message[end];
  if (kind === "ip") return message.IP?.[end] ?? "";
  if (kind === "dns") return (end === "source" ? message.sourceNames : message.destinationNames).join(",");
  if (!endpoint) return "";
  const workload = endpoint.workloads[0]?.name ?? "";
  switch (kind) {
    case "identity":
      return endpoint.labels.join(",");
    case "namespace":
      return endpoint.namespace;
    case "pod":
      return under(endpoint.namespace, endpoint.podName);
    case "pod-name":
      return endpoint.podName;
    case "reserved-identity":
      return reservedOf(endpoint);
    case "workload":
      return under(endpoint.namespace, workload);
    case "workload-name":
      return workload;
    case "app":
      return appOf(endpoint);
  }
}

function firstOf(context: Context, message: flow.Flow, end: End): string {
  for (const kind of context) {
    const value = valueOf(kind, message, end);
    if (value !== "") return value;
  }
  return "";
}

function labelOf(label: string, message: flow.Flow): string {
  if (label === "traffic_direction") {
    if (message.trafficDirection === flow.TrafficDirection.EGRESS) return "egress";
    return message.trafficDirection === flow.TrafficDirection.INGRESS ? "ingress" : "unknown";
  }
  const end: End = label.startsWith("source_") ? "source" : "destination";
  switch (label.slice(end.length + 1)) {
    case "ip":
      return valueOf("ip", message, end);
    case "pod":
      return valueOf("pod-name", message, end);
    case "namespace":
      return valueOf("namespace", message, end);
    case "workload":
      return valueOf("workload-name", message, end);
    case "workload_kind":
      return message[end]?.workloads[0]?.kind ?? "";
    default:
      return valueOf("app", message, end);
  }
}

export interface ContextLabels {
  readonly names: readonly string[];
  values(message: flow.Flow): string[];
  /** `namespace/pod` of the workloads that a series with these values names, so that it can go with them. */
  podsOf(message: flow.Flow): string[];
}

const isAsked = (...contexts: readonly Context[]): boolean => contexts.some((context) => context.length > 0);

export function contextLabelsOf(options: MetricOptions): ContextLabels {
  const { source, sourceEgress, sourceIngress, destination, destinationEgress, destinationIngress, labels } = options;
  const hasSource = isAsked(source, sourceEgress, sourceIngress);
  const hasDestination = isAsked(destination, destinationEgress, destinationIngress);
  const namesPods = /pod/.test([...Object.values(options).flat(), ...labels].join(" "));
  const pick = (any: Context, egress: Context, ingress: Context) => (message: flow.Flow) => {
    if (message.trafficDirection === flow.TrafficDirection.EGRESS && egress.length > 0) return egress;
    return message.trafficDirection === flow.TrafficDirection.INGRESS && ingress.length > 0 ? ingress : any;
  };
  const sourceOf = pick(source, sourceEgress, sourceIngress);
  const destinationOf = pick(destination, destinationEgress, destinationIngress);
  return {
    names: [...(hasSource ? ["source"] : []), ...(hasDestination ? ["destination"] : []), ...labels],
    values: (message) => [
      ...(hasSource ? [firstOf(sourceOf(message), message, "source")] : []),
      ...(hasDestination ? [firstOf(destinationOf(message), message, "destination")] : []),
      ...labels.map((label) => labelOf(label, message)),
    ],
    podsOf: (message) =>
      namesPods
        ? (["source", "destination"] as const).map((end) => valueOf("pod", message, end)).filter((pod) => pod !== "")
        : [],
  };
}
