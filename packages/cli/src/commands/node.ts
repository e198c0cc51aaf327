/**
 * @module
 * `skep node`: this node and the others of its cluster.
 */
import { skep } from "@skep/api";
import { withClient } from "../client.ts";
import { CliError } from "../errors.ts";
import { plain } from "../output/plain.ts";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatPairs, formatTable } from "../output/table.ts";

export interface NodeOptions {
  readonly run: string;
  readonly output: ListFormat;
}

const pathText = ({ local, problem }: skep.Node): string =>
  local ? "this node" : problem === "" ? "routes stand" : problem;

export function nodeList({ run, output }: NodeOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { nodes } = await agent.listNodes({});
    await printAs(
      output,
      nodes.map((node) => plain(skep.NodeSchema, node)),
      () =>
        formatTable(
          ["NAME", "ADDRESSES", "POD PREFIXES", "ENDPOINTS", "ROUTING", "TUNNEL", "PATH"],
          nodes.map((node) => [
            node.name,
            node.addresses.join("\n"),
            node.podCidrs.join("\n"),
            `${node.endpoints}`,
            node.routing,
            node.tunnelEndpoint,
            pathText(node),
          ]),
        ),
    );
  });
}

export function nodeGet(name: string, { run, output }: NodeOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { nodes } = await agent.listNodes({});
    const node = nodes.find((each) => each.name === name);
    if (!node) throw new CliError(`no node ${name}: ${nodes.map((each) => each.name).join(", ")} are`);
    const labels = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`);
    await printAs(output, plain(skep.NodeSchema, node), () =>
      formatPairs([
        ["Name", node.name],
        ["Addresses", node.addresses.join(", ")],
        ["Pod prefixes", node.podCidrs.join(", ")],
        ["Endpoints", `${node.endpoints}`],
        ["Labels", labels.join(", ")],
        ["Routing", node.routing],
        ["Tunnel", node.tunnelEndpoint],
        ["Path", pathText(node)],
      ]),
    );
  });
}
