/**
 * @module
 * Neighbour entries and bridge forwarding entries: RTM_NEWNEIGH and its kin (include/uapi/linux/neighbour.h).
 */
import type { Address, Mac } from "@skep/net";
import { isErrno } from "../sys/index.ts";
import { attributes, be16, bytes, struct, u16, u32 } from "./codec.ts";
import { families, familyOf, ipAddress } from "./ip.ts";
import { present } from "./links.ts";
import { decodeBody, flags } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

export const neighbourMessages = { new: 28, delete: 29, get: 30 } as const;

/** NUD_*. */
export const neighbourStates = {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noArp: 0x40,
  permanent: 0x80,
} as const;
/** NTF_*. */
export const neighbourFlags = { use: 0x01, self: 0x02, master: 0x04, proxy: 0x08, router: 0x80 } as const;

export const neighbourLayout = {
  subject: "neighbour",
  header: struct({ family: "u8", _pad1: "u8", _pad2: "u16", index: "i32", state: "u16", flags: "u8", type: "u8" }),
  attributes: attributes({
    destination: [1, ipAddress],
    mac: [2, bytes],
    vlan: [5, u16],
    port: [6, be16],
    vni: [7, u32],
    interface: [8, u32],
    master: [9, u32],
  }),
};

export interface NeighbourInfo {
  readonly index: number;
  /** Absent in bridge entries without a tunnel end. */
  readonly address?: Address;
  readonly mac?: Mac;
  /** NUD_* bits. */
  readonly state: number;
  /** NTF_* bits. */
  readonly flags: number;
  readonly vni?: number;
  readonly port?: number;
  readonly master?: number;
}

export function decodeNeighbour(payload: Uint8Array): NeighbourInfo {
  const { header, attributes: found } = decodeBody(neighbourLayout, payload);
  return present<NeighbourInfo>({
    index: header.index,
    address: found.destination,
    mac: found.mac,
    state: header.state,
    flags: header.flags,
    vni: found.vni,
    port: found.port,
    master: found.master,
  });
}

export interface NeighbourSpec {
  readonly index: number;
  readonly address: Address;
  readonly mac: Mac;
  /** NUD_*; default permanent. */
  readonly state?: number;
}

/** Makes the entry, or replaces what is there for the address. */
export function setNeighbour(socket: NetlinkSocket, spec: NeighbourSpec): void {
  socket.request({
    type: neighbourMessages.new,
    flags: flags.create | flags.replace,
    layout: neighbourLayout,
    header: { family: familyOf(spec.address), index: spec.index, state: spec.state ?? neighbourStates.permanent },
    attributes: { destination: spec.address, mac: spec.mac },
  });
}

/** False where there is none. */
export function deleteNeighbour(socket: NetlinkSocket, index: number, address: Address): boolean {
  const header = { family: familyOf(address), index };
  const attributes = { destination: address };
  return removed(() => socket.request({ type: neighbourMessages.delete, layout: neighbourLayout, header, attributes }));
}

function removed(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

export function listNeighbours(socket: NetlinkSocket, filter: { readonly index?: number } = {}): NeighbourInfo[] {
  return [families.inet, families.inet6].flatMap((family) =>
    socket
      .dump({
        type: neighbourMessages.get,
        layout: neighbourLayout,
        header: { family },
        attributes: { interface: filter.index },
      })
      .map((message) => decodeNeighbour(message.payload)),
  );
}

/** A forwarding entry of a bridge's port or of a vxlan: frames to `mac` leave towards `address`. */
export interface ForwardingSpec {
  readonly index: number;
  readonly mac: Mac;
  /** Remote tunnel end, for vxlan. */
  readonly address?: Address;
  readonly vni?: number;
  readonly port?: number;
  /** In the bridge above the port instead of in the device itself. */
  readonly master?: boolean;
  /** Keeps other destinations of the MAC: how a vxlan learns several flood targets. */
  readonly append?: boolean;
}

function forwardingBody(spec: ForwardingSpec) {
  return {
    layout: neighbourLayout,
    header: {
      family: families.bridge,
      index: spec.index,
      state: neighbourStates.noArp | neighbourStates.permanent,
      flags: spec.master ? neighbourFlags.master : neighbourFlags.self,
    },
    attributes: { destination: spec.address, mac: spec.mac, vni: spec.vni, port: spec.port },
  };
}

export function addForwarding(socket: NetlinkSocket, spec: ForwardingSpec): void {
  const how = spec.append ? flags.append : flags.exclusive;
  socket.request({ type: neighbourMessages.new, flags: flags.create | how, ...forwardingBody(spec) });
}

/** False where there is none. */
export function deleteForwarding(socket: NetlinkSocket, spec: ForwardingSpec): boolean {
  return removed(() => socket.request({ type: neighbourMessages.delete, ...forwardingBody(spec) }));
}

/** Forwarding entries of one device, or of all. */
export function listForwarding(socket: NetlinkSocket, filter: { readonly index?: number } = {}): NeighbourInfo[] {
  return socket
    .dump({
      type: neighbourMessages.get,
      layout: neighbourLayout,
      header: { family: families.bridge, index: filter.index ?? 0 },
    })
    .map((message) => decodeNeighbour(message.payload));
}
