/**
 * @module
 * What an agent is started with, and what it answers of its endpoints.
 */
import type { Endpoint, LoadBalancerConfig } from "@skep/control";
import type { Dispatch, FlowLifetimes, MonitorOptions } from "@skep/datapath";
import type { Machine, TunnelProtocol } from "@skep/machine";
import type { Enforcement } from "@skep/policy";
import type { Logger } from "./log.ts";
import type { EndpointState } from "./records.ts";
import type { DatapathMode } from "./wire.ts";
import type { EndpointRecord } from "./state.ts";

export interface AgentOptions {
  readonly machine: Machine;
  /** The watched folder of YAML. */
  readonly directory: string;
  readonly run: string;
  readonly state: string;
  readonly pins: string;
  /** Below the cgroup2 root; workloads get cgroups of their own under it. Empty: the root itself is where sockets are balanced. */
  readonly cgroup: string;
  readonly podCidr: string;
  /** Workloads get an address of it too. Default: IPv4 alone. */
  readonly podCidr6?: string;
  readonly serviceCidr: string;
  /** Names of the interfaces by which packets leave the host: what workloads send out of the cluster leaves with their addresses. Default none. */
  readonly devices?: readonly string[];
  /** False: workloads keep their addresses. Default true. */
  readonly masquerade?: boolean;
  /** Destinations to which workloads keep their addresses. */
  readonly nonMasqueradeCidrs?: readonly string[];
  /** The devices' queues are fq: rates of workloads delay packets instead of dropping them. Default false. */
  readonly departureTimes?: boolean;
  /** How packets get to other nodes' workloads: over the nodes, which must be neighbours, or in tunnels. Default native. */
  readonly routing?: "native" | TunnelProtocol;
  /** Of the other nodes' addresses that tunnels lead to; their largest packet depends on it. Default 4. */
  readonly tunnelFamily?: 4 | 6;
  /** What workloads' devices are: a pair of Linux's oldest kind, or netkit where the kernel has it. Default veth. */
  readonly datapathMode?: DatapathMode;
  readonly nodeName?: string;
  /** The cluster that the node belongs to: the label of its workloads, and before the nodes' names in flows. Default `default`. */
  readonly clusterName?: string;
  /** Of the node: what a nodeSelector selects. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** Policies with a nodeSelector are in force between the host and its workloads. Default false. */
  readonly hostFirewall?: boolean;
  /** CiliumEgressGatewayPolicies are in force; between nodes they need tunnels. Default false. */
  readonly egressGateway?: boolean;
  /** Connections between workloads of this node go from socket to socket while both policies allow them. Default false. */
  readonly socketSplice?: boolean;
  /** Until the settings that were last set are read. Default `default`. */
  readonly enforcement?: Enforcement;
  /** False: the folder is read again only by `rescan`. Default true. */
  readonly watch?: boolean;
  /** Seconds that a flow is remembered after its last packet, where they are not the usual ones. */
  readonly lifetimes?: FlowLifetimes;
  /** Entries of the datapath's maps by their names, where they are not the usual ones; rows of maps that were kept are carried over. */
  readonly mapEntries?: Readonly<Record<string, number>>;
  /** Entries of each endpoint's policy. Default 16,384. */
  readonly policyEntries?: number;
  /** Between two looks for flows that are over. Default: more often while there is much of them. */
  readonly collectEachMs?: number;
  readonly loadBalancer?: Partial<LoadBalancerConfig>;
  /** Whether services are forwarded before the kernel has the packet, by XDP at the devices. Default disabled: at tc. */
  readonly lbAcceleration?: "disabled" | "native" | "generic";
  /** How what a backend answers itself (`loadBalancer.mode`) gets to its node. Default option. */
  readonly lbDispatch?: Dispatch;
  /** A file of prefixes, one a line: what comes from them by the devices is dropped before all else. Read again when it changes. */
  readonly prefilterFile?: string;
  /** Clients of a service without a backend are told so, or left waiting. Default reject. */
  readonly lbNoBackend?: "reject" | "drop";
  /**
   * Services from outside that have backends of the other IP family alone are served by those; `gateway`: and what IPv6 clients send to 64:ff9b::/96
   * goes to the IPv4 hosts that it names. Default off.
   */
  readonly nat46x64?: "services" | "gateway";
  /** Which connected sockets are ended when their service's backend has gone, as their owners would not be told otherwise. Default udp. */
  readonly lbTerminate?: "none" | "udp" | "all";
  /** Services' health check ports are answered, in the namespace of this process. Default false. */
  readonly healthCheckPorts?: boolean;
  /** Every question to a policy leaves a flow. Default false. */
  readonly verdictEvents?: boolean;
  /** Which packets that go on leave a flow. Default: those that open a connection, and their first answer. */
  readonly monitor?: MonitorOptions;
  readonly log: Logger;
}

export interface EndpointStatus {
  readonly endpoint: Endpoint;
  readonly state: EndpointState;
  readonly reason: string;
  /** Of the policy in force. */
  readonly revision: number;
  /** Of the policy in force; 0 none. */
  readonly version: number;
  readonly ingressEnforced: boolean;
  readonly egressEnforced: boolean;
  readonly record: EndpointRecord;
}

/** What the caller asked for cannot be. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly kind: "not-found" | "exists" | "invalid" | "exhausted" | "refused";
  constructor(kind: RequestError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
