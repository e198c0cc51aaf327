/**
 * @module
 * Network interfaces: RTM_NEWLINK and its kin (include/uapi/linux/if_link.h).
 */
import type { Mac } from "@skep/net";
import { attributes, bytes, type Codec, i32, list, readAttributes, string, struct, u32, u8 } from "./codec.ts";
import { dataCodec, bridgePortData, type LinkData, netkitData } from "./link-kinds.ts";
import { decodeBody, encodeBody, flags } from "./message.ts";
import { isErrno } from "../sys/index.ts";
import { NetlinkError } from "./errors.ts";
import type { NetlinkSocket } from "./socket.ts";

export const linkMessages = { new: 16, delete: 17, get: 18, set: 19 } as const;

/** IFF_* of a link's flags. */
export const linkFlags = {
  up: 0x1,
  broadcast: 0x2,
  loopback: 0x8,
  running: 0x40,
  noArp: 0x80,
  promiscuous: 0x100,
} as const;

const linkHeader = struct({ family: "u8", _pad: "u8", type: "u16", index: "i32", flags: "u32", change: "u32" });

/** The data of a kind is a list of attributes whose meaning the kind beside it gives. */
const linkInfoList = attributes({
  kind: [1, string],
  data: [2, { ...bytes, nested: true }],
  slaveKind: [4, string],
  slaveData: [5, { ...bytes, nested: true }],
});

const linkInfo: typeof linkInfoList = {
  ...linkInfoList,
  pathAt(list, offset) {
    const path = linkInfoList.pathAt?.(list, offset) ?? "";
    const data = [...readAttributes(list)].find(({ type }) => type === 2);
    const { kind } = linkInfoList.decode(list);
    if (path !== "data" || !data || kind === undefined) return path;
    const inner = dataCodec(kind)?.pathAt?.(data.payload, offset - (data.offset + data.headerSize));
    return inner ? `data.${inner}` : path;
  },
};

const xdpInfo = attributes({
  fd: [1, i32],
  /** 0 none, 1 native, 2 generic, 3 offloaded, 4 several. */
  attached: [2, u8],
  /** XDP_FLAGS_*. */
  flags: [3, u32],
  programId: [4, u32],
  nativeId: [5, u32],
  genericId: [6, u32],
  offloadedId: [7, u32],
  /** With XDP_FLAGS_REPLACE: the program that must be there. */
  expectedFd: [8, i32],
});

export const linkAttributes = attributes({
  address: [1, bytes],
  broadcast: [2, bytes],
  name: [3, string],
  mtu: [4, u32],
  link: [5, u32],
  qdisc: [6, string],
  master: [10, u32],
  transmitQueueLength: [13, u32],
  operationalState: [16, u8],
  info: [18, linkInfo],
  alias: [20, string],
  group: [27, u32],
  /** A descriptor of the namespace to make the link in, or to move it to. */
  namespaceFd: [28, u32],
  extensionMask: [29, u32],
  promiscuity: [30, u32],
  transmitQueues: [31, u32],
  receiveQueues: [32, u32],
  carrier: [33, u8],
  linkNamespaceId: [37, i32],
  gsoMaxSegments: [40, u32],
  gsoMaxSize: [41, u32],
  xdp: [43, xdpInfo],
  minMtu: [50, u32],
  maxMtu: [51, u32],
  properties: [52, list(string, 53)],
  alternativeName: [53, string],
  groMaxSize: [58, u32],
  tsoMaxSize: [59, u32],
  gsoIpv4MaxSize: [63, u32],
  groIpv4MaxSize: [64, u32],
});
type LinkAttributes = typeof linkAttributes extends Codec<infer T> ? T : never;

export const linkLayout = { subject: "link", header: linkHeader, attributes: linkAttributes };

/** An interface as the kernel reports it. */
export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly alternativeNames: readonly string[];
  /** ARPHRD_*: 1 ether, 772 loopback, 65534 none. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  readonly up: boolean;
  readonly mac: Mac;
  readonly mtu: number;
  readonly kind?: string;
  /** Options of the kind, for the kinds of `link-kinds.ts`. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Options that the master keeps for this port, where the master is a bridge. */
  readonly port?: Readonly<Record<string, unknown>>;
  /** The lower device, or a veth's peer: in the namespace `linkNamespaceId` where that is given. */
  readonly link?: number;
  readonly linkNamespaceId?: number;
  readonly master?: number;
  readonly qdisc?: string;
  readonly alias?: string;
  /** IF_OPER_*: 6 is up. */
  readonly operationalState: number;
  readonly carrier: boolean;
  readonly transmitQueues: number;
  readonly receiveQueues: number;
  readonly gsoMaxSize?: number;
  readonly xdp?: { readonly mode: "native" | "generic" | "offloaded" | "several"; readonly programId: number };
}

const xdpModes = { 1: "native", 2: "generic", 3: "offloaded", 4: "several" } as const;

function xdpOf(xdp: LinkAttributes["xdp"]): LinkInfo["xdp"] {
  const mode = xdpModes[xdp?.attached as keyof typeof xdpModes];
  return mode && { mode, programId: xdp?.programId ?? 0 };
}

