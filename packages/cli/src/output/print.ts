import { usageError } from "../errors.ts";
import type { Plain } from "./plain.ts";

export const listFormats = ["table", "json", "yaml"] as const;
export type ListFormat = (typeof listFormats)[number];

/** Writes, and waits where the reader is slow. */
export function write(text: string): Promise<void> {
  if (text === "" || process.stdout.write(text)) return Promise.resolve();
  return new Promise((resolve) => process.stdout.once("drain", resolve));
}

export function note(text: string): void {
  process.stderr.write(`skep: ${text}\n`);
}

/** Values in the format asked for; `table` makes the text for people. */
export async function printAs(format: ListFormat, value: Plain, table: () => string): Promise<void> {
  switch (format) {
    case "table":
      return write(table());
    case "json":
      return write(`${JSON.stringify(value, null, 2)}\n`);
    case "yaml": {
      const { stringify } = await import("./yaml.ts");
      return write(stringify(value));
    }
  }
}

export function listFormat(text: string): ListFormat {
  const found = listFormats.find((format) => format === text);
  if (!found) throw usageError(`there is no format "${text}": one of ${listFormats.join(", ")}`);
  return found;
}

/** Colour where a terminal reads and nobody has forbidden it (no-color.org). */
export function hasColor(stream: NodeJS.WriteStream = process.stdout): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true;
  return stream.isTTY === true && TERM !== "dumb";
}
