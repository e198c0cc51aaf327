/**
 * @module
 * Random rules and identities of a small world, so that they meet.
 */
import * as fc from "fast-check";
import { parsePrefix, type Prefix } from "@skep/net";
import {
  cidrLabel,
  labelSelector,
  reservedLabels,
  type LabelSelector,
  type NamedPort,
  type PeerSelector,
  type PolicyDocument,
  type PolicyIdentity,
  type PortMatch,
  type PortRule,
  type Requirement,
  type Rule,
} from "../src/index.ts";

export function prefix(text: string): Prefix {
  const found = parsePrefix(text);
  if (!found) throw new Error(`${text} is no prefix`);
  return found;
}

const cidrs = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "8.8.8.8/32", "fd00::/8"].map(prefix);

export const world: readonly PolicyIdentity[] = [
  ...["web", "db", "api"].flatMap((app, i) =>
    ["prod", "dev"].map((env, j): PolicyIdentity => ({
      id: 300 + i * 2 + j,
      labels: { "k8s:app": app, "k8s:env": env },
      namedPorts: [
        { name: "http", protocol: 6, port: [80, 8080, 81][i] ?? 80 },
        { name: "dns", protocol: 17, port: 53 },
      ],
    })),
  ),
  { id: 1, labels: reservedLabels("host") },
  { id: 2, labels: reservedLabels("world") },
  ...cidrs.map((cidr, i): PolicyIdentity => ({
    id: 16777217 + i,
    labels: { [cidrLabel(cidr)]: "", "reserved:world": "" },
    cidr,
  })),
];

export const subjects = world.filter(({ id }) => id >= 300 && id < 400);

const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    key: fc.constantFrom({ source: "k8s", key: "app" }, { source: "any", key: "app" }),
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.subarray(["web", "db", "api"], { minLength: 1 }),
  }),
  fc.record({
    key: fc.constantFrom({ source: "any", key: "env" }, { source: "k8s", key: "nope" }),
    operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
    values: fc.constant([]),
  }),
  fc.record({
    key: fc.constant({ source: "k8s", key: "env" }),
    operator: fc.constant("In" as const),
    values: fc.constantFrom(["prod"], ["dev"], ["prod", "dev"]),
  }),
);

export const selector: fc.Arbitrary<LabelSelector> = fc.array(requirement, { maxLength: 2 }).map(labelSelector);
const entity = fc
  .constantFrom("host", "world")
  .map((key) => labelSelector([{ key: { source: "reserved", key }, operator: "Exists", values: [] }]));

