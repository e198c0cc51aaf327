import { expect, test } from "vitest";
import { monitorOf } from "../src/commands/up-monitor.ts";

const flags = {
  monitorAggregation: "medium",
  monitorAggregationInterval: "5s",
  monitorAggregationFlags: "syn,fin,rst",
} as const;

test("which packets leave flows, as the agent takes it", () => {
  expect(monitorOf(flags)).toEqual({ aggregation: "medium", flags: 7, intervalSeconds: 5 });
  expect(monitorOf({ ...flags, monitorAggregationInterval: "1m30s", monitorAggregationFlags: "PSH, ack" })).toEqual({
    ...{ aggregation: "medium", flags: 24, intervalSeconds: 90 },
  });
  expect(monitorOf({ ...flags, monitorAggregationFlags: "" }).flags).toBe(0);
});

test.each(["0s", "500ms", "128s", "1.5s", "5", "soon", ""])("no interval: %j", (monitorAggregationInterval) => {
  expect(() => monitorOf({ ...flags, monitorAggregationInterval })).toThrow(
    /--monitor-aggregation-interval: .* 1s to 127s/,
  );
});

test("no TCP flag", () => {
  expect(() => monitorOf({ ...flags, monitorAggregationFlags: "syn,fun" })).toThrow(/"fun" is none of fin, syn, rst/);
});
