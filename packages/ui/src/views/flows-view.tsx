import { type ReactNode, type RefObject, useMemo } from "react";
import type { skep } from "@skep/api";
import type { Clients } from "../api/clients.ts";
import { type Chip, type FlowFilters, sameChip } from "../model/chips.ts";
import { type Grouping, groupings } from "../model/ends.ts";
import { collectNames } from "../model/known.ts";
import type { Place, Selection } from "../model/location.ts";
import { type NamedPolicy, policyName, type Row } from "../model/row.ts";
import { formatCount } from "../model/text.ts";
import { Empty } from "../parts/empty.tsx";
import { Icon } from "../parts/icon.tsx";
import type { FeedSnapshot, FlowFeed } from "../state/feed.ts";
import { useServiceMap } from "../state/hooks.ts";
import type { Go } from "../state/place.ts";
import { FilterBar } from "./filter-bar.tsx";
import { FlowDetails } from "./flows/flow-details.tsx";
import { FlowTable } from "./flows/flow-table.tsx";
import { EdgeDetails, NodeDetails } from "./map/edge-details.tsx";
import { ServiceMap } from "./map/service-map.tsx";
import { WhyOf } from "./policies/why.tsx";
import { Timeline } from "./timeline.tsx";

export interface FlowsViewProps {
  readonly clients: Clients;
  readonly place: Place;
  readonly go: Go;
  readonly feed: FlowFeed;
  readonly snapshot: FeedSnapshot;
  readonly status: skep.GetStatusResponse | null;
  readonly input: RefObject<HTMLInputElement | null>;
  readonly problem: string | null;
  readonly filters: FlowFilters;
}

/** Which flows are shown: chips, and the period. */
export function FlowControls(
  props: FlowsViewProps & { readonly known?: ReadonlyMap<string, readonly string[]> },
): ReactNode {
  const { clients, place, go, snapshot, input, filters, problem, known = NOTHING } = props;
  return (
    <>
      <FilterBar chips={place.chips} onChange={(next) => go({ chips: next })} known={known} input={input} />
      {problem === null ? null : (
        <p className="notice bad" role="alert">
          {problem}
        </p>
      )}
      <Timeline
        {...{ clients, filters, snapshot }}
        period={place.period}
        onPeriod={(next) => go({ period: next, selection: null }, place.period && next ? "replace" : "push")}
      />
    </>
  );
}

const NOTHING: ReadonlyMap<string, readonly string[]> = new Map();

/** The map and the flows, or the flows alone. */
export function FlowsView(props: FlowsViewProps): ReactNode {
  const { place, go, feed, snapshot, status } = props;
  const { selection, grouping, period } = place;
  const map = useServiceMap(snapshot, grouping, period);
  const known = useMemo(() => collectNames(map), [map]);
  const empty = <NoFlows {...{ place, go, snapshot, status }} />;
  const select = (next: Selection | null): void => go({ selection: next }, "replace");
  const isFlow = selection?.kind === "flow";
  return (
    <main className="flows-view">
      <FlowControls {...props} known={known} />
      <div className="stage">
        <div className="panes">
          {place.view === "map" ? (
            <div className="pane map-pane">
              <ServiceMap map={map} selection={selection} onSelect={select} empty={empty} />
              <GroupingChoice grouping={grouping} onChange={(next) => go({ grouping: next, selection: null })} />
            </div>
          ) : null}
          <div className="pane table-pane">
            <TableBar snapshot={snapshot} feed={feed} />
            <FlowTable
              snapshot={snapshot}
              selected={isFlow ? selection.key : null}
              onSelect={(row) => select(row && { kind: "flow", key: row.flow.uuid })}
              empty={place.view === "map" ? null : empty}
            />
          </div>
        </div>
        <Details {...props} map={map} onSelect={select} />
      </div>
    </main>
  );
}

