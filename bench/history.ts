// Ten million flows of a day on disk: bytes of each, and the time of questions about one hour. 100,000 go through the history's own writer; the
// others are these again, with other times, ids and ports of clients, written by the same engine with the same settings.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { DuckDBInstance } from "@duckdb/node-api";
import { flow, observer } from "@skep/api";
import { History, recordOf, timestampOf, uuids } from "@skep/flows";
import { openSegments, segmentName } from "../packages/flows/src/history/segments.ts";
import { address, context, endpoint, event } from "../packages/flows/test/fixtures.ts";
import { median, print } from "./_lines.ts";
import { withFolder } from "./_setup.ts";

const FLOWS = Number(process.argv[2] ?? "10000000");
const WRITTEN = 100_000;
const ROUNDS = 9;
const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;
const START = 1_790_000_000n * SECOND;
const AIM_MS = 200;

const random = (
  (state: number) =>
  (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  }
)(42);

/** 200 workloads, of which each talks to a few; one flow in twenty is dropped, one in ten goes out to the world. */
const workloads = Array.from({ length: 200 }, (_, at) =>
  endpoint({
    id: at + 1,
    identity: 20_000 + (at >> 2),
    podName: `app${at >> 2}-${at & 3}`,
    namespace: `team${at % 7}`,
  }),
);
const names = context({
  wallTime: (time) => time,
  endpoint: (id) => workloads[id - 1] ?? null,
  uuid: uuids(() => 0x2fedcba987654321fedn),
  policies: (
    (made) =>
    ({ cookie, direction }) =>
      (made[cookie] ??= [
        { kind: "CiliumNetworkPolicy", namespace: "team1", name: `${direction}-${cookie}`, labels: [], revision: 3n },
      ])
  )({} as Record<number, ReturnType<ReturnType<typeof context>["policies"]>>),
});

function sample(time: bigint): ReturnType<typeof recordOf> {
  const from = random(200);
  const to = (from + 1 + random(5)) % 200;
  const isOut = random(10) === 0;
  const isDrop = random(20) === 0;
  const isUdp = random(4) === 0;
  return recordOf(
    event({
      ...{ time, sourcePort: 32_768 + random(28_000), destinationPort: [80, 443, 8080, 5432][random(4)] ?? 80 },
      ...{ protocol: isUdp ? 17 : 6, tcpFlags: isUdp ? 0 : 2, type: isDrop ? 1 : 4, reason: isDrop ? 133 : 0 },
      ...{ sourceEndpoint: from + 1, sourceIdentity: 20_000 + (from >> 2), source: address(`10.0.1.${from + 1}`) },
      ...(isOut
        ? {
            destinationEndpoint: 0,
            destinationIdentity: 2,
            destination: address(`198.51.${random(20)}.${random(256)}`),
          }
        : {
            destinationEndpoint: to + 1,
            destinationIdentity: 20_000 + (to >> 2),
            destination: address(`10.0.1.${to + 1}`),
          }),
      ...{
        interfaceIndex: to + 10,
        cookie: 1 + (to >> 3),
        egressCookie: 1 + (from >> 3),
        direction: isOut ? "egress" : "ingress",
      },
    }),
    names,
  );
}

async function write(folder: string): Promise<void> {
  const before = process.cpuUsage();
  const files = Math.ceil(FLOWS / WRITTEN);
  const span = DAY / BigInt(files);
  const first = join(folder, "first");
  const history = await History.open({ folder: first, nodeName: "n", now: () => START, flushMs: 1e9 });
  for (let at = 0; at < WRITTEN; at++) {
    history.add(sample(START + (span * BigInt(at)) / BigInt(WRITTEN) + BigInt(random(1_000_000))).flow);
    if (at % 5000 === 4999) await history.flush();
  }
  await history.flush();
  const { user, system } = process.cpuUsage(before);
  print(line("written through the history", "µs of CPU a flow", (user + system) / WRITTEN));
  await history.close();
  await multiply(first, folder, { files, span });
  rmSync(first, { recursive: true });
}

