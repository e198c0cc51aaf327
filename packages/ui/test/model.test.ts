import { flow } from "@skep/api";
import { describe, expect, it } from "vitest";
import { appName } from "../src/model/ends.ts";
import { buildMap, edgeTone, MapBuilder, type MapEdge } from "../src/model/graph.ts";
import { Held } from "../src/model/held.ts";
import { labelWidth, layoutMap, nodeHeight, shapeOf } from "../src/model/layout.ts";
import { formatPlace, parsePlace, type Place } from "../src/model/location.ts";
import { ratesOf, sampleOf, withSample, MOST_SAMPLES } from "../src/model/samples.ts";
import { formatBytes, formatCount, formatRate, formatShare, formatSpan } from "../src/model/text.ts";
import { axisOf, bucketRows, movePeriod, shareOf } from "../src/model/timeline.ts";
import { row } from "./rows.ts";

describe("the map", () => {
  const rows = [
    row({ from: "client-1", to: "web-1", time: 1000 }),
    row({ from: "client-1", to: "web-1", time: 1010, reply: true }),
    row({ from: "client-2", to: "web-2", time: 2000 }),
    row({ from: "intruder-1", to: "web-1", time: 3000, dropped: true }),
    row({ from: "intruder-1", to: "web-1", port: 8080, time: 11_000, dropped: true }),
  ];

  it("has a box for each app and an edge for each port, seen from who opened", () => {
    const { nodes, edges } = buildMap(rows, "app");
    expect(nodes.map(({ key }) => key)).toEqual(["default/client", "default/intruder", "default/web"]);
    expect(nodes.find(({ title }) => title === "web")).toMatchObject({
      members: ["web-1", "web-2"],
      ports: [{ name: "80/TCP" }, { name: "8080/TCP" }],
      labels: ["app=web"],
    });
    expect(edges.map(({ from, to, port }) => `${from} ${to} ${port}`)).toEqual([
      "default/client default/web 80/TCP",
      "default/intruder default/web 80/TCP",
      "default/intruder default/web 8080/TCP",
    ]);
    expect(edges[0]).toMatchObject({ forwarded: 2, dropped: 0, firstSeen: 1000, lastSeen: 2000 });
  });

  it("names the policies and reasons of what is denied", () => {
    const denied = buildMap(rows, "app").edges[1] as MapEdge;
    expect(edgeTone(denied)).toBe("denied");
    expect(denied.policies).toMatchObject([{ namespace: "default", name: "rule1", verdict: "denied", count: 1 }]);
    expect([...denied.reasons]).toEqual([["Policy denied", 1]]);
    expect(denied.sample.flow.verdict).toBe(flow.Verdict.DROPPED);
    const mixed = buildMap([...rows, row({ from: "intruder-1" })], "app").edges[1] as MapEdge;
    expect(edgeTone(mixed)).toBe("mixed");
  });

  it("groups by pod and by namespace, and counts the same", () => {
    const total = (edges: readonly MapEdge[]): number =>
      edges.reduce((sum, { forwarded, dropped }) => sum + forwarded + dropped, 0);
    expect(buildMap(rows, "pod").nodes.map(({ title }) => title)).toEqual([
      ...["client-1", "client-2", "intruder-1", "web-1", "web-2"],
    ]);
    expect(buildMap(rows, "namespace").nodes.map(({ title }) => title)).toEqual(["default"]);
    for (const grouping of ["app", "pod", "namespace"] as const) expect(total(buildMap(rows, grouping).edges)).toBe(4);
  });

  it("counts rates over its window, and lets them go down", () => {
    const builder = new MapBuilder("app", 10_000);
    for (let i = 0; i < 40; i++) builder.add(row({ time: 1000 + i * 500 }));
    expect(builder.map().edges[0]?.rate).toBeCloseTo(2.1, 1);
    expect(builder.map(builder.newest + 5000).edges[0]?.rate).toBeCloseTo(1.1, 1);
    expect(builder.map(builder.newest + 60_000).edges[0]).toMatchObject({ rate: 0, forwarded: 40 });
  });

  it("has the world by name, and the host", () => {
    const outside = row({
      more: {
        destination: { identity: 2, labels: ["reserved:world"] },
        destinationNames: ["example.com."],
      },
    });
    const fromHost = row({ more: { source: { identity: 1, labels: ["reserved:host"] } } });
    const { nodes } = buildMap([outside, fromHost], "app");
    expect(nodes.map(({ key, kind }) => `${kind} ${key}`)).toEqual([
      ...["workload default/client", "workload default/web", "host host", "world world/example.com"],
    ]);
  });

  it("takes the label that tells most, else the controller, else the pod", () => {
    const named = (labels: string[], workload = ""): string =>
      appName({
        labels,
        workloads: workload === "" ? [] : ([{ name: workload }] as flow.Workload[]),
        podName: "pod-x",
      });
    expect(named(["k8s:org=empire", "k8s:class=deathstar"])).toBe("deathstar");
    expect(named(["k8s:app=a", "k8s:app.kubernetes.io/name=b"])).toBe("b");
    expect(named(["k8s:other=1"], "web")).toBe("web");
    expect(named([])).toBe("pod-x");
  });
});

