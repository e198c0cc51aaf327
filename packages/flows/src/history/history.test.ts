import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { flow, observer } from "@skep/api";
import { context, event } from "../../test/fixtures.ts";
import { conformanceLines } from "../../test/support.ts";
import { History, type HistoryOptions, Observer, recordOf, recordOfFlow, timestampOf, withHistory } from "../index.ts";
import { columns, flowOfRow, type Row } from "./columns.ts";
import { loadEngine } from "./duckdb.ts";
import { expired, openSegments, segmentName } from "./segments.ts";

const root = mkdtempSync(join(tmpdir(), "skep-history-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const second = (n: number): bigint => BigInt(n) * 1_000_000_000n;

const open: History[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

let folders = 0;
const newFolder = (): string => join(root, String(folders++));

async function historyIn(folder: string, over: Partial<HistoryOptions> = {}): Promise<History> {
  const history = await History.open({ folder, nodeName: "n", now: () => second(1000), flushMs: 1e9, ...over });
  open.push(history);
  return history;
}

const names = context({ wallTime: (time) => time });

function sample(at: number, over: Parameters<typeof event>[0] = {}): flow.Flow {
  return recordOf(event({ time: second(at), destinationPort: at, ...over }), names).flow;
}

type Request = MessageInitShape<typeof observer.GetFlowsRequestSchema>;

async function shown(stream: AsyncIterable<observer.GetFlowsResponse>): Promise<(number | string)[]> {
  const found: (number | string)[] = [];
  for await (const { responseTypes } of stream) {
    if (responseTypes.case === "lostEvents") found.push(`lost ${responseTypes.value.numEventsLost}`);
    else if (responseTypes.case === "flow") {
      const l4 = responseTypes.value.l4?.protocol;
      found.push(l4?.case === "TCP" ? l4.value.destinationPort : "?");
    }
  }
  return found;
}

const portsOf = (history: Pick<History, "flows">, init: Request): Promise<(number | string)[]> =>
  shown(history.flows(create(observer.GetFlowsRequestSchema, init), new AbortController().signal));

const rowOf = (message: flow.Flow): Row => Object.fromEntries(columns.map(({ name, of }) => [name, of(message)]));

const golden = conformanceLines<{ readonly message: string; readonly bytes: string }>("golden.jsonl");

describe("a row", () => {
  it.each([
    ["a trace", {}],
    ["a drop", { type: 1, reason: 133, cookie: 0 }],
    ["a reply", { reply: true }],
    ["UDP", { protocol: 17 }],
    ["ICMP", { protocol: 1, icmpType: 8 }],
    ["SCTP", { protocol: 132 }],
    ["ARP", { ethertype: 0x0806 }],
    ["a verdict", { type: 5, reason: 1 }],
  ] as const)("of %s is the flow", (_name, over) => {
    const message = sample(7, over);
    expect(toBinary(flow.FlowSchema, flowOfRow(rowOf(message)))).toEqual(toBinary(flow.FlowSchema, message));
  });

  it.skipIf(golden === null)("of each golden flow is the flow", () => {
    const flows = (golden ?? []).filter(({ message }) => message === "flow.Flow");
    expect(flows.length).toBeGreaterThan(50);
    for (const { bytes } of flows) {
      const message = fromBinary(flow.FlowSchema, Buffer.from(bytes, "base64"));
      expect(toBinary(flow.FlowSchema, flowOfRow(rowOf(message)))).toEqual(toBinary(flow.FlowSchema, message));
    }
  });
});

describe("a history", () => {
  it("keeps flows over restarts, and gives those that are asked for", async () => {
    const folder = newFolder();
    const first = await historyIn(folder);
    for (const at of [1, 2, 3]) first.add(sample(at));
    await first.flush();
    first.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 9n);
    first.add(sample(1004, { type: 1, reason: 133 }));
    await open.pop()!.close();
    const again = await historyIn(folder);
    again.add(sample(1005));
    expect(await portsOf(again, {})).toEqual([1, 2, 3, "lost 9", 1004, 1005]);
    expect(await portsOf(again, { since: timestampOf(second(2)), until: timestampOf(second(3)) })).toEqual([2, 3]);
    expect(await portsOf(again, { number: 2n })).toEqual([1004, 1005]);
    expect(await portsOf(again, { number: 2n, first: true })).toEqual([1, 2]);
    expect(await portsOf(again, { whitelist: [{ verdict: [flow.Verdict.DROPPED] }] })).toEqual(["lost 9", 1004]);
    expect(await portsOf(again, { whitelist: [{ sourcePod: ["default/xwing"], destinationPort: ["3"] }] })).toEqual([
      3,
      "lost 9",
    ]);
    expect(await again.status()).toMatchObject({ flows: 6n, unflushed: 0n, lost: 0n, error: "" });
  });

  it("loses what was not flushed when the agent is killed, and nothing else", async () => {
    const folder = newFolder();
    const killed = await historyIn(folder);
    killed.add(sample(1));
    await killed.flush();
    killed.add(sample(2));
    // What a crash leaves: a file half written, and one whose rows were merged into another.
    writeFileSync(join(folder, "flows-x.parquet.part"), "half");
    const [whole] = openSegments(folder);
    copyFileSync(whole!.path, join(folder, segmentName({ ...whole!, last: whole!.last + 1 })));
    const again = await historyIn(folder);
    expect(await portsOf(again, {})).toEqual([1]);
    expect(readdirSync(folder).filter((name) => name !== "lock")).toHaveLength(1);
  });

  it("finds the last and the first of many, page by page, and workloads as they are written", async () => {
    const history = await historyIn(newFolder());
    for (let at = 1; at <= 500; at++) history.add(sample(at, at % 2 === 0 ? { sourceEndpoint: 2 } : {}));
    const even = [{ destinationPort: ["2-400"], sourcePod: ["deathstar"] }];
    const evens = Array.from({ length: 200 }, (_, at) => 2 * at + 2);
    expect(await portsOf(history, { number: 150n, whitelist: even })).toEqual(evens.slice(50));
    expect(await portsOf(history, { number: 150n, first: true, whitelist: even })).toEqual(evens.slice(0, 150));
    for (const [name, count] of [
      ["default/", 500],
      ["/x", 250],
      ["default/xw", 250],
      ["xwing", 250],
      ["other/", 0],
      ["/xwing2", 0],
    ] as const)
      expect(await portsOf(history, { whitelist: [{ sourcePod: [name] }] }), name).toHaveLength(count);
  });

  const dataFiles = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith(".parquet"));
  /** Three files with a flow each. */
  const threeFiles = async (): Promise<{ folder: string; history: History }> => {
    const folder = newFolder();
    const history = await historyIn(folder);
    for (const at of [1, 2, 3]) {
      history.add(sample(at));
      await history.flush();
    }
    return { folder, history };
  };

  it.each([
    ["cut short", (bytes: Buffer) => bytes.subarray(0, bytes.length - 20)],
    ["empty", () => Buffer.alloc(0)],
    ["of zeros", (bytes: Buffer) => Buffer.alloc(bytes.length)],
  ])(
    "puts a file that is %s aside when it is opened, counts what was in it, and gives the others",
    async (_what, spoil) => {
      const { folder } = await threeFiles();
      await open.pop()!.close();
      const [, second] = dataFiles(folder);
      writeFileSync(join(folder, second!), spoil(readFileSync(join(folder, second!))));
      const again = await historyIn(folder);
      expect(await portsOf(again, {})).toEqual([1, 3]);
      expect((await again.query("SELECT count(*) FROM flows", 9)).rows).toEqual([["2"]]);
      const { lost, error } = await again.status();
      expect({ lost, error }).toMatchObject({ lost: 1n, error: expect.stringContaining("cannot be read") as string });
      expect(readdirSync(folder)).toContain(`${second}.broken`);
    },
  );

  it("tells what is lost with a file that is spoiled or taken away while it is read", async () => {
    const { folder, history } = await threeFiles();
    const [first, second] = dataFiles(folder);
    const bytes = readFileSync(join(folder, second!));
    // Its ends are as they were.
    writeFileSync(join(folder, second!), bytes.fill(0x55, 8, bytes.length - 8));
    rmSync(join(folder, first!));
    expect(await portsOf(history, {})).toEqual(["lost 1", "lost 1", 3]);
    expect(await portsOf(history, {})).toEqual([3]);
    expect((await history.query("SELECT count(*) FROM flows", 9)).rows).toEqual([["1"]]);
  });

  it("answers a query beside a file that is spoiled, and refuses one that is wrong", async () => {
    const { folder, history } = await threeFiles();
    const [first] = dataFiles(folder);
    const bytes = readFileSync(join(folder, first!));
    writeFileSync(join(folder, first!), bytes.fill(0x55, 8, bytes.length - 8));
    await expect(history.query("SELECT CAST('x' AS INTEGER)", 9)).rejects.toThrow(/Conversion Error/);
    expect((await history.query("SELECT sum(destination_port) AS n FROM flows", 9)).rows).toEqual([["5"]]);
    await expect(history.query("SELECT error('Invalid Input Error')", 9)).rejects.toThrow(/Invalid Input/);
    expect(dataFiles(folder)).toHaveLength(2);
  });

  it("keeps files that somebody reads while they are merged", async () => {
    const folder = newFolder();
    const history = await historyIn(folder);
    const add = async (at: number): Promise<void> => {
      history.add(sample(at));
      await history.flush();
    };
    for (let at = 1; at < 32; at++) await add(at);
    const request = create(observer.GetFlowsRequestSchema, {});
    const reading = history.flows(request, new AbortController().signal)[Symbol.asyncIterator]();
    await reading.next();
    await add(32);
    expect(dataFiles(folder).length).toBeGreaterThan(30);
    let rest = 0;
    for (let each = await reading.next(); each.done !== true; each = await reading.next()) rest += 1;
    expect(rest).toBe(30);
    expect(dataFiles(folder)).toHaveLength(1);
    expect(await portsOf(history, {})).toHaveLength(32);
  });

  it("gives the last of very many without holding them", async () => {
    const history = await historyIn(newFolder(), { maxHeld: 20 });
    for (let at = 1; at <= 100; at++) {
      history.add(sample(at));
      if (at % 30 === 0) history.addLoss(flow.LostEventSource.OBSERVER_EVENTS_QUEUE, 1n);
      if (at % 40 === 0) await history.flush();
    }
    const last = (await portsOf(history, { number: 60n })).filter((each) => each !== "lost 1");
    expect(last).toEqual(Array.from({ length: 60 }, (_, at) => 41 + at));
    expect(await portsOf(history, { number: 1n << 40n })).toHaveLength(103);
    const one = await portsOf(history, { number: 21n, whitelist: [{ destinationPort: ["90"] }] });
    expect(one.filter((each) => each !== "lost 1")).toEqual([90]);
  });

  it("is one process's at a time", async () => {
    const folder = newFolder();
    const first = await historyIn(folder);
    writeFileSync(join(folder, "lock"), "1\n");
    await expect(historyIn(folder)).rejects.toThrow(/belongs to process 1: ask that one/);
    writeFileSync(join(folder, "lock"), "999999999\n");
    expect(await portsOf(await historyIn(folder), {})).toEqual([]);
    // Of a process that had the number before the machine was started again.
    writeFileSync(join(folder, "lock"), "1 another-boot/1\n");
    expect(await portsOf(await historyIn(folder), {})).toEqual([]);
    const own = readFileSync(join(folder, "lock"), "utf8");
    expect(own).toMatch(new RegExp(`^${process.pid} [0-9a-f-]{36}/\\d+\n$`));
    expect(await portsOf(first, {})).toEqual([]);
  });

  it("forgets what is too old, and what is too much", async () => {
    const folder = newFolder();
    let now = second(1000);
    const history = await historyIn(folder, { now: () => now, maxAgeSeconds: 60 });
    history.add(sample(990));
    await history.flush();
    now = second(1051);
    history.add(sample(1050));
    expect(await portsOf(history, {})).toEqual([1050]);
    const segments = [1, 2, 3].map((n) => ({
      ...{ path: "", first: n, last: n, oldest: second(n), newest: second(n), rows: 1, bytes: 10 },
    }));
    const limits = { maxBytes: 15, maxAgeSeconds: 1e6 };
    expect(expired(segments, limits, now).map(({ first }) => first)).toEqual([1, 2]);
    expect(expired(segments, { ...limits, maxBytes: 5 }, now)).toHaveLength(2);
    expect(expired(segments, { ...limits, maxBytes: 30 }, now)).toEqual([]);
  });

  it("makes large files of small ones", async () => {
    const folder = newFolder();
    const history = await historyIn(folder);
    for (let at = 1; at <= 40; at++) {
      history.add(sample(at));
      await history.flush();
    }
    expect(readdirSync(folder).length).toBeLessThan(32);
    expect(await portsOf(history, {})).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
  });

  it("counts what the disk does not take, and goes on", async () => {
    const folder = newFolder();
    const history = await historyIn(folder, { maxPending: 5 });
    for (let at = 1; at <= 8; at++) history.add(sample(at));
    expect(await history.status()).toMatchObject({ unflushed: 5n, lost: 3n });
    rmSync(folder, { recursive: true });
    await history.flush();
    const status = await history.status();
    expect(status).toMatchObject({ unflushed: 0n, lost: 8n });
    expect(status.error).not.toBe("");
  });

  it("is refused by name where the engine is not there", async () => {
    await expect(loadEngine(() => Promise.reject(new Error("no module")))).rejects.toThrow(
      /@duckdb\/node-api, which is not installed/,
    );
  });
});

describe("SQL", () => {
  it("reads", async () => {
    const history = await historyIn(newFolder());
    expect(await history.query("SELECT count(*) AS n FROM flows", 10)).toMatchObject({ columns: ["n"], rows: [["0"]] });
    for (const at of [1, 2, 3]) history.add(sample(at, at === 2 ? { type: 1, reason: 133 } : {}));
    history.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 4n);
    expect((await history.query("SELECT timestamp, verdict FROM flows", 1)).columns).toEqual(["timestamp", "verdict"]);
    const sql = "SELECT verdict, count(*) AS n FROM flows GROUP BY verdict ORDER BY n";
    expect((await history.query(sql, 10)).rows).toEqual([
      ["DROPPED", "1"],
      ["FORWARDED", "2"],
    ]);
    expect((await history.query("SELECT sum(lost) FROM losses", 10)).rows).toEqual([["4"]]);
    expect(await history.query("FROM range(100)", 5)).toMatchObject({ truncated: true, rows: { length: 5 } });
    expect((await history.query("DESCRIBE flows", 100)).rows.length).toBeGreaterThan(30);
  });

  it("does nothing else", async () => {
    const folder = newFolder();
    const history = await historyIn(folder);
    history.add(sample(1));
    await history.flush();
    const [file] = openSegments(folder);
    const secret = join(root, "secret.csv");
    writeFileSync(secret, "a\n1\n");
    const out = join(folder, "out.csv");
    for (const sql of [
      "DELETE FROM flows",
      "DROP VIEW flows",
      "CREATE TABLE t AS SELECT 1",
      "INSERT INTO nothing SELECT * FROM nothing",
      "SELECT 1; SELECT 2",
      "SELECT 1; DROP VIEW flows",
      `COPY flows TO '${out}'`,
      `COPY (SELECT 1) TO '${join(root, "out.csv")}'`,
      `EXPORT DATABASE '${folder}/x'`,
      `ATTACH '${join(root, "x.db")}'`,
      `SELECT * FROM read_csv('${secret}')`,
      `SELECT * FROM '${secret}'`,
      `SELECT * FROM read_text('${folder}/../secret.csv')`,
      "SELECT * FROM read_text('/etc/passwd')",
      `SELECT * FROM glob('${root}/*')`,
      "SELECT * FROM read_csv('https://example.org/x.csv')",
      "SET enable_external_access = true",
      "SET lock_configuration = false",
      "SET allowed_directories = ['/']",
      "INSTALL httpfs",
      "LOAD httpfs",
      "PRAGMA enable_logging",
      "CALL pragma_version()",
      "EXPLAIN ANALYZE DELETE FROM nothing",
      `EXPLAIN ANALYZE COPY flows TO '${out}'`,
      "EXPLAIN SELECT 1",
      "PREPARE p AS SELECT 1",
      "nonsense",
      "",
      "  -- nothing",
    ])
      await expect(history.query(sql, 10), sql).rejects.toThrow();
    expect(existsSync(out)).toBe(false);
    expect(existsSync(join(folder, "x"))).toBe(false);
    expect(openSegments(folder)).toEqual([file]);
    expect((await history.query("SELECT count(*) FROM flows", 1)).rows).toEqual([["1"]]);
  });
});

