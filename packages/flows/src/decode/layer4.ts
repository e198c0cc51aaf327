import { create } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import type { DatapathEvent } from "@skep/datapath";
import { icmpName } from "../names/icmp.ts";

export const protocols = { icmp: 1, igmp: 2, tcp: 6, udp: 17, icmpv6: 58, vrrp: 112, sctp: 132 } as const;

// Bits of the header's flag byte (RFC 9293, RFC 3168), in the order in which Hubble prints them.
const tcpFlags = [
  ["SYN", 0x02],
  ["ACK", 0x10],
  ["RST", 0x04],
  ["FIN", 0x01],
  ["PSH", 0x08],
  ["URG", 0x20],
  ["ECE", 0x40],
  ["CWR", 0x80],
] as const;

function flagNames(flags: number): string[] {
  return tcpFlags.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
}

type Transport = Pick<
  DatapathEvent,
  "protocol" | "sourcePort" | "destinationPort" | "tcpFlags" | "icmpType" | "icmpCode"
>;

/** The transport header; undefined for a protocol that Hubble has no message for. */
export function layer4Of(event: Transport): flow.Layer4 | undefined {
  const { sourcePort, destinationPort, icmpType: type, icmpCode: code } = event;
  switch (event.protocol) {
    case protocols.tcp: {
      const flags = Object.fromEntries(flagNames(event.tcpFlags).map((name) => [name, true]));
      return create(flow.Layer4Schema, {
        protocol: { case: "TCP", value: create(flow.TCPSchema, { sourcePort, destinationPort, flags }) },
      });
    }
    case protocols.udp:
      return create(flow.Layer4Schema, { protocol: { case: "UDP", value: { sourcePort, destinationPort } } });
    case protocols.sctp:
      return create(flow.Layer4Schema, { protocol: { case: "SCTP", value: { sourcePort, destinationPort } } });
    case protocols.icmp:
      return create(flow.Layer4Schema, { protocol: { case: "ICMPv4", value: { type, code } } });
    case protocols.icmpv6:
      return create(flow.Layer4Schema, { protocol: { case: "ICMPv6", value: { type, code } } });
    default:
      return undefined;
  }
}

/** `TCP Flags: SYN, ACK`, `UDP`, `ICMPv4 EchoRequest`; "" for other protocols. */
export function summaryOf(event: Transport): string {
  const { icmpType: type, icmpCode: code } = event;
  switch (event.protocol) {
    case protocols.tcp:
      return `TCP Flags: ${flagNames(event.tcpFlags).join(", ")}`;
    case protocols.udp:
      return "UDP";
    case protocols.sctp:
      return "SCTP";
    case protocols.icmp:
      return `ICMPv4 ${icmpName({ family: 4, type, code })}`;
    case protocols.icmpv6:
      return `ICMPv6 ${icmpName({ family: 6, type, code })}`;
    default:
      return "";
  }
}
