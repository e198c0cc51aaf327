import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { context, event } from "../../test/fixtures.ts";
import { OtlpError, OtlpLogs, type OtlpLogsOptions, OtlpMetrics, recordOf } from "../index.ts";

interface Asked {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: unknown;
}

type Answer = { readonly status?: number; readonly text?: string; readonly headers?: Record<string, string> };

/** A collector that remembers what it was sent. */
class Collector {
  readonly asked: Asked[] = [];
  /** For the next requests; then 200. */
  readonly answers: Answer[] = [];
  readonly #server: http.Server;

  constructor(tls?: https.ServerOptions) {
    const listener: http.RequestListener = (request, response) => {
      let text = "";
      request.setEncoding("utf8");
      request.on("data", (part: string) => (text += part));
      request.on("end", () => {
        this.asked.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(text) as unknown });
        const { status = 200, text: answer = "{}", headers = {} } = this.answers.shift() ?? {};
        response.writeHead(status, { "content-type": "application/json", ...headers }).end(answer);
      });
    };
    this.#server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#server instanceof https.Server ? "https" : "http"}://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Records of all requests that were answered with 200 or are told of as logs. */
  get records(): { readonly body: { readonly stringValue: string } }[] {
    return this.asked.flatMap(
      ({ body }) =>
        (body as { resourceLogs: { scopeLogs: { logRecords: never[] }[] }[] }).resourceLogs[0]?.scopeLogs[0]
          ?.logRecords ?? [],
    );
  }
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function collector(tls?: https.ServerOptions): Promise<{ made: Collector; endpoint: string }> {
  const made = new Collector(tls);
  open.push(made);
  return { made, endpoint: await made.listen() };
}

const resource = { nodeName: "default/endor", version: "1.2.3" };
const flowAt = (destinationPort: number, change = {}) => recordOf(event({ destinationPort, ...change }), context());

function logsTo(endpoint: string, change: Partial<OtlpLogsOptions> = {}): OtlpLogs {
  const logs = new OtlpLogs({ endpoint, ...resource, now: () => 9n, batchMs: 1e6, retryMs: 1, ...change });
  open.push(logs);
  return logs;
}

describe("flows for a collector", () => {
  it("are log records, with who sends them", async () => {
    const { made, endpoint } = await collector();
    const logs = logsTo(endpoint, { headers: { authorization: "Bearer x" } });
    logs.add(flowAt(80));
    logs.add(flowAt(81, { type: 1, reason: 133 }));
    await logs.flush();
    const [{ path, headers, body } = { path: "", headers: {}, body: null }] = made.asked;
    expect(path).toBe("/v1/logs");
    expect(headers).toMatchObject({ authorization: "Bearer x", "content-type": "application/json" });
    const text = (stringValue: string): object => ({ stringValue });
    expect(body).toMatchObject({
      resourceLogs: [
        {
          resource: {
            attributes: [
              { key: "service.name", value: text("skep") },
              { key: "service.version", value: text("1.2.3") },
              { key: "k8s.node.name", value: text("default/endor") },
            ],
          },
          scopeLogs: [
            {
              scope: { name: "skep.flows" },
              logRecords: [
                { timeUnixNano: "1700000001000000000", observedTimeUnixNano: "9", severityNumber: 9 },
                { severityNumber: 13, severityText: "WARN", eventName: "cilium.flow" },
              ],
            },
          ],
        },
      ],
    });
    const [, drop] = made.records as unknown as { attributes: object[]; body: { stringValue: string } }[];
    expect(drop?.attributes).toEqual(
      expect.arrayContaining([
        { key: "source.address", value: text("10.0.1.11") },
        { key: "destination.port", value: { intValue: "81" } },
        { key: "network.transport", value: text("tcp") },
        { key: "cilium.flow.verdict", value: text("DROPPED") },
        { key: "cilium.flow.drop_reason", value: text("POLICY_DENIED") },
        { key: "cilium.destination.pod", value: text("deathstar") },
      ]),
    );
    expect(JSON.parse(drop?.body.stringValue ?? "")).toMatchObject({ verdict: "DROPPED" });
    expect(logs).toMatchObject({ sent: 2, lost: 0, waiting: 0 });
  });

  it("wait in a queue that is bounded; what it has no room for is counted", async () => {
    const { made, endpoint } = await collector();
    const logs = logsTo(endpoint, { maxPending: 4, maxBatch: 2 });
    for (let port = 1; port <= 7; port++) logs.add(flowAt(port));
    await logs.flush();
    expect({ sent: logs.sent, lost: logs.lost }).toEqual({ sent: 4, lost: 3 });
    expect(made.asked).toHaveLength(2);
    expect(made.records).toHaveLength(4);
  });

  it("are sent again where the collector is busy, and lost where it refuses", async () => {
    const { made, endpoint } = await collector();
    made.answers.push({ status: 503 }, { status: 429, headers: { "retry-after": "0" } });
    let errors = 0;
    const logs = logsTo(endpoint, { onError: () => (errors += 1), tries: 3 });
    logs.add(flowAt(1));
    await logs.flush();
    expect({ sent: logs.sent, lost: logs.lost, asked: made.asked.length, errors }).toEqual({
      ...{ sent: 1, lost: 0, asked: 3, errors: 0 },
    });
    made.answers.push({ status: 400, text: "no" }, { status: 503 }, { status: 503 }, { status: 503 });
    for (const port of [2, 3]) {
      logs.add(flowAt(port));
      await logs.flush();
    }
    expect({ sent: logs.sent, lost: logs.lost, errors }).toEqual({ sent: 1, lost: 2, errors: 1 });
    made.answers.push({ text: '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too long"}}' });
    logs.add(flowAt(4));
    logs.add(flowAt(5));
    await logs.flush();
    expect({ sent: logs.sent, lost: logs.lost }).toEqual({ sent: 2, lost: 3 });
  });

  it("are lost where nobody answers, and the end does not wait", async () => {
    const { made, endpoint } = await collector();
    await made.close();
    const logs = logsTo(endpoint, { retryMs: 1e6 });
    logs.add(flowAt(1));
    await logs.close();
    expect({ sent: logs.sent, lost: logs.lost }).toEqual({ sent: 0, lost: 1 });
  });

  it("go nowhere but to a collector's address", () => {
    for (const endpoint of ["collector", "ftp://x", ""]) expect(() => logsTo(endpoint)).toThrow(OtlpError);
  });
});

