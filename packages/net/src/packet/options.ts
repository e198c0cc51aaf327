/** An option of IPv4, or of IPv6's option headers. */
export interface IpOption {
  /** IPv4: 0 ends the list, 1 does nothing. IPv6: 0 is one byte of padding, 1 is padding. */
  readonly type: number;
  /** What follows type and length. Of IPv4's 0: the bytes after it. */
  readonly data: Uint8Array;
  /** Only in what was parsed: `data` are bytes that are no option (a length too small or too large), type included. */
  readonly malformed?: true;
}

/** An option of TCP. */
export type TcpOption =
  /** The list ends; `rest` are the bytes after it. */
  | { readonly kind: "end"; readonly rest: Uint8Array }
  | { readonly kind: "nop" }
  | { readonly kind: "mss"; readonly value: number }
  | { readonly kind: "window-scale"; readonly shift: number }
  | { readonly kind: "sack-permitted" }
  | { readonly kind: "sack"; readonly blocks: readonly { readonly left: number; readonly right: number }[] }
  | { readonly kind: "timestamps"; readonly value: number; readonly echo: number }
  /** Also a known option of a wrong length. */
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array }
  /** Bytes that are no option: a length too small or too large. */
  | { readonly kind: "malformed"; readonly bytes: Uint8Array };

/** An option of Geneve. */
export interface GeneveOption {
  readonly class: number;
  /** The first bit: critical. */
  readonly type: number;
  /** The three bits before the length, 0 when sent. */
  readonly reserved?: number;
  /** A multiple of 4 bytes. */
  readonly data: Uint8Array;
  /** Only in what was parsed: `data` are bytes that are no option. */
  readonly malformed?: true;
}

/** A chunk of SCTP. */
export interface SctpChunk {
  /** 0 DATA, 1 INIT, 2 INIT ACK, 3 SACK, ... */
  readonly type: number;
  readonly flags: number;
  /** The value without the first four bytes. */
  readonly data: Uint8Array;
  /** The bytes after the value to a multiple of 4; zeros where absent. */
  readonly padding?: Uint8Array;
  /** Only in what was parsed: `data` are bytes that are no chunk. */
  readonly malformed?: true;
}

/** What a parser of options found, and where the first malformed one begins. */
export interface ParsedOptions<T> {
  readonly options: readonly T[];
  /** Offset in the given bytes, or null. */
  readonly malformedAt: number | null;
}

const none = new Uint8Array(0);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Zeros that bring the length to a multiple. */
export function padTo(bytes: Uint8Array, multiple: number): Uint8Array {
  const over = bytes.length % multiple;
  return over === 0 ? bytes : concat([bytes, new Uint8Array(multiple - over)]);
}

/** The options of an IPv4 header (RFC 791 section 3.1). */
export function parseIpv4Options(bytes: Uint8Array): ParsedOptions<IpOption> {
  const options: IpOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const type = bytes[at] ?? 0;
    if (type === 0) {
      options.push({ type, data: bytes.subarray(at + 1) });
      break;
    }
    const length = type === 1 ? 1 : (bytes[at + 1] ?? 0);
    if ((type !== 1 && length < 2) || at + length > bytes.length) {
      options.push({ type, data: bytes.subarray(at), malformed: true });
      return { options, malformedAt: at };
    }
    options.push({ type, data: type === 1 ? none : bytes.subarray(at + 2, at + length) });
    at += length;
  }
  return { options, malformedAt: null };
}

/** Bytes of IPv4 options, without padding. */
export function encodeIpv4Options(options: readonly IpOption[]): Uint8Array {
  return concat(
    options.map(({ type, data, malformed }) => {
      if (malformed === true) return data;
      if (type === 0) return Uint8Array.of(0, ...data);
      return type === 1 ? Uint8Array.of(1) : Uint8Array.of(type, data.length + 2, ...data);
    }),
  );
}

/** The options of an IPv6 option header (RFC 8200 section 4.2). */
export function parseIpv6Options(bytes: Uint8Array): ParsedOptions<IpOption> {
  const options: IpOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const type = bytes[at] ?? 0;
    if (type === 0) {
      options.push({ type, data: none });
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) {
      options.push({ type, data: bytes.subarray(at), malformed: true });
      return { options, malformedAt: at };
    }
    options.push({ type, data: bytes.subarray(at + 2, at + 2 + length) });
    at += 2 + length;
  }
  return { options, malformedAt: null };
}

/** Bytes of IPv6 options, padded (Pad1, PadN) so that header and options fill a multiple of 8 bytes. */
export function encodeIpv6Options(options: readonly IpOption[]): Uint8Array {
  const bytes = concat(
    options.map(({ type, data, malformed }) => {
      if (malformed === true) return data;
      return type === 0 ? Uint8Array.of(0) : Uint8Array.of(type, data.length, ...data);
    }),
  );
  const missing = (8 - ((bytes.length + 2) % 8)) % 8;
  if (missing === 0) return bytes;
  const padding = new Uint8Array(missing);
  if (missing > 1) padding.set([1, missing - 2]);
  return concat([bytes, padding]);
}

