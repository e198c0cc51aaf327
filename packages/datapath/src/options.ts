/**
 * @module
 * What a datapath is opened with, and the constants that its programs get for it.
 */
import { ALGORITHM } from "@skep/control";
import { PREFILTER_TC, PREFILTER_XDP } from "./bpf/denied.bpf.ts";
import { DISPATCH_GENEVE, DISPATCH_IPIP, DISPATCH_OPTION } from "./bpf/direct.bpf.ts";
import { AGGREGATION_LOW, AGGREGATION_MAXIMUM, AGGREGATION_MEDIUM, AGGREGATION_NONE } from "./bpf/events.bpf.ts";
import type { DatapathDevice } from "./datapath.ts";

export interface DatapathOptions {
  /** The pin folder: `<pins>/maps` and `<pins>/links` hang under it. */
  readonly pins: string;
  /** Absolute path of the cgroup whose sockets are load balanced. */
  readonly cgroup: string;
  /** Overrides of map sizes by map name. Rows of maps that were kept at another size are carried over; where they do not fit opening throws TableSizeError. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Entries of each endpoint's policy. Default 16,384. */
  readonly policyEntries?: number;
  /** Packets of IPv6 are taken. Default true. */
  readonly ipv6?: boolean;
  /** The outer interfaces' queues keep to the times that packets bear (fq): workloads' rates delay packets. Default false: they drop them. */
  readonly departureTimes?: boolean;
  /**
   * The device of tunnels to other nodes (`createTunnel`), the UDP port that they end at, and the longest packet that goes into them: its hooks are attached. Without one nothing is tunnelled. Its addresses are the host's
   * among its workloads: what goes on to a service's backends behind a tunnel has them.
   */
  readonly overlay?: DatapathDevice & { readonly port: number; readonly mtu: number };
  /** Workloads' devices may be netkit pairs. Default false: they are veths, but for those of an earlier agent. */
  readonly netkit?: boolean;
  /** What certain workloads send to the world leaves by certain nodes (`syncEgress`). Default false. */
  readonly egressGateway?: boolean;
  /** The host's own policy is asked for what goes between it and its workloads. Default false. */
  readonly hostFirewall?: boolean;
  /** Seconds that a flow is remembered after its last packet, where they are not the usual ones. */
  readonly lifetimes?: FlowLifetimes;
  /** Every question to a policy leaves an event, not only those that were audited. Default false. */
  readonly verdictEvents?: boolean;
  readonly monitor?: MonitorOptions;
  readonly loadBalancer?: LoadBalancerOptions;
  /** Connections between workloads of this node go from socket to socket (`setHome`) while both policies allow them. Default false. */
  readonly socketSplice?: boolean;
}

/** Which packets that go on leave an event (Cilium's `monitor-aggregation*`). Drops always do. */
export interface MonitorOptions {
  /**
   * `none`: all, where they come in and where they go; `low`: all, where they go; `medium`: those that open a connection, have one of `flags` not seen
   * before in their direction, or come `intervalSeconds` after the last that was told of; `maximum`: those that open a connection, and their first answer.
   * Default maximum.
   */
  readonly aggregation?: MonitorAggregation;
  /** TCP flags as they stand in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32. Default FIN, SYN and RST. */
  readonly flags?: number;
  /** 1 to 127. Default 5. */
  readonly intervalSeconds?: number;
}

const AGGREGATIONS = {
  none: AGGREGATION_NONE,
  low: AGGREGATION_LOW,
  medium: AGGREGATION_MEDIUM,
  maximum: AGGREGATION_MAXIMUM,
} as const;
export type MonitorAggregation = keyof typeof AGGREGATIONS;

function monitorConfig({ aggregation, flags, intervalSeconds }: MonitorOptions): Record<string, number> {
  return {
    ...(aggregation === undefined ? {} : { monitor_aggregation: AGGREGATIONS[aggregation] }),
    ...(flags === undefined ? {} : { monitor_flags: flags }),
    ...(intervalSeconds === undefined ? {} : { monitor_interval: intervalSeconds }),
  };
}

/** Cilium's `bpf-ct-timeout-*`: defaults 8000, 60, 60, 10, 8000, 60, 60. */
export interface FlowLifetimes {
  readonly tcp?: number;
  readonly any?: number;
  readonly tcpSyn?: number;
  readonly tcpFin?: number;
  readonly serviceTcp?: number;
  readonly serviceAny?: number;
  readonly serviceTcpGrace?: number;
}

