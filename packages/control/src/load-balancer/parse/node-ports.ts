/**
 * @module
 * Node ports outside of the node's range, which Kubernetes' API refuses where they stand.
 */
import { type Diagnostic, type ForeignDocument, Reader } from "@skep/policy";
import { documentRoot, looseFields } from "./common.ts";

export type NodePortRange = readonly [first: number, last: number];

/** Of a Service that was read without an error, and has node ports by its type. */
export function nodePortsOutOfRange(document: ForeignDocument, [first, last]: NodePortRange): readonly Diagnostic[] {
  const reader = new Reader();
  const spec = looseFields(reader, looseFields(reader, documentRoot(document))?.get("spec") ?? null);
  for (const each of spec?.list("ports") ?? []) {
    const at = looseFields(reader, each)?.get("nodePort");
    const port = at?.node.kind === "scalar" ? at.node.value : null;
    if (!at || typeof port !== "number" || port === 0 || (port >= first && port <= last)) continue;
    reader.report(
      "SKEP6035",
      at,
      `${port} is no node port: they are from ${first} to ${last}`,
      "leave it out to be given one, or start the agent with another --node-port-range",
    );
  }
  return reader.diagnostics;
}
