import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, formatPrefix, parseAddress, parsePrefix, type Prefix } from "@skep/net";
import { AddressesExhaustedError, AddressPool, AddressTakenError, IdentityAllocator, World } from "./index.ts";
import type { Endpoint } from "./model.ts";

const prefix = (text: string): Prefix => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};

const world = (): World => new World({ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/24") });

let interfaces = 100;
function join(target: World, name: string, labels: Record<string, string>, namespace = "default"): Endpoint {
  const seed = target.allocateEndpoint({ namespace, name, labels });
  const index = interfaces++;
  const endpoint = {
    ...seed,
    interfaceName: `skep${seed.id}`,
    interfaceIndex: index,
    mac: new Uint8Array(6),
    hostMac: new Uint8Array(6),
  };
  target.setEndpoint(endpoint);
  return endpoint;
}

const POLICY = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: rule1 }
spec:
  endpointSelector: { matchLabels: { class: deathstar } }
  ingress:
    - fromEndpoints: [{ matchLabels: { org: empire } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }] }]
`;

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: deathstar }
spec:
  clusterIP: 10.96.0.10
  selector: { class: deathstar }
  ports: [{ port: 80, targetPort: 8080 }]
`;

describe("identities", () => {
  it("gives one number to the same labels in any order, from 256 upward", () => {
    const allocator = new IdentityAllocator();
    const a = allocator.allocate({ "k8s:a": "1", "k8s:b": "2" });
    expect(a.id).toBe(256);
    expect(allocator.allocate({ "k8s:b": "2", "k8s:a": "1" }).id).toBe(256);
    expect(allocator.allocate({ "k8s:a": "1" }).id).toBe(257);
  });

  it("has the reserved ones, with Cilium's numbers", () => {
    const allocator = new IdentityAllocator();
    expect(allocator.get(1)?.labels).toEqual({ "reserved:host": "" });
    expect(allocator.get(2)?.labels).toEqual({ "reserved:world": "" });
    expect(allocator.list().map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("numbers prefixes in the local scope", () => {
    expect(new IdentityAllocator().allocatePrefix(prefix("192.0.2.0/24")).id).toBe((1 << 24) + 1);
  });

  it("keeps numbers over a snapshot, and does not give a returned one at once to others", () => {
    const first = new IdentityAllocator();
    const a = first.allocate({ "k8s:a": "1" });
    const b = first.allocate({ "k8s:b": "1" });
    const net = first.allocatePrefix(prefix("198.51.100.0/24"));
    const second = new IdentityAllocator();
    second.restore(JSON.parse(JSON.stringify(first.snapshot())) as ReturnType<IdentityAllocator["snapshot"]>);
    expect(second.allocate({ "k8s:b": "1" }).id).toBe(b.id);
    expect(second.allocatePrefix(prefix("198.51.100.0/24")).id).toBe(net.id);
    second.retain({ ids: new Set([b.id]), prefixes: new Set() });
    expect(second.get(a.id)).toBeNull();
    expect(second.allocate({ "k8s:c": "1" }).id).toBe(258);
  });
});

describe("addresses", () => {
  it("gives each address once, never the network's, the gateway's or the broadcast's", () => {
    const pool = new AddressPool(prefix("10.0.0.0/29"));
    const given = Array.from({ length: 5 }, () => formatAddress(pool.allocate()));
    expect(given).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    expect(formatAddress(pool.gateway)).toBe("10.0.0.1");
    expect(() => pool.allocate()).toThrow(AddressesExhaustedError);
  });

  it("lets a released address rest while others are free", () => {
    const pool = new AddressPool(prefix("10.0.0.0/28"));
    const first = pool.allocate();
    pool.release(first);
    expect(formatAddress(pool.allocate())).toBe("10.0.0.3");
  });

  it("refuses to claim what is taken or outside", () => {
    const pool = new AddressPool(prefix("10.0.0.0/28"));
    const taken = pool.allocate();
    const outside = parseAddress("10.1.0.1");
    if (!outside) throw new Error("constant");
    expect(() => pool.claim(taken)).toThrow(AddressTakenError);
    expect(() => pool.claim(outside)).toThrow(AddressTakenError);
    expect(() => pool.claim(pool.gateway)).toThrow(AddressTakenError);
  });

  it("never gives an address twice, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (steps) => {
        const pool = new AddressPool(prefix("10.0.0.0/27"));
        const held: string[] = [];
        for (const take of steps) {
          if (take && held.length < 28) {
            const text = formatAddress(pool.allocate());
            expect(held).not.toContain(text);
            held.push(text);
          } else {
            const back = parseAddress(held.shift() ?? "");
            if (back) pool.release(back);
          }
        }
        expect(pool.used).toBe(held.length);
      }),
    );
  });
});

