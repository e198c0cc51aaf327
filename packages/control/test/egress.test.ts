import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatAddress, formatPrefix, parseAddress } from "@skep/net";
import { parseDocuments } from "@skep/policy";
import { type EgressRow, egressRows, type EgressState } from "../src/egress/egress.ts";
import { type EgressPolicySpec, parseEgressPolicy } from "../src/egress/parse.ts";

const ip = (text: string): NonNullable<ReturnType<typeof parseAddress>> => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

function parse(spec: string, name = "gate"): ReturnType<typeof parseEgressPolicy> {
  const text = `apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: ${name}}\nspec:\n${spec}`;
  const [document] = parseDocuments("gate.yaml", text).foreign;
  if (!document) throw new Error("no document");
  return parseEgressPolicy(document, "gate.yaml");
}
function policyOf(spec: string, name?: string): EgressPolicySpec {
  const { spec: policy, diagnostics } = parse(spec, name);
  if (!policy) throw new Error(JSON.stringify(diagnostics));
  return policy;
}

const SPEC = `  selectors:
  - podSelector: {matchLabels: {app: web}}
    namespaceSelector: {matchLabels: {team: blue}}
  destinationCIDRs: [192.0.2.0/24, "2001:db8::/32"]
  excludedCIDRs: [192.0.2.128/25]
  egressGateway:
    nodeSelector: {matchLabels: {role: gate}}
`;
const blue = { "k8s:app": "web", "k8s:io.cilium.k8s.namespace.labels.team": "blue" };
const red = { "k8s:app": "web", "k8s:io.cilium.k8s.namespace.labels.team": "red" };
const state = (own: string): EgressState => ({
  workloads: [
    { addresses: [ip("10.1.0.2"), ip("fd00:1::2")], labels: blue, node: "a" },
    { addresses: [ip("10.1.0.3")], labels: red, node: "a" },
  ],
  nodes: [
    { name: "a", labels: {}, addresses: [ip("198.51.100.1")] },
    { name: "c", labels: { role: "gate" }, addresses: [ip("198.51.100.3")] },
    { name: "b", labels: { role: "gate" }, addresses: [ip("2001:db8:f::2"), ip("198.51.100.2")] },
  ],
  own,
  interfaces: [
    { name: "out0", addresses: [ip("198.51.100.9"), ip("2001:db8:f::9")] },
    { name: "out1", addresses: [ip("198.51.100.10")] },
  ],
});
const textOf = ({ source, destination, way }: EgressRow): string => {
  const to =
    way.kind === "there"
      ? formatAddress(way.gateway)
      : way.kind === "here" && way.address
        ? formatAddress(way.address)
        : "-";
  return `${formatAddress(source)} ${formatPrefix(destination)} ${way.kind} ${to}`;
};
const rows = (own: string, ...policies: EgressPolicySpec[]): string[] =>
  egressRows(policies, state(own)).map(textOf).sort();

