/**
 * @module
 * What the agent knows, printed.
 */
import { skep } from "@skep/api";
import pc from "picocolors";
import { withClient } from "../client.ts";
import { durationOption, formatDuration } from "../output/duration.ts";
import { plain } from "../output/plain.ts";
import { hasColor, type ListFormat, printAs, write } from "../output/print.ts";
import { formatPairs, formatTable } from "../output/table.ts";

export interface ListOptions {
  readonly run: string;
  readonly output: ListFormat;
}

export interface PolicyGetOptions extends ListOptions {
  readonly endpoint: string;
  readonly text?: boolean;
}

export interface PolicyWaitOptions {
  readonly run: string;
  readonly revision?: number;
  readonly timeout: string;
}

const paint = (): ReturnType<typeof pc.createColors> => pc.createColors(hasColor());

function stateText(endpoint: skep.Endpoint): string {
  const { green, red, yellow } = paint();
  if (endpoint.state === "ready") return green("ready");
  const text = endpoint.reason === "" ? endpoint.state : `${endpoint.state}: ${endpoint.reason}`;
  return endpoint.state === "not-ready" ? red(text) : yellow(text);
}

/** Cilium's words. */
function enforcement(enforced: boolean, audit: boolean): string {
  if (audit) return "Disabled (Audit)";
  return enforced ? "Enabled" : "Disabled";
}

/** Labels that Cilium derives are in every identity, and say nothing in a table. */
const isDerived = (label: string): boolean => /^k8s:io\.(cilium\.k8s|kubernetes\.pod)\./.test(label);

function labelsCell(identity: number, labels: readonly string[]): string {
  const shown = labels.filter((label) => !isDerived(label));
  return [`${identity}`, ...shown].join(" ");
}

function endpointTable(endpoints: readonly skep.Endpoint[]): string {
  const hasIpv6 = endpoints.some(({ ipv6 }) => ipv6 !== "");
  return formatTable(
    ["ENDPOINT", "NAME", "INGRESS", "EGRESS", "IDENTITY (LABELS)", ...(hasIpv6 ? ["IPV6"] : []), "IPV4", "STATUS"],
    endpoints.map((endpoint) => [
      `${endpoint.id}`,
      `${endpoint.namespace}/${endpoint.name}`,
      enforcement(endpoint.ingressEnforced, endpoint.audit),
      enforcement(endpoint.egressEnforced, endpoint.audit),
      labelsCell(endpoint.identity, endpoint.identityLabels),
      ...(hasIpv6 ? [endpoint.ipv6] : []),
      endpoint.ipv4,
      stateText(endpoint),
    ]),
  );
}

export function endpointList({ run, output }: ListOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { endpoints } = await agent.listEndpoints({});
    const values = endpoints.map((endpoint) => plain(skep.EndpointSchema, endpoint));
    await printAs(output, values, () => endpointTable(endpoints));
  });
}

export function identityList({ run, output }: ListOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { identities } = await agent.listIdentities({});
    const values = identities.map((identity) => plain(skep.IdentitySchema, identity));
    await printAs(output, values, () =>
      formatTable(
        ["ID", "LABELS"],
        identities.map(({ id, labels }) => [`${id}`, labels.join("\n")]),
      ),
    );
  });
}

// ---- policy ----

function ruleTable(rules: readonly skep.PolicyRule[]): string {
  return formatTable(
    ["KIND", "NAME", "WHERE", "ENDPOINTS"],
    rules.map((rule) => [
      rule.kind,
      rule.namespace === "" ? rule.name : `${rule.namespace}/${rule.name}`,
      `${rule.file}:${rule.line}`,
      rule.endpoints.length === 0 ? "none" : rule.endpoints.join("\n"),
    ]),
  );
}

function verdictCell(verdict: string): string {
  const { green, red, yellow } = paint();
  if (verdict === "deny") return red("Deny");
  if (verdict === "audit") return yellow("Audit");
  return green(verdict === "redirect" ? "Redirect" : "Allow");
}

function entryTable(entries: readonly skep.PolicyMapEntry[]): string {
  return formatTable(
    ["POLICY", "DIRECTION", "IDENTITY (LABELS)", "PORT/PROTO", "PRECEDENCE", "RULES"],
    entries.map((entry) => [
      verdictCell(entry.verdict),
      entry.direction === "ingress" ? "Ingress" : "Egress",
      entry.identity === 0 ? "any" : labelsCell(entry.identity, entry.labels),
      `${entry.port === "" ? "ANY" : entry.port}/${entry.protocol}`,
      `${entry.precedence}`,
      entry.rules.join("\n"),
    ]),
  );
}

