import { describe, expect, it } from "vitest";
import { formatAddress, parsePrefix, type Prefix } from "@skep/net";
import { changeSnapshot, World, type WorldSnapshot } from "../src/index.ts";

const prefix = (text: string): Prefix => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};
const world = (): World =>
  new World({ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/16"), nodeName: "here" });

const pool = (name: string, spec: string, { year = 2024, version = "v2" } = {}): string => `---
apiVersion: cilium.io/${version}
kind: CiliumLoadBalancerIPPool
metadata: { name: ${name}, creationTimestamp: "${year}-01-01T00:00:00Z" }
spec: { ${spec} }
`;
interface Balanced {
  readonly annotations?: string;
  readonly labels?: string;
  readonly namespace?: string;
  readonly spec?: string;
  readonly port?: number;
}
const balanced = (
  name: string,
  { annotations = "", labels = "", namespace = "default", spec = "", port = 80 }: Balanced = {},
): string => `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace}, labels: { ${labels} }, annotations: { ${annotations} } }
spec: { type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{ port: ${port} }]${spec} }
`;

const given = (target: World): Record<string, string> => {
  const found: Record<string, string> = {};
  for (const { name, type, address } of target.services())
    if (type === "LoadBalancer") found[name] = [found[name], formatAddress(address)].filter(Boolean).join(" ");
  return found;
};
const told = (target: World): string[] => target.problems().map(({ code, message }) => `${code} ${message}`);

describe("pools of load balancers' addresses", () => {
  it.each([
    ["v2", "blocks: [{ cidr: 192.0.2.0/30 }]", ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]],
    ["v2alpha1", "blocks: [{ cidr: 192.0.2.0/30 }], allowFirstLastIPs: No", ["192.0.2.1", "192.0.2.2"]],
    ["v2", "blocks: [{ cidr: 192.0.2.4/32 }], allowFirstLastIPs: No", ["192.0.2.4"]],
    [
      "v2",
      "blocks: [{ start: 192.0.2.9, stop: 192.0.2.10 }, { start: 198.51.100.1 }]",
      ["192.0.2.9", "192.0.2.10", "198.51.100.1"],
    ],
  ])("%s %s gives what it has, and then nothing", (version, spec, addresses) => {
    const target = world();
    target.applyFile("pool.yaml", pool("p", spec, { version }));
    expect(target.diagnostics()).toEqual([]);
    const names = ["a", "b", "c", "d", "e"];
    target.applyFile("services.yaml", names.map((name) => balanced(name)).join(""));
    expect(Object.values(given(target))).toEqual(addresses);
    expect(told(target)).toEqual(
      names
        .slice(addresses.length)
        .map(
          (name) =>
            `SKEP6020 Service default/${name} has no load balancer address of IPv4: every address of the pools for it is in use`,
        ),
    );
    expect(target.addressPools()).toMatchObject([{ name: "p", total: BigInt(addresses.length), available: 0n }]);
  });

  it("say nothing where there are none", () => {
    const target = world();
    target.applyFile("s.yaml", balanced("a"));
    expect([given(target), told(target)]).toEqual([{}, []]);
  });

  it("serve services that were there before, and those that wait for an address that becomes free", () => {
    const target = world();
    target.applyFile("a.yaml", balanced("a"));
    target.applyFile("b.yaml", balanced("b"));
    target.applyFile("pool.yaml", pool("p", "blocks: [{ start: 192.0.2.1 }]"));
    expect(given(target)).toEqual({ a: "192.0.2.1" });
    target.removeFile("a.yaml");
    expect(given(target)).toEqual({ b: "192.0.2.1" });
    expect(told(target)).toEqual([]);
    target.removeFile("pool.yaml");
    expect(given(target)).toEqual({});
  });

  it("give one of each family that the service has", () => {
    const target = world();
    target.applyFile("pool.yaml", pool("p", 'blocks: [{ cidr: 192.0.2.0/24 }, { cidr: "2001:db8::/64" }]'));
    target.applyFile(
      "s.yaml",
      balanced("a", { spec: ", ipFamilies: [IPv6, IPv4]" }) + balanced("b", { spec: ", ipFamilies: [IPv6]" }),
    );
    expect(given(target)).toEqual({ a: "192.0.2.0 2001:db8::", b: "2001:db8::1" });
  });

  it("are for the services that they select, by label, name and namespace", () => {
    const target = world();
    const select = (labels: string): string => `, serviceSelector: { matchLabels: { ${labels} } }`;
    target.applyFile(
      "pools.yaml",
      pool("red", `blocks: [{ cidr: 192.0.2.0/26 }]${select("color: red")}`) +
        pool("space", `blocks: [{ cidr: 192.0.2.64/26 }]${select('"io.kubernetes.service.namespace": tenant')}`) +
        pool("name", `blocks: [{ cidr: 192.0.2.128/26 }]${select('"io.kubernetes.service.name": c')}`),
    );
    target.applyFile(
      "s.yaml",
      [
        balanced("a", { labels: "color: red" }),
        balanced("b", { namespace: "tenant" }),
        balanced("c"),
        balanced("d", { labels: "color: blue" }),
        balanced("e", { labels: "color: red", spec: ", loadBalancerClass: example.com/other" }),
        balanced("f", { labels: "color: red", spec: ", loadBalancerClass: io.cilium/l2-announcer" }),
      ].join(""),
    );
    expect(given(target)).toEqual({ a: "192.0.2.0", b: "192.0.2.64", c: "192.0.2.128", f: "192.0.2.1" });
    expect(told(target)).toEqual([
      "SKEP6044 Service default/d has no load balancer address of IPv4: no pool that is in force is for it",
    ]);
    target.applyFile("pools.yaml", pool("red", `blocks: [{ cidr: 192.0.2.0/26 }]${select("color: blue")}`));
    expect(given(target)).toEqual({ d: "192.0.2.0" });
  });

  it("that are disabled, or have an older one's addresses, leave what was given and give nothing", () => {
    const target = world();
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    target.applyFile("a.yaml", balanced("a"));
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }], disabled: true"));
    target.applyFile("b.yaml", balanced("b"));
    expect(given(target)).toEqual({ a: "192.0.2.0" });
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    target.applyFile("old.yaml", pool("old", "blocks: [{ cidr: 192.0.2.128/25 }]", { year: 2023 }));
    expect(target.addressPools()).toMatchObject([
      { name: "old", conflict: null },
      { name: "p", conflict: "old" },
    ]);
    expect(told(target)[0]).toBe(
      "SKEP6034 CiliumLoadBalancerIPPool p has addresses of old, which is older: it gives none",
    );
    expect(given(target)).toEqual({ a: "192.0.2.0", b: "192.0.2.128" });
    target.removeFile("old.yaml");
    target.applyFile("c.yaml", balanced("c"));
    expect(given(target)).toEqual({ a: "192.0.2.0", b: "192.0.2.128", c: "192.0.2.1" });
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }, { start: 192.0.2.7 }]"));
    expect(told(target)[0]).toBe("SKEP6034 CiliumLoadBalancerIPPool p has addresses twice: it gives none");
  });

  it("give the addresses that are asked for, if they have them and nobody else has", () => {
    const target = world();
    const ask = (ips: string): Balanced => ({ annotations: `"lbipam.cilium.io/ips": "${ips}"` });
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    target.applyFile(
      "s.yaml",
      [
        balanced("a", ask("192.0.2.77, 192.0.2.9")),
        balanced("b", { annotations: '"io.cilium/lb-ipam-ips": 192.0.2.77' }),
        balanced("c", ask("203.0.113.1")),
        balanced("d", ask("2001:db8::1")),
        balanced("e", { spec: ", loadBalancerIP: 203.0.113.9" }),
      ].join(""),
    );
    expect(given(target)).toEqual({ a: "192.0.2.9 192.0.2.77", e: "203.0.113.9" });
    expect(told(target)).toEqual([
      "SKEP6034 Service default/b is not given 192.0.2.77: default/a has it",
      "SKEP6046 Service default/c is not given 203.0.113.1: it is in no pool",
      "SKEP6037 Service default/d is not given 2001:db8::1: it has no addresses of IPv6",
    ]);
    target.applyFile("x.yaml", balanced("x", ask("192.0.2")));
    expect(target.diagnostics().map(({ code, severity }) => `${severity} ${code}`)).toEqual(["warning SKEP6006"]);
  });

  it("share an address between services of one key whose ports, policies and namespaces allow it", () => {
    const target = world();
    const key = (more = ""): string => `"lbipam.cilium.io/sharing-key": k${more}`;
    const across = ', "lbipam.cilium.io/sharing-cross-namespace": "*"';
    target.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    target.applyFile(
      "s.yaml",
      [
        balanced("a", { annotations: key(across), port: 80 }),
        balanced("b", { annotations: key(), port: 81 }),
        balanced("same-port", { annotations: key(), port: 80 }),
        balanced("local", { annotations: key(), port: 82, spec: ", externalTrafficPolicy: Local" }),
        balanced("far", { annotations: key(), port: 83, namespace: "tenant" }),
        balanced("allowed", {
          annotations: key(', "lbipam.cilium.io/sharing-cross-namespace": default'),
          port: 8080,
          namespace: "x",
        }),
        balanced("alone", { port: 84 }),
      ].join(""),
    );
    const { a, b, alone, far, local, ...rest } = given(target);
    expect([a, b, rest["same-port"]]).toEqual(["192.0.2.0", "192.0.2.0", "192.0.2.1"]);
    expect(new Set([a, local, far, alone]).size).toBe(4);
    // The first that it may have: `b` says nothing of other namespaces, so that the one that both have is not for it.
    expect(rest["allowed"]).not.toBe(a);
  });

  it("are kept over a restart, whichever file is read first, and also as changes", () => {
    const first = world();
    first.numberChanges();
    const empty = JSON.parse(JSON.stringify(first.snapshot())) as WorldSnapshot;
    first.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    first.applyFile("gone.yaml", balanced("gone"));
    first.applyFile("s.yaml", balanced("a") + balanced("b"));
    first.removeFile("gone.yaml");
    const before = given(first);
    expect(before).toEqual({ a: "192.0.2.1", b: "192.0.2.2" });
    const snapshot = JSON.parse(JSON.stringify(first.snapshot())) as WorldSnapshot;
    expect(changeSnapshot(empty, first.numberChanges()).services.loadBalancer).toEqual(snapshot.services.loadBalancer);

    const second = world();
    second.restore(snapshot);
    second.applyFile("0.yaml", balanced("early"));
    second.applyFile("s.yaml", balanced("b"));
    second.applyFile("pool.yaml", pool("p", "blocks: [{ cidr: 192.0.2.0/24 }]"));
    second.restored();
    expect(given(second)).toEqual({ early: "192.0.2.0", b: "192.0.2.2" });
    second.applyFile("late.yaml", balanced("late"));
    expect(given(second)).toMatchObject({ late: "192.0.2.1" });
    const after = changeSnapshot(snapshot, second.numberChanges()).services.loadBalancer;
    expect(Object.fromEntries(after ?? [])).toEqual({
      "default/early": ["192.0.2.0"],
      "default/b": ["192.0.2.2"],
      "default/late": ["192.0.2.1"],
    });
  });

  it.each([
    ["blocks: [{ cidr: 192.0.2.0/33 }]", "SKEP6013", 5],
    ["blocks: [{ cidr: 192.0.2.0/24, start: 192.0.2.1 }]", "SKEP6011", 5],
    ["blocks: [{ stop: 192.0.2.1 }]", "SKEP6011", 5],
    ["blocks: [{ start: 192.0.2.9, stop: 192.0.2.1 }]", "SKEP6018", 5],
    ['blocks: [{ start: 192.0.2.9, stop: "::1" }]', "SKEP6018", 5],
    ["blocks: [{ cidr: 192.0.2.0/24 }], allowFirstLastIPs: Maybe", "SKEP6006", 5],
    ["disabled: true", "SKEP6004", 5],
    ["blocks: [], cidrs: []", "SKEP6003", 5],
  ])("are refused where they are wrong: %s", (spec, code, line) => {
    const target = world();
    target.applyFile("s.yaml", balanced("a"));
    target.applyFile("pool.yaml", pool("p", "blocks: [{ start: 192.0.2.5 }]"));
    const { changed, diagnostics } = target.applyFile("pool.yaml", pool("p", spec));
    expect(changed).toBe(false);
    expect(diagnostics).toMatchObject([{ code, severity: "error", span: { file: "pool.yaml", line } }]);
    expect(given(target)).toEqual({ a: "192.0.2.5" });
  });
});
