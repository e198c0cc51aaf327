/**
 * @module
 * By which node, and with which address, what workloads send to the world leaves: one row for each workload and prefix that a policy names.
 */
import { type Address, formatAddress, formatPrefix, type Prefix } from "@skep/net";
import { type Diagnostic, LabelSet, matchesLabels } from "@skep/policy";
import type { Labels } from "../model.ts";
import { tunnelEnd } from "../nodes.ts";
import type { EgressGateway, EgressPolicySpec } from "./parse.ts";

/** `excluded`: as if there were no policy. `gateway` null: no node is chosen; `here`: it is this one, and `address` what packets leave with. */
export interface EgressRow {
  readonly source: Address;
  readonly destination: Prefix;
  readonly way:
    | { readonly kind: "excluded" }
    | { readonly kind: "none" }
    | { readonly kind: "there"; readonly gateway: Address }
    | { readonly kind: "here"; readonly address: Address | null };
  /** Name of the policy. */
  readonly policy: string;
}

export interface EgressWorkload {
  readonly addresses: readonly Address[];
  readonly labels: Labels;
  /** Name of its node. */
  readonly node: string;
}

export interface EgressNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
}

export interface EgressState {
  /** Local and remote. */
  readonly workloads: readonly EgressWorkload[];
  /** This one is among them. */
  readonly nodes: readonly EgressNode[];
  readonly own: string;
  /** Of the addresses that tunnels lead to. Default 4. */
  readonly tunnelFamily?: 4 | 6;
  /** Of this node: those that packets leave by come first. */
  readonly interfaces: readonly { readonly name: string; readonly addresses: readonly Address[] }[];
}

/** Of policies for the same workload and prefix the first by name is in force. */
export function egressRows(policies: readonly EgressPolicySpec[], state: EgressState): EgressRow[] {
  const rows = new Map<string, EgressRow>();
  const nodeLabels = new Map(state.nodes.map(({ name, labels }) => [name, new LabelSet(labels)]));
  for (const policy of [...policies].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const gateways = policy.gateways.map((gateway) => ({ gateway, node: nodeOf(gateway, state, nodeLabels) }));
    const chosen = gateways.filter(({ node }) => node !== null);
    for (const workload of state.workloads) {
      if (!isSelected(policy, workload, nodeLabels)) continue;
      for (const source of workload.addresses) {
        const one = chosen.length === 0 ? undefined : chosen[hashOf(source) % chosen.length];
        const add = (destination: Prefix, way: EgressRow["way"]): void => {
          if (destination.address.family !== source.family) return;
          const key = `${formatAddress(source)} ${formatPrefix(destination)}`;
          if (!rows.has(key)) rows.set(key, { source, destination, way, policy: policy.name });
        };
        for (const prefix of policy.excluded) add(prefix, { kind: "excluded" });
        for (const prefix of policy.destinations) add(prefix, wayOf(one, source.family, state));
      }
    }
  }
  return [...rows.values()];
}

/** The first by name of those that it selects. */
function nodeOf(
  { nodes }: EgressGateway,
  state: EgressState,
  labels: ReadonlyMap<string, LabelSet>,
): EgressNode | null {
  const selected = state.nodes.filter(({ name }) => {
    const set = labels.get(name);
    return set !== undefined && matchesLabels(nodes, set);
  });
  return selected.sort((a, b) => (a.name < b.name ? -1 : 1))[0] ?? null;
}

function isSelected(
  { selectors }: EgressPolicySpec,
  workload: EgressWorkload,
  nodes: ReadonlyMap<string, LabelSet>,
): boolean {
  const labels = new LabelSet(workload.labels);
  const node = nodes.get(workload.node);
  return selectors.some(
    (each) =>
      matchesLabels(each.pods, labels) && (!each.nodes || (node !== undefined && matchesLabels(each.nodes, node))),
  );
}

function wayOf(
  chosen: { readonly gateway: EgressGateway; readonly node: EgressNode | null } | undefined,
  family: 4 | 6,
  state: EgressState,
): EgressRow["way"] {
  if (!chosen?.node) return { kind: "none" };
  const { gateway, node } = chosen;
  if (node.name === state.own) return { kind: "here", address: addressOf(gateway, family, state) };
  const tunnel = tunnelEnd(node.addresses, state.tunnelFamily ?? 4);
  return tunnel ? { kind: "there", gateway: tunnel } : { kind: "none" };
}

/** An address of this node, as the gateway says; null where it has no such. */
function addressOf(gateway: EgressGateway, family: 4 | 6, { interfaces }: EgressState): Address | null {
  const own = interfaces
    .filter(({ name }) => gateway.interface === null || name === gateway.interface)
    .flatMap(({ addresses }) => addresses)
    .filter((each) => each.family === family);
  const { address } = gateway;
  if (!address) return own[0] ?? null;
  return own.find((each) => formatAddress(each) === formatAddress(address)) ?? null;
}

/** The same on every node. */
function hashOf({ bytes }: Address): number {
  return bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
}

/** What keeps policies from being in force as they are written. */
export function egressProblems(
  policies: readonly EgressPolicySpec[],
  rows: readonly EgressRow[],
  isOn: boolean,
): Diagnostic[] {
  return policies.flatMap(({ name, span }): Diagnostic[] => {
    const tell = (code: Diagnostic["code"], message: string, hint: string): Diagnostic => ({
      ...{ code, severity: "warning", message: `CiliumEgressGatewayPolicy ${name} ${message}`, span, hint },
    });
    if (!isOn)
      return [tell("SKEP6031", "is not in force: egress gateways are off", "start the agent with --egress-gateway")];
    const own = rows.filter(({ policy }) => policy === name);
    if (own.some(({ way }) => way.kind === "none"))
      return [tell("SKEP6044", "selects no node as its gateway", "what its workloads send there is dropped (194)")];
    if (own.some(({ way }) => way.kind === "here" && way.address === null))
      return [tell("SKEP6046", "names an address that this node has not", "what leaves by this node is dropped (204)")];
    return [];
  });
}
