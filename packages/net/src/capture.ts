/** Files of captured packets: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng). */

/** A packet of a capture. */
export interface CapturedPacket {
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint;
  /** What was captured of it, which may be less than the packet. */
  readonly data: Uint8Array;
  /** Bytes on the wire. */
  readonly originalLength: number;
  /** Index into the capture's interfaces. Default 0. */
  readonly interfaceIndex?: number;
  /** Only pcapng. */
  readonly comment?: string;
  /** Only pcapng. */
  readonly direction?: "inbound" | "outbound";
}

/** Where packets were captured. */
export interface CaptureInterface {
  /** See `linkTypes`. */
  readonly linkType: number;
  /** Bytes that are captured of a packet at most; 0 for all. */
  readonly snapLength: number;
  /** Only pcapng. */
  readonly name?: string;
}

/** The first thing that is wrong with a file. */
export interface CaptureError {
  readonly offset: number;
  readonly reason: "truncated" | "malformed" | "unsupported";
  readonly message: string;
}

/** What a file holds; with an error, what stands before it. */
export interface Capture {
  readonly format: "pcap" | "pcapng" | null;
  /** pcap has one. */
  readonly interfaces: readonly CaptureInterface[];
  readonly packets: readonly CapturedPacket[];
  readonly error: CaptureError | null;
}

/** What the packets of a capture begin with (LINKTYPE_*). */
export const linkTypes = { null: 0, ethernet: 1, raw: 101, linuxSll: 113, nflog: 239, linuxSll2: 276 } as const;

const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;
const SECTION = 0x0a0d0d0a;
const SECTION_MAGIC = 0x1a2b3c4d;
const INTERFACE = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

class Damage extends Error {
  readonly problem: CaptureError;

  constructor(offset: number, reason: CaptureError["reason"], message: string) {
    super(message);
    this.problem = { offset, reason, message };
  }
}

/** Reads a pcap or pcapng file of either byte order. Never throws; packets are views of the bytes. */
export function readCapture(bytes: Uint8Array): Capture {
  const reader = new CaptureReader(bytes);
  let error: CaptureError | null = null;
  try {
    reader.read();
  } catch (caught) {
    if (!(caught instanceof Damage)) throw caught;
    error = caught.problem;
  }
  return { format: reader.format, interfaces: reader.interfaces, packets: reader.packets, error };
}

interface Resolution {
  readonly unitsPerSecond: bigint;
  /** Seconds. */
  readonly offset: bigint;
}

