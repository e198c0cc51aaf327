/**
 * @module
 * Policy entries of every endpoint.
 */
import type { RawMap } from "@skep/machine";
import { type PolicyMapEntry, protocolName } from "@skep/policy";
import { decodePolicyEntry, decodeU32, policyPrefixLength } from "../encode.ts";
import { table, type TableRow, text } from "./table.ts";

function portText({ port, portPrefix }: PolicyMapEntry): string {
  if (portPrefix === 0) return "ANY";
  const last = port + (1 << (16 - portPrefix)) - 1;
  return last === port ? String(port) : `${port}-${last}`;
}

function* policyRows(outer: RawMap): Iterable<TableRow> {
  for (const [endpoint] of outer.entries()) {
    const inner = outer.getMap(endpoint);
    if (!inner) continue;
    try {
      for (const [rawKey, rawValue] of inner.entries()) {
        const entry = decodePolicyEntry(rawKey, rawValue);
        yield {
          endpoint: decodeU32(endpoint),
          policy: entry.deny ? "deny" : entry.audit ? "audit" : "allow",
          direction: entry.direction,
          /** 0: any. */
          identity: entry.identity,
          protocol: protocolName(entry.protocol),
          port: portText(entry),
          proxyPort: entry.proxyPort,
          precedence: entry.precedence,
          cookie: entry.cookie,
          prefixLength: policyPrefixLength(entry),
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
