/**
 * @module
 * IP packets of one family as RFC 7915 makes them of the other's: written for tests from its text, with every checksum summed from the start.
 */
import { crc32c } from "@skep/net";

export interface Ends {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** TCP, UDP, SCTP: both; of an echo the one of who asks. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const [ICMP, TCP, UDP, FRAGMENT, ICMPV6, SCTP] = [1, 6, 17, 44, 58, 132];

function sum(...parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) part.forEach((byte, at) => (total += at % 2 === 0 ? byte * 256 : byte));
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

const be = (value: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, at) => Math.floor(value / 256 ** (size - 1 - at)) & 0xff);
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const at16 = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);

interface Header {
  readonly tos: number;
  readonly hops: number;
  /** As the other family calls it. */
  readonly protocol: number;
  readonly identification: number;
  readonly fragment: { readonly offset: number; readonly more: boolean } | null;
  /** That the header says, and what is there. */
  readonly length: number;
  readonly payload: Uint8Array;
}

const other = (protocol: number): number => (protocol === ICMP ? ICMPV6 : protocol === ICMPV6 ? ICMP : protocol);

function read4(bytes: Uint8Array): Header {
  const flags = at16(bytes, 6);
  return {
    ...{ tos: bytes[1] ?? 0, hops: bytes[8] ?? 0, protocol: other(bytes[9] ?? 0), identification: at16(bytes, 4) },
    fragment: (flags & 0x3fff) === 0 ? null : { offset: (flags & 0x1fff) * 8, more: (flags & 0x2000) !== 0 },
    ...{ length: at16(bytes, 2) - 20, payload: bytes.subarray(20) },
  };
}

function read6(bytes: Uint8Array): Header {
  const tos = (((bytes[0] ?? 0) & 15) << 4) | ((bytes[1] ?? 0) >> 4);
  const hops = bytes[7] ?? 0;
  if (bytes[6] !== FRAGMENT)
    return {
      ...{ tos, hops, protocol: other(bytes[6] ?? 0), identification: 0, fragment: null },
      ...{ length: at16(bytes, 4), payload: bytes.subarray(40) },
    };
  const offset = at16(bytes, 42);
  return {
    ...{ tos, hops, protocol: other(bytes[40] ?? 0), identification: at16(bytes, 46) },
    fragment: { offset: offset & 0xfff8, more: (offset & 1) !== 0 },
    ...{ length: at16(bytes, 4) - 8, payload: bytes.subarray(48) },
  };
}

function write6(header: Header, { source, destination }: Ends, hops: number, length: number): Uint8Array {
  const start = [0x60 | (header.tos >> 4), (header.tos & 15) << 4, 0, 0];
  const { fragment } = header;
  const size = length + (fragment ? 8 : 0);
  const head = join(
    ...[Uint8Array.from(start), be(size, 2), Uint8Array.of(fragment ? FRAGMENT : header.protocol, hops)],
    ...[source, destination],
  );
  if (!fragment) return head;
  const offset = fragment.offset | (fragment.more ? 1 : 0);
  return join(head, Uint8Array.of(header.protocol, 0), be(offset, 2), be(header.identification, 4));
}

/** `identification`: of what was no fragment; any number will do, so the test says which was taken. */
function write4(header: Header, ends: Ends, hops: number, length: number, identification: number): Uint8Array {
  const { fragment } = header;
  const whole = length + 20;
  const flags = fragment ? (fragment.more ? 0x2000 : 0) | (fragment.offset / 8) : whole > 1260 ? 0x4000 : 0;
  const id = fragment ? header.identification & 0xffff : identification;
  const start = [Uint8Array.of(0x45, header.tos), be(whole, 2), be(id, 2), be(flags, 2)];
  const end = [ends.source, ends.destination];
  const head = join(...start, Uint8Array.of(hops, header.protocol, 0, 0), ...end);
  head.set(be(sum(head), 2), 10);
  return head;
}

const pseudo = ({ source, destination }: Ends, length: number, protocol: number): Uint8Array =>
  source.length === 4
    ? join(source, destination, Uint8Array.of(0, protocol), be(length, 2))
    : join(source, destination, be(length, 4), be(protocol, 4));

