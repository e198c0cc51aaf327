/**
 * @module
 * What the pinned maps hold, as rows that print themselves: read from the kernel, whether an agent is at work or not.
 */
import type { BpfMachine, Machine, RawMap } from "@skep/machine";
import { formatAddress } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import type * as maps from "../bpf/maps.bpf.ts";
import { decodeAddress } from "../encode.ts";
import { readSkepObject } from "../object.ts";
import { openPinnedMap } from "../layouts.ts";

/** Addresses are text, 64-bit counters bigints. */
export type TableCell = string | number | bigint | boolean | null;
export type TableRow = Readonly<Record<string, TableCell>>;

export interface DatapathTable {
  /** As in `skep bpf NAME list`. */
  readonly name: string;
  readonly summary: string;
  /** Header and cell of each column. */
  readonly columns: readonly (readonly [title: string, cell: (row: TableRow) => string])[];
  /** Rows in a stable order; null where the datapath is not pinned there. Throws LayoutError where another version has pinned it. */
  readonly read: (machine: Pick<Machine, "bpf" | "clock">, pins: string) => TableRow[] | null;
}

export const text = (name: string) => (row: TableRow) => (row[name] === null ? "" : String(row[name]));

/** Reads one map; the order is that of the rows' text. */
export function table(
  definition: Pick<DatapathTable, "name" | "summary" | "columns"> & {
    readonly map: string;
    readonly rows: (map: RawMap, machine: Pick<Machine, "clock">) => Iterable<TableRow>;
  },
): DatapathTable {
  const { map: name, rows, ...rest } = definition;
  return {
    ...rest,
    read(machine, pins) {
      const map = open(machine.bpf, pins, name);
      if (!map) return null;
      try {
        return [...rows(map, machine)];
      } finally {
        map.close();
      }
    },
  };
}

let object: ObjectSpec | undefined;

export function open(bpf: BpfMachine, pins: string, name: string): RawMap | null {
  object ??= readSkepObject();
  return openPinnedMap(bpf, { pins, spec: object, name });
}

/** An address as text; empty for none. */
export const addressText = (words: maps.Address): string =>
  (words.w0 | words.w1 | words.w2 | words.w3) === 0 ? "" : formatAddress(decodeAddress(words));

export const endText = (address: TableCell | undefined, port: TableCell | undefined): string =>
  String(address).includes(":") ? `[${String(address)}]:${String(port)}` : `${String(address)}:${String(port)}`;
