import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A folder or file of the data that others wrote; null, and said, where it is not there. */
export function sharedData(name: string): string | null {
  const path = fileURLToPath(new URL(`../../../../shared/data/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  console.warn(`skipped: there is no ${name} in the shared data (${path})`);
  return null;
}
