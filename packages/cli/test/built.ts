import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The bundled command, brought up to date: it starts in a tenth of the time that its sources take. Throws what the build said. */
export function builtCommand(): string {
  const built = spawnSync(process.execPath, [`${root}scripts/build.mjs`], { encoding: "utf8" });
  if (built.status !== 0) throw new Error(`the command was not built:\n${built.stderr}`);
  return `${root}dist/skep.mjs`;
}
