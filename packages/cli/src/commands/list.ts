/**
 * @module
 * `skep list`: nodes and namespaces, as Hubble's API knows them.
 */
import { observer, relay } from "@skep/api";
import { type FlowSource, withObserver } from "../client.ts";
import { formatDuration } from "../output/duration.ts";
import { plain } from "../output/plain.ts";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";

export interface ListOptions extends FlowSource {
  readonly output: ListFormat;
}

const states: Readonly<Record<number, string>> = {
  [relay.NodeState.NODE_CONNECTED]: "Connected",
  [relay.NodeState.NODE_UNAVAILABLE]: "Unavailable",
  [relay.NodeState.NODE_GONE]: "Gone",
  [relay.NodeState.NODE_ERROR]: "Error",
};

function flowsText({ numFlows, maxFlows }: observer.Node): string {
  const share = maxFlows === 0n ? 0 : (100 * Number(numFlows)) / Number(maxFlows);
  return `${numFlows}/${maxFlows} (${share.toFixed(2)}%)`;
}

export function listNodes({ output, ...source }: ListOptions): Promise<void> {
  return withObserver(source, async ({ observer: client }) => {
    const { nodes } = await client.getNodes({});
    const values = nodes.map((node) => plain(observer.NodeSchema, node));
    await printAs(output, values, () =>
      formatTable(
        ["NAME", "STATUS", "AGE", "FLOWS/MAX", "SEEN", "VERSION"],
        nodes.map((node) => [
          node.name,
          states[node.state] ?? "Unknown",
          formatDuration(Number(node.uptimeNs / 1_000_000n)),
          flowsText(node),
          `${node.seenFlows}`,
          node.version,
        ]),
      ),
    );
  });
}

export function listNamespaces({ output, ...source }: ListOptions): Promise<void> {
  return withObserver(source, async ({ observer: client }) => {
    const { namespaces } = await client.getNamespaces({});
    const values = namespaces.map((each) => plain(observer.NamespaceSchema, each));
    await printAs(output, values, () =>
      formatTable(
        ["NAMESPACE", "CLUSTER"],
        namespaces.map(({ namespace, cluster }) => [namespace, cluster]),
      ),
    );
  });
}
