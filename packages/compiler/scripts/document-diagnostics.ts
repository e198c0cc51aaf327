// Writes docs/diagnostics.md: every code with its text, its hint, and a program that it is told of, from testdata/wrong.
// npx tsx --conditions=skep-source packages/compiler/scripts/document-diagnostics.ts
import { readFileSync, writeFileSync } from "node:fs";
import { diagnosticsPage } from "./diagnostics-page.ts";

const root = new URL("../../../", import.meta.url);
const page = diagnosticsPage((name) => readFileSync(new URL(`packages/compiler/testdata/wrong/${name}`, root), "utf8"));
writeFileSync(new URL("docs/diagnostics.md", root), page);
