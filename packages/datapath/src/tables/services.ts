/**
 * @module
 * Frontends with their slots and backends.
 */
import { algorithmText, backendStateText, flagTexts } from "@skep/control";
import type { RawMap } from "@skep/machine";
import { protocolName } from "@skep/policy";
import * as maps from "../bpf/maps.bpf.ts";
import { encodeU32 } from "../encode.ts";
import { addressText, type DatapathTable, endText, open, type TableRow } from "./table.ts";

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
