/**
 * @module
 * The load balancer's tables: services, frontends (an address that clients use), backends (an address that serves one).
 */
import type { Address, Prefix } from "@skep/net";
import type { SocketAddress } from "./key.ts";
import type { ForwardingMode, TrafficDistribution } from "./spec.ts";

export type FrontendType = "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalIPs" | "HostPort" | "LocalRedirect";

/** In the order in which backends take slots. */
export const INSTANCE_STATES = [
  "active",
  "terminating",
  "terminating-not-serving",
  "quarantined",
  "maintenance",
] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

/** What frontends of one name have in common. */
export interface Service {
  /** `namespace/name`; those of host ports and redirects have longer names. */
  readonly name: string;
  readonly source: "k8s" | "skep";
  readonly created: string;
  readonly portNames: readonly { readonly name: string; readonly port: number }[];
  readonly externalLocal: boolean;
  readonly internalLocal: boolean;
  /** Seconds; 0: none. */
  readonly affinityTimeout: number;
  readonly sourceRanges: readonly Prefix[];
  readonly sourceRangesDeny: boolean;
  /** `ALGORITHM` of rows. */
  readonly algorithm: number;
  readonly forwardingMode: ForwardingMode;
  readonly healthCheckNodePort: number;
  /** Host ports of the loopback address: for the node itself alone. */
  readonly loopbackHostPort: boolean;
  readonly trafficDistribution: TrafficDistribution;
  readonly loadBalancerClass: string | null;
}

/** What the node answers at a health check port. */
export interface HealthCheck {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  readonly localEndpoints: number;
}

export interface FrontendParams extends SocketAddress {
  readonly service: string;
  readonly scope: 0 | 1;
  readonly type: FrontendType;
  /** Empty: any port of a backend fits. */
  readonly portName: string;
  readonly servicePort: number;
}

/** One backend as one service sees it. */
export interface Instance extends SocketAddress {
  readonly key: string;
  /** Empty: unnamed, fits every frontend of its protocol. */
  readonly portNames: readonly string[];
  readonly state: InstanceState;
  readonly node: string;
  readonly zone: string;
  readonly forZones: readonly string[] | null;
  readonly weight: number;
}

export interface Frontend extends FrontendParams {
  readonly key: string;
  /** Service whose workloads serve instead; null: the frontend's own. */
  readonly redirectTo: string | null;
  /** In the order of their addresses. */
  readonly backends: readonly Instance[];
}

/** The node's own facts. */
export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An address of the node, and whether node ports are served at it. */
export interface NodeAddress {
  readonly address: Address;
  readonly nodePort: boolean;
}

export const ZONE_LABEL = "topology.kubernetes.io/zone";