class CaptureReader {
  format: Capture["format"] = null;
  readonly interfaces: CaptureInterface[] = [];
  readonly packets: CapturedPacket[] = [];
  private readonly resolutions: Resolution[] = [];
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private little = true;
  /** The first interface of the section that is read. */
  private firstInterface = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): void {
    this.need(0, 4);
    const big = this.view.getUint32(0, false);
    const little = this.view.getUint32(0, true);
    if (big === SECTION) return this.readPcapng();
    for (const [magic, isLittle] of [
      [little, true],
      [big, false],
    ] as const) {
      if (magic !== MAGIC_MICRO && magic !== MAGIC_NANO) continue;
      this.little = isLittle;
      return this.readPcap(magic === MAGIC_NANO ? 1n : 1000n);
    }
    throw new Damage(0, "unsupported", "neither a pcap nor a pcapng file");
  }

  private need(offset: number, length: number, end = this.bytes.length): void {
    if (offset + length <= end) return;
    const message = `${length} bytes are needed at ${offset}, ${Math.max(0, end - offset)} are there`;
    throw new Damage(offset, end === this.bytes.length ? "truncated" : "malformed", message);
  }

  private u32(offset: number): number {
    return this.view.getUint32(offset, this.little);
  }

  private readPcap(nanosecondsPerUnit: bigint): void {
    this.format = "pcap";
    this.need(0, 24);
    // The upper half of the last word has flags.
    this.interfaces.push({ linkType: this.u32(20) & 0xffff, snapLength: this.u32(16) });
    for (let at = 24; at < this.bytes.length;) {
      this.need(at, 16);
      const captured = this.u32(at + 8);
      this.need(at + 16, captured);
      this.packets.push({
        timestamp: BigInt(this.u32(at)) * 1_000_000_000n + BigInt(this.u32(at + 4)) * nanosecondsPerUnit,
        data: this.bytes.subarray(at + 16, at + 16 + captured),
        originalLength: this.u32(at + 12),
      });
      at += 16 + captured;
    }
  }

  private readPcapng(): void {
    this.format = "pcapng";
    for (let at = 0; at < this.bytes.length;) {
      this.need(at, 12);
      const isSection = this.view.getUint32(at, false) === SECTION;
      if (isSection) this.readByteOrder(at);
      const length = this.u32(at + 4);
      if (length < 12 || length % 4 !== 0) throw new Damage(at + 4, "malformed", `a block of ${length} bytes`);
      this.need(at, length);
      if (this.u32(at + length - 4) !== length)
        throw new Damage(at + length - 4, "malformed", "the two lengths of a block differ");
      this.readBlock(isSection ? SECTION : this.u32(at), at + 8, at + length - 4);
      at += length;
    }
  }

  private readByteOrder(at: number): void {
    const little = this.view.getUint32(at + 8, true) === SECTION_MAGIC;
    if (!little && this.view.getUint32(at + 8, false) !== SECTION_MAGIC) {
      throw new Damage(at + 8, "malformed", "a section has no byte order");
    }
    this.little = little;
  }

  /** Other kinds of blocks (names, statistics, secrets, custom ones) are passed over. */
  private readBlock(type: number, from: number, to: number): void {
    switch (type) {
      case SECTION:
        this.need(from, 16, to);
        if (this.view.getUint16(from + 4, this.little) !== 1) {
          throw new Damage(from + 4, "unsupported", `pcapng of version ${this.view.getUint16(from + 4, this.little)}`);
        }
        this.firstInterface = this.interfaces.length;
        return;
      case INTERFACE:
        return this.readInterface(from, to);
      case ENHANCED_PACKET:
        this.need(from, 20, to);
        return this.readPacket({ from, to, interfaceIndex: this.u32(from) });
      case OBSOLETE_PACKET:
        this.need(from, 20, to);
        return this.readPacket({ from, to, interfaceIndex: this.view.getUint16(from, this.little) });
      case SIMPLE_PACKET:
        this.need(from, 4, to);
        return this.readSimplePacket(from, to);
    }
  }

  private readInterface(from: number, to: number): void {
    this.need(from, 8, to);
    let name: string | null = null;
    let unitsPerSecond = 1_000_000n;
    let offset = 0n;
    for (const { code, data } of this.options(from + 8, to)) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      if (code === 2) name = fromUtf8(data);
      if (code === 9 && data.length === 1) {
        const exponent = BigInt(view.getUint8(0) & 0x7f);
        unitsPerSecond = (view.getUint8(0) & 0x80) === 0 ? 10n ** exponent : 1n << exponent;
      }
      if (code === 14 && data.length === 8) offset = view.getBigInt64(0, this.little);
    }
    const face = { linkType: this.view.getUint16(from, this.little), snapLength: this.u32(from + 4) };
    this.interfaces.push(name === null ? face : { ...face, name });
    this.resolutions.push({ unitsPerSecond, offset });
  }

  private resolution(index: number, at: number): Resolution {
    const resolution = this.resolutions[index];
    if (resolution === undefined || index < this.firstInterface) {
      throw new Damage(at, "malformed", "a packet of an interface that is not described");
    }
    return resolution;
  }

  private readPacket(block: { readonly from: number; readonly to: number; readonly interfaceIndex: number }): void {
    const { from, to } = block;
    const interfaceIndex = this.firstInterface + block.interfaceIndex;
    const { unitsPerSecond, offset } = this.resolution(interfaceIndex, from);
    const units = (BigInt(this.u32(from + 4)) << 32n) | BigInt(this.u32(from + 8));
    const captured = this.u32(from + 12);
    this.need(from + 20, captured, to);
    const packet: CapturedPacket = {
      timestamp: (units * 1_000_000_000n) / unitsPerSecond + offset * 1_000_000_000n,
      data: this.bytes.subarray(from + 20, from + 20 + captured),
      originalLength: this.u32(from + 16),
      interfaceIndex,
    };
    this.packets.push({ ...packet, ...this.packetOptions(from + 20 + captured + ((4 - (captured % 4)) % 4), to) });
  }

  private packetOptions(from: number, to: number): Pick<CapturedPacket, "comment" | "direction"> {
    let found: Pick<CapturedPacket, "comment" | "direction"> = {};
    for (const { code, data } of this.options(from, to)) {
      if (code === 1) found = { ...found, comment: fromUtf8(data) };
      if (code !== 2 || data.length !== 4) continue;
      const direction = new DataView(data.buffer, data.byteOffset, 4).getUint32(0, this.little) & 3;
      if (direction === 1) found = { ...found, direction: "inbound" };
      if (direction === 2) found = { ...found, direction: "outbound" };
    }
    return found;
  }

  /** The packet has no length of its own: it is cut at the interface's limit. */
  private readSimplePacket(from: number, to: number): void {
    this.resolution(this.firstInterface, from);
    const originalLength = this.u32(from);
    const limit = this.interfaces[this.firstInterface]?.snapLength ?? 0;
    const captured = limit === 0 ? originalLength : Math.min(originalLength, limit);
    this.need(from + 4, captured, to);
    const data = this.bytes.subarray(from + 4, from + 4 + captured);
    this.packets.push({ timestamp: 0n, data, originalLength, interfaceIndex: this.firstInterface });
  }

  private *options(from: number, to: number): Generator<{ readonly code: number; readonly data: Uint8Array }> {
    for (let at = from; at < to;) {
      this.need(at, 4, to);
      const code = this.view.getUint16(at, this.little);
      const length = this.view.getUint16(at + 2, this.little);
      if (code === 0) return;
      this.need(at + 4, length, to);
      yield { code, data: this.bytes.subarray(at + 4, at + 4 + length) };
      at += 4 + length + ((4 - (length % 4)) % 4);
    }
  }
}

