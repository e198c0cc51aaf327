/**
 * @module
 * What Kubernetes objects say about load balancing, read and checked: services, endpoint slices, pods and local redirect policies.
 */
import { sharedText } from "../shared-text.ts";
import type { Address, Prefix } from "@skep/net";
import type { LabelSelector, Span } from "@skep/policy";

export interface ServicePort {
  readonly name: string;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  /** A number, or the name that each workload gives one. */
  readonly targetPort: number | string;
  /** 0: none was asked for. */
  readonly nodePort: number;
}

export type ServiceType = "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
/** What a client can reach a service by, and annotations can narrow it to. */
export type Exposure = "ClusterIP" | "NodePort" | "LoadBalancer";
/** Empty: backends everywhere. */
export type TrafficDistribution = "" | "PreferClose" | "PreferSameZone" | "PreferSameNode";
export type ForwardingMode = "" | "snat" | "dsr";

/** What annotations ask of the pools of addresses. */
export interface LoadBalancerWish {
  /** `lbipam.cilium.io/ips`; empty: any. */
  readonly addresses: readonly Address[];
  /** Services of one key may have one address; empty: none. */
  readonly sharingKey: string;
  /** Namespaces that may share with it beside its own; `*`: all. */
  readonly sharingNamespaces: readonly string[];
}

export interface ServiceSpec {
  readonly namespace: string;
  readonly name: string;
  /** Of the object itself: what a policy's service selector selects. */
  readonly labels: Readonly<Record<string, string>>;
  /** `creationTimestamp`; empty: unknown, younger than all others. Of two services on one address the older has it. */
  readonly created: string;
  readonly type: ServiceType;
  readonly exposed: readonly Exposure[];
  /** Empty: one is given from the service prefix, unless the service is headless. */
  readonly clusterIps: readonly Address[];
  /** No address at all: names only. */
  readonly headless: boolean;
  /** As asked for; empty: those of the cluster addresses. */
  readonly families: readonly (4 | 6)[];
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
  readonly externalIps: readonly Address[];
  /** `status.loadBalancer.ingress` of mode VIP. */
  readonly ingressIps: readonly Address[];
  /** `spec.loadBalancerIP`. */
  readonly wantedLoadBalancerIp: Address | null;
  readonly loadBalancer: LoadBalancerWish;
  readonly loadBalancerClass: string | null;
  readonly allocateNodePorts: boolean;
  readonly sourceRanges: readonly Prefix[];
  readonly sourceRangesDeny: boolean;
  /** Seconds; 0: no affinity. */
  readonly affinityTimeout: number;
  readonly externalLocal: boolean;
  readonly internalLocal: boolean;
  readonly healthCheckNodePort: number;
  readonly publishNotReady: boolean;
  readonly trafficDistribution: TrafficDistribution;
  /** `ALGORITHM` of rows. */
  readonly algorithm: number;
  readonly forwardingMode: ForwardingMode;
  /** What a node's labels must meet for the service to be on it; null: any. */
  readonly nodes: LabelSelector | null;
  readonly file: string;
  readonly span: Span;
}

export interface SliceEndpoint {
  readonly addresses: readonly Address[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly node: string;
  readonly zone: string;
  /** Null: no hints. */
  readonly forZones: readonly string[] | null;
}

export interface SlicePort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

export interface EndpointSliceSpec {
  readonly namespace: string;
  readonly name: string;
  /** Name of the service in the same namespace. */
  readonly service: string;
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
  readonly file: string;
  readonly span: Span;
}

export interface PodPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
  /** 0: none. */
  readonly hostPort: number;
  readonly hostIp: Address | null;
}

export interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly created: string;
  readonly addresses: readonly Address[];
  readonly ports: readonly PodPort[];
  readonly node: string;
  /** Neither succeeded nor failed. */
  readonly running: boolean;
  readonly ready: boolean;
  readonly hostNetwork: boolean;
  readonly file: string;
  readonly span: Span;
}

export interface RedirectPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

/** A CiliumLocalRedirectPolicy. */
export interface RedirectSpec {
  readonly namespace: string;
  readonly name: string;
  readonly created: string;
  readonly frontend:
    | { readonly kind: "address"; readonly address: Address; readonly ports: readonly RedirectPort[] }
    | { readonly kind: "service"; readonly service: string; readonly ports: readonly RedirectPort[] };
  /** Of workloads and pods in the policy's namespace. */
  readonly selector: LabelSelector;
  readonly ports: readonly RedirectPort[];
  readonly skipFromBackend: boolean;
  readonly file: string;
  readonly span: Span;
}

/** Both ends belong to it. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/** A CiliumLoadBalancerIPPool. */
export interface AddressPoolSpec {
  readonly name: string;
  readonly created: string;
  readonly ranges: readonly AddressRange[];
  /** Of services, by their labels, `io.kubernetes.service.name` and `io.kubernetes.service.namespace`; null: all. */
  readonly selector: LabelSelector | null;
  readonly disabled: boolean;
  readonly file: string;
  readonly span: Span;
}

/** A workload of this node, or of another that is known. */
export interface WorkloadSpec {
  readonly id: string;
  readonly namespace: string;
  /** With their source: `k8s:app` to `web`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
  readonly namedPorts: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
  /** Empty: this node. */
  readonly node: string;
  /** Takes no new connections, keeps those that it has. */
  readonly terminating: boolean;
}

/** How the ids of other nodes' workloads begin. Of a service that has endpoint slices they are no backends: the slices say more. */
export const REMOTE_WORKLOAD = "remote:";

export const objectKey = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  sharedText(`${namespace}/${name}`);
