/**
 * @module
 * Local redirect policies: which workloads of this node serve, and which frontends go to them.
 */
import { type Address, sameAddress } from "@skep/net";
import { LabelSet, matchesLabels } from "@skep/policy";
import { instance, PLAIN_SERVICE } from "./convert.ts";
import type { FrontendParams, Instance, NodeFacts, Service } from "./model.ts";
import type { SkipRow } from "./rows.ts";
import { objectKey, type PodSpec, type RedirectPort, type RedirectSpec, type WorkloadSpec } from "./spec.ts";

/** A workload that a policy sends traffic to. */
export interface RedirectTarget {
  readonly addresses: readonly Address[];
  /** Null: not known, it serves what the policy says. */
  readonly ports: readonly { readonly protocol: number; readonly port: number }[] | null;
}

export const REDIRECT_SUFFIX = ":local-redirect";
export const redirectName = (spec: RedirectSpec): string => objectKey(spec) + REDIRECT_SUFFIX;

export function redirectService(spec: RedirectSpec): Service {
  return { ...PLAIN_SERVICE, name: redirectName(spec), created: spec.created };
}

/** Pods that are ready, and workloads, of this node and the policy's namespace. */
export function redirectTargets(
  spec: RedirectSpec,
  pods: Iterable<PodSpec>,
  { workloads, node }: { readonly workloads: Iterable<WorkloadSpec>; readonly node: NodeFacts },
): RedirectTarget[] {
  const found: RedirectTarget[] = [];
  const here = (name: string): boolean => name === "" || name === node.name;
  for (const pod of pods) {
    if (pod.namespace !== spec.namespace || !pod.running || !pod.ready || !here(pod.node)) continue;
    if (matchesLabels(spec.selector, new LabelSet(withSource(pod.labels)))) found.push(pod);
  }
  for (const workload of workloads) {
    if (workload.namespace !== spec.namespace || workload.terminating || !here(workload.node)) continue;
    if (matchesLabels(spec.selector, new LabelSet(workload.labels)))
      found.push({ addresses: workload.addresses, ports: null });
  }
  return found.filter(({ addresses }) => addresses.length > 0);
}

function withSource(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value]));
}

export function redirectInstances(
  spec: RedirectSpec,
  targets: readonly RedirectTarget[],
  families: readonly (4 | 6)[],
): Instance[] {
  const named = spec.ports.length > 1;
  return targets.flatMap(({ addresses, ports }) =>
    spec.ports
      .filter((wanted) => ports === null || ports.some((port) => samePort(port, wanted)))
      .flatMap(({ name, port, protocol }) =>
        addresses
          .filter(({ family }) => families.includes(family))
          .map((address) =>
            instance({ address, port, protocol }, { name: named ? name : "", state: "active", node: "" }),
          ),
      ),
  );
}

const samePort = (a: Omit<RedirectPort, "name">, b: Omit<RedirectPort, "name">): boolean =>
  a.port === b.port && a.protocol === b.protocol;

/** The frontends that an address matcher makes. */
export function redirectFrontends(spec: RedirectSpec): FrontendParams[] {
  if (spec.frontend.kind !== "address") return [];
  const { address, ports } = spec.frontend;
  // One port needs no name to find the one behind.
  return ports.map(({ name, port, protocol }) => ({
    ...{ address, port, protocol, scope: 0, type: "LocalRedirect", service: redirectName(spec) },
    ...{ portName: ports.length > 1 ? name : "", servicePort: port },
  }));
}

/** Whether a service matcher takes this frontend of its service. */
export function takesFrontend(spec: RedirectSpec, params: FrontendParams): boolean {
  if (spec.frontend.kind !== "service" || params.type !== "ClusterIP") return false;
  const wanted = spec.frontend.ports;
  if (wanted.length > 0 && !wanted.some((port) => samePort(port, params))) return false;
  // Several ports behind: the service's port must have the name of one of them.
  return spec.ports.length <= 1 || spec.ports.some(({ name }) => name === params.portName);
}

/** What the backends of the policy are not redirected at. */
export function redirectSkips(
  spec: RedirectSpec,
  targets: readonly RedirectTarget[],
  frontends: readonly FrontendParams[],
): SkipRow[] {
  if (!spec.skipFromBackend) return [];
  const rows = targets.flatMap(({ addresses }) =>
    addresses.flatMap((source) =>
      frontends
        .filter(({ address }) => address.family === source.family)
        .map(({ address, port }) => ({ source, address, port })),
    ),
  );
  // Two protocols on one port are one row.
  return rows.filter((row, at) => rows.findIndex((other) => sameSkip(row, other)) === at);
}

function sameSkip(a: SkipRow, b: SkipRow): boolean {
  return a.port === b.port && sameAddress(a.address, b.address) && sameAddress(a.source, b.source);
}
