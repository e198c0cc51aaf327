import type { ServiceMap } from "./graph.ts";

/** Names that the map has seen, for the filter's field: by the field's name. */
export function collectNames({ nodes, edges }: ServiceMap): ReadonlyMap<string, readonly string[]> {
  const workloads = nodes.filter(({ kind }) => kind === "workload");
  const unique = (values: readonly string[]): string[] => [...new Set(values)].filter((value) => value !== "").sort();
  return new Map([
    ["pod", unique(workloads.flatMap(({ namespace, members }) => members.map((name) => `${namespace}/${name}`)))],
    ["namespace", unique(workloads.map(({ namespace }) => namespace))],
    ["label", unique(workloads.flatMap(({ labels }) => labels))],
    ["port", unique(edges.map(({ port }) => port.split("/")[0] ?? "").filter((port) => /^\d+$/.test(port)))],
    [
      "fqdn",
      unique(nodes.filter(({ kind, title }) => kind === "world" && title !== "world").map(({ title }) => title)),
    ],
  ]);
}
