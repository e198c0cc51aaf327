import type { PolicyDocument, PolicyKind, Rule } from "../rule.ts";
import { documentKey } from "../rule.ts";
import type { Field, Fields, Misplaced, Reader } from "../source/reader.ts";
import { parseMetadata, type ObjectHead } from "./metadata.ts";
import type { ParseSettings } from "./options.ts";
import { parsePeers, peerFields } from "./peers.ts";
import { parseAuthentication, parsePorts } from "./ports.ts";
import { emptySelector, isInitSelector, parseSelector, plainSelector, subjectSelector } from "./selectors.ts";

const sections = [
  { name: "ingress", ingress: true, deny: false },
  { name: "ingressDeny", ingress: true, deny: true },
  { name: "egress", ingress: false, deny: false },
  { name: "egressDeny", ingress: false, deny: true },
] as const;
type Section = (typeof sections)[number];

const specFields = [
  "endpointSelector",
  "nodeSelector",
  ...sections.map(({ name }) => name),
  "labels",
  "enableDefaultDeny",
  "description",
  "log",
];

/** CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy. */
export function parseCiliumPolicy(
  reader: Reader,
  head: ObjectHead,
  settings: ParseSettings,
): Pick<PolicyDocument, "kind" | "namespace" | "name" | "rules"> | null {
  const kind: PolicyKind =
    head.kind === "CiliumNetworkPolicy" ? "CiliumNetworkPolicy" : "CiliumClusterwideNetworkPolicy";
  const fields = reader.fields(head.root, ["apiVersion", "kind", "metadata", "spec", "specs", "status"]);
  const isNamespaced = kind === "CiliumNetworkPolicy";
  const metadata = fields && parseMetadata(reader, fields, isNamespaced ? settings.defaultNamespace : null);
  if (!fields || !metadata) return null;
  const rules: Rule[] = [];
  const policy = { kind, namespace: metadata.namespace, name: metadata.name };
  const spec = fields.get("spec");
  const specs = fields.list("specs") ?? [];
  const all = spec ? [spec, ...specs] : specs;
  if (all.length === 0) reader.report("SKEP6004", head.root, "the policy is empty: spec or specs is missing");
  for (const field of all) rules.push(...parseSpec(reader, field, { policy, settings }));
  return { ...policy, rules };
}

interface SpecContext {
  readonly policy: Pick<PolicyDocument, "kind" | "namespace" | "name">;
  readonly settings: ParseSettings;
}

function parseSpec(reader: Reader, field: Field, context: SpecContext): Rule[] {
  const fields = reader.fields(field, specFields);
  if (fields === null) return [];
  const subject = parseSubject(reader, fields, context);
  const description = fields.string("description");
  const log = parseLog(reader, fields);
  checkRuleLabels(reader, fields);
  const defaultDeny = parseDefaultDeny(reader, fields);
  const given = sections.map((section) => ({ section, items: fields.list(section.name) ?? [] }));
  if (given.every(({ items }) => items.length === 0))
    reader.report("SKEP6010", field, "at least one of ingress, ingressDeny, egress, egressDeny is needed");
  if (subject === null) return [];
  return given.flatMap(({ section, items }) =>
    items.map((item): Rule => ({
      ...subject,
      ...parseRule(reader, item, { ...context, section, subject }),
      key: `${documentKey(context.policy)}/${item.path}`,
      origin: {
        ...context.policy,
        path: item.path,
        span: item.node.span,
        ...(description === null ? {} : { description }),
      },
      defaultDeny: defaultDeny[section.ingress ? "ingress" : "egress"] ?? true,
      tier: "Normal",
      priority: 0,
      log,
      audit: false,
    })),
  );
}

interface Subject {
  readonly subject: Rule["subject"];
  readonly node: boolean;
  readonly init: boolean;
}

