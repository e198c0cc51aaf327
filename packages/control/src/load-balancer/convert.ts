/**
 * @module
 * Kubernetes objects to services, frontends and backends.
 */
import { type Address, isLoopback, isUnspecified } from "@skep/net";
import { LabelSet, matchesLabels } from "@skep/policy";
import { packed } from "../packed.ts";
import type { LoadBalancerConfig } from "./config.ts";
import { addressKey } from "./key.ts";
import type { FrontendParams, FrontendType, Instance, InstanceState, NodeFacts, Service } from "./model.ts";
import { ALGORITHM } from "./rows.ts";
import {
  type EndpointSliceSpec,
  objectKey,
  type PodPort,
  type PodSpec,
  type ServicePort,
  type ServiceSpec,
  type SliceEndpoint,
  type WorkloadSpec,
} from "./spec.ts";

const NO_NAMES: readonly string[] = [];
/** Most backends have one of a few names. */
const NAMES = new Map<string, readonly string[]>();
const MOST_NAMES = 1024;

function namesOf(name: string): readonly string[] {
  if (name === "") return NO_NAMES;
  const known = NAMES.get(name);
  if (known) return known;
  const names = [name];
  if (NAMES.size < MOST_NAMES) NAMES.set(name, names);
  return names;
}

export const ANY4: Address = { family: 4, bytes: new Uint8Array(4) };
export const ANY6: Address = { family: 6, bytes: new Uint8Array(16) };

export const PLAIN_SERVICE: Omit<Service, "name" | "created"> = {
  source: "k8s",
  portNames: [],
  externalLocal: false,
  internalLocal: false,
  affinityTimeout: 0,
  sourceRanges: [],
  sourceRangesDeny: false,
  algorithm: ALGORITHM.UNDEFINED,
  forwardingMode: "",
  healthCheckNodePort: 0,
  loopbackHostPort: false,
  trafficDistribution: "",
  loadBalancerClass: null,
};

export function serviceOf(spec: ServiceSpec): Service {
  return {
    name: objectKey(spec),
    source: "k8s",
    created: spec.created,
    portNames: spec.ports,
    externalLocal: spec.externalLocal,
    internalLocal: spec.internalLocal,
    affinityTimeout: spec.affinityTimeout,
    sourceRanges: spec.sourceRanges,
    sourceRangesDeny: spec.sourceRangesDeny,
    algorithm: spec.algorithm,
    forwardingMode: spec.forwardingMode,
    healthCheckNodePort: spec.healthCheckNodePort,
    loopbackHostPort: false,
    trafficDistribution: spec.trafficDistribution,
    loadBalancerClass: spec.loadBalancerClass,
  };
}

/** Whether the service is to be on this node at all. */
export function isExposedOn({ nodes }: ServiceSpec, { labels }: NodeFacts): boolean {
  return nodes === null || matchesLabels(nodes, new LabelSet(labels));
}

/** The addresses of a service, by its type and what annotations leave of it. */
export function frontendsOf(spec: ServiceSpec, { families }: LoadBalancerConfig): FrontendParams[] {
  if (spec.headless || spec.type === "ExternalName") return [];
  const found: FrontendParams[] = [];
  const add = (type: FrontendType, address: Address, scopes: readonly (0 | 1)[], portOf = plainPort): void => {
    if (!families.includes(address.family)) return;
    for (const scope of scopes) {
      for (const port of spec.ports) {
        const number = portOf(port);
        if (number !== 0) found.push(frontend(spec, port, { type, address, scope, port: number }));
      }
    }
  };
  // Where the two policies differ, what comes from outside and what comes from the node itself have other backends.
  const scopes = spec.externalLocal === spec.internalLocal ? ([0] as const) : ([0, 1] as const);
  const exposed = new Set(spec.exposed);
  if (exposed.has("ClusterIP")) for (const address of spec.clusterIps) add("ClusterIP", address, [0]);
  if (spec.type !== "ClusterIP" && exposed.has("NodePort"))
    for (const family of familiesOf(spec)) add("NodePort", family === 4 ? ANY4 : ANY6, scopes, nodePort);
  if (spec.type === "LoadBalancer" && exposed.has("LoadBalancer"))
    for (const address of spec.ingressIps) add("LoadBalancer", address, scopes);
  for (const address of spec.externalIps) add("ExternalIPs", address, [0]);
  return found;
}

