import { networkOf, parseInterfacePrefix, parsePrefix, prefixCovers, type Prefix } from "@skep/net";
import { entities, entitySelectors } from "../identity.ts";
import type { PeerSelector } from "../rule.ts";
import { toValue } from "../source/node.ts";
import type { Field, Fields, Reader } from "../source/reader.ts";
import { checkDns } from "./l7.ts";
import { isObjectName } from "./names.ts";
import { endpointPeer, nodePeer, parseSelector, plainSelector, type PeerContext } from "./selectors.ts";

/** The members of an ingress (`from`) or egress (`to`) rule that name peers. */
export function peerFields(ingress: boolean, deny: boolean): readonly string[] {
  const side = ingress ? "from" : "to";
  const common = ["Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups"].map((name) => `${side}${name}`);
  if (ingress) return common;
  return deny ? [...common, "toServices"] : [...common, "toServices", "toFQDNs"];
}

type PeerParser = (reader: Reader, item: Field, context: PeerContext) => readonly PeerSelector[];

const parsers: readonly { readonly suffix: string; readonly parse: PeerParser }[] = [
  { suffix: "Endpoints", parse: parseEndpoint },
  { suffix: "Nodes", parse: parseNode },
  { suffix: "Entities", parse: parseEntity },
  { suffix: "CIDR", parse: parseCidr },
  { suffix: "CIDRSet", parse: parseCidrRule },
  { suffix: "FQDNs", parse: parseFqdn },
  { suffix: "Services", parse: parseService },
  { suffix: "Groups", parse: parseGroup },
];

/** Members that select nothing when they are there and empty, as in Cilium's mergeEndpointSelectors. */
const emptyIsNobody = ["Endpoints", "Nodes", "Entities", "CIDR", "CIDRSet"];

/** Peers of a rule. Null: nobody. Empty: none of the members is there. */
export function parsePeers(
  reader: Reader,
  rule: Fields,
  context: PeerContext & { readonly ingress: boolean },
): readonly PeerSelector[] | null {
  const side = context.ingress ? "from" : "to";
  const used: string[] = [];
  const peers: PeerSelector[] = [];
  let isNobody = false;
  for (const { suffix, parse } of parsers) {
    const name = `${side}${suffix}`;
    const field = rule.get(name);
    const items = field && reader.list(field);
    if (!field || !items) continue;
    if (items.length > 0) used.push(name);
    else if (emptyIsNobody.includes(suffix)) isNobody = true;
    if (suffix === "Nodes" && items.length > 0 && !context.settings.nodeSelectors)
      reader.report(
        "SKEP6031",
        field,
        "selecting nodes by their labels is switched off",
        "enable-node-selector-labels",
      );
    for (const item of items) peers.push(...parse(reader, item, context));
  }
  if (used.length > 1)
    reader.report("SKEP6012", rule.at, `combining ${used.join(" and ")} is not possible`, "write a rule for each");
  return isNobody ? null : peers;
}

function parseEndpoint(reader: Reader, item: Field, context: PeerContext): readonly PeerSelector[] {
  const raw = parseSelector(reader, item, "any");
  return raw ? [{ kind: "labels", selector: endpointPeer(raw, context), span: item.node.span }] : [];
}

function parseNode(reader: Reader, item: Field, context: PeerContext): readonly PeerSelector[] {
  const raw = parseSelector(reader, item, "any");
  return raw ? [{ kind: "labels", selector: nodePeer(raw, context), span: item.node.span }] : [];
}

function parseEntity(reader: Reader, item: Field, { settings }: PeerContext): readonly PeerSelector[] {
  const entity = reader.oneOf(item, entities, "SKEP6016");
  if (entity === null) return [];
  const selectors = entitySelectors(entity, settings.clusterName ?? settings.localCluster);
  return selectors.map((selector) => ({ kind: "labels", selector, span: item.node.span, entity }));
}

/** A network in CIDR notation; null after an error. Bits after the prefix are ignored. `bare`: an address is one, too. */
export function parseNetwork(reader: Reader, item: Field, bare = false): Prefix | null {
  const text = reader.string(item);
  if (text === null) return null;
  const prefix = parseInterfacePrefix(text);
  if (prefix) return networkOf(prefix);
  const address = parsePrefix(text);
  if (address && bare) return address;
  const hint = address ? `write ${text}/${address.length}` : undefined;
  reader.report("SKEP6013", item, `${JSON.stringify(text)} is no network such as 10.0.0.0/8 or 2001:db8::/32`, hint);
  return null;
}

