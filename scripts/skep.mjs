// Runs the command from dist/, building it first where it is missing or older than its sources.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bundle = join(root, "dist", "skep.mjs");

// A checkout has its sources and esbuild; a package has only the bundle.
if (existsSync(join(root, "node_modules", "esbuild")) && existsSync(join(root, "packages"))) {
  const { build } = await import("./build.mjs");
  await build();
} else if (!existsSync(bundle)) {
  console.error("skep: the dependencies are not installed: run `npm ci` first");
  process.exit(2);
}
await import(pathToFileURL(bundle).href);
