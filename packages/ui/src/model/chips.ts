/**
 * @module
 * Filters as people see them: chips, one for each value. They stand in the address of the page as `f=verdict=DROPPED` and `f=!pod=default/web`,
 * and become Hubble's filters.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { chipField, ChipError, type FilterLists } from "./chip-fields.ts";

export interface Chip {
  readonly field: string;
  readonly value: string;
  /** Flows that match are left out. */
  readonly not: boolean;
}

export function formatChip({ field, value, not }: Chip): string {
  return `${not ? "!" : ""}${field}=${value}`;
}

/** Null where it is no chip. */
export function parseChip(text: string): Chip | null {
  const found = /^(!?)([a-z0-9-]+)[=:](.*)$/s.exec(text.trim());
  const [, not = "", field = "", value = ""] = found ?? [];
  if (!found || value.trim() === "" || !chipField(field)) return null;
  return { field, value: value.trim(), not: not === "!" };
}

export function sameChip(a: Chip, b: Chip): boolean {
  return formatChip(a) === formatChip(b);
}

export interface FlowFilters {
  readonly allow: flow.FlowFilter[];
  readonly deny: flow.FlowFilter[];
}

/** What is wrong with the value; null: nothing. */
export function chipProblem({ field, value }: Chip): string | null {
  try {
    applied([{ field, value, not: false }]);
    return null;
  } catch (error) {
    if (error instanceof ChipError) return error.message;
    throw error;
  }
}

/**
 * A flow must match every field that has chips, by any of its values; what matches a chip with `not` is left out. Fields of either end are
 * asked of the source or of the destination, all of them of the same end. Throws ChipError.
 */
export function filtersOf(chips: readonly Chip[]): FlowFilters {
  const wanted = chips.filter(({ not }) => !not);
  return {
    allow: wanted.length === 0 ? [] : applied(wanted),
    deny: chips.filter(({ not }) => not).flatMap((chip) => applied([chip])),
  };
}

function applied(chips: readonly Chip[]): flow.FlowFilter[] {
  const source: FilterLists = {};
  const destination: FilterLists = {};
  for (const { field, value } of chips) {
    const found = chipField(field);
    if (!found) throw new ChipError(`there is no filter ${field}`);
    found.apply({ source, destination }, value);
  }
  const filters = [source, destination].map((lists) =>
    create(flow.FlowFilterSchema, lists as MessageInitShape<typeof flow.FlowFilterSchema>),
  );
  const text = (lists: FilterLists): string =>
    JSON.stringify(lists, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return text(source) === text(destination) ? filters.slice(0, 1) : filters;
}
