import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flow } from "@skep/api";
import { context, event } from "../../test/fixtures.ts";
import { agentStarted, FlowExporter, type FlowExporterOptions, FlowLogError, flowLogsOf } from "../index.ts";
import { parseFilters, RotatingFile, recordOf, recordOfFlow } from "../index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-export-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const MIDNIGHT = Date.UTC(2026, 0, 2);

describe("a file of lines", () => {
  const file = (change: Partial<ConstructorParameters<typeof RotatingFile>[0]> = {}): RotatingFile =>
    new RotatingFile({ path: join(folder, "flows.log"), maxBytes: 10, now: () => MIDNIGHT, ...change });

  it("is put aside when it is full, and the oldest of those go", async () => {
    const rotated = file({ maxBackups: 2 });
    for (const line of ["1234\n", "5678\n", "9\n", "abcdefgh\n", "12345678901234\n"]) rotated.write(line);
    await rotated.close();
    expect(readdirSync(folder).sort()).toEqual([
      "flows-2026-01-02T00-00-00.001.log",
      "flows-2026-01-02T00-00-00.002.log",
      "flows.log",
    ]);
    expect(readFileSync(join(folder, "flows.log"), "utf8")).toBe("12345678901234\n");
    expect(rotated.backups().map((path) => readFileSync(path, "utf8"))).toEqual(["9\n", "abcdefgh\n"]);
  });

  it("goes on where an earlier one ended, compresses what it puts aside, and leaves other files alone", async () => {
    writeFileSync(join(folder, "flows.log"), "before\n");
    writeFileSync(join(folder, "flows-of-others.log"), "");
    const rotated = file({ compress: true, maxBackups: 1 });
    rotated.write("1\n");
    rotated.write("next\n");
    await rotated.close();
    expect(readdirSync(folder).sort()).toEqual([
      "flows-2026-01-02T00-00-00.000.log.gz",
      "flows-of-others.log",
      "flows.log",
    ]);
    expect(String(gunzipSync(readFileSync(rotated.backups()[0]!)))).toBe("before\n1\n");
    expect(readFileSync(join(folder, "flows.log"), "utf8")).toBe("next\n");
  });
});

