import { ipProtocols } from "@skep/net";
import { labelSelector } from "../selector.ts";
import {
  documentKey,
  type PeerSelector,
  type PolicyDocument,
  type PortMatch,
  type PortRule,
  type Rule,
} from "../rule.ts";
import type { Field, Fields, Reader } from "../source/reader.ts";
import { parseMetadata, type ObjectHead } from "./metadata.ts";
import type { ParseSettings } from "./options.ts";
import { parseExcept, parseNetwork } from "./peers.ts";
import { isServiceName } from "./ports.ts";
import {
  emptySelector,
  parseSelector,
  podPeer,
  subjectSelector,
  type PeerContext,
  type RawSelector,
} from "./selectors.ts";

const anybody: PeerSelector = { kind: "labels", selector: labelSelector([]), span: null };

/** NetworkPolicy of networking.k8s.io/v1. */
export function parseNetworkPolicy(
  reader: Reader,
  head: ObjectHead,
  settings: ParseSettings,
): Pick<PolicyDocument, "kind" | "namespace" | "name" | "rules"> | null {
  const fields = reader.fields(head.root, ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = fields && parseMetadata(reader, fields, settings.defaultNamespace);
  const specField = fields?.require("spec");
  const spec = specField && reader.fields(specField, ["podSelector", "ingress", "egress", "policyTypes"]);
  if (!metadata || !specField || !spec) return null;
  const policy = { kind: "NetworkPolicy", namespace: metadata.namespace, name: metadata.name } as const;
  const subjectField = spec.get("podSelector");
  const raw = subjectField ? parseSelector(reader, subjectField, "k8s") : emptySelector;
  const types = policyTypes(reader, spec);
  const context = { policy, settings, raw, specField };
  const rules = (["ingress", "egress"] as const).flatMap((direction) => {
    const items = spec.list(direction) ?? [];
    const field = spec.get(direction);
    if (types[direction]) return parseDirection(reader, items, { ...context, ingress: direction === "ingress" });
    if (field && items.length > 0)
      reader.warn("SKEP6037", field, `policyTypes does not name the direction: the rules are not in force`);
    return [];
  });
  return { ...policy, rules };
}

/** Without policyTypes a policy is about ingress, and about egress where it has such rules. */
function policyTypes(reader: Reader, spec: Fields): { ingress: boolean; egress: boolean } {
  const items = spec.list("policyTypes") ?? [];
  if (items.length === 0) return { ingress: true, egress: (spec.list("egress") ?? []).length > 0 };
  const types = items.map((item) => reader.oneOf(item, ["Ingress", "Egress"]));
  return { ingress: types.includes("Ingress"), egress: types.includes("Egress") };
}

interface DirectionContext {
  readonly policy: Pick<PolicyDocument, "kind" | "namespace" | "name">;
  readonly settings: ParseSettings;
  /** Null after an error. */
  readonly raw: RawSelector | null;
  readonly specField: Field;
  readonly ingress: boolean;
}

/** The direction is isolated even where there are no rules. */
function parseDirection(reader: Reader, items: readonly Field[], context: DirectionContext): Rule[] {
  const rules = items.map((item) => parseRule(reader, item, context));
  if (rules.length > 0) return rules;
  const path = `${context.specField.path}.${context.ingress ? "ingress" : "egress"}`;
  return [ruleOf({ node: context.specField.node, path }, context, { peers: null, ports: null })];
}

function parseRule(reader: Reader, item: Field, context: DirectionContext): Rule {
  const side = context.ingress ? "from" : "to";
  const fields = reader.fields(item, [side, "ports"]);
  const { policy, settings } = context;
  const peers = fields?.list(side) ?? [];
  const peerContext = { settings, namespace: policy.namespace, init: false };
  const parsed = peers.flatMap((peer) => parsePeer(reader, peer, peerContext) ?? []);
  const ports = fields?.list("ports") ?? [];
  return ruleOf(item, context, {
    peers: peers.length === 0 ? [anybody] : parsed,
    ports: ports.length === 0 ? null : ports.flatMap((port) => parsePort(reader, port) ?? []),
  });
}

function ruleOf(at: Field, context: DirectionContext, match: Pick<Rule, "peers" | "ports">): Rule {
  const { policy, raw, ingress } = context;
  return {
    key: `${documentKey(policy)}/${at.path}`,
    origin: { ...policy, path: at.path, span: at.node.span },
    subject: subjectSelector(raw ?? emptySelector, policy.namespace),
    node: false,
    direction: ingress ? "ingress" : "egress",
    verdict: "allow",
    tier: "Normal",
    priority: 0,
    defaultDeny: true,
    authentication: null,
    log: null,
    audit: false,
    ...match,
  };
}

function parsePeer(reader: Reader, item: Field, context: PeerContext): PeerSelector | null {
  const fields = reader.fields(item, ["podSelector", "namespaceSelector", "ipBlock"]);
  if (fields === null) return null;
  const podField = fields.get("podSelector");
  const namespaceField = fields.get("namespaceSelector");
  const blockField = fields.get("ipBlock");
  const { span } = item.node;
  if (blockField && (podField || namespaceField))
    reader.report("SKEP6012", item, "combining ipBlock with selectors is not possible", "write a peer for each");
  if (blockField) return parseIpBlock(reader, blockField);
  if (!podField && !namespaceField) {
    reader.report("SKEP6004", item, "one of podSelector, namespaceSelector, ipBlock is needed");
    return null;
  }
  const pods = podField ? parseSelector(reader, podField, "k8s") : emptySelector;
  const namespaces = namespaceField ? parseSelector(reader, namespaceField, "k8s") : null;
  if (pods === null || (namespaceField && namespaces === null)) return null;
  return { kind: "labels", selector: podPeer(pods, namespaces, context), span };
}

function parseIpBlock(reader: Reader, field: Field): PeerSelector | null {
  const fields = reader.fields(field, ["cidr", "except"]);
  const cidrField = fields?.require("cidr");
  const prefix = cidrField && parseNetwork(reader, cidrField);
  if (!fields || !prefix) return null;
  return { kind: "cidr", prefix, except: parseExcept(reader, fields, prefix), span: field.node.span };
}

const protocols = ["TCP", "UDP", "SCTP"] as const;

function parsePort(reader: Reader, item: Field): PortRule | null {
  const fields = reader.fields(item, ["protocol", "port", "endPort"]);
  if (fields === null) return null;
  const protocolField = fields.get("protocol");
  const protocol = protocolField ? reader.oneOf(protocolField, protocols, "SKEP6019") : "TCP";
  const portField = fields.get("port");
  const endField = fields.get("endPort");
  const port = portField ? parsePortValue(reader, portField) : 0;
  const last = endField ? reader.integer(endField, 1, 65535) : 0;
  if (protocol === null || port === null || last === null) return null;
  if (endField && typeof port === "string")
    reader.report("SKEP6018", endField, "a range starts with a number, not with a name");
  if (endField && !portField) reader.report("SKEP6018", endField, "endPort needs port");
  if (endField && typeof port === "number" && last < port)
    reader.report("SKEP6018", endField, `the range ends at ${last}, before it starts at ${port}`);
  const number = ipProtocols[protocol.toLowerCase() as "tcp" | "udp" | "sctp"];
  return portRule({ protocol: number, ...portRange(port, last) }, item);
}

function portRange(port: number | string, last: number): Pick<PortMatch, "port" | "last"> {
  if (typeof port === "string") return { port, last: 0 };
  return port === 0 ? { port, last: 65535 } : { port, last: Math.max(port, last) };
}

function portRule(match: PortMatch, field: Field): PortRule {
  const none = { l7: null, serverNames: [], terminatingTls: null, originatingTls: null, listener: null };
  return { ports: [match], ...none, span: field.node.span };
}

/** A number, or the name of a port. */
function parsePortValue(reader: Reader, field: Field): number | string | null {
  const { node } = field;
  if (node.kind === "scalar" && typeof node.value === "string") {
    if (isServiceName(node.value)) return node.value.toLowerCase();
    const hint = /^\d+$/.test(node.value) ? `write it without quotes: ${node.value}` : undefined;
    reader.report("SKEP6017", field, `${JSON.stringify(node.value)} is no name of a port`, hint);
    return null;
  }
  return reader.integer(field, 1, 65535);
}