/** Leaves out what is undefined: the optional properties of results are absent, not undefined. */
export function present<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

export function decodeLink(payload: Uint8Array): LinkInfo {
  const { header, attributes: found } = decodeBody(linkLayout, payload);
  const kind = found.info?.kind;
  const data = found.info?.data;
  return present<LinkInfo>({
    index: header.index,
    name: found.name ?? "",
    alternativeNames: found.properties ?? [],
    type: header.type,
    flags: header.flags,
    up: (header.flags & linkFlags.up) !== 0,
    mac: found.address ?? new Uint8Array(6),
    mtu: found.mtu ?? 0,
    kind,
    data: kind && data ? (dataCodec(kind)?.decode(data) as LinkInfo["data"]) : undefined,
    port:
      found.info?.slaveKind === "bridge" && found.info.slaveData
        ? (bridgePortData.decode(found.info.slaveData) as LinkInfo["port"])
        : undefined,
    link: found.link,
    linkNamespaceId: found.linkNamespaceId,
    master: found.master,
    qdisc: found.qdisc,
    alias: found.alias,
    operationalState: found.operationalState ?? 0,
    carrier: found.carrier === 1,
    transmitQueues: found.transmitQueues ?? 1,
    receiveQueues: found.receiveQueues ?? 1,
    gsoMaxSize: found.gsoMaxSize,
    xdp: xdpOf(found.xdp),
  });
}

export function listLinks(socket: NetlinkSocket): LinkInfo[] {
  return socket.dump({ type: linkMessages.get, layout: linkLayout }).map((message) => decodeLink(message.payload));
}

/** IFNAMSIZ counts the terminating zero; longer names can only be alternative ones. */
const byName = (name: string): LinkAttributes => (name.length < 16 ? { name } : { alternativeName: name });

const naming = (which: number | string): { header: { index: number }; attributes: LinkAttributes } =>
  typeof which === "number"
    ? { header: { index: which }, attributes: {} }
    : { header: { index: 0 }, attributes: byName(which) };

/** By index, name or alternative name; null where there is none. */
export function findLink(socket: NetlinkSocket, which: number | string): LinkInfo | null {
  try {
    return decodeLink(socket.get({ type: linkMessages.get, layout: linkLayout, ...naming(which) }).payload);
  } catch (error) {
    if (isErrno(error, "ENODEV")) return null;
    throw error;
  }
}

// ---- making ----

/** What every new link may say. */
export interface LinkOptions {
  readonly mac?: Mac;
  readonly mtu?: number;
  readonly up?: boolean;
  readonly transmitQueues?: number;
  readonly receiveQueues?: number;
  readonly transmitQueueLength?: number;
  readonly group?: number;
  readonly alias?: string;
  /** A wanted index; EBUSY where it is taken. */
  readonly index?: number;
  /** Index of the bridge that it becomes a port of. */
  readonly master?: number;
  /** The lower device (macvlan, vlan). */
  readonly link?: number;
  /** An open descriptor of the namespace that it is made in. */
  readonly namespaceFd?: number;
}

/** A veth is made down: its ends can be set up only once both are there (veth_open answers ENOTCONN). */
export interface VethPeer extends Omit<LinkOptions, "up"> {
  readonly name: string;
}

export type LinkSpec = LinkOptions & { readonly name: string } & (
    | LinkData
    | { readonly kind: "veth"; readonly peer: VethPeer }
    | { readonly kind: "netkit-pair"; readonly peer: VethPeer; readonly pair: NetkitPair }
    | { readonly kind: "other"; readonly type: string }
  );

/** What becomes of packets that no program has judged: those of the primary end, and of its peer. */
export interface NetkitPair {
  readonly mode: "l2" | "l3";
  readonly policy: "pass" | "drop";
  readonly peerPolicy: "pass" | "drop";
}

/** enum netkit_mode and enum netkit_action (include/uapi/linux/if_link.h). */
const netkitModes = { l2: 0, l3: 1 } as const;
const netkitActions = { pass: 0, drop: 2 } as const;

/** VETH_INFO_PEER holds a whole link message without its netlink header. */
const vethData = attributes({ peer: [1, { ...bytes, nested: true }] });

function optionAttributes(options: LinkOptions): LinkAttributes {
  const { mac, mtu, transmitQueues, receiveQueues, transmitQueueLength, group, alias, master, link, namespaceFd } =
    options;
  return {
    address: mac,
    mtu,
    transmitQueues,
    receiveQueues,
    transmitQueueLength,
    group,
    alias,
    master,
    link,
    namespaceFd,
  };
}

function optionHeader(options: LinkOptions): { index: number; flags: number; change: number } {
  const change = options.up === undefined ? 0 : linkFlags.up;
  return { index: options.index ?? 0, flags: options.up ? linkFlags.up : 0, change };
}

function peerMessage(peer: VethPeer): Uint8Array {
  return encodeBody(linkLayout, optionHeader(peer), { ...optionAttributes(peer), name: peer.name });
}

