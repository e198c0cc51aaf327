import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, ipv4, parseAddress, type Address } from "@skep/net";
import { labelSelector, parseDocuments } from "@skep/policy";
import {
  changeBetween,
  isEmptyChange,
  LoadBalancer,
  type LoadBalancerConfig,
  type LoadBalancerRows,
  mapLines,
  MaglevSettingsError,
  parseService,
  type PodSpec,
  type RedirectSpec,
  type ServiceSlotRow,
  type ServiceSpec,
  SERVICE_FLAG,
  type EndpointSliceSpec,
  type WorkloadSpec,
} from "../src/load-balancer/index.ts";
import { FakeMaps } from "./fake-maps.ts";

const span = { file: "x.yaml", line: 1, column: 1, offset: 0, length: 0 };
const at = (text: string): Address => {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
};

/** A service from YAML: what is not given has its default. */
function service(spec: string, metadata = "name: web"): ServiceSpec {
  const text = `apiVersion: v1\nkind: Service\nmetadata: { ${metadata} }\nspec: { ${spec} }\n`;
  const [document] = parseDocuments("x.yaml", text).foreign;
  const parsed = document && parseService(document, "x.yaml");
  if (!parsed?.spec) throw new Error(JSON.stringify(parsed?.diagnostics));
  return parsed.spec;
}

const slice = (over: Partial<EndpointSliceSpec> = {}): EndpointSliceSpec => ({
  ...{ namespace: "default", name: "web-1", service: "web", file: "x.yaml", span },
  endpoints: [endpoint("10.244.0.1"), endpoint("10.244.0.2")],
  ports: [{ name: "", protocol: 6, port: 8080 }],
  ...over,
});
const endpoint = (
  address: string,
  over: Partial<EndpointSliceSpec["endpoints"][number]> = {},
): EndpointSliceSpec["endpoints"][number] => ({
  ...{ addresses: [at(address)], ready: true, serving: true, terminating: false, node: "here", zone: "" },
  ...{ forZones: null },
  ...over,
});
const workload = (id: string, address: string, over: Partial<WorkloadSpec> = {}): WorkloadSpec => ({
  ...{ id, namespace: "default", labels: { "k8s:app": "web" }, addresses: [at(address)], namedPorts: [] },
  ...{ node: "", terminating: false },
  ...over,
});

const balancer = (config: Partial<LoadBalancerConfig> = {}): LoadBalancer =>
  new LoadBalancer({ maglevTableSize: 251, ...config }, { name: "here", labels: {} });
const lines = (target: LoadBalancer): string[] => {
  target.commit();
  return mapLines(target.rows());
};
const master = (target: LoadBalancer, text: string): string => {
  const found = lines(target).find((line) => line.includes(`ADDR=${text} SLOT=0`));
  if (!found) throw new Error(`no ${text} in\n${lines(target).join("\n")}`);
  return found;
};

