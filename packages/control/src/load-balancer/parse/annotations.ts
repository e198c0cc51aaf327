/**
 * @module
 * Annotations of services: Cilium's (`service.cilium.io/...`, and their older names under `io.cilium/`) and Kubernetes' topology.
 */
import { parseAddress } from "@skep/net";
import {
  type Field,
  type Fields,
  type LabelSelector,
  labelSelector,
  type Metadata,
  type Reader,
  type Requirement,
} from "@skep/policy";
import { ALGORITHM } from "../rows.ts";
import type { Exposure, ForwardingMode, LoadBalancerWish, ServiceSpec } from "../spec.ts";

const EXPOSURES = ["ClusterIP", "NodePort", "LoadBalancer"] as const;

const PREFIX = "service.cilium.io/";
const TAKEN = ["lb-algorithm", "forwarding-mode", "type", "src-ranges-policy", "node-selector", "node"].map(
  (name) => PREFIX + name,
);

interface Idle {
  readonly allowed: readonly string[];
  /** Values that ask for nothing. */
  readonly idle: readonly string[];
  readonly why: string;
}
const REMOVE = "remove the annotation: the service is served without it";
const YES_NO = ["true", "false"];
const NO_MESH = "there are no other clusters, the service has the backends of this one";
/** Cilium's that ask for what is not there. */
const IDLE: Readonly<Record<string, Idle>> = {
  "service.cilium.io/lb-l7": {
    ...{ allowed: ["enabled", "disabled"], idle: ["disabled"] },
    why: "connections are balanced, not the requests in them",
  },
  "service.cilium.io/proxy-delegation": {
    ...{ allowed: ["none", "delegate-if-local"], idle: ["none"] },
    why: "no proxy of the node takes connections over",
  },
  "service.cilium.io/global": { allowed: YES_NO, idle: ["false"], why: NO_MESH },
  // Of global services alone.
  "service.cilium.io/shared": { allowed: YES_NO, idle: YES_NO, why: NO_MESH },
  "service.cilium.io/affinity": {
    ...{ allowed: ["local", "remote", "none"], idle: ["local", "remote", "none"], why: NO_MESH },
  },
  "service.cilium.io/global-sync-endpoint-slices": { allowed: YES_NO, idle: ["false"], why: NO_MESH },
};

export type ServiceAnnotations = Pick<
  ServiceSpec,
  "exposed" | "sourceRangesDeny" | "algorithm" | "forwardingMode" | "trafficDistribution" | "nodes" | "loadBalancer"
>;

/** What an annotation says that cannot be is a warning, and the service works without it. */
export function readServiceAnnotations(reader: Reader, object: Fields, metadata: Metadata): ServiceAnnotations {
  const { annotations } = metadata;
  const warn = (key: string, allowed: string): void =>
    reader.warn(
      "SKEP6006",
      annotationField(object, key),
      `${JSON.stringify(annotations[key])} is not one of ${allowed}`,
    );
  const choose = <T extends string>(key: string, allowed: readonly T[]): T | null => {
    const text = annotations[key]?.toLowerCase();
    if (text === undefined) return null;
    const found = allowed.find((each) => each === text);
    if (found === undefined) warn(key, allowed.join(", "));
    return found ?? null;
  };
  for (const [key, { allowed, idle, why }] of Object.entries(IDLE)) {
    const value = choose(key, allowed);
    if (value === null || idle.includes(value)) continue;
    reader.warn("SKEP6031", annotationField(object, key), `${JSON.stringify(value)} has no effect: ${why}`, REMOVE);
  }
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith(PREFIX) || TAKEN.includes(key) || Object.hasOwn(IDLE, key)) continue;
    const names = [...TAKEN, ...Object.keys(IDLE)].map((each) => each.slice(PREFIX.length));
    const hint = `those of services are ${names.join(", ")}`;
    reader.warn("SKEP6003", annotationField(object, key), "no annotation of this name is known", hint);
  }
  const algorithm = choose("service.cilium.io/lb-algorithm", ["random", "maglev"]);
  const mode: ForwardingMode = choose("service.cilium.io/forwarding-mode", ["snat", "dsr"]) ?? "";
  return {
    exposed: exposures(annotations["service.cilium.io/type"], () =>
      warn("service.cilium.io/type", EXPOSURES.join(", ")),
    ),
    sourceRangesDeny: choose("service.cilium.io/src-ranges-policy", ["allow", "deny"]) === "deny",
    algorithm: algorithm === null ? ALGORITHM.UNDEFINED : algorithm === "maglev" ? ALGORITHM.MAGLEV : ALGORITHM.RANDOM,
    forwardingMode: mode,
    trafficDistribution: isTopologyAware(annotations) ? "PreferClose" : "",
    loadBalancer: loadBalancerWish(annotations, (key) => warn(key, "the forms of addresses, with commas between")),
    nodes: nodeSelector(annotations, () => warn("service.cilium.io/node-selector", "the forms of a label selector")),
  };
}

