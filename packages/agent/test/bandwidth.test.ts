// Rates of workloads in virtual time: to the packet, and with a queue that keeps to departure times to the nanosecond.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DatapathEvent } from "@skep/datapath";
import { findLayer, parsePacket } from "@skep/net";
import { SimNamespace } from "@skep/sim";
import { AT_ONCE, bandwidthSuite, RATE, thousand } from "./bandwidth-suite.ts";
import { Cluster, type ClusterPod, OUTSIDE4, simCluster } from "./cluster-lab.ts";
import { addressOf } from "./masquerade-suite.ts";
import type { Port } from "./packet-lab.ts";

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

  describe("bytes in five seconds, where twice the rate is offered", () => {
    const ground = simCluster();
    let cluster: Cluster;
    let slow: ClusterPod;
    let sink: ClusterPod;
    let other: ClusterPod;
    beforeAll(() => {
      cluster = new Cluster(ground, 1, { agent: () => ({ devices: ["out0"] }) });
      slow = cluster.addPod(0, "slow", { annotations: { "kubernetes.io/egress-bandwidth": RATE } });
      sink = cluster.addPod(0, "sink", { annotations: { "kubernetes.io/ingress-bandwidth": RATE } });
      other = cluster.addPod(0, "other");
    });
    afterAll(() => cluster.close());

    /** Bytes of frames that arrive, where one of a thousand is sent every so many milliseconds. */
    const arriving = async (port: Port, every: number, send: () => void): Promise<number> => {
      port.read();
      let bytes = 0;
      for (let ms = 0; ms < SECONDS * 1000; ms++) {
        if (ms % every === 0) send();
        await ground.wait();
        for (const frame of port.read())
          if (findLayer(parsePacket(frame), "udp")?.destinationPort === 9) bytes += frame.length;
      }
      return bytes;
    };
    const [SECONDS, PER_SECOND] = [5, 100_000];
    /** What may come at once, and the frame that is being looked at. */
    const BURST = AT_ONCE * 1000;

    const held = (bytes: number): void => {
      expect(bytes).toBeGreaterThanOrEqual(SECONDS * PER_SECOND);
      expect(bytes).toBeLessThanOrEqual(SECONDS * PER_SECOND + BURST);
    };

    it("into a workload, from one beside it", async () => {
      held(
        await arriving(sink.port, 5, () => cluster.send(other, ...thousand(addressOf(other, 4), addressOf(sink, 4)))),
      );
    });
    it("into a workload, from outside", async () => {
      held(await arriving(sink.port, 5, () => cluster.sendIn(0, ...thousand(OUTSIDE4, addressOf(sink, 4)))));
    });
    it("out of a workload, to the outside", async () => {
      const { outer } = cluster.hosts[0]!;
      held(await arriving(outer, 5, () => cluster.send(slow, ...thousand(addressOf(slow, 4), OUTSIDE4))));
    });
    it("below the rate nothing is lost", async () => {
      const send = (): void => cluster.send(other, ...thousand(addressOf(other, 4), addressOf(sink, 4)));
      expect(await arriving(sink.port, 20, send)).toBe(250_000);
    });
    it("a workload's other direction, and others, have no rate", async () => {
      const send = (): void => cluster.send(sink, ...thousand(addressOf(sink, 4), addressOf(slow, 4)));
      expect(await arriving(slow.port, 5, send)).toBe(1_000_000);
    });
  });
});
