import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { flow } from "@skep/api";
import { outputsOf } from "../src/commands/up-outputs.ts";
import { skep } from "./in-process.ts";

const flags: Parameters<typeof outputsOf>[0] = {
  flowHistorySize: "1GB",
  flowHistoryAge: "7d",
  hubbleExportFileMaxSizeMb: 10,
  hubbleExportFileMaxBackups: 5,
  otlpSignals: "logs,metrics",
  otlpMetricsInterval: "60s",
};

describe("where skep up is told that flows go", () => {
  test("nowhere but into memory, where nothing is said", () => {
    expect(outputsOf(flags)).toEqual({});
  });

  test("to files", () => {
    const { flowLogs } = outputsOf({
      ...{ ...flags, hubbleExportFilePath: "out/flows.log", hubbleExportFileCompress: true },
      hubbleExportAllowlist: ['{"verdict":["DROPPED"]} {"source_pod":["a/"]}'],
      hubbleExportDenylist: ['{"protocol":["udp"]}'],
      hubbleExportFieldmask: ["time,source.pod_name", "verdict"],
      ...{ hubbleExportFieldaggregate: ["verdict,source"], hubbleExportAggregationInterval: "1m" },
      hubbleFlowlogsConfigPath: "flows.yaml",
    });
    expect(flowLogs).toMatchObject({
      fixed: {
        ...{ filePath: resolve("out/flows.log"), maxBytes: 10 << 20, maxBackups: 5, compress: true },
        ...{ include: [{ verdict: [flow.Verdict.DROPPED] }, { sourcePod: ["a/"] }], exclude: [{ protocol: ["udp"] }] },
        fieldMask: ["time", "source.pod_name", "verdict"],
        ...{ fieldAggregate: ["verdict", "source"], aggregationMs: 60_000 },
      },
      configPath: resolve("flows.yaml"),
    });
    expect(outputsOf({ ...flags, hubbleExportFilePath: "stdout" }).flowLogs?.fixed?.filePath).toBe("stdout");
  });

  test("to a collector, with metrics that nobody scrapes", () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-up-"));
    const file = join(folder, "ca.crt");
    writeFileSync(file, "PEM");
    const told = outputsOf({
      ...{ ...flags, otlpEndpoint: "https://c:4318", otlpMetricsInterval: "10s", otlpCaFile: file },
      otlpHeader: ["authorization=Bearer a=b"],
    });
    rmSync(folder, { recursive: true });
    expect(told.otlp).toEqual({
      ...{ endpoint: "https://c:4318", headers: { authorization: "Bearer a=b" }, metricsMs: 10_000 },
      ...{ signals: ["logs", "metrics"], tls: { ca: Buffer.from("PEM") } },
    });
    expect(told.metrics).not.toHaveProperty("listen");
    expect(outputsOf({ ...flags, otlpEndpoint: "http://c", otlpSignals: "logs" })).not.toHaveProperty("metrics");
  });

  test.each([
    [{ hubbleExportFieldaggregate: ["verdict"] }, /go together/],
    [{ hubbleExportAggregationInterval: "5s" }, /go together/],
    [{ hubbleExportAllowlist: ["{}"] }, /--hubble-export-file-path is missing/],
    [
      { hubbleExportFilePath: "x", hubbleExportDenylist: ["verdict"] },
      /--hubble-export-denylist: "verdict" is not a flow/,
    ],
    [{ otlpHeader: ["a=b"] }, /--otlp-endpoint is missing/],
    [{ otlpEndpoint: "http://c", otlpHeader: ["a"] }, /a name and a value with =/],
    [{ otlpEndpoint: "http://c", otlpCertFile: "x" }, /go together/],
    [{ otlpEndpoint: "http://c", otlpCaFile: "/nowhere/ca" }, /ENOENT/],
  ])("is refused where it cannot be: %j", (change, message) => {
    expect(() => outputsOf({ ...flags, ...change })).toThrow(message);
  });

  test("the command has the flags", async () => {
    const { stdout } = await skep("up", "--help");
    for (const name of ["file-path", "file-max-size-mb", "file-max-backups", "file-compress"])
      expect(stdout).toContain(`--hubble-export-${name}`);
    for (const name of ["hubble-export-fieldmask", "hubble-flowlogs-config-path", "otlp-endpoint", "otlp-header"])
      expect(stdout).toContain(`--${name}`);
  });
});
