// Writes src/prelude.ts: the kernel side of @skep/bpf as text, because the compiler reads no files.
// npx tsx packages/compiler/scripts/embed-prelude.ts
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { preludeModule, PRELUDE_FILES } from "./prelude-module.ts";

const root = new URL("../../bpf/", import.meta.url);
const text = preludeModule(PRELUDE_FILES.map((file) => [file, readFileSync(new URL(file, root), "utf8")]));
writeFileSync(fileURLToPath(new URL("../src/prelude.ts", import.meta.url)), text);
