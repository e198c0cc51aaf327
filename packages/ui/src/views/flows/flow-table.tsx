import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import { endTitle, sideOf } from "../../model/ends.ts";
import {
  dropText,
  flagsOf,
  isReply,
  layer7Name,
  outcomeOf,
  policiesOf,
  policyName,
  type Row,
  transportOf,
} from "../../model/row.ts";
import { formatClock, formatCount } from "../../model/text.ts";
import { Icon } from "../../parts/icon.tsx";
import { Verdict } from "../../parts/verdict.tsx";
import type { FeedSnapshot } from "../../state/feed.ts";

export const ROW_HEIGHT = 30;

interface FlowTableProps {
  readonly snapshot: FeedSnapshot;
  /** The uuid of the flow that is shown in full. */
  readonly selected: string | null;
  readonly onSelect: (row: Row | null) => void;
  readonly empty: ReactNode;
}

function EndCell({ row, side }: { readonly row: Row; readonly side: "source" | "destination" }): ReactNode {
  const { title, namespace } = endTitle(sideOf(row.flow, side));
  const { name, sourcePort, destinationPort } = transportOf(row.flow);
  const port = side === "source" ? sourcePort : destinationPort;
  return (
    <span role="gridcell" className="cell end">
      {namespace === "" ? null : <span className="quiet">{namespace}/</span>}
      <span className="end-name">{title}</span>
      {port === 0 || name.startsWith("ICMP") ? null : <span className="quiet">:{port}</span>}
    </span>
  );
}

/** Why: the reason of a drop and the policy, or what was asked above the transport. */
export function whyText({ flow: message }: Row): string {
  const policies = policiesOf(message);
  const deciding = outcomeOf(message) === "dropped" ? policies.filter(({ verdict }) => verdict === "denied") : policies;
  const names = [...new Set(deciding.map(policyName))].join(", ");
  return [dropText(message), names, message.l7 ? message.Summary : ""].filter((text) => text !== "").join(" · ");
}

interface FlowRowProps {
  readonly row: Row;
  readonly index: number;
  readonly top: number;
  readonly selected: boolean;
  readonly onSelect: (row: Row) => void;
}

const FlowRow = memo(function FlowRow({ row, index, top, selected, onSelect }: FlowRowProps): ReactNode {
  const { name } = transportOf(row.flow);
  const protocol = [layer7Name(row.flow) || name, flagsOf(row.flow)].filter((text) => text !== "").join(" ");
  return (
    <div
      role="row"
      id={`flow-${row.id}`}
      aria-rowindex={index + 2}
      aria-selected={selected}
      className={`row ${outcomeOf(row.flow)}${selected ? " selected" : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(row)}
    >
      <span role="gridcell" className="cell time">
        {formatClock(row.time)}
      </span>
      <EndCell row={row} side="source" />
      <span role="gridcell" className="cell way" aria-label={isReply(row.flow) ? "reply to" : "to"}>
        <Icon name="arrow" size={14} />
      </span>
      <EndCell row={row} side="destination" />
      <span role="gridcell" className="cell protocol">
        {protocol}
        {isReply(row.flow) ? <span className="tag">reply</span> : null}
      </span>
      <span role="gridcell" className="cell">
        <Verdict message={row.flow} />
      </span>
      <span role="gridcell" className="cell why" title={whyText(row)}>
        {whyText(row)}
      </span>
    </div>
  );
});

const columns = ["Time", "Source", "", "Destination", "Protocol", "Verdict", "Reason and policy"];

/** Where the row stands from the newest; -1 where it is gone. */
function indexOf(snapshot: FeedSnapshot, uuid: string | null): number {
  if (uuid === null) return -1;
  for (let i = 0; i < snapshot.rows.size; i++) if (snapshot.rows.fromNewest(i)?.flow.uuid === uuid) return i;
  return -1;
}

/** The newest first. While somebody reads further down, what comes does not move what is read. */
export function FlowTable({ snapshot, selected, onSelect, empty }: FlowTableProps): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const { rows, epoch } = snapshot;
  const virtual = useVirtualizer({
    count: rows.size,
    getScrollElement: () => place.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  const newest = rows.fromNewest(0)?.id ?? -1;
  const before = useRef({ newest, epoch });
  useLayoutEffect(() => {
    const element = place.current;
    const { newest: last, epoch: lastEpoch } = before.current;
    before.current = { newest, epoch };
    if (!element || lastEpoch !== epoch || last < 0 || element.scrollTop < ROW_HEIGHT) return;
    element.scrollTop += (newest - last) * ROW_HEIGHT;
  }, [newest, epoch]);
  useEffect(() => {
    if (place.current) place.current.scrollTop = 0;
  }, [epoch]);
  const move = (to: number): void => {
    const index = Math.max(0, Math.min(rows.size - 1, to));
    const row = rows.fromNewest(index);
    if (!row) return;
    virtual.scrollToIndex(index);
    onSelect(row);
  };
  const onKey = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor((place.current?.clientHeight ?? 0) / ROW_HEIGHT) - 2);
    const at = indexOf(snapshot, selected);
    const steps: Readonly<Record<string, number>> = {
      ...{ ArrowDown: at + 1, j: at + 1, ArrowUp: Math.max(0, at - 1), k: Math.max(0, at - 1) },
      ...{ PageDown: at + page, PageUp: at - page, Home: 0, End: rows.size - 1 },
    };
    const to = steps[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(to);
  };
  const active = rows.fromNewest(indexOf(snapshot, selected));
  return (
    <section className="flow-table" aria-label="Flows">
      <div
        className="grid"
        role="grid"
        aria-label={`${formatCount(rows.size)} flows, the newest first`}
        aria-rowcount={rows.size + 1}
        aria-colcount={columns.length}
        {...(active ? { "aria-activedescendant": `flow-${active.id}` } : {})}
        tabIndex={0}
        ref={place}
        onKeyDown={onKey}
      >
        <div role="row" className="row head" aria-rowindex={1}>
          {columns.map((name, i) => (
            <span role="columnheader" className="cell" key={name || i}>
              {name === "" ? <span className="hidden">Direction</span> : name}
            </span>
          ))}
        </div>
        <div className="rows" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const row = rows.fromNewest(index);
            if (!row) return null;
            return (
              <FlowRow
                {...{ row, index, onSelect }}
                key={row.id}
                top={start}
                selected={selected !== null && row.flow.uuid === selected}
              />
            );
          })}
        </div>
      </div>
      {rows.size === 0 ? empty : null}
    </section>
  );
}
