// The metrics that the page names are those that there are.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkFlowMetrics, contextKinds, FlowMetrics, metricNames } from "@skep/flows";
import { Registry } from "prom-client";

const page = readFileSync(fileURLToPath(new URL("metrics.md", import.meta.url)), "utf8");

describe("docs/metrics.md", () => {
  it("names every metric of flows with its series", async () => {
    const rows = [...page.matchAll(/^\| `([a-z-]+)` +\| `(hubble_\w+)` +\|/gm)].map(([, name, series]) => [
      name,
      series,
    ]);
    expect(rows.map(([name]) => name)).toEqual([...metricNames].sort());
    const registry = new Registry();
    const metrics = new FlowMetrics({ registry, metrics: metricNames });
    metrics.forget("nobody");
    const text = await registry.metrics();
    for (const [, series] of rows) expect(text).toContain(`# TYPE ${series} counter`);
  });

  it("shows options that are taken, and names every kind of context", () => {
    const asked = [...page.matchAll(/--hubble-metrics '?([a-z][^'\s]*)'?(?: \\|\n)/g)].map(
      ([, metric]) => metric ?? "",
    );
    expect(asked).toHaveLength(2);
    expect(() => checkFlowMetrics(asked)).not.toThrow();
    for (const kind of contextKinds) expect(page).toContain(`\`${kind}\``);
  });
});
