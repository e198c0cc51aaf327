import { describe, expect, it } from "vitest";
import type { Endpoint } from "@skep/control";
import { formatAddress } from "@skep/net";
import { address } from "../test/fixtures.ts";
import { type FlowWorld, matchTypeOf, type MatchEntry, worldContext } from "./index.ts";

const xwing: Endpoint = {
  id: 3,
  namespace: "default",
  name: "xwing",
  labels: { "k8s:org": "alliance", "k8s:class": "xwing", "reserved:special": "" },
  identity: 700,
  address: address("10.0.0.3"),
  interfaceName: "skep3",
  interfaceIndex: 33,
  mac: new Uint8Array(6),
  hostMac: new Uint8Array(6),
};

const entry: MatchEntry = { direction: "ingress", identity: 9, protocol: 6, port: 80, portPrefix: 16, cookie: 4 };
const decision = { endpoint: 3, direction: "ingress", cookie: 4, peer: 9, protocol: 6, port: 80 } as const;

function world(): FlowWorld & { revision: number; gone: boolean } {
  return {
    revision: 1,
    gone: false,
    endpoint(id) {
      return id === 3 && !this.gone ? xwing : null;
    },
    identityLabels: (identity) => (identity === 2 ? ["reserved:world"] : []),
    serviceAt: (at, port, protocol) =>
      formatAddress(at) === "10.96.0.10" && port === 80 && protocol === 6 ? "default/deathstar" : null,
    rulesOf: (cookie) => {
      if (cookie === 1) return [{ kind: "builtin", namespace: "", name: "allow" }];
      const rule = { kind: "CiliumNetworkPolicy", namespace: "default", name: "rule1" };
      return cookie === 4 ? [rule, rule] : [];
    },
    documents: () => [
      {
        kind: "CiliumNetworkPolicy",
        namespace: "default",
        name: "closes",
        rules: [{ direction: "ingress", defaultDeny: true }],
      },
      {
        kind: "NetworkPolicy",
        namespace: "default",
        name: "other",
        rules: [{ direction: "egress", defaultDeny: true }],
      },
    ],
  };
}

const contextOf = (from: FlowWorld): ReturnType<typeof worldContext> =>
  worldContext({
    world: from,
    nodeName: "endor",
    wallTime: (time) => time,
    uuid: () => "u",
    entries: () => [entry],
    selects: () => true,
  });

describe("names from control", () => {
  it("of a workload are its labels, sorted, and its pod", () => {
    expect(contextOf(world()).endpoint(3)).toEqual({
      id: 3,
      identity: 700,
      namespace: "default",
      labels: ["k8s:class=xwing", "k8s:org=alliance", "reserved:special"],
      podName: "xwing",
      workloads: [{ name: "xwing", kind: "Pod" }],
      clusterName: "default",
    });
  });

  it("stay for events of a workload that has just gone", () => {
    const from = world();
    const context = contextOf(from);
    context.endpoint(3);
    from.gone = true;
    expect(context.endpoint(3)?.podName).toBe("xwing");
    expect(context.endpoint(4)).toBeNull();
  });

  it("of a peer are its identity's", () => {
    expect(contextOf(world()).peer(2, address("1.1.1.1"))).toMatchObject({ id: 0, labels: ["reserved:world"] });
  });

  it("of a service come by frontend", () => {
    const context = contextOf(world());
    expect(context.service(address("10.96.0.10"), 80, 6)).toMatchObject({ name: "deathstar", namespace: "default" });
    expect(context.service(address("10.96.0.10"), 80, 17)).toBeNull();
  });

  it("of a service are afterwards what they were when they were asked", () => {
    const from = world();
    const context = contextOf(from);
    const { epoch = 0 } = context;
    expect(context.service(address("10.96.0.10"), 80, 6)?.name).toBe("deathstar");
    expect(context.service(address("10.96.0.11"), 80, 6)).toBeNull();
    from.serviceAt = () => "default/executor";
    from.revision = 2;
    expect(context.service(address("10.96.0.10"), 80, 6)?.name).toBe("executor");
    const before = context.during?.(epoch);
    expect(before?.service(address("10.96.0.10"), 80, 6)?.name).toBe("deathstar");
    expect(before?.service(address("10.96.0.11"), 80, 6)).toBeNull();
  });

  it("of the node carry the cluster", () => {
    expect(contextOf(world()).nodeName).toBe("default/endor");
  });

  it("of an interface are known once its endpoint was seen", () => {
    const context = contextOf(world());
    expect(context.interfaceName(33)).toBe("");
    context.endpoint(3);
    expect(context.interfaceName(33)).toBe("skep3");
  });
});

describe("policies behind a verdict", () => {
  it("are named once each", () => {
    expect(contextOf(world()).policies(decision)).toEqual([
      {
        kind: "CiliumNetworkPolicy",
        namespace: "default",
        name: "rule1",
        labels: [
          "k8s:io.cilium.k8s.policy.derived-from=CiliumNetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=rule1",
          "k8s:io.cilium.k8s.policy.namespace=default",
        ],
        revision: 1n,
      },
    ]);
  });

  it("are none where nothing is enforced", () => {
    expect(contextOf(world()).policies({ ...decision, cookie: 1 })).toEqual([]);
  });

  it("on default deny are those that closed the direction", () => {
    const names = contextOf(world())
      .policies({ ...decision, cookie: 0 })
      .map((policy) => policy.name);
    expect(names).toEqual(["closes"]);
  });

  it("follow the revision", () => {
    const from = world();
    const context = contextOf(from);
    context.policies(decision);
    from.revision = 2;
    expect(context.policies(decision)[0]?.revision).toBe(2n);
  });
});

describe("how narrow a rule was", () => {
  it.each([
    [{}, 2],
    [{ identity: 0 }, 3],
    [{ portPrefix: 0 }, 5],
    [{ portPrefix: 0, identity: 0 }, 6],
    [{ portPrefix: 0, protocol: 0 }, 1],
    [{ portPrefix: 0, protocol: 0, identity: 0 }, 4],
    [{ portPrefix: 14, port: 80 }, 2],
    [{ identity: 8 }, 0],
    [{ port: 81 }, 0],
    [{ cookie: 5 }, 0],
    [{ direction: "egress" }, 0],
  ] as const)("%j is %s", (change, expected) => {
    expect(matchTypeOf([{ ...entry, ...change }], decision)).toBe(expected);
  });

  it("is none where no entry matched", () => {
    expect(contextOf(world()).matchType({ ...decision, cookie: 0 })).toBe(0);
    expect(contextOf(world()).matchType(decision)).toBe(2);
  });
});