const plainPort = ({ port }: ServicePort): number => port;
const nodePort = (port: ServicePort): number => port.nodePort;

export function familiesOf({ families, clusterIps }: ServiceSpec): (4 | 6)[] {
  return [...new Set(families.length > 0 ? families : clusterIps.map(({ family }) => family))];
}

function frontend(
  spec: ServiceSpec,
  { name, protocol, port: servicePort }: ServicePort,
  at: Pick<FrontendParams, "type" | "address" | "scope" | "port">,
): FrontendParams {
  // Each by name: what is spread into has a hidden class of its own, 300 bytes for each frontend.
  const { type, address, scope, port } = at;
  return { type, address, scope, port, service: objectKey(spec), protocol, portName: name, servicePort };
}

// ---- backends ----

export function instancesOfSlice(spec: EndpointSliceSpec, { families }: LoadBalancerConfig): readonly Instance[] {
  const instances = spec.endpoints.flatMap((endpoint) =>
    endpoint.addresses
      .filter(({ family }) => families.includes(family))
      .flatMap((address) =>
        spec.ports.map(({ name, protocol, port }) =>
          instance(
            { address, port, protocol },
            { name, state: stateOf(endpoint), node: endpoint.node, zone: endpoint.zone, forZones: endpoint.forZones },
          ),
        ),
      ),
  );
  return packed(instances);
}

/** Ready wins over terminating, as kube-proxy has it; what is neither ready nor terminating keeps its connections. */
function stateOf({ ready, serving, terminating }: SliceEndpoint): InstanceState {
  if (ready) return "active";
  if (!terminating) return "maintenance";
  return serving ? "terminating" : "terminating-not-serving";
}

interface InstanceFacts {
  readonly name: string;
  readonly state: InstanceState;
  readonly node: string;
  readonly zone?: string;
  readonly forZones?: readonly string[] | null;
}

export function instance(
  at: { readonly address: Address; readonly port: number; readonly protocol: number },
  { name, state, node, zone = "", forZones = null }: InstanceFacts,
): Instance {
  const { address, port, protocol } = at;
  const portNames = namesOf(name);
  return { address, port, protocol, key: addressKey(at), portNames, state, node, zone, forZones, weight: 1 };
}

/** What one workload serves of a service that selects it. */
export function instancesOfWorkload(spec: ServiceSpec, workload: WorkloadSpec, node: NodeFacts): Instance[] {
  const state = workload.terminating ? "terminating" : "active";
  return spec.ports.flatMap((port) => {
    const target = targetOf(workload, port);
    // A workload that has no port of that name is no backend, as in Kubernetes.
    if (target === null) return [];
    return workload.addresses.map((address) =>
      instance(
        { address, port: target, protocol: port.protocol },
        { name: port.name, state, node: workload.node || node.name },
      ),
    );
  });
}

function targetOf({ namedPorts }: WorkloadSpec, { targetPort, protocol }: ServicePort): number | null {
  if (typeof targetPort === "number") return targetPort;
  return namedPorts.find((each) => each.name === targetPort && each.protocol === protocol)?.port ?? null;
}

