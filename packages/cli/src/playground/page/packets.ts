/**
 * @module
 * Packets in one line each.
 */
import {
  type Address,
  findLayer,
  formatAddress,
  formatEndpoint,
  formatMac,
  formatTcpFlags,
  type ParsedPacket,
  parsePacket,
} from "@skep/net";

interface Ends {
  readonly source: Address;
  readonly destination: Address;
}

function ports(packet: ParsedPacket, ends: Ends): string | null {
  const layer = findLayer(packet, "tcp") ?? findLayer(packet, "udp");
  if (layer === null) return null;
  const source = formatEndpoint({ address: ends.source, port: layer.sourcePort });
  const destination = formatEndpoint({ address: ends.destination, port: layer.destinationPort });
  const note = layer.kind === "tcp" ? ` ${formatTcpFlags(layer.flags)}`.trimEnd() : "";
  return `${layer.kind.toUpperCase()} ${source} > ${destination}${note}`;
}

const echo: Readonly<Record<string, string>> = { 0: " echo reply", 8: " echo request", 3: " unreachable" };
const echo6: Readonly<Record<string, string>> = { 128: " echo request", 129: " echo reply", 1: " unreachable" };

function ofIp(packet: ParsedPacket, ends: Ends): string {
  const known = ports(packet, ends);
  if (known !== null) return known;
  const icmp = findLayer(packet, "icmp");
  const icmpv6 = findLayer(packet, "icmpv6");
  const name = icmp
    ? `ICMP${echo[icmp.type] ?? ` type ${icmp.type}`}`
    : icmpv6
      ? `ICMPv6${echo6[icmpv6.type] ?? ` type ${icmpv6.type}`}`
      : "IP";
  return `${name} ${formatAddress(ends.source)} > ${formatAddress(ends.destination)}`;
}

/** What an Ethernet frame is, from its outermost IP header on. */
export function summary(frame: Uint8Array): string {
  const packet = parsePacket(frame);
  const ip = findLayer(packet, "ipv4") ?? findLayer(packet, "ipv6");
  if (ip !== null) return ofIp(packet, ip);
  const arp = findLayer(packet, "arp");
  if (arp !== null) {
    const sender = formatAddress(arp.senderAddress);
    return arp.operation === 1
      ? `ARP who has ${formatAddress(arp.targetAddress)}? tell ${sender}`
      : `ARP ${sender} is at ${formatMac(arp.senderMac)}`;
  }
  const ethernet = findLayer(packet, "ethernet");
  return ethernet === null ? `${frame.length} bytes` : `type 0x${ethernet.etherType.toString(16).padStart(4, "0")}`;
}