describe("the layout", () => {
  it("puts callers left of what they ask, nothing on top of each other, and frames around namespaces", () => {
    const map = buildMap(
      ["a", "b", "c", "d"].flatMap((name) => [
        row({ from: `${name}-1` }),
        row({ from: "web-1", to: "db-1", port: 5432 }),
      ]),
      "app",
    );
    const { nodes, edges, frames, width, height } = layoutMap(map);
    const boxes = [...nodes.values()];
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(i + 1)) {
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart).toBe(true);
      }
    for (const { from, to, key } of map.edges) {
      expect(nodes.get(from)?.x).toBeLessThan(nodes.get(to)?.x ?? 0);
      expect(edges.get(key)?.path).toMatch(/^M[\d.]+,[\d.]+ C/);
    }
    expect(frames).toHaveLength(1);
    for (const box of boxes) {
      expect(box.x).toBeGreaterThan(frames[0]?.x ?? 0);
      expect(box.x + box.width).toBeLessThan(width);
      expect(box.y + box.height).toBeLessThan(height);
    }
    const labels = map.edges.map((edge) => ({ room: labelWidth(edge), ...edges.get(edge.key)!.label }));
    for (const [i, a] of labels.entries())
      for (const b of labels.slice(i + 1))
        expect(Math.abs(a.x - b.x) >= (a.room + b.room) / 2 || Math.abs(a.y - b.y) >= 24).toBe(true);
  });

  it("covers neither the start nor the arrow of a line with its label", () => {
    const told = (from: string, to: string, port: number): ReturnType<typeof row>[] => [
      ...[row({ from, to, port, dropped: true }), row({ from, to, port })],
    ];
    const map = buildMap(
      [
        ...["a-1", "b-1", "c-1", "d-1"].flatMap((from) => told(from, "web-1", 80)),
        ...["a-1", "b-1"].flatMap((from) => told(from, "web-1", 81)),
        ...told("c-1", "other-1", 80),
      ],
      "app",
    );
    const { edges } = layoutMap(map);
    for (const edge of map.edges) {
      const { from, to, label } = edges.get(edge.key)!;
      for (const end of [from, to])
        expect(
          Math.abs(end.x - label.x) >= labelWidth(edge) / 2 || Math.abs(end.y - label.y) >= 12,
          `${edge.from} to ${edge.to}`,
        ).toBe(true);
    }
  });

  it("knows when nothing has moved", () => {
    const first = buildMap([row()], "app");
    expect(shapeOf(buildMap([row(), row()], "app"))).toBe(shapeOf(first));
    expect(shapeOf(buildMap([row(), row({ port: 81 })], "app"))).not.toBe(shapeOf(first));
    expect(nodeHeight(first.nodes[1]!)).toBeGreaterThan(nodeHeight(first.nodes[0]!));
  });

  it("goes around where it must: to itself, and back", () => {
    const map = buildMap(
      [row({ from: "a-1", to: "b-1" }), row({ from: "b-1", to: "a-1" }), row({ from: "a-1", to: "a-2" })],
      "app",
    );
    const { edges } = layoutMap(map);
    expect(edges.size).toBe(3);
    for (const { path } of edges.values()) expect(path).not.toContain("NaN");
  });
});

describe("the address", () => {
  it("says what is shown, and is read back", () => {
    const place: Place = {
      view: "flows",
      chips: [
        { field: "verdict", value: "DROPPED", not: false },
        { field: "label", value: "app=web & co", not: true },
      ],
      grouping: "pod",
      period: { from: 1_700_000_000_000, to: 1_700_000_060_000 },
      selection: { kind: "edge", key: "default/a>default/b:80/TCP" },
    };
    expect(parsePlace(formatPlace(place))).toEqual(place);
  });

  it("is empty for what is shown at first, and leaves out what it cannot read", () => {
    const first = parsePlace("");
    expect(formatPlace(first)).toBe("");
    expect(first).toEqual({ view: "map", chips: [], grouping: "app", period: null, selection: null });
    expect(parsePlace("?view=x&f=y&group=z&from=later&to=2026-01-01T00:00:00Z&flow=")).toEqual(first);
    expect(parsePlace("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z").period).toBeNull();
  });
});

