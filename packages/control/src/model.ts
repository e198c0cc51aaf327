import type { Address, Mac, Prefix } from "@skep/net";
import type { Bandwidth } from "./bandwidth.ts";
import type { NamedPort } from "@skep/policy";
import type { FrontendType } from "./load-balancer/model.ts";

/** Labels with their source as `k8s:org` to `empire`; `reserved:host` has the value "". */
export type Labels = Readonly<Record<string, string>>;

export interface Endpoint {
  /** 1 to 65535; on disk before a map uses it. */
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly identity: number;
  readonly address: Address;
  /** Where the machine has IPv6. */
  readonly address6?: Address;
  /** Ports that policies and services may name. */
  readonly namedPorts?: readonly NamedPort[];
  readonly bandwidth?: Bandwidth;
  /** Nothing is denied here; what would be is told. */
  readonly audit?: boolean;
  /** Host side of the veth. */
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  /** Of the workload's interface, and of the host side. */
  readonly mac: Mac;
  readonly hostMac: Mac;
}

export interface IpcacheRow {
  readonly prefix: Prefix;
  readonly identity: number;
  /** Address of the node behind which it is. */
  readonly tunnel?: Address;
}

export interface BackendRow {
  /** Stable number, from 1. */
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
  readonly state: "active" | "terminating" | "quarantined" | "maintenance";
}

/** One frontend with its backends. */
export interface ServiceRow {
  /** Stable number, from 1: Cilium's reverse-NAT id. */
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly portName: string;
  readonly type: FrontendType;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  /** 1: for clients on the node itself, where those from outside have other backends. */
  readonly scope: 0 | 1;
  /** `SERVICE_FLAG`. */
  readonly flags?: number;
  /** Service whose workloads serve instead; absent: its own. */
  readonly redirectTo?: string;
  /** Why the frontend is not served; absent: it is. */
  readonly error?: string;
  readonly backends: readonly BackendRow[];
}

/** What `allocateEndpoint` gives; the interface is made afterwards. */
export interface EndpointSeed {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly identity: number;
  readonly address: Address;
  readonly address6?: Address;
  readonly namedPorts?: readonly NamedPort[];
  readonly bandwidth?: Bandwidth;
  readonly audit?: boolean;
}