function annotationField(object: Fields, key: string): Field {
  const metadata = object.get("metadata")?.node;
  const annotations = metadata?.kind === "map" ? metadata.entries.get("annotations")?.value : undefined;
  const entry = annotations?.kind === "map" ? annotations.entries.get(key) : undefined;
  return { node: entry?.value ?? object.at.node, path: `metadata.annotations[${JSON.stringify(key)}]` };
}

function exposures(text: string | undefined, warn: () => void): readonly Exposure[] {
  if (text === undefined) return EXPOSURES;
  const found = text.split(",").map((part) => EXPOSURES.find((each) => each === part.trim()));
  if (!found.includes(undefined)) return found.flatMap((each) => each ?? []);
  warn();
  return EXPOSURES;
}

function isTopologyAware(annotations: Readonly<Record<string, string>>): boolean {
  const value =
    annotations["service.kubernetes.io/topology-aware-hints"] ??
    annotations["service.kubernetes.io/topology-mode"] ??
    "";
  return value !== "" && value.toLowerCase() !== "disabled";
}

const NO_WISH: LoadBalancerWish = { addresses: [], sharingKey: "", sharingNamespaces: [] };

/** `lbipam.cilium.io/...`, and the names that they had under `io.cilium/`. */
function loadBalancerWish(
  annotations: Readonly<Record<string, string>>,
  warn: (key: string) => void,
): ServiceSpec["loadBalancer"] {
  const keyOf = (name: string): string =>
    [`lbipam.cilium.io/${name}`, `io.cilium/lb-ipam-${name}`].find((key) => Object.hasOwn(annotations, key)) ?? "";
  const [ips, sharing, spaces] = ["ips", "sharing-key", "sharing-cross-namespace"].map(keyOf);
  if (!ips && !sharing && !spaces) return NO_WISH;
  const texts = listOf(annotations[ips ?? ""]);
  const addresses = texts.flatMap((text) => parseAddress(text) ?? []);
  if (addresses.length < texts.length && ips) warn(ips);
  return {
    addresses,
    sharingKey: annotations[sharing ?? ""] ?? "",
    sharingNamespaces: listOf(annotations[spaces ?? ""]),
  };
}

function listOf(text = ""): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** `service.cilium.io/node-selector` is a selector in text, `service.cilium.io/node` the value of the label of that name. */
function nodeSelector(annotations: Readonly<Record<string, string>>, warn: () => void): LabelSelector | null {
  const text = annotations["service.cilium.io/node-selector"];
  const value = annotations["service.cilium.io/node"];
  if (text !== undefined) {
    const parsed = parseSelectorText(text);
    if (!parsed) warn();
    return parsed;
  }
  return value === undefined ? null : labelSelector([nodeLabel("service.cilium.io/node", "In", [value])]);
}

function nodeLabel(key: string, operator: Requirement["operator"], values: readonly string[]): Requirement {
  return { key: { source: "any", key }, operator, values };
}

/** `a=b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`, with commas between; null where it is none. */
export function parseSelectorText(text: string): LabelSelector | null {
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  const requirements = parts.map(parseRequirement);
  return requirements.includes(null) ? null : labelSelector(requirements.flatMap((each) => each ?? []));
}

function parseRequirement(text: string): Requirement | null {
  const set = /^([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(text);
  if (set) {
    const values = (set[3] ?? "").split(",").map((value) => value.trim());
    return nodeLabel(set[1] ?? "", set[2] === "in" ? "In" : "NotIn", values);
  }
  const equal = /^([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)$/.exec(text);
  if (equal) return nodeLabel(equal[1] ?? "", equal[2] === "!=" ? "NotIn" : "In", [equal[3] ?? ""]);
  const bare = /^(!?)\s*([\w./-]+)$/.exec(text);
  return bare ? nodeLabel(bare[2] ?? "", bare[1] === "!" ? "DoesNotExist" : "Exists", []) : null;
}
