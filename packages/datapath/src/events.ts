import type { Address } from "@skep/net";
import type { DatapathEvent } from "./datapath.ts";
import { Event } from "./bpf/maps.bpf.ts";

const REPLY = 1;
const FROM_HOST = 2;
const ESTABLISHED = 4;
const RELATED = 8;

/** Bytes of one record. */
export const EVENT_SIZE = Event.size;

/** One record of the ring. The bytes are copied: the record may go away after the call. */
export function decodeEvent(record: Uint8Array): DatapathEvent {
  if (record.length < EVENT_SIZE) throw new RangeError(`an event has ${EVENT_SIZE} bytes, not ${record.length}`);
  return decodeEventAt(new DataView(record.buffer, record.byteOffset, record.byteLength), 0);
}

/** Small arrays of their own memory are cheap; slices of a buffer are not. */
function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = view.getUint8(at + index);
  return bytes;
}

/** IPv4 comes mapped (`::ffff:a.b.c.d`). */
export function addressAt(view: DataView, at: number): Address {
  const isMapped = view.getUint32(at) === 0 && view.getUint32(at + 4) === 0 && view.getUint32(at + 8) === 0xffff;
  return isMapped ? { family: 4, bytes: bytesAt(view, at + 12, 4) } : { family: 6, bytes: bytesAt(view, at, 16) };
}

const macAt = (view: DataView, at: number): Uint8Array => bytesAt(view, at, 6);

/** The same from within a view. Offsets are those of `Event`, written out: this runs for each packet that is told of. */
export function decodeEventAt(view: DataView, at: number): DatapathEvent {
  const flags = view.getUint8(at + 11);
  return {
    time: view.getBigUint64(at, true),
    type: view.getUint8(at + 8),
    reason: view.getUint8(at + 9),
    direction: view.getUint8(at + 10) === 1 ? "ingress" : "egress",
    reply: (flags & REPLY) !== 0,
    fromHost: (flags & FROM_HOST) !== 0,
    established: (flags & ESTABLISHED) !== 0,
    related: (flags & RELATED) !== 0,
    sourceIdentity: view.getUint32(at + 12, true),
    destinationIdentity: view.getUint32(at + 16, true),
    endpoint: view.getUint32(at + 20, true),
    sourceEndpoint: view.getUint32(at + 24, true),
    destinationEndpoint: view.getUint32(at + 28, true),
    interfaceIndex: view.getUint32(at + 32, true),
    length: view.getUint32(at + 36, true),
    source: addressAt(view, at + 40),
    destination: addressAt(view, at + 56),
    sourcePort: view.getUint16(at + 72),
    destinationPort: view.getUint16(at + 74),
    protocol: view.getUint8(at + 76),
    tcpFlags: view.getUint8(at + 77),
    icmpType: view.getUint8(at + 78),
    icmpCode: view.getUint8(at + 79),
    cookie: view.getUint32(at + 80, true),
    egressCookie: view.getUint32(at + 84, true),
    ethertype: view.getUint16(at + 88),
    sourceMac: macAt(view, at + 90),
    destinationMac: macAt(view, at + 96),
  };
}
