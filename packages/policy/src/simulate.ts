import { parsePrefix } from "@skep/net";
import { deciders } from "./diff.ts";
import type { FlowEnd, RecordedFlow } from "./flow-record.ts";
import { NAMESPACE_LABEL, formatLabels } from "./labels.ts";
import { formatRequest } from "./l7-match.ts";
import { PolicyModel, shortLabels, type ModelEnd, type ModelOptions } from "./model.ts";
import type { PolicyDocument, RuleOrigin } from "./rule.ts";
import { formatTable } from "./table.ts";
import { formatOrigin, formatPort } from "./text.ts";
import { trace } from "./trace.ts";
import { Verdicts, type ConnectionVerdict } from "./verdicts.ts";

export interface SimulatedChange {
  readonly flow: RecordedFlow;
  /** What was recorded, or what the policies of before say. */
  readonly before: ConnectionVerdict;
  readonly after: ConnectionVerdict;
  /** What decides afterwards; empty: no rule. */
  readonly rules: readonly RuleOrigin[];
}

export interface Simulation {
  readonly flows: number;
  readonly changes: readonly SimulatedChange[];
  /** Flows with an end that has neither labels nor an address. */
  readonly unknown: readonly RecordedFlow[];
}

export interface SimulationInput {
  /** Without them what was recorded counts. */
  readonly before?: readonly PolicyDocument[];
  readonly after: readonly PolicyDocument[];
  readonly flows: readonly RecordedFlow[];
  readonly options?: ModelOptions;
}

/** Which recorded flows get another verdict by other policies, and by which rule. */
export function simulate({ before, after, flows, options = {} }: SimulationInput): Simulation {
  const now = new FlowModel(after, flows, options);
  const then = before ? new FlowModel(before, flows, options) : null;
  const changes: SimulatedChange[] = [];
  const unknown: RecordedFlow[] = [];
  const dropped = new Set(flows.filter(({ forwarded }) => !forwarded).map(tuple));
  for (const flow of flows) {
    const result = now.verdict(flow);
    if (!result) {
      unknown.push(flow);
      continue;
    }
    const old = then ? (then.verdict(flow)?.verdict ?? "allowed") : dropped.has(tuple(flow)) ? "denied" : "allowed";
    // A proxy lets through what it was not asked about.
    if ((old === "denied") !== (result.verdict === "denied"))
      changes.push({ flow, before: old, after: result.verdict, rules: result.rules });
  }
  return { flows: flows.length, changes, unknown };
}

/** One connection: one end may have recorded that it let it pass, the other that it did not. */
function tuple({ source, destination, protocol, sourcePort, port }: RecordedFlow): string {
  return [endName(source), endName(destination), protocol, sourcePort, port].join(" ");
}

/** The ends of recorded flows in a model. */
class FlowModel {
  private readonly model: PolicyModel;
  private readonly verdicts: Verdicts;
  private readonly ends = new Map<string, ModelEnd | null>();

  constructor(documents: readonly PolicyDocument[], flows: readonly RecordedFlow[], options: ModelOptions) {
    this.model = new PolicyModel(options);
    this.model.setDocuments(documents);
    // All ends first: a name or a set of labels makes an identity, which the verdicts must know.
    for (const { source, destination } of flows) for (const end of [source, destination]) this.endOf(end);
    this.verdicts = new Verdicts(this.model.engine);
  }

  verdict(flow: RecordedFlow): { verdict: ConnectionVerdict; rules: readonly RuleOrigin[] } | null {
    const source = this.endOf(flow.source);
    const destination = this.endOf(flow.destination);
    if (!source || !destination) return null;
    const query = { source, destination, protocol: flow.protocol, port: flow.port };
    const verdict = this.verdicts.verdict(query);
    if (verdict !== "redirected" || !flow.request) return { verdict, rules: deciders(this.verdicts, query, verdict) };
    const traced = trace(this.model.engine, { ...query, request: flow.request });
    const rules = [traced.egress, traced.ingress].flatMap((side) =>
      side?.request?.verdict === traced.verdict ? side.request.rules : [],
    );
    return { verdict: traced.verdict, rules };
  }

  private endOf(end: FlowEnd): ModelEnd | null {
    const key = `${formatLabels(end.labels).join(";")} ${end.address} ${end.names.join()}`;
    let found = this.ends.get(key);
    if (found === undefined) {
      found = this.make(end);
      this.ends.set(key, found);
    }
    return found;
  }

  /** A workload by its labels; of the world by its name or address; a reserved identity by its label. */
  private make(end: FlowEnd): ModelEnd | null {
    const { labels, address, names } = end;
    if (isWorkload(end)) return this.model.labelledEnd(endName(end), labels);
    const reserved = Object.keys(labels).find(
      (label) => label.startsWith("reserved:") && !label.startsWith("reserved:world"),
    );
    if (reserved !== undefined) return this.model.end(reserved);
    for (const name of names) {
      const found = this.model.end(name);
      if (found) return found;
    }
    return parsePrefix(address)
      ? this.model.end(address)
      : Object.keys(labels).length > 0
        ? this.model.end("world")
        : null;
  }
}

export function isWorkload({ labels }: FlowEnd): boolean {
  return `k8s:${NAMESPACE_LABEL}` in labels;
}

/** `default/web-1`, or the labels, or the address. */
export function endName(end: FlowEnd): string {
  if (end.pod !== "") return `${end.namespace || "default"}/${end.pod}`;
  const [name] = end.names;
  return (
    name ?? (isWorkload(end) ? shortLabels(end.labels).join(",") : end.address || formatLabels(end.labels).join(","))
  );
}

/** A table of the changes; equal ones are counted. */
export function formatSimulation({ flows, changes, unknown }: Simulation): string {
  const counted = new Map<string, { row: string[]; count: number }>();
  for (const { flow, before, after, rules } of changes) {
    const request = flow.request ? ` ${formatRequest(flow.request)}` : "";
    const row = [
      endName(flow.source),
      endName(flow.destination),
      `${formatPort(flow.protocol, flow.port)}${request}`,
      `${before} -> ${after}`,
      rules.map(formatOrigin).join("; ") || (after === "denied" ? "no rule allows it" : "nothing denies it"),
    ];
    const known = counted.get(row.join("\n"));
    if (known) known.count++;
    else counted.set(row.join("\n"), { row, count: 1 });
  }
  const rows = [...counted.values()].map(({ row, count }) => [String(count), ...row]);
  const table = rows.length === 0 ? [] : [formatTable(["FLOWS", "FROM", "TO", "PORT", "VERDICT", "BY"], rows), ""];
  const odd = unknown.length === 0 ? "" : `, ${unknown.length} with an unknown end`;
  return [...table, `${flows} flows, ${changes.length} change their verdict${odd}`].join("\n");
}
