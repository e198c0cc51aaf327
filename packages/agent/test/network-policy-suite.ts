/**
 * @module
 * Kubernetes NetworkPolicy with packets on whatever machine: random policies against a naive reading of the documentation, and recorded cases.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostPrefix } from "@skep/net";
import {
  hasErrors,
  ipProtocolOf,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  parseValue,
  PolicyEngine,
  type PolicyIdentity,
} from "@skep/policy";
import { cluster, networkPolicies, ports } from "../../policy/test/network-policy-arbitrary.ts";
import { sideAllows, type NetworkPolicy } from "../../policy/test/network-policy-naive.ts";
import { ip, PacketLab, worldRows, type Ground, type Outcome, type Probe } from "./packet-lab.ts";

const RUNS = 200;
const SEED = 20261121;
const CYCLONUS_CASES = 20;

interface Container {
  readonly portName: string;
  readonly protocol: string;
  readonly port: number;
}
interface ClusterPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly containers: readonly Container[];
}
type Namespaces = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Each pod has an identity of its own: its number is the endpoint's too. */
function identityOf(pod: ClusterPod, id: number, namespaces: Namespaces): PolicyIdentity {
  const labels: Record<string, string> = { [`k8s:${NAMESPACE_LABEL}`]: pod.namespace };
  for (const [key, value] of Object.entries(pod.labels)) labels[`k8s:${key}`] = value;
  const all = { "kubernetes.io/metadata.name": pod.namespace, ...namespaces[pod.namespace] };
  for (const [key, value] of Object.entries(all)) labels[`k8s:${NAMESPACE_LABELS_PREFIX}${key}`] = value;
  const namedPorts = pod.containers.map(({ portName: name, protocol, port }) => ({
    ...{ name, port, protocol: ipProtocolOf(protocol) },
  }));
  return { id, labels, namedPorts, cidr: hostPrefix(ip(pod.ip)) };
}

const nameOf = (pod: { readonly namespace: string; readonly name: string }): string => `${pod.namespace}/${pod.name}`;

/** Pods on wires, by their names, for policies that come and go. */
class Cluster {
  readonly lab: PacketLab;
  private readonly numbers = new Map<string, number>();

  constructor(
    ground: Ground,
    pods: readonly { readonly namespace: string; readonly name: string; readonly ip: string }[],
  ) {
    this.lab = new PacketLab(ground);
    for (const [i, pod] of pods.entries()) {
      const id = 256 + i;
      this.numbers.set(nameOf(pod), id);
      this.lab.addPod({ id, identity: id, address: ip(pod.ip), address6: ip(`fd20::${id.toString(16)}`) });
    }
    this.lab.datapath.syncIpcache(worldRows());
  }

  numberOf(name: string): number {
    const id = this.numbers.get(name);
    if (id === undefined) throw new Error(`no pod ${name}`);
    return id;
  }

  enforce(
    state: { readonly pods: readonly ClusterPod[]; readonly namespaces: Namespaces },
    policies: readonly unknown[],
    cidrMatchesPods = false,
  ): void {
    const engine = new PolicyEngine({ cidrMatchesPods });
    const identities = state.pods.map((pod) => identityOf(pod, this.numberOf(nameOf(pod)), state.namespaces));
    for (const identity of identities) engine.upsertIdentity(identity);
    const parsed = policies.map((policy) => parseValue("policy", policy));
    for (const { diagnostics } of parsed) if (hasErrors(diagnostics)) throw new Error(JSON.stringify(diagnostics));
    engine.update(parsed.flatMap(({ documents }) => documents));
    this.lab.datapath.setPolicies(
      identities.map((identity) =>
        engine.resolve({ id: identity.id, identity, namedPorts: identity.namedPorts ?? [] }),
      ),
    );
  }

  probe(
    connections: readonly {
      readonly from: string;
      readonly to: string;
      readonly protocol: string;
      readonly port: number;
    }[],
  ): Promise<Outcome[]> {
    const probes = connections.map(({ from, to, protocol, port }): Probe => ({
      ...{ from: this.numberOf(from), to: this.numberOf(to), protocol: ipProtocolOf(protocol), port, family: 4 },
    }));
    return this.lab.probe(probes);
  }
}

const met = ({ arrived, drop }: Outcome): string => (arrived ? "arrived" : `dropped on ${drop?.direction ?? "?"}`);

function wanted(egress: boolean, ingress: boolean): string {
  if (!egress) return "dropped on egress";
  return ingress ? "arrived" : "dropped on ingress";
}

export function networkPolicySuite(makeGround: () => Ground): void {
  describe("random NetworkPolicies with packets", () => randomPolicies(makeGround));
  describe.skipIf(!existsSync(path))("cyclonus with packets", () => cyclonus(makeGround));
}

