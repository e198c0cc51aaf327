/**
 * @module
 * `skep bpf`: what the datapath's maps hold, read from the kernel.
 */
import { datapathTables, flushTable, type TableRow } from "@skep/datapath";
import { openLinux } from "@skep/linux";
import { CliError } from "../errors.ts";
import type { Plain } from "../output/plain.ts";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { notedPlace } from "../place.ts";

export interface TableOptions {
  readonly run: string;
  /** Where the agent noted no place. */
  readonly pins: string;
  readonly output: ListFormat;
}

/** 64-bit numbers that JSON's readers would round are text. */
const plainRow = (row: TableRow): Plain =>
  Object.fromEntries(
    Object.entries(row).map(([name, cell]) => [
      name,
      typeof cell === "bigint" ? (Number.isSafeInteger(Number(cell)) ? Number(cell) : cell.toString()) : cell,
    ]),
  );

const notPinned = (pins: string): CliError =>
  new CliError(`no datapath is pinned in ${pins}: start the agent (skep up), or name its --run or --pins`);

export function tableFlush(name: "ct" | "nat", options: Omit<TableOptions, "output">): void {
  const pins = notedPlace(options.run)?.pins ?? options.pins;
  const gone = flushTable(openLinux(), pins, name === "ct" ? "skep_ct" : "skep_nat");
  if (gone === null) throw notPinned(pins);
  process.stdout.write(`${gone} entries removed\n`);
}

/** `endpoint`: rows of this endpoint only. */
export async function tableList(name: string, options: TableOptions & { readonly endpoint?: number }): Promise<void> {
  const table = datapathTables.find((each) => each.name === name);
  if (!table) throw new Error(`there is no table ${name}`);
  const pins = notedPlace(options.run)?.pins ?? options.pins;
  const read = table.read(openLinux(), pins);
  if (!read) throw notPinned(pins);
  const rows = options.endpoint === undefined ? read : read.filter((row) => row["endpoint"] === options.endpoint);
  await printAs(options.output, rows.map(plainRow), () =>
    formatTable(
      table.columns.map(([title]) => title),
      rows.map((row) => table.columns.map(([, cell]) => cell(row))),
    ),
  );
}
