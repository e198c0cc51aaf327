import { toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { decodeEventAt, EVENT_SIZE } from "@skep/datapath";
import { context } from "../../test/fixtures.ts";
import { FlowMetrics, FlowRing, type FlowContext, type FlowRecord, recordOf } from "../index.ts";

/** Bytes of an event at which its fields lie, and what stands in them: few values, so that many events are kin. */
const fields = {
  kind: [8, [1, 4, 5]],
  reason: [9, [0, 1, 3, 133, 181]],
  direction: [10, [1, 2]],
  flags: [11, [0, 1]],
  identity: [12, [2, 9]],
  sourceEndpoint: [24, [0, 1]],
  destinationEndpoint: [28, [0, 2]],
  interface: [32, [0, 7]],
  source: [55, [11, 12]],
  destination: [71, [22]],
  sourcePort: [73, [1, 2, 80]],
  destinationPort: [75, [1, 80]],
  protocol: [76, [1, 6, 17, 132]],
  tcpFlags: [77, [2, 18]],
  icmpType: [78, [0, 8]],
  cookie: [80, [0, 5]],
  ethertype: [88, [8, 0x86]],
  mac: [101, [0, 3]],
  padding: [103, [0, 1]],
} as const;

const eventBytes = fc
  .tuple(...Object.values(fields).map(([at, values]) => fc.tuple(fc.constant(at), fc.constantFrom(...values))))
  .map((bytes) => {
    const view = new DataView(new ArrayBuffer(EVENT_SIZE));
    for (const at of [40, 56]) {
      view.setUint32(at + 8, 0xffff);
      view.setUint32(at + 12, 0x0a00_0100);
    }
    for (const [at, value] of bytes) view.setUint8(at, value);
    if (view.getUint8(88) === 0x86) view.setUint8(89, 0xdd);
    return view;
  });

/** Names that depend on all that they may depend on. */
const names = (over: Partial<FlowContext> = {}): FlowContext =>
  context({
    uuid: (sequence) => `uuid-${sequence}`,
    wallTime: (time) => time,
    service: ({ bytes }, port, protocol) =>
      port === 80 ? { name: `s-${bytes.at(-1)}-${protocol}`, namespace: "n" } : null,
    names: ({ bytes }, endpoint, time) =>
      endpoint === 1 ? [`n-${bytes.at(-1)}`, ...(time > 5n ? ["later"] : [])] : [],
    matchType: ({ cookie, port, endpoint }) => (cookie === 0 ? 0 : (port + endpoint) % 5),
    ...over,
  });

const metricsOf = [
  ...["drop:labelsContext=source_ip,destination_pod", "flow", "tcp:destinationContext=dns|ip"],
  ...["icmp", "port-distribution", "policy", "flows-to-world:port;syn-only"],
];

function put(ring: FlowRing<FlowRecord>, view: DataView, time: bigint): FlowRecord {
  view.setBigUint64(0, time, true);
  ring.putEvent(view, 0);
  return ring.at(ring.next - 1)!;
}

describe("flows of a kin", () => {
  it("are what each of them is alone, and count in the same series", async () => {
    const ring = new FlowRing<FlowRecord>({ capacity: 50, context: names() });
    const registries = [new Registry(), new Registry()] as const;
    const [byKin, alone] = registries.map(
      (registry) => new FlowMetrics({ registry, metrics: metricsOf, maxSeries: 5 }),
    );
    let time = 0n;
    fc.assert(
      fc.property(eventBytes, (view) => {
        const record = put(ring, view, ++time % 10n);
        const sequence = ring.next - 1;
        const expected = recordOf(decodeEventAt(view, 0), names({ uuid: () => `uuid-${sequence}` }));
        byKin!.add(record);
        alone!.addFlow(expected.flow);
        expect(record.flow).toEqual(expected.flow);
        expect([record.time, record.seconds, record.nodeName]).toEqual([expected.time, 0, expected.nodeName]);
        expect([record.source, record.destination]).toEqual([expected.source, expected.destination]);
      }),
      { seed: 3, numRuns: 5000 },
    );
    const [one, other] = await Promise.all(registries.map((registry) => registry.metrics()));
    expect(one).toBe(other);
    expect(one).toContain("skep_metrics_refused_total{");
  });

  it("are looked up once", () => {
    let asked = 0;
    const endpoint = names().endpoint;
    const ring = new FlowRing<FlowRecord>({
      capacity: 50,
      context: names({ endpoint: (id) => ((asked += 1), endpoint(id)) }),
    });
    const [view] = fc.sample(eventBytes, { seed: 1, numRuns: 1 });
    view!.setUint8(24, 1);
    view!.setUint8(28, 2);
    const kin = [1n, 2n, 3n].map((time) => put(ring, view!, time).kin);
    expect(kin[0]).toBeDefined();
    expect(kin).toEqual([kin[0], kin[0], kin[0]]);
    expect(asked).toBe(2);
  });

  it("learn the name of an interface within an epoch", () => {
    let name = "";
    const ring = new FlowRing<FlowRecord>({ capacity: 50, context: names({ interfaceName: () => name }) });
    const [view] = fc.sample(eventBytes, { seed: 1, numRuns: 1 });
    view!.setUint8(32, 7);
    const found = ["", "veth7", "veth8"].map((each) => {
      name = each;
      return put(ring, view!, 1n).flow.interface?.name;
    });
    expect(found).toEqual(["", "veth7", "veth7"]);
  });

  it("are messages that can be written", () => {
    const ring = new FlowRing<FlowRecord>({ capacity: 50, context: names() });
    for (const view of fc.sample(eventBytes, { seed: 5, numRuns: 50 }))
      expect(toJson(flow.FlowSchema, put(ring, view, 1n).flow)).toHaveProperty("uuid");
  });
});

describe("metrics of a kin", () => {
  const registry = new Registry();
  const counted = new FlowMetrics({ registry, metrics: ["flow:labelsContext=source_pod", "port-distribution"] });
  const ring = new FlowRing<FlowRecord>({ capacity: 50, context: names() });
  const [view] = fc.sample(eventBytes, { seed: 1, numRuns: 1 });
  for (const [at, value] of [
    ...[
      [8, 4],
      [9, 0],
      [10, 1],
      [11, 0],
      [24, 1],
      [28, 2],
      [76, 6],
      [88, 8],
      [89, 0],
    ],
  ] as const)
    view!.setUint8(at!, value!);
  const lines = async (): Promise<string[]> =>
    (await registry.metrics()).split("\n").filter((line) => line.startsWith("hubble"));

  it("tell a hundred ports apart", async () => {
    for (let round = 0; round < 2; round++) {
      for (let port = 0; port < 100; port++) {
        view!.setUint8(75, port);
        counted.add(put(ring, view!, 1n));
      }
    }
    expect((await lines()).filter((line) => /port="\d+"} 2$/.test(line))).toHaveLength(100);
  });

  it("begin anew for a workload that was forgotten", async () => {
    counted.forget("default/xwing");
    expect(await lines()).toHaveLength(100);
    counted.add(put(ring, view!, 1n));
    const found = (await lines()).filter((line) => line.startsWith("hubble_flows"));
    expect(found).toEqual([expect.stringMatching(/source_pod="xwing".*} 1$/)]);
  });
});
