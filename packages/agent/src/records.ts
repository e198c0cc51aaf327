/**
 * @module
 * What the agent knows of an endpoint beside control: its record on disk, its state, which version of its policy is in force.
 */
import type { Endpoint } from "@skep/control";
import {
  formatAddress,
  formatMac,
  formatPrefix,
  parseAddress,
  parseMac,
  parsePrefix,
  prefixesOverlap,
  type Prefix,
} from "@skep/net";
import { type EndpointRecord, StateError } from "./state.ts";
import type { Wire } from "./wire.ts";

export type EndpointState = "creating" | "ready" | "not-ready" | "disconnecting";

export interface Row {
  status: { state: EndpointState; reason: string };
  revision: number;
  ingressEnforced: boolean;
  egressEnforced: boolean;
  /** Of the policy's entries in force; 0 none. */
  version: number;
  /** As the maps have it; null: not known to be there as it is. */
  written: Endpoint | null;
  record: EndpointRecord;
  /** Processes were seen in its cgroup. */
  populated: boolean;
  /** Looks in a row that found the cgroup empty. */
  empty: number;
}

export function cidr(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (!prefix) throw new RangeError(`${JSON.stringify(text)} is no prefix: write it as 10.244.0.0/24`);
  return prefix;
}

/** Whose addresses the agent gives. Throws RangeError for what is no prefix, of the wrong family, or has addresses of another. */
export function ownPrefixes({
  podCidr,
  podCidr6,
  serviceCidr,
}: {
  readonly podCidr: string;
  readonly podCidr6?: string;
  readonly serviceCidr: string;
}): { readonly podCidr: Prefix; readonly podCidr6?: Prefix; readonly serviceCidr: Prefix } {
  const [pods, services] = [cidr(podCidr), cidr(serviceCidr)];
  const pods6 = podCidr6 === undefined ? null : cidr(podCidr6);
  for (const [prefix, family] of [[pods, 4] as const, ...(pods6 ? [[pods6, 6] as const] : [])]) {
    const text = formatPrefix(prefix);
    if (prefix.address.family !== family) throw new RangeError(`${text} is no prefix of IPv${family}, for workloads`);
    if (prefixesOverlap(prefix, services))
      throw new RangeError(
        `${formatPrefix(services)}, for services, and ${text}, for workloads, have addresses in common`,
      );
  }
  return { podCidr: pods, ...(pods6 ? { podCidr6: pods6 } : {}), serviceCidr: services };
}

export function pick({
  interfaceName,
  interfaceIndex,
  mac,
  hostMac,
}: Wire): Pick<Endpoint, "interfaceName" | "interfaceIndex" | "mac" | "hostMac"> {
  return { interfaceName, interfaceIndex, mac, hostMac };
}

export function newRow(record: EndpointRecord, state: EndpointState): Row {
  return {
    status: { state, reason: "" },
    revision: 0,
    ingressEnforced: false,
    egressEnforced: false,
    version: 0,
    written: null,
    record,
    populated: false,
    empty: 0,
  };
}

export function recordOf(endpoint: Endpoint, place: { netns: string; cgroup: string }): EndpointRecord {
  const { id, namespace, name, labels, interfaceName, interfaceIndex } = endpoint;
  return {
    ...{ id, namespace, name, labels, interfaceName, interfaceIndex, ...place },
    address: formatAddress(endpoint.address),
    ...(endpoint.address6 ? { address6: formatAddress(endpoint.address6) } : {}),
    mac: formatMac(endpoint.mac),
    hostMac: formatMac(endpoint.hostMac),
    ...optional(endpoint),
  };
}

function optional({
  namedPorts,
  bandwidth,
  audit,
}: Pick<EndpointRecord, "namedPorts" | "bandwidth" | "audit">): Pick<
  EndpointRecord,
  "namedPorts" | "bandwidth" | "audit"
> {
  return {
    ...(namedPorts ? { namedPorts } : {}),
    ...(bandwidth ? { bandwidth } : {}),
    ...(audit ? { audit } : {}),
  };
}

export function endpointOf(record: EndpointRecord): Endpoint {
  const address = parseAddress(record.address);
  const address6 = record.address6 === undefined ? undefined : parseAddress(record.address6);
  const mac = parseMac(record.mac);
  const hostMac = parseMac(record.hostMac);
  if (!address || address6 === null || !mac || !hostMac)
    throw new StateError(`the record of endpoint ${record.id}`, new Error("an address does not parse"));
  const { id, namespace, name, labels, interfaceName, interfaceIndex } = record;
  return {
    ...{ id, namespace, name, labels, identity: 0, address, interfaceName, interfaceIndex, mac, hostMac },
    ...(address6 ? { address6 } : {}),
    ...optional(record),
  };
}
