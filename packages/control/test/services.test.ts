import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress, parsePrefix, type Prefix } from "@skep/net";
import { SERVICE_FLAG, World, type WorldSnapshot } from "../src/index.ts";
import { FakeMaps } from "./fake-maps.ts";

const prefix = (text: string): Prefix => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};
const world = (serviceCidr = "10.96.0.0/24"): World =>
  new World({ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix(serviceCidr), nodeName: "here" });

const service = (name: string, spec: string, metadata = ""): string => `apiVersion: v1
kind: Service
metadata: { name: ${name}${metadata} }
spec: { ${spec} }
---
`;
const slice = (service: string, addresses: string): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${service}-1, labels: { kubernetes.io/service-name: ${service} } }
addressType: IPv4
endpoints: [{ addresses: [${addresses}] }]
ports: [{ port: 5432 }]
`;

const texts = (target: World): string[] =>
  target.services().map(({ name, type, address, port, backends }) => {
    const behind = backends.map((each) => formatAddress(each.address)).join(" ");
    return `${name} ${type} ${formatAddress(address)}:${port} ${behind}`.trim();
  });

describe("services of the folder", () => {
  it("have backends from endpoint slices, and give the maps steps", () => {
    const target = world();
    const maps = new FakeMaps();
    const apply = (): void => target.loadBalancerChanges().forEach((change) => maps.apply(change));
    target.applyFile("a.yaml", service("db", "clusterIP: 10.96.0.9, ports: [{ port: 5432 }]"));
    apply();
    expect(texts(target)).toEqual(["db ClusterIP 10.96.0.9:5432"]);
    target.applyFile("b.yaml", slice("db", "192.0.2.1, 192.0.2.2"));
    apply();
    expect(texts(target)).toEqual(["db ClusterIP 10.96.0.9:5432 192.0.2.1 192.0.2.2"]);
    expect(
      maps
        .rows()
        .services.map(({ slot }) => slot)
        .sort(),
    ).toEqual([0, 0, 1, 2]);
    target.removeFile("b.yaml");
    apply();
    expect(maps.rows().backends).toEqual([]);
    expect(target.loadBalancerChanges()).toEqual([]);
    target.removeFile("a.yaml");
    apply();
    expect(maps.rows().services).toEqual([]);
  });

  it("without a selector are their backends' addresses to policies", () => {
    const target = world();
    target.applyFile(
      "a.yaml",
      service("db", "clusterIP: 10.96.0.9, ports: [{ port: 5432 }]") + slice("db", "192.0.2.1"),
    );
    target.applyFile(
      "p.yaml",
      `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: p }
spec:
  endpointSelector: {}
  egress: [{ toServices: [{ k8sService: { serviceName: db, namespace: default } }] }]
