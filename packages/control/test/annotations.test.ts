import { describe, expect, it } from "vitest";
import { formatAddress } from "@skep/net";
import { type Diagnostic, parseDocuments } from "@skep/policy";
import { LoadBalancer, mapLines, parseEndpointSlice, parseService } from "../src/load-balancer/index.ts";

const SPEC =
  "type: LoadBalancer, clusterIP: 10.96.0.1, loadBalancerSourceRanges: [203.0.113.0/24], ports: [{ port: 80, nodePort: 30080 }]";
const STATUS = "status: { loadBalancer: { ingress: [{ ip: 198.51.100.7 }] } }";
const SLICE = `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: [{ addresses: [192.0.2.10] }, { addresses: [192.0.2.11] }]
ports: [{ port: 8080 }]
`;

interface Served {
  /** Lines of the maps; of the frontends the first slots alone, and how many there are. */
  readonly lines: readonly string[];
  readonly addresses: readonly string[];
  readonly told: readonly Diagnostic[];
}

/** A service with the annotation on a line of its own: the sixth. */
function served(annotation: string, labels: Readonly<Record<string, string>> = {}): Served {
  const text = `apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    ${annotation || "{}"}\nspec: { ${SPEC} }\n${STATUS}\n${SLICE}`;
  const target = new LoadBalancer({ maglevTableSize: 251 }, { name: "here", labels });
  const [service, slice] = parseDocuments("web.yaml", text).foreign;
  const read = service && parseService(service, "web.yaml");
  const endpoints = slice && parseEndpointSlice(slice, "web.yaml").spec;
  if (!read?.spec || !endpoints) throw new Error(JSON.stringify(read?.diagnostics));
  target.setService(read.spec);
  target.setEndpointSlice(endpoints);
  target.commit();
  const rows = target.rows();
  return {
    lines: mapLines(rows),
    addresses: [
      ...new Set(rows.services.filter(({ port }) => port !== 0).map(({ address }) => formatAddress(address))),
    ].sort(),
    told: read.diagnostics,
  };
}
const has = ({ lines }: Served, pattern: RegExp): boolean => lines.some((line) => pattern.test(line));

const ALL = ["0.0.0.0", "10.96.0.1", "198.51.100.7"];

describe("annotations of services", () => {
  it("are none where nothing is said", () => {
    const plain = served("");
    expect(plain.told).toEqual([]);
    expect(plain.addresses).toEqual(ALL);
    expect(has(plain, /^MAGLEV|LBALG=(maglev|random)|\+dsr|deny/)).toBe(false);
  });

  it.each<[annotation: string, effect: (of: Served) => unknown, wanted: unknown]>([
    ["lb-algorithm: maglev", (of) => [has(of, /LBALG=maglev/), has(of, /^MAGLEV/)], [true, true]],
    ["lb-algorithm: Random", (of) => [has(of, /LBALG=random/), has(of, /^MAGLEV/)], [true, false]],
    ["forwarding-mode: dsr", (of) => has(of, /ADDR=198.*dsr/), true],
    ["forwarding-mode: snat", (of) => has(of, /dsr/), false],
    ["src-ranges-policy: deny", (of) => has(of, /ADDR=198.*check source-range.*deny/), true],
    ["src-ranges-policy: allow", (of) => [has(of, /check source-range/), has(of, /deny/)], [true, false]],
    ["type: ClusterIP", (of) => of.addresses, ["10.96.0.1"]],
    ["type: NodePort", (of) => of.addresses, ["0.0.0.0"]],
    ["type: LoadBalancer", (of) => of.addresses, ["198.51.100.7"]],
    ['type: "ClusterIP, LoadBalancer"', (of) => of.addresses, ["10.96.0.1", "198.51.100.7"]],
    ["proxy-delegation: none", (of) => of.addresses, ALL],
    ["lb-l7: disabled", (of) => of.addresses, ALL],
    ['global: "false"', (of) => of.addresses, ALL],
    ['shared: "true"', (of) => of.addresses, ALL],
    ["affinity: local", (of) => of.addresses, ALL],
    ['global-sync-endpoint-slices: "false"', (of) => of.addresses, ALL],
  ])("%s", (annotation, effect, wanted) => {
    const found = served(`service.cilium.io/${annotation}`);
    expect(found.told).toEqual([]);
    expect(effect(found)).toEqual(wanted);
  });

  it.each([
    ["node: edge", { "service.cilium.io/node": "edge" }, { "service.cilium.io/node": "core" }],
    ['node-selector: "tier in (edge, dmz)"', { tier: "dmz" }, { tier: "core" }],
    ['node-selector: "tier notin (core)"', { tier: "dmz" }, { tier: "core" }],
    ["node-selector: tier=edge", { tier: "edge" }, {}],
    ["node-selector: tier!=edge", { tier: "core" }, { tier: "edge" }],
    ["node-selector: tier", { tier: "" }, {}],
    ['node-selector: "!drained, tier"', { tier: "" }, { tier: "", drained: "" }],
  ])("%s", (annotation, here, elsewhere) => {
    const key = `service.cilium.io/${annotation}`;
    expect(served(key, here)).toMatchObject({ addresses: ALL, told: [] });
    expect(served(key, elsewhere)).toMatchObject({ addresses: [], lines: [], told: [] });
  });

  it.each([
    ["lb-algorithm: best", "SKEP6006", '"best" is not one of random, maglev'],
    ["forwarding-mode: hybrid", "SKEP6006", '"hybrid" is not one of snat, dsr'],
    ["src-ranges-policy: refuse", "SKEP6006", '"refuse" is not one of allow, deny'],
    ["type: HostPort", "SKEP6006", '"HostPort" is not one of ClusterIP, NodePort, LoadBalancer'],
    ['node-selector: "tier in edge"', "SKEP6006", '"tier in edge" is not one of the forms of a label selector'],
    ["proxy-delegation: always", "SKEP6006", '"always" is not one of none, delegate-if-local'],
    ["lb-l7: yes-please", "SKEP6006", '"yes-please" is not one of enabled, disabled'],
    ["affinity: near", "SKEP6006", '"near" is not one of local, remote, none'],
    ["lb-l7: enabled", "SKEP6031", '"enabled" has no effect: connections are balanced, not the requests in them'],
    ["proxy-delegation: delegate-if-local", "SKEP6031", '"delegate-if-local" has no effect: no proxy of the node'],
    ['global: "true"', "SKEP6031", '"true" has no effect: there are no other clusters'],
    ['global-sync-endpoint-slices: "true"', "SKEP6031", '"true" has no effect: there are no other clusters'],
    ["lb-algoritm: maglev", "SKEP6003", "no annotation of this name is known"],
  ])("%s is told with its place, and the service is as without it", (annotation, code, message) => {
    const key = `service.cilium.io/${annotation}`;
    const found = served(key);
    expect(found.told).toMatchObject([{ code, severity: "warning", span: { file: "web.yaml", line: 6 } }]);
    expect(found.told[0]?.message).toContain(message);
    expect(found.told[0]?.message).toContain(`metadata.annotations["${key.slice(0, key.indexOf(":"))}"]`);
    if (code !== "SKEP6006") expect(found.told[0]?.hint).toMatch(/remove the annotation|those of services are lb-alg/);
    expect(found.lines).toEqual(served("").lines);
  });
});
