import type { Address } from "../address.ts";
import { addressOf } from "../address.ts";
import type { DnsError } from "./name.ts";
import { DnsDamage, NameWriter, readName } from "./name.ts";

/** Types of records. */
export const dnsTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  ANY: 255,
  CAA: 257,
} as const;

/** Response codes (RFC 1035, 2136, 6891). */
export const dnsCodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

/** The name of a record type, or `TYPE123` (RFC 3597). */
export function dnsTypeName(type: number): string {
  return Object.entries(dnsTypes).find(([, number]) => number === type)?.[0] ?? `TYPE${type}`;
}

/** What is asked for. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: number;
  /** 1: Internet. */
  readonly class: number;
}

/** What a record says. Names are as `parseDnsName` describes. */
export type DnsData =
  | { readonly kind: "A" | "AAAA"; readonly address: Address }
  | { readonly kind: "NS" | "CNAME" | "PTR" | "DNAME"; readonly name: string }
  | { readonly kind: "MX"; readonly preference: number; readonly exchange: string }
  | {
      readonly kind: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly kind: "SOA";
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      readonly minimum: number;
    }
  | { readonly kind: "TXT"; readonly strings: readonly Uint8Array[] }
  /** EDNS (RFC 6891): the record's class is the UDP size, its TTL has flags. */
  | { readonly kind: "OPT"; readonly options: readonly { readonly code: number; readonly data: Uint8Array }[] }
  | { readonly kind: "unknown"; readonly bytes: Uint8Array };

/** A resource record. */
export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Seconds, unsigned 32 bits. */
  readonly ttl: number;
  readonly data: DnsData;
}

/** A query or a response. */
export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  /** 0: query. */
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  /** The bit after that, 0 when sent. */
  readonly reserved: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** The low four bits of the response code. */
  readonly code: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

/** A message, or why it cannot be read. */
export type DnsResult =
  { readonly message: DnsMessage; readonly error: null } | { readonly message: null; readonly error: DnsError };

/**
 * Reads a message (without the length that goes before it over TCP). Strict: pointers lead backwards, lengths of
 * records match their contents, nothing follows the last record. Never throws. Bytes are copied.
 */
export function parseDnsMessage(bytes: Uint8Array): DnsResult {
  try {
    return { message: new MessageReader(bytes).read(), error: null };
  } catch (caught) {
    if (!(caught instanceof DnsDamage)) throw caught;
    return { message: null, error: caught.problem };
  }
}

class MessageReader {
  private at = 0;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): DnsMessage {
    const id = this.u16();
    const flags = this.u16();
    const counts = [this.u16(), this.u16(), this.u16(), this.u16()] as const;
    const bit = (position: number) => ((flags >> position) & 1) === 1;
    const message: DnsMessage = {
      id,
      response: bit(15),
      opcode: (flags >> 11) & 15,
      authoritative: bit(10),
      truncated: bit(9),
      recursionDesired: bit(8),
      recursionAvailable: bit(7),
      reserved: bit(6),
      authenticData: bit(5),
      checkingDisabled: bit(4),
      code: flags & 15,
      questions: this.many(counts[0], () => this.question()),
      answers: this.many(counts[1], () => this.record()),
      authorities: this.many(counts[2], () => this.record()),
      additionals: this.many(counts[3], () => this.record()),
    };
    if (this.at !== this.bytes.length) throw new DnsDamage(this.at, "malformed", "bytes after the last record");
    return message;
  }

  private many<T>(count: number, read: () => T): T[] {
    const list: T[] = [];
    for (let i = 0; i < count; i++) list.push(read());
    return list;
  }

  private need(length: number): number {
    const from = this.at;
    if (from + length > this.bytes.length)
      throw new DnsDamage(this.bytes.length, "truncated", "the message ends too early");
    this.at += length;
    return from;
  }

  private u16(): number {
    return this.view.getUint16(this.need(2));
  }

  private u32(): number {
    return this.view.getUint32(this.need(4));
  }

  private name(): string {
    const { name, end } = readName(this.bytes, this.at);
    this.at = end;
    return name;
  }

  private question(): DnsQuestion {
    return { name: this.name(), type: this.u16(), class: this.u16() };
  }

  private record(): DnsRecord {
    const head = { name: this.name(), type: this.u16(), class: this.u16(), ttl: this.u32() };
    const length = this.u16();
    const from = this.need(length);
    this.at = from;
    // RFC 2136: in dynamic updates records of the classes NONE and ANY are empty.
    const empty = length === 0 && (head.class === 254 || head.class === 255);
    const data = this.data(empty ? 0 : head.type, from + length);
    if (this.at !== from + length) {
      throw new DnsDamage(
        from,
        "malformed",
        `a record of type ${dnsTypeName(head.type)} does not fill its ${length} bytes`,
      );
    }
    return { ...head, data };
  }

  private data(type: number, end: number): DnsData {
    const length = end - this.at;
    switch (type) {
      case dnsTypes.A:
        return length === 4 ? { kind: "A", address: addressOf(this.take(4)) } : this.wrong(type, length);
      case dnsTypes.AAAA:
        return length === 16 ? { kind: "AAAA", address: addressOf(this.take(16)) } : this.wrong(type, length);
      case dnsTypes.NS:
        return { kind: "NS", name: this.name() };
      case dnsTypes.CNAME:
        return { kind: "CNAME", name: this.name() };
      case dnsTypes.PTR:
        return { kind: "PTR", name: this.name() };
      case dnsTypes.DNAME:
        return { kind: "DNAME", name: this.name() };
      case dnsTypes.MX:
        return { kind: "MX", preference: this.u16(), exchange: this.name() };
      case dnsTypes.SRV:
        return { kind: "SRV", priority: this.u16(), weight: this.u16(), port: this.u16(), target: this.name() };
      case dnsTypes.SOA:
        return this.soa();
      case dnsTypes.TXT:
        return { kind: "TXT", strings: this.strings(end) };
      case dnsTypes.OPT:
        return { kind: "OPT", options: this.options(end) };
      default:
        return { kind: "unknown", bytes: this.take(length) };
    }
  }

  private take(length: number): Uint8Array {
    const from = this.need(length);
    return this.bytes.slice(from, from + length);
  }

  private wrong(type: number, length: number): never {
    throw new DnsDamage(this.at, "malformed", `a record of type ${dnsTypeName(type)} with ${length} bytes`);
  }

  private soa(): DnsData {
    return {
      kind: "SOA",
      primary: this.name(),
      mailbox: this.name(),
      serial: this.u32(),
      refresh: this.u32(),
      retry: this.u32(),
      expire: this.u32(),
      minimum: this.u32(),
    };
  }

  private strings(end: number): Uint8Array[] {
    const strings: Uint8Array[] = [];
    while (this.at < end) strings.push(this.take(this.view.getUint8(this.need(1))));
    // RFC 1035 section 3.3.14: one or more.
    return strings.length > 0 ? strings : this.wrong(dnsTypes.TXT, 0);
  }

  private options(end: number): { readonly code: number; readonly data: Uint8Array }[] {
    const options: { readonly code: number; readonly data: Uint8Array }[] = [];
    while (this.at < end) {
      const code = this.u16();
      options.push({ code, data: this.take(this.u16()) });
    }
    return options;
  }
}

