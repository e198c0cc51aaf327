import type { ConnectError } from "@connectrpc/connect";
import { type ReactNode, useMemo } from "react";
import { ratesOf, type Rates, type Sample } from "../../model/samples.ts";
import { formatBytes, formatCount, formatSpan } from "../../model/text.ts";
import { spans } from "../../model/timeline.ts";
import { NotTold } from "../../parts/empty.tsx";
import { usePolled } from "../../state/hooks.ts";
import type { FlowsViewProps } from "../flows-view.tsx";
import { askTimeline, BUCKETS } from "../timeline.tsx";
import { Plot } from "./plot.tsx";

const SPAN_MS = spans[1].ms;
const REASON_COLOURS = ["--bad-line", "--warn", "--accent", "--quiet"];

type MetricsViewProps = Omit<FlowsViewProps, "problem"> & {
  readonly samples: readonly Sample[];
  readonly problem: ConnectError | null;
};

/** Numbers of the agent, and lines over time. */
export function MetricsView({ clients, filters, status, samples, problem }: MetricsViewProps): ReactNode {
  const timeline = usePolled((signal) => {
    const now = Date.now();
    return askTimeline(clients, { filters, axis: { from: now - SPAN_MS, to: now }, signal });
  }, 3000);
  const history = usePolled((signal) => clients.flows.getHistory({}, { signal }), 5000);
  const flows = useMemo<Rates>(() => {
    const buckets = timeline.value ?? [];
    const seconds = SPAN_MS / BUCKETS / 1000;
    const series = (["forwarded", "dropped", "other"] as const).map((name) => ({
      name,
      values: buckets.map((bucket) => bucket[name] / seconds),
    }));
    return { times: buckets.map(({ start }) => start / 1000), series };
  }, [timeline.value]);
  const packets = useMemo(() => ratesOf(samples), [samples]);
  const only = (wanted: (name: string) => boolean): Rates => ({
    times: packets.times,
    series: packets.series.filter(({ name }) => wanted(name)),
  });
  const forwarded = useMemo(() => only((name) => name === "Forwarded"), [packets]);
  const drops = useMemo(() => only((name) => name !== "Forwarded"), [packets]);
  const kept = history.value;
  const tiles: readonly (readonly [string, string])[] = status
    ? [
        ["Endpoints", formatCount(status.endpoints)],
        ["Identities", formatCount(status.identities)],
        ["Services", formatCount(status.services)],
        ["Policy revision", formatCount(status.policyRevision)],
        ["Flows seen", formatCount(status.flowsSeen)],
        ["Events lost", formatCount(status.eventsLost)],
        ["Up for", formatSpan(Math.max(0, Date.now() - Number(status.startedAt)))],
        ...(kept && kept.ringFlows + kept.flows > 0n
          ? [
              [
                "Flows kept",
                `${formatCount(kept.ringFlows + kept.flows)}${kept.bytes > 0n ? `, ${formatBytes(Number(kept.bytes))}` : ""}`,
              ] as const,
            ]
          : []),
      ]
    : [];
  if (!status) {
    return (
      <main className="metrics untold">
        <NotTold problem={problem} what="its counters" />
      </main>
    );
  }
  return (
    <main className="metrics" tabIndex={0}>
      <dl className="tiles">
        {tiles.map(([name, value]) => (
          <div key={name} className="tile">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="plots">
        <Plot
          title="Flows by verdict, last 15 minutes"
          rates={flows}
          colours={["--good", "--bad-line", "--quiet"]}
          wide
          unit="/s"
        />
        <Plot title="Packets forwarded, since the page was opened" rates={forwarded} colours={["--good"]} unit="/s" />
        <Plot
          title="Packets dropped by reason, since the page was opened"
          rates={drops}
          colours={REASON_COLOURS}
          unit="/s"
        />
      </div>
    </main>
  );
}