describe("services", () => {
  it("are served by backends of the other family where nothing else serves them, if that is wanted", () => {
    for (const nat46x64 of [false, true]) {
      const target = balancer({ nat46x64, mode: "dsr" });
      const ports = "ports: [{ port: 80, targetPort: 8080 }]";
      target.setService(
        service(
          `type: ClusterIP, ipFamilies: [IPv6], clusterIP: "fd00:96::1", externalIPs: ["2001:db8::7"], selector: { app: web }, ${ports}`,
        ),
      );
      target.setWorkload(workload("w1", "10.244.0.9"));
      target.commit();
      const slots = (text: string): readonly ServiceSlotRow[] =>
        target.rows().services.filter(({ address }) => formatAddress(address) === text);
      const [outside, inside] = [slots("2001:db8::7"), slots("fd00:96::1")];
      const flags = outside.find(({ slot, port }) => slot === 0 && port === 80)?.flags ?? 0;
      expect((flags & SERVICE_FLAG.NAT_46X64) !== 0).toBe(nat46x64);
      expect((flags & SERVICE_FLAG.DSR) !== 0).toBe(!nat46x64);
      expect(outside.filter(({ slot }) => slot > 0)).toHaveLength(nat46x64 ? 1 : 0);
      expect(inside.filter(({ slot }) => slot > 0)).toEqual([]);
      // One of the own family takes all.
      target.setWorkload(workload("w2", "fd00:244::9"));
      target.commit();
      const after = slots("2001:db8::7").find(({ slot, port }) => slot === 0 && port === 80);
      expect(after).toMatchObject({ count: 1 });
      expect((after?.flags ?? 0) & SERVICE_FLAG.NAT_46X64).toBe(0);
    }
  });

  it("have frontends by type, external addresses too", () => {
    const target = balancer();
    target.setNodeAddresses([{ address: at("192.0.2.1"), nodePort: true }]);
    target.setService(
      service(
        "type: LoadBalancer, clusterIP: 10.96.0.1, externalIPs: [198.51.100.7], ports: [{ port: 80, nodePort: 30080 }]",
      ),
    );
    target.commit();
    expect(target.frontends().map(({ frontend }) => frontend.type)).toEqual(["NodePort", "ClusterIP", "ExternalIPs"]);
    expect(master(target, "198.51.100.7:80/TCP")).toContain("FLAGS=ExternalIPs");
    expect(master(target, "192.0.2.1:30080/TCP")).toContain("FLAGS=NodePort");
  });

  it("are narrowed by the type annotation", () => {
    const target = balancer();
    const metadata = 'name: web, annotations: { service.cilium.io/type: "NodePort" }';
    target.setService(
      service("type: NodePort, clusterIP: 10.96.0.1, ports: [{ port: 80, nodePort: 30080 }]", metadata),
    );
    target.commit();
    expect(target.frontends().map(({ frontend }) => frontend.type)).toEqual(["NodePort"]);
  });

  it("take algorithm and forwarding mode from annotations", () => {
    const target = balancer();
    const metadata =
      "name: web, annotations: { service.cilium.io/lb-algorithm: maglev, service.cilium.io/forwarding-mode: DSR }";
    target.setService(service("clusterIP: 10.96.0.1, ports: [{ port: 80 }]", metadata));
    target.setEndpointSlice(slice());
    expect(master(target, "10.96.0.1:80/TCP")).toMatch(/LBALG=maglev .*\+dsr$/);
    expect(lines(target)).toContain("MAGLEV: ID=1 INNER=[1(126), 2(125)]");
  });

  it("are where their node annotation says", () => {
    const target = balancer();
    const metadata = 'name: web, annotations: { service.cilium.io/node-selector: "tier in (edge, dmz), !drained" }';
    target.setService(service("clusterIP: 10.96.0.1, ports: [{ port: 80 }]", metadata));
    expect(lines(target)).toEqual([]);
    target.setNodeLabels({ tier: "edge" });
    expect(lines(target)).not.toEqual([]);
    target.setNodeLabels({ tier: "edge", drained: "" });
    expect(lines(target)).toEqual([]);
  });

  it("direct TCP alone back in hybrid mode", () => {
    const target = balancer({ mode: "hybrid" });
    target.setService(
      service("clusterIP: 10.96.0.1, ports: [{ name: a, port: 53 }, { name: b, port: 53, protocol: UDP }]"),
    );
    expect(master(target, "10.96.0.1:53/TCP")).toContain("dsr");
    expect(master(target, "10.96.0.1:53/UDP")).not.toContain("dsr");
  });

  it("of two without a date the one that came first keeps the address, whatever their names, and also when it is set anew", () => {
    const spec = "type: NodePort, clusterIP: 10.96.0.1, ports: [{ port: 80, nodePort: 30080 }]";
    const [first, second] = [service(spec, "name: zeta"), service(spec, "name: alpha")];
    const target = balancer();
    const holders = (): string[] => {
      target.commit();
      return [...new Set(target.frontends().map(({ frontend }) => frontend.service))];
    };
    target.setService(first);
    target.setService(second);
    expect(holders()).toEqual(["default/zeta"]);
    expect(target.conflicts().map(({ lost, holder }) => [lost.type, lost.service, holder.service])).toEqual([
      ["ClusterIP", "default/alpha", "default/zeta"],
      ["NodePort", "default/alpha", "default/zeta"],
    ]);
    target.setService({ ...first, affinityTimeout: 10 });
    expect(holders()).toEqual(["default/zeta"]);
    target.deleteService("default/zeta");
    expect(holders()).toEqual(["default/alpha"]);
    target.setService(first);
    expect(holders()).toEqual(["default/alpha"]);
  });

  it("of two with one address the older's holds, whichever came first", () => {
    const spec = "clusterIP: 10.96.0.1, ports: [{ port: 80 }]";
    const old = service(spec, 'name: zeta, creationTimestamp: "2024-01-01T00:00:00Z"');
    const young = service(spec, 'name: alpha, creationTimestamp: "2025-01-01T00:00:00Z"');
    for (const order of [
      [old, young],
      [young, old],
    ]) {
      const target = balancer();
      for (const each of order) target.setService(each);
      target.commit();
      expect(target.frontends().map(({ frontend }) => frontend.service)).toEqual(["default/zeta"]);
      expect(target.conflicts()).toMatchObject([{ lost: { service: "default/alpha" } }]);
      target.deleteService("default/zeta");
      target.commit();
      expect(target.frontends().map(({ frontend }) => frontend.service)).toEqual(["default/alpha"]);
    }
  });

  it("have no more frontends than numbers", () => {
    const target = balancer({ lastFrontend: 100 });
    const ports = Array.from({ length: 100 }, (_, port) => ({
      ...{ name: `p${port}`, protocol: 6, port: port + 1, targetPort: 80, nodePort: 0 },
    }));
    const two = { ...service("clusterIPs: [10.96.0.1, 10.96.0.2], ports: [{ port: 80 }]"), ports };
    target.setService({ ...two, clusterIps: [at("10.96.0.1")] });
    target.commit();
    target.setService({ ...service("clusterIP: 10.96.0.2, ports: [{ port: 80 }]", "name: late") });
    target.commit();
    const late = (): string | undefined =>
      target.frontends().find(({ frontend }) => frontend.service === "default/late")?.error;
    expect(late()).toMatch(/100 numbers/);
    target.deleteService("default/web");
    target.setService({ ...service("clusterIP: 10.96.0.2, ports: [{ port: 80 }]", "name: late") });
    target.commit();
    expect(late()).toBe("");
  });

  it("refuse a table size that Maglev has not", () => {
    expect(() => balancer({ maglevTableSize: 1000 })).toThrow(MaglevSettingsError);
  });
});

