/**
 * @module
 * Routes: RTM_NEWROUTE and its kin (include/uapi/linux/rtnetlink.h).
 */
import type { Address, Prefix } from "@skep/net";
import { isErrno } from "../sys/index.ts";
import { scopes } from "./addresses.ts";
import { attributes, bytes, type Codec, concat, struct, u16, u32, u8 } from "./codec.ts";
import { anyPrefix, families, familyOf, ipAddress } from "./ip.ts";
import { present } from "./links.ts";
import {
  bpfEncap,
  type BpfEncap,
  decodeSegmentProgram,
  encodeSegmentProgram,
  lwtTypes,
  type SegmentProgram,
} from "./lwt.ts";
import { decodeBody, flags } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

export const routeMessages = { new: 24, delete: 25, get: 26 } as const;

/** RT_TABLE_*. */
export const tables = { default: 253, main: 254, local: 255 } as const;
/** RTPROT_*: who made the route. */
export const routeProtocols = { redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9 } as const;
/** RTN_*. */
export const routeTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
export type RouteType = keyof typeof routeTypes;

const onLink = 4;

const metrics = attributes({
  mtu: [2, u32],
  window: [3, u32],
  advertisedMss: [8, u32],
  hopLimit: [10, u32],
  initialWindow: [11, u32],
  features: [12, u32],
});

const nexthopHeader = struct({ length: "u16", flags: "u8", weight: "u8", index: "u32" });
const nexthopAttributes = attributes({ gateway: [5, ipAddress], encapType: [21, u16], encap: [22, bytes] });

export interface Nexthop {
  readonly interface: number;
  readonly gateway?: Address;
  /** From 1. */
  readonly weight?: number;
  readonly onLink?: boolean;
}

/** struct rtnexthop, each followed by its own attributes and counted by its own length. */
const multipath: Codec<readonly Nexthop[]> = {
  encode: (hops) =>
    concat(
      hops.map((hop) => {
        const body = nexthopAttributes.encode({ gateway: hop.gateway });
        const head = nexthopHeader.encode({
          length: nexthopHeader.size + body.length,
          flags: hop.onLink ? onLink : 0,
          weight: (hop.weight ?? 1) - 1,
          index: hop.interface,
        });
        return concat([head, body]);
      }),
    ),
  decode(list) {
    const hops: Nexthop[] = [];
    for (let at = 0; at + nexthopHeader.size <= list.length;) {
      const head = nexthopHeader.decode(list.subarray(at));
      const body = nexthopAttributes.decode(list.subarray(at + nexthopHeader.size, at + head.length));
      hops.push(
        present<Nexthop>({ interface: head.index, gateway: body.gateway, weight: head.weight + 1, onLink: undefined }),
      );
      at += Math.max(head.length, nexthopHeader.size);
    }
    return hops;
  },
};

export const routeLayout = {
  subject: "route",
  header: struct({
    family: "u8",
    destinationLength: "u8",
    sourceLength: "u8",
    tos: "u8",
    table: "u8",
    protocol: "u8",
    scope: "u8",
    type: "u8",
    flags: "u32",
  }),
  attributes: attributes({
    destination: [1, ipAddress],
    source: [2, ipAddress],
    inputInterface: [3, u32],
    outputInterface: [4, u32],
    gateway: [5, ipAddress],
    priority: [6, u32],
    preferredSource: [7, ipAddress],
    metrics: [8, metrics],
    multipath: [9, multipath],
    table: [15, u32],
    mark: [16, u32],
    /** A gateway of another family: u16 family, address. */
    via: [18, bytes],
    preference: [20, u8],
    encapType: [21, u16],
    encap: [22, { ...bytes, nested: true }],
    nexthopId: [30, u32],
  }),
};

export interface RouteInfo {
  readonly destination: Prefix;
  /** 0 where the route has no single interface (blackhole, multipath). */
  readonly interface: number;
  readonly gateway?: Address;
  readonly source?: Address;
  readonly table: number;
  readonly type: RouteType | number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** RTPROT_*. */
  readonly protocol: number;
  readonly metric?: number;
  readonly mtu?: number;
  readonly onLink: boolean;
  readonly nexthops?: readonly Nexthop[];
  readonly encap?: BpfEncap;
  /** Runs on IPv6 segment routing packets for this destination (action End.BPF). */
  readonly segment?: SegmentProgram;
}

export interface RouteSpec {
  readonly destination: Prefix;
  readonly interface?: number;
  readonly gateway?: Address;
  readonly source?: Address;
  /** Default main; local for type `local`. */
  readonly table?: number;
  readonly type?: RouteType;
  /** Default: link without a gateway, host for type `local`, else universe. IPv6 knows no scopes. */
  readonly scope?: number;
  /** Default static. */
  readonly protocol?: number;
  readonly metric?: number;
  readonly mtu?: number;
  readonly onLink?: boolean;
  readonly nexthops?: readonly Nexthop[];
  /** BPF programs on the route. */
  readonly encap?: BpfEncap;
  /** Runs on IPv6 segment routing packets for this destination (action End.BPF). */
  readonly segment?: SegmentProgram;
}

const typeNames = new Map(Object.entries(routeTypes).map(([name, number]) => [number as number, name as RouteType]));

