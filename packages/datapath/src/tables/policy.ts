/**
 * @module
 * Policy entries of every endpoint.
 */
import type { RawMap } from "@skep/machine";
import { protocolName } from "@skep/policy";
import * as maps from "../bpf/maps.bpf.ts";
import { decodeU32 } from "../encode.ts";
import { table, type TableRow, text } from "./table.ts";

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

export const policies = table({
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
