/**
 * @module
 * Workloads, namespaces and services as policies see them, read from the objects that stand beside the policies.
 */
import { ipProtocols, parsePrefix } from "@skep/net";
import type { NamedPort } from "./identity.ts";
import {
  CLUSTER_LABEL,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  SERVICE_ACCOUNT_LABEL,
  type Labels,
} from "./labels.ts";
import type { ForeignDocument } from "./rule.ts";
import { equalTo, labelSelector } from "./selector.ts";
import type { ServicePeers } from "./selector-cache.ts";
import { toValue } from "./source/node.ts";

export interface WorkloadSpec {
  readonly namespace: string;
  readonly name: string;
  /** Without source they are `k8s:`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly namedPorts?: readonly NamedPort[];
  readonly serviceAccount?: string;
}

export interface NamespaceSpec {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** All labels of a workload's identity. */
export function workloadLabels(
  { namespace, labels, serviceAccount }: WorkloadSpec,
  namespaceLabels: Readonly<Record<string, string>>,
  clusterName: string,
): Labels {
  const all: Record<string, string> = {};
  for (const [key, value] of Object.entries(labels)) all[key.includes(":") ? key : `k8s:${key}`] = value;
  for (const [key, value] of Object.entries(namespaceLabels)) all[`k8s:${NAMESPACE_LABELS_PREFIX}${key}`] = value;
  all[`k8s:${NAMESPACE_LABEL}`] = namespace;
  all[`k8s:${NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name`] = namespace;
  all[`k8s:${CLUSTER_LABEL}`] = clusterName;
  all[`k8s:${SERVICE_ACCOUNT_LABEL}`] ??= serviceAccount ?? "default";
  return all;
}

export interface ForeignObjects {
  readonly workloads: readonly WorkloadSpec[];
  readonly namespaces: readonly NamespaceSpec[];
  readonly services: readonly ServicePeers[];
}

const withTemplate = new Set(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"]);

/** Pods, the pods that controllers make, namespaces and services among other objects; what is malformed is left out. */
export function readForeign(documents: readonly ForeignDocument[]): ForeignObjects {
  const workloads: WorkloadSpec[] = [];
  const namespaces: NamespaceSpec[] = [];
  const services: ServicePeers[] = [];
  for (const { kind, node } of documents) {
    const object = new View(toValue(node));
    const name = object.text("metadata", "name");
    const namespace = object.text("metadata", "namespace") || "default";
    if (name === "") continue;
    if (kind === "Pod") workloads.push(podOf(object, { namespace, name }));
    else if (withTemplate.has(kind)) workloads.push(podOf(object.at("spec", "template"), { namespace, name }));
    else if (kind === "Namespace") namespaces.push({ name, labels: object.texts("metadata", "labels") });
    else if (kind === "Service") services.push(serviceOf(object, { namespace, name }));
  }
  return { workloads, namespaces, services };
}

function podOf(pod: View, { namespace, name }: { namespace: string; name: string }): WorkloadSpec {
  const namedPorts = pod.list("spec", "containers").flatMap((container) =>
    container.list("ports").flatMap((port): NamedPort[] => {
      const portName = port.text("name");
      const number = port.number("containerPort");
      const protocol = ipProtocols[(port.text("protocol") || "TCP").toLowerCase() as "tcp"];
      return portName === "" || number === null || protocol === undefined
        ? []
        : [{ name: portName, protocol, port: number }];
    }),
  );
  const serviceAccount = pod.text("spec", "serviceAccountName");
  const labels = pod.texts("metadata", "labels");
  return { namespace, name, labels, namedPorts, ...(serviceAccount === "" ? {} : { serviceAccount }) };
}

function serviceOf(object: View, { namespace, name }: { namespace: string; name: string }): ServicePeers {
  const wanted = Object.entries(object.texts("spec", "selector"));
  const selector =
    wanted.length === 0 ? null : labelSelector(wanted.map(([key, value]) => equalTo({ source: "k8s", key }, value)));
  return { namespace, name, labels: object.texts("metadata", "labels"), selector, prefixes: [] };
}

/** Looks into a value without trusting its shape. */
class View {
  private readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  at(...path: readonly string[]): View {
    let value = this.value;
    for (const key of path)
      value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
    return new View(value);
  }

  text(...path: readonly string[]): string {
    const { value } = this.at(...path);
    return typeof value === "string" ? value : "";
  }

  number(...path: readonly string[]): number | null {
    const { value } = this.at(...path);
    return typeof value === "number" ? value : null;
  }

  list(...path: readonly string[]): View[] {
    const { value } = this.at(...path);
    return Array.isArray(value) ? value.map((item) => new View(item)) : [];
  }

  texts(...path: readonly string[]): Record<string, string> {
    const { value } = this.at(...path);
    const pairs = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
  }
}

/** `10.0.0.1` or `10.0.0.0/8`. */
export function isAddress(text: string): boolean {
  return parsePrefix(text) !== null;
}
