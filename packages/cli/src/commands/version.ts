import os from "node:os";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatPairs } from "../output/table.ts";
import { VERSION } from "../version.ts";

export function printVersion(format: ListFormat): Promise<void> {
  const versions = { skep: VERSION, node: process.versions.node, kernel: os.release(), machine: os.machine() };
  return printAs(format, versions, () => formatPairs(Object.entries(versions)));
}
