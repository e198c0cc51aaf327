import type { ConnectError } from "@connectrpc/connect";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";
import type { skep } from "@skep/api";
import type { Clients } from "./api/clients.ts";
import { ChipError } from "./model/chip-fields.ts";
import { type Chip, type FlowFilters, filtersOf, formatChip } from "./model/chips.ts";
import type { View } from "./model/location.ts";
import { type Sample, sampleOf, withSample } from "./model/samples.ts";
import { Boundary } from "./parts/boundary.tsx";
import { FlowFeed } from "./state/feed.ts";
import { isAway, useFeed, usePolled } from "./state/hooks.ts";
import { usePlace } from "./state/place.ts";
import { useShortcuts } from "./state/shortcuts.ts";
import { FlowControls, FlowsView, type FlowsViewProps } from "./views/flows-view.tsx";
import { EndpointsView, IdentitiesView, ServicesView } from "./views/lists/lists.tsx";
import { PlaygroundView } from "./views/playground-view.tsx";
import { Header } from "./views/header.tsx";

/** Filters of the chips; a chip that says nothing is left out, and named. */
function readChips(chips: readonly Chip[]): { readonly filters: FlowFilters; readonly problem: string | null } {
  try {
    return { filters: filtersOf(chips), problem: null };
  } catch (error) {
    if (error instanceof ChipError) return { filters: { allow: [], deny: [] }, problem: error.message };
    throw error;
  }
}

// What is not there at first sight is loaded when it is asked for.
const PoliciesView = lazy(async () => ({ default: (await import("./views/policies/policies-view.tsx")).PoliciesView }));
const MetricsView = lazy(async () => ({ default: (await import("./views/metrics/metrics-view.tsx")).MetricsView }));

/** The counters of every answer. */
function useSamples(status: skep.GetStatusResponse | null): readonly Sample[] {
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  useEffect(() => {
    if (status) setSamples((before) => withSample(before, sampleOf(Date.now(), status.counters)));
  }, [status]);
  return samples;
}

interface Told {
  readonly samples: readonly Sample[];
  readonly problem: ConnectError | null;
}

function viewOf(view: View, shared: FlowsViewProps, { samples, problem }: Told): ReactNode {
  switch (view) {
    case "map":
    case "flows":
      return <FlowsView {...shared} />;
    case "policies":
      return (
        <main className="flows-view">
          <FlowControls {...shared} />
          <PoliciesView {...shared} />
        </main>
      );
    case "endpoints":
      return <Listing view={<EndpointsView {...shared} />} />;
    case "services":
      return <Listing view={<ServicesView {...shared} />} />;
    case "identities":
      return <Listing view={<IdentitiesView {...shared} />} />;
    case "metrics":
      return <MetricsView {...shared} samples={samples} problem={problem} />;
    case "playground":
      return <PlaygroundView />;
  }
}

function Listing({ view }: { readonly view: ReactNode }): ReactNode {
  return <main>{view}</main>;
}

export function App({ clients }: { readonly clients: Clients }): ReactNode {
  const [place, go] = usePlace();
  const [feed] = useState(() => new FlowFeed(clients));
  const snapshot = useFeed(feed);
  const input = useRef<HTMLInputElement>(null);
  const asked = place.chips.map(formatChip).join("\n");
  const { filters, problem } = useMemo(() => readChips(place.chips), [asked]);
  const { period } = place;
  const periodKey = period ? `${period.from} ${period.to}` : "";
  useEffect(() => feed.ask({ filters, period }), [feed, filters, periodKey]);
  const status = usePolled((signal) => clients.agent.getStatus({}, { signal }), 2000);
  const show = (view: View): void => go({ view, selection: null });
  useShortcuts({
    onView: show,
    onFilter: () => input.current?.focus(),
    onClose: () => go({ selection: null }),
    onPause: () => feed.pause(!snapshot.paused),
  });
  const samples = useSamples(status.value);
  const shared = { ...{ clients, place, go, feed, snapshot, input, problem, filters }, status: status.value };
  return (
    <div className="app">
      <Header view={place.view} onView={show} status={status} state={snapshot.state} lost={snapshot.lost} />
      {place.view !== "playground" && status.value && isAway(status) ? (
        <p className="notice bad" role="status">
          The agent does not answer. What is shown is from before; the page asks again until it does.
        </p>
      ) : null}
      <Boundary name={place.view}>
        <Suspense fallback={<main className="waiting" />}>
          {viewOf(place.view, shared, { samples, problem: status.problem })}
        </Suspense>
      </Boundary>
    </div>
  );
}
