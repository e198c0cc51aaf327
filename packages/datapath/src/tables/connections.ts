/**
 * @module
 * Connections, and the mappings of source NAT.
 */
import type { Machine, RawMap } from "@skep/machine";
import { protocolName } from "@skep/policy";
import * as maps from "../bpf/maps.bpf.ts";
import { NatEntry, NatKey } from "../bpf/nat-map.bpf.ts";
import { addressText, endText, table, type TableRow, text } from "./table.ts";

const FLAG_REPLY_SEEN = 1;
const FLAG_CLOSING = 2 | 4 | 8;
const FLAG_OPENED_BY_SECOND = 16;

function stateOf(flags: number): string {
  if ((flags & FLAG_CLOSING) !== 0) return "closing";
  return (flags & FLAG_REPLY_SEEN) !== 0 ? "established" : "opening";
}

/** The opener is the source, whichever end of the key it is. */
function* connectionRows(map: RawMap, { clock }: Pick<Machine, "clock">): Iterable<TableRow> {
  const now = Number(clock.monotonic() / 1_000_000_000n);
  for (const [rawKey, rawValue] of map.entries()) {
    const key = maps.ConnectionKey.decode(rawKey);
    const value = maps.Connection.decode(rawValue);
    const isSwapped = (value.flags & FLAG_OPENED_BY_SECOND) !== 0;
    const first = { address: addressText(key.first), port: key.firstPort };
    const second = { address: addressText(key.second), port: key.secondPort };
    const [source, destination] = isSwapped ? [second, first] : [first, second];
    yield {
      protocol: protocolName(key.protocol),
      source: source.address,
      sourcePort: source.port,
      destination: destination.address,
      destinationPort: destination.port,
      state: value.expires <= now ? "expired" : stateOf(value.flags),
      /** Seconds. */
      expiresIn: Math.max(value.expires - now, 0),
      packets: value.packets,
      bytes: value.bytes,
      replyPackets: value.replyPackets,
      replyBytes: value.replyBytes,
      sourceIdentity: value.ingressIdentity,
      destinationIdentity: value.egressIdentity,
    };
  }
}

export const connections = table({
  name: "ct",
  summary: "connections",
  map: "skep_ct",
  columns: [
    ["PROTOCOL", text("protocol")],
    ["SOURCE", (row) => endText(row["source"], row["sourcePort"])],
    ["DESTINATION", (row) => endText(row["destination"], row["destinationPort"])],
    ["STATE", text("state")],
    ["EXPIRES", (row) => `${String(row["expiresIn"])}s`],
    ["PACKETS", text("packets")],
    ["BYTES", text("bytes")],
    ["REPLY PACKETS", text("replyPackets")],
    ["REPLY BYTES", text("replyBytes")],
  ],
  rows: connectionRows,
});

// ---- source NAT ----

/** By a NatKey's direction; `asked`: answers to what another node has sent on come from what its client asked for. */
const DIRECTIONS = ["out", "in", "asked"];

function* natRows(map: RawMap, { clock }: Pick<Machine, "clock">): Iterable<TableRow> {
  const now = Number(clock.monotonic() / 1_000_000_000n);
  for (const [rawKey, rawValue] of map.entries()) {
    const key = NatKey.decode(rawKey);
    const value = NatEntry.decode(rawValue);
    yield {
      protocol: protocolName(key.protocol),
      direction: DIRECTIONS[key.direction] ?? `${key.direction}`,
      source: addressText(key.source),
      sourcePort: key.sourcePort,
      destination: addressText(key.destination),
      destinationPort: key.destinationPort,
      /** In place of the source (out, asked) or of the destination (in). */
      translated: addressText(value.address),
      translatedPort: value.port,
      /** Seconds. Null: what goes out lasts as long as what its answers are given back by. */
      expiresIn: value.expires === 0 ? null : Math.max(value.expires - now, 0),
    };
  }
}

export const nat = table({
  name: "nat",
  summary: "mappings of source NAT",
  map: "skep_nat",
  columns: [
    ["PROTOCOL", text("protocol")],
    ["DIRECTION", (row) => String(row["direction"]).toUpperCase()],
    ["SOURCE", (row) => endText(row["source"], row["sourcePort"])],
    ["DESTINATION", (row) => endText(row["destination"], row["destinationPort"])],
    ["TRANSLATED", (row) => endText(row["translated"], row["translatedPort"])],
    ["EXPIRES", (row) => (row["expiresIn"] === null ? "" : `${String(row["expiresIn"])}s`)],
  ],
  rows: natRows,
});
