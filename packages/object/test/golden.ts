import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ObjectSpec } from "@skep/object";
import { readObject } from "@skep/object";

const folder = new URL("../testdata/", import.meta.url);

/** Names of the golden objects, without `.o`. */
export const goldenNames: readonly string[] = readdirSync(folder)
  .filter((name) => name.endsWith(".o"))
  .map((name) => name.slice(0, -2))
  .sort();

export function goldenPath(name: string): string {
  return fileURLToPath(new URL(`${name}.o`, folder));
}

export function goldenBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(goldenPath(name)));
}

export function golden(name: string): ObjectSpec {
  return readObject(goldenBytes(name));
}
