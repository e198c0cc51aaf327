// `npm run report -- NAME [ARGS]`: runs reports/NAME.ts, a long check too slow for the tests; it writes its findings to reports/NAME.md.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "reports");
const [name, ...args] = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && !file.startsWith("_"))
  .map((file) => file.slice(0, -3));
if (!name || !existsSync(join(folder, `${name}.ts`))) {
  console.error(`usage: npm run report -- NAME\nNAME is one of: ${names.join(", ")}`);
  process.exit(2);
}
await build();
const { status } = spawnSync(
  process.execPath,
  ["--conditions=skep-source", "--import", "tsx", join(folder, `${name}.ts`), ...args],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
