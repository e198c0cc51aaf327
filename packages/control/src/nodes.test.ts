import { describe, expect, it } from "vitest";
import { formatAddress, formatPrefix, parsePrefix } from "@skep/net";
import { World } from "./world.ts";

const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(text);
  return parsed;
};
const world = (nodeName: string): World =>
  new World({ podCidr: prefix("10.1.0.0/24"), serviceCidr: prefix("10.96.0.0/24"), nodeName });

const node = (name: string, at: number): string => `
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: { name: ${name} }
spec:
  addresses: [{ type: InternalIP, ip: 192.0.2.${at} }, { type: CiliumInternalIP, ip: 10.${at}.0.1 }]
  ipam: { podCIDRs: [10.${at}.0.0/24] }
---`;
const endpoint = `
apiVersion: cilium.io/v2
kind: CiliumEndpoint
metadata: { name: far, namespace: default }
status:
  identity: { id: 4711, labels: ["k8s:app=far"] }
  networking: { addressing: [{ ipv4: 10.2.0.9 }] }
`;

describe("other nodes", () => {
  const rows = (from: World): string[] => {
    from.settle();
    return from
      .ipcache()
      .filter(
        ({ prefix: { address } }) =>
          formatAddress(address).startsWith("10.2.") || formatAddress(address).startsWith("192."),
      )
      .map(
        (row) => `${formatPrefix(row.prefix)} ${row.identity}${row.tunnel ? ` by ${formatAddress(row.tunnel)}` : ""}`,
      );
  };

  it("are in the ipcache with what is behind them, this one is not", () => {
    const here = world("one");
    expect(here.applyFile("a.yaml", node("one", 1) + node("two", 2) + endpoint)).toMatchObject({ changed: true });
    expect(rows(here)).toEqual([
      "10.2.0.0/24 3 by 192.0.2.2",
      "10.2.0.1/32 6 by 192.0.2.2",
      "192.0.2.2/32 6",
      "10.2.0.9/32 4711 by 192.0.2.2",
    ]);
    expect(here.nodes.own()?.name).toBe("one");
    here.removeFile("a.yaml");
    expect(rows(here)).toEqual([]);
  });

  it("give labels their numbers, and a number that is taken is told", () => {
    const labels = world("one").workloadLabels("default", { app: "near" });
    const identity = (id: number): string =>
      JSON.stringify({
        apiVersion: "cilium.io/v2",
        kind: "CiliumIdentity",
        metadata: { name: `${id}` },
        "security-labels": labels,
      });
    const here = world("one");
    here.applyFile("a.yaml", identity(5000));
    here.settle();
    expect(here.allocateEndpoint({ namespace: "default", name: "near", labels: { app: "near" } }).identity).toBe(5000);
    expect(here.identityConflicts()).toEqual([]);
    here.applyFile("a.yaml", identity(5001));
    here.settle();
    expect(here.identityConflicts()).toEqual([5001]);
  });

  it("an object that cannot be read changes nothing and is named", () => {
    const here = world("one");
    const { changed, diagnostics } = here.applyFile("a.yaml", node("two", 2).replace("192.0.2.2", "nowhere"));
    expect(changed).toBe(false);
    expect(diagnostics.map(({ message }) => message)).toContain('CiliumNode: "nowhere" is no IP address');
  });

  it("their workloads are backends, but of services that have endpoint slices", () => {
    const service = `
apiVersion: v1
kind: Service
metadata: { name: far }
spec: { clusterIP: 10.96.0.7, selector: { app: far }, ports: [{ port: 80, targetPort: web }] }
---`;
    const slice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: far-1, labels: { kubernetes.io/service-name: far } }
addressType: IPv4
endpoints: [{ addresses: [10.2.0.10], nodeName: two }]
ports: [{ port: 8080 }]
---`;
    const named = endpoint
      .replace("status:", `status:\n  named-ports: [{ name: web, port: 8080, protocol: TCP }]`)
      .replace('["k8s:app=far"]', '["k8s:app=far", "k8s:io.kubernetes.pod.namespace=default"]');
    const from = world("one");
    const backends = (...documents: string[]): string[] => {
      from.applyFile("all.yaml", documents.join("\n"));
      from.settle();
      return from
        .services()
        .flatMap((row) => row.backends.map(({ address, port }) => `${formatAddress(address)}:${port}`));
    };
    const two = node("two", 2);
    expect(backends(service, two, named)).toEqual(["10.2.0.9:8080"]);
    expect(backends(service, slice, two, named)).toEqual(["10.2.0.10:8080"]);
    expect(backends(service, two, named)).toEqual(["10.2.0.9:8080"]);
    // Nobody knows where it is.
    expect(backends(service, named)).toEqual([]);
    expect(backends(service, two)).toEqual([]);
  });
});
