import { checksum, pseudoHeaderSum } from "../checksum.ts";
import { crc32c } from "../hash.ts";
import { ipProtocols } from "../port.ts";
import { finalDestination } from "./build.ts";
import type { Layer, LayerKind, LayerOf } from "./layers.ts";
import type { ParsedPacket } from "./parse.ts";

/** The outermost layer of that kind, or the innermost; null if there is none. */
export function findLayer<K extends LayerKind>(
  packet: ParsedPacket,
  kind: K,
  which: "outermost" | "innermost" = "outermost",
): LayerOf<K> | null {
  const is = (layer: Layer): layer is LayerOf<K> => layer.kind === kind;
  return (which === "outermost" ? packet.layers.find(is) : packet.layers.findLast(is)) ?? null;
}

/** What a layer's checksum is worth. */
export interface ChecksumState {
  /** Index of the layer. */
  readonly layer: number;
  /** `absent`: the sender computed none. `unknown`: not all of the data is here (a fragment, a cut packet). */
  readonly state: "right" | "wrong" | "absent" | "unknown";
}

/** Checks every layer that has a checksum. */
export function verifyChecksums(packet: ParsedPacket): ChecksumState[] {
  const states: ChecksumState[] = [];
  for (const [index, layer] of packet.layers.entries()) {
    const state = checkLayer(packet, index, layer);
    if (state !== null) states.push({ layer: index, state });
  }
  return states;
}

function checkLayer(packet: ParsedPacket, index: number, layer: Layer): ChecksumState["state"] | null {
  const span = packet.spans[index];
  if (span === undefined) return null;
  const right = (sum: number): "right" | "wrong" => (sum === 0 ? "right" : "wrong");
  const whole = packet.bytes.subarray(span.offset, span.end);
  switch (layer.kind) {
    case "ipv4":
      return right(checksum(packet.bytes.subarray(span.offset, span.offset + span.length)));
    case "gre":
      if (layer.checksum === null) return "absent";
      return isPartial(packet, index) ? "unknown" : right(checksum(whole));
    case "icmp":
      return isPartial(packet, index) ? "unknown" : right(checksum(whole));
    case "sctp": {
      if (isPartial(packet, index)) return "unknown";
      const copy = whole.slice();
      copy.fill(0, 8, 12);
      return crc32c(copy) === layer.checksum ? "right" : "wrong";
    }
    case "udp":
      return layer.checksum === 0 ? "absent" : checkSegment(packet, index, ipProtocols.udp, whole);
    case "tcp":
      return checkSegment(packet, index, ipProtocols.tcp, whole);
    case "icmpv6":
      return checkSegment(packet, index, ipProtocols.icmpv6, whole);
    default:
      return null;
  }
}

function checkSegment(
  packet: ParsedPacket,
  index: number,
  protocol: number,
  segment: Uint8Array,
): ChecksumState["state"] {
  const addresses = addressesOutside(packet, index);
  if (addresses === null || isPartial(packet, index)) return "unknown";
  return checksum(segment, pseudoHeaderSum(addresses, protocol, segment.length)) === 0 ? "right" : "wrong";
}

function addressesOutside(packet: ParsedPacket, index: number): Parameters<typeof pseudoHeaderSum>[0] | null {
  let destination = null;
  for (const layer of packet.layers.slice(0, index).reverse()) {
    if (layer.kind === "ipv6-routing") destination = finalDestination(layer) ?? destination;
    if (layer.kind === "ipv4" || layer.kind === "ipv6") {
      return { source: layer.source, destination: destination ?? layer.destination };
    }
  }
  return null;
}

/** Whether the layer is in a fragment, or in a packet that ends before its length. */
function isPartial(packet: ParsedPacket, index: number): boolean {
  return packet.layers.slice(0, index + 1).some((layer, i) => {
    const span = packet.spans[i];
    if (span === undefined) return false;
    const there = span.end - span.offset;
    switch (layer.kind) {
      case "ipv4":
        return layer.moreFragments || layer.fragmentOffset > 0 || layer.totalLength > there;
      case "ipv6":
        return layer.payloadLength + 40 > there;
      case "ipv6-fragment":
        return layer.moreFragments || layer.fragmentOffset > 0;
      case "udp":
        return layer.length > there;
      default:
        return false;
    }
  });
}
