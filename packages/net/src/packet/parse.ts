import type { Layer, LayerKind } from "./layers.ts";
import { etherTypes, tunnelPorts } from "./layers.ts";
import type { ParsedOptions } from "./options.ts";
import { parseGeneveOptions, parseIpv4Options, parseIpv6Options, parseSctpChunks, parseTcpOptions } from "./options.ts";
import { addressOf } from "../address.ts";
import { ipProtocols } from "../port.ts";

/** The first thing that is wrong with a packet. */
export interface PacketError {
  readonly layer: LayerKind;
  /** Where in the bytes: the end of what is there if it is too short, the field if it has an impossible value. */
  readonly offset: number;
  readonly reason: "truncated" | "malformed" | "unsupported";
  readonly message: string;
}

/** Where a layer stands in the bytes. */
export interface LayerSpan {
  readonly offset: number;
  /** Bytes of its header. */
  readonly length: number;
  /** Where its data ends; after `offset + length` come the layers inside. */
  readonly end: number;
}

/** A packet that was taken apart. */
export interface ParsedPacket {
  readonly bytes: Uint8Array;
  /** From the outermost. What no layer claims is a payload, so that together they are all bytes. */
  readonly layers: readonly Layer[];
  /** One for each layer. */
  readonly spans: readonly LayerSpan[];
  readonly error: PacketError | null;
}

/** How a packet is taken apart. */
export interface ParseOptions {
  /** What the first byte belongs to; `ip` goes by the version. Default `ethernet`. */
  readonly first?:
    | "ethernet"
    | "ip"
    | "ipv4"
    | "ipv6"
    | "arp"
    | "tcp"
    | "udp"
    | "sctp"
    | "icmp"
    | "icmpv6"
    | "vxlan"
    | "geneve"
    | "gre";
  /** UDP ports that carry tunnels. Default `tunnelPorts`. */
  readonly tunnelPorts?: { readonly vxlan: readonly number[]; readonly geneve: readonly number[] };
}

type Kind =
  NonNullable<ParseOptions["first"]> | "vlan" | "ah" | "ipv6-options" | "ipv6-routing" | "ipv6-fragment" | "payload";

interface Next {
  readonly kind: Kind;
  readonly offset: number;
  readonly end: number;
  /** Only `ipv6-options`: which of the two it is. */
  readonly protocol?: number;
}

const byEtherType = new Map<number, Kind>([
  [etherTypes.ipv4, "ipv4"],
  [etherTypes.ipv6, "ipv6"],
  [etherTypes.arp, "arp"],
  [etherTypes.vlan, "vlan"],
  [etherTypes.qinq, "vlan"],
  [etherTypes.ethernet, "ethernet"],
]);

const byProtocol = new Map<number, Kind>([
  [ipProtocols.icmp, "icmp"],
  [ipProtocols.ipip, "ipv4"],
  [ipProtocols.tcp, "tcp"],
  [ipProtocols.udp, "udp"],
  [ipProtocols.ipv6, "ipv6"],
  [ipProtocols.gre, "gre"],
  [ipProtocols.ah, "ah"],
  [ipProtocols.icmpv6, "icmpv6"],
  [ipProtocols.sctp, "sctp"],
]);

const extensionHeaders = new Map<number, Kind>([
  [ipProtocols.hopopts, "ipv6-options"],
  [ipProtocols.route, "ipv6-routing"],
  [ipProtocols.fragment, "ipv6-fragment"],
  [ipProtocols.dstopts, "ipv6-options"],
]);

/**
 * Takes a packet apart. Never throws: what is too short or impossible ends in `error`, and everything up to there
 * (and, where a length is too large, everything that is there) is in `layers`. Addresses are copied, other bytes are
 * views of the packet. `buildPacket(layers)` gives the same bytes again.
 */
export function parsePacket(bytes: Uint8Array, options: ParseOptions = {}): ParsedPacket {
  return new Parser(bytes, options.tunnelPorts ?? tunnelPorts).run(options.first ?? "ethernet");
}

class Parser {
  private readonly layers: Layer[] = [];
  private readonly spans: LayerSpan[] = [];
  private error: PacketError | null = null;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly ports: { readonly vxlan: readonly number[]; readonly geneve: readonly number[] };
  /** Inside an IPv6 packet extension headers are known. */
  private insideIpv6 = false;

