import { existsSync, readFileSync } from "node:fs";

const folder = new URL("../../../../shared/data/hubble/", import.meta.url);

/** A file of conformance data; null, and said aloud, where it is missing. */
export function conformanceText(name: string): string | null {
  const file = new URL(name, folder);
  if (existsSync(file)) return readFileSync(file, "utf8");
  console.warn(`skipped: no ../shared/data/hubble/${name}`);
  return null;
}

/** Lines of such a file, each a JSON value. */
export function conformanceLines<T>(name: string): T[] | null {
  const text = conformanceText(name);
  if (text === null) return null;
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
