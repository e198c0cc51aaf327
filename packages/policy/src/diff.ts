import { formatPrefix } from "@skep/net";
import type { ConnectionQuery } from "./explain.ts";
import { PolicyModel, type ModelEnd, type ModelOptions } from "./model.ts";
import { formatPortClass, portClasses, sampleOf, type PortClass } from "./port-classes.ts";
import type { Direction, PolicyDocument, RuleOrigin } from "./rule.ts";
import { formatTable } from "./table.ts";
import { formatOrigin } from "./text.ts";
import { Verdicts, type ConnectionVerdict } from "./verdicts.ts";
import type { ForeignObjects } from "./workloads.ts";

export interface DiffRow {
  readonly from: string;
  readonly to: string;
  readonly port: PortClass;
  readonly before: ConnectionVerdict;
  readonly after: ConnectionVerdict;
  /** What decides afterwards; empty: nothing allows it. */
  readonly rules: readonly RuleOrigin[];
}

/** Peers beside the workloads: each may be told apart by a policy. */
const entities = ["host", "world", "remote-node", "kube-apiserver"];

/** Connections between known workloads, entities and named networks whose verdict differs between two sets of policies. */
export function diffPolicies(
  before: readonly PolicyDocument[],
  after: readonly PolicyDocument[],
  objects: Pick<ForeignObjects, "workloads" | "namespaces"> & Partial<ForeignObjects>,
  options: ModelOptions = {},
): DiffRow[] {
  const [a, b] = [before, after].map((documents) => modelOf(documents, objects, options)) as [PolicyModel, PolicyModel];
  const names = endNames(a, [...before, ...after]);
  const rules = [...before, ...after].flatMap((document) => document.rules);
  const namedPorts = objects.workloads.flatMap((workload) => workload.namedPorts ?? []);
  const classes = portClasses(rules, namedPorts);
  // All ends first: one that is a name or an address makes an identity, which the verdicts must know.
  const ends = names.map((name) => ({ name, a: a.end(name), b: b.end(name) }));
  const verdicts = [new Verdicts(a.engine), new Verdicts(b.engine)] as const;
  const rows: DiffRow[] = [];
  for (const source of ends)
    for (const destination of ends) {
      const inA = pair(source.a, destination.a);
      const inB = pair(source.b, destination.b);
      if (source === destination || !inA || !inB) continue;
      for (const port of classes) {
        const at = { protocol: port.protocol, port: sampleOf(port) };
        const row = {
          before: verdicts[0].verdict({ ...inA, ...at }),
          after: verdicts[1].verdict({ ...inB, ...at }),
        };
        if (row.before !== row.after)
          rows.push({
            from: source.name,
            to: destination.name,
            port,
            ...row,
            rules: deciders(verdicts[1], { ...inB, ...at }, row.after),
          });
      }
    }
  return rows;
}

function modelOf(
  documents: readonly PolicyDocument[],
  { workloads, namespaces, services }: Pick<ForeignObjects, "workloads" | "namespaces"> & Partial<ForeignObjects>,
  options: ModelOptions,
): PolicyModel {
  const model = new PolicyModel(options);
  for (const namespace of namespaces) model.addNamespace(namespace);
  for (const workload of workloads) model.addWorkload(workload);
  model.setServices(services ?? []);
  model.setDocuments(documents);
  return model;
}

/** Workloads, entities, and the networks and names of the policies. */
function endNames(model: PolicyModel, documents: readonly PolicyDocument[]): string[] {
  const names = new Set([...model.ends.map(({ name }) => name), ...entities]);
  for (const peer of documents.flatMap(({ rules }) => rules.flatMap(({ peers }) => peers ?? []))) {
    if (peer.kind === "cidr") for (const prefix of [peer.prefix, ...peer.except]) names.add(formatPrefix(prefix));
    if (peer.kind === "fqdn" && peer.matchName !== "") names.add(peer.matchName);
  }
  return [...names];
}

function pair(
  source: ModelEnd | null,
  destination: ModelEnd | null,
): Pick<ConnectionQuery, "source" | "destination"> | null {
  // Neither end has a policy: nothing can differ.
  if (!source || !destination || (!source.subject && !destination.subject)) return null;
  return { source, destination };
}

/** The rules of the side that decides. */
export function deciders(verdicts: Verdicts, query: ConnectionQuery, verdict: ConnectionVerdict): RuleOrigin[] {
  const found: RuleOrigin[] = [];
  for (const direction of ["egress", "ingress"] satisfies Direction[]) {
    const entry = verdicts.entry(direction, query);
    if (!entry || (verdict === "denied") !== entry.deny) continue;
    found.push(...verdicts.engine.repository.rulesOf(entry.cookie).filter(({ kind }) => kind !== "builtin"));
  }
  return found;
}

/** A table with a row for each difference; ports of the same ends and verdicts share one. */
export function formatDiff(rows: readonly DiffRow[]): string {
  if (rows.length === 0) return "no connection between the known ends changes its verdict";
  const merged = new Map<string, { row: DiffRow; ports: string[] }>();
  for (const row of rows) {
    const rules = row.rules.map(formatOrigin).join();
    const key = [row.from, row.to, row.before, row.after, rules].join("\n");
    const known = merged.get(key);
    if (known) known.ports.push(formatPortClass(row.port));
    else merged.set(key, { row, ports: [formatPortClass(row.port)] });
  }
  const lines = [...merged.values()].map(({ row, ports }) => [
    row.from,
    row.to,
    ports.join(", "),
    row.before,
    row.after,
    row.rules.map(formatOrigin).join("; ") || (row.after === "denied" ? "no rule allows it" : "nothing denies it"),
  ]);
  return formatTable(["FROM", "TO", "PORT", "BEFORE", "AFTER", "BY"], lines);
}
