import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flow, observer, skep as api } from "@skep/api";
import { flowRoutes, History, jsonLine, Observer, timestampOf, withHistory } from "@skep/flows";
import { bytesOption } from "../src/output/duration.ts";
import { skep } from "./in-process.ts";

const root = mkdtempSync(join(tmpdir(), "skep-flows-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const folder = join(root, "history");
const file = join(root, "flows.jsonl");

const line = (at: number, verdict: flow.Verdict, podName: string): string =>
  jsonLine(
    observer.GetFlowsResponseSchema,
    create(observer.GetFlowsResponseSchema, {
      responseTypes: {
        case: "flow",
        value: create(flow.FlowSchema, {
          time: timestampOf(BigInt(at) * 1_000_000_000n),
          uuid: `u${at}`,
          verdict,
          nodeName: "n",
          source: { namespace: "a", podName, identity: 700 },
          eventType: { type: 4 },
          Type: flow.FlowType.L3_L4,
        }),
      },
      nodeName: "n",
      time: timestampOf(BigInt(at) * 1_000_000_000n),
    }),
  );

beforeAll(async () => {
  const { FORWARDED, DROPPED } = flow.Verdict;
  writeFileSync(file, [line(1, FORWARDED, "x"), line(2, DROPPED, 'y,"z"'), line(3, FORWARDED, "x")].join("\n"));
  expect(await skep("flows", "import", file, "--history", folder)).toMatchObject({
    status: 0,
    stderr: "skep: 3 flows\n",
  });
});

describe("skep flows", () => {
  it("gives back what it was given", async () => {
    const { stdout, status } = await skep("flows", "export", "--history", folder);
    expect(status).toBe(0);
    expect(stdout.trimEnd()).toBe(readFileSync(file, "utf8"));
    const some = await skep(
      "flows",
      "export",
      "--history",
      folder,
      "--since",
      "1970-01-01T00:00:02Z",
      "--until",
      "1970-01-01T00:00:02Z",
    );
    expect(some.stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  it("answers SQL in three formats", async () => {
    const sql = "SELECT source_pod, count(*) AS n FROM flows GROUP BY ALL ORDER BY n";
    const ask = (format: string): ReturnType<typeof skep> =>
      skep("flows", "query", sql, "--history", folder, "-o", format);
    expect((await ask("table")).stdout).toBe('source_pod  n\ny,"z"       1\nx           2\n');
    expect((await ask("csv")).stdout).toBe('source_pod,n\r\n"y,""z""",1\r\nx,2\r\n');
    expect((await ask("json")).stdout).toBe('{"source_pod":"y,\\"z\\"","n":"1"}\n{"source_pod":"x","n":"2"}\n');
    const cut = await skep("flows", "query", "FROM flows", "--history", folder, "--max-rows", "1", "-o", "json");
    expect(cut.stderr).toMatch(/more rows than 1/);
    expect(cut.stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  it("refuses what is no question, and tells what is kept", async () => {
    expect(await skep("flows", "query", "DROP TABLE flows", "--history", folder)).toMatchObject({ status: 2 });
    expect(await skep("flows", "import", join(root, "none"), "--history", folder)).toMatchObject({ status: 1 });
    const { stdout } = await skep("flows", "status", "--history", folder);
    expect(stdout).toMatch(/on disk {6}3 flows, \d+ bytes/);
    expect(stdout).toContain("oldest       1970-01-01T00:00:01.000Z");
  });

  it.each([
    ["500MB", 500_000_000],
    ["1GiB", 1 << 30],
    ["12", 12],
    ["1.5kb", 1500],
  ])("reads %s as bytes", (text, bytes) => {
    expect(bytesOption(text)).toBe(bytes);
    expect(() => bytesOption(`x${text}`)).toThrow(/is not a size/);
  });
});

describe("the agent's history", () => {
  it("is asked over the API", async () => {
    const history = await History.open({ folder, nodeName: "n", now: () => 4_000_000_000n, maxAgeSeconds: 1e9 });
    try {
      const flows = new Observer({ nodeName: "n", version: "0", now: () => 4_000_000_000n });
      const transport = createRouterTransport((router) => {
        flowRoutes(router, withHistory(flows, history), { now: () => 4_000_000_000n, history });
      });
      const client = createClient(api.Flows, transport);
      expect(await client.getHistory({})).toMatchObject({ directory: folder, flows: 3n });
      const parts: api.QueryHistoryResponse[] = [];
      for await (const each of client.queryHistory({ sql: "SELECT count(*) AS n FROM flows" })) parts.push(each);
      expect(parts).toMatchObject([{ columns: ["n"] }, { rows: ['["3"]'] }]);
      const { buckets } = await client.getTimeline({
        ...{ since: timestampOf(1_000_000_000n), until: timestampOf(3_999_999_999n), buckets: 3 },
      });
      expect(buckets.map(({ forwarded, dropped }) => [forwarded, dropped])).toEqual([
        [1n, 0n],
        [0n, 1n],
        [1n, 0n],
      ]);
      const wrong = client.queryHistory({ sql: "DROP VIEW flows" })[Symbol.asyncIterator]();
      await expect(wrong.next()).rejects.toThrow(/only read/);
    } finally {
      await history.close();
    }
  });
});