function infoOf(spec: LinkSpec): { kind: string; data?: Uint8Array | undefined } {
  if (spec.kind === "veth") return { kind: "veth", data: vethData.encode({ peer: peerMessage(spec.peer) }) };
  if (spec.kind === "netkit-pair") {
    const { mode, policy, peerPolicy } = spec.pair;
    const data = netkitData.encode({
      peerInfo: peerMessage(spec.peer),
      ...{ policy: netkitActions[policy], peerPolicy: netkitActions[peerPolicy], mode: netkitModes[mode] },
    });
    return { kind: "netkit", data };
  }
  if (spec.kind === "other") return { kind: spec.type };
  return { kind: spec.kind, data: spec.data && dataCodec(spec.kind)?.encode(spec.data) };
}

/**
 * Makes a link. Fails with EEXIST where the name is taken; with `UnknownLinkTypeError` where the kernel lacks the kind.
 */
export function createLink(socket: NetlinkSocket, spec: LinkSpec): void {
  const info = infoOf(spec);
  const attributes = { ...optionAttributes(spec), name: spec.name, info };
  try {
    socket.request({
      type: linkMessages.new,
      flags: flags.create | flags.exclusive,
      layout: linkLayout,
      header: optionHeader(spec),
      attributes,
    });
  } catch (error) {
    // rtnl_newlink answers EOPNOTSUPP with these words when nothing has registered the kind.
    if (error instanceof NetlinkError && error.code === "EOPNOTSUPP" && error.kernelMessage === "Unknown device type")
      throw new UnknownLinkTypeError(info.kind, error);
    throw error;
  }
}

/** This kernel has no such kind of link. */
export class UnknownLinkTypeError extends Error {
  override readonly name = "UnknownLinkTypeError";
  readonly kind: string;
  constructor(kind: string, cause: NetlinkError) {
    super(`this kernel has no links of type ${kind}`, { cause });
    this.kind = kind;
  }
}

/** False where there is no such link. */
export function deleteLink(socket: NetlinkSocket, which: number | string): boolean {
  try {
    socket.request({ type: linkMessages.delete, layout: linkLayout, ...naming(which) });
    return true;
  } catch (error) {
    if (isErrno(error, "ENODEV")) return false;
    throw error;
  }
}

export interface LinkChange extends Omit<LinkOptions, "index" | "master"> {
  readonly name?: string;
  /** Index of a bridge, or null to leave the one that it is in. */
  readonly master?: number | null;
  readonly promiscuous?: boolean;
  readonly gsoMaxSize?: number;
  readonly groMaxSize?: number;
  readonly gsoIpv4MaxSize?: number;
  readonly groIpv4MaxSize?: number;
}

function changeHeader(index: number, change: LinkChange): { index: number; flags: number; change: number } {
  const { up, promiscuous } = change;
  const bits = (up === undefined ? 0 : linkFlags.up) | (promiscuous === undefined ? 0 : linkFlags.promiscuous);
  return { index, flags: (up ? linkFlags.up : 0) | (promiscuous ? linkFlags.promiscuous : 0), change: bits };
}

/** Changes what is given and leaves the rest. ENODEV where there is no such link. */
export function changeLink(socket: NetlinkSocket, index: number, change: LinkChange): void {
  const { master, name, gsoMaxSize, groMaxSize, gsoIpv4MaxSize, groIpv4MaxSize, ...options } = change;
  const attributes = {
    ...optionAttributes(options),
    name,
    gsoMaxSize,
    groMaxSize,
    gsoIpv4MaxSize,
    groIpv4MaxSize,
    master: master === null ? 0 : master,
  };
  socket.request({ type: linkMessages.new, layout: linkLayout, header: changeHeader(index, change), attributes });
}

/** Options of a bridge's port, such as `isolated` and `hairpin`. */
export function changeBridgePort(socket: NetlinkSocket, index: number, port: BridgePort): void {
  const info = { slaveKind: "bridge", slaveData: bridgePortData.encode(port) };
  socket.request({ type: linkMessages.new, layout: linkLayout, header: { index }, attributes: { info } });
}
export type BridgePort = typeof bridgePortData extends Codec<infer T> ? T : never;

/** XDP_FLAGS_*. */
export const xdpFlags = { updateIfNoExist: 1, generic: 2, native: 4, offload: 8, replace: 16 } as const;

/**
 * Puts an XDP program on a link by its descriptor, without a bpf link: it stays when the caller ends. `fd` -1 takes it away.
 * With `expectedFd` only where that program is there (EEXIST otherwise).
 */
export function setXdp(
  socket: NetlinkSocket,
  index: number,
  program: { readonly fd: number; readonly flags?: number; readonly expectedFd?: number },
): void {
  const { fd, flags: given = 0, expectedFd } = program;
  const bits = expectedFd === undefined ? given : given | xdpFlags.replace;
  const attributes = { xdp: { fd, flags: bits, expectedFd } };
  socket.request({ type: linkMessages.set, layout: linkLayout, header: { index }, attributes });
}