`,
    );
    target.settle();
    expect(target.ipcache().map((row) => formatAddress(row.prefix.address))).toContain("192.0.2.1");
    target.removeFile("a.yaml");
    target.settle();
    expect(target.ipcache().map((row) => formatAddress(row.prefix.address))).not.toContain("192.0.2.1");
  });

  it("keep the addresses and node ports that they were given over a restart", () => {
    const file = service("a", "type: NodePort, ports: [{ port: 80 }]") + service("b", "ports: [{ port: 80 }]");
    const first = world();
    first.applyFile("a.yaml", file);
    const before = texts(first);
    expect(before).toEqual(["a NodePort 0.0.0.0:30000", "a ClusterIP 10.96.0.2:80", "b ClusterIP 10.96.0.3:80"]);
    const snapshot = JSON.parse(JSON.stringify(first.snapshot())) as WorldSnapshot;
    const second = world();
    second.restore(snapshot);
    second.applyFile("0.yaml", service("early", "type: NodePort, ports: [{ port: 80 }]"));
    second.applyFile("a.yaml", file);
    second.restored();
    expect(texts(second)).toEqual(expect.arrayContaining(before));
    expect(
      second
        .services()
        .map(({ id }) => id)
        .sort(),
    ).toEqual([1, 2, 3, 4, 5]);
  });

  it("are told where two claim one address, and where no address is left", () => {
    const target = world("10.96.0.0/30");
    const aged = (year: number): string => `, creationTimestamp: "${year}-01-01T00:00:00Z"`;
    target.applyFile("young.yaml", service("young", "clusterIP: 198.51.100.1, ports: [{ port: 80 }]", aged(2025)));
    target.applyFile("old.yaml", service("old", "clusterIP: 198.51.100.1, ports: [{ port: 80 }]", aged(2024)));
    target.applyFile("one.yaml", service("one", "ports: [{ port: 80 }]"));
    target.applyFile("two.yaml", service("two", "ports: [{ port: 80 }]"));
    expect(texts(target)).toEqual(["one ClusterIP 10.96.0.2:80", "old ClusterIP 198.51.100.1:80"]);
    const told = target.problems().map(({ code, message, span }) => `${span?.file ?? ""} ${code} ${message}`);
    expect(told).toHaveLength(2);
    expect(told[0]).toMatch(/^two\.yaml SKEP6020 Service default\/two is not served: every address/);
    expect(told[1]).toMatch(
      /^young\.yaml SKEP6034 default\/young is not served at 198\.51\.100\.1:80\/TCP: default\/old/,
    );
    target.removeFile("one.yaml");
    target.applyFile("two.yaml", service("two", "ports: [{ port: 80 }]"));
    expect(texts(target)).toContain("two ClusterIP 10.96.0.2:80");
  });

  it("may have one number for two protocols, and a link-local cluster address", () => {
    const target = world();
    const both = "{ port: 53, name: dns, protocol: UDP }, { port: 53, name: dns-tcp, protocol: TCP }";
    const { diagnostics } = target.applyFile("dns.yaml", service("dns", `clusterIP: 169.254.20.10, ports: [${both}]`));
    expect(diagnostics).toEqual([]);
    expect(texts(target)).toEqual(["dns ClusterIP 169.254.20.10:53", "dns ClusterIP 169.254.20.10:53"]);
  });

  it("are not answered by backends themselves where the routing does not bear it, and it is told", () => {
    const [podCidr, serviceCidr] = [prefix("10.244.0.0/24"), prefix("10.96.0.0/24")];
    const asked = (mode: string): string =>
      service("db", "clusterIP: 10.96.0.9, ports: [{ port: 5432 }]").replace(
        "name: db",
        `name: db, annotations: { service.cilium.io/forwarding-mode: ${mode} }`,
      );
    for (const directReturn of [true, false]) {
      const target = new World({ podCidr, serviceCidr, nodeName: "here", loadBalancer: { directReturn } });
      target.applyFile("db.yaml", asked("dsr"));
      const isDirect = (): boolean =>
        target.loadBalancerChanges().length > 0 &&
        target.loadBalancer.rows().services.some(({ flags }) => (flags & SERVICE_FLAG.DSR) !== 0);
      expect(isDirect()).toBe(directReturn);
      const told = target.problems().map(({ code, severity, span }) => [code, severity, span?.file]);
      expect(told).toEqual(directReturn ? [] : [["SKEP6031", "warning", "db.yaml"]]);
      target.applyFile("db.yaml", asked("snat"));
      expect(isDirect()).toBe(false);
      expect(target.problems()).toEqual([]);
    }
  });

  it("are refused as a whole where something is wrong, with the place", () => {
    const target = world();
    target.applyFile("a.yaml", service("a", "clusterIP: 10.96.0.9, ports: [{ port: 80 }]"));
    const broken = [
      ["type: Cluster", "SKEP6006"],
      ["clusterIP: 10.96.0", "SKEP6013"],
      ["loadBalancerSourceRanges: [10.0.0.0/33]", "SKEP6013"],
      ["sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } }", "SKEP6035"],
      ["ports: [{ port: 80, protocol: ICMP }]", "SKEP6019"],
      ["externalIP: [192.0.2.1]", "SKEP6003"],
      ["externalIPs: [127.0.0.2], ports: [{ port: 80 }]", "SKEP6035"],
      ["externalIPs: [0.0.0.0], ports: [{ port: 80 }]", "SKEP6035"],
      ['externalIPs: ["fe80::1"], ports: [{ port: 80 }]', "SKEP6035"],
      ['clusterIPs: ["::1"], ports: [{ port: 80 }]', "SKEP6035"],
      ["clusterIP: 224.0.0.1, ports: [{ port: 80 }]", "SKEP6035"],
      ["loadBalancerIP: 0.0.0.0, ports: [{ port: 80 }]", "SKEP6035"],
      ["ports: [{ port: 80, name: a }, { port: 80, name: b }]", "SKEP6034"],
      ["ports: [{ port: 80, name: a }, { port: 81, name: a }]", "SKEP6034"],
      ["ports: [{ port: 80 }, { port: 81 }]", "SKEP6034"],
    ] as const;
    for (const [spec, code] of broken) {
      const { changed, diagnostics } = target.applyFile("a.yaml", service("a", spec));
      expect(changed, spec).toBe(false);
      expect(diagnostics).toMatchObject([{ code, severity: "error", span: { file: "a.yaml", line: 4 } }]);
    }
    expect(texts(target)).toEqual(["a ClusterIP 10.96.0.9:80"]);
  });

  it("have node ports at the host's addresses, not at loopback and the pods' gateway", () => {
    const target = world();
    const addresses = ["127.0.0.1", "192.0.2.7", "169.254.1.1", "10.244.0.1"].flatMap(
      (text) => parseAddress(text) ?? [],
    );
    target.setHostAddresses(addresses);
    target.applyFile("a.yaml", service("a", "type: NodePort, ports: [{ port: 80, nodePort: 30007 }]"));
    expect(texts(target)).toEqual([
      "a NodePort 0.0.0.0:30007",
      "a NodePort 192.0.2.7:30007",
      "a ClusterIP 10.96.0.2:80",
    ]);
  });

  it("are refused at a node port outside of the range, where it stands", () => {
    const target = world();
    const text = service(
      "web",
      "type: NodePort, clusterIP: 10.96.0.9, ports: [{ port: 80, nodePort: 30007 }, { name: b, port: 81, nodePort: 8080 }]",
    );
    const { changed, diagnostics } = target.applyFile("web.yaml", text.replace("port: 80,", "name: a, port: 80,"));
    expect(changed).toBe(false);
    expect(diagnostics).toMatchObject([
      {
        ...{ code: "SKEP6035", severity: "error", path: "spec.ports[1].nodePort", span: { file: "web.yaml", line: 4 } },
        message: expect.stringContaining("8080 is no node port: they are from 30000 to 32767") as string,
        hint: expect.stringContaining("--node-port-range") as string,
      },
    ]);
    // The type has none: the number says nothing.
    expect(target.applyFile("a.yaml", service("a", "ports: [{ port: 80, nodePort: 8080 }]")).diagnostics).toEqual([]);
    const wide = new World({
      ...{ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/24") },
      loadBalancer: { nodePortRange: [8000, 8999] },
    });
    expect(
      wide.applyFile("b.yaml", service("b", "type: NodePort, ports: [{ port: 80, nodePort: 8080 }]")).diagnostics,
    ).toEqual([]);
  });

  it("of two that ask for one node port the first keeps it, and the other is told where it stands", () => {
    const target = world();
    const at = "type: NodePort, ports: [{ port: 80, nodePort: 30007 }]";
    target.applyFile("z.yaml", service("zeta", at));
    target.applyFile("a.yaml", service("alpha", at));
    expect(texts(target)).toEqual([
      "zeta NodePort 0.0.0.0:30007",
      "zeta ClusterIP 10.96.0.2:80",
      "alpha ClusterIP 10.96.0.3:80",
    ]);
    expect(target.problems()).toMatchObject([
      {
        ...{ code: "SKEP6034", span: { file: "a.yaml" }, related: [{ span: { file: "z.yaml" } }] },
        message: "default/alpha is not served at 0.0.0.0:30007/TCP: default/zeta came first and has it",
      },
    ]);
    // Its file is written anew: it was there before.
    target.applyFile("z.yaml", service("zeta", `${at}, sessionAffinity: ClientIP`));
    expect(texts(target)[0]).toBe("zeta NodePort 0.0.0.0:30007");
    target.removeFile("z.yaml");
    expect(texts(target)[0]).toBe("alpha NodePort 0.0.0.0:30007");
    expect(target.problems()).toEqual([]);
  });
});
