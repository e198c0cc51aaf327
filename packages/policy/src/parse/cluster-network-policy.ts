import { ipProtocols } from "@skep/net";
import { exists, labelSelector, type LabelSelector } from "../selector.ts";
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
import { checkPattern } from "./names.ts";
import type { ParseSettings } from "./options.ts";
import { parseNetwork } from "./peers.ts";
import { isServiceName } from "./ports.ts";
import {
  emptySelector,
  namespaceRequirements,
  parseSelector,
  plainSelector,
  podPeer,
  type PeerContext,
} from "./selectors.ts";

const MAX_ELEMENTS = 25;
const MAX_PRIORITY = 1000;
/** Rules of a policy are asked in their order: its number stands behind the policy's priority. */
const RULES_PER_PRIORITY = 1000;

type Policy = Pick<PolicyDocument, "kind" | "namespace" | "name">;

/** ClusterNetworkPolicy of policy.networking.k8s.io. */
export function parseClusterNetworkPolicy(
  reader: Reader,
  head: ObjectHead,
  settings: ParseSettings,
): (Policy & Pick<PolicyDocument, "rules">) | null {
  const fields = reader.fields(head.root, ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = fields && parseMetadata(reader, fields, null);
  const specField = fields?.require("spec");
  const spec = specField && reader.fields(specField, ["tier", "priority", "subject", "ingress", "egress"]);
  if (!metadata || !spec) return null;
  const tierField = spec.require("tier");
  const priorityField = spec.require("priority");
  const subjectField = spec.require("subject");
  const tier = tierField && reader.oneOf(tierField, ["Admin", "Baseline"]);
  const priority = priorityField && reader.integer(priorityField, 0, MAX_PRIORITY);
  const subject = subjectField && parsePods(reader, subjectField, { settings, namespace: "", init: false });
  if (tier === null || priority === null || subject === null) return null;
  const policy = { kind: "ClusterNetworkPolicy", namespace: "", name: metadata.name } as const;
  const context = { policy, settings, tier, priority, subject };
  const rules = (["ingress", "egress"] as const).flatMap((direction) =>
    limited(reader, spec, direction).flatMap(
      (item, index) => parseRule(reader, item, { ...context, direction, index }) ?? [],
    ),
  );
  return { ...policy, rules };
}

interface RuleContext {
  readonly policy: Policy;
  readonly settings: ParseSettings;
  readonly tier: "Admin" | "Baseline";
  readonly priority: number;
  readonly subject: LabelSelector;
  readonly direction: Rule["direction"];
  readonly index: number;
}

const verdicts = { Accept: "allow", Deny: "deny", Pass: "pass" } as const;

function parseRule(reader: Reader, item: Field, context: RuleContext): Rule | null {
  const side = context.direction === "ingress" ? "from" : "to";
  const fields = reader.fields(item, ["name", "action", side, "protocols"]);
  if (fields === null) return null;
  const actionField = fields.require("action");
  const action = actionField && reader.oneOf(actionField, ["Accept", "Deny", "Pass"]);
  const nameField = fields.get("name");
  const name = nameField && reader.string(nameField);
  if (nameField && name !== null && name.length > 100)
    reader.report("SKEP6035", nameField, "the name of a rule has at most 100 characters");
  const sideField = fields.require(side);
  const peers = limited(reader, fields, side);
  if (sideField && peers.length === 0) reader.report("SKEP6004", sideField, "at least one peer is needed");
  const selectors = peers.flatMap((peer) => parsePeer(reader, peer, { ...context, action: action ?? "Accept" }));
  const ports = parseProtocols(reader, fields);
  if (ports?.some((port) => port.ports.some((match) => typeof match.port === "string")))
    checkNamedPorts(reader, item, selectors);
  const { policy, tier, priority, subject, direction, index } = context;
  if (action === null) return null;
  return {
    key: `${documentKey(policy)}/${item.path}`,
    origin: { ...policy, path: item.path, span: item.node.span, ...(name ? { description: name } : {}) },
    subject,
    node: false,
    direction,
    verdict: verdicts[action],
    tier,
    priority: priority * RULES_PER_PRIORITY + index,
    defaultDeny: false,
    peers: selectors,
    ports,
    authentication: null,
    log: null,
    audit: false,
  };
}

/** A list of at most 25. */
function limited(reader: Reader, fields: Fields, name: string): Field[] {
  const items = fields.list(name) ?? [];
  const field = fields.get(name);
  if (field && items.length > MAX_ELEMENTS)
    reader.report("SKEP6020", field, `${items.length} elements; at most ${MAX_ELEMENTS}`);
  return items;
}

/** `namespaces` or `pods`: exactly one. */
function parsePods(reader: Reader, field: Field, context: PeerContext): LabelSelector | null {
  const fields = reader.fields(field, ["namespaces", "pods"]);
  if (fields === null) return null;
  return podSelector(reader, fields, context) ?? missing(reader, field, ["namespaces", "pods"]);
}

function missing(reader: Reader, field: Field, names: readonly string[]): null {
  reader.report("SKEP6004", field, `exactly one of ${names.join(", ")} is needed`);
  return null;
}

function podSelector(reader: Reader, fields: Fields, context: PeerContext): LabelSelector | null {
  const namespacesField = fields.get("namespaces");
  const podsField = fields.get("pods");
  if (namespacesField && podsField) return null;
  if (namespacesField) {
    const raw = parseSelector(reader, namespacesField, "k8s");
    return raw && labelSelector(namespaceRequirements(raw));
  }
  const pods = podsField && reader.fields(podsField, ["namespaceSelector", "podSelector"]);
  if (!pods) return null;
  const podField = pods.require("podSelector");
  const namespaceField = pods.get("namespaceSelector");
  const podRaw = podField && parseSelector(reader, podField, "k8s");
  const namespaceRaw = namespaceField ? parseSelector(reader, namespaceField, "k8s") : emptySelector;
  if (!podRaw || !namespaceRaw) return labelSelector([]);
  // Reserved identities have no namespace.
  const isReserved = [...podRaw.labels.keys(), ...podRaw.expressions.map(({ key }) => `${key.source}:`)].some((name) =>
    name.startsWith("reserved:"),
  );
  return isReserved && !namespaceField ? plainSelector(podRaw) : podPeer(podRaw, namespaceRaw, context);
}

const egressPeers = ["namespaces", "pods", "nodes", "networks", "domainNames"];

function parsePeer(
  reader: Reader,
  item: Field,
  { settings, direction, action }: RuleContext & { readonly action: keyof typeof verdicts },
): PeerSelector[] {
  const known = direction === "ingress" ? ["namespaces", "pods"] : egressPeers;
  const fields = reader.fields(item, known);
  if (fields === null) return [];
  const given = known.filter((name) => fields.has(name));
  if (given.length !== 1) {
    missing(reader, item, known);
    return [];
  }
  const { span } = item.node;
  const selector = podSelector(reader, fields, { settings, namespace: "", init: false });
  if (selector) return [{ kind: "labels", selector, span }];
  const nodesField = fields.get("nodes");
  if (nodesField) return parseNodes(reader, nodesField, settings);
  const namesField = fields.get("domainNames");
  if (namesField && action !== "Accept")
    reader.report("SKEP6037", namesField, "domain names are possible with the action Accept alone");
  const names = limited(reader, fields, "domainNames").flatMap((name) => parseDomainName(reader, name));
  const networks = limited(reader, fields, "networks").flatMap((network): PeerSelector[] => {
    const prefix = parseNetwork(reader, network);
    return prefix ? [{ kind: "cidr", prefix, except: [], span: network.node.span }] : [];
  });
  return [...names, ...networks];
}

function parseNodes(reader: Reader, field: Field, settings: ParseSettings): PeerSelector[] {
  if (!settings.nodeSelectors)
    reader.report("SKEP6031", field, "selecting nodes by their labels is switched off", "enable-node-selector-labels");
  const raw = parseSelector(reader, field, "any");
  if (raw === null) return [];
  const { requirements } = plainSelector(raw);
  return ["host", "remote-node"].map((key) => ({
    kind: "labels",
    selector: labelSelector([...requirements, exists({ source: "reserved", key })]),
    span: field.node.span,
  }));
}

/** Here `*.example.com` means every depth of names, which is Cilium's `**.example.com`. */
function parseDomainName(reader: Reader, item: Field): PeerSelector[] {
  const text = reader.string(item);
  if (text === null) return [];
  const { span } = item.node;
  if (!/^(\*\.)?([a-z0-9]([-a-z0-9_]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9_]*[a-z0-9])?\.?$/i.test(text)) {
    reader.report("SKEP6028", item, `${JSON.stringify(text)} is no domain name`, "a wildcard is the whole first label");
    return [];
  }
  checkPattern(reader, item, text);
  if (text.startsWith("*")) return [{ kind: "fqdn", matchName: "", matchPattern: `*${text}`, span }];
  return [{ kind: "fqdn", matchName: text, matchPattern: "", span }];
}

function checkNamedPorts(reader: Reader, item: Field, peers: readonly PeerSelector[]): void {
  const isPods = (peer: PeerSelector): boolean =>
    peer.kind === "labels" &&
    !peer.selector.requirements.some(({ key }) => key.key === "host" || key.key === "remote-node");
  if (!peers.every(isPods)) reader.report("SKEP6037", item, "only pods have named ports");
}

const protocolFields = ["tcp", "udp", "sctp"] as const;
const transports = [ipProtocols.tcp, ipProtocols.udp, ipProtocols.sctp];

function parseProtocols(reader: Reader, rule: Fields): PortRule[] | null {
  const field = rule.get("protocols");
  const items = limited(reader, rule, "protocols");
  if (!field) return null;
  if (items.length === 0) reader.report("SKEP6004", field, "at least one protocol is needed");
  return items.flatMap((item) => {
    const ports = parseProtocol(reader, item);
    const none = { l7: null, serverNames: [], terminatingTls: null, originatingTls: null, listener: null };
    return ports ? [{ ports, ...none, span: item.node.span }] : [];
  });
}

function parseProtocol(reader: Reader, item: Field): PortMatch[] | null {
  const known = [...protocolFields, "destinationNamedPort"];
  const fields = reader.fields(item, known);
  if (fields === null) return null;
  if (known.filter((name) => fields.has(name)).length !== 1) return missing(reader, item, known);
  const namedField = fields.get("destinationNamedPort");
  if (namedField) {
    const name = reader.string(namedField);
    if (name === null) return null;
    if (!isServiceName(name)) reader.report("SKEP6017", namedField, `${JSON.stringify(name)} is no name of a port`);
    return transports.map((protocol) => ({ protocol, port: name.toLowerCase(), last: 0 }));
  }
  const name = protocolFields.find((known) => fields.has(known));
  const field = name && fields.get(name);
  const body = field ? reader.fields(field, ["destinationPort"]) : null;
  if (!name || !field || !body) return null;
  const portField = body.get("destinationPort");
  const range = portField ? parsePortRange(reader, portField) : { port: 0, last: 65535 };
  return range && [{ protocol: ipProtocols[name], ...range }];
}

function parsePortRange(reader: Reader, field: Field): Pick<PortMatch, "port" | "last"> | null {
  const fields = reader.fields(field, ["number", "range"]);
  if (fields === null) return null;
  const numberField = fields.get("number");
  const rangeField = fields.get("range");
  if ((numberField === null) === (rangeField === null)) return missing(reader, field, ["number", "range"]);
  if (numberField) {
    const port = reader.integer(numberField, 1, 65535);
    return port === null ? null : { port, last: port };
  }
  const range = rangeField && reader.fields(rangeField, ["start", "end"]);
  const startField = range?.require("start");
  const endField = range?.require("end");
  const start = startField && reader.integer(startField, 1, 65535);
  const end = endField && reader.integer(endField, 1, 65535);
  if (!start || !end || !endField) return null;
  if (end <= start) reader.report("SKEP6018", endField, `the range ends at ${end}, not after its start ${start}`);
  return { port: start, last: end };
}
