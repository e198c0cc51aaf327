/**
 * @module
 * Kubernetes' `Service` objects (core/v1), with Cilium's annotations.
 */
import {
  type Address,
  formatAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "@skep/net";
import {
  type Field,
  type Fields,
  type ForeignDocument,
  type Metadata,
  parseMetadata,
  protocolName,
  type Reader,
} from "@skep/policy";
import { packed } from "../../packed.ts";
import type { ServicePort, ServiceSpec } from "../spec.ts";
import { readServiceAnnotations } from "./annotations.ts";
import {
  documentParser,
  documentRoot,
  looseFields,
  readAddress,
  readAddresses,
  readPortName,
  readProtocol,
  textAt,
} from "./common.ts";

const TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] as const;
const POLICIES = ["Cluster", "Local"] as const;
const FAMILIES = { IPv4: 4, IPv6: 6 } as const;
const DISTRIBUTIONS = ["PreferClose", "PreferSameZone", "PreferSameNode"] as const;

/** Seconds that Kubernetes gives an affinity without a time. */
const AFFINITY_TIMEOUT = 10_800;
const AFFINITY_LONGEST = 86_400;

const SPEC_FIELDS = [
  ...["type", "clusterIP", "clusterIPs", "selector", "ports", "ipFamilies", "ipFamilyPolicy", "sessionAffinity"],
  ...["sessionAffinityConfig", "externalIPs", "externalName", "externalTrafficPolicy", "internalTrafficPolicy"],
  ...["healthCheckNodePort", "loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges"],
  ...["publishNotReadyAddresses", "allocateLoadBalancerNodePorts", "trafficDistribution"],
];

export const parseService = documentParser(readService);

function readService(reader: Reader, document: ForeignDocument, file: string): ServiceSpec | null {
  const object = reader.fields(documentRoot(document), ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = object && parseMetadata(reader, object, "default");
  const specField = object?.require("spec");
  const spec = specField && reader.fields(specField, SPEC_FIELDS);
  if (!object || !metadata || !spec) return null;
  const annotations = readServiceAnnotations(reader, object, metadata);
  refuseSpecial(reader, spec);
  const type = spec.get("type");
  const internalLocal = readPolicy(reader, spec, "internalTrafficPolicy");
  const { clusterIps, headless } = readClusterIps(reader, spec, metadata);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels,
    created: textAt(document.node, "metadata", "creationTimestamp"),
    type: (type && reader.oneOf(type, TYPES)) ?? "ClusterIP",
    exposed: annotations.exposed,
    clusterIps,
    headless,
    families: packed(readFamilies(reader, spec)),
    selector: readTexts(reader, spec.get("selector")),
    ports: packed(readPorts(reader, spec.list("ports") ?? [])),
    externalIps: readAddresses(reader, spec.list("externalIPs")),
    ingressIps: packed(readIngress(reader, object.get("status"))),
    wantedLoadBalancerIp: optionalAddress(reader, spec.get("loadBalancerIP")),
    loadBalancer: annotations.loadBalancer,
    loadBalancerClass: spec.string("loadBalancerClass"),
    allocateNodePorts: spec.boolean("allocateLoadBalancerNodePorts") ?? true,
    sourceRanges: packed(readRanges(reader, spec.list("loadBalancerSourceRanges"))),
    sourceRangesDeny: annotations.sourceRangesDeny,
    affinityTimeout: readAffinity(reader, spec),
    externalLocal: readPolicy(reader, spec, "externalTrafficPolicy"),
    internalLocal,
    healthCheckNodePort: optionalPort(reader, spec.get("healthCheckNodePort")),
    publishNotReady: spec.boolean("publishNotReadyAddresses") ?? false,
    trafficDistribution: internalLocal ? "" : readDistribution(reader, spec) || annotations.trafficDistribution,
    algorithm: annotations.algorithm,
    forwardingMode: annotations.forwardingMode,
    nodes: annotations.nodes,
    file,
    span: document.node.span,
  };
}

function readClusterIps(
  reader: Reader,
  spec: Fields,
  { labels }: Metadata,
): Pick<ServiceSpec, "clusterIps" | "headless"> {
  const one = spec.get("clusterIP");
  const none = one?.node.kind === "scalar" && String(one.node.value).toLowerCase() === "none";
  const all = (spec.list("clusterIPs") ?? []).filter((each) => !isNone(each));
  const clusterIps = none ? [] : readAddresses(reader, all);
  const first = one && !none ? readAddress(reader, one) : null;
  return {
    clusterIps: clusterIps.length === 0 && first ? [first] : clusterIps,
    // The label turns a service with addresses into one that is not balanced, as kube-proxy and Cilium have it.
    headless: none || "service.kubernetes.io/headless" in labels,
  };
}

function isNone({ node }: Field): boolean {
  return node.kind === "scalar" && String(node.value).toLowerCase() === "none";
}

function readFamilies(reader: Reader, spec: Fields): (4 | 6)[] {
  const names = Object.keys(FAMILIES) as (keyof typeof FAMILIES)[];
  const policy = spec.get("ipFamilyPolicy");
  if (policy) reader.oneOf(policy, ["SingleStack", "PreferDualStack", "RequireDualStack"]);
  return (spec.list("ipFamilies") ?? []).flatMap((each) => {
    const name = reader.oneOf(each, names);
    return name ? [FAMILIES[name]] : [];
  });
}

