import { HOST_ENDPOINT, type Endpoint, type IpcacheRow, World } from "@skep/control";
import { formatAddress, formatPrefix, parseAddress, parsePrefix, type Prefix } from "@skep/net";
import type { PolicyMapEntry } from "@skep/policy";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DatapathEndpoint } from "@skep/datapath";
import { createLogger } from "../src/log.ts";
import { Reconciler, type ReconcilerOptions } from "../src/reconciler.ts";
import { newRow, recordOf, type Row } from "../src/records.ts";

const prefix = (text: string): Prefix => parsePrefix(text)!;
const keyOf = ({ direction, identity, protocol, port, portPrefix }: PolicyMapEntry): string =>
  `${direction} ${identity} ${protocol} ${portPrefix === 0 ? 0 : port}/${portPrefix}`;

/** Maps as a datapath's, and a call that fails. */
class FakeMaps {
  readonly endpoints = new Map<number, DatapathEndpoint>();
  readonly policies = new Map<number, Map<string, PolicyMapEntry>>();
  readonly ipcache = new Map<string, IpcacheRow>();
  /** Calls until one fails; null: none does. */
  failsIn: number | null = null;
  calls: string[] = [];

  call(name: string): void {
    this.calls.push(name);
    if (this.failsIn === null) return;
    this.failsIn -= 1;
    if (this.failsIn >= 0) return;
    this.failsIn = null;
    throw new Error(`${name} failed`);
  }

  get datapath(): ReconcilerOptions["datapath"] {
    const setPolicy = ({ endpoint, entries }: { endpoint: number; entries: readonly PolicyMapEntry[] }): void => {
      this.call("setPolicy");
      this.policies.set(endpoint, new Map(entries.map((entry) => [keyOf(entry), entry])));
    };
    const nothing = { changed: 0, deleted: 0 };
    return {
      setPolicy,
      setPolicies: (policies) => policies.forEach(setPolicy),
      updatePolicy: (endpoint, { put, take }) => {
        const entries = this.policies.get(endpoint)!;
        for (const entry of put) {
          this.call("put");
          entries.set(keyOf(entry), entry);
        }
        for (const entry of take) {
          this.call("take");
          entries.delete(keyOf(entry));
        }
      },
      setEndpoint: (endpoint) => {
        this.call("setEndpoint");
        this.endpoints.set(endpoint.id, endpoint);
      },
      syncIpcache: (rows) => {
        this.call("syncIpcache");
        this.ipcache.clear();
        for (const row of rows) this.ipcache.set(formatPrefix(row.prefix), row);
        return nothing;
      },
      updateIpcache: ({ written, removed }) => {
        for (const row of written) {
          this.call("write");
          this.ipcache.set(formatPrefix(row.prefix), row);
        }
        for (const each of removed) {
          this.call("remove");
          this.ipcache.delete(formatPrefix(each));
        }
        return nothing;
      },
      syncEgress: () => nothing,
      syncLoadBalancer: () => nothing,
      replaceLoadBalancer: () => nothing,
    };
  }

  remove(id: number): void {
    this.endpoints.delete(id);
    this.policies.delete(id);
  }
}

/** An agent without a machine. */
class Node {
  readonly world = new World({
    ...{ podCidr: prefix("10.1.0.0/24"), podCidr6: prefix("fd00:1::/120"), serviceCidr: prefix("10.96.0.0/24") },
    ...{ nodeName: "one", policy: { hostFirewall: true } },
  });
  maps = new FakeMaps();
  rows = new Map<number, Row>();
  private readonly numbers: { failing: boolean } = { failing: false };
  reconciler = this.reconcilerOf();

  private reconcilerOf(): Reconciler {
    return new Reconciler({
      ...{ world: this.world, datapath: this.maps.datapath, rows: this.rows, hostFirewall: true },
      log: createLogger({ write: () => undefined, now: () => 0, format: "json" }),
      state: {
        keepNumbers: (world) => {
          world.numberChanges();
          if (!this.numbers.failing) return;
          this.numbers.failing = false;
          throw new Error("the disk is full");
        },
      },
      nodeRoutes: { sync: () => false },
      ...{ nextHops: null, interfaces: null, onApplied: () => undefined },
      lostSockets: { note: () => undefined, settle: () => undefined },
    });
  }

  /** Everything from nothing, as after a start. */
  renew(): void {
    this.reconciler.close();
    this.maps = new FakeMaps();
    this.rows = new Map(this.world.endpoints().map((each) => [each.id, rowOf(each)]));
    this.reconciler = this.reconcilerOf();
  }

