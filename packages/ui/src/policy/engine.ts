/**
 * @module
 * The policy engine in the page, the one that fills the kernel's maps: why a flow was let through or not, what a change would do, and what
 * policy the shown flows need. Loaded when it is first asked for.
 */
import { flow, type skep } from "@skep/api";
import { ipProtocols } from "@skep/net";
import {
  type ConnectionEnd,
  type Diagnostic,
  documentKey,
  type Explanation,
  explain,
  type FlowEnd,
  formatPort,
  parseDocuments,
  parseLabels,
  type PolicyDocument,
  PolicyEngine,
  type PolicyIdentity,
  prefixOfCidrKey,
  reasonText,
  type RecordedFlow,
  reservedIdentities,
  type RuleOrigin,
  simulate,
  endName,
  suggest,
  type SuggestOptions,
} from "@skep/policy";
import { isReply, outcomeOf, type Row, verdictName } from "../model/row.ts";

/** A rule, as it is shown and led to. */
export interface RuleName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** As `spec.ingress[0]`. */
  readonly path: string;
  readonly file: string;
  /** 0: not known. */
  readonly line: number;
}

export interface SideWhy {
  readonly direction: "ingress" | "egress";
  readonly verdict: Explanation["verdict"];
  readonly reason: Explanation["reason"];
  /** The reason in words. */
  readonly because: string;
  readonly rules: readonly RuleName[];
  readonly nearest: { readonly rule: RuleName; readonly misses: readonly string[] } | null;
}

export interface Why {
  /** Instead of sides: why no policy is asked. */
  readonly note: string;
  readonly sides: readonly SideWhy[];
  /** The policies say something else by now. */
  readonly changed: boolean;
}

function ruleName({ kind, namespace, name, path, span }: RuleOrigin): RuleName {
  return { kind, namespace, name, path, file: span?.file ?? "", line: span?.line ?? 0 };
}

/** Documents of the agent; positions are those of the files that they stand in. */
export function documentsOf(rules: readonly skep.PolicyRule[], localCluster = "default"): PolicyDocument[] {
  const found = rules.flatMap(
    ({ file, line, text }) =>
      parseDocuments(file, "\n".repeat(Math.max(0, line - 1)) + text, { localCluster }).documents,
  );
  return [...new Map(found.map((document) => [documentKey(document), document])).values()];
}

function identityOf(id: number, texts: readonly string[]): PolicyIdentity {
  const labels = parseLabels(texts);
  const key = Object.keys(labels).find((label) => label.startsWith("cidr:"));
  const cidr = key === undefined ? null : prefixOfCidrKey(key.slice("cidr:".length));
  return { id, labels, ...(cidr && { cidr }) };
}

function packetOf({
  l4,
}: flow.Flow): { readonly protocol: number; readonly sourcePort: number; readonly port: number } | null {
  const protocol = l4?.protocol;
  switch (protocol?.case) {
    case "TCP":
    case "UDP":
    case "SCTP": {
      const { sourcePort, destinationPort: port } = protocol.value;
      return { protocol: ipProtocols[protocol.case.toLowerCase() as "tcp"], sourcePort, port };
    }
    case "ICMPv4":
      return { protocol: ipProtocols.icmp, sourcePort: 0, port: protocol.value.type };
    case "ICMPv6":
      return { protocol: ipProtocols.icmpv6, sourcePort: 0, port: protocol.value.type };
    default:
      return null;
  }
}

/** Drops that policy decides. */
const POLICY_CODES: readonly number[] = [133, 180, 181, 189];

const note = (text: string): Why => ({ note: text, sides: [], changed: false });

/** What is in force, asked about flows. */
export class Explainer {
  readonly #engine = new PolicyEngine();

  constructor(documents: readonly PolicyDocument[], identities: readonly skep.Identity[]) {
    this.#engine.update(documents);
    for (const { id, labels } of identities) this.#engine.upsertIdentity(identityOf(id, labels));
  }