describe("backends", () => {
  it("come from workloads that a selector finds, with the ports that they name", () => {
    const target = balancer();
    const ports = [{ name: "http", protocol: 6, port: 8080 }];
    target.setWorkload(workload("1", "10.244.0.1", { namedPorts: ports }));
    target.setService(service("clusterIP: 10.96.0.1, selector: { app: web }, ports: [{ port: 80, targetPort: http }]"));
    target.setWorkload(workload("2", "10.244.0.2"));
    target.setWorkload(workload("3", "10.244.0.3", { namedPorts: ports, namespace: "other" }));
    expect(lines(target).filter((line) => line.startsWith("BE"))).toEqual([
      "BE: ID=1 ADDR=10.244.0.1:8080/TCP STATE=active",
    ]);
    target.setWorkload(workload("1", "10.244.0.1", { namedPorts: ports, labels: { "k8s:app": "db" } }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=0");
    target.setWorkload(workload("1", "10.244.0.1", { namedPorts: ports }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=1");
    target.deleteWorkload("1");
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=0");
  });

  it("that terminate take no new connections while others serve", () => {
    const target = balancer();
    target.setService(service("clusterIP: 10.96.0.1, selector: { app: web }, ports: [{ port: 80 }]"));
    target.setWorkload(workload("1", "10.244.0.1", { terminating: true }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=1 QCOUNT=0");
    target.setWorkload(workload("2", "10.244.0.2"));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=1 QCOUNT=1");
    expect(lines(target)).toContain(
      "SVC: ID=1 ADDR=10.96.0.1:80/TCP SLOT=1 BEID=2 COUNT=0 QCOUNT=0 FLAGS=ClusterIP+non-routable",
    );
    expect(lines(target)).toContain("BE: ID=1 ADDR=10.244.0.1:80/TCP STATE=terminating");
  });

  it("are the same where two slices name them, until neither does", () => {
    const target = balancer();
    target.setService(service("clusterIP: 10.96.0.1, ports: [{ port: 80 }]"));
    target.setEndpointSlice(slice());
    target.setEndpointSlice(slice({ name: "web-2", endpoints: [endpoint("10.244.0.2"), endpoint("10.244.0.3")] }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=3");
    target.deleteEndpointSlice("default/web-1");
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=2");
    target.setEndpointSlice(slice({ name: "web-2", service: "other" }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=0");
  });

  it("of the node itself come first where the service prefers them", () => {
    const target = balancer();
    target.setService(service("clusterIP: 10.96.0.1, trafficDistribution: PreferSameNode, ports: [{ port: 80 }]"));
    const endpoints = [endpoint("10.244.0.1"), endpoint("10.244.1.1", { node: "there" })];
    target.setEndpointSlice(slice({ endpoints }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=1");
    target.setEndpointSlice(slice({ endpoints: endpoints.slice(1) }));
    expect(master(target, "10.96.0.1:80/TCP")).toContain("COUNT=1");
  });

  it("have the number of their zone", () => {
    const target = balancer({ zones: { north: 3 } });
    target.setService(service("clusterIP: 10.96.0.1, ports: [{ port: 80 }]"));
    target.setEndpointSlice(slice({ endpoints: [endpoint("10.244.0.1", { zone: "north" })] }));
    target.commit();
    expect(target.rows().backends).toMatchObject([{ zone: 3 }]);
  });
});

describe("addresses of the node", () => {
  it("have node ports, but where a service has that very address", () => {
    const target = balancer();
    target.setNodeAddresses([{ address: at("192.0.2.1"), nodePort: true }]);
    target.setService(service("type: NodePort, clusterIP: 10.96.0.1, ports: [{ port: 80, nodePort: 30080 }]"));
    target.setService(service("clusterIP: 10.96.0.2, externalIPs: [192.0.2.1], ports: [{ port: 30080 }]", "name: own"));
    expect(master(target, "192.0.2.1:30080/TCP")).toContain("ExternalIPs");
    target.deleteService("default/own");
    expect(master(target, "192.0.2.1:30080/TCP")).toContain("NodePort");
    target.setNodeAddresses([{ address: at("192.0.2.2"), nodePort: true }]);
    expect(lines(target).some((line) => line.includes("192.0.2.1"))).toBe(false);
    expect(master(target, "192.0.2.2:30080/TCP")).toContain("NodePort");
  });
});

describe("local redirect policies", () => {
  const pod = (name: string, address: string, over: Partial<PodSpec> = {}): PodSpec => ({
    ...{ namespace: "default", name, uid: name, labels: { app: "cache" }, created: "", node: "here", file: "", span },
    ...{ addresses: [at(address)], running: true, ready: true, hostNetwork: false },
    ports: [{ name: "dns", protocol: 17, port: 53, hostPort: 0, hostIp: null }],
    ...over,
  });
  const redirect = (frontend: RedirectSpec["frontend"], over: Partial<RedirectSpec> = {}): RedirectSpec => ({
    ...{ namespace: "default", name: "cache", created: "", file: "", span, frontend, skipFromBackend: false },
    ...{ selector: labelSelector([{ key: { source: "any", key: "app" }, operator: "In", values: ["cache"] }]) },
    ports: [{ name: "dns", protocol: 17, port: 53 }],
    ...over,
  });
  const dns = "clusterIP: 10.96.0.53, ports: [{ name: dns, port: 53, protocol: UDP }]";

  it("send a service's traffic to pods of this node while there are some", () => {
    const target = balancer();
    target.setService(service(dns));
    target.setEndpointSlice(
      slice({ endpoints: [endpoint("10.244.9.9")], ports: [{ name: "dns", protocol: 17, port: 53 }] }),
    );
    target.setRedirect(redirect({ kind: "service", service: "web", ports: [] }));
    expect(master(target, "10.96.0.53:53/UDP")).toContain("FLAGS=ClusterIP");
    target.setPod(pod("one", "10.244.0.1"));
    target.setPod(pod("elsewhere", "10.244.1.1", { node: "there" }));
    target.setPod(pod("starting", "10.244.0.2", { ready: false }));
    expect(master(target, "10.96.0.53:53/UDP")).toMatch(/COUNT=1 .*LocalRedirect/);
    expect(lines(target).filter((line) => line.startsWith("BE"))).toEqual([
      "BE: ID=2 ADDR=10.244.0.1:53/UDP STATE=active",
    ]);
    expect(target.frontends()[0]?.frontend.redirectTo).toBe("default/cache:local-redirect");
    target.deletePod("default/one");
    expect(master(target, "10.96.0.53:53/UDP")).toContain("FLAGS=ClusterIP");
    target.setWorkload(workload("7", "10.244.0.7", { labels: { "k8s:app": "cache" } }));
    expect(lines(target)).toContain("BE: ID=4 ADDR=10.244.0.7:53/UDP STATE=active");
    target.deleteRedirect("default/cache");
    expect(master(target, "10.96.0.53:53/UDP")).toContain("FLAGS=ClusterIP");
  });

  it("give an address to pods of this node, and leave a service's own alone", () => {
    const target = balancer();
    const ports = [{ name: "", protocol: 6, port: 80 }];
    const frontend = { kind: "address" as const, address: at("169.254.169.254"), ports };
    target.setRedirect(redirect(frontend, { ports: [{ name: "", protocol: 17, port: 53 }] }));
    expect(lines(target)).toEqual([]);
    target.setPod(pod("one", "10.244.0.1"));
    expect(master(target, "169.254.169.254:80/TCP")).toContain("COUNT=0");
    target.setRedirect(redirect(frontend, { ports: [{ name: "", protocol: 6, port: 8080 }] }));
    target.setPod(
      pod("one", "10.244.0.1", { ports: [{ name: "", protocol: 6, port: 8080, hostPort: 0, hostIp: null }] }),
    );
    expect(master(target, "169.254.169.254:80/TCP")).toMatch(/COUNT=1 QCOUNT=0 FLAGS=LocalRedirect$/);
    target.setService(service("clusterIP: 169.254.169.254, ports: [{ port: 80 }]"));
    expect(master(target, "169.254.169.254:80/TCP")).toContain("FLAGS=ClusterIP");
  });

  it("take the ports that they name", () => {
    const target = balancer();
    target.setService(
      service("clusterIP: 10.96.0.53, ports: [{ name: dns, port: 53, protocol: UDP }, { name: metrics, port: 9153 }]"),
    );
    target.setPod(pod("one", "10.244.0.1"));
    target.setRedirect(redirect({ kind: "service", service: "web", ports: [{ name: "dns", protocol: 17, port: 53 }] }));
    expect(master(target, "10.96.0.53:53/UDP")).toContain("LocalRedirect");
    expect(master(target, "10.96.0.53:9153/TCP")).toContain("FLAGS=ClusterIP");
  });

  it("leave alone what their backends send, where they say so", () => {
    const target = balancer();
    target.setService(service(dns));
    target.setPod(pod("one", "10.244.0.1"));
    target.setRedirect(redirect({ kind: "service", service: "web", ports: [] }, { skipFromBackend: true }));
    const skips = (): string[] => lines(target).filter((line) => line.startsWith("SKIP"));
    expect(skips()).toEqual(["SKIPLB: SOURCE=10.244.0.1 ADDR=10.96.0.53:53"]);
    target.setPod(pod("two", "10.244.0.2"));
    expect(skips()).toHaveLength(2);
    target.deleteService("default/web");
    expect(skips()).toEqual([]);
  });
});

describe("numbers", () => {
  it("come back after a restart, and are free when nobody claims them", () => {
    const first = balancer();
    for (const name of ["a", "b", "c"])
      first.setService(service(`clusterIP: 10.96.0.${name.charCodeAt(0)}, ports: [{ port: 80 }]`, `name: ${name}`));
    first.setEndpointSlice(slice({ service: "c" }));
    first.commit();
    first.deleteService("default/a");
    first.commit();
    const second = balancer();
    second.restore(JSON.parse(JSON.stringify(first.snapshot())) as ReturnType<LoadBalancer["snapshot"]>);
    second.setService(service("clusterIP: 10.96.0.99, ports: [{ port: 80 }]", "name: c"));
    second.setEndpointSlice(slice({ service: "c" }));
    second.setService(service("clusterIP: 10.96.0.100, ports: [{ port: 80 }]", "name: d"));
    second.commit();
    expect(second.rows().reverse.map(({ id }) => id)).toEqual([3, 4]);
    expect(second.rows().backends).toEqual(first.rows().backends);
    expect(second.snapshot().frontends.ids).toHaveLength(3);
    second.restored();
    expect(second.snapshot().frontends.ids).toHaveLength(2);
  });
});

// ---- any sequence of changes ----

type Step = (target: LoadBalancer) => void;
interface Named {
  readonly key: string;
  readonly put: Step | null;
  readonly step: Step;
}

const host = (at: number): Address => ipv4(0x0af40000 + at);
const flags = fc.record({
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer"),
  address: fc.integer({ min: 1, max: 3 }),
  affinity: fc.constantFrom("None", "ClientIP"),
  external: fc.constantFrom("Cluster", "Local"),
  internal: fc.constantFrom("Cluster", "Local"),
  maglev: fc.constantFrom("maglev", "random"),
  ranges: fc.constantFrom("[]", "[10.0.0.0/8]", "[10.0.0.0/8, 192.0.2.0/24]"),
  port: fc.constantFrom(80, 81),
});

/** Who has an address does not depend on who came first. */
const created = (index: number): string => `2024-01-${index + 10}T00:00:00Z`;

const serviceStep = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.option(flags)).map(([name, given]): Named => {
  const key = `default/s${name}`;
  if (!given) return { key: `service ${key}`, put: null, step: (target) => target.deleteService(key) };
  const { type, address, affinity, external, internal, maglev, ranges, port } = given;
  const spec = service(
    `type: ${type}, clusterIP: 10.96.0.${address}, externalIPs: [192.0.2.1], sessionAffinity: ${affinity}, ` +
      `externalTrafficPolicy: ${external}, internalTrafficPolicy: ${internal}, selector: { app: w${name} }, ` +
      `loadBalancerSourceRanges: ${ranges}, ports: [{ port: ${port}, nodePort: ${port} }]`,
    `name: s${name}, creationTimestamp: "${created(name)}", annotations: { service.cilium.io/lb-algorithm: ${maglev} }`,
  );
  const put: Step = (target) => target.setService({ ...spec, ingressIps: [at(`198.51.100.${address}`)] });
  return { key: `service ${key}`, put, step: put };
});

const endpoints = fc.array(
  fc.record({
    address: fc.integer({ min: 1, max: 4 }),
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    node: fc.constantFrom("here", "there"),
  }),
  { maxLength: 4 },
);
const sliceStep = fc
  .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 3 }), fc.option(endpoints))
  .map(([name, owner, given]): Named => {
    const key = `default/e${name}`;
    if (!given) return { key: `slice ${key}`, put: null, step: (target) => target.deleteEndpointSlice(key) };
    const spec = slice({
      ...{ name: `e${name}`, service: `s${owner}` },
      endpoints: given.map(({ address, ...rest }) => ({
        ...{ ...rest, addresses: [host(address)], zone: "", forZones: null },
      })),
    });
    const put: Step = (target) => target.setEndpointSlice(spec);
    return { key: `slice ${key}`, put, step: put };
  });

const workloadStep = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.option(fc.integer({ min: 0, max: 3 })), fc.boolean())
  .map(([id, app, terminating]): Named => {
    const key = `${id}`;
    if (app === null) return { key: `workload ${key}`, put: null, step: (target) => target.deleteWorkload(key) };
    const labels = { "k8s:app": `w${app}` };
    const spec = workload(key, "10.244.0.9", { labels, addresses: [host(10 + id)], terminating });
    const put: Step = (target) => target.setWorkload(spec);
    return { key: `workload ${key}`, put, step: put };
  });

const podStep = fc
  .tuple(fc.integer({ min: 0, max: 1 }), fc.option(fc.constantFrom(80, 4444)), fc.boolean())
  .map(([name, hostPort, ready]): Named => {
    const key = `default/p${name}`;
    if (hostPort === null) return { key: `pod ${key}`, put: null, step: (target) => target.deletePod(key) };
    const put: Step = (target) =>
      target.setPod({
        ...{
          namespace: "default",
          name: `p${name}`,
          uid: `u${name}`,
          labels: { app: "cache" },
          created: created(10 + name),
          span,
        },
        ...{ addresses: [host(20 + name)], node: "here", running: true, ready, hostNetwork: false, file: "" },
        ports: [{ name: "", protocol: 6, port: 8080, hostPort, hostIp: null }],
      });
    return { key: `pod ${key}`, put, step: put };
  });

const redirectStep = fc
  .tuple(fc.integer({ min: 0, max: 1 }), fc.option(fc.integer({ min: 0, max: 3 })), fc.boolean())
  .map(([name, owner, skipFromBackend]): Named => {
    const key = `default/r${name}`;
    if (owner === null) return { key: `redirect ${key}`, put: null, step: (target) => target.deleteRedirect(key) };
    const ports = [{ name: "", protocol: 6, port: 80 }];
    const put: Step = (target) =>
      target.setRedirect({
        ...{ namespace: "default", name: `r${name}`, created: "", file: "", span, skipFromBackend },
        frontend:
          name === 0
            ? { kind: "service", service: `s${owner}`, ports: [] }
            : { kind: "address", address: at(`10.96.0.${owner}`), ports },
        selector: labelSelector([{ key: { source: "any", key: "app" }, operator: "In", values: ["cache"] }]),
        ports: [{ name: "", protocol: 6, port: 8080 }],
      });
    return { key: `redirect ${key}`, put, step: put };
  });

const nodeStep = fc.subarray(["192.0.2.1", "192.0.2.2", "2001:db8::1"]).map((given): Named => {
  const put: Step = (target) =>
    target.setNodeAddresses(given.map((address) => ({ address: at(address), nodePort: true })));
  return { key: "node", put, step: put };
});

/** Rows without numbers: a frontend's by its address, a backend's by its own. */
function withoutNumbers(rows: LoadBalancerRows): string[] {
  const text = (row: { address: Address; port: number; protocol?: number }): string =>
    `${row.address.bytes.join(".")}:${row.port}/${row.protocol ?? ""}`;
  const backends = new Map(rows.backends.map((row) => [row.id, text(row)]));
  const frontends = new Map(
    rows.services.flatMap((row) =>
      row.slot === 0 && row.id !== 0 ? [[row.id, `${text(row)}/${row.scope}`] as const] : [],
    ),
  );
  const maglev = rows.maglev.map((row) => ({
    id: frontends.get(row.id),
    table: [...row.table].map((id) => backends.get(id)).join(" "),
  }));
  const others = [
    ...rows.services.map((row) => ({
      ...{ ...row, backend: backends.get(row.backend), id: frontends.get(row.id) },
      first: row.first.map((backend) => backends.get(backend)),
    })),
    ...rows.backends.map((row) => ({ ...row, id: backends.get(row.id) })),
    ...rows.reverse.map((row) => ({ ...row, id: frontends.get(row.id) })),
    ...rows.affinity.map(({ id, backend }) => ({ id: frontends.get(id), backend: backends.get(backend) })),
    ...rows.sourceRanges.map((row) => ({ ...row, id: frontends.get(row.id) })),
    ...rows.skips,
  ];
  return [...maglev, ...others].map((row) => JSON.stringify(row)).sort();
}

describe("any sequence of changes", () => {
  const steps = fc.array(
    fc.tuple(fc.oneof(serviceStep, sliceStep, workloadStep, podStep, redirectStep, nodeStep), fc.boolean()),
    { minLength: 1, maxLength: 25 },
  );

  it("leads to the rows of the last objects, and each step to maps that hold together", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const target = balancer();
        const maps = new FakeMaps();
        const objects = new Map<string, Step>();
        for (const [{ key, put, step }, commits] of sequence) {
          step(target);
          objects.delete(key);
          if (put) objects.set(key, put);
          if (commits) maps.apply(target.commit());
        }
        maps.apply(target.commit());
        expect(isEmptyChange(changeBetween(maps.rows(), target.rows()))).toBe(true);
        const fresh = balancer();
        for (const put of objects.values()) put(fresh);
        fresh.commit();
        expect(withoutNumbers(target.rows())).toEqual(withoutNumbers(fresh.rows()));
      }),
      { seed: 11, numRuns: 400 },
    );
  });

  it("ends where it began when everything goes", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const target = balancer();
        const maps = new FakeMaps();
        for (const [{ step }] of sequence) step(target);
        maps.apply(target.commit());
        for (let at = 0; at < 4; at++) {
          target.deleteService(`default/s${at}`);
          target.deleteEndpointSlice(`default/e${at}`);
          target.deleteWorkload(`${at}`);
          target.deletePod(`default/p${at}`);
          target.deleteRedirect(`default/r${at}`);
        }
        maps.apply(target.commit());
        expect(mapLines(maps.rows())).toEqual([]);
        expect(target.snapshot().frontends.ids).toEqual([]);
        expect(target.snapshot().backends.ids).toEqual([]);
      }),
      { seed: 12, numRuns: 100 },
    );
  });
});

describe("10,000 services", () => {
  it("cost a change what it touches", () => {
    const target = balancer();
    const spec = service("clusterIP: 10.96.0.1, ports: [{ port: 80 }]");
    const put = (at: number): void => {
      target.setService({ ...spec, name: `s${at}`, clusterIps: [ipv4(0x0a600000 + at)] });
      target.setEndpointSlice(slice({ name: `e${at}`, service: `s${at}`, endpoints: [endpoint("10.244.0.1")] }));
    };
    for (let at = 1; at <= 10_000; at++) put(at);
    expect(target.commit().written.services).toHaveLength(30_000);
    put(10_001);
    const { written, removed } = target.commit();
    expect(written.services).toHaveLength(3);
    expect(written.backends).toHaveLength(0);
    expect([removed.services, removed.backends]).toEqual([[], []]);
    expect(written.services.every(({ flags: bits }) => (bits & SERVICE_FLAG.ROUTABLE) === 0)).toBe(true);
  });
});