describe("metrics for a collector", () => {
  it("are sums, gauges and histograms", async () => {
    const { made, endpoint } = await collector();
    const registry = new Registry();
    const registers = [registry];
    new Counter({ name: "c_total", help: "C", labelNames: ["verdict"], registers }).inc({ verdict: "DROPPED" }, 3);
    new Gauge({ name: "g", help: "G", registers }).set(1.5);
    const histogram = new Histogram({ name: "h", help: "H", labelNames: ["a"], buckets: [1, 2], registers });
    for (const value of [0.5, 1.5, 1.6, 9]) histogram.observe({ a: "b" }, value);
    let now = 5n;
    const metrics = new OtlpMetrics({ endpoint, ...resource, registry, now: () => now, intervalMs: 1e6 });
    open.push(metrics);
    now = 7n;
    await metrics.flush();
    expect(made.asked[0]?.path).toBe("/v1/metrics");
    const times = { startTimeUnixNano: "5", timeUnixNano: "7" };
    const attribute = (key: string, stringValue: string): object[] => [{ key, value: { stringValue } }];
    expect(made.asked[0]?.body).toMatchObject({
      resourceMetrics: [
        {
          scopeMetrics: [
            {
              metrics: [
                {
                  name: "c_total",
                  description: "C",
                  sum: {
                    ...{ aggregationTemporality: 2, isMonotonic: true },
                    dataPoints: [{ ...times, asDouble: 3, attributes: attribute("verdict", "DROPPED") }],
                  },
                },
                { name: "g", gauge: { dataPoints: [{ timeUnixNano: "7", asDouble: 1.5 }] } },
                {
                  name: "h",
                  histogram: {
                    aggregationTemporality: 2,
                    dataPoints: [
                      {
                        ...{ ...times, count: "4", explicitBounds: [1, 2], bucketCounts: ["1", "2", "1"] },
                        attributes: attribute("a", "b"),
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it("that were not taken are told of", async () => {
    const { made, endpoint } = await collector();
    made.answers.push({ status: 400 });
    const metrics = new OtlpMetrics({ endpoint, ...resource, registry: new Registry(), now: () => 1n });
    open.push(metrics);
    await metrics.flush();
    expect(metrics.missed).toBe(1);
  });
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl) console.warn("skipped: no openssl to make certificates with");

describe.skipIf(!hasOpenssl)("a collector with TLS", () => {
  it("is trusted by its authority alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-otlp-"));
    open.push({
      close: () => {
        rmSync(folder, { recursive: true });
        return Promise.resolve();
      },
    });
    const [cert, key] = [join(folder, "c.crt"), join(folder, "c.key")];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const subject = ["-subj", "/CN=collector", "-addext", "subjectAltName=IP:127.0.0.1"];
    const ran = spawnSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", cert]);
    expect(ran.status, String(ran.stderr)).toBe(0);
    const { made, endpoint } = await collector({ cert: readFileSync(cert), key: readFileSync(key) });
    const trusting = logsTo(endpoint, { tls: { ca: readFileSync(cert) } });
    trusting.add(flowAt(1));
    await trusting.flush();
    expect(trusting.sent).toBe(1);
    const strange = logsTo(endpoint, { tries: 1 });
    strange.add(flowAt(1));
    await strange.flush();
    expect({ sent: strange.sent, lost: strange.lost, asked: made.asked.length }).toEqual({
      sent: 0,
      lost: 1,
      asked: 1,
    });
  });
});