export function policyGet({ run, output, endpoint, text }: PolicyGetOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const response = await agent.getPolicy({ endpoint });
    if (text === true) return write(response.rules.map((rule) => `${rule.text.trimEnd()}\n`).join("---\n"));
    return printAs(output, plain(skep.GetPolicyResponseSchema, response), () => {
      if (endpoint !== "") return entryTable(response.entries);
      return response.rules.length === 0
        ? `no policies; revision ${response.revision} is in force\n`
        : `${ruleTable(response.rules)}revision ${response.revision} is in force\n`;
    });
  });
}

export function policyWait({ run, revision, timeout }: PolicyWaitOptions): Promise<void> {
  const timeoutMs = durationOption(timeout);
  return withClient(run, async ({ agent }) => {
    const reached = await agent.waitForPolicy({ revision: BigInt(revision ?? 0), timeoutMs });
    await write(`revision ${reached.revision} is in force\n`);
  });
}

// ---- status ----

function traffic(counters: readonly skep.Counter[]): string {
  const sum = (each: readonly skep.Counter[]): bigint => each.reduce((total, { packets }) => total + packets, 0n);
  const forwarded = counters.filter((counter) => counter.reason === 0);
  const dropped = counters.filter((counter) => counter.reason >= 130);
  const reasons = new Map<string, bigint>();
  for (const { reasonName, packets } of dropped) reasons.set(reasonName, (reasons.get(reasonName) ?? 0n) + packets);
  const named = [...reasons].map(([name, packets]) => `${name} ${packets}`).join(", ");
  return `${sum(forwarded)} packets forwarded, ${sum(dropped)} dropped${named === "" ? "" : ` (${named})`}`;
}

function refusals(response: skep.GetStatusResponse): string {
  const { red, yellow } = paint();
  const errors = response.errors.map((error) => {
    const hint = error.hint === "" ? "" : `\n    ${error.hint}`;
    return `  ${error.file}:${error.line}:${error.column}: ${red("error")} ${error.code}: ${error.message}${hint}\n`;
  });
  const warnings = response.warnings.map((warning) => `  ${yellow("warning")}: ${warning}\n`);
  const head = errors.length > 0 ? "\nRefused; what these files said before stays in force:\n" : "";
  return head + errors.join("") + (warnings.length > 0 ? "\nWarnings:\n" : "") + warnings.join("");
}

function namesText({ entries, learned, empty, malformed, tooLong, evicted }: skep.DnsStatus): string {
  const unread = malformed + tooLong;
  const lost = unread + evicted === 0n ? "" : `, ${unread} not read, ${evicted} evicted`;
  return `${entries} addresses with DNS names, from ${learned} of ${learned + empty + unread} answers${lost}`;
}

function statusText(response: skep.GetStatusResponse, endpoints: readonly skep.Endpoint[]): string {
  const up = formatDuration(Date.now() - Number(response.startedAt));
  const pairs = formatPairs([
    ["Agent", `${response.version}, pid ${response.pid}, up ${up}`],
    ["Node", `${response.nodeName} (${response.machine})`],
    ["Folder", response.directory],
    ["Policy", `revision ${response.policyRevision} in force`],
    ["Pods", [response.podCidr, response.podCidr6].filter((each) => each !== "").join(", ")],
    ["Rows", `${response.endpoints} endpoints, ${response.identities} identities, ${response.services} services`],
    ["Traffic", traffic(response.counters)],
    ["Flows", `${response.flowsSeen} seen, ${response.eventsLost} events lost`],
    ...(response.dns ? [["Names", namesText(response.dns)] as const] : []),
  ]);
  const table = endpoints.length === 0 ? "" : `\n${endpointTable(endpoints)}`;
  return `${pairs}${table}${refusals(response)}`;
}

export function status({ run, output }: ListOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const [response, { endpoints }] = await Promise.all([agent.getStatus({}), agent.listEndpoints({})]);
    const value = plain(skep.GetStatusResponseSchema, response);
    await printAs(output, value, () => statusText(response, endpoints));
  });
}
