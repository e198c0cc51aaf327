import type { Address } from "@skep/net";

/** What is known of one end of a flow. Immutable: a flow keeps the one that held when it was seen. */
export interface EndpointInfo {
  /** 0 where the end is not local. */
  readonly id: number;
  readonly identity: number;
  readonly namespace: string;
  /** Identity labels with source, sorted: `k8s:app=web`. */
  readonly labels: readonly string[];
  readonly podName: string;
  readonly workloads: readonly { readonly name: string; readonly kind: string }[];
  readonly clusterName: string;
}

export interface ServiceName {
  readonly name: string;
  readonly namespace: string;
}

/** A policy behind a verdict. */
export interface PolicyName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly revision: bigint;
}

export interface Decision {
  readonly endpoint: number;
  readonly direction: "ingress" | "egress";
  /** Of the entry that decided; 0 where none matched. */
  readonly cookie: number;
  /** Identity of the other end. */
  readonly peer: number;
  readonly protocol: number;
  /** Destination port, or the ICMP type. */
  readonly port: number;
}

/** Gives names to what an event holds as numbers. Asked once per event, when it is read. */
export interface FlowContext {
  /** Cluster and node, as flows carry it. */
  readonly nodeName: string;
  readonly nodeLabels: readonly string[];
  /** CLOCK_MONOTONIC to nanoseconds since 1970. */
  wallTime(monotonic: bigint): bigint;
  /** A local endpoint. */
  endpoint(id: number): EndpointInfo | null;
  /** A peer that is not local: by its address where something is known of it, else by its identity alone. */
  peer(identity: number, address: Address): EndpointInfo;
  service(address: Address, port: number, protocol: number): ServiceName | null;
  /** DNS names that the endpoint had resolved to this address at the time (nanoseconds since 1970). */
  names(address: Address, endpoint: number, time: bigint): readonly string[];
  policies(decision: Decision): readonly PolicyName[];
  /** 0 none, 1 L3, 2 L3 and L4, 3 L4, 4 all, 5 L3 and protocol, 6 protocol. */
  matchType(decision: Decision): number;
  interfaceName(index: number): string;
  /** Unique per flow; the same for the same place in the ring. Without one the next. */
  uuid(sequence?: number): string;
  /** Counts the states of control: grows when names may have changed. Absent: they never do. */
  readonly epoch?: number;
  /** Names as they were known in an epoch; as they are now where that is too long ago. */
  during?(epoch: number): FlowContext;
}
