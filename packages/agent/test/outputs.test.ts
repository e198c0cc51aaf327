// Where an agent's flows go: files by a configuration that changes, and a collector; on the simulated machine.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openSim } from "@skep/sim";
import { Registry } from "prom-client";
import { context, event } from "../../flows/test/fixtures.ts";
import { recordOf } from "@skep/flows";
import { FlowLogs } from "../src/flow-logs.ts";
import { createLogger, startAgent } from "../src/index.ts";

let folder: string;
let told: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-outputs-"));
  told = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const log = createLogger({ write: (line) => told.push(line), now: () => 0, format: "json" });

describe("files of flows by a configuration", () => {
  let logs: FlowLogs;
  let now = 1n;
  const file = (name: string): string => join(folder, `${name}.log`);
  const flowLog = (name: string, more = ""): string => `- {name: ${name}, filePath: ${file(name)}${more}}\n`;
  const configure = (...lines: string[]): void => {
    writeFileSync(join(folder, "config.yaml"), `flowLogs:\n${lines.join("")}`);
    // One look sees that it has changed, the next that it has kept still.
    logs.look();
    logs.look();
  };
  const linesOf = (name: string): number =>
    existsSync(file(name)) ? readFileSync(file(name), "utf8").trimEnd().split("\n").length : 0;
  const pass = async (): Promise<void> => {
    logs.add(recordOf(event(), context()));
    logs.add(recordOf(event({ type: 1, reason: 133 }), context()));
    await vi.waitFor(() => expect(linesOf("a")).toBeGreaterThan(0), { timeout: 20_000 });
  };

  beforeEach(() => {
    now = 1n;
    const configPath = join(folder, "config.yaml");
    logs = new FlowLogs({ configPath, nodeName: "n", now: () => now, log, stdout: () => undefined });
  });

  it("come, change and go with it, and each has its own filters", async () => {
    const registry = new Registry();
    logs.register(registry);
    expect(logs.isWanted).toBe(false);
    configure(flowLog("a"), flowLog("b", ", includeFilters: [{verdict: [DROPPED]}], fieldMask: [verdict]"));
    await pass();
    configure(flowLog("b", ", includeFilters: [{verdict: [FORWARDED]}]"), flowLog("c", ", end: 1970-01-01T00:00:01Z"));
    logs.add(recordOf(event(), context()));
    now = 2_000_000_000n;
    logs.add(recordOf(event(), context()));
    const metrics = await registry.metrics();
    await logs.close();
    expect({ a: linesOf("a"), b: linesOf("b"), c: linesOf("c") }).toEqual({ a: 2, b: 3, c: 1 });
    expect(metrics).toContain('hubble_dynamic_exporter_exporters_total{status="active"} 1');
    expect(metrics).toContain('hubble_dynamic_exporter_exporters_total{status="inactive"} 1');
    expect(metrics).toContain('hubble_dynamic_exporter_up{name="c"} 0');
    for (const [op, count] of Object.entries({ add: 3, update: 1, remove: 1 }))
      expect(metrics).toContain(`hubble_dynamic_exporter_reconfigurations_total{op="${op}"} ${count}`);
    expect(told).toEqual([]);
  });

  it("stay as they are while the configuration cannot be", async () => {
    configure(flowLog("a"));
    configure("- {name: a, filePath: []}\n");
    configure("- {name: [\n");
    await pass();
    await logs.close();
    expect(linesOf("a")).toBe(2);
    expect(told.filter((line) => line.includes("is not taken over"))).toHaveLength(2);
  });
});

describe("an agent", () => {
  it("writes its events to a file and sends its metrics to a collector", async () => {
    const paths: string[] = [];
    const server = http.createServer((request, response) => {
      paths.push(request.url ?? "");
      request.resume();
      request.on("end", () => response.end("{}"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const machine = openSim();
    mkdirSync(join(folder, "policies"));
    const running = await startAgent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16", log },
      flowLogs: { fixed: { filePath: join(folder, "flows.log"), fieldMask: [], include: [], exclude: [] } },
      metrics: { flows: ["drop"], version: "0" },
      otlp: { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    });
    try {
      expect(running.metrics).toBeUndefined();
      await running.close();
      expect(readFileSync(join(folder, "flows.log"), "utf8")).toContain('"agent_event":{"type":"AGENT_STARTED"');
      expect(paths).toContain("/v1/metrics");
    } finally {
      running.agent.datapath.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });
});