const peer: fc.Arbitrary<PeerSelector> = fc.oneof(
  { weight: 4, arbitrary: selector.map((found) => ({ kind: "labels" as const, selector: found, span: null })) },
  { weight: 1, arbitrary: entity.map((found) => ({ kind: "labels" as const, selector: found, span: null })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<[string, string[]]>(
        ["0.0.0.0/0", []],
        ["0.0.0.0/0", ["10.0.0.0/8"]],
        ["10.0.0.0/8", ["10.1.0.0/16"]],
        ["10.1.0.0/16", []],
        ["8.8.8.8/32", []],
        ["::/0", []],
      )
      .map(([cidr, except]) => ({
        kind: "cidr" as const,
        prefix: prefix(cidr),
        except: except.map(prefix),
        span: null,
      })),
  },
);

const interestingPort = fc.constantFrom(1, 53, 79, 80, 81, 443, 1023, 1024, 8080, 32767, 32768, 65535);

const portMatch: fc.Arbitrary<PortMatch> = fc.oneof(
  fc
    .tuple(fc.constantFrom(6, 17, 132), interestingPort, interestingPort)
    .map(([protocol, a, b]) => ({ protocol, port: Math.min(a, b), last: Math.max(a, b) })),
  fc.tuple(fc.constantFrom(6, 17), interestingPort).map(([protocol, port]) => ({ protocol, port, last: port })),
  fc.constantFrom(6, 17, 47).map((protocol) => ({ protocol, port: 0, last: 65535 })),
  fc.constantFrom({ protocol: 6, port: "http", last: 0 }, { protocol: 17, port: "dns", last: 0 }),
  fc.constantFrom(8, 0, 3).map((type) => ({ protocol: 1, port: type, last: type })),
);

function portRule(l7: boolean): fc.Arbitrary<PortRule> {
  return fc.record({
    ports: fc.array(portMatch, { maxLength: 2 }),
    l7: l7
      ? fc.option(
          fc.constantFrom({ kind: "http", rules: [{ path: "/a" }] }, { kind: "dns", rules: [{ matchName: "a" }] }),
          {
            freq: 2,
          },
        )
      : fc.constant(null),
    serverNames: l7 ? fc.constantFrom<string[]>([], [], [], ["a.example"]) : fc.constant([]),
    terminatingTls: fc.constant(null),
    originatingTls: fc.constant(null),
    listener: fc.constant(null),
    span: fc.constant(null),
  });
}

export interface RuleShape {
  /** Several tiers and priorities, and pass. */
  readonly tiers: boolean;
  readonly l7: boolean;
}

export function rule(shape: RuleShape): fc.Arbitrary<Rule> {
  return fc
    .record({
      key: fc.uuid(),
      subject: selector,
      node: fc.constant(false),
      direction: fc.constantFrom("ingress" as const, "egress" as const),
      verdict: shape.tiers
        ? fc.constantFrom("allow" as const, "allow" as const, "deny" as const, "pass" as const)
        : fc.constantFrom("allow" as const, "allow" as const, "deny" as const),
      tier: shape.tiers
        ? fc.constantFrom("Admin" as const, "Normal" as const, "Baseline" as const)
        : fc.constant("Normal" as const),
      priority: shape.tiers ? fc.constantFrom(0, 1, 5) : fc.constant(0),
      defaultDeny: fc.constantFrom(true, true, false),
      peers: fc.oneof(
        { weight: 1, arbitrary: fc.constant(null) },
        { weight: 8, arbitrary: fc.array(peer, { maxLength: 2 }) },
      ),
      authentication: shape.l7
        ? fc.constantFrom(null, null, null, { mode: "required" as const }, { mode: "disabled" as const })
        : fc.constant(null),
      log: fc.constant(null),
      audit: fc.constant(false),
    })
    .chain((made) =>
      fc
        .option(fc.array(portRule(shape.l7 && made.verdict === "allow"), { minLength: 1, maxLength: 2 }), { freq: 3 })
        .map((ports) => ({
          ...made,
          ports,
          authentication: made.verdict === "allow" ? made.authentication : null,
          origin: {
            kind: "CiliumNetworkPolicy" as const,
            namespace: "",
            name: made.key,
            path: `spec.${made.direction}[0]`,
            span: null,
          },
        })),
    );
}

export const packet = fc.record({
  direction: fc.constantFrom("ingress" as const, "egress" as const),
  subject: fc.constantFrom(...subjects),
  peer: fc.constantFrom(...world),
  key: fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom(6, 17, 132), interestingPort) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(6, 17), fc.integer({ min: 0, max: 65535 })) },
    { weight: 1, arbitrary: fc.constantFrom<[number, number]>([1, 8], [1, 0], [1, 3], [47, 0], [58, 128]) },
  ),
});

export function documentOf(rules: readonly Rule[]): PolicyDocument {
  return {
    kind: "CiliumNetworkPolicy",
    apiVersion: "cilium.io/v2",
    namespace: "",
    name: "test",
    span: { file: "test", line: 1, column: 1, offset: 0, length: 0 },
    text: "",
    rules,
    cidrGroup: null,
  };
}

export function namedPortsOf(identity: PolicyIdentity): readonly NamedPort[] {
  return identity.namedPorts ?? [];
}
