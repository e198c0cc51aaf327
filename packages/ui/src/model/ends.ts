/**
 * @module
 * Who stands at the ends of a flow, and which box of the map that is.
 */
import type { flow } from "@skep/api";

/** Boxes of the map: one for each app, pod or namespace. */
export const groupings = ["app", "pod", "namespace"] as const;
export type Grouping = (typeof groupings)[number];

export type EndKind = "workload" | "host" | "node" | "world" | "reserved";

export interface End {
  /** Same for the same box. */
  readonly key: string;
  readonly kind: EndKind;
  readonly title: string;
  /** Empty for what is in none. */
  readonly namespace: string;
  readonly pod: string;
  readonly address: string;
}

/** Labels that tell kinds of workloads apart, best first; as `skep policy suggest` chooses. */
const telling = [
  ...["app.kubernetes.io/name", "k8s-app", "app", "name", "run", "component", "app.kubernetes.io/component"],
  ...["class", "role", "tier", "org"],
];

function labelValue(labels: readonly string[], key: string): string | null {
  const found = labels.find((label) => label.startsWith(`k8s:${key}=`) || label.startsWith(`${key}=`));
  return found === undefined ? null : found.slice(found.indexOf("=") + 1);
}

/** The app of a workload: what its labels call it, else its controller, else its own name. */
export function appName(endpoint: Pick<flow.Endpoint, "labels" | "workloads" | "podName">): string {
  for (const key of telling) {
    const value = labelValue(endpoint.labels, key);
    if (value !== null && value !== "") return value;
  }
  return endpoint.workloads[0]?.name ?? endpoint.podName;
}

const RESERVED = "reserved:";

/** What other than a workload it is: `host`, `world` ...; null for a workload. */
function reservedName(labels: readonly string[]): string | null {
  return labels.find((label) => label.startsWith(RESERVED))?.slice(RESERVED.length) ?? null;
}

interface Side {
  readonly endpoint: flow.Endpoint | undefined;
  readonly address: string;
  readonly names: readonly string[];
}

/** `source`: the one that opened the connection, where the flow is no reply. */
export function sideOf(message: flow.Flow, side: "source" | "destination"): Side {
  const names = side === "source" ? message.sourceNames : message.destinationNames;
  return { endpoint: message[side], address: message.IP?.[side] ?? "", names };
}

export function endOf({ endpoint, address, names }: Side, grouping: Grouping): End {
  const labels = endpoint?.labels ?? [];
  const reserved = reservedName(labels);
  if (endpoint && reserved === null && (endpoint.namespace !== "" || endpoint.podName !== "")) {
    return workloadEnd(endpoint, address, grouping);
  }
  const bare = { namespace: "", pod: "", address };
  if (reserved === "host") return { ...bare, key: "host", kind: "host", title: "host" };
  if (reserved === "remote-node" || reserved === "kube-apiserver") {
    return { ...bare, key: reserved, kind: "node", title: reserved };
  }
  if (reserved !== null && !reserved.startsWith("world")) {
    return { ...bare, key: reserved, kind: "reserved", title: reserved };
  }
  const name = names[0]?.replace(/\.$/, "");
  if (name !== undefined) return { ...bare, key: `world/${name}`, kind: "world", title: name };
  return { ...bare, key: "world", kind: "world", title: "world" };
}

function workloadEnd(endpoint: flow.Endpoint, address: string, grouping: Grouping): End {
  const { namespace, podName: pod } = endpoint;
  const title = grouping === "namespace" ? namespace : grouping === "pod" && pod !== "" ? pod : appName(endpoint);
  const key = grouping === "namespace" ? `ns/${namespace}` : `${namespace}/${title}`;
  return { key, kind: "workload", title, namespace, pod, address };
}

/** `default/xwing`, a DNS name, or the address: an end in a table. */
export function endTitle(side: Side): { readonly title: string; readonly namespace: string } {
  const { podName = "", namespace = "", labels = [] } = side.endpoint ?? {};
  if (podName !== "") return { title: podName, namespace };
  const name = side.names[0]?.replace(/\.$/, "");
  if (name !== undefined) return { title: name, namespace };
  const reserved = reservedName(labels);
  if (reserved !== null && !reserved.startsWith("world")) return { title: reserved, namespace };
  return { title: side.address || reserved || "unknown", namespace };
}