/** Figure 3, by the pointer into IPv4's header. */
const POINTER6: Readonly<Record<number, number>> = {
  ...{ 0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, 12: 8, 13: 8, 14: 8, 15: 8, 16: 24, 17: 24, 18: 24, 19: 24 },
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);
/** Figure 6. */
const POINTER4: Readonly<Record<number, number>> = {
  ...{ 0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8 },
  ...Object.fromEntries(range(8, 23).map((at) => [at, 12])),
  ...Object.fromEntries(range(24, 39).map((at) => [at, 16])),
};
/** RFC 1191, 7.1. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492];

type Said = readonly [type: number, code: number, rest: Uint8Array] | null;
const NOTHING = Uint8Array.of(0, 0, 0, 0);

function said6([type, code, rest]: NonNullable<Said>, length: number): Said {
  if (type === 8 || type === 0) return [type === 8 ? 128 : 129, 0, rest];
  if (type === 11) return [3, code, NOTHING];
  if (type === 12) {
    const pointer = code === 0 || code === 2 ? POINTER6[rest[0] ?? 0] : undefined;
    return pointer === undefined ? null : [4, 0, be(pointer, 4)];
  }
  if (type !== 3) return null;
  if ([0, 1, 5, 6, 7, 8, 11, 12].includes(code)) return [1, 0, NOTHING];
  if ([9, 10, 13, 15].includes(code)) return [1, 1, NOTHING];
  if (code === 2) return [4, 1, be(6, 4)];
  if (code === 3) return [1, 4, NOTHING];
  if (code !== 4) return null;
  const told = at16(rest, 2);
  const mtu = told === 0 ? (PLATEAUS.find((plateau) => plateau < length) ?? 0) : told;
  return [2, 0, be(Math.max(1280, mtu + 20), 4)];
}

function said4([type, code, rest]: NonNullable<Said>): Said {
  if (type === 128 || type === 129) return [type === 128 ? 8 : 0, 0, rest];
  if (type === 3) return [11, code, NOTHING];
  if (type === 2) return [3, 4, be(Math.min(at16(rest, 0) * 0x10000 + at16(rest, 2), 0xffff) - 20, 4)];
  if (type === 4 && code === 1) return [3, 2, NOTHING];
  if (type === 4) {
    const pointer = code === 0 ? POINTER4[at16(rest, 0) * 0x10000 + at16(rest, 2)] : undefined;
    return pointer === undefined ? null : [12, 0, Uint8Array.of(pointer, 0, 0, 0)];
  }
  const unreachable: Readonly<Record<number, number>> = { 0: 1, 1: 10, 2: 1, 3: 1, 4: 3 };
  const told = type === 1 ? unreachable[code] : undefined;
  return told === undefined ? null : [3, told, NOTHING];
}

/** TCP or UDP with these ends; what a fragment or an error holds of it has its checksum changed, not made. */
function ported(bytes: Uint8Array, ends: Ends, protocol: number, before: Ends, isWhole = false): Uint8Array {
  const out = join(be(ends.sourcePort, 2), be(ends.destinationPort, 2), bytes.subarray(4));
  const place = protocol === TCP ? 16 : 6;
  if (protocol === SCTP && isWhole) {
    out.fill(0, 8, 12);
    new DataView(out.buffer).setUint32(8, crc32c(out), true);
  }
  if ((protocol !== TCP && protocol !== UDP) || out.length < place + 2) return out;
  if (protocol === UDP && at16(out, place) === 0 && ends.source.length === 4) return out;
  const inverse = (parts: Uint8Array): Uint8Array => parts.map((byte) => 0xff - byte);
  const checksum =
    protocol === UDP && at16(out, place) === 0
      ? sum(pseudo(ends, out.length, protocol), out)
      : sum(
          ...[inverse(bytes.subarray(place, place + 2)), inverse(bytes.subarray(0, 4)), out.subarray(0, 4)],
          ...[inverse(before.source), inverse(before.destination), ends.source, ends.destination],
        );
  out.set(be(protocol === UDP && checksum === 0 ? 0xffff : checksum, 2), place);
  return out;
}