/** Instances of several sources: one for each address, with the names of all and the best state. */
export function mergeInstances(
  sources: readonly (readonly Instance[])[],
  states: readonly InstanceState[],
): readonly Instance[] {
  const [only] = sources;
  if (only && sources.length === 1 && isSorted(only)) return only;
  const merged = new Map<string, Instance>();
  for (const instances of sources) {
    for (const next of instances) {
      const known = merged.get(next.key);
      merged.set(next.key, known ? mergeTwo(known, next, states) : next);
    }
  }
  return packed([...merged.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
}

/** Without one that comes twice. */
function isSorted(instances: readonly Instance[]): boolean {
  return instances.every(({ key }, at) => at === 0 || (instances[at - 1]?.key ?? "") < key);
}

function mergeTwo(a: Instance, b: Instance, states: readonly InstanceState[]): Instance {
  const first = rank(a, states) <= rank(b, states) ? a : b;
  const named = a.portNames.length > 0 && b.portNames.length > 0;
  return { ...first, portNames: named ? [...new Set([...a.portNames, ...b.portNames])].sort() : [] };
}

/** Of equal states the text decides, so that the order of the sources does not count. */
function rank({ state, node, zone }: Instance, states: readonly InstanceState[]): string {
  return `${states.indexOf(state)}/${node}/${zone}`;
}

// ---- host ports ----

export interface HostPort {
  readonly service: Service;
  readonly frontends: readonly FrontendParams[];
  readonly instances: readonly Instance[];
}

/** One service for each pair of pod and host port, as Cilium names them. */
export function hostPortsOf(pod: PodSpec, config: LoadBalancerConfig): HostPort[] {
  if (!pod.running || pod.hostNetwork || pod.addresses.length === 0) return [];
  const byName = new Map<string, HostPort>();
  for (const port of pod.ports) {
    const [first, last] = config.nodePortRange;
    if (port.hostPort === 0 || (port.hostPort >= first && port.hostPort <= last)) continue;
    const name = `${objectKey(pod)}:host-port:${port.hostPort}:${pod.uid}`;
    const known = byName.get(name);
    const next = hostPortOf(pod, port, { name, config });
    byName.set(name, {
      service: { ...next.service, loopbackHostPort: known?.service.loopbackHostPort || next.service.loopbackHostPort },
      frontends: [...(known?.frontends ?? []), ...next.frontends],
      instances: [...(known?.instances ?? []), ...next.instances],
    });
  }
  return [...byName.values()];
}

function hostPortOf(
  pod: PodSpec,
  { hostIp, hostPort, port, protocol }: PodPort,
  { name, config }: { readonly name: string; readonly config: LoadBalancerConfig },
): HostPort {
  const addresses = pod.addresses.filter(({ family }) => config.families.includes(family));
  const loopback = hostIp !== null && isLoopback(hostIp);
  const families = new Set(addresses.map(({ family }) => family));
  // No address, or the unspecified one: every address of the node. Loopback is served at the socket alone, through the unspecified one.
  const everywhere = [...families].map((family) => (family === 4 ? ANY4 : ANY6));
  const at = hostIp === null || isUnspecified(hostIp) ? everywhere : [loopback ? anyOf(hostIp) : hostIp];
  return {
    service: { ...PLAIN_SERVICE, name, created: pod.created, loopbackHostPort: loopback },
    frontends: at.map((address) => ({
      ...{ address, port: hostPort, protocol, service: name, scope: 0 },
      ...{ type: "HostPort", portName: "", servicePort: hostPort },
    })),
    instances: addresses.map((address) =>
      instance({ address, port, protocol }, { name: "", state: "active", node: pod.node }),
    ),
  };
}

const anyOf = ({ family }: Address): Address => (family === 4 ? ANY4 : ANY6);

/** Everything that a workload's label of that name and value finds. */
export function selectsWorkload(spec: ServiceSpec, workload: WorkloadSpec): boolean {
  if (workload.namespace !== spec.namespace) return false;
  const wanted = Object.entries(spec.selector);
  return wanted.length > 0 && wanted.every(([key, value]) => workload.labels[`k8s:${key}`] === value);
}