function GroupingChoice(props: { grouping: Grouping; onChange: (grouping: Grouping) => void }): ReactNode {
  return (
    <label className="grouping">
      <span className="quiet">Group by</span>
      <select value={props.grouping} onChange={(event) => props.onChange(event.target.value as Grouping)}>
        {groupings.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function TableBar({ snapshot, feed }: Pick<FlowsViewProps, "snapshot" | "feed">): ReactNode {
  const { rows, paused } = snapshot;
  return (
    <div className="table-bar">
      <h2>Flows</h2>
      <span className="quiet">
        {formatCount(rows.size)}
        {rows.dropped > 0 ? `, ${formatCount(rows.dropped)} older ones left out` : ""}
      </span>
      <button type="button" className="quiet-button" aria-pressed={paused} onClick={() => feed.pause(!paused)}>
        <Icon name={paused ? "play" : "pause"} size={14} /> {paused ? "Go on" : "Hold"}
      </button>
    </div>
  );
}

function NoFlows({
  place,
  go,
  snapshot,
  status,
}: Pick<FlowsViewProps, "place" | "go" | "snapshot" | "status">): ReactNode {
  const { state } = snapshot;
  if (state.name === "lost") {
    return (
      <Empty icon="warn" title="The agent does not answer">
        The page asks again until it does. What it said last: <q>{state.problem}</q>
      </Empty>
    );
  }
  if (state.name === "refused") {
    return (
      <Empty icon="warn" title="The filters are refused">
        {state.problem}
      </Empty>
    );
  }
  if (state.name === "connecting") return <Empty icon="flows" title="Connecting …" />;
  if (place.chips.length > 0 || place.period) {
    return (
      <Empty icon="search" title="No flow matches">
        <button type="button" className="button" onClick={() => go({ chips: [], period: null })}>
          Show all flows
        </button>
      </Empty>
    );
  }
  return (
    <Empty icon="flows" title="No flows yet">
      {status?.endpoints === 0 ? "There are no workloads. Start one: " : "Workloads are silent. Let one talk: "}
      <code>skep run --name web --label app=web -- python3 -m http.server 80</code>
    </Empty>
  );
}

interface DetailsProps extends FlowsViewProps {
  readonly map: ReturnType<typeof useServiceMap>;
  readonly onSelect: (selection: Selection | null) => void;
}

function rowOfUuid(snapshot: FeedSnapshot, uuid: string): Row | null {
  for (let i = 0; i < snapshot.rows.size; i++) {
    const row = snapshot.rows.fromNewest(i);
    if (row?.flow.uuid === uuid) return row;
  }
  return null;
}

function Details({ clients, place, go, snapshot, map, onSelect }: DetailsProps): ReactNode {
  const { selection, chips } = place;
  if (!selection) return null;
  const onClose = (): void => onSelect(null);
  const onFilter = (...more: Chip[]): void => {
    const fresh = more.filter((chip) => !chips.some((other) => sameChip(other, chip)));
    go({ chips: [...chips, ...fresh] });
  };
  const onPolicy = (policy: Pick<NamedPolicy, "kind" | "namespace" | "name">): void =>
    go({ view: "policies", selection: { kind: "policy", key: `${policy.kind}/${policyName(policy)}` } });
  if (selection.kind === "flow") {
    const row = rowOfUuid(snapshot, selection.key);
    if (!row) return null;
    const why = <WhyOf {...{ clients, onPolicy }} message={row.flow} />;
    return <FlowDetails {...{ row, onClose, onFilter, onPolicy, why }} />;
  }
  if (selection.kind === "edge") {
    const edge = map.edges.find(({ key }) => key === selection.key);
    if (!edge) return null;
    const why = <WhyOf {...{ clients, onPolicy }} message={edge.sample.flow} />;
    return <EdgeDetails {...{ edge, map, onClose, onFilter, onPolicy, why }} />;
  }
  const node = map.nodes.find(({ key }) => key === selection.key);
  const onEdge = (key: string): void => onSelect({ kind: "edge", key });
  return node ? <NodeDetails {...{ node, map, onClose, onFilter, onEdge }} /> : null;
}
