// `npm start`: builds, then plays the Star Wars example on real packets.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (!existsSync(join(root, "node_modules", "esbuild"))) {
  console.error("skep: the dependencies are not installed: run `npm ci` first");
  process.exit(2);
}
const { build } = await import("./build.mjs");
await build();
const child = spawn(process.execPath, [join(root, "dist", "skep.mjs"), "demo", ...process.argv.slice(2)], {
  stdio: "inherit",
});
// The terminal sends the signal to both; the child tidies up, and its end is ours.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
// npm that is killed does not tell its script, which would fly on alone.
const parent = process.ppid;
setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 1000).unref();
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
