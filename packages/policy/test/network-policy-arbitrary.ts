/**
 * @module
 * Random NetworkPolicies of a cluster of three namespaces with three pods each.
 */
import * as fc from "fast-check";
import type { Cluster, NaivePod, NetworkPolicy, PolicyPeer, PolicyPort, Selector } from "./network-policy-naive.ts";

const namespaces = {
  x: { ns: "x", team: "red" },
  y: { ns: "y", team: "red" },
  z: { ns: "z" },
};

const names = ["a", "b", "c"];

export const cluster: Cluster = {
  namespaces,
  pods: Object.keys(namespaces).flatMap((namespace, i) =>
    names.map((name, j): NaivePod => ({
      namespace,
      name,
      labels: { pod: name, ...(j === 1 ? { tier: "back" } : {}) },
      ip: `10.9.${i}.${j + 10}`,
      ports: [
        { name: "web", protocol: "TCP", port: j === 0 ? 80 : 81 },
        { name: "dns", protocol: "UDP", port: 81 },
        { name: "sig", protocol: "SCTP", port: 80 },
      ],
    })),
  ),
};

export const ports = [
  ...["TCP", "UDP", "SCTP"].flatMap((protocol) => [80, 81].map((port) => ({ protocol, port }))),
  { protocol: "TCP", port: 8080 },
  { protocol: "TCP", port: 65535 },
];

const expression = fc.oneof(
  fc.record({
    key: fc.constantFrom("pod", "ns", "team", "tier"),
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.subarray(["a", "b", "x", "y", "red", "back"], { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    key: fc.constantFrom("pod", "team", "tier", "missing"),
    operator: fc.constantFrom("Exists", "DoesNotExist"),
  }),
);

function selector(labels: fc.Arbitrary<Record<string, string>>): fc.Arbitrary<Selector> {
  return fc.oneof(
    fc.constant<Selector>({}),
    labels.map((matchLabels) => ({ matchLabels })),
    fc.array(expression, { minLength: 1, maxLength: 2 }).map((matchExpressions) => ({ matchExpressions })),
  );
}

const podSelector = selector(
  fc.constantFrom<Record<string, string>>({ pod: "a" }, { pod: "b" }, { tier: "back" }, { pod: "b", tier: "back" }),
);
const namespaceSelector = selector(
  fc.constantFrom<Record<string, string>>({ ns: "x" }, { team: "red" }, { "kubernetes.io/metadata.name": "z" }),
);

const peer: fc.Arbitrary<PolicyPeer> = fc.oneof(
  { weight: 3, arbitrary: podSelector.map((pods) => ({ podSelector: pods })) },
  { weight: 2, arbitrary: namespaceSelector.map((own) => ({ namespaceSelector: own })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(podSelector, namespaceSelector)
      .map(([pods, own]) => ({ podSelector: pods, namespaceSelector: own })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<PolicyPeer>(
      { ipBlock: { cidr: "10.9.0.0/16", except: ["10.9.1.0/24"] } },
      { ipBlock: { cidr: "0.0.0.0/0" } },
    ),
  },
);

const port: fc.Arbitrary<PolicyPort> = fc.oneof(
  fc.constantFrom<PolicyPort>({}, { protocol: "UDP" }, { protocol: "SCTP" }),
  fc.record({ protocol: fc.constantFrom("TCP", "UDP", "SCTP"), port: fc.constantFrom(80, 81, 8080) }),
  fc.constantFrom<PolicyPort>(
    { port: "web" },
    { port: "dns", protocol: "UDP" },
    { port: "sig", protocol: "SCTP" },
    { port: "nope", protocol: "TCP" },
  ),
  fc.constantFrom<PolicyPort>(
    { port: 79, endPort: 80 },
    { port: 81, endPort: 9000, protocol: "TCP" },
    { port: 1, endPort: 65535, protocol: "UDP" },
    { port: 80, endPort: 80, protocol: "SCTP" },
  ),
);

const peers = fc.option(fc.array(peer, { maxLength: 2 }), { nil: undefined });
const rulePorts = fc.option(fc.array(port, { maxLength: 3 }), { nil: undefined });
const ingress = fc.record({ from: peers, ports: rulePorts }).map(clean);
const egress = fc.record({ to: peers, ports: rulePorts }).map(clean);

/** Without the members that are undefined: as YAML would have it. */
function clean<T extends object>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

export const networkPolicies: fc.Arbitrary<NetworkPolicy[]> = fc
  .array(
    fc.record({
      namespace: fc.constantFrom("x", "y", "z"),
      podSelector,
      policyTypes: fc.constantFrom<("Ingress" | "Egress")[] | undefined>(
        undefined,
        ["Ingress"],
        ["Egress"],
        ["Ingress", "Egress"],
      ),
      ingress: fc.option(fc.array(ingress, { maxLength: 2 }), { nil: undefined }),
      egress: fc.option(fc.array(egress, { maxLength: 2 }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((specs) =>
    specs.map(({ namespace, ...spec }, i): NetworkPolicy =>
      clean({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: `p${i}`, namespace },
        spec,
      } as NetworkPolicy),
    ),
  );
