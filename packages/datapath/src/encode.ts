/**
 * @module
 * Rows of control as keys and values of the maps in `bpf/maps.bpf.ts`.
 */
import { type Address, mappedBytes, fromMappedBytes, type Prefix } from "@skep/net";
import type { PolicyMapEntry } from "@skep/policy";
import * as maps from "./bpf/maps.bpf.ts";
import type { DatapathEndpoint } from "./datapath.ts";

const DIRECTION = { ingress: 1, egress: 2 } as const;
const DENY = 1;
const AUDIT = 2;
/** Bits of a policy key before the protocol: direction and identity. */
const IDENTITY_BITS = 40;

export function encodeAddress(address: Address): { w0: number; w1: number; w2: number; w3: number } {
  const bytes = mappedBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return { w0: view.getUint32(0), w1: view.getUint32(4), w2: view.getUint32(8), w3: view.getUint32(12) };
}

export function decodeAddress(words: { w0: number; w1: number; w2: number; w3: number }): Address {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, words.w0);
  view.setUint32(4, words.w1);
  view.setUint32(8, words.w2);
  view.setUint32(12, words.w3);
  return fromMappedBytes(bytes);
}

/** Little-endian: a plain `u32` key as the kernel has it on the supported machines. */
export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function decodeU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** `generation`: of the policy in force. */
export function encodeEndpoint(endpoint: DatapathEndpoint, generation: number): Uint8Array {
  return maps.Endpoint.encode({
    address: encodeAddress(endpoint.address),
    address6: endpoint.address6 ? encodeAddress(endpoint.address6) : { w0: 0, w1: 0, w2: 0, w3: 0 },
    id: endpoint.id,
    identity: endpoint.identity,
    ifindex: endpoint.interfaceIndex,
    flags: (endpoint.bandwidth?.egress ? 1 : 0) | (endpoint.bandwidth?.ingress ? 2 : 0),
    mac: { bytes: [...endpoint.mac] },
    hostMac: { bytes: [...endpoint.hostMac] },
    generation,
  });
}

export function encodeIpcacheKey(prefix: Prefix): Uint8Array {
  const prefixLength = prefix.address.family === 4 ? prefix.length + 96 : prefix.length;
  return maps.IpcacheKey.encode({ prefixLength, address: encodeAddress(prefix.address) });
}

/** Bits of the key that count: an unnamed protocol or port makes a shorter prefix. */
export function policyPrefixLength(entry: PolicyMapEntry): number {
  if (entry.portPrefix > 0) return IDENTITY_BITS + 8 + entry.portPrefix;
  return entry.protocol !== 0 ? IDENTITY_BITS + 8 : IDENTITY_BITS;
}

export function encodePolicyEntry(entry: PolicyMapEntry): [key: Uint8Array, value: Uint8Array] {
  const prefixLength = policyPrefixLength(entry);
  const key = maps.PolicyKey.encode({
    prefixLength,
    direction: DIRECTION[entry.direction],
    identity0: (entry.identity >>> 24) & 0xff,
    identity1: (entry.identity >>> 16) & 0xff,
    identity2: (entry.identity >>> 8) & 0xff,
    identity3: entry.identity & 0xff,
    protocol: entry.protocol,
    port: entry.portPrefix > 0 ? entry.port : 0,
  });
  const value = maps.PolicyEntry.encode({
    precedence: entry.precedence,
    cookie: entry.cookie,
    flags: entry.deny ? DENY : entry.audit ? AUDIT : 0,
    prefixLength,
    proxyPort: entry.proxyPort,
  });
  return [key, value];
}

/** What {@link encodePolicyEntry} has written. */
export function decodePolicyEntry(key: Uint8Array, value: Uint8Array): PolicyMapEntry {
  const { direction, protocol, port, prefixLength, ...named } = maps.PolicyKey.decode(key);
  const { precedence, cookie, flags, proxyPort } = maps.PolicyEntry.decode(value);
  const { identity0, identity1, identity2, identity3 } = named;
  return {
    direction: direction === DIRECTION.ingress ? "ingress" : "egress",
    identity: ((identity0 << 24) | (identity1 << 16) | (identity2 << 8) | identity3) >>> 0,
    ...{ protocol, port, portPrefix: Math.max(0, prefixLength - IDENTITY_BITS - 8) },
    ...{ precedence, cookie, proxyPort, deny: (flags & DENY) !== 0 },
    ...((flags & AUDIT) === 0 ? {} : { audit: true }),
  };
}

/** Bytes as a key of a JavaScript map. */
export function keyText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
