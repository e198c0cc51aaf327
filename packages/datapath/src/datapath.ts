import type { DeniedPrefixes } from "./denied.ts";
import type { SpliceCounts } from "./splice.ts";
import type { ConnectedSocket, Namespace } from "@skep/machine";
import type { Address, Prefix } from "@skep/net";
import type {
  EgressRow,
  Endpoint,
  IpcacheChange,
  IpcacheRow,
  LoadBalancerChange,
  LoadBalancerRows,
  ServiceRow,
} from "@skep/control";
import type { EndpointPolicy, PolicyDelta, PolicyMapEntry } from "@skep/policy";

/** What the maps hold of an endpoint. The host's own has interface 0. */
export type DatapathEndpoint = Pick<
  Endpoint,
  "id" | "identity" | "address" | "address6" | "bandwidth" | "interfaceName" | "interfaceIndex" | "mac" | "hostMac"
>;

/** An interface by which packets leave the host. An address that is not there: what leaves in its family keeps its own. */
export interface DatapathDevice {
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  readonly address?: Address;
  readonly address6?: Address;
}

/**
 * Control state into map state. Every operation is idempotent and leaves no intermediate state that allows more than before or after.
 * Errors of the kernel are thrown (the caller writes them on the row and tries again).
 */
export interface Datapath {
  /** What was found pinned at start: endpoints in the maps, so that the agent adopts or removes them. */
  readonly adopted: { readonly endpoints: readonly number[]; readonly restarted: boolean };
  /** Programs whose hook the machine has not: what they do is left to the packets' path. */
  readonly unsupported: readonly string[];
  /** Puts the endpoint into the maps (its policy must be set before). */
  setEndpoint(endpoint: DatapathEndpoint): void;
  /** Attaches both hooks of the interface, pinned, or replaces their programs where pinned links are found. */
  attachEndpoint(endpoint: Pick<DatapathEndpoint, "interfaceName" | "interfaceIndex">): void;
  /** Where the endpoint's sockets are (SO_NETNS_COOKIE): those alone are spliced. Nothing where sockets are not. */
  setHome(endpoint: Pick<DatapathEndpoint, "address" | "address6" | "interfaceIndex">, cookie: bigint): void;
  /** Null where sockets are not spliced. */
  spliceCounts(): SpliceCounts | null;
  /** Takes the endpoint out of the maps, purges its connections and unpins its links. */
  removeEndpoint(endpoint: Omit<DatapathEndpoint, "identity" | "mac" | "hostMac">): void;
  /** The outer interfaces, all of them: their hooks are attached, those of others go. What workloads send by them leaves with these addresses. */
  setDevices(devices: readonly DatapathDevice[]): void;
  /** Destinations to which workloads keep their own addresses; those inside the cluster need not be given. */
  syncNonMasquerade(prefixes: readonly Prefix[]): { changed: number; deleted: number };
  /** Swaps the whole policy of an endpoint. The next packet of every connection is asked of the new one, replies too. */
  setPolicy(policy: EndpointPolicy): void;
  /** The same for several endpoints; on an error some may have the new policy and others the old. */
  setPolicies(policies: readonly EndpointPolicy[]): void;
  /** Changes single entries of a policy that was set, in the order given. */
  updatePolicy(endpoint: number, delta: PolicyDelta): void;
  policyOf(endpoint: number): readonly PolicyMapEntry[] | null;
  /** Brings the ipcache to exactly these rows: adds and changes first, then deletes. */
  syncIpcache(rows: readonly IpcacheRow[]): { changed: number; deleted: number };
  /** Single rows of the ipcache: these are written, then those of the prefixes deleted. */
  updateIpcache(change: IpcacheChange): { changed: number; deleted: number };
  syncServices(rows: readonly ServiceRow[]): { changed: number; deleted: number };
  /** One step of the load balancer, in an order in which no slot ever names a backend that is not there. */
  syncLoadBalancer(change: LoadBalancerChange): { changed: number; deleted: number };
  /** The ways on for what comes in for a service: without one the host's routes are asked, and XDP leaves the packet to tc. */
  syncNextHops(rows: readonly NextHopRow[]): { changed: number; deleted: number };
  /** By which nodes what workloads send to the world leaves (where `egressGateway` is on): exactly these rows. */
  syncEgress(rows: readonly EgressRow[]): { changed: number; deleted: number };
  /** Sources whose packets are dropped before all else (where `prefilter` is on): exactly these. */
  syncDenied(prefixes: DeniedPrefixes | Iterable<Prefix>): { changed: number; deleted: number };
  /** Brings the load balancer's maps to exactly these rows: after a start, or when a step has failed. */
  replaceLoadBalancer(rows: LoadBalancerRows): { changed: number; deleted: number };
  /** Deletes endpoints, policies and links of endpoints not in `keep`: what a dead agent left. */
  prune(keep: readonly Pick<DatapathEndpoint, "id" | "interfaceName">[]): { endpoints: number };
  /**
   * Ends connected sockets of the namespaces that were sent to a backend which serves nobody any more: gone, quarantined or in maintenance. Their
   * owners are told at once (ECONNABORTED) what silence would tell them late. How many there were. Throws EOPNOTSUPP where the kernel cannot.
   */
  endLost(namespaces: Iterable<Pick<Namespace, "endSockets">>, protocol: ConnectedSocket["protocol"]): number;
  /** Calls for every event and every name server's answer, in order; batched on the kernel's wake-up. */
  readEvents(onEvent: (event: DatapathEvent) => void, onAnswer?: OnAnswer): { drain(): number; close(): void };
  /** The same, each event as its bytes lie in the ring: `EVENT_SIZE` at `at`, valid during the call. */
  readRecords(onRecord: (view: DataView, at: number) => void, onAnswer?: OnAnswer): { drain(): number; close(): void };
  counters(): readonly Counter[];
  /** Takes connections and mappings of source NAT that are over out of their tables; how full these are now. */
  collect(): readonly TableUse[];
  /** As the last look found it. */
  tableUse(): readonly TableUse[];
  /** Events that found the ring full, since the datapath was loaded. */
  lostEvents(): bigint;
  /** Closes descriptors; the datapath stays in force. */
  close(): void;
  /** Takes the whole datapath out of the kernel. */
  destroy(): void;
}

