type Types = Readonly<Record<number, string | readonly [name: string, codes: readonly string[]]>>;

// Names of gopacket's layers, which Hubble prints.
const v4: Types = {
  0: "EchoReply",
  3: [
    "DestinationUnreachable",
    [
      "Net",
      "Host",
      "Protocol",
      "Port",
      "FragmentationNeeded",
      "SourceRoutingFailed",
      "NetUnknown",
      "HostUnknown",
      "SourceIsolated",
      "NetAdminProhibited",
      "HostAdminProhibited",
      "NetTOS",
      "HostTOS",
      "CommAdminProhibited",
      "HostPrecedence",
      "PrecedenceCutoff",
    ],
  ],
  4: "SourceQuench",
  5: ["Redirect", ["Net", "Host", "TOS+Net", "TOS+Host"]],
  8: "EchoRequest",
  9: "RouterAdvertisement",
  10: "RouterSolicitation",
  11: ["TimeExceeded", ["TTLExceeded", "FragmentReassemblyTimeExceeded"]],
  12: ["ParameterProblem", ["PointerIndicatesError", "MissingOption", "BadLength"]],
  13: "TimestampRequest",
  14: "TimestampReply",
  15: "InfoRequest",
  16: "InfoReply",
  17: "AddressMaskRequest",
  18: "AddressMaskReply",
};

const v6: Types = {
  1: [
    "DestinationUnreachable",
    [
      "NoRouteToDst",
      "AdminProhibited",
      "BeyondScopeOfSrc",
      "Address",
      "Port",
      "SrcAddressFailedPolicy",
      "RejectRouteToDst",
    ],
  ],
  2: "PacketTooBig",
  3: ["TimeExceeded", ["HopLimitExceeded", "FragmentReassemblyTimeExceeded"]],
  4: ["ParameterProblem", ["ErroneousHeader", "UnrecognizedNextHeader", "UnrecognizedIPv6Option"]],
  128: "EchoRequest",
  129: "EchoReply",
  133: "RouterSolicitation",
  134: "RouterAdvertisement",
  135: "NeighborSolicitation",
  136: "NeighborAdvertisement",
  137: "Redirect",
};

export interface IcmpMessage {
  readonly family: 4 | 6;
  readonly type: number;
  readonly code: number;
}

/** `EchoRequest`, `DestinationUnreachable(Port)`; numbers where there is no name. */
export function icmpName({ family, type, code }: IcmpMessage): string {
  const known = (family === 4 ? v4 : v6)[type];
  if (known === undefined) return `${type}(${code})`;
  if (typeof known === "string") return known;
  const [name, codes] = known;
  return `${name}(${codes[code] ?? `Code: ${code}`})`;
}