describe("an exporter", () => {
  let lines: string[];
  let isBroken: boolean;
  let errors: number;
  beforeEach(() => {
    [lines, isBroken, errors] = [[], false, 0];
  });
  const exporter = (change: Partial<FlowExporterOptions> = {}): FlowExporter =>
    new FlowExporter({
      ...{ nodeName: "default/endor", now: () => 5_000_000_000n },
      sink: {
        write: (text) => {
          if (isBroken) throw new Error("no space");
          lines.push(...text.trimEnd().split("\n"));
        },
        close: () => Promise.resolve(),
      },
      onError: () => (errors += 1),
      ...change,
    });
  const drop = recordOf(event({ type: 1, reason: 133 }), context());
  const passed = recordOf(event(), context());

  it("writes flows as `hubble observe -o json` prints them, losses and agent events", async () => {
    const all = exporter();
    all.add(passed);
    all.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 7n);
    all.addAgentEvent(agentStarted(1_000_000_000n));
    await all.close();
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object))).toEqual([
      ["flow", "node_name", "time"],
      ["lost_events", "node_name", "time"],
      ["agent_event", "node_name", "time"],
    ]);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      flow: { verdict: "FORWARDED", source: { pod_name: "xwing" }, l4: { TCP: { destination_port: 80 } } },
      node_name: "default/endor",
    });
    expect(lines[1]).toContain('"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"7"}');
    expect(all).toMatchObject({ written: 3, lost: 0 });
  });

  it("lets filters choose flows, and the mask their fields", async () => {
    const { include, exclude } = {
      include: parseFilters('{"verdict":["DROPPED"]} {"source_pod":["default/xwing"]}'),
      exclude: parseFilters('{"verdict":["FORWARDED"]}'),
    };
    const some = exporter({ include, exclude, fieldMask: ["source.pod_name", "verdict"] });
    some.add(drop);
    some.add(passed);
    some.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 7n);
    some.addAgentEvent(create(flow.AgentEventSchema));
    await some.close();
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { flow: { verdict: "DROPPED", source: { pod_name: "xwing" } } },
    ]);
    expect(lines[0]).not.toContain("destination");
  });

  describe("that aggregates", () => {
    const fields = { fieldAggregate: ["source.pod_name", "verdict"], aggregationMs: 30_000 };
    const counted = (): unknown[] =>
      lines.map((line) => {
        const { flow: written, node_name: node } = JSON.parse(line) as {
          flow: Record<string, unknown>;
          node_name: string;
        };
        return { ...written, node };
      });
    const directed = (direction: flow.TrafficDirection, seconds: bigint): ReturnType<typeof recordOf> =>
      recordOfFlow(
        create(flow.FlowSchema, {
          ...{ verdict: flow.Verdict.FORWARDED, trafficDirection: direction, time: { seconds }, nodeName: "n" },
          ...{ source: { podName: "xwing", namespace: "default" }, uuid: `${seconds}` },
        }),
      );
    const three = [
      directed(flow.TrafficDirection.EGRESS, 1n),
      directed(flow.TrafficDirection.INGRESS, 2n),
      directed(flow.TrafficDirection.EGRESS, 3n),
      directed(flow.TrafficDirection.TRAFFIC_DIRECTION_UNKNOWN, 4n),
    ];
    const one = {
      ...{ time: "1970-01-01T00:00:01Z", verdict: "FORWARDED", source: { pod_name: "xwing" }, node: "n" },
      aggregate: { ingress_flow_count: 1, egress_flow_count: 2, unknown_direction_flow_count: 1 },
    };

    it("writes one flow for those that are alike, with the time of the first and counts by direction", async () => {
      const some = exporter(fields);
      for (const each of three) some.add(each);
      some.add(drop);
      some.flush();
      expect(lines).toEqual([]);
      await some.close();
      expect(counted()).toEqual([one, expect.objectContaining({ verdict: "DROPPED", source: { pod_name: "xwing" } })]);
    });

    it("keeps the counts under a mask, and leaves losses as they are", async () => {
      const some = exporter({ ...fields, fieldMask: ["verdict"] });
      for (const each of three) some.add(each);
      some.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 7n);
      await some.close();
      expect(lines[0]).toContain('"num_events_lost":"7"');
      lines.shift();
      expect(counted()).toEqual([{ verdict: "FORWARDED", aggregate: one.aggregate, node: "n" }]);
    });

    it("writes when the interval is over, and begins anew", () => {
      vi.useFakeTimers();
      try {
        const some = exporter(fields);
        for (let round = 0; round < 2; round++) {
          for (const each of three) some.add(each);
          vi.advanceTimersByTime(29_999);
          expect(lines).toHaveLength(round);
          vi.advanceTimersByTime(1000);
        }
        expect(counted()).toEqual([one, one]);
      } finally {
        vi.useRealTimers();
      }
    });

    it("holds no more than so many different ones", () => {
      const some = exporter({ fieldAggregate: ["uuid"], aggregationMs: 30_000 });
      for (let at = 0n; at < 16_384n; at++) some.add(directed(flow.TrafficDirection.EGRESS, at));
      some.flush();
      expect(lines).toHaveLength(16_384);
    });
  });

  it("ends when its time has come", () => {
    let now = 5n;
    const timed = exporter({ end: 6n, now: () => now });
    timed.add(passed);
    now = 6n;
    timed.add(passed);
    timed.flush();
    expect(lines).toHaveLength(1);
    expect(timed.isActive).toBe(false);
  });

  it("counts what is not taken, and says so once", () => {
    const all = exporter();
    isBroken = true;
    for (let at = 0; at < 3; at++) {
      all.add(passed);
      all.flush();
    }
    isBroken = false;
    all.add(passed);
    all.flush();
    expect({ lost: all.lost, written: all.written, errors }).toEqual({ lost: 3, written: 1, errors: 1 });
  });
});

