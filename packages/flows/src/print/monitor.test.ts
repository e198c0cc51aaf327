import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { monitorLine } from "./monitor.ts";

type Over = Exclude<MessageInitShape<typeof flow.FlowSchema>, flow.Flow>;

const sample = (over: Over): flow.Flow =>
  create(flow.FlowSchema, {
    IP: { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 },
    l4: {
      protocol: { case: "TCP", value: { sourcePort: 4000, destinationPort: 80, flags: { SYN: true, ACK: true } } },
    },
    source: { ID: 3, identity: 700 },
    destination: { ID: 4, identity: 2 },
    verdict: flow.Verdict.FORWARDED,
    trafficDirection: flow.TrafficDirection.EGRESS,
    isReply: false,
    ...over,
  });

const line = (over: Over, numeric = false): string => monitorLine(sample(over), { numeric });

describe("a flow as the monitor prints it", () => {
  it("is a drop with its reason", () => {
    const dropped = { eventType: { type: 1, subType: 133 }, interface: { index: 12, name: "skep3" } };
    expect(line(dropped)).toBe(
      "xx drop (Policy denied) to endpoint 4, ifindex skep3, identity 700->world: 10.0.0.1:4000 -> 10.0.0.2:80 tcp SYN, ACK",
    );
    expect(line(dropped, true)).toContain("identity 700->2:");
  });

  it("is a trace with where it goes", () => {
    expect(line({ eventType: { type: 4, subType: 0 } })).toBe(
      "-> endpoint 4, identity 700->world state new ifindex 0: 10.0.0.1:4000 -> 10.0.0.2:80 tcp SYN, ACK",
    );
    expect(line({ eventType: { type: 4, subType: 3 }, isReply: true })).toMatch(/^-> stack, .* state reply /);
    expect(line({ eventType: { type: 4, subType: 5 }, traceReason: flow.TraceReason.ESTABLISHED })).toMatch(
      /^<- endpoint 3, .* state established /,
    );
  });

  it("is a verdict of the local end's policy", () => {
    const verdict = { eventType: { type: 5 }, policyMatchType: 2, verdict: flow.Verdict.AUDIT };
    expect(line(verdict)).toBe(
      "Policy verdict log: local EP ID 3, remote ID 2, egress, action audit, match L3-L4, 10.0.0.1:4000 -> 10.0.0.2:80 tcp SYN, ACK",
    );
    expect(line({ ...verdict, trafficDirection: flow.TrafficDirection.INGRESS })).toMatch(
      /local EP ID 4, remote ID 700, ingress/,
    );
  });

  it("names other protocols, brackets IPv6, and escapes what a terminal would obey", () => {
    const icmp = { protocol: { case: "ICMPv6" as const, value: { type: 128, code: 0 } } };
    const ends = { source: "fd00::1", destination: "fd00::2", ipVersion: flow.IPVersion.IPv6 };
    expect(line({ eventType: { type: 4 }, IP: ends, l4: icmp })).toMatch(
      /: fd00::1 -> fd00::2 icmpv6 type 128 code 0$/,
    );
    const udp = { protocol: { case: "UDP" as const, value: { sourcePort: 5, destinationPort: 53 } } };
    expect(line({ eventType: { type: 4 }, IP: ends, l4: udp })).toMatch(/: \[fd00::1\]:5 -> \[fd00::2\]:53 udp$/);
    const hostile = { index: 1, name: "\u001b[2J" };
    expect(line({ eventType: { type: 1, subType: 133 }, interface: hostile })).not.toContain("\u001b");
  });
});
