/**
 * @module
 * VXLAN (RFC 7348) and Geneve (RFC 8926) with `collect_md`: devices whose packets say themselves which tunnel they take
 * (drivers/net/vxlan/vxlan_core.c, drivers/net/geneve.c).
 */
import { addressOf } from "@skep/net";
import type { TunnelKey } from "@skep/vm";
import type { Device } from "./device.ts";
import { packetOf, type Packet } from "./packet.ts";

const HEADER = 8;
/** The flag "I": the identifier is valid. */
const WITH_ID = 0x08;
/** Of Geneve: an Ethernet frame is inside; its length of options stands in the first byte, in words. */
const BRIDGING = 0x6558;
const OPTION_WORDS = 0x3f;
/** Of Geneve's second byte: options are critical. This end knows none. */
const CRITICAL = 0x40;
/** Sent where a program set no TTL. */
const DEFAULT_TTL = 64;
/** net.ipv4.ip_local_port_range: source ports say which flow it is (udp_flow_src_port). */
const [FIRST_PORT, PORTS] = [32_768, 28_232];

/** Sends the frame in a datagram to the other end. False where it names none, or there is no way to it. */
export function encapsulate(device: Device, packet: Packet): boolean {
  const { tunnel, frame } = packet;
  if (!tunnel || !device.tunnelPort) return false;
  const bytes = new Uint8Array(HEADER + frame.length);
  const view = new DataView(bytes.buffer);
  if (device.kind === "geneve") view.setUint16(2, BRIDGING);
  else bytes[0] = WITH_ID;
  view.setUint32(4, (tunnel.id & 0xff_ffff) << 8);
  bytes.set(frame, HEADER);
  const failed = device.namespace.stack.send({
    ...(tunnel.local ? { source: addressOf(tunnel.local) } : {}),
    ...{ destination: addressOf(tunnel.remote), ttl: tunnel.ttl || DEFAULT_TTL, tos: tunnel.tos },
    layers: [
      { kind: "udp", sourcePort: FIRST_PORT + (flowOf(frame) % PORTS), destinationPort: device.tunnelPort },
      { kind: "payload", bytes },
    ],
    ...{ marks: packet.marks, hops: packet.hops + 1 },
  });
  return failed === null;
}

/** FNV-1a of the addresses and what follows them. */
function flowOf(frame: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (const byte of frame.subarray(14, 58)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash >>> 0;
}

/** Where the frame begins; null: this is no tunnel's datagram. */
function frameAt(kind: Device["kind"], data: Uint8Array): number | null {
  if (data.length < HEADER + 14) return null;
  const [first = 0, second = 0] = data;
  if (kind === "vxlan") return (first & WITH_ID) === 0 ? null : HEADER;
  const at = HEADER + (first & OPTION_WORDS) * 4;
  const isFrame = new DataView(data.buffer, data.byteOffset).getUint16(2) === BRIDGING;
  return first >>> 6 === 0 && isFrame && (second & CRITICAL) === 0 && data.length >= at + 14 ? at : null;
}

/** The frame in a datagram, with the tunnel that it came by; null where it is none. */
export function decapsulate(
  kind: Device["kind"],
  data: Uint8Array,
  outer: { readonly source: Uint8Array; readonly destination: Uint8Array; readonly tos: number; readonly ttl: number },
): Packet | null {
  const at = frameAt(kind, data);
  if (at === null) return null;
  const id = new DataView(data.buffer, data.byteOffset).getUint32(4) >>> 8;
  const tunnel: TunnelKey = { id, remote: outer.source, local: outer.destination, tos: outer.tos, ttl: outer.ttl };
  return { ...packetOf(data.slice(at)), tunnel };
}