describe("the world", () => {
  it("allows everything where no policy selects, and only the empire afterwards", () => {
    const w = world();
    const star = join(w, "deathstar", { class: "deathstar", org: "empire" });
    const tie = join(w, "tiefighter", { org: "empire" });
    const xwing = join(w, "xwing", { org: "alliance" });
    w.settle();
    expect(w.policyOf(star).ingressEnforced).toBe(false);
    expect(w.applyFile("policy.yaml", POLICY)).toEqual({ changed: true, diagnostics: [] });
    w.settle();
    const policy = w.policyOf(star);
    expect(policy.ingressEnforced).toBe(true);
    expect(policy.egressEnforced).toBe(false);
    const allowed = policy.entries.filter((entry) => entry.direction === "ingress" && entry.port === 80 && !entry.deny);
    expect(allowed.map((entry) => entry.identity).sort((a, b) => a - b)).toEqual(
      [star.identity, tie.identity].sort((a, b) => a - b),
    );
    expect(policy.entries.some((entry) => entry.identity === xwing.identity)).toBe(false);
    const [cookie] = allowed.map((entry) => entry.cookie);
    expect(w.rulesOf(cookie ?? 0).map(({ name, namespace }) => `${namespace}/${name}`)).toEqual(["default/rule1"]);
  });

  it("keeps the last good content of a file with an error, and says where the error is", () => {
    const w = world();
    const star = join(w, "deathstar", { class: "deathstar" });
    w.applyFile("policy.yaml", POLICY);
    w.settle();
    const before = w.policyOf(star).entries;
    const { changed, diagnostics } = w.applyFile("policy.yaml", POLICY.replace("toPorts:", "toPort:"));
    expect(changed).toBe(false);
    expect(diagnostics[0]).toMatchObject({
      code: "SKEP6003",
      severity: "error",
      span: { file: "policy.yaml", line: 9 },
    });
    w.settle();
    expect(w.policyOf(star).entries).toEqual(before);
    expect(w.diagnostics()).toHaveLength(diagnostics.length);
    w.removeFile("policy.yaml");
    w.settle();
    expect(w.policyOf(star).ingressEnforced).toBe(false);
    expect(w.diagnostics()).toEqual([]);
  });

  it("refuses an object that another file has", () => {
    const w = world();
    w.applyFile("a.yaml", POLICY);
    expect(w.applyFile("b.yaml", POLICY)).toMatchObject({
      changed: false,
      diagnostics: [{ code: "SKEP6034", span: { file: "b.yaml" } }],
    });
    expect(w.applyFile("s1.yaml", SERVICE).changed).toBe(true);
    expect(w.applyFile("s2.yaml", SERVICE).changed).toBe(false);
  });

  it("finds a service's backends by its selector, with numbers that last", () => {
    const w = world();
    expect(w.applyFile("service.yaml", SERVICE)).toEqual({ changed: true, diagnostics: [] });
    expect(w.services()).toMatchObject([{ id: 1, name: "deathstar", port: 80, protocol: 6, backends: [] }]);
    const one = join(w, "deathstar-1", { class: "deathstar" });
    const two = join(w, "deathstar-2", { class: "deathstar" });
    join(w, "elsewhere", { class: "deathstar" }, "other");
    const [row] = w.services();
    expect(row?.backends.map(({ id, address, port, state }) => [id, formatAddress(address), port, state])).toEqual([
      [1, formatAddress(one.address), 8080, "active"],
      [2, formatAddress(two.address), 8080, "active"],
    ]);
    w.removeEndpoint(one.id);
    expect(w.services()[0]?.backends.map(({ id }) => id)).toEqual([2]);
  });

  it("gives an address to a service without one, none to a headless one", () => {
    const w = world();
    w.applyFile("service.yaml", SERVICE.replace("  clusterIP: 10.96.0.10\n", ""));
    expect(formatAddress(w.services()[0]?.address ?? { family: 4, bytes: new Uint8Array(4) })).toBe("10.96.0.2");
    w.applyFile("service.yaml", SERVICE.replace("10.96.0.10", "None"));
    expect(w.services()).toEqual([]);
  });

  it("tells a service's errors with their place", () => {
    const w = world();
    const { diagnostics, changed } = w.applyFile("service.yaml", SERVICE.replace("port: 80,", "port: 80000,"));
    expect(changed).toBe(false);
    expect(diagnostics[0]).toMatchObject({ code: "SKEP6035", span: { line: 8 }, path: "spec.ports[0].port" });
  });

  it("knows the identity of every address", () => {
    const w = world();
    const one = join(w, "one", { a: "1" });
    const host = parseAddress("192.0.2.1");
    if (!host) throw new Error("constant");
    w.setHostAddresses([host]);
    w.settle();
    const rows = new Map(w.ipcache().map((row) => [formatPrefix(row.prefix), row.identity]));
    expect(rows.get("0.0.0.0/0")).toBe(2);
    expect(rows.get("192.0.2.1/32")).toBe(1);
    expect(rows.get("10.244.0.1/32")).toBe(1);
    expect(rows.get(`${formatAddress(one.address)}/32`)).toBe(one.identity);
  });

  it("restores numbers and endpoints", () => {
    const first = world();
    const one = join(first, "one", { a: "1" });
    const two = join(first, "two", { a: "2" });
    first.removeEndpoint(one.id);
    first.settle();
    const snapshot = JSON.parse(JSON.stringify(first.snapshot())) as ReturnType<World["snapshot"]>;
    const second = world();
    second.restore(snapshot);
    expect(second.restoreEndpoint(two).identity).toBe(two.identity);
    const three = second.allocateEndpoint({ namespace: "default", name: "three", labels: { a: "3" } });
    expect(three.id).toBe(3);
    expect(three.identity).toBe(258);
    expect(formatAddress(three.address)).toBe("10.244.0.4");
  });

  it("refuses names that are none, and a second workload of one name", () => {
    const w = world();
    join(w, "one", {});
    expect(() => w.allocateEndpoint({ namespace: "default", name: "one", labels: {} })).toThrow(/already/);
    expect(() => w.allocateEndpoint({ namespace: "default", name: "../x", labels: {} })).toThrow(/no name/);
  });
});