  do(step: Step): void {
    const { world } = this;
    if (step.kind === "join") {
      const { app, ports } = step;
      const namedPorts = ports === 0 ? [] : [{ name: "web", protocol: 6, port: 8000 + ports }];
      const name = `w${step.name}`;
      if (world.findEndpoint("default", name)) return;
      const seed = world.allocateEndpoint({
        ...{ namespace: "default", name, namedPorts },
        labels: { app: `a${app}` },
      });
      const wire = { interfaceName: `skep${seed.id}`, interfaceIndex: 100 + seed.id };
      const endpoint = { ...seed, ...wire, mac: new Uint8Array(6), hostMac: new Uint8Array(6) };
      this.rows.set(seed.id, rowOf(endpoint));
      world.setEndpoint(endpoint);
    } else if (step.kind === "leave" || step.kind === "audit") {
      const found = world.findEndpoint("default", `w${step.name}`);
      if (!found) return;
      if (step.kind === "audit") return world.setAudit(found.id, step.on);
      this.maps.remove(found.id);
      world.removeEndpoint(found.id);
      this.rows.delete(found.id);
    } else if (step.kind === "file") {
      const text = FILES[step.file]![step.variant];
      if (text === undefined) world.removeFile(step.file);
      else expect(world.applyFile(step.file, text)).toMatchObject({ changed: true });
    } else if (step.kind === "settings") world.configure({ enforcement: step.enforcement, hostFirewall: true });
    else if (step.kind === "host") world.setHostAddresses(step.addresses.map((text) => parseAddress(text)!));
    else if (step.kind === "disk") this.numbers.failing = true;
    else this.maps.failsIn = step.calls;
  }

  /** Until nothing fails. */
  apply(): void {
    for (let tries = 0; tries < 4; tries++) {
      try {
        this.reconciler.apply();
      } catch (error) {
        expect(error).toHaveProperty("message", "the disk is full");
        continue;
      }
      if (this.reconciler.failures.size === 0) return;
    }
    throw new Error("it fails again and again");
  }

  /** As text, a cookie as the rules that it stands for. */
  get text(): string[] {
    const lines: string[] = [];
    const add = (...words: unknown[]): void => void lines.push(JSON.stringify(words));
    for (const [id, { identity, address }] of this.maps.endpoints)
      add("endpoint", id, identity, formatAddress(address));
    for (const [id, entries] of this.maps.policies)
      for (const [key, { cookie, ...entry }] of entries) {
        const rules = this.world.rulesOf(cookie).map((rule) => JSON.stringify(rule));
        add("policy", id, key, entry.deny, entry.audit, entry.precedence, rules.sort());
      }
    for (const [text, { identity, tunnel }] of this.maps.ipcache)
      add("ipcache", text, identity, tunnel && formatAddress(tunnel));
    for (const { id, labels, cidr } of this.world.identities()) add("identity", id, labels, cidr && formatPrefix(cidr));
    return lines.sort();
  }
}

function rowOf(endpoint: Endpoint): Row {
  return newRow(recordOf(endpoint, { netns: "", cgroup: "" }), "creating");
}

const policy = (name: string, subject: string, rest: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: ${name} }\nspec: { endpointSelector: { matchLabels: { app: ${subject} } }, ${rest} }\n---\n`;
const object = (kind: string, metadata: object, rest: object): string =>
  `${JSON.stringify({ apiVersion: "cilium.io/v2", kind, metadata, ...rest })}\n---\n`;

const labelsOf = (app: string): Record<string, string> =>
  new World({ podCidr: prefix("10.1.0.0/24"), serviceCidr: prefix("10.96.0.0/24") }).workloadLabels("default", { app });

const FILES: Readonly<Record<string, readonly string[]>> = {
  "policies.yaml": [
    policy("p", "a0", "ingress: [{ fromEndpoints: [{ matchLabels: { app: a1 } }] }]"),
    policy("p", "a1", "egress: [{ toCIDR: [10.9.0.0/16, 10.1.0.4/32] }, { toEntities: [host] }]") +
      policy(
        "q",
        "a0",
        'ingress: [{ fromEntities: [cluster], toPorts: [{ ports: [{ port: "80", protocol: TCP }] }] }]',
      ),
    policy("p", "a1", "egress: [{ toEndpoints: [{}], toPorts: [{ ports: [{ port: web, protocol: TCP }] }] }]"),
    policy("p", "a2", "egress: [{ toServices: [{ k8sService: { serviceName: s, namespace: default } }] }]"),
  ],
  "host.yaml": [
    `apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: { name: h }\nspec: { nodeSelector: {}, ingress: [{ fromEndpoints: [{ matchLabels: { app: a1, "k8s:io.kubernetes.pod.namespace": default } }] }] }\n`,
  ],
  "services.yaml": ["192.0.2.1", "192.0.2.2"].map(
    (address) =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: s-1, labels: { kubernetes.io/service-name: s } }\naddressType: IPv4\nendpoints: [{ addresses: [${address}] }]\nports: [{ port: 80 }]\n`,
  ),
  "nodes.yaml": [
    object(
      "CiliumNode",
      { name: "two" },
      {
        spec: { addresses: [{ type: "InternalIP", ip: "192.0.2.9" }], ipam: { podCIDRs: ["10.2.0.0/24"] } },
      },
    ) +
      object(
        "CiliumEndpoint",
        { name: "far", namespace: "default" },
        {
          status: {
            identity: { id: 4711, labels: ["k8s:app=a1", "k8s:io.kubernetes.pod.namespace=default"] },
            networking: { addressing: [{ ipv4: "10.2.0.9" }] },
          },
        },
      ),
    object("CiliumIdentity", { name: "5000" }, { "security-labels": labelsOf("a0") }),
    object("CiliumIdentity", { name: "5001" }, { "security-labels": labelsOf("a1") }),
  ],
};

