import { describe, expect, test } from "vitest";
import { nextInterval } from "./collector.ts";

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
