// The maps that the datapath shares with the agent. Keys carry 16-byte addresses, IPv4 mapped (::ffff:a.b.c.d), so that one set of
// maps and one program serve both families. Padding is written out: keys compare as bytes.
import {
  be16,
  be32,
  hash,
  hashOfMaps,
  lpmTrie,
  lruHash,
  MAP,
  percpuArray,
  progArray,
  ringBuf,
  struct,
  u16,
  u32,
  u64,
  u8,
  array,
  type Of,
} from "@skep/bpf";

export const Address = struct("Address", { w0: be32, w1: be32, w2: be32, w3: be32 });
export type Address = Of<typeof Address>;

export const Mac = struct("Mac", { bytes: array(u8, 6) });

// ---- endpoints ----

/** A local workload. Found by the interface that its packets come in on, and by its addresses. The host itself stands under interface 0. */
export const Endpoint = struct("Endpoint", {
  address: Address,
  /** The second family's; zero where it has none. */
  address6: Address,
  id: u32,
  identity: u32,
  /** Host side of the veth, in the host's namespace. */
  ifindex: u32,
  flags: u32,
  /** Of the workload's own interface. */
  mac: Mac,
  /** Of the host side. */
  hostMac: Mac,
  /** Of the policy in force: rises with every change of it. */
  generation: u32,
});
export type Endpoint = Of<typeof Endpoint>;

export const endpointsByInterface = hash("skep_ep_if", { key: u32, value: Endpoint, maxEntries: 65_536 });
export const endpointsByAddress = hash("skep_ep_addr", { key: Address, value: Endpoint, maxEntries: 65_536 });

// ---- identities of addresses ----

/** `prefixLength` counts the bits of `address`: 96 + n for an IPv4 prefix of n. */
export const IpcacheKey = struct("IpcacheKey", { prefixLength: u32, address: Address });
/** `tunnel`: address of the node behind which it is; zeros where it is none. */
export const IpcacheEntry = struct("IpcacheEntry", { identity: u32, flags: u32, tunnel: Address });
export const ipcache = lpmTrie("skep_ipcache", { key: IpcacheKey, value: IpcacheEntry, maxEntries: 512_000 });

// ---- policy ----

/**
 * A trie per endpoint over direction, identity, protocol, port (in this order, so that a wildcard is a shorter prefix). Bits:
 * 8 direction, 40 with identity, 48 with protocol, 64 with port; ranges of ports are prefixes between 48 and 64. Identity 0 is any.
 */
export const PolicyKey = struct("PolicyKey", {
  prefixLength: u32,
  direction: u8,
  identity0: u8,
  identity1: u8,
  identity2: u8,
  identity3: u8,
  protocol: u8,
  port: be16,
});
export const PolicyEntry = struct("PolicyEntry", {
  /** The higher of the two entries found (identity, any) wins: 24 bits of priority, then 255 deny, 1 allow, 0 pass. */
  precedence: u32,
  /** Names the rules behind the entry to the agent; repeated in events. */
  cookie: u32,
  /** Bits: 1 deny; 2 audit: allowed because what denies it only reports. */
  flags: u8,
  /** Length of the prefix that the entry was written with, for counters and events. */
  prefixLength: u8,
  proxyPort: be16,
});
export const policy = hashOfMaps("skep_policy", {
  key: u32,
  inner: lpmTrie("skep_policy_ep", { key: PolicyKey, value: PolicyEntry, maxEntries: 16_384 }),
  maxEntries: 65_536,
});

// ---- connection tracking ----

/** Both directions of a connection have one key: of its two ends the one with the lower address (on a tie: port) is the first. */
export const ConnectionKey = struct("ConnectionKey", {
  first: Address,
  second: Address,
  firstPort: u16,
  secondPort: u16,
  protocol: u8,
  pad0: u8,
  pad1: u16,
});
export type ConnectionKey = Of<typeof ConnectionKey>;
export const Connection = struct("Connection", {
  /** Seconds of CLOCK_MONOTONIC after which the entry is dead. */
  expires: u32,
  /**
   * Bits: 1 reply seen, 2 FIN of the opener, 4 FIN of the other, 8 RST, 16 opened by the key's second end, 32 to a service, whose packets go
   * on in another connection, 64 of a workload with itself, 128 to a service whose backends answer its clients themselves.
   */
  flags: u32,
  /** Generation of the opener's egress policy and of the other end's ingress policy that allowed it; 0: not asked, or not local. */
  egressGeneration: u32,
  ingressGeneration: u32,
  /** Whom they were asked for: the identity of the other end, and of the opener. */
  egressIdentity: u32,
  ingressIdentity: u32,
  /** The service that it was opened to and the backend that serves it; 0: none. */
  service: u32,
  backend: u32,
  /** To a service: of the backend. To none: of the services when they were last asked. */
  generation: u32,
  /** TCP flags that the opener has sent, and the other end. */
  tcpFlags: u8,
  replyTcpFlags: u8,
  /** Seconds of CLOCK_MONOTONIC, the low bits, when a packet of each direction was last told of. */
  toldAt: u8,
  replyToldAt: u8,
  packets: u64,
  bytes: u64,
  replyPackets: u64,
  replyBytes: u64,
});
export type Connection = Of<typeof Connection>;
/** No LRU: what is live stays, whoever else wants the room (gc.bpf.ts). */
export const connections = hash("skep_ct", { key: ConnectionKey, value: Connection, maxEntries: 262_144 });

