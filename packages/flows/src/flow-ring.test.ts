import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVENT_SIZE } from "@skep/datapath";
import { flow, observer } from "@skep/api";
import { context } from "../test/fixtures.ts";
import { FlowRing, type FlowContext, type FlowRecord, Observer, type ObserverOptions, uuids } from "./index.ts";

const WALL = 1_700_000_000_123_456_789n;

/** A record of the datapath: TCP, 10.0.1.11 to 10.0.1.22, the number as its source port. */
function recordBytes(time: bigint, port: number): DataView {
  const view = new DataView(new ArrayBuffer(EVENT_SIZE));
  view.setBigUint64(0, time, true);
  for (const [at, value] of [
    [8, 4],
    [10, 1],
    [76, 6],
    [77, 2],
  ] as const)
    view.setUint8(at, value);
  view.setUint32(24, 1, true);
  view.setUint32(28, 2, true);
  for (const [at, last] of [
    [40, 11],
    [56, 22],
  ] as const) {
    view.setUint32(at + 8, 0xffff);
    view.setUint32(at + 12, 0x0a00_0100 + last);
  }
  view.setUint16(72, port & 0xffff);
  view.setUint16(74, 80);
  view.setUint16(88, 0x0800);
  return view;
}

const named = (over: Partial<FlowContext> = {}): FlowContext =>
  context({ wallTime: (time) => time + WALL, uuid: uuids(() => 7n), ...over });

describe("a ring of events", () => {
  it("gives the same flow each time, with the wall's time to the nanosecond", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 62n }), (time) => {
        const ring = new FlowRing<FlowRecord>({ capacity: 3, context: named() });
        ring.putEvent(recordBytes(time, 1), 0);
        ring.putEvent(recordBytes(time + 0xffff_ffffn, 2), 0);
        expect(ring.at(0)?.time).toBe(time + WALL);
        expect(ring.at(1)?.time).toBe(time + 0xffff_ffffn + WALL);
        const [first, second] = [ring.at(0), ring.at(1)];
        const again = new FlowRing<FlowRecord>({ capacity: 3, context: named() });
        again.putEvent(recordBytes(time, 1), 0);
        expect([first?.flow.uuid, second?.flow.uuid]).toEqual([again.at(0)?.flow.uuid, uuids(() => 7n)(1)]);
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  it("takes records that lie anywhere in their buffer", () => {
    const ring = new FlowRing<FlowRecord>({ capacity: 4, context: named() });
    for (const shift of [0, 1, 4]) {
      const around = new Uint8Array(EVENT_SIZE + 8);
      around.set(new Uint8Array(recordBytes(5n, 40 + shift).buffer), shift);
      ring.putEvent(new DataView(around.buffer), shift);
    }
    const ports = [0, 1, 2].map((at) => ring.at(at)?.flow.l4?.protocol.value);
    expect(ports).toMatchObject([{ sourcePort: 40 }, { sourcePort: 41 }, { sourcePort: 44 }]);
  });

  it("names what it keeps as it was when it came", () => {
    const epochs = ["before", "after"].map((podName) => {
      const peer: FlowContext["peer"] = () => ({
        ...{ id: 0, identity: 9, namespace: "n", labels: [], podName, workloads: [], clusterName: "" },
      });
      return named({ endpoint: () => null, peer });
    });
    let epoch = 0;
    const ring = new FlowRing<FlowRecord>({
      capacity: 4,
      context: {
        ...named(),
        ...{ endpoint: (id) => epochs[epoch]!.endpoint(id), peer: (id, address) => epochs[epoch]!.peer(id, address) },
        during: (which) => epochs[which]!,
        get epoch() {
          return epoch;
        },
      },
    });
    ring.putEvent(recordBytes(1n, 1), 0);
    epoch = 1;
    ring.putEvent(recordBytes(2n, 2), 0);
    expect([0, 1].map((at) => ring.at(at)?.flow.source?.podName)).toEqual(["before", "after"]);
  });
});

interface Totals {
  readonly looked: number;
  readonly skipped: number;
  readonly followed: number;
  readonly gaps: number;
  /** Flows that came after a later one, or twice. */
  readonly disorder: number;
}

/** Bursts of events, each in one row; counts what the one who looks and one follower had. */
async function play(bursts: readonly number[], options: Partial<ObserverOptions>): Promise<Totals & { made: number }> {
  let looked = 0;
  const flows = new Observer({
    ...{ nodeName: "n", version: "0", now: () => WALL, context: named() },
    onFlow: () => (looked += 1),
    ...options,
  });
  const stop = new AbortController();
  const request = create(observer.GetFlowsRequestSchema, { follow: true });
  let [followed, gaps, queue, last, disorder] = [0, 0n, 0n, -1, 0];
  const following = (async () => {
    for await (const { responseTypes } of flows.getFlows(request, stop.signal)) {
      if (responseTypes.case === "lostEvents") {
        if (responseTypes.value.source === flow.LostEventSource.HUBBLE_RING_BUFFER)
          gaps += responseTypes.value.numEventsLost;
        else queue += responseTypes.value.numEventsLost;
      } else if (responseTypes.case === "flow") {
        followed += 1;
        const sequence = Number.parseInt(responseTypes.value.uuid.slice(-12), 16);
        if (sequence <= last) disorder += 1;
        last = sequence;
      }
    }
  })();
  let made = 0;
  for (const burst of bursts) {
    for (let at = 0; at < burst; at++) flows.addEvent(recordBytes(BigInt(made), made++), 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
  while (looked + Number(flows.skipped) < made || followed + Number(gaps) < made) await turn();
  flows.tellSkipped();
  while (queue < flows.skipped) await turn();
  stop.abort();
  await following;
  expect(queue).toBe(flows.skipped);
  return { made, looked, skipped: Number(flows.skipped), followed, gaps: Number(gaps), disorder };
}

describe("what comes", () => {
  it("is looked at and followed, each in its turn", async () => {
    const { made, looked, skipped, followed, gaps, disorder } = await play([1, 0, 1000, 3000], {
      capacity: 4095,
      budgetMs: 1e6,
    });
    expect({ made, looked, skipped, followed, gaps, disorder }).toEqual({
      ...{ made: 4001, looked: 4001, skipped: 0, followed: 4001, gaps: 0, disorder: 0 },
    });
  });

  it("is looked at though it is more than the ring holds, while there is time", async () => {
    const { made, looked, skipped, followed, gaps } = await play([20_000], { capacity: 4095, budgetMs: 1e6 });
    expect({ looked, skipped }).toEqual({ looked: made, skipped: 0 });
    expect(gaps).toBeGreaterThan(0);
    expect(followed + gaps).toBe(made);
  });

  it("is skipped where there is no time, and the totals are equal", async () => {
    const { made, looked, skipped, followed, gaps, disorder } = await play([20_000, 100, 9000], {
      capacity: 1023,
      budgetMs: 0,
    });
    expect(skipped).toBeGreaterThan(10_000);
    expect(looked + skipped).toBe(made);
    expect(followed + gaps).toBe(made);
    expect(disorder).toBe(0);
  });
});
