/**
 * @module
 * `skep why`: the rule behind a flow, or the nearest that would have allowed it. The agent's policies are asked here, with the engine
 * that fills the kernel's maps.
 */
import { create } from "@bufbuild/protobuf";
import { flow, observer } from "@skep/api";
import { createPrinter, dropReasonText, reservedIdentityName } from "@skep/flows";
import {
  type ConnectionEnd,
  type ConnectionExplanation,
  documentKey,
  explain,
  formatExplanation,
  parseLabels,
  PolicyEngine,
  type PolicyIdentity,
  prefixOfCidrKey,
} from "@skep/policy";
import { ipProtocols } from "@skep/net";
import { type AgentClient, withClient } from "../client.ts";
import { CliError, usageError } from "../errors.ts";
import type { FilterBuilder } from "../observe/filters.ts";
import { flowsOfFile } from "../observe/file.ts";
import { agentDocuments } from "../policy/agent.ts";
import { hasColor, write } from "../output/print.ts";

export interface WhyOptions {
  readonly uuid: string;
  readonly run: string;
  readonly inputFile?: string;
}

/** Drops that policy decides. */
const POLICY_CODES: readonly number[] = [133, 180, 181, 189];

/** What the other codes mean for the one who sent the packet. */
const meanings: Readonly<Record<number, string>> = {
  132: "the workload sent from an address that is not its own: only its own address may leave it",
  134: "the packet's header does not hold together",
  135: "the packet ends before its transport header does",
  137: "connections of this protocol are not tracked: TCP, UDP and ICMP are",
  139: "only IPv4 and ARP pass",
  155: "the map of connections refused an entry: it is full, or out of memory",
  157: "fragments are not reassembled: send smaller packets, or leave path MTU discovery on",
  196: "the packet has made too many hops: look for a loop of routes",
  203: "the endpoint has no policy in force yet, and nothing passes before it has",
};

async function only(responses: AsyncIterable<observer.GetFlowsResponse>): Promise<flow.Flow | null> {
  let last: flow.Flow | null = null;
  for await (const { responseTypes } of responses) if (responseTypes.case === "flow") last = responseTypes.value;
  return last;
}

/** The flow of a uuid; else the last that the filters match, or the last drop. */
function requestOf(uuid: string, builder: FilterBuilder): observer.GetFlowsRequest {
  const { allow, deny } = builder.build();
  const drops = create(flow.FlowFilterSchema, { verdict: [flow.Verdict.DROPPED] });
  const whitelist =
    uuid === "" ? (allow.length > 0 ? allow : [drops]) : [create(flow.FlowFilterSchema, { uuid: [uuid] })];
  return create(observer.GetFlowsRequestSchema, { number: 1n, whitelist, blacklist: deny });
}

// ---- the policies of the agent, and who is who ----

async function engineOf(client: AgentClient): Promise<PolicyEngine> {
  const [documents, { identities }] = await Promise.all([agentDocuments(client), client.agent.listIdentities({})]);
  const engine = new PolicyEngine();
  engine.update(new Map(documents.map((document) => [documentKey(document), document])).values());
  for (const { id, labels } of identities) engine.upsertIdentity(identityOf(id, labels));
  return engine;
}

function identityOf(id: number, texts: readonly string[]): PolicyIdentity {
  const labels = parseLabels(texts);
  const key = Object.keys(labels).find((label) => label.startsWith("cidr:"));
  const cidr = key === undefined ? null : prefixOfCidrKey(key.slice("cidr:".length));
  return { id, labels, ...(cidr && { cidr }) };
}

function endOf(engine: PolicyEngine, endpoint: flow.Endpoint | undefined): ConnectionEnd {
  const { ID: id = 0, identity: number = 0, labels = [] } = endpoint ?? {};
  const name = reservedIdentityName(number);
  const identity = identityOf(number, labels.length === 0 && name !== null ? [`reserved:${name}`] : labels);
  engine.upsertIdentity(identity);
  return { identity, subject: id === 0 ? null : { id, identity } };
}

function packetOf(message: flow.Flow): { readonly protocol: number; readonly port: number } | null {
  const l4 = message.l4?.protocol;
  switch (l4?.case) {
    case "TCP":
    case "UDP":
    case "SCTP":
      return { protocol: ipProtocols[l4.case.toLowerCase() as "tcp"], port: l4.value.destinationPort };
    case "ICMPv4":
      return { protocol: ipProtocols.icmp, port: l4.value.type };
    case "ICMPv6":
      return { protocol: ipProtocols.icmpv6, port: l4.value.type };
    default:
      return null;
  }
}

function verdictNow(message: flow.Flow, found: ConnectionExplanation): string {
  const dropped = message.verdict === flow.Verdict.DROPPED;
  if (dropped === (found.verdict === "denied")) return "";
  return `the policy has changed since: now it would be ${found.verdict}\n`;
}

function recorded(message: flow.Flow): string {
  const name = (policies: readonly flow.Policy[]): string =>
    policies.map((policy) => `${policy.kind} ${[policy.namespace, policy.name].filter(Boolean).join("/")}`).join(", ");
  const rows = [
    ["egress allowed by", message.egressAllowedBy],
    ["ingress allowed by", message.ingressAllowedBy],
    ["egress denied under", message.egressDeniedBy],
    ["ingress denied under", message.ingressDeniedBy],
  ] as const;
  return rows.map(([what, policies]) => (policies.length === 0 ? "" : `${what} ${name(policies)}\n`)).join("");
}

/** What the policies in force now say of the connection that a flow opened. */
export function explainFlow(message: flow.Flow, engine: PolicyEngine): string {
  if (message.isReply === true) return "a reply: it passes by the entry of its connection, and no policy is asked\n";
  const code = message.dropReason;
  if (code !== 0 && !POLICY_CODES.includes(code)) {
    const meaning = meanings[code];
    return `no matter of policy: ${dropReasonText(code)} (${code})${meaning === undefined ? "" : `\n  ${meaning}`}\n`;
  }
  const packet = packetOf(message);
  if (!packet) return "no policy is asked of a packet without a transport header\n";
  const found = explain(engine, {
    source: endOf(engine, message.source),
    destination: endOf(engine, message.destination),
    ...packet,
  });
  const sides = [found.egress, found.ingress].filter((side) => side !== null);
  if (sides.length === 0) return "neither end is a workload of this node: none of its policies is asked\n";
  return sides.map((side) => `${formatExplanation(side)}\n`).join("") + verdictNow(message, found);
}

export async function why(options: WhyOptions, builder: FilterBuilder): Promise<void> {
  const request = requestOf(options.uuid, builder);
  const file = options.inputFile;
  await withClient(options.run, async (client) => {
    const message = await only(file === undefined ? client.observer.getFlows(request) : flowsOfFile(file, request));
    if (!message) throw missing(options);
    const printer = createPrinter({ format: "compact", color: hasColor() });
    const responseTypes = { case: "flow", value: message } as const;
    const shown = printer.print(create(observer.GetFlowsResponseSchema, { responseTypes })).out;
    await write(shown + recorded(message) + explainFlow(message, await engineOf(client)));
  });
}

function missing({ uuid }: WhyOptions): CliError {
  if (uuid === "") return new CliError("no flow matches: without filters the last drop is meant");
  if (!/^[0-9a-f-]{36}$/i.test(uuid)) return usageError(`"${uuid}" is not the uuid of a flow (skep observe -o json)`);
  return new CliError(`the flow ${uuid} is not in the ring any more`);
}