const addresses = (bytes: Uint8Array): Ends => {
  const [at, size] = bytes[0] === undefined || bytes[0] >> 4 === 4 ? [12, 4] : [8, 16];
  const [source, destination] = [bytes.subarray(at, at + size), bytes.subarray(at + size, at + 2 * size)];
  return { source, destination, sourcePort: 0, destinationPort: 0 };
};

/** What an error quotes goes the other way. */
const reversed = (ends: Ends): Ends => ({
  ...{ source: ends.destination, destination: ends.source },
  ...{ sourcePort: ends.destinationPort, destinationPort: ends.sourcePort },
});

export interface Choice {
  /** Of the packet, and of the one that an error quotes. */
  readonly identifications: readonly [number, number];
  /** Who says an error. */
  readonly router: Uint8Array;
}

/** The IP packet in the other family; null where it has no counterpart. */
export function translated(packet: Uint8Array, ends: Ends, choice: Choice): Uint8Array | null {
  const is4 = (packet[0] ?? 0) >> 4 === 4;
  const header = is4 ? read4(packet) : read6(packet);
  const payload = header.payload.subarray(0, header.length);
  const head = (by: Ends, length: number): Uint8Array =>
    is4
      ? write6(header, by, header.hops - 1, length)
      : write4(header, by, header.hops - 1, length, choice.identifications[0]);
  if (header.protocol !== ICMP && header.protocol !== ICMPV6) {
    const isLater = (header.fragment?.offset ?? 0) > 0;
    const body = isLater ? payload : ported(payload, ends, header.protocol, addresses(packet), !header.fragment);
    return join(head(ends, body.length), body);
  }
  if (header.fragment) return null;
  const said = [payload[0] ?? 0, payload[1] ?? 0, payload.subarray(4, 8)] as const;
  const isEcho = is4 ? said[0] === 8 || said[0] === 0 : said[0] >= 128;
  const quoted = payload.subarray(8);
  const message = is4 ? said6(said, at16(quoted, 2)) : said4(said);
  if (!message) return null;
  const by = isEcho ? ends : { ...ends, source: choice.router };
  const rest = isEcho ? echo(said, ends, message[2]) : message[2];
  const about = isEcho ? quoted : inner(quoted, reversed(ends), is4, choice.identifications[1]);
  const body = join(Uint8Array.of(message[0], message[1], 0, 0), rest, about);
  body.set(be(is4 ? sum(pseudo(by, body.length, ICMPV6), body) : sum(body), 2), 2);
  return join(head(by, body.length), body);
}

const echo = ([type]: NonNullable<Said>, ends: Ends, rest: Uint8Array): Uint8Array =>
  join(be(type === 8 || type === 128 ? ends.sourcePort : ends.destinationPort, 2), rest.subarray(2));

function inner(packet: Uint8Array, ends: Ends, is4: boolean, identification: number): Uint8Array {
  const header = is4 ? read4(packet) : read6(packet);
  const { hops, length } = header;
  const head = is4 ? write6(header, ends, hops, length) : write4(header, ends, hops, length, identification);
  const before = addresses(packet);
  if (header.protocol !== ICMP && header.protocol !== ICMPV6)
    return join(head, ported(header.payload, ends, header.protocol, before));
  // An echo: its checksum is changed, as not all of it need be there.
  const type = header.payload[0] ?? 0;
  const isAsked = type === 8 || type === 128;
  const told = { 8: 128, 0: 129, 128: 8, 129: 0 }[type] ?? type;
  const identifier = be(isAsked ? ends.sourcePort : ends.destinationPort, 2);
  const out = join(Uint8Array.of(told, 0, 0, 0), identifier, header.payload.subarray(6));
  const inverse = (parts: Uint8Array): Uint8Array => parts.map((byte) => 0xff - byte);
  const parts = is4 ? [pseudo(ends, length, ICMPV6)] : [inverse(pseudo(before, length, ICMPV6))];
  const changed = [Uint8Array.of(told, 0), inverse(header.payload.subarray(0, 2))];
  const ids = [identifier, inverse(header.payload.subarray(4, 6))];
  out.set(be(sum(inverse(header.payload.subarray(2, 4)), ...changed, ...ids, ...parts), 2), 2);
  return join(head, out);
}