/** Where packets to a prefix go next. `macs`: of the interface, and of the host or router there, where they are known. */
export interface NextHopRow {
  readonly prefix: Prefix;
  readonly interfaceIndex: number;
  /** The longest packet that the interface takes: what becomes longer than that on its way is refused. */
  readonly mtu?: number;
  readonly macs?: { readonly source: Uint8Array; readonly destination: Uint8Array };
}

/** Of a table that is never cleared by itself: what is open stays where there is no room for more. */
export interface TableUse {
  readonly name: string;
  readonly capacity: number;
  /** Entries that the last look left, and took out. */
  readonly alive: number;
  readonly removed: number;
  /** Looks because there was no room, what they took out in all, and packets that found none. */
  readonly emergencies: number;
  readonly emergencyRemoved: number;
  readonly refused: number;
}

export interface Counter {
  /** 0 forwarded, else the drop code. */
  readonly reason: number;
  readonly direction: "ingress" | "egress";
  readonly packets: bigint;
  readonly bytes: bigint;
}

/**
 * What a name server has sent to a local workload over UDP, as a reply in a connection that policy allowed (`Answer` in
 * bpf/answers.bpf.ts).
 */
export interface DatapathAnswer {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly time: bigint;
  /** Of the workload. */
  readonly endpoint: number;
  readonly client: Address;
  readonly server: Address;
  /** The message; null where it is longer than 1023 bytes. A copy. */
  readonly message: Uint8Array | null;
}

export type OnAnswer = (answer: DatapathAnswer) => void;

/** One record of the ring (`Event` in bpf/maps.bpf.ts), decoded. */
export interface DatapathEvent {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly time: bigint;
  /** 1 drop, 4 trace, 5 policy verdict. */
  readonly type: number;
  readonly reason: number;
  readonly direction: "ingress" | "egress";
  readonly reply: boolean;
  readonly fromHost: boolean;
  /** Of a connection that was told of before, with the opener's packets. */
  readonly established: boolean;
  /** An ICMP error about a connection. */
  readonly related: boolean;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpoint: number;
  readonly sourceEndpoint: number;
  readonly destinationEndpoint: number;
  readonly interfaceIndex: number;
  readonly length: number;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly tcpFlags: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  /** Of the policy that was asked last; 0 where no entry matched. */
  readonly cookie: number;
  /** Where both ends are local: of the source's egress policy. */
  readonly egressCookie: number;
  readonly ethertype: number;
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
}