async function multiply(from: string, to: string, { files, span }: { files: number; span: bigint }): Promise<void> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "1GB" });
  const connection = await instance.connect();
  const sources = openSegments(from).map(({ path }) => `'${path}'`);
  for (let at = 0; at < files; at++) {
    const by = span * BigInt(at);
    const range = {
      first: at + 1,
      last: at + 1,
      oldest: START + by,
      newest: START + by + span + 1_000_000n,
      rows: WRITTEN,
    };
    await connection.run(
      `COPY (SELECT * REPLACE (time + ${by} AS time, left(uuid, 24) || printf('%012x', ${at * WRITTEN} + row_number() OVER ()) AS uuid,
        CAST(32768 + (hash(source_port, ${at}, time) % 28000) AS USMALLINT) AS source_port)
        FROM read_parquet([${sources.join(", ")}]) ORDER BY time) TO '${join(to, segmentName(range))}'
        (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)`,
    );
  }
  connection.closeSync();
  instance.closeSync();
}

const line = (name: string, unit: string, skep: number, aim: number | null = null): Parameters<typeof print>[0] => ({
  ...{ bench: "history", case: name, unit, skep, peer: aim, peerName: aim === null ? null : "aim" },
});

async function timed(name: string, ask: (round: number) => Promise<number>): Promise<void> {
  const times: number[] = [];
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = performance.now();
    found = await ask(round);
    times.push(performance.now() - before);
    if (found === 0) throw new Error(`${name}: nothing was found`);
  }
  print(line(`${name} (${found} rows)`, "ms", median(times), AIM_MS));
}

async function ask(folder: string): Promise<void> {
  const history = await History.open({ folder, nodeName: "n", now: () => START + DAY, maxBytes: 2 ** 40 });
  const status = await history.status();
  if (status.flows < FLOWS) throw new Error(`${status.flows} flows instead of ${FLOWS}`);
  print(line(`${status.flows} flows: size of each`, "bytes", Number(status.bytes) / Number(status.flows)));
  const hour = 3600n * SECOND;
  /** Another hour each time: nothing was just read. */
  const since = (round: number): bigint => START + hour * BigInt(1 + round * 2);
  const during = (round: number): string => `time BETWEEN ${since(round)} AND ${since(round) + hour}`;
  const sql = async (text: string): Promise<number> => (await history.query(text, 1000)).rows.length;
  await timed("SQL: drops of an hour by destination", (round) =>
    sql(`SELECT destination_pod, count(*) FROM flows WHERE verdict = 'DROPPED' AND ${during(round)} GROUP BY ALL`),
  );
  await timed("SQL: an hour's flows between two workloads", (round) =>
    sql(
      `SELECT time, verdict, destination_port FROM flows WHERE source_pod = 'app3-1' AND destination_pod = 'app3-2' AND ${during(round)} LIMIT 1000`,
    ),
  );
  const flows = async (
    request: Parameters<typeof create<typeof observer.GetFlowsRequestSchema>>[1],
  ): Promise<number> => {
    let found = 0;
    const asked = create(observer.GetFlowsRequestSchema, request);
    for await (const _ of history.flows(asked, new AbortController().signal)) found += 1;
    return found;
  };
  const range = (round: number): { since: ReturnType<typeof timestampOf>; until: ReturnType<typeof timestampOf> } => ({
    since: timestampOf(since(round)),
    until: timestampOf(since(round) + hour),
  });
  await timed("observe: the last 100 drops of an hour", (round) =>
    flows({ ...range(round), number: 100n, whitelist: [{ verdict: [flow.Verdict.DROPPED] }] }),
  );
  await timed("observe: an hour's drops from one workload", (round) =>
    flows({ ...range(round), whitelist: [{ verdict: [flow.Verdict.DROPPED], sourcePod: ["team6/app3-1"] }] }),
  );
  await history.close();
}

await withFolder(async (folder) => {
  await write(folder);
  await ask(folder);
});