/** Where a new entry is put together: it is too large for the stack. */
export const freshConnection = percpuArray("skep_ct_fresh", { value: Connection, maxEntries: 1 });

// ---- services ----

/** Slots whose backends stand with the service too. */
export const FIRST_SLOTS = 7;
/** Slot 0 is the service itself; slots 1 to `count` name its backends. `protocol` 0 is any, `scope` 1 the one for clients of this node. */
export const ServiceKey = struct("ServiceKey", {
  address: Address,
  port: be16,
  protocol: u8,
  scope: u8,
  slot: u16,
  pad: u16,
});
export type ServiceKey = Of<typeof ServiceKey>;
export const Service = struct("Service", {
  /** Of slots from 1. */
  backend: u32,
  /** Number of the frontend; 0: an address of which no other port is served. */
  id: u32,
  /** SERVICE_FLAG of control's load balancer. */
  flags: u32,
  count: u16,
  quarantined: u16,
  /** Seconds that a client keeps its backend. */
  affinity: u32,
  /** 0 what the configuration says, 1 random, 2 Maglev. */
  algorithm: u8,
  pad0: u8,
  pad1: u16,
  /** Of slot 0: what the first slots name, so that most services are one row. 0: only the slot says it. With it the kernel's element is two cache lines. */
  first: array(u32, FIRST_SLOTS),
});
export type Service = Of<typeof Service>;
export const services = hash("skep_services", { key: ServiceKey, value: Service, maxEntries: 65_536 });

/** By its number. `generation` rises whenever the number gets another address, so that what knows both is never led to a stranger. */
export const Backend = struct("Backend", {
  address: Address,
  port: be16,
  protocol: u8,
  /** 0 active, 1 terminating, 2 quarantined, 3 in maintenance. */
  state: u8,
  generation: u32,
  /** 0: nothing is here. */
  present: u8,
  zone: u8,
  pad: u16,
});
export type Backend = Of<typeof Backend>;
export const backends = array("skep_backends", { value: Backend, maxEntries: 65_536 });

/** From a frontend's number to its address; port 0: none. */
export const Frontend = struct("Frontend", { address: Address, port: be16, pad: u16 });
export type Frontend = Of<typeof Frontend>;
export const frontends = array("skep_frontends", { value: Frontend, maxEntries: 65_536 });

/** The backend that a client had last. The client is an address, or the cookie of its network namespace. */
export const AffinityKey = struct("AffinityKey", { client: Address, service: u32, isCookie: u32 });
export type AffinityKey = Of<typeof AffinityKey>;
export const Affinity = struct("Affinity", { backend: u32, lastUsed: u32 });
export const affinities = lruHash("skep_affinity", { key: AffinityKey, value: Affinity, maxEntries: 65_536 });
/** The backends that a service with affinity has now. */
export const AffinityMatch = struct("AffinityMatch", { service: u32, backend: u32 });
export const affinityMatches = hash("skep_aff_match", { key: AffinityMatch, value: u8, maxEntries: 65_536 });

/** Of clients: 32 bits of the service's number, then the prefix. */
export const SourceRangeKey = struct("SourceRangeKey", { prefixLength: u32, service: be32, address: Address });
export const sourceRanges = lpmTrie("skep_src_range", { key: SourceRangeKey, value: u8, maxEntries: 65_536 });

/** Workloads that a local redirect leaves alone. `source` 0: some are, so that packets are asked instead of sockets. */
export const SkipKey = struct("SkipKey", { source: Address, address: Address, port: be16, pad: u16 });
export const skips = hash("skep_lb_skip", { key: SkipKey, value: u8, maxEntries: 65_536, flags: MAP.NO_PREALLOC });

/** The largest table; the real size is the one that the maps are made with (`maglev_size`). */
export const MAGLEV_LARGEST = 131_071;
export const MaglevTable = struct("MaglevTable", { slots: array(u32, MAGLEV_LARGEST) });
/** A flow's hash to a backend's number, by frontend. */
export const maglev = hashOfMaps("skep_maglev", {
  key: u32,
  inner: array("skep_maglev_in", { value: MaglevTable, maxEntries: 1 }),
  maxEntries: 65_536,
});

