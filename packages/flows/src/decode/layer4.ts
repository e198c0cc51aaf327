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

/** All combinations, made once. */
const flagTexts = Array.from({ length: 256 }, (_, flags) =>
  tcpFlags
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
    .join(", "),
);

const has = (flags: number, bit: number): boolean => (flags & bit) !== 0;

function flagsOf(flags: number): flow.TCPFlags {
  return {
    $typeName: "flow.TCPFlags",
    FIN: has(flags, 0x01),
    SYN: has(flags, 0x02),
    RST: has(flags, 0x04),
    PSH: has(flags, 0x08),
    ACK: has(flags, 0x10),
    URG: has(flags, 0x20),
    ECE: has(flags, 0x40),
    CWR: has(flags, 0x80),
    NS: false,
  };
}

type Transport = Pick<
  DatapathEvent,
  "protocol" | "sourcePort" | "destinationPort" | "tcpFlags" | "icmpType" | "icmpCode"
>;

/** The transport header; undefined for a protocol that Hubble has no message for. */
export function layer4Of(event: Transport): flow.Layer4 | undefined {
  const protocol = protocolOf(event);
  return protocol && { $typeName: "flow.Layer4", protocol };
}

function protocolOf(event: Transport): flow.Layer4["protocol"] | undefined {
  const { sourcePort, destinationPort, icmpType: type, icmpCode: code } = event;
  switch (event.protocol) {
    case protocols.tcp:
      return {
        case: "TCP",
        value: { $typeName: "flow.TCP", sourcePort, destinationPort, flags: flagsOf(event.tcpFlags) },
      };
    case protocols.udp:
      return { case: "UDP", value: { $typeName: "flow.UDP", sourcePort, destinationPort } };
    case protocols.sctp: {
      const chunkType = flow.SCTPChunkType.UNSUPPORTED;
      return { case: "SCTP", value: { $typeName: "flow.SCTP", sourcePort, destinationPort, chunkType } };
    }
    case protocols.icmp:
      return { case: "ICMPv4", value: { $typeName: "flow.ICMPv4", type, code } };
    case protocols.icmpv6:
      return { case: "ICMPv6", value: { $typeName: "flow.ICMPv6", type, code } };
    default:
      return undefined;
  }
}

/** The same header between other ports. */
export function withPorts(header: flow.Layer4, sourcePort: number, destinationPort: number): flow.Layer4 {
  const { protocol } = header;
  switch (protocol.case) {
    case "TCP": {
      const value: flow.TCP = { $typeName: "flow.TCP", sourcePort, destinationPort };
      if (protocol.value.flags) value.flags = protocol.value.flags;
      return { $typeName: "flow.Layer4", protocol: { case: "TCP", value } };
    }
    case "UDP": {
      const value: flow.UDP = { $typeName: "flow.UDP", sourcePort, destinationPort };
      return { $typeName: "flow.Layer4", protocol: { case: "UDP", value } };
    }
    case "SCTP": {
      const { chunkType } = protocol.value;
      const value: flow.SCTP = { $typeName: "flow.SCTP", sourcePort, destinationPort, chunkType };
      return { $typeName: "flow.Layer4", protocol: { case: "SCTP", value } };
    }
    default:
      return header;
  }
}

/** `TCP Flags: SYN, ACK`, `UDP`, `ICMPv4 EchoRequest`; "" for other protocols. */
export function summaryOf(event: Transport): string {
  const { icmpType: type, icmpCode: code } = event;
  switch (event.protocol) {
    case protocols.tcp:
      return `TCP Flags: ${flagTexts[event.tcpFlags & 0xff] ?? ""}`;
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
