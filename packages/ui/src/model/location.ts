/**
 * @module
 * What the page shows, as it stands in its address: a link shows the same to somebody else.
 */
import { type Chip, formatChip, parseChip } from "./chips.ts";
import { groupings, type Grouping } from "./ends.ts";

export const views = [
  ...(["map", "flows", "policies", "endpoints", "services", "identities", "metrics", "playground"] as const),
] as const;
export type View = (typeof views)[number];

/** Milliseconds since 1970. */
export interface Period {
  readonly from: number;
  readonly to: number;
}

export interface Selection {
  readonly kind: "flow" | "edge" | "node" | "policy" | "endpoint";
  readonly key: string;
}

export interface Place {
  readonly view: View;
  readonly chips: readonly Chip[];
  readonly grouping: Grouping;
  /** Null: live. */
  readonly period: Period | null;
  readonly selection: Selection | null;
}

const selectable = ["flow", "edge", "node", "policy", "endpoint"] as const;

function parseMoment(text: string | null): number | null {
  if (text === null) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

function oneOf<T extends string>(values: readonly T[], text: string | null, otherwise: T): T {
  return values.find((value) => value === text) ?? otherwise;
}

/** `search`: with or without the question mark. What cannot be read is left out. */
export function parsePlace(search: string): Place {
  const query = new URLSearchParams(search);
  const from = parseMoment(query.get("from"));
  const to = parseMoment(query.get("to"));
  const kind = selectable.find((name) => query.has(name));
  const key = kind === undefined ? null : query.get(kind);
  return {
    view: oneOf(views, query.get("view"), "map"),
    chips: query.getAll("f").flatMap((text) => parseChip(text) ?? []),
    grouping: oneOf(groupings, query.get("group"), "app"),
    period: from !== null && to !== null && from < to ? { from, to } : null,
    selection: kind !== undefined && key ? { kind, key } : null,
  };
}

/** Empty, or with the question mark. */
export function formatPlace({ view, chips, grouping, period, selection }: Place): string {
  const query = new URLSearchParams();
  if (view !== "map") query.set("view", view);
  for (const chip of chips) query.append("f", formatChip(chip));
  if (grouping !== "app") query.set("group", grouping);
  if (period) {
    query.set("from", new Date(period.from).toISOString());
    query.set("to", new Date(period.to).toISOString());
  }
  if (selection) query.set(selection.kind, selection.key);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
