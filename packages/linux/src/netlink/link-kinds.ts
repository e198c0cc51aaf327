/**
 * @module
 * IFLA_INFO_DATA of each kind of link (include/uapi/linux/if_link.h).
 */
import { attributes, be16, bytes, flag, type Codec, struct, u16, u32, u8 } from "./codec.ts";
import { ipAddress } from "./ip.ts";

/** Modes of a macvlan (MACVLAN_MODE_*). */
export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;

export const vxlanData = attributes({
  id: [1, u32],
  group: [2, ipAddress],
  link: [3, u32],
  local: [4, ipAddress],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, u8],
  /** Seconds. */
  ageing: [8, u32],
  limit: [9, u32],
  proxy: [11, u8],
  rsc: [12, u8],
  l2miss: [13, u8],
  l3miss: [14, u8],
  port: [15, be16],
  group6: [16, ipAddress],
  local6: [17, ipAddress],
  udpChecksum: [18, u8],
  udpZeroChecksum6Send: [19, u8],
  udpZeroChecksum6Receive: [20, u8],
  gbp: [23, flag],
  /** "external": the tunnel's key comes with each packet. */
  collectMetadata: [25, u8],
  gpe: [27, flag],
  ttlInherit: [28, flag],
  df: [29, u8],
});

const bridgeId = struct({ priority: "be16", mac0: "u8", mac1: "u8", mac2: "u8", mac3: "u8", mac4: "u8", mac5: "u8" });

export const bridgeData = attributes({
  /** Hundredths of a second (USER_HZ), as are all times of a bridge. */
  forwardDelay: [1, u32],
  helloTime: [2, u32],
  maxAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, u8],
  groupForwardMask: [9, u16],
  rootId: [10, bridgeId],
  bridgeId: [11, bridgeId],
  multicastSnooping: [23, u8],
  callIptables: [36, u8],
  callIp6tables: [37, u8],
  callArptables: [38, u8],
});

export const macvlanData = attributes({ mode: [1, u32], flags: [2, u16] });

export const tunData = attributes({
  owner: [1, u32],
  group: [2, u32],
  /** IFF_TUN 1, IFF_TAP 2. */
  type: [3, u8],
  packetInfo: [4, u8],
  vnetHeader: [5, u8],
  persist: [6, u8],
  multiQueue: [7, u8],
  queues: [8, u32],
  disabledQueues: [9, u32],
});

/** bridge_slave: options of a bridge's port (IFLA_BRPORT_*). */
export const bridgePortData = attributes({
  state: [1, u8],
  priority: [2, u16],
  cost: [3, u32],
  hairpin: [4, u8],
  guard: [5, u8],
  protect: [6, u8],
  fastLeave: [7, u8],
  learning: [8, u8],
  unicastFlood: [9, u8],
  proxyArp: [10, u8],
  isolated: [33, u8],
});

export const vlanData = attributes({ id: [1, u16], protocol: [5, be16] });
export const geneveData = attributes({
  id: [1, u32],
  remote: [2, ipAddress],
  port: [5, be16],
  collectMetadata: [6, flag],
  remote6: [7, ipAddress],
});
export const netkitData = attributes({
  peerInfo: [1, bytes],
  primary: [2, u8],
  policy: [3, u32],
  peerPolicy: [4, u32],
  /** 0 layer 2, 1 layer 3. */
  mode: [5, u32],
});
export const ipvlanData = attributes({ mode: [1, u16], flags: [2, u16] });
export const vrfData = attributes({ table: [1, u32] });

/** Kinds whose data this package reads and writes; other kinds have none. */
export const linkData = {
  vxlan: vxlanData,
  bridge: bridgeData,
  macvlan: macvlanData,
  macvtap: macvlanData,
  tun: tunData,
  vlan: vlanData,
  geneve: geneveData,
  netkit: netkitData,
  ipvlan: ipvlanData,
  vrf: vrfData,
} as const;

type DataOf<C> = C extends Codec<infer T> ? T : never;

/** The options of a kind, such as `{ kind: "vxlan", data: { id: 5 } }`. */
export type LinkData = {
  readonly [K in keyof typeof linkData]: { readonly kind: K; readonly data?: DataOf<(typeof linkData)[K]> };
}[keyof typeof linkData];

export function dataCodec(kind: string): Codec<unknown> | undefined {
  return Object.hasOwn(linkData, kind) ? linkData[kind as keyof typeof linkData] : undefined;
}