describe("a node with a history", () => {
  it("gives what the ring no longer has, each flow once and in order", async () => {
    const history = await historyIn(newFolder());
    const ring = new Observer({
      ...{ nodeName: "n", version: "0", now: () => second(1000), capacity: 7 },
      onFlow: (record) => history.add(record.flow),
    });
    for (let at = 1; at <= 20; at++) ring.add(recordOfFlow(sample(at)));
    const served = withHistory(ring, history);
    const ask = (init: Request): Promise<(number | string)[]> =>
      shown(served.getFlows(create(observer.GetFlowsRequestSchema, init), new AbortController().signal));
    const since = (at: number): Request => ({ since: timestampOf(second(at)) });
    const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);
    expect(await ask({})).toEqual(range(14, 20));
    expect(await ask(since(3))).toEqual(range(3, 20));
    expect(await ask(since(15))).toEqual(range(15, 20));
    expect(await ask({ ...since(3), until: timestampOf(second(16)) })).toEqual(range(3, 16));
    expect(await ask({ ...since(3), until: timestampOf(second(5)) })).toEqual(range(3, 5));
    expect(await ask({ ...since(3), number: 4n, first: true })).toEqual(range(3, 6));
    expect(await ask({ ...since(3), number: 15n, first: true })).toEqual(range(3, 17));
    expect(await ask({ ...since(3), number: 10n })).toEqual(range(11, 20));
    expect(await ask({ ...since(3), number: 2n, until: timestampOf(second(6)) })).toEqual([5, 6]);
    const stop = new AbortController();
    const following = served.getFlows(
      create(observer.GetFlowsRequestSchema, { ...since(12), follow: true }),
      stop.signal,
    );
    const seen: (number | string)[] = [];
    for await (const each of following) {
      seen.push(
        ...(await shown(
          (async function* () {
            yield each;
          })(),
        )),
      );
      if (seen.length === 9) ring.add(recordOfFlow(sample(21)));
      if (seen.length === 10) stop.abort();
    }
    expect(seen).toEqual(range(12, 21));
  });
});