describe("egress gateway policies", () => {
  test("the first node by name is the gateway, by its IPv4 address where it has one", () => {
    expect(rows("a", policyOf(SPEC))).toEqual([
      "10.1.0.2 192.0.2.0/24 there 198.51.100.2",
      "10.1.0.2 192.0.2.128/25 excluded -",
      "fd00:1::2 2001:db8::/32 there 198.51.100.2",
    ]);
  });
  test("the gateway gives its first address, the interface's or the one that is named", () => {
    const spec = SPEC.replace("  excludedCIDRs: [192.0.2.128/25]\n", "");
    expect(rows("b", policyOf(spec))).toEqual([
      "10.1.0.2 192.0.2.0/24 here 198.51.100.9",
      "fd00:1::2 2001:db8::/32 here 2001:db8:f::9",
    ]);
    expect(rows("b", policyOf(`${spec}    interface: out1\n`))).toEqual([
      "10.1.0.2 192.0.2.0/24 here 198.51.100.10",
      "fd00:1::2 2001:db8::/32 here -",
    ]);
    expect(rows("b", policyOf(`${spec}    egressIP: 198.51.100.10\n`))[0]).toBe(
      "10.1.0.2 192.0.2.0/24 here 198.51.100.10",
    );
    expect(rows("b", policyOf(`${spec}    egressIP: 198.51.100.77\n`))[0]).toBe("10.1.0.2 192.0.2.0/24 here -");
  });
  test("no node is selected; workloads of some nodes alone; the first policy by name wins", () => {
    expect(rows("a", policyOf(SPEC.replace("role: gate", "role: none")))[0]).toBe("10.1.0.2 192.0.2.0/24 none -");
    const there = SPEC.replace("  - podSelector", "  - nodeSelector: {matchLabels: {role: gate}}\n    podSelector");
    expect(rows("a", policyOf(there))).toEqual([]);
    const other = policyOf(SPEC.replace("role: gate", "role: none"), "aaa");
    expect(rows("a", policyOf(SPEC), other)[0]).toBe("10.1.0.2 192.0.2.0/24 none -");
  });
  test("several gateways share the workloads, on every node in the same way", () => {
    const spec =
      SPEC.replace(/ {2}egressGateway:[^]*/, "") +
      `  egressGateways:
  - nodeSelector: {matchLabels: {role: gate}}
  - nodeSelector: {matchLabels: {role: other}}
`;
    const policy = policyOf(spec);
    const workloads = Array.from({ length: 40 }, (_, at) => ({
      addresses: [ip(`10.1.0.${at + 2}`)],
      labels: blue,
      node: "a",
    }));
    const nodes = [...state("a").nodes, { name: "d", labels: { role: "other" }, addresses: [ip("198.51.100.4")] }];
    const by = (own: string): (string | null)[] =>
      egressRows([policy], { ...state(own), workloads, nodes }).map(({ way }) =>
        way.kind === "there" ? formatAddress(way.gateway) : way.kind === "here" ? "here" : null,
      );
    expect(new Set(by("a"))).toEqual(new Set(["198.51.100.2", "198.51.100.4", null]));
    expect(by("b").map((each) => (each === "here" ? "198.51.100.2" : each))).toEqual(by("a"));
  });
  test.each([
    ["  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeSelector: {}}\n", "SKEP6004"],
    ["  selectors: [{}]\n  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeSelector: {}}\n", "SKEP6011"],
    ["  selectors: [{podSelector: {}}]\n  destinationCIDRs: [0.0.0.0/0]\n", "SKEP6004"],
    [
      "  selectors: [{podSelector: {}}]\n  destinationCIDRs: [10.0.0]\n  egressGateway: {nodeSelector: {}}\n",
      "SKEP6013",
    ],
    [
      "  selectors: [{podSelector: {}}]\n  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeSelector: {}, egressIP: x}\n",
      "SKEP6013",
    ],
    [
      "  selectors: [{podSelector: {}}]\n  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeSelector: {}, interface: e, egressIP: 192.0.2.1}\n",
      "SKEP6012",
    ],
    [
      "  selectors: [{podSelector: {}}]\n  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeselector: {}}\n",
      "SKEP6003",
    ],
  ])("what cannot be is refused where it stands: %#", (spec, code) => {
    const { spec: policy, diagnostics } = parse(spec);
    expect(policy).toBeNull();
    expect(diagnostics.map((each) => each.code)).toContain(code);
    expect(diagnostics.every(({ span }) => span !== undefined && span.file === "gate.yaml")).toBe(true);
  });

  test("the policy of the page is one", () => {
    const page = readFileSync(new URL("../../../docs/egress-gateway.md", import.meta.url), "utf8");
    const [, text = ""] = /```yaml\n([^]*?)```/.exec(page) ?? [];
    const [document] = parseDocuments("page.yaml", text).foreign;
    expect(document && parseEgressPolicy(document, "page.yaml").spec).toMatchObject({ name: "billing" });
  });
});
