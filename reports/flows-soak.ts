// Events for SECONDS (default 1800), RATE a second (default 20,000), through all that an agent does with them: the ring, metrics, one follower, the
// history on disk; 20 times in between 200,000 at once, which no ring has room for. Writes how much memory that took, and whether the totals are
// equal: reports/flows-soak.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { flow, observer } from "@skep/api";
import { EVENT_SIZE } from "@skep/datapath";
import { FlowMetrics, History, Observer, uuids } from "@skep/flows";
import { Registry } from "prom-client";
import { context } from "../packages/flows/test/fixtures.ts";
import { eventRecords, setTime } from "../packages/flows/test/records.ts";

const SAMPLES = 20;
/** At once, with each sample: more than the ring has room for and the time of one turn allows. */
const BURST = 200_000;
/** Resident memory that the whole process may have. */
const BOUND = 1 << 30;
const HISTORY_BYTES = 16 << 20;
const ROW = 10_000;
const TICK_MS = 20;

const seconds = Number(process.argv[2] ?? "1800");
const rate = Number(process.argv[3] ?? "20000");
if (!(seconds > 0 && rate > 0)) {
  console.error("usage: npm run report -- flows-soak [SECONDS [RATE]]");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "skep-flows-soak-"));
const now = (): bigint => BigInt(Date.now()) * 1_000_000n;
const registry = new Registry();
const metrics = new FlowMetrics({
  registry,
  metrics: ["drop", "flow", "tcp", "port-distribution:sourceContext=ip"],
  maxSeries: 500,
});
const history = await History.open({ folder, nodeName: "n", now, maxBytes: HISTORY_BYTES });
const policies = [{ kind: "CiliumNetworkPolicy", namespace: "default", name: "rule", labels: [], revision: 1n }];
let [looked, followed, missed, told] = [0, 0, 0, 0];
const flows = new Observer({
  ...{ nodeName: "default/n", version: "0", now, capacity: 65_535 },
  context: context({ wallTime: (time) => time, uuid: uuids(() => 1n), policies: () => policies }),
  onFlow: (record) => {
    looked += 1;
    metrics.add(record);
    history.add(record.flow);
  },
  onLoss: (source, lost) => history.addLoss(source, lost),
});

const stop = new AbortController();
const following = (async () => {
  const request = create(observer.GetFlowsRequestSchema, { follow: true });
  for await (const { responseTypes } of flows.getFlows(request, stop.signal)) {
    if (responseTypes.case === "flow") followed += 1;
    else if (
      responseTypes.case === "lostEvents" &&
      responseTypes.value.source === flow.LostEventSource.HUBBLE_RING_BUFFER
    )
      missed += Number(responseTypes.value.numEventsLost);
    else told += 1;
  }
})();

interface Sample {
  readonly second: number;
  readonly events: number;
  readonly resident: number;
  readonly heap: number;
  readonly disk: bigint;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const records = eventRecords(ROW);
const samples: Sample[] = [];
const started = performance.now();
let made = 0;
/** Those of the rate alone. */
let steady = 0;
let most = 0;

function make(count: number): void {
  const time = now();
  for (let at = 0; at < count; at++) {
    const record = at % ROW;
    setTime(records, record, time + BigInt(at));
    flows.addEvent(records, record * EVENT_SIZE);
  }
  made += count;
}

for (;;) {
  const passed = (performance.now() - started) / 1000;
  if (passed >= (samples.length + 1) * (seconds / SAMPLES)) {
    const { rss: resident, heapUsed: heap } = process.memoryUsage();
    const { bytes: disk } = await history.status();
    samples.push({ second: Math.round(passed), events: made, resident, heap, disk });
    await registry.metrics();
    make(BURST);
    if (samples.length === SAMPLES) break;
  }
  const due = Math.max(0, Math.min(ROW, Math.floor(passed * rate) - steady));
  make(due);
  steady += due;
  most = Math.max(most, process.memoryUsage.rss());
  await pause(TICK_MS);
}
while (looked + Number(flows.skipped) < made) await pause(TICK_MS);
flows.tellSkipped();
while (followed + missed + told < flows.ring.next) await pause(TICK_MS);
stop.abort();
await following;
await history.flush();
const status = await history.status();
await history.close();
rmSync(folder, { recursive: true, force: true });

const mebibytes = (bytes: number | bigint): string => (Number(bytes) / 1048576).toFixed(1);
const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
const head = ["second", "events", "resident MiB", "heap MiB", "disk MiB"];
const rows = samples.map((each) =>
  line([each.second, each.events, mebibytes(each.resident), mebibytes(each.heap), mebibytes(each.disk)]),
);
const isEqual = looked + Number(flows.skipped) === made;
const isFollowed = followed + missed + told === flows.ring.next;
const text = `# Soak: flows

\`npm run report -- flows-soak ${seconds} ${rate}\`: ${made} events in ${seconds} seconds through the ring of 65,535, metrics of at most 500 series, one
follower and a history of at most ${mebibytes(HISTORY_BYTES)} MiB; of them ${SAMPLES} times ${BURST} at once.

- Resident memory: at most ${mebibytes(most)} MiB${most <= BOUND ? "" : " TOO MUCH"} (bound ${mebibytes(BOUND)}).
- Looked at ${looked}, skipped ${flows.skipped}: ${isEqual ? "all" : "NOT ALL"} of ${made}.
- Followed ${followed}, missed ${missed}, of losses told ${told} times: ${isFollowed ? "all" : "NOT ALL"} places of the ring.
- History: ${status.flows} rows in ${mebibytes(status.bytes)} MiB at the end, ${status.lost} lost${status.error === "" ? "" : `, ERROR ${status.error}`}.

${[line(head), line(head.map(() => "---:")), ...rows].join("\n")}
`;
writeFileSync(fileURLToPath(new URL("flows-soak.md", import.meta.url)), text);
process.stdout.write(text);
if (!isEqual || !isFollowed || most > BOUND || status.error !== "") process.exitCode = 1;