  #end(endpoint: flow.Endpoint | undefined): ConnectionEnd {
    const { ID: id = 0, identity: number = 0, labels = [] } = endpoint ?? {};
    const name = Object.entries(reservedIdentities).find(([, value]) => value === number)?.[0];
    const identity = identityOf(number, labels.length === 0 && name !== undefined ? [`reserved:${name}`] : labels);
    this.#engine.upsertIdentity(identity);
    return { identity, subject: id === 0 ? null : { id, identity } };
  }

  why(message: flow.Flow): Why {
    if (isReply(message)) return note("A reply passes by the entry of its connection: no policy is asked.");
    if (message.dropReason !== 0 && !POLICY_CODES.includes(message.dropReason)) return note("Not a matter of policy.");
    const packet = packetOf(message);
    if (!packet) return note("No policy is asked of a packet without a transport header.");
    const query = { ...packet, source: this.#end(message.source), destination: this.#end(message.destination) };
    const found = explain(this.#engine, query);
    const sides = [found.egress, found.ingress].filter((side) => side !== null).map(sideWhy);
    if (sides.length === 0) return note("Neither end is a workload of this node: none of its policies is asked.");
    return { note: "", sides, changed: (outcomeOf(message) === "dropped") !== (found.verdict === "denied") };
  }
}

function sideWhy({ direction, verdict, reason, rules, nearest }: Explanation): SideWhy {
  return {
    ...{ direction, verdict, reason, because: reasonText(reason) },
    rules: rules.filter(({ kind }) => kind !== "builtin").map(ruleName),
    nearest: nearest && { rule: ruleName(nearest.rule), misses: nearest.misses },
  };
}

// ---- recorded flows ----

function flowEnd(endpoint: flow.Endpoint | undefined, address: string, names: readonly string[]): FlowEnd {
  const { labels = [], namespace = "", podName: pod = "", identity = 0 } = endpoint ?? {};
  return { labels: parseLabels(labels), namespace, pod, address, names, identity };
}

/** What opened connections; replies and packets without a transport are nothing to ask a policy about. */
export function recordedOf(rows: Iterable<Row>): RecordedFlow[] {
  const flows: RecordedFlow[] = [];
  for (const { flow: message, time, id } of rows) {
    const packet = packetOf(message);
    if (!packet || isReply(message) || (!message.source && !message.destination)) continue;
    if (message.l7?.type === flow.L7FlowType.RESPONSE) continue;
    flows.push({
      ...packet,
      source: flowEnd(message.source, message.IP?.source ?? "", message.sourceNames),
      destination: flowEnd(message.destination, message.IP?.destination ?? "", message.destinationNames),
      request: requestOf(message),
      verdict: verdictName(message),
      forwarded: outcomeOf(message) !== "dropped",
      time: new Date(time).toISOString(),
      line: id,
    });
  }
  return flows;
}

function requestOf({ l7 }: flow.Flow): RecordedFlow["request"] {
  if (l7?.record.case === "dns") return { kind: "dns", name: l7.record.value.query };
  if (l7?.record.case !== "http") return null;
  const { method, url } = l7.record.value;
  const found = /^(?:[a-z]+:\/\/([^/]*))?([^#]*)/i.exec(url);
  const host = (found?.[1] ?? "").replace(/:\d+$/, "");
  return { kind: "http", method, path: found?.[2] || "/", ...(host === "" ? {} : { host }) };
}

// ---- simulate and suggest ----

export interface ChangeRow {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly before: string;
  readonly after: string;
  /** What decides afterwards. */
  readonly by: string;
  readonly count: number;
}

export interface SimulationResult {
  readonly problems: readonly Diagnostic[];
  /** Policies of the text. */
  readonly policies: number;
  readonly flows: number;
  readonly changed: number;
  readonly unknown: number;
  readonly rows: readonly ChangeRow[];
}

/** What `text` beside the policies in force would change about the flows; a document of the same name is replaced. */
export function simulateText(
  text: string,
  current: readonly PolicyDocument[],
  rows: Iterable<Row>,
  localCluster = "default",
): SimulationResult {
  const { documents, diagnostics } = parseDocuments("policy.yaml", text, { localCluster });
  const flows = recordedOf(rows);
  const problems = diagnostics.filter(({ severity }) => severity === "error");
  const none = { problems, policies: documents.length, flows: flows.length, changed: 0, unknown: 0, rows: [] };
  if (problems.length > 0) return none;
  const after = new Map(current.map((document) => [documentKey(document), document]));
  for (const document of documents) after.set(documentKey(document), document);
  const { changes, unknown } = simulate({ before: current, after: [...after.values()], flows });
  const counted = new Map<string, ChangeRow>();
  for (const { flow: changed, before, after: now, rules } of changes) {
    const row = {
      ...{ from: endName(changed.source), to: endName(changed.destination), before, after: now },
      port: formatPort(changed.protocol, changed.port),
      by:
        rules
          .map(({ namespace, name, path }) => `${namespace === "" ? name : `${namespace}/${name}`} ${path}`)
          .join("; ") || (now === "denied" ? "no rule allows it" : "nothing denies it"),
    };
    const key = JSON.stringify(row);
    counted.set(key, { ...row, count: (counted.get(key)?.count ?? 0) + 1 });
  }
  return { ...none, changed: changes.length, unknown: unknown.length, rows: [...counted.values()] };
}

export interface SuggestionResult {
  readonly yaml: string;
  readonly policies: number;
  readonly flows: number;
  /** Of these, replayed against the suggestion, so many are denied: none, unless something is wrong. */
  readonly denied: number;
}

export function suggestFor(rows: Iterable<Row>, options: SuggestOptions): SuggestionResult {
  const { yaml, documents, flows, denied } = suggest(recordedOf(rows), options);
  return { yaml, policies: documents.length, flows, denied: denied.length };
}
