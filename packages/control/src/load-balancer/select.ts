/**
 * @module
 * Which backends of a service a frontend uses: family, protocol and port, traffic policies, topology.
 */
import type { LoadBalancerConfig } from "./config.ts";
import { type FrontendParams, type Instance, type NodeFacts, type Service, ZONE_LABEL } from "./model.ts";

export interface Selection {
  readonly params: FrontendParams;
  /** Of the frontend, also where another's backends are used. */
  readonly service: Service;
  readonly redirected: boolean;
  readonly node: NodeFacts;
  readonly config: LoadBalancerConfig;
}

export function selectBackends(instances: readonly Instance[], selection: Selection): readonly Instance[] {
  const { params, service, node, config, redirected } = selection;
  let fitting: readonly Instance[] = instances.filter((instance) => fits(instance, params));
  if (fitting.length === 0 && config.nat46x64 && isTranslated(params, redirected)) {
    const family = params.address.family === 4 ? 6 : 4;
    fitting = instances.filter((instance) => fits(instance, params, family));
  }
  if (fitting.length === instances.length) fitting = instances;
  if (isLocalOnly(params, service)) fitting = fitting.filter((each) => isHere(each, node));
  if (!config.serviceTopology || redirected || service.trafficDistribution === "") return fitting;
  if (service.trafficDistribution === "PreferSameNode") {
    const here = fitting.filter((each) => each.node === node.name);
    if (here.length > 0) return here;
    return fitting;
  }
  return inZone(fitting, node.labels[ZONE_LABEL] ?? "");
}

/** What comes from outside: a cluster address is its workloads', whose sockets have a family. */
function isTranslated({ type }: FrontendParams, redirected: boolean): boolean {
  return !redirected && type !== "ClusterIP" && type !== "HostPort" && type !== "LocalRedirect";
}

function fits(
  instance: Instance,
  { address, protocol, portName }: FrontendParams,
  family: 4 | 6 = address.family,
): boolean {
  if (instance.protocol !== protocol || instance.address.family !== family) return false;
  return portName === "" || instance.portNames.length === 0 || instance.portNames.includes(portName);
}

/** Hints are followed where every backend has some and one is meant for this zone (Kubernetes' safeguards of topology-aware routing). */
function inZone(instances: readonly Instance[], zone: string): readonly Instance[] {
  const hinted = instances.every(({ forZones }) => forZones !== null && forZones.length > 0);
  const meant = zone !== "" && hinted ? instances.filter(({ forZones }) => forZones?.includes(zone)) : [];
  return meant.length > 0 ? meant : instances;
}

/** A backend whose node nobody knows counts as local. */
export function isHere(instance: Instance, { name }: NodeFacts): boolean {
  return instance.node === "" || instance.node === name;
}

/** A cluster address has the external scope alone, and the internal policy. */
export function isLocalOnly({ type, scope }: FrontendParams, service: Service): boolean {
  if (type === "HostPort" || type === "LocalRedirect") return false;
  return type === "ClusterIP" || scope === 1 ? service.internalLocal : service.externalLocal;
}
