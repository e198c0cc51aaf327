import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { address, context, event } from "../../test/fixtures.ts";
import { jsonLine, recordOf, wallClock, uuids } from "../index.ts";

const flowOf = (change: Parameters<typeof event>[0] = {}): flow.Flow => recordOf(event(change), context()).flow;

describe("a new connection between two workloads", () => {
  it("is a flow with both ends, the decision and the time", () => {
    const printed = JSON.parse(jsonLine(flow.FlowSchema, flowOf())) as unknown;
    const policy = (name: string): unknown[] => [
      { name, namespace: "default", revision: "3", kind: "CiliumNetworkPolicy" },
    ];
    expect(printed).toEqual({
      time: "2023-11-14T22:13:21Z",
      uuid: "uuid-1",
      verdict: "FORWARDED",
      ethernet: { source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" },
      IP: { source: "10.0.1.11", destination: "10.0.1.22", ipVersion: "IPv4" },
      l4: { TCP: { source_port: 41000, destination_port: 80, flags: { SYN: true } } },
      source: {
        ID: 1,
        identity: 21001,
        cluster_name: "default",
        namespace: "default",
        labels: ["k8s:app=xwing", "k8s:io.kubernetes.pod.namespace=default"],
        pod_name: "xwing",
        workloads: [{ name: "xwing", kind: "Pod" }],
      },
      destination: {
        ID: 2,
        identity: 21002,
        cluster_name: "default",
        namespace: "default",
        labels: ["k8s:app=deathstar", "k8s:io.kubernetes.pod.namespace=default"],
        pod_name: "deathstar",
        workloads: [{ name: "deathstar", kind: "Pod" }],
      },
      Type: "L3_L4",
      node_name: "default/endor",
      event_type: { type: 4 },
      traffic_direction: "INGRESS",
      trace_observation_point: "TO_ENDPOINT",
      trace_reason: "NEW",
      is_reply: false,
      interface: { index: 7, name: "veth7" },
      Summary: "TCP Flags: SYN",
      egress_allowed_by: policy("egress-6"),
      ingress_allowed_by: policy("ingress-5"),
    });
  });
});

describe("drops", () => {
  it("name the code, the reason and the rules", () => {
    const denied = flowOf({ type: 1, reason: 133, cookie: 0 });
    expect(denied.verdict).toBe(flow.Verdict.DROPPED);
    expect(denied.dropReason).toBe(133);
    expect(denied.dropReasonDesc).toBe(flow.DropReason.POLICY_DENIED);
    expect(denied.eventType).toMatchObject({ type: 1, subType: 133 });
    expect(denied.isReply).toBe(false);
    expect(denied.egressAllowedBy.map((policy) => policy.name)).toEqual(["egress-6"]);
    expect(denied.ingressDeniedBy).toEqual([]);
  });

  it("on the way out name the egress rule", () => {
    const denied = flowOf({ type: 1, reason: 181, direction: "egress", endpoint: 1, cookie: 9, egressCookie: 0 });
    expect(denied.egressDeniedBy.map((policy) => policy.name)).toEqual(["egress-9"]);
    expect(denied.ingressDeniedBy).toEqual([]);
    expect(denied.trafficDirection).toBe(flow.TrafficDirection.EGRESS);
  });

  it("say nothing of a direction that the datapath does not know", () => {
    expect(flowOf({ type: 1, reason: 132 }).isReply).toBeUndefined();
  });

  it("without a network header have only the link addresses", () => {
    const dropped = flowOf({ type: 1, reason: 139, ethertype: 0x88cc, destinationEndpoint: 0 });
    expect(dropped.IP).toBeUndefined();
    expect(dropped.l4).toBeUndefined();
    expect(dropped.destination).toBeUndefined();
    expect(dropped.Summary).toBe("Ethernet");
  });

  it("keep a code that has no name", () => {
    expect(flowOf({ type: 1, reason: 206 }).dropReason).toBe(206);
    expect(flowOf({ type: 1, reason: 206 }).dropReasonDesc).toBe(0);
  });
});

describe("replies", () => {
  it("carry the direction of their connection and no rule", () => {
    const reply = flowOf({ reply: true, tcpFlags: 0x12 });
    expect(reply.isReply).toBe(true);
    expect(reply.reply).toBe(true);
    expect(reply.trafficDirection).toBe(flow.TrafficDirection.EGRESS);
    expect(reply.traceReason).toBe(flow.TraceReason.REPLY);
    expect(flowOf({ established: true }).traceReason).toBe(flow.TraceReason.ESTABLISHED);
    expect(flowOf({ reply: true, related: true }).traceReason).toBe(flow.TraceReason.RELATED);
    const arrived = flowOf({ reason: 5, direction: "egress" });
    expect(arrived.traceReason).toBe(flow.TraceReason.TRACE_REASON_UNKNOWN);
    expect(arrived.isReply).toBeUndefined();
    expect(reply.ingressAllowedBy).toEqual([]);
    expect(reply.egressAllowedBy).toEqual([]);
    expect(reply.Summary).toBe("TCP Flags: SYN, ACK");
  });
});

describe("transport headers", () => {
  it.each([
    [{ protocol: 17 }, "UDP", "UDP"],
    [{ protocol: 132 }, "SCTP", "SCTP"],
    [{ protocol: 1, icmpType: 8 }, "ICMPv4", "ICMPv4 EchoRequest"],
    [{ protocol: 1, icmpType: 3, icmpCode: 3 }, "ICMPv4", "ICMPv4 DestinationUnreachable(Port)"],
    [{ protocol: 58, icmpType: 135 }, "ICMPv6", "ICMPv6 NeighborSolicitation"],
    [{ protocol: 1, icmpType: 250, icmpCode: 1 }, "ICMPv4", "ICMPv4 250(1)"],
    [{ tcpFlags: 0xff }, "TCP", "TCP Flags: SYN, ACK, RST, FIN, PSH, URG, ECE, CWR"],
  ] as const)("%j", (change, kind, summary) => {
    const made = flowOf(change);
    expect(made.l4?.protocol.case).toBe(kind);
    expect(made.Summary).toBe(summary);
  });

  it("of an unknown protocol are left out", () => {
    expect(flowOf({ protocol: 47 }).l4).toBeUndefined();
  });
});

describe("a policy verdict", () => {
  it("is allowed or denied", () => {
    const allowed = { verdict: flow.Verdict.FORWARDED, dropReason: 0, policyMatchType: 2 };
    expect(flowOf({ type: 5, reason: 1 })).toMatchObject(allowed);
    expect(flowOf({ type: 5, reason: 0 })).toMatchObject({ verdict: flow.Verdict.DROPPED, dropReason: 133 });
  });

  it("is audited: nothing is dropped, and the policies that would deny are named", () => {
    const audited = flowOf({ type: 5, reason: 3 });
    expect(audited).toMatchObject({ verdict: flow.Verdict.AUDIT, dropReason: 0, ingressAllowedBy: [] });
    expect(audited.ingressDeniedBy).toHaveLength(1);
  });
});

describe("a reply that is dropped", () => {
  it("names the policy that no longer allows its connection", () => {
    const dropped = flowOf({ type: 1, reason: 133, reply: true, direction: "egress", endpoint: 12 });
    expect(dropped).toMatchObject({ verdict: flow.Verdict.DROPPED, isReply: true, egressDeniedBy: [] });
    expect(dropped.ingressDeniedBy).toHaveLength(1);
    expect(dropped.trafficDirection).toBe(flow.TrafficDirection.INGRESS);
  });
});

describe("what an event meant", () => {
  it("is what held when it was read, not when it is shown", () => {
    let name = "before";
    const record = recordOf(event(), context({ interfaceName: () => name }));
    name = "after";
    expect(record.flow.interface?.name).toBe("before");
    expect(record.flow).toBe(record.flow);
  });

  it("comes from the address where the peer is not local", () => {
    const asked: string[] = [];
    const peer = context().peer;
    recordOf(
      event({ sourceEndpoint: 0, sourceIdentity: 2, source: address("198.51.100.1") }),
      context({
        peer: (identity, from) => {
          asked.push(`${identity} ${from.bytes.join(".")}`);
          return peer(identity, from);
        },
      }),
    );
    expect(asked).toEqual(["2 198.51.100.1"]);
  });
});

describe("the wall clock", () => {
  it("follows a step of the time within the age", () => {
    let wall = 5_000;
    let monotonic = 1_000_000_000n;
    const time = wallClock({ now: () => wall, monotonic: () => monotonic }, 10n);
    expect(time(1_000_000_000n)).toBe(5_000_000_000n);
    wall = 9_000;
    expect(time(1_000_000_005n)).toBe(5_000_000_005n);
    monotonic = 1_000_000_020n;
    expect(time(1_000_000_020n)).toBe(9_000_000_000n);
  });
});

describe("uuids", () => {
  it("are version 4 in form and differ", () => {
    const next = uuids(() => 0x2fedcba987654321fedn);
    const made = [next(), next(), next()];
    expect(new Set(made).size).toBe(3);
    for (const each of made)
      expect(each).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