function parseSubject(reader: Reader, fields: Fields, { policy }: SpecContext): Subject | null {
  const endpointField = fields.get("endpointSelector");
  const nodeField = fields.get("nodeSelector");
  const isNamespaced = policy.kind === "CiliumNetworkPolicy";
  if (endpointField && nodeField)
    reader.report("SKEP6011", nodeField, "either endpointSelector or nodeSelector, not both");
  if (!endpointField && !nodeField)
    reader.report("SKEP6011", fields.at, "the field endpointSelector is missing", "endpointSelector: {} selects all");
  if (nodeField && isNamespaced)
    reader.report("SKEP6011", nodeField, "nodeSelector is not possible here", "use a CiliumClusterwideNetworkPolicy");
  const field = endpointField ?? nodeField;
  const raw = field ? parseSelector(reader, field, "any") : emptySelector;
  if (!field || raw === null) return null;
  if (nodeField) return { subject: plainSelector(raw), node: true, init: false };
  const other = raw.labels.get("k8s:io.kubernetes.pod.namespace");
  if (isNamespaced && other !== undefined && other !== policy.namespace)
    reader.warn("SKEP6043", field, `the policy is in force in its own namespace ${policy.namespace}, not in ${other}`);
  return { subject: subjectSelector(raw, policy.namespace), node: false, init: isInitSelector(raw) };
}

function parseRule(
  reader: Reader,
  item: Field,
  context: SpecContext & { readonly section: Section; readonly subject: Subject },
): Pick<Rule, "direction" | "verdict" | "peers" | "ports" | "authentication"> {
  const { section, subject, settings, policy } = context;
  const { ingress, deny } = section;
  const known = [...peerFields(ingress, deny), "toPorts", "icmps", ...(deny ? [] : ["authentication"])];
  const side = ingress ? "from" : "to";
  const fields = reader.fields(item, known, misplacedIn(side, deny));
  const none = { peers: null, ports: null, authentication: null };
  const verdict = { direction: ingress ? "ingress" : "egress", verdict: deny ? "deny" : "allow" } as const;
  if (fields === null) return { ...verdict, ...none };
  const { namespace } = policy;
  return {
    ...verdict,
    peers: parsePeers(reader, fields, { settings, namespace, init: subject.init, ingress }),
    ports: parsePorts(reader, fields, { settings, ingress, deny, node: subject.node, namespace }),
    authentication: deny ? null : parseAuthentication(reader, fields.get("authentication")),
  };
}

function misplacedIn(side: string, deny: boolean): Misplaced {
  const hint = "put the labels into the selectors of the rules themselves";
  const removed = { [`${side}Requires`]: { code: "SKEP6032", message: "this field was removed", hint } } as const;
  if (!deny) return removed;
  const names = {
    code: "SKEP6037",
    message: "names cannot be denied",
    hint: "deny a CIDR, or do not allow the name",
  } as const;
  const handshake = { code: "SKEP6037", message: "what is denied needs no authentication" } as const;
  return { ...removed, toFQDNs: names, authentication: handshake };
}

function parseDefaultDeny(reader: Reader, fields: Fields): Partial<Record<"ingress" | "egress", boolean>> {
  const field = fields.get("enableDefaultDeny");
  const given = field && reader.fields(field, ["ingress", "egress"]);
  const ingress = given?.boolean("ingress") ?? null;
  const egress = given?.boolean("egress") ?? null;
  return { ...(ingress === null ? {} : { ingress }), ...(egress === null ? {} : { egress }) };
}

const MAX_LOG = 32;

function parseLog(reader: Reader, fields: Fields): string | null {
  const field = fields.get("log");
  const valueField = field && reader.fields(field, ["value"])?.get("value");
  const text = valueField ? reader.string(valueField) : null;
  if (valueField && text !== null && (text.length > MAX_LOG || /\p{C}/u.test(text)))
    reader.report("SKEP6035", valueField, `a log text has at most ${MAX_LOG} printable characters`);
  return text;
}

function checkRuleLabels(reader: Reader, fields: Fields): void {
  for (const item of fields.list("labels") ?? []) {
    const label = reader.fields(item, ["key", "value", "source"]);
    const key = label?.require("key");
    if (key) reader.string(key);
    label?.string("value");
    label?.string("source");
  }
}
