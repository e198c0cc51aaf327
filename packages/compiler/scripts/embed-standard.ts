// Writes packages/bpf/src/std/generated: the standard library's pure functions as user space calls them.
// node --conditions=skep-source --import tsx packages/compiler/scripts/embed-standard.ts
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { STANDARD_MODULES, standardModule } from "./standard-modules.ts";

const root = new URL("../../bpf/src/std/", import.meta.url);
const readFile = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

for (const name of STANDARD_MODULES) {
  const { text, functions, skipped } = standardModule(name, fileURLToPath(new URL(`${name}.bpf.ts`, root)), readFile);
  writeFileSync(new URL(`generated/${name}.ts`, root), text);
  console.log(`${name}: ${functions.join(" ")}`);
  for (const one of skipped) console.log(`  not ${one.name}: ${one.reason}`);
}
