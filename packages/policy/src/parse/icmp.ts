import { ipProtocols } from "@skep/net";
import type { PortMatch, PortRule } from "../rule.ts";
import type { Field, Reader } from "../source/reader.ts";
import { describeNode } from "../source/node.ts";
import { hintFor } from "../source/reader.ts";

const MAX_FIELDS = 40;

/** Names of the types that Cilium knows (pkg/policy/api/icmp.go), by family. */
export const icmpTypes = {
  IPv4: {
    EchoReply: 0,
    DestinationUnreachable: 3,
    Redirect: 5,
    Echo: 8,
    EchoRequest: 8,
    RouterAdvertisement: 9,
    RouterSelection: 10,
    TimeExceeded: 11,
    ParameterProblem: 12,
    Timestamp: 13,
    TimestampReply: 14,
    Photuris: 40,
    ExtendedEchoRequest: 42,
    ExtendedEchoReply: 43,
  },
  IPv6: {
    DestinationUnreachable: 1,
    PacketTooBig: 2,
    TimeExceeded: 3,
    ParameterProblem: 4,
    EchoRequest: 128,
    EchoReply: 129,
    MulticastListenerQuery: 130,
    MulticastListenerReport: 131,
    MulticastListenerDone: 132,
    RouterSolicitation: 133,
    RouterAdvertisement: 134,
    NeighborSolicitation: 135,
    NeighborAdvertisement: 136,
    RedirectMessage: 137,
    RouterRenumbering: 138,
    ICMPNodeInformationQuery: 139,
    ICMPNodeInformationResponse: 140,
    InverseNeighborDiscoverySolicitation: 141,
    InverseNeighborDiscoveryAdvertisement: 142,
    HomeAgentAddressDiscoveryRequest: 144,
    HomeAgentAddressDiscoveryReply: 145,
    MobilePrefixSolicitation: 146,
    MobilePrefixAdvertisement: 147,
    DuplicateAddressRequestCodeSuffix: 157,
    DuplicateAddressConfirmationCodeSuffix: 158,
    ExtendedEchoRequest: 160,
    ExtendedEchoReply: 161,
  },
} as const;
type Family = keyof typeof icmpTypes;

/** One element of `icmps`. */
export function parseIcmps(reader: Reader, field: Field): PortRule | null {
  const fields = reader.fields(field, ["fields"]);
  if (fields === null) return null;
  const items = fields.list("fields") ?? [];
  if (items.length > MAX_FIELDS) reader.report("SKEP6020", field, `${items.length} types; at most ${MAX_FIELDS}`);
  return icmpRule(
    items.map((item) => parseIcmpField(reader, item)).filter((match) => match !== null),
    field,
  );
}

function icmpRule(ports: readonly PortMatch[], field: Field): PortRule {
  const none = { l7: null, serverNames: [], terminatingTls: null, originatingTls: null, listener: null };
  return { ports, ...none, span: field.node.span };
}

function parseIcmpField(reader: Reader, field: Field): PortMatch | null {
  const fields = reader.fields(field, ["family", "type"]);
  const typeField = fields?.require("type");
  if (!fields || !typeField) return null;
  const familyField = fields.get("family");
  const isEmpty = familyField?.node.kind === "scalar" && familyField.node.value === "";
  const families: readonly Family[] = ["IPv4", "IPv6"];
  const family = familyField === null || isEmpty ? "IPv4" : reader.oneOf(familyField, families, "SKEP6022");
  const type = family && parseIcmpType(reader, typeField, family);
  if (family === null || type === null) return null;
  return { protocol: family === "IPv4" ? ipProtocols.icmp : ipProtocols.icmpv6, port: type, last: type };
}

/** A number, a number in quotes, or a name. */
function parseIcmpType(reader: Reader, field: Field, family: Family): number | null {
  const { node } = field;
  const value = node.kind === "scalar" ? node.value : null;
  const names: Readonly<Record<string, number>> = icmpTypes[family];
  if (typeof value === "string" && Object.hasOwn(names, value)) return names[value] ?? null;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number)) {
    if (number >= 0 && number <= 255) return number;
    reader.report("SKEP6022", field, `an ICMP type is between 0 and 255, not ${number}`);
    return null;
  }
  const hint = typeof value === "string" ? hintFor(value, Object.keys(names)) : undefined;
  reader.report("SKEP6022", field, `${describeNode(node)} is no ICMP type of ${family}`, hint);
  return null;
}
