/**
 * @module
 * What the pinned maps hold, as rows that print themselves: read from the kernel, whether an agent is at work or not.
 */
import type { BpfMachine, Machine, RawMap } from "@skep/machine";
import { type Address, formatAddress, formatMac, formatPrefix } from "@skep/net";
import { type ObjectSpec, readObject } from "@skep/object";
import { protocolName } from "@skep/policy";
import * as maps from "./bpf/maps.bpf.ts";
import { readCounters } from "./counters.ts";
import { dropReasonText } from "./drop-reasons.ts";
import { decodeAddress, decodeU32 } from "./encode.ts";
import { skepObject } from "./generated/skep-object.ts";
import { openPinnedMap } from "./layouts.ts";

/** Addresses are text, 64-bit counters bigints. */
export type TableCell = string | number | bigint | boolean | null;
export type TableRow = Readonly<Record<string, TableCell>>;

export interface DatapathTable {
  /** As in `skep bpf NAME list`. */
  readonly name: string;
  readonly summary: string;
  /** Header and cell of each column. */
  readonly columns: readonly (readonly [title: string, cell: (row: TableRow) => string])[];
  /** Rows in a stable order; null where the datapath is not pinned there. Throws LayoutError where another version has pinned it. */
  readonly read: (machine: Pick<Machine, "bpf" | "clock">, pins: string) => TableRow[] | null;
}

const text = (name: string) => (row: TableRow) => (row[name] === null ? "" : String(row[name]));

/** Reads one map; the order is that of the rows' text. */
function table(
  definition: Pick<DatapathTable, "name" | "summary" | "columns"> & {
    readonly map: string;
    readonly rows: (map: RawMap, machine: Pick<Machine, "clock">) => Iterable<TableRow>;
  },
): DatapathTable {
  const { map: name, rows, ...rest } = definition;
  return {
    ...rest,
    read(machine, pins) {
      const map = open(machine.bpf, pins, name);
      if (!map) return null;
      try {
        return [...rows(map, machine)];
      } finally {
        map.close();
      }
    },
  };
}

let object: ObjectSpec | undefined;

function open(bpf: BpfMachine, pins: string, name: string): RawMap | null {
  object ??= readObject(skepObject());
  return openPinnedMap(bpf, { pins, spec: object, name });
}

/** An address as text; empty for none. */
const addressText = (words: maps.Address): string =>
  (words.w0 | words.w1 | words.w2 | words.w3) === 0 ? "" : formatAddress(decodeAddress(words));

const endText = (address: TableCell | undefined, port: TableCell | undefined): string =>
  String(address).includes(":") ? `[${String(address)}]:${String(port)}` : `${String(address)}:${String(port)}`;

// ---- connections ----

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

const connections = table({
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

// ---- addresses ----

const prefixOf = (key: ReturnType<typeof maps.IpcacheKey.decode>): string => {
  const address: Address = decodeAddress(key.address);
  return formatPrefix({ address, length: address.family === 4 ? key.prefixLength - 96 : key.prefixLength });
};

const ipcache = table({
  name: "ipcache",
  summary: "identities of addresses",
  map: "skep_ipcache",
  columns: [
    ["PREFIX", text("prefix")],
    ["IDENTITY", text("identity")],
  ],
  *rows(map) {
    for (const [key, value] of map.entries())
      yield { prefix: prefixOf(maps.IpcacheKey.decode(key)), identity: maps.IpcacheEntry.decode(value).identity };
  },
});

const endpoints = table({
  name: "endpoint",
  summary: "local workloads by interface",
  map: "skep_ep_if",
  columns: [
    ["ENDPOINT", text("id")],
    ["IDENTITY", text("identity")],
    ["IPV4", text("ipv4")],
    ["IPV6", text("ipv6")],
    ["INTERFACE", text("ifindex")],
    ["MAC", text("mac")],
    ["NODE MAC", text("nodeMac")],
    ["GENERATION", text("generation")],
  ],
  *rows(map) {
    for (const [, value] of map.entries()) {
      const row = maps.Endpoint.decode(value);
      yield {
        id: row.id,
        identity: row.identity,
        ipv4: addressText(row.address),
        ipv6: addressText(row.address6),
        ifindex: row.ifindex,
        mac: formatMac(Uint8Array.from(row.mac.bytes)),
        nodeMac: formatMac(Uint8Array.from(row.hostMac.bytes)),
        /** Of the policy in force. */
        generation: row.generation,
      };
    }
  },
});

// ---- policy ----

const DENY = 1;
const AUDIT = 2;
const PORT_FROM = 48;

function portText(port: number, prefixLength: number): string {
  if (prefixLength <= PORT_FROM) return "ANY";
  const last = port + (1 << (64 - prefixLength)) - 1;
  return last === port ? String(port) : `${port}-${last}`;
}

function* policyRows(outer: RawMap): Iterable<TableRow> {
  for (const [endpoint] of outer.entries()) {
    const inner = outer.getMap(endpoint);
    if (!inner) continue;
    try {
      for (const [rawKey, rawValue] of inner.entries()) {
        const key = maps.PolicyKey.decode(rawKey);
        const value = maps.PolicyEntry.decode(rawValue);
        yield {
          endpoint: decodeU32(endpoint),
          policy: (value.flags & DENY) !== 0 ? "deny" : (value.flags & AUDIT) !== 0 ? "audit" : "allow",
          direction: key.direction === 1 ? "ingress" : "egress",
          /** 0: any. */
          identity: ((key.identity0 << 24) | (key.identity1 << 16) | (key.identity2 << 8) | key.identity3) >>> 0,
          protocol: protocolName(key.protocol),
          port: portText(key.port, key.prefixLength),
          proxyPort: value.proxyPort,
          precedence: value.precedence,
          cookie: value.cookie,
          prefixLength: key.prefixLength,
        };
      }
    } finally {
      inner.close();
    }
  }
}

const policies = table({
  name: "policy",
  summary: "policy entries by endpoint",
  map: "skep_policy",
  columns: [
    ["ENDPOINT", text("endpoint")],
    ["POLICY", (row) => ({ deny: "Deny", audit: "Audit" })[String(row["policy"])] ?? "Allow"],
    ["DIRECTION", (row) => (row["direction"] === "ingress" ? "Ingress" : "Egress")],
    ["IDENTITY", (row) => (row["identity"] === 0 ? "ANY" : String(row["identity"]))],
    ["PORT/PROTO", (row) => `${String(row["port"])}/${String(row["protocol"])}`],
    ["PROXY PORT", (row) => (row["proxyPort"] === 0 ? "NONE" : String(row["proxyPort"]))],
    ["PRECEDENCE", text("precedence")],
    ["COOKIE", text("cookie")],
  ],
  rows: policyRows,
});

// ---- counters ----

const metrics = table({
  name: "metrics",
  summary: "packets by verdict and direction",
  map: "skep_metrics",
  columns: [
    ["REASON", text("text")],
    ["CODE", text("reason")],
    ["DIRECTION", text("direction")],
    ["PACKETS", text("packets")],
    ["BYTES", text("bytes")],
  ],
  *rows(map) {
    for (const counter of readCounters(map))
      yield { ...counter, text: counter.reason === 0 ? "Forwarded" : dropReasonText(counter.reason) };
  },
});

/** Every table, by its name. */
export const datapathTables: readonly DatapathTable[] = [connections, endpoints, ipcache, metrics, policies];
