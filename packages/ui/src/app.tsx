import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Clients } from "./api/clients.ts";
import { ChipError } from "./model/chip-fields.ts";
import { type Chip, type FlowFilters, filtersOf, formatChip } from "./model/chips.ts";
import type { View } from "./model/location.ts";
import { FlowFeed } from "./state/feed.ts";
import { useFeed, usePolled } from "./state/hooks.ts";
import { usePlace } from "./state/place.ts";
import { useShortcuts } from "./state/shortcuts.ts";
import { FlowsView } from "./views/flows-view.tsx";
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
  const shared = { clients, place, go, feed, snapshot, status: status.value, input, problem };
  return (
    <div className="app">
      <Header view={place.view} onView={show} status={status} state={snapshot.state} lost={snapshot.lost} />
      <FlowsView {...shared} />
    </div>
  );
}