/** `generation` rises with every change of the services, `ways` with every change of what is local and of the ways to what is not. */
export const LoadBalancerState = struct("LoadBalancerState", { generation: u32, ways: u32 });
export const loadBalancerState = array("skep_lb_state", { value: LoadBalancerState, maxEntries: 1 });

/** What a socket asked for, by its cookie and the backend that it got. */
export const ReverseKey = struct("ReverseKey", { cookie: u64, address: Address, port: be16, pad: u16, pad2: u32 });
export type ReverseKey = Of<typeof ReverseKey>;
export const ReverseEntry = struct("ReverseEntry", {
  address: Address,
  port: be16,
  protocol: u8,
  pad: u8,
  service: u32,
  backend: u32,
  generation: u32,
});
export type ReverseEntry = Of<typeof ReverseEntry>;
export const reverse = lruHash("skep_sock_rev", { key: ReverseKey, value: ReverseEntry, maxEntries: 262_144 });

/**
 * What a TCP socket asked for, by the low bits of its cookie: one cache line, and cookies follow each other. Who finds the row taken has its own in
 * `reverse`, and so have sockets of all other protocols, which ask for more than one thing.
 */
export const Asked = struct("Asked", { key: ReverseKey, entry: ReverseEntry });
export type Asked = Of<typeof Asked>;
export const ASKED_ROWS = 16_384;
// Its rows begin with a cache line.
export const askedByTcp = array("skep_sock_tcp", { value: Asked, maxEntries: ASKED_ROWS, flags: MAP.MMAPABLE });
/** Whose row it is: the socket's cookie, 0 nobody's. Apart, so that who closes looks at eight rows in a line. */
export const AskedOwner = struct("AskedOwner", { cookie: u64 });
export const askedOwners = array("skep_sock_owner", { value: AskedOwner, maxEntries: ASKED_ROWS });

/** Bits by the low bits of a cookie: the socket may have a row in `reverse`. */
export const ASKER_WORDS = 1024;
export const askers = array("skep_sock_asked", { value: u64, maxEntries: ASKER_WORDS });

// ---- programs that others go on in ----

export const calls = progArray("skep_calls", { maxEntries: 16 });
export const CALL_REFUSE = 0;
export const CALL_NODEPORT = 1;
export const CALL_NODEPORT_REPLY = 2;
export const CALL_NODEPORT_REFUSE = 3;
export const CALL_TOO_LONG = 4;
export const CALL_NAT_46X64 = 5;
export const CALL_NAT_46X64_REPLY = 6;
export const CALL_NAT_46X64_TOO_LONG = 7;
export const CALL_NAT_46X64_ON = 14;
export const CALL_DIRECT = 8;
export const CALL_DIRECT_ARRIVED = 9;
export const CALL_DIRECT_TOO_LONG = 10;
export const CALL_NODEPORT_TUNNEL = 11;
export const CALL_DIRECT_TUNNEL = 12;
export const CALL_DIRECT_TUNNELLED = 13;

// ---- events and counters ----

export const Event = struct("Event", {
  /** CLOCK_MONOTONIC, nanoseconds. */
  time: u64,
  /** Cilium's monitor types: 1 drop, 4 trace, 5 policy verdict. */
  type: u8,
  /** Drop code (133 ...) where type is 1; Cilium's observation point where it is 4: 0 to endpoint, 3 to stack; where it is 5: 0 denied, 1 allowed, 3 audit. */
  reason: u8,
  /** 1 ingress, 2 egress: of the endpoint whose policy or hook this is. */
  direction: u8,
  /** Bits: 1 reply, 2 from the host's stack. */
  flags: u8,
  sourceIdentity: u32,
  destinationIdentity: u32,
  /** Endpoint whose hook or policy this is; 0 none. */
  endpoint: u32,
  /** Endpoints of both ends where local, else 0. */
  sourceEndpoint: u32,
  destinationEndpoint: u32,
  ifindex: u32,
  length: u32,
  source: Address,
  destination: Address,
  sourcePort: be16,
  destinationPort: be16,
  protocol: u8,
  tcpFlags: u8,
  icmpType: u8,
  icmpCode: u8,
  /** PolicyEntry.cookie of the last policy that was asked (a drop: the one that denied); 0 where no entry matched. */
  cookie: u32,
  /** Where both ends are local: the cookie of the source's egress policy. */
  egressCookie: u32,
  ethertype: be16,
  sourceMac: Mac,
  destinationMac: Mac,
  pad: u16,
});
export type Event = Of<typeof Event>;
export const events = ringBuf("skep_events", Event, { bytes: 8 << 20 });

/** By direction (1 ingress, 2 egress) times 256 and reason (0 forwarded, else the drop code). */
export const Metric = struct("Metric", { packets: u64, bytes: u64 });
export const metrics = percpuArray("skep_metrics", { value: Metric, maxEntries: 768 });

/** Records that found the ring full. */
export const lostEvents = percpuArray("skep_lost", { value: u64, maxEntries: 1 });
