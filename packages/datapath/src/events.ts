import { decodeAddress } from "./encode.ts";
import type { DatapathEvent } from "./datapath.ts";
import { Event } from "./bpf/maps.bpf.ts";

const REPLY = 1;
const FROM_HOST = 2;

/** One record of the ring. The bytes are copied: the record may go away after the call. */
export function decodeEvent(record: Uint8Array): DatapathEvent {
  const raw = Event.decode(record);
  return {
    time: raw.time,
    type: raw.type,
    reason: raw.reason,
    direction: raw.direction === 1 ? "ingress" : "egress",
    reply: (raw.flags & REPLY) !== 0,
    fromHost: (raw.flags & FROM_HOST) !== 0,
    sourceIdentity: raw.sourceIdentity,
    destinationIdentity: raw.destinationIdentity,
    endpoint: raw.endpoint,
    sourceEndpoint: raw.sourceEndpoint,
    destinationEndpoint: raw.destinationEndpoint,
    interfaceIndex: raw.ifindex,
    length: raw.length,
    source: decodeAddress(raw.source),
    destination: decodeAddress(raw.destination),
    sourcePort: raw.sourcePort,
    destinationPort: raw.destinationPort,
    protocol: raw.protocol,
    tcpFlags: raw.tcpFlags,
    icmpType: raw.icmpType,
    icmpCode: raw.icmpCode,
    cookie: raw.cookie,
    egressCookie: raw.egressCookie,
    ethertype: raw.ethertype,
    sourceMac: Uint8Array.from(Array.from(raw.sourceMac.bytes)),
    destinationMac: Uint8Array.from(Array.from(raw.destinationMac.bytes)),
  };
}