/** A message to build: what is left out is false, 0 or empty. */
export type DnsMessageSpec = Pick<DnsMessage, "id"> & Partial<DnsMessage>;

/** How a message is built. */
export interface DnsBuildOptions {
  /** Names point to earlier equal ones (RFC 1035 section 4.1.4; in record data only of the types of that RFC). Default true. */
  readonly compress?: boolean;
}

/** The bytes of a message. Throws a RangeError for a name that is none, or data that does not fit its length. */
export function buildDnsMessage(message: DnsMessageSpec, options: DnsBuildOptions = {}): Uint8Array {
  return new MessageWriter(options.compress ?? true).write(message);
}

class MessageWriter {
  private readonly bytes: number[] = [];
  private readonly names = new NameWriter();
  private readonly compress: boolean;

  constructor(compress: boolean) {
    this.compress = compress;
  }

  write(message: DnsMessageSpec): Uint8Array {
    const { questions = [], answers = [], authorities = [], additionals = [] } = message;
    const bit = (value: boolean | undefined, position: number) => (value === true ? 1 << position : 0);
    this.u16(message.id);
    this.u16(
      bit(message.response, 15) |
        ((message.opcode ?? 0) << 11) |
        bit(message.authoritative, 10) |
        bit(message.truncated, 9) |
        bit(message.recursionDesired, 8) |
        bit(message.recursionAvailable, 7) |
        bit(message.reserved, 6) |
        bit(message.authenticData, 5) |
        bit(message.checkingDisabled, 4) |
        (message.code ?? 0),
    );
    for (const list of [questions, answers, authorities, additionals]) this.u16(list.length);
    for (const question of questions) {
      this.name(question.name, true);
      this.u16(question.type);
      this.u16(question.class);
    }
    for (const record of [...answers, ...authorities, ...additionals]) this.record(record);
    return Uint8Array.from(this.bytes);
  }

  private u16(value: number): void {
    this.bytes.push((value >> 8) & 0xff, value & 0xff);
  }

  private u32(value: number): void {
    this.bytes.push(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
  }

  private raw(bytes: Uint8Array): void {
    for (const byte of bytes) this.bytes.push(byte);
  }

  private name(name: string, mayPoint: boolean): void {
    this.bytes.push(...this.names.encode(name, this.bytes.length, mayPoint && this.compress));
  }

  private record(record: DnsRecord): void {
    this.name(record.name, true);
    this.u16(record.type);
    this.u16(record.class);
    this.u32(record.ttl);
    const at = this.bytes.length;
    this.u16(0);
    this.data(record.data);
    const length = this.bytes.length - at - 2;
    if (length > 0xffff) throw new RangeError(`a record of ${length} bytes, at most 65535 fit`);
    this.bytes[at] = length >> 8;
    this.bytes[at + 1] = length & 0xff;
  }

  private data(data: DnsData): void {
    switch (data.kind) {
      case "A":
      case "AAAA":
        return this.raw(data.address.bytes);
      case "NS":
      case "CNAME":
      case "PTR":
        return this.name(data.name, true);
      case "DNAME":
        // RFC 3597 section 4: only the types of RFC 1035 have compressed names.
        return this.name(data.name, false);
      case "MX":
        this.u16(data.preference);
        return this.name(data.exchange, true);
      case "SRV":
        for (const value of [data.priority, data.weight, data.port]) this.u16(value);
        return this.name(data.target, false);
      case "SOA":
        this.name(data.primary, true);
        this.name(data.mailbox, true);
        for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) this.u32(value);
        return;
      case "TXT":
        return this.strings(data.strings);
      case "OPT":
        for (const { code, data: bytes } of data.options) {
          this.u16(code);
          this.u16(bytes.length);
          this.raw(bytes);
        }
        return;
      case "unknown":
        return this.raw(data.bytes);
    }
  }

  private strings(strings: readonly Uint8Array[]): void {
    for (const text of strings) {
      if (text.length > 255) throw new RangeError(`a string of ${text.length} bytes, at most 255 fit`);
      this.bytes.push(text.length);
      this.raw(text);
    }
  }
}
