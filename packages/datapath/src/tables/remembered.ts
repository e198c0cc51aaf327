/**
 * @module
 * What the datapath remembers and is told beside connections and services: rates, fragments, sockets, clients, and whom services are for.
 */
import type { RawMap } from "@skep/machine";
import { formatPrefix } from "@skep/net";
import { protocolName } from "@skep/policy";
import { Throttle, ThrottleKey } from "../bpf/bandwidth.bpf.ts";
import * as maps from "../bpf/maps.bpf.ts";
import { FragmentKey, Fragments } from "../bpf/packet.bpf.ts";
import { DIRECTION_INGRESS } from "../bpf/policy.bpf.ts";
import { decodeAddress } from "../encode.ts";
import { mapPin } from "../layouts.ts";
import { addressText, type DatapathTable, endText, open, table, type TableRow, text } from "./table.ts";

const end = (address: string, port: string) => (row: TableRow) => endText(row[address], row[port]);

/** `length` counts from the start of an address of 16 bytes. */
function prefixText(words: maps.Address, length: number): string {
  const address = decodeAddress(words);
  return formatPrefix({ address, length: address.family === 4 ? length - 96 : length });
}

export const bandwidth = table({
  name: "bandwidth",
  summary: "rates of workloads",
  map: "skep_throttle",
  columns: [
    ["ENDPOINT", text("endpoint")],
    ["DIRECTION", text("direction")],
    ["BITS/S", text("rate")],
  ],
  *rows(map) {
    for (const [key, value] of map.entries()) {
      const { endpoint, direction } = ThrottleKey.decode(key);
      const { rate } = Throttle.decode(value);
      yield { endpoint, direction: direction === DIRECTION_INGRESS ? "ingress" : "egress", rate: rate * 8n };
    }
  },
});

export const fragmented = table({
  name: "frag",
  summary: "datagrams in fragments",
  map: "skep_fragments",
  columns: [
    ["PROTOCOL", text("protocol")],
    ["SOURCE", end("source", "sourcePort")],
    ["DESTINATION", end("destination", "destinationPort")],
    ["IDENTIFICATION", text("identification")],
  ],
  *rows(map) {
    for (const [rawKey, value] of map.entries()) {
      const key = FragmentKey.decode(rawKey);
      const { sourcePort, destinationPort } = Fragments.decode(value);
      yield {
        ...{ protocol: protocolName(key.protocol), identification: key.identification },
        ...{ source: addressText(key.source), sourcePort },
        ...{ destination: addressText(key.destination), destinationPort },
      };
    }
  },
});

export const unmasqueraded = table({
  name: "ipmasq",
  summary: "where workloads keep their addresses",
  map: "skep_nomasq",
  columns: [["PREFIX", text("prefix")]],
  *rows(map) {
    for (const [rawKey] of map.entries()) {
      const key = maps.IpcacheKey.decode(rawKey);
      yield { prefix: prefixText(key.address, key.prefixLength) };
    }
  },
});

function socketRow({ cookie, address, port }: maps.ReverseKey, asked: maps.ReverseEntry): TableRow {
  return {
    ...{ cookie, protocol: protocolName(asked.protocol) },
    ...{ backend: asked.backend, backendAddress: addressText(address), backendPort: port },
    ...{ id: asked.service, address: addressText(asked.address), port: asked.port },
  };
}

/** TCP sockets have rows of their own while these are free. */
function* tcpRows(owners: RawMap, rows: RawMap): Iterable<TableRow> {
  for (const [at, owner] of owners.entries()) {
    const { cookie } = maps.AskedOwner.decode(owner);
    const row = cookie === 0n ? null : rows.get(at);
    const asked = row && maps.Asked.decode(row);
    if (asked?.key.cookie === cookie) yield socketRow(asked.key, asked.entry);
  }
}

