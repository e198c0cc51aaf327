/**
 * @module
 * Addresses of interfaces: RTM_NEWADDR and its kin (include/uapi/linux/if_addr.h).
 */
import type { Address, Prefix } from "@skep/net";
import { attributes, string, struct, u32 } from "./codec.ts";
import { isErrno } from "../sys/index.ts";
import { familyOf, ipAddress } from "./ip.ts";
import { present } from "./links.ts";
import { decodeBody, flags } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

export const addressMessages = { new: 20, delete: 21, get: 22 } as const;

/** IFA_F_*. */
export const addressFlags = {
  secondary: 0x01,
  noDad: 0x02,
  tentative: 0x40,
  permanent: 0x80,
  noPrefixRoute: 0x200,
} as const;

export const scopes = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

export const addressLayout = {
  subject: "address",
  header: struct({ family: "u8", length: "u8", flags: "u8", scope: "u8", index: "u32" }),
  attributes: attributes({
    /** The other end's, on a point-to-point link; else the same as `local`. */
    address: [1, ipAddress],
    local: [2, ipAddress],
    label: [3, string],
    broadcast: [4, ipAddress],
    flags: [8, u32],
    metric: [9, u32],
  }),
};

export interface AddressInfo {
  /** Interface. */
  readonly index: number;
  readonly prefix: Prefix;
  readonly peer?: Address;
  readonly broadcast?: Address;
  readonly label?: string;
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

export interface AddressSpec {
  readonly index: number;
  readonly prefix: Prefix;
  readonly peer?: Address;
  readonly broadcast?: Address;
  readonly label?: string;
  readonly scope?: number;
  /** IFA_F_*. For IPv6 duplicate address detection is skipped unless this says otherwise: the address works at once. */
  readonly flags?: number;
}

export function decodeAddress(payload: Uint8Array): AddressInfo {
  const { header, attributes: found } = decodeBody(addressLayout, payload);
  const address = found.local ?? found.address;
  const isPeer = found.local && found.address && !sameBytes(found.local.bytes, found.address.bytes);
  return present<AddressInfo>({
    index: header.index,
    prefix: { address: address ?? { family: 4, bytes: new Uint8Array(4) }, length: header.length },
    peer: isPeer ? found.address : undefined,
    broadcast: found.broadcast,
    label: found.label,
    scope: header.scope,
    flags: found.flags ?? header.flags,
  });
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

export function listAddresses(socket: NetlinkSocket): AddressInfo[] {
  return socket
    .dump({ type: addressMessages.get, layout: addressLayout })
    .map((message) => decodeAddress(message.payload));
}

function bodyOf(spec: AddressSpec) {
  const { address } = spec.prefix;
  const bits = spec.flags ?? (address.family === 6 ? addressFlags.noDad : 0);
  return {
    layout: addressLayout,
    header: { family: familyOf(address), length: spec.prefix.length, scope: spec.scope ?? 0, index: spec.index },
    attributes: {
      address: spec.peer ?? address,
      local: address,
      label: spec.label,
      broadcast: spec.broadcast,
      flags: bits === 0 ? undefined : bits,
    },
  };
}

/** EEXIST where the interface has the address. */
export function addAddress(socket: NetlinkSocket, spec: AddressSpec): void {
  socket.request({ type: addressMessages.new, flags: flags.create | flags.exclusive, ...bodyOf(spec) });
}

/** False where the interface does not have the address. */
export function deleteAddress(socket: NetlinkSocket, spec: AddressSpec): boolean {
  try {
    socket.request({ type: addressMessages.delete, ...bodyOf({ ...spec, flags: 0 }) });
    return true;
  } catch (error) {
    if (isErrno(error, "EADDRNOTAVAIL")) return false;
    throw error;
  }
}