function viaAddress(via: Uint8Array | undefined): Address | undefined {
  return via && ipAddress.decode(via.subarray(2));
}

export function decodeRoute(payload: Uint8Array): RouteInfo {
  const { header, attributes: found } = decodeBody(routeLayout, payload);
  const address = found.destination ?? anyPrefix(header.family).address;
  return present<RouteInfo>({
    destination: { address, length: header.destinationLength },
    interface: found.outputInterface ?? 0,
    gateway: found.gateway ?? viaAddress(found.via),
    source: found.preferredSource,
    table: found.table ?? header.table,
    type: typeNames.get(header.type) ?? header.type,
    scope: header.scope,
    protocol: header.protocol,
    metric: found.priority,
    mtu: found.metrics?.mtu,
    onLink: (header.flags & onLink) !== 0,
    nexthops: found.multipath,
    encap: found.encapType === lwtTypes.bpf && found.encap ? bpfEncap.decode(found.encap) : undefined,
    segment: found.encapType === lwtTypes.seg6local && found.encap ? decodeSegmentProgram(found.encap) : undefined,
  });
}

/** All tables, or one. */
export function listRoutes(socket: NetlinkSocket, filter: { readonly table?: number } = {}): RouteInfo[] {
  return [families.inet, families.inet6].flatMap((family) => routesOf(socket, family, filter.table));
}

function routesOf(socket: NetlinkSocket, family: number, table: number | undefined): RouteInfo[] {
  const request = { type: routeMessages.get, layout: routeLayout, header: { family }, attributes: { table } };
  try {
    return socket.dump(request).map((message) => decodeRoute(message.payload));
  } catch (error) {
    // Tables come with their first route: "FIB table does not exist".
    if (table !== undefined && isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function defaultScope(spec: RouteSpec): number {
  if (spec.type === "local") return scopes.host;
  const isDirect = !spec.gateway && !spec.nexthops && (spec.type ?? "unicast") === "unicast";
  return isDirect && spec.destination.address.family === 4 ? scopes.link : scopes.universe;
}

/** RTA_GATEWAY for the route's own family, RTA_VIA for the other. */
function gatewayOf(spec: RouteSpec): { gateway?: Address; via?: Uint8Array } {
  const { gateway } = spec;
  if (!gateway) return {};
  if (gateway.family === spec.destination.address.family) return { gateway };
  return { via: concat([Uint8Array.of(familyOf(gateway), 0), gateway.bytes]) };
}

function bodyOf(spec: RouteSpec) {
  const { destination, type = "unicast" } = spec;
  const table = spec.table ?? (type === "local" ? tables.local : tables.main);
  return {
    layout: routeLayout,
    header: {
      family: familyOf(destination.address),
      destinationLength: destination.length,
      table: table < 256 ? table : 0,
      protocol: spec.protocol ?? routeProtocols.static,
      scope: spec.scope ?? defaultScope(spec),
      type: routeTypes[type],
      flags: spec.onLink ? onLink : 0,
    },
    attributes: {
      destination: destination.length > 0 ? destination.address : undefined,
      outputInterface: spec.interface,
      ...gatewayOf(spec),
      preferredSource: spec.source,
      priority: spec.metric,
      metrics: spec.mtu === undefined ? undefined : { mtu: spec.mtu },
      multipath: spec.nexthops,
      table,
      encapType: spec.segment ? lwtTypes.seg6local : spec.encap && lwtTypes.bpf,
      encap: spec.segment ? encodeSegmentProgram(spec.segment) : spec.encap && bpfEncap.encode(spec.encap),
    },
  };
}

/** EEXIST where the same route is there, unless `replace`. */
export function addRoute(socket: NetlinkSocket, spec: RouteSpec, options: { readonly replace?: boolean } = {}): void {
  const how = options.replace ? flags.replace : flags.exclusive;
  socket.request({ type: routeMessages.new, flags: flags.create | how, ...bodyOf(spec) });
}

/** False where there is no such route. What the spec leaves out is not compared. */
export function deleteRoute(socket: NetlinkSocket, spec: RouteSpec): boolean {
  const body = bodyOf(spec);
  const header = {
    ...body.header,
    scope: spec.scope ?? scopes.nowhere,
    protocol: spec.protocol ?? 0,
    type: spec.type ? routeTypes[spec.type] : 0,
  };
  try {
    socket.request({ type: routeMessages.delete, ...body, header });
    return true;
  } catch (error) {
    if (isErrno(error, "ESRCH", "ENOENT")) return false;
    throw error;
  }
}

/** Which route a packet to `address` would take (a FIB lookup). Throws ENETUNREACH where there is none. */
export function lookupRoute(
  socket: NetlinkSocket,
  address: Address,
  options: { readonly mark?: number; readonly inputInterface?: number; readonly source?: Address } = {},
): RouteInfo {
  const full = address.family === 4 ? 32 : 128;
  const { mark, inputInterface, source } = options;
  const answer = socket.get({
    type: routeMessages.get,
    layout: routeLayout,
    header: { family: familyOf(address), destinationLength: full, sourceLength: source ? full : 0 },
    attributes: { destination: address, mark, inputInterface, source },
  });
  return decodeRoute(answer.payload);
}