function randomPolicies(makeGround: () => Ground): void {
  const pods = cluster.pods.map((pod): ClusterPod => ({
    ...pod,
    containers: pod.ports.map(({ name, protocol, port }) => ({ portName: name, protocol, port })),
  }));
  let wired: Cluster;
  beforeAll(() => {
    wired = new Cluster(makeGround(), pods);
  });
  afterAll(() => wired?.lab.close());

  it(`${RUNS} sets of policies: every connection does what the documentation says`, async () => {
    const connections = cluster.pods.flatMap((from) =>
      cluster.pods.flatMap((to) => (from === to ? [] : ports.map((each) => ({ from, to, ...each })))),
    );
    const differences: string[] = [];
    const tally = { arrived: 0, dropped: 0 };
    for (const policies of fc.sample(networkPolicies, { numRuns: RUNS, seed: SEED })) {
      wired.enforce({ pods, namespaces: cluster.namespaces }, policies);
      const outcomes = await wired.probe(
        connections.map((each) => ({ ...each, from: nameOf(each.from), to: nameOf(each.to) })),
      );
      for (const [i, connection] of connections.entries()) {
        const outcome = outcomes[i];
        if (!outcome) throw new Error("a probe without an outcome");
        tally[outcome.arrived ? "arrived" : "dropped"] += 1;
        const side = (ingress: boolean): boolean => sideAllows(cluster, policies, { connection, ingress });
        const should = wanted(side(false), side(true));
        if (met(outcome) === should) continue;
        const text = `${nameOf(connection.from)} > ${nameOf(connection.to)} ${connection.port}/${connection.protocol}`;
        differences.push(
          `${text}: ${met(outcome)}, not ${should}\n${JSON.stringify(policies satisfies NetworkPolicy[])}`,
        );
      }
    }
    expect(differences.slice(0, 3)).toEqual([]);
    expect(tally.arrived).toBeGreaterThan(10_000);
    expect(tally.dropped).toBeGreaterThan(10_000);
  }, 180_000);
}

const path = fileURLToPath(new URL("../../../../shared/data/cyclonus/cases.json.gz", import.meta.url));
if (!existsSync(path)) console.warn(`skipped: there is no cyclonus in the shared data (${path})`);

interface Step {
  readonly actions: readonly Readonly<Record<string, unknown>>[];
  readonly resources: { readonly namespaces: Namespaces; readonly pods: readonly ClusterPod[] };
  readonly expected: readonly {
    readonly from: string;
    readonly to: string;
    readonly protocol: string;
    readonly port: number;
    readonly ingress: string;
    readonly egress: string;
  }[];
}
interface CyclonusCase {
  readonly id: number;
  readonly description: string;
  readonly steps: readonly Step[];
}

/** The policies after a step's actions. */
function act(policies: Map<string, unknown>, actions: Step["actions"]): void {
  for (const action of actions)
    for (const [kind, value] of Object.entries(action)) {
      if (kind === "createPolicy" || kind === "updatePolicy") {
        const { metadata } = value as NetworkPolicy;
        policies.set(nameOf(metadata), value);
      } else if (kind === "deletePolicy") {
        const { Namespace, Name } = value as { Namespace: string; Name: string };
        policies.delete(`${Namespace}/${Name}`);
      }
    }
}

function cyclonus(makeGround: () => Ground): void {
  const all = existsSync(path)
    ? (JSON.parse(gunzipSync(readFileSync(path)).toString()) as { cases: CyclonusCase[] }).cases
    : [];
  // Spread over all kinds of cases; those whose pods stay the same.
  const names = (step: Step): string => step.resources.pods.map((pod) => `${nameOf(pod)} ${pod.ip}`).join();
  const first = all[0]?.steps[0];
  const steady = all.filter(({ steps }) => first && steps.every((step) => names(step) === names(first)));
  const chosen = Array.from(
    { length: CYCLONUS_CASES },
    (_, i) => steady[Math.floor((i * steady.length) / CYCLONUS_CASES)],
  ).flatMap((each) => each ?? []);
  let wired: Cluster;
  beforeAll(() => {
    wired = new Cluster(makeGround(), first?.resources.pods ?? []);
  });
  afterAll(() => wired?.lab.close());

  it(`${CYCLONUS_CASES} cases: every row of every step`, async () => {
    expect(new Set(chosen.map(({ id }) => id)).size).toBe(CYCLONUS_CASES);
    const differences: string[] = [];
    let rows = 0;
    for (const { id, steps } of chosen) {
      const policies = new Map<string, unknown>();
      for (const [i, step] of steps.entries()) {
        act(policies, step.actions);
        wired.enforce(step.resources, [...policies.values()], true);
        // A pod reaches itself without leaving it.
        const expected = step.expected.filter(({ from, to }) => from !== to);
        const outcomes = await wired.probe(expected);
        rows += expected.length;
        for (const [at, row] of expected.entries()) {
          const should = wanted(row.egress === "allowed", row.ingress === "allowed");
          const outcome = outcomes[at];
          if (!outcome || met(outcome) === should) continue;
          differences.push(`case ${id} step ${i} ${JSON.stringify(row)}: ${met(outcome)}, not ${should}`);
        }
      }
    }
    expect(differences.slice(0, 10)).toEqual([]);
    expect(rows).toBeGreaterThan(5_000);
  }, 180_000);
}