/** What is read of a byte sequence that is no UTF-8 has U+FFFD. */
function fromUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** What the beginning of a pcap file says. */
export interface PcapOptions {
  /** Default Ethernet. */
  readonly linkType?: number;
  /** Default 262144, which is also what readers allow at most. */
  readonly snapLength?: number;
}

/** The beginning of a pcap file with nanoseconds, little-endian; records follow. */
export function pcapHeader(options: PcapOptions = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, MAGIC_NANO, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, options.snapLength ?? 262_144, true);
  view.setUint32(20, options.linkType ?? linkTypes.ethernet, true);
  return new Uint8Array(view.buffer);
}

/** One packet of a pcap file. */
export function pcapRecord(packet: CapturedPacket): Uint8Array {
  const bytes = new Uint8Array(16 + packet.data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Number(packet.timestamp / 1_000_000_000n), true);
  view.setUint32(4, Number(packet.timestamp % 1_000_000_000n), true);
  view.setUint32(8, packet.data.length, true);
  view.setUint32(12, packet.originalLength, true);
  bytes.set(packet.data, 16);
  return bytes;
}

/** A whole pcap file. */
export function writePcap(packets: Iterable<CapturedPacket>, options: PcapOptions = {}): Uint8Array {
  return concat([pcapHeader(options), ...Array.from(packets, (packet) => pcapRecord(packet))]);
}

/** The beginning of a pcapng file, little-endian, with its interfaces (timestamps in nanoseconds); records follow. */
export function pcapngHeader(interfaces: readonly CaptureInterface[]): Uint8Array {
  const section = new DataView(new ArrayBuffer(16));
  section.setUint32(0, SECTION_MAGIC, true);
  section.setUint16(4, 1, true);
  section.setBigInt64(8, -1n, true);
  return concat([
    block(SECTION, new Uint8Array(section.buffer)),
    ...interfaces.map((face) => {
      const fixed = new DataView(new ArrayBuffer(8));
      fixed.setUint16(0, face.linkType, true);
      fixed.setUint32(4, face.snapLength, true);
      const options = [option(9, Uint8Array.of(9))];
      if (face.name !== undefined) options.unshift(option(2, toUtf8(face.name)));
      return block(INTERFACE, concat([new Uint8Array(fixed.buffer), ...options, option(0)]));
    }),
  ]);
}

/** One packet of a pcapng file. */
export function pcapngRecord(packet: CapturedPacket): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(20));
  fixed.setUint32(0, packet.interfaceIndex ?? 0, true);
  fixed.setUint32(4, Number(BigInt.asUintN(32, packet.timestamp >> 32n)), true);
  fixed.setUint32(8, Number(BigInt.asUintN(32, packet.timestamp)), true);
  fixed.setUint32(12, packet.data.length, true);
  fixed.setUint32(16, packet.originalLength, true);
  const options: Uint8Array[] = [];
  if (packet.comment !== undefined) options.push(option(1, toUtf8(packet.comment)));
  if (packet.direction !== undefined)
    options.push(option(2, Uint8Array.of(packet.direction === "inbound" ? 1 : 2, 0, 0, 0)));
  if (options.length > 0) options.push(option(0));
  return block(
    ENHANCED_PACKET,
    concat([new Uint8Array(fixed.buffer), packet.data, zeros(packet.data.length), ...options]),
  );
}

/** A whole pcapng file. */
export function writePcapng(packets: Iterable<CapturedPacket>, interfaces: readonly CaptureInterface[]): Uint8Array {
  return concat([pcapngHeader(interfaces), ...Array.from(packets, (packet) => pcapngRecord(packet))]);
}

function toUtf8(text: string): Uint8Array {
  // An option's length has 16 bits.
  return new TextEncoder().encode(text).subarray(0, 0xffff);
}

/** The padding after that many bytes to a multiple of four. */
function zeros(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}

function option(code: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  return concat([Uint8Array.of(code, 0, data.length & 0xff, data.length >> 8), data, zeros(data.length)]);
}

function block(type: number, body: Uint8Array): Uint8Array {
  const ends = new DataView(new ArrayBuffer(8));
  ends.setUint32(0, type, true);
  ends.setUint32(4, body.length + 12, true);
  const head = new Uint8Array(ends.buffer);
  return concat([head, body, head.subarray(4)]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