export function readTexts(reader: Reader, at: Field | null): Record<string, string> {
  const node = at && reader.map(at);
  const texts: Record<string, string> = {};
  for (const [key, entry] of node?.entries ?? []) {
    const text = reader.string({ node: entry.value, path: `${at?.path ?? ""}.${key}` });
    if (text !== null) texts[key] = text;
  }
  return texts;
}

const ADDRESS_FIELDS = ["clusterIPs", "externalIPs"] as const;

/** Addresses that can be no service's, whatever gave them (Kubernetes: ValidateNonSpecialIP). Link-local ones are for cluster addresses alone. */
function refuseSpecial(reader: Reader, spec: Fields): void {
  const lists = ADDRESS_FIELDS.flatMap((name) => (spec.list(name) ?? []).map((field) => [name, field] as const));
  const single = ["clusterIP", "loadBalancerIP"].flatMap((name) => {
    const field = spec.get(name);
    return field ? [[name, field] as const] : [];
  });
  for (const [name, field] of [...lists, ...single]) {
    const { node } = field;
    const address = node.kind === "scalar" && typeof node.value === "string" ? parseAddress(node.value) : null;
    if (!address) continue;
    const isSpecial =
      isUnspecified(address) ||
      isLoopback(address) ||
      isMulticast(address) ||
      (name === "externalIPs" && isLinkLocal(address));
    if (isSpecial) reader.report("SKEP6035", field, `${formatAddress(address)} can be no service's address`);
  }
}

/** No two of a protocol and number, none of a name that another has; of several each has a name, by which endpoint slices know it. */
function readPorts(reader: Reader, fields: readonly Field[]): ServicePort[] {
  const seen = new Set<string>();
  const names = new Set<string>();
  return fields.flatMap((field) => {
    const [port] = readPort(reader, field);
    if (!port) return [];
    const key = `${port.port}/${protocolName(port.protocol)}`;
    if (seen.has(key)) reader.report("SKEP6034", field, `the port ${key} is given twice`);
    if (names.has(port.name)) {
      const which =
        port.name === "" ? "several ports have no name" : `the name ${JSON.stringify(port.name)} is given twice`;
      reader.report("SKEP6034", field, which, "endpoint slices know a service's ports by their names");
    }
    seen.add(key);
    names.add(port.name);
    return [port];
  });
}

function readPort(reader: Reader, at: Field): ServicePort[] {
  const port = reader.fields(at, ["name", "protocol", "port", "targetPort", "nodePort", "appProtocol"]);
  const number = port?.require("port");
  if (!port || !number) return [];
  const value = reader.integer(number, 1, 65_535);
  const protocol = readProtocol(reader, port.get("protocol"));
  const target = readTarget(reader, port, value ?? 0);
  const nodePort = optionalPort(reader, port.get("nodePort"));
  if (value === null || protocol === null || target === null) return [];
  return [{ name: port.string("name") ?? "", protocol, port: value, targetPort: target, nodePort }];
}

function readTarget(reader: Reader, port: Fields, otherwise: number): number | string | null {
  const at = port.get("targetPort");
  if (!at) return otherwise;
  if (at.node.kind === "scalar" && typeof at.node.value === "string") return readPortName(reader, at);
  // Kubernetes writes 0 where it means "as the port".
  return at.node.kind === "scalar" && at.node.value === 0 ? otherwise : reader.integer(at, 1, 65_535);
}

function optionalPort(reader: Reader, at: Field | null): number {
  return (at && reader.integer(at, 0, 65_535)) ?? 0;
}

function optionalAddress(reader: Reader, at: Field | null): Address | null {
  return at && readAddress(reader, at);
}

/** Addresses whose packets come here as they are (KEP-1860); a proxy's do not. */
function readIngress(reader: Reader, status: Field | null): Address[] {
  const balancer = looseFields(reader, looseFields(reader, status)?.get("loadBalancer") ?? null);
  return (balancer?.list("ingress") ?? []).flatMap((each) => {
    const fields = looseFields(reader, each);
    const ip = fields?.get("ip");
    const mode = fields?.string("ipMode") ?? "VIP";
    return ip && mode === "VIP" ? (readAddress(reader, ip) ?? []) : [];
  });
}

function readRanges(reader: Reader, fields: readonly Field[] | null): Prefix[] {
  return (fields ?? []).flatMap((each) => {
    const text = reader.string(each);
    const prefix = text === null ? null : parsePrefix(text.trim());
    if (text !== null && !prefix) reader.report("SKEP6013", each, `${JSON.stringify(text)} is no prefix`);
    return prefix ?? [];
  });
}

function readAffinity(reader: Reader, spec: Fields): number {
  const at = spec.get("sessionAffinity");
  const kind = at && reader.oneOf(at, ["None", "ClientIP"]);
  const config = spec.get("sessionAffinityConfig");
  const client = config && reader.fields(config, ["clientIP"])?.get("clientIP");
  const timeout = client && reader.fields(client, ["timeoutSeconds"])?.get("timeoutSeconds");
  const seconds = timeout && reader.integer(timeout, 0, AFFINITY_LONGEST);
  return kind === "ClientIP" ? seconds || AFFINITY_TIMEOUT : 0;
}

function readPolicy(reader: Reader, spec: Fields, name: string): boolean {
  const at = spec.get(name);
  return at !== null && reader.oneOf(at, POLICIES) === "Local";
}

function readDistribution(reader: Reader, spec: Fields): ServiceSpec["trafficDistribution"] {
  const at = spec.get("trafficDistribution");
  return (at && reader.oneOf(at, DISTRIBUTIONS)) ?? "";
}
