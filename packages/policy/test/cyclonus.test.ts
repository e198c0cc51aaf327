import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parsePrefix, prefixContains, type Prefix } from "@skep/net";
import { describe, expect, it } from "vitest";
import {
  hasErrors,
  lookupEntry,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  parseValue,
  PolicyEngine,
  type EndpointPolicy,
  type PolicyIdentity,
} from "../src/index.ts";
import { sharedData } from "./data.ts";

const path = sharedData("cyclonus/cases.json.gz");

interface Pod {
  namespace: string;
  name: string;
  labels: Record<string, string>;
  ip: string;
  containers: { port: number; protocol: string; portName: string }[];
}
interface Resources {
  namespaces: Record<string, Record<string, string>>;
  pods: Pod[];
}
interface Row {
  from: string;
  to: string;
  protocol: string;
  port: number;
  ingress: string;
  egress: string;
  combined: string;
}
interface Step {
  actions: Record<string, unknown>[];
  resources: Resources;
  expected: Row[];
}
interface Case {
  id: number;
  description: string;
  steps: Step[];
}
interface Policy {
  metadata: { name: string; namespace: string };
  spec: unknown;
}

const protocols: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Each pod has an identity of its own, so that its address can be told. */
function identityOf(pod: Pod, id: number, { namespaces }: Resources): PolicyIdentity {
  const labels: Record<string, string> = { [`k8s:${NAMESPACE_LABEL}`]: pod.namespace };
  for (const [key, value] of Object.entries(pod.labels)) labels[`k8s:${key}`] = value;
  for (const [key, value] of Object.entries(namespaces[pod.namespace] ?? {}))
    labels[`k8s:${NAMESPACE_LABELS_PREFIX}${key}`] = value;
  const cidr = parsePrefix(pod.ip);
  const namedPorts = pod.containers.map(({ portName, protocol, port }) => ({
    name: portName,
    protocol: protocols[protocol] ?? 0,
    port,
  }));
  return { id, labels, namedPorts, ...(cidr ? { cidr } : {}) };
}

/** Policies in force after the actions, and whether each action was one of those known here. */
function apply(policies: Map<string, Policy>, actions: readonly Record<string, unknown>[]): void {
  for (const action of actions)
    for (const [kind, value] of Object.entries(action)) {
      if (kind === "createPolicy" || kind === "updatePolicy") {
        const policy = value as Policy;
        policies.set(`${policy.metadata.namespace}/${policy.metadata.name}`, policy);
      } else if (kind === "deletePolicy") {
        const { Namespace, Name } = value as { Namespace: string; Name: string };
        policies.delete(`${Namespace}/${Name}`);
      } else if (!/^(create|delete|set)(Pod|Namespace|PodLabels|NamespaceLabels)$/.test(kind))
        throw new Error(`unknown action ${kind}`);
    }
}

class World {
  private readonly engine: PolicyEngine;
  private readonly identities = new Map<string, PolicyIdentity>();
  private readonly policies = new Map<string, EndpointPolicy>();

  constructor(resources: Resources, policies: Iterable<Policy>, cidrMatchesPods: boolean) {
    this.engine = new PolicyEngine({ cidrMatchesPods });
    for (const [i, pod] of resources.pods.entries())
      this.identities.set(`${pod.namespace}/${pod.name}`, identityOf(pod, 256 + i, resources));
    for (const identity of this.identities.values()) this.engine.upsertIdentity(identity);
    const parsed = [...policies].map((policy) => parseValue("policy", policy));
    for (const { diagnostics } of parsed) if (hasErrors(diagnostics)) throw new Error(JSON.stringify(diagnostics));
    this.engine.update(parsed.flatMap(({ documents }) => documents));
  }

  identity(name: string): PolicyIdentity {
    const identity = this.identities.get(name);
    if (!identity) throw new Error(`no pod ${name}`);
    return identity;
  }

  verdict(direction: "ingress" | "egress", row: Row): string {
    const [own, other] = direction === "egress" ? [row.from, row.to] : [row.to, row.from];
    const identity = this.identity(own);
    const policy = this.policies.get(own) ?? this.engine.resolve({ id: identity.id, identity });
    this.policies.set(own, policy);
    const peer = this.identity(other).id;
    const entry = lookupEntry(policy, {
      direction,
      identity: peer,
      protocol: protocols[row.protocol] ?? 0,
      port: row.port,
    });
    return entry && !entry.deny ? "allowed" : "blocked";
  }
}

interface Difference {
  readonly text: string;
  readonly direction: "ingress" | "egress";
  readonly row: Row;
  readonly step: Step;
  readonly policies: readonly Policy[];
  readonly ours: string;
}

function compare(cases: readonly Case[], cidrMatchesPods: boolean): { rows: number; differences: Difference[] } {
  const differences: Difference[] = [];
  let rows = 0;
  for (const { id, steps } of cases) {
    const policies = new Map<string, Policy>();
    for (const [i, step] of steps.entries()) {
      apply(policies, step.actions);
      const world = new World(step.resources, policies.values(), cidrMatchesPods);
      for (const row of step.expected) {
        if (row.from === row.to) continue;
        rows++;
        const verdicts = { egress: world.verdict("egress", row), ingress: world.verdict("ingress", row) };
        for (const direction of ["egress", "ingress"] as const) {
          if (verdicts[direction] === row[direction]) continue;
          const text = `case ${id} step ${i} ${direction} ${JSON.stringify(row)}: ours ${verdicts[direction]}`;
          differences.push({ text, direction, row, step, policies: [...policies.values()], ours: verdicts[direction] });
        }
      }
    }
  }
  return { rows, differences };
}

function blocksOf(policies: readonly Policy[]): Prefix[] {
  const texts = [...JSON.stringify(policies).matchAll(/"cidr":"([^"]+)"/g)].map(([, text]) => text ?? "");
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

describe.skipIf(!path)("cyclonus", () => {
  const cases = path ? (JSON.parse(gunzipSync(readFileSync(path)).toString()) as { cases: Case[] }).cases : [];

  it("every row of every step, where address blocks match pods", () => {
    const { rows, differences } = compare(cases, true);
    expect(cases.length).toBe(115);
    expect(rows).toBeGreaterThan(50_000);
    expect(differences.map(({ text }) => text).slice(0, 10)).toEqual([]);
  });

  // Cilium's default: a pod is known by its identity, and an ipBlock never matches one.
  it("as Cilium: the only difference is that a block with a pod's address does not allow the pod", () => {
    const { differences } = compare(cases, false);
    expect(differences.length).toBeGreaterThan(0);
    for (const { text, direction, row, step, policies, ours } of differences) {
      expect(ours, text).toBe("blocked");
      const name = direction === "egress" ? row.to : row.from;
      const pod = step.resources.pods.find((pod) => `${pod.namespace}/${pod.name}` === name);
      const address = parsePrefix(pod?.ip ?? "")?.address;
      expect(address && blocksOf(policies).some((block) => prefixContains(block, address)), text).toBe(true);
    }
  });
});