function parseCidr(reader: Reader, item: Field): readonly PeerSelector[] {
  const prefix = parseNetwork(reader, item, true);
  return prefix ? [{ kind: "cidr", prefix, except: [], span: item.node.span }] : [];
}

function parseCidrRule(reader: Reader, item: Field): readonly PeerSelector[] {
  const fields = reader.fields(item, ["cidr", "cidrGroupRef", "cidrGroupSelector", "except"]);
  if (fields === null) return [];
  const sources = ["cidr", "cidrGroupRef", "cidrGroupSelector"].filter((name) => fields.has(name));
  if (sources.length !== 1) {
    const found = sources.length === 0 ? "none is there" : `${sources.join(" and ")} are there`;
    reader.report("SKEP6014", item, `exactly one of cidr, cidrGroupRef, cidrGroupSelector is needed; ${found}`);
    return [];
  }
  const span = item.node.span;
  const cidrField = fields.get("cidr");
  const prefix = cidrField && parseNetwork(reader, cidrField);
  const except = parseExcept(reader, fields, prefix);
  if (cidrField) return prefix ? [{ kind: "cidr", prefix, except, span }] : [];
  const group = parseGroupReference(reader, fields);
  return group === null ? [] : [{ kind: "cidrGroup", group, except, span }];
}

/** Exceptions; they must lie in `prefix`, where it is known. */
export function parseExcept(reader: Reader, fields: Fields, prefix: Prefix | null): Prefix[] {
  const result: Prefix[] = [];
  for (const item of fields.list("except") ?? []) {
    const except = parseNetwork(reader, item);
    if (except === null) continue;
    if (prefix && !prefixCovers(prefix, except))
      reader.report("SKEP6015", item, "the exception does not lie in the network that it is taken from");
    result.push(except);
  }
  return result;
}

function parseGroupReference(
  reader: Reader,
  fields: Fields,
): Extract<PeerSelector, { kind: "cidrGroup" }>["group"] | null {
  const nameField = fields.get("cidrGroupRef");
  if (nameField) {
    const name = reader.string(nameField);
    if (name !== null && !isObjectName(name))
      reader.report("SKEP6033", nameField, `${JSON.stringify(name)} is no name of a CiliumCIDRGroup`);
    return name;
  }
  const selectorField = fields.get("cidrGroupSelector");
  const raw = selectorField && parseSelector(reader, selectorField, "any");
  return raw && plainSelector(raw);
}

function parseFqdn(reader: Reader, item: Field): readonly PeerSelector[] {
  const match = checkDns(reader, item, true);
  if (match === null) return [];
  return [{ kind: "fqdn", matchName: match.name, matchPattern: match.pattern, span: item.node.span }];
}

function parseService(reader: Reader, item: Field, { namespace }: PeerContext): readonly PeerSelector[] {
  const fields = reader.fields(item, ["k8sService", "k8sServiceSelector"]);
  if (fields === null) return [];
  const byName = fields.get("k8sService");
  const bySelector = fields.get("k8sServiceSelector");
  if ((byName === null) === (bySelector === null))
    reader.report("SKEP6004", item, "exactly one of k8sService and k8sServiceSelector is needed");
  const span = item.node.span;
  const named = byName && reader.fields(byName, ["serviceName", "namespace"]);
  const serviceName = named?.string("serviceName");
  if (named && serviceName)
    return [{ kind: "service", namespace: named.string("namespace") ?? namespace, service: serviceName, span }];
  const selected = bySelector && reader.fields(bySelector, ["selector", "namespace"]);
  const selectorField = selected?.require("selector");
  const raw = selectorField && parseSelector(reader, selectorField, "any");
  if (!selected || !raw) return [];
  return [{ kind: "service", namespace: selected.string("namespace") ?? "", service: plainSelector(raw), span }];
}

function parseGroup(reader: Reader, item: Field): readonly PeerSelector[] {
  const fields = reader.fields(item, ["aws"]);
  const awsField = fields?.require("aws");
  const aws = awsField && reader.fields(awsField, ["labels", "securityGroupsIds", "securityGroupsNames", "region"]);
  if (!aws || !awsField) return [];
  aws.strings("securityGroupsIds");
  aws.strings("securityGroupsNames");
  aws.string("region");
  return [{ kind: "group", provider: "aws", value: toValue(awsField.node), span: item.node.span }];
}
