// Rates of workloads in virtual time: to the packet, and with a queue that keeps to departure times to the nanosecond.
import { describe, expect, it } from "vitest";
import type { DatapathEvent } from "@skep/datapath";
import { SimNamespace } from "@skep/sim";
import { bandwidthSuite, RATE, thousand } from "./bandwidth-suite.ts";
import { Cluster, OUTSIDE4, simCluster } from "./cluster-lab.ts";
import { addressOf } from "./masquerade-suite.ts";

describe("on the simulated machine", () => {
  bandwidthSuite(simCluster, true);

  it("with fq packets leave one by one at the rate, and those behind the horizon not: 162", async () => {
    const cluster = new Cluster(simCluster(), 1, { agent: () => ({ devices: ["out0"], departureTimes: true }) });
    const [host] = cluster.hosts;
    const pod = cluster.addPod(0, "slow", { annotations: { "kubernetes.io/egress-bandwidth": RATE } });
    const namespace = host?.machine.net.host;
    const out = namespace instanceof SimNamespace ? namespace.deviceByName("out0") : null;
    if (!host || !out) throw new Error("no simulated host");
    out.queue = "fq";
    const left: bigint[] = [];
    out.peer?.taps.add(({ direction, at }) => void (direction === "in" && left.push(at)));
    const events: DatapathEvent[] = [];
    const reader = host.agent.datapath.readEvents((event) => events.push(event));
    // Two seconds of them, and a hundred more.
    for (let sent = 0; sent < 301; sent++) cluster.send(pod, ...thousand(addressOf(pod, 4), OUTSIDE4));
    for (let waited = 0; waited < 3000 && left.length < 201; waited++) await cluster.quiet(() => false);
    reader.drain();
    expect(left).toHaveLength(201);
    expect(new Set(left.slice(1).map((at, index) => at - (left[index] ?? 0n)))).toEqual(new Set([10_000_000n]));
    expect(events.filter(({ type }) => type === 1).map(({ reason }) => reason)).toEqual(Array<number>(100).fill(162));
    reader.close();
    await cluster.close();
  });
});
