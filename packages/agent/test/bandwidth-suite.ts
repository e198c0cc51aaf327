/**
 * @module
 * Rates of workloads: more packets at once than they allow.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { DatapathEvent } from "@skep/datapath";
import { findLayer, type LayerSpec, parsePacket } from "@skep/net";
import { Cluster, type ClusterGround, type ClusterPod, OUTSIDE4 } from "./cluster-lab.ts";
import { addressOf } from "./masquerade-suite.ts";
import { ip, type Port } from "./packet-lab.ts";

/** 800 kbit/s: a frame of 1000 bytes every ten milliseconds, eleven of them at once. */
export const RATE = "800k";
export const AT_ONCE = 11;
const SENT = 200;
const RATE_LIMITED = 198;

/** A frame of 1000 bytes. */
export const thousand = (from: string, to: string): LayerSpec[] => [
  { kind: "ipv4", source: ip(from), destination: ip(to) },
  { kind: "udp", sourcePort: 40_000, destinationPort: 9 },
  { kind: "payload", bytes: new Uint8Array(1000 - 14 - 20 - 8) },
];

/** `isExact`: time does not go on while packets are sent. */
export function bandwidthSuite(ground: () => ClusterGround, isExact: boolean): void {
  let cluster: Cluster;
  let slow: ClusterPod;
  let sink: ClusterPod;
  let other: ClusterPod;
  let reader: { drain(): number; close(): void };
  const events: DatapathEvent[] = [];

  beforeAll(() => {
    cluster = new Cluster(ground(), 1, { agent: () => ({ devices: ["out0"] }) });
    slow = cluster.addPod(0, "slow", { annotations: { "kubernetes.io/egress-bandwidth": RATE } });
    sink = cluster.addPod(0, "sink", { annotations: { "kubernetes.io/ingress-bandwidth": RATE } });
    other = cluster.addPod(0, "other");
    const [host] = cluster.hosts;
    if (!host) throw new Error("one host");
    reader = host.agent.datapath.readEvents((event) => events.push(event));
  }, 300_000);
  afterAll(async () => {
    reader?.close();
    await cluster?.close();
  });
  beforeEach(() => {
    reader.drain();
    events.length = 0;
  });

  const check = async (from: ClusterPod, to: string, at: Port, told: string): Promise<void> => {
    for (let sent = 0; sent < SENT; sent++) cluster.send(from, ...thousand(addressOf(from, 4), to));
    let passed = 0;
    await cluster.quiet(() => {
      reader.drain();
      passed += at.read().filter((bytes) => findLayer(parsePacket(bytes), "udp")?.destinationPort === 9).length;
      return passed + events.filter(({ type }) => type === 1).length >= SENT;
    });
    const dropped = events.filter(({ type }) => type === 1);
    expect(passed + dropped.length).toBe(SENT);
    expect(new Set(dropped.map(({ reason, direction, endpoint }) => `${reason} ${direction} ${endpoint}`))).toEqual(
      new Set([`${RATE_LIMITED} ${told}`]),
    );
    if (isExact) expect(passed).toBe(AT_ONCE);
    else expect(passed).toBeGreaterThanOrEqual(AT_ONCE);
  };

  it("what leaves the node above the rate is dropped: 198", async () => {
    const [host] = cluster.hosts;
    if (host) await check(slow, OUTSIDE4, host.outer, `egress ${slow.endpoint.id}`);
  });

  it("what comes in above the rate is dropped: 198", () =>
    check(other, addressOf(sink, 4), sink.port, `ingress ${sink.endpoint.id}`));

  it("a rate that is none makes no workload", () => {
    const annotations = { "kubernetes.io/egress-bandwidth": "fast" };
    expect(() => cluster.addPod(0, "never", { annotations })).toThrow(/"fast" is no rate/);
    expect(() => cluster.addPod(0, "never", { annotations: { "kubernetes.io/egress-bandwidth": "1" } })).toThrow(
      /no rate/,
    );
  });
}