describe("the rows that are held", () => {
  it("are the newest, in their order", () => {
    const held = new Held<number>(4);
    for (let i = 0; i < 10; i++) held.push(i);
    expect([...held]).toEqual([6, 7, 8, 9]);
    expect([held.size, held.dropped, held.fromNewest(0), held.at(0), held.at(4)]).toEqual([4, 6, 9, 6, undefined]);
    held.clear();
    expect([...held]).toEqual([]);
  });
});

describe("the timeline", () => {
  it("counts by verdict, and leaves out what is outside", () => {
    const rows = [
      row({ time: 0 }),
      row({ time: 99 }),
      row({ time: 50, dropped: true }),
      row({ time: 100 }),
      row({ time: -1 }),
    ];
    expect(bucketRows(rows, { from: 0, to: 100 }, 2)).toEqual([
      { start: 0, forwarded: 1, dropped: 0, other: 0 },
      { start: 50, forwarded: 1, dropped: 1, other: 0 },
    ]);
  });

  it("shows the span before now, and all of a chosen period", () => {
    expect(axisOf(10_000, 5000, null)).toEqual({ from: 5000, to: 10_000 });
    expect(axisOf(10_000, 5000, { from: 6000, to: 7000 })).toEqual({ from: 5000, to: 10_000 });
    const { from, to } = axisOf(100_000, 5000, { from: 6000, to: 7000 });
    expect(from).toBeLessThan(6000);
    expect(to).toBeGreaterThan(7000);
  });

  it("moves ends that never cross, within the axis", () => {
    const axis = { from: 0, to: 10_000 };
    const period = { from: 2000, to: 8000 };
    expect(movePeriod(period, "from", -50, axis)).toEqual({ from: 0, to: 8000 });
    expect(movePeriod(period, "from", 9000, axis)).toEqual({ from: 7000, to: 8000 });
    expect(movePeriod(period, "to", 0, axis)).toEqual({ from: 2000, to: 3000 });
    expect(movePeriod(period, "to", 20_000, axis)).toEqual({ from: 2000, to: 10_000 });
    expect([shareOf(2500, axis), shareOf(-1, axis), shareOf(99_999, axis)]).toEqual([0.25, 0, 1]);
  });
});

describe("rates of counters", () => {
  const counter = (reasonName: string, packets: bigint): never => ({ reasonName, packets }) as never;

  it("are packets a second; a counter that began anew has none for a moment", () => {
    const samples = [
      sampleOf(0, [counter("Forwarded", 10n)]),
      sampleOf(2000, [counter("Forwarded", 30n), counter("Policy denied", 4n), counter("Policy denied", 2n)]),
      sampleOf(4000, [counter("Forwarded", 5n), counter("Policy denied", 6n)]),
    ];
    expect(ratesOf(samples)).toEqual({
      times: [2, 4],
      series: [
        { name: "Forwarded", values: [10, null] },
        { name: "Policy denied", values: [3, 0] },
      ],
    });
  });

  it("are kept for so many samples", () => {
    let samples: readonly ReturnType<typeof sampleOf>[] = [];
    for (let i = 0; i < MOST_SAMPLES + 5; i++) samples = withSample(samples, sampleOf(i, []));
    expect([samples.length, samples[0]?.time]).toEqual([MOST_SAMPLES, 5]);
  });
});

describe("texts", () => {
  it("are short", () => {
    expect([0, 0.02, 0.5, 3.1234, 42.4, 1234, 2_500_000].map(formatRate)).toEqual([
      ...["0/s", "1.2/min", "30/min", "3.1/s", "42/s", "1.2k/s", "2.5M/s"],
    ]);
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([formatShare(0, 5), formatShare(1, 400), formatShare(1, 4)]).toEqual(["", "<1%", "25%"]);
    expect([512, 2048, 5 * 1024 ** 3].map(formatBytes)).toEqual(["512 B", "2.0 KiB", "5.0 GiB"]);
    expect([45_000, 720_000, 10_800_000, 200_000_000].map(formatSpan)).toEqual(["45 s", "12 min", "3 h", "2 d"]);
  });
});
