/**
 * @module
 * Which node of the service map an end of a flow is.
 */
import type { flow } from "@skep/api";
import { skep } from "@skep/api";
import { reservedIdentityName } from "../names/identities.ts";

export type NodeKind = "workload" | "world" | "host" | "remote-node" | "kube-apiserver" | "ingress" | "other";

/** Who an end is; the same for all ends with the same id. */
export interface NodeName {
  readonly id: string;
  readonly kind: NodeKind;
  readonly namespace: string;
  readonly name: string;
  readonly cluster: string;
}

const NAMESPACE_LABEL = "k8s:io.kubernetes.pod.namespace=";
const APP_LABELS = ["k8s:app=", "k8s:k8s-app=", "k8s:app.kubernetes.io/name=", "k8s:name="];
const RESERVED = "reserved:";
const KINDS: readonly NodeKind[] = ["host", "remote-node", "kube-apiserver", "ingress"];

function labelValue(labels: readonly string[], prefix: string): string {
  const found = labels.find((label) => label.startsWith(prefix));
  return found === undefined ? "" : found.slice(prefix.length);
}

/** The application that an endpoint belongs to: a label that names it, else its workload. Empty: nothing says. */
export function appOf(endpoint: flow.Endpoint): string {
  for (const prefix of APP_LABELS) {
    const value = labelValue(endpoint.labels, prefix);
    if (value !== "") return value;
  }
  return endpoint.workloads[0]?.name ?? endpoint.podName;
}

/** `world`, `host`; empty where the end is a workload. */
function reservedOf({ labels, identity }: flow.Endpoint): string {
  const names = labels.filter((label) => label.startsWith(RESERVED)).map((label) => label.slice(RESERVED.length));
  // The API server's node has two labels: what it serves says more.
  return names.find((name) => name === "kube-apiserver") ?? names[0] ?? reservedIdentityName(identity) ?? "";
}

function reservedNode(reserved: string, dnsName: string): NodeName {
  const none = { namespace: "", cluster: "" };
  if (reserved.startsWith("world")) {
    const name = dnsName === "" ? "world" : dnsName;
    return { ...none, id: dnsName === "" ? "reserved:world" : `dns:${dnsName}`, kind: "world", name };
  }
  const kind = KINDS.find((each) => each === reserved) ?? "other";
  return { ...none, id: `${RESERVED}${reserved}`, kind, name: reserved };
}

/** `dnsName`: of the end, where one is known. */
export function nodeOf(endpoint: flow.Endpoint | undefined, dnsName: string, grouping: skep.Grouping): NodeName {
  if (!endpoint) return reservedNode("unknown", "");
  const { labels, identity, clusterName: cluster, podName } = endpoint;
  const namespace = endpoint.namespace === "" ? labelValue(labels, NAMESPACE_LABEL) : endpoint.namespace;
  if (grouping === skep.Grouping.IDENTITY && identity !== 0) {
    const name = reservedIdentityName(identity) ?? String(identity);
    const kind = podName === "" && namespace === "" ? reservedNode(reservedOf(endpoint), "").kind : "workload";
    return { id: `identity:${identity}`, kind, namespace, name, cluster };
  }
  const reserved = podName === "" && namespace === "" ? reservedOf(endpoint) : "";
  if (reserved !== "") return reservedNode(reserved, dnsName);
  const place = cluster === "" || cluster === "default" ? "" : `${cluster}:`;
  const known = { kind: "workload", namespace, cluster } as const;
  if (grouping === skep.Grouping.NAMESPACE) return { ...known, id: `${place}${namespace}`, name: namespace };
  const app = appOf(endpoint);
  const name = (grouping === skep.Grouping.POD && podName !== "" ? podName : app) || String(identity);
  return { ...known, id: `${place}${namespace}/${name}`, name };
}
