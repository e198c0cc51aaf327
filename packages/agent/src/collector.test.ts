import { describe, expect, test } from "vitest";
import type { Datapath } from "@skep/datapath";
import { Collector, nextInterval } from "./collector.ts";
import { createLogger } from "./log.ts";

describe("the time until the next look through the tables of flows", () => {
  test.each([
    ["much was over: sooner", 300_000, 0.5, 0.1, 150_000],
    ["nearly all was over", 300_000, 1, 0.1, 30_000],
    ["never less than ten seconds", 15_000, 0.9, 0.1, 10_000],
    ["little was over: later", 300_000, 0.01, 0.1, 450_000],
    ["never more than half an hour", 1_700_000, 0, 0.1, 1_800_000],
    ["something in between: as before", 300_000, 0.1, 0.1, 300_000],
    ["a table is nearly full: as soon as can be", 300_000, 0.1, 0.8, 10_000],
  ] as const)("%s", (_, previous, share, pressure, next) => {
    expect(nextInterval(previous, share, pressure)).toBe(next);
  });
});

test.each([
  [undefined, 450_000],
  [20_000, 20_000],
])("an interval that was asked for stays: %s", (eachMs, next) => {
  const table = { name: "connections", alive: 1, removed: 0, capacity: 100, refused: 0 };
  const collector = new Collector({
    datapath: { collect: () => [table] } as unknown as Datapath,
    clock: { now: () => 0, monotonic: () => 0n, after: () => () => undefined },
    log: createLogger({ write: () => undefined, now: () => 0, format: "text" }),
    ...(eachMs === undefined ? {} : { eachMs }),
  });
  expect(collector.intervalMs).toBe(eachMs ?? 300_000);
  collector.run();
  expect(collector.intervalMs).toBe(next);
  collector.close();
});