/** The options of a TCP header (RFC 9293 section 3.2, RFC 7323, RFC 2018). */
export function parseTcpOptions(bytes: Uint8Array): ParsedOptions<TcpOption> {
  const options: TcpOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const type = bytes[at] ?? 0;
    if (type === 0) {
      options.push({ kind: "end", rest: bytes.subarray(at + 1) });
      break;
    }
    if (type === 1) {
      options.push({ kind: "nop" });
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) {
      options.push({ kind: "malformed", bytes: bytes.subarray(at) });
      return { options, malformedAt: at };
    }
    options.push(tcpOption(type, bytes.subarray(at + 2, at + length)));
    at += length;
  }
  return { options, malformedAt: null };
}

function tcpOption(type: number, data: Uint8Array): TcpOption {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (type === 2 && data.length === 2) return { kind: "mss", value: view.getUint16(0) };
  if (type === 3 && data.length === 1) return { kind: "window-scale", shift: view.getUint8(0) };
  if (type === 4 && data.length === 0) return { kind: "sack-permitted" };
  if (type === 5 && data.length > 0 && data.length % 8 === 0) {
    const blocks = Array.from({ length: data.length / 8 }, (_, i) => ({
      left: view.getUint32(i * 8),
      right: view.getUint32(i * 8 + 4),
    }));
    return { kind: "sack", blocks };
  }
  if (type === 8 && data.length === 8) return { kind: "timestamps", value: view.getUint32(0), echo: view.getUint32(4) };
  return { kind: "unknown", type, data };
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

function encodeTcpOption(option: TcpOption): Uint8Array {
  switch (option.kind) {
    case "end":
      return Uint8Array.of(0, ...option.rest);
    case "nop":
      return Uint8Array.of(1);
    case "mss":
      return Uint8Array.of(2, 4, option.value >> 8, option.value);
    case "window-scale":
      return Uint8Array.of(3, 3, option.shift);
    case "sack-permitted":
      return Uint8Array.of(4, 2);
    case "sack":
      return Uint8Array.of(
        5,
        2 + option.blocks.length * 8,
        ...option.blocks.flatMap(({ left, right }) => [...u32(left), ...u32(right)]),
      );
    case "timestamps":
      return Uint8Array.of(8, 10, ...u32(option.value), ...u32(option.echo));
    case "unknown":
      return Uint8Array.of(option.type, option.data.length + 2, ...option.data);
    case "malformed":
      return option.bytes;
  }
}

/** Bytes of TCP options, without padding. */
export function encodeTcpOptions(options: readonly TcpOption[]): Uint8Array {
  return concat(options.map((option) => encodeTcpOption(option)));
}

/** The options of a Geneve header (RFC 8926 section 3.5). */
export function parseGeneveOptions(bytes: Uint8Array): ParsedOptions<GeneveOption> {
  const options: GeneveOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [high = 0, low = 0, type = 0, last = 0] = bytes.subarray(at);
    const end = at + 4 + (last & 0x1f) * 4;
    const head = { class: (high << 8) | low, type, reserved: last >> 5 };
    if (at + 4 > bytes.length || end > bytes.length) {
      options.push({ ...head, data: bytes.subarray(at), malformed: true });
      return { options, malformedAt: at };
    }
    options.push({ ...head, data: bytes.subarray(at + 4, end) });
    at = end;
  }
  return { options, malformedAt: null };
}

/** Bytes of Geneve options; data is padded with zeros to a multiple of 4. */
export function encodeGeneveOptions(options: readonly GeneveOption[]): Uint8Array {
  return concat(
    options.map((option) => {
      if (option.malformed === true) return option.data;
      const data = padTo(option.data, 4);
      const last = ((option.reserved ?? 0) << 5) | (data.length / 4);
      return concat([Uint8Array.of(option.class >> 8, option.class, option.type, last), data]);
    }),
  );
}

/** The chunks of an SCTP packet (RFC 9260 section 3.2). */
export function parseSctpChunks(bytes: Uint8Array): ParsedOptions<SctpChunk> {
  const options: SctpChunk[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [type = 0, flags = 0, high = 0, low = 0] = bytes.subarray(at);
    const length = (high << 8) | low;
    if (length < 4 || at + length > bytes.length) {
      options.push({ type, flags, data: bytes.subarray(at), malformed: true });
      return { options, malformedAt: at };
    }
    const next = Math.min(bytes.length, at + Math.ceil(length / 4) * 4);
    const data = bytes.subarray(at + 4, at + length);
    options.push({ type, flags, data, padding: bytes.subarray(at + length, next) });
    at = next;
  }
  return { options, malformedAt: null };
}

/** Bytes of SCTP chunks, each padded to a multiple of 4. */
export function encodeSctpChunks(chunks: readonly SctpChunk[]): Uint8Array {
  return concat(
    chunks.map(({ type, flags, data, padding, malformed }) => {
      if (malformed === true) return data;
      const length = data.length + 4;
      const chunk = concat([Uint8Array.of(type, flags, length >> 8, length), data]);
      return padding === undefined ? padTo(chunk, 4) : concat([chunk, padding]);
    }),
  );
}
