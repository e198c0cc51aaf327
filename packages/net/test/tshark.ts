/**
 * @module
 * What Wireshark's dissectors say of frames: another's eye on what was rewritten and encapsulated.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checksum,
  type Layer,
  linkTypes,
  type ParsedPacket,
  parsePacket,
  pseudoHeaderSum,
  writePcapng,
} from "../src/index.ts";

/** Whether tshark is there. Says why not. */
export function hasTshark(): boolean {
  const isThere = spawnSync("tshark", ["--version"]).status === 0;
  if (!isThere) console.warn("skipped: what Wireshark says of captured packets needs Debian's tshark");
  return isThere;
}

const VALIDATE = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"].flatMap((name) => [
  "-o",
  `${name}:TRUE`,
]);
const CHECKSUMS = ["ip", "tcp", "udp", "icmp", "icmpv6", "sctp"].map((name) => `${name}.checksum.status == 0`);
const WRONG = ["_ws.malformed", "_ws.short", '_ws.expert.severity == "Error"', ...CHECKSUMS].join(" || ");
const FIELDS = ["frame.number", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert.message"].flatMap((name) => [
  "-e",
  name,
]);

/**
 * A line for each frame that tshark finds malformed, cut, with a wrong checksum (every checksum is validated, also inside tunnels) or with an expert's error.
 * Throws where tshark fails.
 */
export function tsharkFindings(frames: Iterable<Uint8Array>): string[] {
  const packets = Array.from(frames, (data) => ({ timestamp: 0n, data, originalLength: data.length }));
  const file = writePcapng(packets, [{ linkType: linkTypes.ethernet, snapLength: 0 }]);
  // Frames seen at several interfaces, and streams that begin in the middle, are no retransmissions: each frame is looked at for itself.
  const analysis = ["-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"];
  const folder = mkdtempSync(join(tmpdir(), "skep-tshark-"));
  try {
    const path = join(folder, "frames.pcapng");
    writeFileSync(path, file);
    const args = ["-n", "-r", path, ...VALIDATE, ...analysis, "-Y", WRONG, "-T", "fields", ...FIELDS];
    const { stdout, stderr, status, error } = spawnSync("tshark", args, { encoding: "utf8", maxBuffer: 1 << 26 });
    if (error) throw error;
    if (status !== 0) throw new Error(`tshark ended with ${status}: ${stderr}`);
    return stdout.split("\n").filter((line) => line !== "");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PROTOCOL = { tcp: 6, udp: 17 } as const;
const FIELD = { tcp: 16, udp: 6 } as const;

/**
 * The frame as the device puts it on the wire: in a checksum that the sender left to the device stands the sum of the pseudo header alone
 * (CHECKSUM_PARTIAL, linux/skbuff.h), and what the device adds is added here.
 * Anything else stays as it is, right or wrong.
 */
export function asOnTheWire(frame: Uint8Array): Uint8Array {
  let bytes = frame;
  // The innermost first: an outer checksum covers it.
  for (const [index, layer] of [...parsePacket(frame).layers.entries()].reverse())
    if (layer.kind === "tcp" || layer.kind === "udp") bytes = completed(parsePacket(bytes), index, layer.kind);
  return bytes;
}

function completed(packet: ParsedPacket, index: number, kind: "tcp" | "udp"): Uint8Array {
  const span = packet.spans[index];
  const ip = packet.layers.slice(0, index).findLast((each: Layer) => each.kind === "ipv4" || each.kind === "ipv6");
  if (!span || (ip?.kind !== "ipv4" && ip?.kind !== "ipv6")) return packet.bytes;
  const segment = packet.bytes.subarray(span.offset, span.end);
  const at = span.offset + FIELD[kind];
  const view = new DataView(packet.bytes.buffer, packet.bytes.byteOffset);
  if (segment.length < FIELD[kind] + 2) return packet.bytes;
  if (view.getUint16(at) !== pseudoHeaderSum(ip, PROTOCOL[kind], segment.length)) return packet.bytes;
  const copy = Uint8Array.from(packet.bytes);
  new DataView(copy.buffer).setUint16(at, checksum(segment) || (kind === "udp" ? 0xffff : 0));
  return copy;
}
