/**
 * Domain names (RFC 1035 section 3.1) as text: labels with dots between, none at the end, `.` for the root. A dot or
 * backslash inside of a label is `\.` or `\\`, a byte outside of printable ASCII `\DDD` (RFC 4343 section 2.1).
 */

/** Why a message cannot be read. */
export interface DnsError {
  /** Where in the message. */
  readonly offset: number;
  readonly reason: "truncated" | "malformed";
  readonly message: string;
}

/** Thrown inside this folder only. */
export class DnsDamage extends Error {
  readonly problem: DnsError;

  constructor(offset: number, reason: DnsError["reason"], message: string) {
    super(message);
    this.problem = { offset, reason, message };
  }
}

/** Bytes of a name on the wire at most, and of a label. */
const MAX_NAME = 255;
const MAX_LABEL = 63;
/** No name of a useful message needs more; it bounds the time that a hostile one takes. */
const MAX_POINTERS = 64;

function labelText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}

/**
 * The labels of a name's text as bytes, or null if it is none: an empty label, a label of more than 63 bytes, a name
 * of more than 255, an escape that is none. A dot at the end is allowed.
 */
export function parseDnsName(text: string): Uint8Array[] | null {
  if (text === "." || text === "") return [];
  const labels: number[][] = [[]];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      labels.push([]);
      continue;
    }
    const escape = code === 0x5c ? /^\\(?:(\d{3})|([^\d]))/.exec(text.slice(i, i + 4)) : null;
    const byte = code !== 0x5c ? code : escape?.[1] !== undefined ? Number(escape[1]) : escape?.[2]?.charCodeAt(0);
    if (byte === undefined || byte > 255) return null;
    labels.at(-1)?.push(byte);
    i += escape === null ? 0 : escape[0].length - 1;
  }
  if (labels.at(-1)?.length === 0) labels.pop();
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1);
  if (length > MAX_NAME || labels.some((label) => label.length === 0 || label.length > MAX_LABEL)) return null;
  return labels.map((label) => Uint8Array.from(label));
}

/** Lower case of ASCII letters, no dot at the end: equal names have equal text. Null if it is no name. */
export function canonicalDnsName(text: string): string | null {
  const labels = parseDnsName(text);
  return labels === null ? null : nameText(labels).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function nameText(labels: readonly Uint8Array[]): string {
  return labels.length === 0 ? "." : labels.map((label) => labelText(label)).join(".");
}

/** Reads a name of a message, following pointers, which must lead backwards. `end` is behind it where it stands. */
export function readName(message: Uint8Array, offset: number): { readonly name: string; readonly end: number } {
  const labels: Uint8Array[] = [];
  let size = 1;
  let end: number | null = null;
  // A pointer leads to before everything that was read of this name, so reading ends.
  let start = offset;
  let pointers = 0;
  for (let at = offset; ;) {
    const length = message[at];
    if (length === undefined) throw new DnsDamage(at, "truncated", "a name ends too early");
    if (length === 0) return { name: nameText(labels), end: end ?? at + 1 };
    if (length >= 0xc0) {
      const low = message[at + 1];
      if (low === undefined) throw new DnsDamage(at + 1, "truncated", "a pointer ends too early");
      const target = ((length & 0x3f) << 8) | low;
      if (target >= start) throw new DnsDamage(at, "malformed", "a pointer that does not lead backwards");
      if (++pointers > MAX_POINTERS)
        throw new DnsDamage(at, "malformed", `a name of more than ${MAX_POINTERS} pointers`);
      end ??= at + 2;
      start = target;
      at = target;
      continue;
    }
    if (length > MAX_LABEL) throw new DnsDamage(at, "malformed", "a label of an unknown kind");
    if (at + 1 + length > message.length) throw new DnsDamage(message.length, "truncated", "a label ends too early");
    size += length + 1;
    if (size > MAX_NAME) throw new DnsDamage(at, "malformed", "a name of more than 255 bytes");
    labels.push(message.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** Writes names and remembers where, so that later ones point to their ends. */
export class NameWriter {
  /** Offsets of what was written, by the bytes of the rest of the name. Case is kept, so only equal bytes match. */
  private readonly places = new Map<string, number>();

  /** The name as it is written at that offset of the message. Throws a RangeError for a text that is no name. */
  encode(name: string, offset: number, compress: boolean): number[] {
    const labels = parseDnsName(name);
    if (labels === null) throw new RangeError(`${JSON.stringify(name)} is no domain name`);
    const bytes: number[] = [];
    for (let i = 0; i < labels.length; i++) {
      const rest = nameText(labels.slice(i));
      const place = compress ? this.places.get(rest) : undefined;
      if (place !== undefined) return [...bytes, 0xc0 | (place >> 8), place & 0xff];
      // A pointer has 14 bits.
      if (offset + bytes.length < 0x4000 && !this.places.has(rest)) this.places.set(rest, offset + bytes.length);
      const label = labels[i] ?? [];
      bytes.push(label.length, ...label);
    }
    return [...bytes, 0];
  }
}