export function lifetimeConfig(lifetimes: FlowLifetimes): Record<string, number> {
  const named = {
    ...{ ct_tcp: lifetimes.tcp, ct_any: lifetimes.any, ct_tcp_syn: lifetimes.tcpSyn, ct_tcp_fin: lifetimes.tcpFin },
    ...{ ct_service_tcp: lifetimes.serviceTcp, ct_service_any: lifetimes.serviceAny },
    ct_service_tcp_grace: lifetimes.serviceTcpGrace,
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const DISPATCHES = { option: DISPATCH_OPTION, ipip: DISPATCH_IPIP, geneve: DISPATCH_GENEVE } as const;
export type Dispatch = keyof typeof DISPATCHES;

export interface LoadBalancerOptions {
  /** Of services that name none. Default random. */
  readonly algorithm?: "random" | "maglev";
  /** Slots of a Maglev table, a prime. Default 16,381. */
  readonly maglevSize?: number;
  /** Default 30,000 to 32,767. */
  readonly nodePorts?: { readonly first: number; readonly last: number };
  /** Programs before the packet's path in the kernel at the host's outer interfaces. Default: none. */
  readonly xdp?: "native" | "generic";
  /** Packets from denied prefixes are dropped there, without XDP at tc (`syncDenied`). Default false. */
  readonly prefilter?: boolean;
  /**
   * How what a backend answers itself (services with SERVICE_FLAG.DSR) gets to its node: with an option (IPv4) or extension header (IPv6) that
   * says what was asked, which the other node's datapath reads; or in an IP packet to the backend, which has the service's address; or in a tunnel to
   * its node (Geneve), of whose options one says it. Default option.
   */
  readonly dispatch?: Dispatch;
  /** Clients of a service without a backend are told so, or left waiting. Default reject. */
  readonly noBackend?: "reject" | "drop";
  /**
   * Services from outside whose backends are of the other IP family are translated (RFC 7915); `gateway`: and what IPv6 clients send to
   * 64:ff9b::/96, to the IPv4 hosts that it names. Default off.
   */
  readonly nat46x64?: "services" | "gateway";
}

/** Slots of a Maglev table where nothing else is asked for. */
export const MAGLEV_SIZE = 16_381;

function loadBalancerConfig(options: LoadBalancerOptions): Record<string, number> {
  return {
    lb_algorithm: options.algorithm === "maglev" ? ALGORITHM.MAGLEV : ALGORITHM.RANDOM,
    maglev_size: options.maglevSize ?? MAGLEV_SIZE,
    nodeport_first: options.nodePorts?.first ?? 30_000,
    nodeport_last: options.nodePorts?.last ?? 32_767,
    nat_46x64: options.nat46x64 ? 1 : 0,
    nat_46x64_gateway: options.nat46x64 === "gateway" ? 1 : 0,
    lb_reject: options.noBackend === "drop" ? 0 : 1,
    lb_dispatch: DISPATCHES[options.dispatch ?? "option"],
    prefilter: options.prefilter ? (options.xdp ? PREFILTER_XDP : PREFILTER_TC) : 0,
  };
}

/** `netkit`: workloads' devices may be netkit pairs; `hostNetns`: the cookie of the host's network namespace. */
export function datapathConfig(
  options: DatapathOptions,
  { netkit, hostNetns }: { readonly netkit: boolean; readonly hostNetns: bigint },
): Record<string, number | bigint> {
  return {
    ipv6_enabled: options.ipv6 === false ? 0 : 1,
    departure_times: options.departureTimes ? 1 : 0,
    netkit: netkit ? 1 : 0,
    overlay_interface: options.overlay?.interfaceIndex ?? 0,
    overlay_port: options.overlay?.port ?? 0,
    overlay_mtu: options.overlay?.mtu ?? 0,
    egress_gateway: options.egressGateway ? 1 : 0,
    host_firewall: options.hostFirewall ? 1 : 0,
    verdict_events: options.verdictEvents ? 1 : 0,
    host_netns: hostNetns,
    ...monitorConfig(options.monitor ?? {}),
    ...lifetimeConfig(options.lifetimes ?? {}),
    ...loadBalancerConfig(options.loadBalancer ?? {}),
  };
}
