/**
 * @module
 * CiliumEgressGatewayPolicy (cilium.io/v2): what certain workloads send to certain prefixes leaves by a certain node.
 */
import { type Address, parsePrefix, type Prefix } from "@skep/net";
import {
  type Field,
  type Fields,
  type ForeignDocument,
  type LabelSelector,
  labelSelector,
  namespaceRequirements,
  parseMetadata,
  parseSelector,
  plainSelector,
  type Reader,
  type Span,
} from "@skep/policy";
import { documentParser, documentRoot, readAddress } from "../load-balancer/parse/common.ts";

export interface EgressGateway {
  readonly nodes: LabelSelector;
  /** Whose first address workloads leave with; null where the address is given, or any will do. */
  readonly interface: string | null;
  readonly address: Address | null;
}

export interface EgressPolicySpec {
  readonly name: string;
  readonly selectors: readonly { readonly pods: LabelSelector; readonly nodes: LabelSelector | null }[];
  readonly destinations: readonly Prefix[];
  readonly excluded: readonly Prefix[];
  /** One of them is chosen for each workload. */
  readonly gateways: readonly EgressGateway[];
  readonly file: string;
  readonly span: Span;
}

export const parseEgressPolicy = documentParser(readPolicy);

const SPEC = ["selectors", "destinationCIDRs", "excludedCIDRs", "egressGateway", "egressGateways"];

function readPolicy(reader: Reader, document: ForeignDocument, file: string): EgressPolicySpec | null {
  const object = reader.fields(documentRoot(document), ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = object && parseMetadata(reader, object, "");
  const specField = object?.require("spec");
  const spec = specField && reader.fields(specField, SPEC);
  const selectorsField = spec?.require("selectors");
  const destinationsField = spec?.require("destinationCIDRs");
  if (!metadata || !spec || !selectorsField || !destinationsField) return null;
  const selectors = (spec.list("selectors") ?? []).flatMap((at) => readSubject(reader, at) ?? []);
  if (selectors.length === 0) reader.report("SKEP6004", selectorsField, "needs at least one selector");
  const destinations = readPrefixes(reader, spec, "destinationCIDRs");
  if (destinations.length === 0) reader.report("SKEP6004", destinationsField, "needs at least one prefix");
  const excluded = readPrefixes(reader, spec, "excludedCIDRs");
  const gateways = readGateways(reader, spec, specField);
  return { name: metadata.name, selectors, destinations, excluded, gateways, file, span: document.node.span };
}

function readSubject(reader: Reader, at: Field): EgressPolicySpec["selectors"][number] | null {
  const fields = reader.fields(at, ["podSelector", "namespaceSelector", "nodeSelector"]);
  const [podField, spaceField, nodeField] = ["podSelector", "namespaceSelector", "nodeSelector"].map((name) =>
    fields?.get(name),
  );
  if (!fields) return null;
  if (!podField && !spaceField && !nodeField) {
    reader.report("SKEP6011", at, "needs one of podSelector, namespaceSelector and nodeSelector");
    return null;
  }
  const pods = podField ? parseSelector(reader, podField, "any") : null;
  const spaces = spaceField ? parseSelector(reader, spaceField, "k8s") : null;
  const nodes = nodeField ? parseSelector(reader, nodeField, "any") : null;
  return {
    pods: labelSelector([
      ...(pods ? plainSelector(pods).requirements : []),
      ...(spaces ? namespaceRequirements(spaces) : []),
    ]),
    nodes: nodes && plainSelector(nodes),
  };
}

function readPrefixes(reader: Reader, fields: Fields, name: string): Prefix[] {
  return (fields.list(name) ?? []).flatMap((at) => {
    const text = reader.string(at);
    const prefix = text === null ? null : parsePrefix(text);
    if (text !== null && !prefix)
      reader.report("SKEP6013", at, `${JSON.stringify(text)} is no prefix`, "write it as 192.0.2.0/24");
    return prefix ? [prefix] : [];
  });
}

function readGateways(reader: Reader, spec: Fields, specField: Field): EgressGateway[] {
  const one = spec.get("egressGateway");
  const several = spec.list("egressGateways") ?? [];
  if (!one && several.length === 0) {
    reader.report("SKEP6004", specField, "needs egressGateway, or egressGateways");
    return [];
  }
  return [...(one ? [one] : []), ...several].flatMap((at) => readGateway(reader, at) ?? []);
}

function readGateway(reader: Reader, at: Field): EgressGateway | null {
  const fields = reader.fields(at, ["nodeSelector", "interface", "egressIP"]);
  const nodeField = fields?.require("nodeSelector");
  const nodes = nodeField && parseSelector(reader, nodeField, "any");
  const nameField = fields?.get("interface");
  const addressField = fields?.get("egressIP");
  if (!fields || !nodes) return null;
  const name = nameField ? reader.string(nameField) : null;
  if (nameField && addressField && name !== "")
    reader.report("SKEP6012", addressField, "interface and egressIP say the same thing twice", "leave one of them out");
  return {
    nodes: plainSelector(nodes),
    interface: name === "" ? null : name,
    address: addressField ? readAddress(reader, addressField) : null,
  };
}
