import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { FlowMetrics } from "./flow-metrics.ts";

type Over = Exclude<MessageInitShape<typeof flow.FlowSchema>, flow.Flow>;

const sample = (over: Over = {}): flow.Flow =>
  create(flow.FlowSchema, {
    IP: { source: "10.0.0.1", destination: "192.0.2.9", ipVersion: flow.IPVersion.IPv4 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 4000, destinationPort: 80, flags: { SYN: true } } } },
    source: {
      ...{ ID: 3, identity: 700, namespace: "shop", podName: "web-1", labels: ["k8s:app=web"] },
      workloads: [{ name: "web", kind: "Deployment" }],
    },
    destination: { identity: 2, labels: ["reserved:world"] },
    destinationNames: ["example.org"],
    verdict: flow.Verdict.FORWARDED,
    trafficDirection: flow.TrafficDirection.EGRESS,
    eventType: { type: 4, subType: 3 },
    isReply: false,
    ...over,
  });

const dropped: Over = {
  ...{ verdict: flow.Verdict.DROPPED, eventType: { type: 1, subType: 133 } },
  dropReasonDesc: flow.DropReason.POLICY_DENIED,
};

async function scrape(metrics: readonly string[], flows: readonly flow.Flow[], maxSeries?: number): Promise<string[]> {
  const registry = new Registry();
  const counted = new FlowMetrics({ registry, metrics, ...(maxSeries === undefined ? {} : { maxSeries }) });
  for (const each of flows) counted.addFlow(each);
  const text = await registry.metrics();
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("metrics of flows", () => {
  it("count under Hubble's names", async () => {
    const reply = sample({
      l4: { protocol: { case: "TCP", value: { destinationPort: 4000, flags: { SYN: true, ACK: true } } } },
      isReply: true,
    });
    const verdict = { eventType: { type: 5 }, policyMatchType: 2, trafficDirection: flow.TrafficDirection.INGRESS };
    const icmp = {
      l4: { protocol: { case: "ICMPv4" as const, value: { type: 8 } } },
      Summary: "ICMPv4 EchoRequest",
    };
    const lines = await scrape(
      ["drop", "flow", "tcp", "icmp", "port-distribution", "policy", "flows-to-world:port"],
      [sample(), sample(), reply, sample(dropped), sample(verdict), sample(icmp)],
    );
    expect(lines.sort()).toEqual(
      [
        'hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"} 1',
        'hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-stack",verdict="FORWARDED"} 3',
        'hubble_flows_processed_total{protocol="TCP",type="Drop",subtype="",verdict="DROPPED"} 1',
        'hubble_flows_processed_total{protocol="TCP",type="PolicyVerdict",subtype="",verdict="FORWARDED"} 1',
        'hubble_flows_processed_total{protocol="ICMPv4",type="Trace",subtype="to-stack",verdict="FORWARDED"} 1',
        'hubble_tcp_flags_total{flag="SYN",family="IPv4"} 3',
        'hubble_tcp_flags_total{flag="SYN-ACK",family="IPv4"} 1',
        'hubble_icmp_total{family="IPv4",type="EchoRequest"} 1',
        'hubble_port_distribution_total{protocol="TCP",port="80"} 3',
        'hubble_policy_verdicts_total{direction="ingress",match="l3-l4",action="forwarded"} 1',
        'hubble_flows_to_world_total{protocol="TCP",verdict="FORWARDED",port="80"} 3',
        'hubble_flows_to_world_total{protocol="TCP",verdict="DROPPED",port="80"} 1',
        'hubble_flows_to_world_total{protocol="ICMPv4",verdict="FORWARDED",port=""} 1',
      ].sort(),
    );
  });

  it("take labels from the flow's context", async () => {
    const context =
      "sourceContext=workload-name|ip;sourceEgressContext=pod;destinationContext=dns|reserved-identity;labelsContext=source_namespace,source_app,source_workload_kind,destination_ip,traffic_direction";
    expect(await scrape([`drop:${context}`], [sample(dropped)])).toEqual([
      'hubble_drop_total{reason="POLICY_DENIED",protocol="TCP",source="shop/web-1",destination="example.org",source_namespace="shop",source_app="web",source_workload_kind="Deployment",destination_ip="192.0.2.9",traffic_direction="egress"} 1',
    ]);
    const ingress = { ...dropped, trafficDirection: flow.TrafficDirection.INGRESS, destinationNames: [] };
    const [line] = await scrape([`drop:${context}`], [sample(ingress)]);
    expect(line).toContain('source="web",destination="reserved:world"');
  });

  it("are bounded in number, and what is not counted is", async () => {
    const flows = [1, 2, 3, 1].map((port) =>
      sample({ l4: { protocol: { case: "UDP", value: { destinationPort: port } } } }),
    );
    expect(await scrape(["port-distribution"], flows, 2)).toEqual([
      'skep_metrics_refused_total{metric="hubble_port_distribution_total"} 1',
      'hubble_port_distribution_total{protocol="UDP",port="1"} 2',
      'hubble_port_distribution_total{protocol="UDP",port="2"} 1',
    ]);
  });

  it("forget a workload that has gone, and count what was lost", async () => {
    const registry = new Registry();
    const metrics = new FlowMetrics({ registry, metrics: ["drop:labelsContext=source_pod"] });
    metrics.addFlow(sample(dropped));
    metrics.addFlow(sample({ ...dropped, source: { namespace: "shop", podName: "web-2" } }));
    metrics.forget("shop/web-1");
    metrics.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 7n);
    const text = await registry.metrics();
    expect(text).not.toContain('source_pod="web-1"');
    expect(text).toContain('source_pod="web-2"} 1');
    expect(text).toContain('hubble_lost_events_total{source="perf_event_ring_buffer"} 7');
    metrics.addFlow(sample(dropped));
    expect(await registry.metrics()).toContain('source_pod="web-1"} 1');
  });

  it.each([
    [["nothing"], /there is no metric "nothing": one of drop, flow/],
    [["drop:sourceContext=nobody"], /sourceContext: "nobody" is none of identity, namespace/],
    [["drop:labelsContext=colour"], /labelsContext: "colour" is none of source_ip/],
    [["drop:speed=fast"], /there is no option speed/],
    [["drop", "drop:labelsContext=source_ip"], /"drop" is asked for twice/],
  ])("refuse %j", (metrics, message) => {
    expect(() => new FlowMetrics({ registry: new Registry(), metrics })).toThrow(message);
  });
});
