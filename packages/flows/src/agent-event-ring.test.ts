import { describe, expect, test } from "vitest";
import { AgentEventRing } from "./agent-event-ring.ts";
import { endpointCreated, serviceUpserted } from "./agent-events.ts";

const event = (id: number) => endpointCreated({ id, namespace: "default", name: `web-${id}`, labels: ["k8s:app=web"] });

describe("ring of agent events", () => {
  test("gives what was put in, by its place", () => {
    const ring = new AgentEventRing(10);
    for (let id = 0; id < 4; id++) ring.push({ time: BigInt(id) * 1_000n, event: event(id) });
    expect([ring.oldest, ring.next, ring.size]).toEqual([0, 4, 4]);
    expect(ring.at(2)).toEqual({ time: 2_000n, event: event(2) });
    expect([ring.at(-1), ring.at(4)]).toEqual([null, null]);
  });

  test("keeps the last ones", () => {
    const ring = new AgentEventRing(3);
    for (let id = 0; id < 10_000; id++) ring.push({ time: BigInt(id), event: event(id) });
    expect([ring.oldest, ring.next]).toEqual([9_997, 10_000]);
    expect([ring.at(9_996), ring.at(9_997)?.time, ring.at(9_999)?.event]).toEqual([null, 9_997n, event(9_999)]);
  });

  test("keeps fewer where they are large, and one however large it is", () => {
    const ring = new AgentEventRing(65_535);
    const large = (count: number) =>
      serviceUpserted({
        ...{ id: 1, namespace: "default", name: "web", type: "ClusterIP", address: "10.96.0.1", port: 80 },
        backends: Array.from({ length: count }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}`, port: 8080 })),
        ...{ isExternalLocal: false, isInternalLocal: false },
      });
    for (let at = 0; at < 1_000; at++) ring.push({ time: BigInt(at), event: large(200) });
    expect(ring.oldest).toBeGreaterThan(0);
    expect(ring.size).toBeGreaterThan(100);
    expect(ring.at(ring.oldest)?.event).toEqual(large(200));
    ring.push({ time: 1_000n, event: large(200_000) });
    expect([ring.size, ring.at(1_000)?.time]).toEqual([1, 1_000n]);
  });

  test("wakes who waits", async () => {
    const ring = new AgentEventRing();
    const waiting = ring.wait(0, new AbortController().signal);
    ring.push({ time: 1n, event: event(1) });
    await waiting;
    expect(ring.at(0)?.time).toBe(1n);
  });
});