describe("Cilium's configuration of flow logs", () => {
  const log = { name: "a", filePath: "/x/a.log" };

  it("is read", () => {
    const [read] = flowLogsOf({
      flowLogs: [
        {
          ...log,
          fieldMask: ["time", "source.namespace"],
          ...{ fieldAggregate: ["source", "verdict"], aggregationInterval: "1m30s" },
          includeFilters: [{ source_pod: ["default/"], event_type: [{ type: 1 }] }],
          excludeFilters: [{ verdict: ["FORWARDED"] }],
          end: "2026-10-09T23:59:59-07:00",
          ...{ fileMaxSizeMb: 2, fileMaxBackups: 7, fileCompress: true },
        },
      ],
    });
    expect(read).toMatchObject({
      ...log,
      fieldMask: ["time", "source.namespace"],
      ...{ fieldAggregate: ["source", "verdict"], aggregationMs: 90_000 },
      include: [{ sourcePod: ["default/"], eventType: [{ type: 1 }] }],
      exclude: [{ verdict: [flow.Verdict.FORWARDED] }],
      end: BigInt(Date.UTC(2026, 9, 10, 6, 59, 59)) * 1_000_000n,
      ...{ maxBytes: 2 << 20, maxBackups: 7, compress: true },
    });
    expect(flowLogsOf(null)).toEqual([]);
    const off = { flowLogs: [{ ...log, fieldAggregate: [], aggregationInterval: "0s" }] };
    expect(flowLogsOf(off)).toMatchObject([{ fieldAggregate: [], aggregationMs: 0 }]);
  });

  it.each([
    [{ flowLogs: 5 }, /flowLogs is a list/],
    [{ flowLogs: [{ filePath: "/x" }] }, /has no name/],
    [{ flowLogs: [{ name: "a" }] }, /flow log a has no filePath/],
    [{ flowLogs: [log, { ...log, filePath: "/y" }] }, /two flow logs have the name a/],
    [{ flowLogs: [log, { ...log, name: "b" }] }, /two flow logs have the filePath/],
    [{ flowLogs: [{ ...log, fileMaxSizeMB: 1 }] }, /fileMaxSizeMB is none of/],
    [{ flowLogs: [{ ...log, fileMaxBackups: -1 }] }, /whole number/],
    [{ flowLogs: [{ ...log, fieldAggregate: ["verdict"] }] }, /needs an aggregationInterval/],
    [{ flowLogs: [{ ...log, aggregationInterval: "5s" }] }, /needs fieldAggregate/],
    [{ flowLogs: [{ ...log, fieldAggregate: ["verdict"], aggregationInterval: "soon" }] }, /duration such as 30s/],
    [{ flowLogs: [{ ...log, fieldAggregate: ["verdict"], aggregationInterval: "-5s" }] }, /duration such as 30s/],
    [{ flowLogs: [{ ...log, fieldAggregate: ["verdict"], aggregationInterval: "25h" }] }, /at most 24h/],
    [{ flowLogs: [{ ...log, fieldAggregate: ["nope"], aggregationInterval: "5s" }] }, /flow log a: .*nope/],
    [{ flowLogs: [{ ...log, end: "soon" }] }, /end is a time such as/],
    [{ flowLogs: [{ ...log, fieldMask: ["nope"] }] }, /flow log a: .*nope/],
    [{ flowLogs: [{ ...log, includeFilters: [{ verdict: ["NO"] }] }] }, /includeFilters: .* is no flow filter/],
    [{ flowLogs: [{ ...log, excludeFilters: [{ source_ip: ["x"] }] }] }, /flow log a/],
  ])("is refused where it cannot be: %#", (value, message) => {
    expect(() => flowLogsOf(value)).toThrow(FlowLogError);
    expect(() => flowLogsOf(value)).toThrow(message);
  });
});