type Step =
  | { readonly kind: "join"; readonly name: number; readonly app: number; readonly ports: number }
  | { readonly kind: "leave"; readonly name: number }
  | { readonly kind: "audit"; readonly name: number; readonly on: boolean }
  | { readonly kind: "file"; readonly file: string; readonly variant: number }
  | { readonly kind: "settings"; readonly enforcement: "default" | "always" | "never" }
  | { readonly kind: "host"; readonly addresses: readonly string[] }
  | { readonly kind: "disk" }
  | { readonly kind: "failure"; readonly calls: number };

const name = fc.integer({ min: 0, max: 5 });
const join = fc.record({
  ...{ kind: fc.constant("join" as const), name },
  ...{ app: fc.integer({ min: 0, max: 2 }), ports: fc.integer({ min: 0, max: 2 }) },
});
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("leave" as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("audit" as const), name, on: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("file" as const),
      ...{ file: fc.constantFrom(...Object.keys(FILES)), variant: fc.integer({ min: 0, max: 4 }) },
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("settings" as const),
      enforcement: fc.constantFrom("default" as const, "always" as const, "never" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("host" as const),
      addresses: fc.subarray(["198.51.100.1", "192.0.2.1", "10.9.0.1"]),
    }),
  },
);
const mishap = fc.oneof(
  fc.constant({ kind: "disk" as const }),
  fc.record({ kind: fc.constant("failure" as const), calls: fc.integer({ min: 0, max: 6 }) }),
);
/** What is done before the maps are brought to it, and whether that fails. */
const rounds = fc.array(
  fc.tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: join }, { weight: 2, arbitrary: change }), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.option(mishap, { freq: 4 }),
  ),
  { minLength: 1, maxLength: 20 },
);

describe("changes by differences", () => {
  it("lead to the maps of a whole reconciliation, whatever failed on the way", () => {
    fc.assert(
      fc.property(rounds, (all) => {
        const [node, twin] = [new Node(), new Node()];
        try {
          for (const [steps, failure] of all) {
            twin.renew();
            for (const step of steps) for (const each of [node, twin]) each.do(step);
            if (failure) node.do(failure);
            for (const each of [node, twin]) each.apply();
            node.maps.failsIn = null;
            expect(node.text).toEqual(twin.text);
          }
        } finally {
          for (const each of [node, twin]) each.reconciler.close();
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it("write what belongs to a new workload, and no more", () => {
    const node = new Node();
    try {
      node.do({ kind: "file", file: "policies.yaml", variant: 0 });
      for (const at of [0, 1, 2]) node.do({ kind: "join", name: at, app: at, ports: 0 });
      node.apply();
      node.maps.calls = [];
      node.do({ kind: "join", name: 3, app: 2, ports: 0 });
      node.apply();
      expect(node.maps.calls).toEqual(["setPolicy", "setEndpoint", "write", "write"]);
      node.maps.calls = [];
      node.do({ kind: "leave", name: 3 });
      node.apply();
      expect(node.maps.calls).toEqual(["remove", "remove"]);
      node.maps.calls = [];
      node.do({ kind: "leave", name: 1 });
      node.apply();
      expect(node.maps.calls).toEqual(["take", "remove", "remove"]);
      expect(node.maps.policies.has(HOST_ENDPOINT)).toBe(true);
    } finally {
      node.reconciler.close();
    }
  });
});
