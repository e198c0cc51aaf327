import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import {
  formatTruthTable,
  hasErrors,
  ipProtocolOf,
  parseValue,
  PolicyModel,
  truthTable,
  type TruthRow,
} from "../src/index.ts";
import { cluster, networkPolicies, ports } from "./network-policy-arbitrary.ts";
import { sideAllows, type NaivePod, type NetworkPolicy } from "./network-policy-naive.ts";

function modelOf(policies: readonly NetworkPolicy[]): PolicyModel {
  const model = new PolicyModel();
  for (const [name, labels] of Object.entries(cluster.namespaces)) model.addNamespace({ name, labels });
  for (const { namespace, name, labels, ports } of cluster.pods)
    model.addWorkload({
      namespace,
      name,
      labels: { ...labels },
      namedPorts: ports.map((port) => ({ ...port, protocol: ipProtocolOf(port.protocol) })),
    });
  const parsed = policies.map((policy) => parseValue("policy", policy));
  const diagnostics = parsed.flatMap((each) => each.diagnostics);
  if (hasErrors(diagnostics)) throw new Error(JSON.stringify(diagnostics));
  model.setDocuments(parsed.flatMap(({ documents }) => documents));
  return model;
}

function podOf(name: string): NaivePod {
  const pod = cluster.pods.find((each) => `${each.namespace}/${each.name}` === name);
  if (!pod) throw new Error(`no pod ${name}`);
  return pod;
}

/** Rows of the table that the reference sees otherwise. */
function differences(policies: readonly NetworkPolicy[]): TruthRow[] {
  const model = modelOf(policies);
  const asked = ports.map(({ protocol, port }) => ({ protocol: ipProtocolOf(protocol), port, name: protocol }));
  return truthTable(model.engine, model.ends, asked).filter((row) => {
    const protocol = asked.find((each) => each.protocol === row.protocol)?.name ?? "";
    const connection = { from: podOf(row.from), to: podOf(row.to), protocol, port: row.port };
    const side = (ingress: boolean): string =>
      sideAllows(cluster, policies, { connection, ingress }) ? "allowed" : "denied";
    return row.egress !== side(false) || row.ingress !== side(true);
  });
}

describe("NetworkPolicy", () => {
  it("2,000 random sets agree with a naive reading, in every row of the truth table", () => {
    const run = fc.property(networkPolicies, (policies) => {
      const [first] = differences(policies);
      if (first)
        throw new Error(`${JSON.stringify(first)}\n${policies.map((policy) => stringify(policy)).join("---\n")}`);
    });
    fc.assert(run, { numRuns: 2_000, seed: 20261121 });
  }, 600_000);

  it("prints its truth table", () => {
    const policy: NetworkPolicy = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "only-b", namespace: "x" },
      spec: {
        podSelector: { matchLabels: { pod: "a" } },
        ingress: [{ from: [{ podSelector: { matchLabels: { pod: "b" } } }] }],
      },
    };
    const model = modelOf([policy]);
    const ends = model.ends.filter(({ name }) => name.startsWith("x/") || name === "y/b");
    expect(formatTruthTable(truthTable(model.engine, ends, [{ protocol: 6, port: 80 }]))).toBe(
      [
        "80/TCP",
        "     x/a  x/b  x/c  y/b",
        "x/a  -    .    .    .",
        "x/b  .    -    .    .",
        "x/c  X    .    -    .",
        "y/b  X    .    .    -",
      ].join("\n"),
    );
  });
});
