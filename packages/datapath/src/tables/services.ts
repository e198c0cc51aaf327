/**
 * @module
 * Frontends with their slots and backends.
 */
import { algorithmText, backendStateText, flagTexts } from "@skep/control";
import type { RawMap } from "@skep/machine";
import { protocolName } from "@skep/policy";
import * as maps from "../bpf/maps.bpf.ts";
import { decodeU32, encodeU32 } from "../encode.ts";
import { addressText, type DatapathTable, endText, open, table, type TableRow, text } from "./table.ts";

/** 1: for clients of this node, where the frontend has another set for those outside. */
const INTERNAL = 1;

function serviceRow(rawKey: Uint8Array, rawValue: Uint8Array, backends: RawMap): TableRow {
  const key = maps.ServiceKey.decode(rawKey);
  const value = maps.Service.decode(rawValue);
  const found = value.backend === 0 ? null : backends.get(encodeU32(value.backend));
  const backend = found && maps.Backend.decode(found);
  return {
    address: addressText(key.address),
    port: key.port,
    protocol: protocolName(key.protocol),
    scope: key.scope === INTERNAL ? "internal" : "external",
    slot: key.slot,
    /** Number of the frontend. */
    id: value.id,
    backend: value.backend,
    backendAddress: backend ? addressText(backend.address) : null,
    backendPort: backend ? backend.port : null,
    backendState: backend ? backendStateText(backend.state) : null,
    /** Slot 0. */
    count: value.count,
    quarantined: value.quarantined,
    algorithm: algorithmText(value.algorithm),
    /** Seconds. */
    affinityTimeout: value.affinity,
    flags: flagTexts(value.flags).join(", "),
  };
}

function frontText(row: TableRow): string {
  const scope = row["scope"] === "internal" ? "/i" : "";
  return `${endText(row["address"], row["port"])}/${String(row["protocol"])}${scope} (${String(row["slot"])})`;
}

function backText(row: TableRow): string {
  const at = row["backendAddress"] === null ? "" : `${endText(row["backendAddress"], row["backendPort"])}`;
  const state =
    row["backendState"] === null || row["backendState"] === "active" ? "" : ` (${String(row["backendState"])})`;
  return row["slot"] === 0 ? `${String(row["count"])} active` : at === "" ? "missing" : `${at}${state}`;
}

const frontOf = (row: TableRow): string =>
  `${endText(row["address"], row["port"])} ${String(row["protocol"])} ${String(row["scope"])}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const services: DatapathTable = {
  name: "lb",
  summary: "frontends and their backends",
  columns: [
    ["SERVICE (SLOT)", frontText],
    ["BACKEND", backText],
    ["ID", (row) => String(row["id"])],
    ["FLAGS", (row) => (row["slot"] === 0 ? String(row["flags"]) : "")],
  ],
  read({ bpf }, pins) {
    const slots = open(bpf, pins, "skep_services");
    if (!slots) return null;
    const backends = open(bpf, pins, "skep_backends");
    try {
      if (!backends) return null;
      const rows = [...slots.entries()].map(([key, value]) => serviceRow(key, value, backends));
      return rows.sort((a, b) => compare(frontOf(a), frontOf(b)) || Number(a["slot"]) - Number(b["slot"]));
    } finally {
      slots.close();
      backends?.close();
    }
  },
};

const frontAddress = (row: TableRow): string => {
  const scope = row["scope"] === "internal" ? "/i" : "";
  return `${endText(row["address"], row["port"])}/${String(row["protocol"])}${scope}`;
};

/** What answers get back as their source, by the frontend's number. */
export const reverseFrontends = table({
  name: "lb-revnat",
  summary: "addresses of frontends by their numbers",
  columns: [
    ["ID", text("id")],
    ["SERVICE ADDRESS", (row) => endText(row["address"], row["port"])],
  ],
  map: "skep_frontends",
  *rows(map) {
    for (const [key, bytes] of map.entries()) {
      const { address, port } = maps.Frontend.decode(bytes);
      if (port !== 0) yield { id: decodeU32(key), address: addressText(address), port };
    }
  },
});

/** Rows of the map of frontends as they stand there, backends by their numbers. */
export const frontendRows: DatapathTable = {
  ...services,
  name: "lb-frontends",
  summary: "frontends and the numbers of their backends",
  columns: [
    ["SERVICE ADDRESS", frontAddress],
    ["SLOT", text("slot")],
    ["BACKEND ID", (row) => (row["slot"] === 0 ? "" : String(row["backend"]))],
    ["ID", text("id")],
    ["BACKENDS", (row) => (row["slot"] === 0 ? String(row["count"]) : "")],
    ["FLAGS", (row) => (row["slot"] === 0 ? String(row["flags"]) : "")],
  ],
};

export const backendRows = table({
  name: "lb-backends",
  summary: "backends by their numbers",
  columns: [
    ["ID", text("id")],
    ["BACKEND ADDRESS", frontAddress],
    ["STATE", text("state")],
  ],
  map: "skep_backends",
  *rows(map) {
    for (const [key, bytes] of map.entries()) {
      const { address, port, protocol, state, present } = maps.Backend.decode(bytes);
      if (present === 0) continue;
      const end = { address: addressText(address), port, protocol: protocolName(protocol) };
      yield { id: decodeU32(key), ...end, state: backendStateText(state) };
    }
  },
});