  constructor(bytes: Uint8Array, ports: { readonly vxlan: readonly number[]; readonly geneve: readonly number[] }) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.ports = ports;
  }

  run(first: Kind): ParsedPacket {
    let next: Next | null = { kind: first, offset: 0, end: this.bytes.length };
    let end = this.bytes.length;
    while (next !== null) {
      end = next.end;
      next = this.step(next);
    }
    if (end < this.bytes.length) {
      this.push(
        { kind: "trailer", bytes: this.bytes.subarray(end) },
        { offset: end, length: 0, end: this.bytes.length },
      );
    }
    return { bytes: this.bytes, layers: this.layers, spans: this.spans, error: this.error };
  }

  private step(next: Next): Next | null {
    switch (next.kind) {
      case "ethernet":
        return this.ethernet(next);
      case "vlan":
        return this.vlan(next);
      case "arp":
        return this.arp(next);
      case "ip":
        return this.ip(next);
      case "ipv4":
        return this.ipv4(next);
      case "ipv6":
        return this.ipv6(next);
      case "ipv6-options":
        return this.ipv6Options(next);
      case "ipv6-routing":
        return this.ipv6Routing(next);
      case "ipv6-fragment":
        return this.ipv6Fragment(next);
      case "ah":
        return this.ah(next);
      case "tcp":
        return this.tcp(next);
      case "udp":
        return this.udp(next);
      case "sctp":
        return this.sctp(next);
      case "icmp":
      case "icmpv6":
        return this.icmp(next, next.kind);
      case "vxlan":
        return this.vxlan(next);
      case "geneve":
        return this.geneve(next);
      case "gre":
        return this.gre(next);
      case "payload":
        return this.payload(next);
    }
  }

  private push(layer: Layer, span: LayerSpan): void {
    this.layers.push(layer);
    this.spans.push(span);
  }

  /** Notes an error, unless there is one already. */
  private fail(error: PacketError): void {
    this.error ??= error;
  }

  private payload({ offset, end }: Next): null {
    if (offset < end)
      this.push({ kind: "payload", bytes: this.bytes.subarray(offset, end) }, { offset, length: 0, end });
    return null;
  }

  /** Whether a header of that size is there; if not, what is there becomes payload. */
  private has({ offset, end }: Next, layer: LayerKind, length: number): boolean {
    if (end - offset >= length) return true;
    const message = `${layer} needs ${length} bytes, ${end - offset} are there`;
    this.fail({ layer, offset: end, reason: "truncated", message });
    return false;
  }

  /** Notes an impossible value and gives up on this layer: its bytes become payload. */
  private refuse(next: Next, error: PacketError): Next {
    this.fail(error);
    return { ...next, kind: "payload" };
  }

  private short(next: Next): Next {
    return { ...next, kind: "payload" };
  }

  /** The options of a header, whose end is known. */
  private options<T>(
    layer: LayerKind,
    parse: (bytes: Uint8Array) => ParsedOptions<T>,
    from: number,
    to: number,
  ): readonly T[] {
    const { options, malformedAt } = parse(this.bytes.subarray(from, to));
    if (malformedAt !== null) {
      const message = `an option of ${layer} does not fit`;
      this.fail({ layer, offset: from + malformedAt, reason: "malformed", message });
    }
    return options;
  }

  private afterEtherType(etherType: number, offset: number, end: number): Next {
    return { kind: byEtherType.get(etherType) ?? "payload", offset, end };
  }

  private afterProtocol(protocol: number, offset: number, end: number): Next {
    const extension = this.insideIpv6 ? extensionHeaders.get(protocol) : undefined;
    return { kind: extension ?? byProtocol.get(protocol) ?? "payload", offset, end, protocol };
  }

  private ethernet(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "ethernet", 14)) return this.short(next);
    const etherType = this.view.getUint16(offset + 12);
    const destination = this.bytes.slice(offset, offset + 6);
    const source = this.bytes.slice(offset + 6, offset + 12);
    this.push({ kind: "ethernet", destination, source, etherType }, { offset, length: 14, end });
    return this.afterEtherType(etherType, offset + 14, end);
  }

  private vlan(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "vlan", 4)) return this.short(next);
    const tag = this.view.getUint16(offset);
    const etherType = this.view.getUint16(offset + 2);
    this.push(
      { kind: "vlan", priority: tag >> 13, dropEligible: (tag & 0x1000) !== 0, id: tag & 0xfff, etherType },
      { offset, length: 4, end },
    );
    return this.afterEtherType(etherType, offset + 4, end);
  }

  private arp(next: Next): Next {
    const { offset } = next;
    if (!this.has(next, "arp", 8)) return this.short(next);
    // Ethernet (1), IPv4, 6 and 4 bytes.
    if (this.view.getUint32(offset) !== 0x0001_0800 || this.view.getUint16(offset + 4) !== 0x0604) {
      const message = "ARP is read for IPv4 over Ethernet only";
      return this.refuse(next, { layer: "arp", offset, reason: "unsupported", message });
    }
    if (!this.has(next, "arp", 28)) return this.short(next);
    const at = (from: number, length: number) => this.bytes.slice(offset + from, offset + from + length);
    this.push(
      {
        kind: "arp",
        operation: this.view.getUint16(offset + 6),
        senderMac: at(8, 6),
        senderAddress: addressOf(at(14, 4)),
        targetMac: at(18, 6),
        targetAddress: addressOf(at(24, 4)),
      },
      { offset, length: 28, end: offset + 28 },
    );
    // What follows is Ethernet's padding.
    return { kind: "payload", offset: offset + 28, end: offset + 28 };
  }

  private ip(next: Next): Next {
    if (!this.has(next, "ipv4", 1)) return this.short(next);
    return { ...next, kind: (this.view.getUint8(next.offset) & 0xf0) === 0x60 ? "ipv6" : "ipv4" };
  }

  /** The end of a packet whose header gives its length; where that is not there, what is there counts. */
  private endOf(layer: LayerKind, { offset, end }: Next, length: number): number {
    if (offset + length <= end) return offset + length;
    const message = `${layer} says ${length} bytes, ${end - offset} are there`;
    this.fail({ layer, offset: end, reason: "truncated", message });
    return end;
  }

  private ipv4(next: Next): Next {
    const { offset } = next;
    const { view } = this;
    if (!this.has(next, "ipv4", 20)) return this.short(next);
    const version = view.getUint8(offset) >> 4;
    const header = (view.getUint8(offset) & 0x0f) * 4;
    const totalLength = view.getUint16(offset + 2);
    if (version !== 4) {
      const message = `an IPv4 header has version ${version}`;
      return this.refuse(next, { layer: "ipv4", offset, reason: "malformed", message });
    }
    if (header < 20 || totalLength < header) {
      const message = `a header of ${header} bytes in an IPv4 packet of ${totalLength}`;
      return this.refuse(next, { layer: "ipv4", offset, reason: "malformed", message });
    }
    if (!this.has(next, "ipv4", header)) return this.short(next);
    const fragment = view.getUint16(offset + 6);
    const fragmentOffset = (fragment & 0x1fff) * 8;
    const protocol = view.getUint8(offset + 9);
    const end = this.endOf("ipv4", next, totalLength);
    this.push(
      {
        kind: "ipv4",
        dscp: view.getUint8(offset + 1) >> 2,
        ecn: view.getUint8(offset + 1) & 3,
        totalLength,
        identification: view.getUint16(offset + 4),
        reserved: (fragment & 0x8000) !== 0,
        dontFragment: (fragment & 0x4000) !== 0,
        moreFragments: (fragment & 0x2000) !== 0,
        fragmentOffset,
        ttl: view.getUint8(offset + 8),
        protocol,
        checksum: view.getUint16(offset + 10),
        source: addressOf(this.bytes.subarray(offset + 12, offset + 16)),
        destination: addressOf(this.bytes.subarray(offset + 16, offset + 20)),
        options: this.options("ipv4", parseIpv4Options, offset + 20, offset + header),
      },
      { offset, length: header, end },
    );
    this.insideIpv6 = false;
    // Only the first fragment has the header of what is inside.
    if (fragmentOffset > 0) return { kind: "payload", offset: offset + header, end };
    return this.afterProtocol(protocol, offset + header, end);
  }

  private ipv6(next: Next): Next {
    const { offset } = next;
    const { view } = this;
    if (!this.has(next, "ipv6", 40)) return this.short(next);
    const word = view.getUint32(offset);
    if (word >>> 28 !== 6) {
      const message = `an IPv6 header has version ${word >>> 28}`;
      return this.refuse(next, { layer: "ipv6", offset, reason: "malformed", message });
    }
    const payloadLength = view.getUint16(offset + 4);
    const nextHeader = view.getUint8(offset + 6);
    const end = this.endOf("ipv6", next, payloadLength + 40);
    this.push(
      {
        kind: "ipv6",
        trafficClass: (word >>> 20) & 0xff,
        flowLabel: word & 0xfffff,
        payloadLength,
        nextHeader,
        hopLimit: view.getUint8(offset + 7),
        source: addressOf(this.bytes.subarray(offset + 8, offset + 24)),
        destination: addressOf(this.bytes.subarray(offset + 24, offset + 40)),
      },
      { offset, length: 40, end },
    );
    this.insideIpv6 = true;
    return this.afterProtocol(nextHeader, offset + 40, end);
  }

  private ipv6Options(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "ipv6-options", 8)) return this.short(next);
    const nextHeader = this.view.getUint8(offset);
    const length = this.view.getUint8(offset + 1) * 8 + 8;
    if (!this.has(next, "ipv6-options", length)) return this.short(next);
    const options = this.options("ipv6-options", parseIpv6Options, offset + 2, offset + length);
    const place = next.protocol === ipProtocols.hopopts ? "hop-by-hop" : "destination";
    this.push({ kind: "ipv6-options", place, nextHeader, options }, { offset, length, end });
    return this.afterProtocol(nextHeader, offset + length, end);
  }

  private ipv6Routing(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "ipv6-routing", 8)) return this.short(next);
    const nextHeader = this.view.getUint8(offset);
    const length = this.view.getUint8(offset + 1) * 8 + 8;
    if (!this.has(next, "ipv6-routing", length)) return this.short(next);
    this.push(
      {
        kind: "ipv6-routing",
        nextHeader,
        routingType: this.view.getUint8(offset + 2),
        segmentsLeft: this.view.getUint8(offset + 3),
        data: this.bytes.subarray(offset + 4, offset + length),
      },
      { offset, length, end },
    );
    return this.afterProtocol(nextHeader, offset + length, end);
  }

  private ipv6Fragment(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "ipv6-fragment", 8)) return this.short(next);
    const nextHeader = this.view.getUint8(offset);
    const word = this.view.getUint16(offset + 2);
    this.push(
      {
        kind: "ipv6-fragment",
        nextHeader,
        reserved: this.view.getUint8(offset + 1),
        fragmentOffset: word & 0xfff8,
        reservedBits: (word >> 1) & 3,
        moreFragments: (word & 1) !== 0,
        identification: this.view.getUint32(offset + 4),
      },
      { offset, length: 8, end },
    );
    if ((word & 0xfff8) !== 0) return { kind: "payload", offset: offset + 8, end };
    return this.afterProtocol(nextHeader, offset + 8, end);
  }

  private ah(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "ah", 12)) return this.short(next);
    const nextHeader = this.view.getUint8(offset);
    const length = this.view.getUint8(offset + 1) * 4 + 8;
    if (length < 12) {
      const message = `an authentication header of ${length} bytes`;
      return this.refuse(next, { layer: "ah", offset: offset + 1, reason: "malformed", message });
    }
    if (!this.has(next, "ah", length)) return this.short(next);
    this.push(
      {
        kind: "ah",
        nextHeader,
        reserved: this.view.getUint16(offset + 2),
        spi: this.view.getUint32(offset + 4),
        sequence: this.view.getUint32(offset + 8),
        icv: this.bytes.subarray(offset + 12, offset + length),
      },
      { offset, length, end },
    );
    return this.afterProtocol(nextHeader, offset + length, end);
  }

  private tcp(next: Next): Next {
    const { offset, end } = next;
    const { view } = this;
    if (!this.has(next, "tcp", 20)) return this.short(next);
    const word = view.getUint16(offset + 12);
    const header = (word >> 12) * 4;
    if (header < 20) {
      const message = `a TCP header of ${header} bytes`;
      return this.refuse(next, { layer: "tcp", offset: offset + 12, reason: "malformed", message });
    }
    if (!this.has(next, "tcp", header)) return this.short(next);
    this.push(
      {
        kind: "tcp",
        sourcePort: view.getUint16(offset),
        destinationPort: view.getUint16(offset + 2),
        sequence: view.getUint32(offset + 4),
        acknowledgment: view.getUint32(offset + 8),
        reserved: (word >> 9) & 7,
        flags: word & 0x1ff,
        window: view.getUint16(offset + 14),
        checksum: view.getUint16(offset + 16),
        urgent: view.getUint16(offset + 18),
        options: this.options("tcp", parseTcpOptions, offset + 20, offset + header),
      },
      { offset, length: header, end },
    );
    return { kind: "payload", offset: offset + header, end };
  }

  private udp(next: Next): Next {
    const { offset } = next;
    const { view } = this;
    if (!this.has(next, "udp", 8)) return this.short(next);
    const sourcePort = view.getUint16(offset);
    const destinationPort = view.getUint16(offset + 2);
    const length = view.getUint16(offset + 4);
    if (length < 8) {
      const message = `a UDP datagram of ${length} bytes`;
      return this.refuse(next, { layer: "udp", offset: offset + 4, reason: "malformed", message });
    }
    const end = this.endOf("udp", next, length);
    const udp: Layer = { kind: "udp", sourcePort, destinationPort, length, checksum: view.getUint16(offset + 6) };
    this.push(udp, { offset, length: 8, end });
    const tunnel = this.ports.vxlan.includes(destinationPort)
      ? "vxlan"
      : this.ports.geneve.includes(destinationPort)
        ? "geneve"
        : "payload";
    return { kind: tunnel, offset: offset + 8, end };
  }

  private sctp(next: Next): Next {
    const { offset, end } = next;
    const { view } = this;
    if (!this.has(next, "sctp", 12)) return this.short(next);
    this.push(
      {
        kind: "sctp",
        sourcePort: view.getUint16(offset),
        destinationPort: view.getUint16(offset + 2),
        verificationTag: view.getUint32(offset + 4),
        // RFC 9260 appendix A: the CRC is sent with its least significant byte first.
        checksum: view.getUint32(offset + 8, true),
        chunks: this.options("sctp", parseSctpChunks, offset + 12, end),
      },
      { offset, length: end - offset, end },
    );
    return { kind: "payload", offset: end, end };
  }

  private icmp(next: Next, kind: "icmp" | "icmpv6"): Next {
    const { offset, end } = next;
    const { view } = this;
    if (!this.has(next, kind, 8)) return this.short(next);
    this.push(
      {
        kind,
        type: view.getUint8(offset),
        code: view.getUint8(offset + 1),
        checksum: view.getUint16(offset + 2),
        rest: view.getUint32(offset + 4),
      },
      { offset, length: 8, end },
    );
    return { kind: "payload", offset: offset + 8, end };
  }

  private vxlan(next: Next): Next {
    const { offset, end } = next;
    if (!this.has(next, "vxlan", 8)) return this.short(next);
    const first = this.view.getUint32(offset);
    const second = this.view.getUint32(offset + 4);
    this.push(
      { kind: "vxlan", flags: first >>> 24, reserved: first & 0xffffff, vni: second >>> 8, reservedEnd: second & 0xff },
      { offset, length: 8, end },
    );
    return { kind: "ethernet", offset: offset + 8, end };
  }

  private geneve(next: Next): Next {
    const { offset, end } = next;
    const { view } = this;
    if (!this.has(next, "geneve", 8)) return this.short(next);
    const version = view.getUint8(offset) >> 6;
    const length = (view.getUint8(offset) & 0x3f) * 4 + 8;
    if (version !== 0) {
      const message = `Geneve of version ${version}`;
      return this.refuse(next, { layer: "geneve", offset, reason: "unsupported", message });
    }
    if (!this.has(next, "geneve", length)) return this.short(next);
    const flags = view.getUint8(offset + 1);
    const protocol = view.getUint16(offset + 2);
    this.push(
      {
        kind: "geneve",
        control: (flags & 0x80) !== 0,
        critical: (flags & 0x40) !== 0,
        reserved: flags & 0x3f,
        protocol,
        vni: view.getUint32(offset + 4) >>> 8,
        reservedEnd: view.getUint8(offset + 7),
        options: this.options("geneve", parseGeneveOptions, offset + 8, offset + length),
      },
      { offset, length, end },
    );
    return this.afterEtherType(protocol, offset + length, end);
  }

  private gre(next: Next): Next {
    const { offset, end } = next;
    const { view } = this;
    if (!this.has(next, "gre", 4)) return this.short(next);
    const word = view.getUint16(offset);
    // RFC 2784 section 2.3: bits 1 to 5 (but key and sequence of RFC 2890) are from RFC 1701, and the version is 0.
    if ((word & 0x4c07) !== 0) {
      const message = "GRE with routing or of another version";
      return this.refuse(next, { layer: "gre", offset, reason: "unsupported", message });
    }
    const present = [0x8000, 0x2000, 0x1000].filter((bit) => (word & bit) !== 0);
    const length = 4 + present.length * 4;
    if (!this.has(next, "gre", length)) return this.short(next);
    const at = (bit: number) => offset + 4 + present.indexOf(bit) * 4;
    const optional = (bit: number) => (present.includes(bit) ? view.getUint32(at(bit)) : null);
    const check = optional(0x8000);
    const protocol = view.getUint16(offset + 2);
    this.push(
      {
        kind: "gre",
        protocol,
        checksum: check === null ? null : { value: check >>> 16, reserved: check & 0xffff },
        key: optional(0x2000),
        sequence: optional(0x1000),
        reserved: word & 0x03f8,
      },
      { offset, length, end },
    );
    return this.afterEtherType(protocol, offset + length, end);
  }
}