export const sockets: DatapathTable = {
  name: "socknat",
  summary: "sockets and what they have asked for",
  columns: [
    ["SOCKET COOKIE", text("cookie")],
    ["PROTOCOL", text("protocol")],
    ["BACKEND", end("backendAddress", "backendPort")],
    ["FRONTEND", end("address", "port")],
    ["ID", text("id")],
  ],
  read({ bpf }, pins) {
    const opened = ["skep_sock_rev", "skep_sock_owner", "skep_sock_tcp"].map((name) => open(bpf, pins, name));
    try {
      const [reverse, owners, rows] = opened;
      if (!reverse || !owners || !rows) return null;
      const others = [...reverse.entries()].map(([key, value]) =>
        socketRow(maps.ReverseKey.decode(key), maps.ReverseEntry.decode(value)),
      );
      return [...tcpRows(owners, rows), ...others];
    } finally {
      for (const map of opened) map?.close();
    }
  },
};

export const clients = table({
  name: "affinity",
  summary: "clients that keep their backends",
  map: "skep_affinity",
  columns: [
    ["ID", text("id")],
    ["CLIENT", text("client")],
    ["BACKEND", text("backend")],
    ["IDLE", (row) => `${String(row["idle"])}s`],
  ],
  *rows(map, { clock }) {
    const now = Number(clock.monotonic() / 1_000_000_000n);
    for (const [rawKey, value] of map.entries()) {
      const { service, client, isCookie } = maps.AffinityKey.decode(rawKey);
      const { backend, lastUsed } = maps.Affinity.decode(value);
      // A client of this node is known by the cookie of its network namespace.
      const name = isCookie === 0 ? addressText(client) : `namespace ${cookieOf(client)}`;
      yield { id: service, client: name, backend, idle: Math.max(now - lastUsed, 0) };
    }
  },
});

const cookieOf = ({ w0, w1 }: maps.Address): bigint => (BigInt(w0) << 32n) | BigInt(w1);

export const ranges = table({
  name: "ranges",
  summary: "source ranges of services",
  map: "skep_src_range",
  columns: [
    ["ID", text("id")],
    ["PREFIX", text("prefix")],
  ],
  *rows(map) {
    for (const [rawKey] of map.entries()) {
      const { prefixLength, service, address } = maps.SourceRangeKey.decode(rawKey);
      yield { id: service, prefix: prefixText(address, prefixLength - 32) };
    }
  },
});

/** Its layout is the agent's choice (`--maglev-table-size`): rows are numbers of backends, however many. */
export const maglev: DatapathTable = {
  name: "maglev",
  summary: "backends' shares of Maglev tables",
  columns: [
    ["ID", text("id")],
    ["BACKEND", text("backend")],
    ["SLOTS", text("slots")],
    ["OF", text("of")],
  ],
  read({ bpf }, pins) {
    const map = bpf.openMap(mapPin(pins, "skep_maglev"));
    if (!map) return null;
    try {
      return [...map.entries()]
        .flatMap(([key]) => sharesAt(map, key))
        .sort((a, b) => Number(a["id"]) - Number(b["id"]));
    } finally {
      map.close();
    }
  },
};

function sharesAt(map: RawMap, key: Uint8Array): TableRow[] {
  const inner = map.getMap(key);
  // It has gone since.
  if (!inner) return [];
  try {
    const row = inner.get(new Uint8Array(4));
    return row ? [...shares(new DataView(key.buffer, key.byteOffset).getUint32(0, true), row)] : [];
  } finally {
    inner.close();
  }
}

function* shares(id: number, row: Uint8Array): Iterable<TableRow> {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const slots = new Map<number, number>();
  for (let at = 0; at < view.byteLength; at += 4) {
    const backend = view.getUint32(at, true);
    slots.set(backend, (slots.get(backend) ?? 0) + 1);
  }
  for (const [backend, count] of [...slots].sort(([a], [b]) => a - b))
    yield { id, backend, slots: count, of: view.byteLength / 4 };
}
