// `npm run report -- cilium [FOLDER]`: the objects of the report "selftests", opened and loaded by cilium/ebpf as they are and as Skep writes
// them after reading them; both must come out the same. Needs Debian's packages golang-go and golang-github-cilium-ebpf-dev.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { writeObject } from "@skep/object";
import { inParallel, output, run } from "./selftests/command.ts";
import { differences, outcomeOf, specOf, type Difference, type Outcome } from "./selftests/outcome.ts";
import { compile, prepare } from "./selftests/prepare.ts";

const here = dirname(fileURLToPath(import.meta.url));
const GO_PACKAGE = "golang-github-cilium-ebpf-dev";
const SECONDS = 600;

interface Loader {
  readonly program: string;
  readonly version: string;
}

/** Throws where Go or the package is not installed. */
async function buildLoader(folder: string): Promise<Loader> {
  const query = await run("dpkg-query", ["--show", "--showformat=${Version}", GO_PACKAGE]);
  if (query.status !== 0 || !existsSync("/usr/bin/go"))
    throw new Error(`golang-go and ${GO_PACKAGE} are not installed: nothing can be loaded with cilium/ebpf`);
  const program = join(folder, "go-loader");
  const environment = ["GO111MODULE=off", "GOPATH=/usr/share/gocode", `GOCACHE=${join(folder, "go-cache")}`];
  await output("env", [...environment, "go", "build", "-o", program, join(here, "selftests/loader.go")]);
  return { program, version: query.stdout.trim() };
}

interface Compared {
  readonly name: string;
  readonly original: Outcome;
  readonly differences: readonly Difference[];
}

/** Null where Skep does not read the object. */
async function compare(loader: Loader, file: string, again: { name: string; place: string }): Promise<Compared | null> {
  const spec = specOf(file);
  if (spec === null) return null;
  writeFileSync(again.place, writeObject(spec));
  const original = await outcomeOf([loader.program, file], SECONDS);
  const rewritten = await outcomeOf([loader.program, again.place], SECONDS);
  return { name: again.name, original, differences: differences(original, rewritten) };
}

function markdown(version: string, compared: readonly Compared[]): string {
  const has = (what: string) => compared.filter(({ original }) => original.facts.get(what) === "0").length;
  const other = compared.filter((each) => each.differences.length > 0);
  const rows: [string, number][] = [
    ["objects that Skep read and wrote", compared.length],
    ["of these opened by cilium/ebpf", has("open")],
    ["loaded", has("load")],
    [
      "programs loaded",
      compared.flatMap(({ original }) => [...original.facts.keys()].filter((what) => what.startsWith("program ")))
        .length,
    ],
    [
      "**without any difference to the original** (the same refusal, or programs of the same types and tags)",
      compared.length - other.length,
    ],
    ["**differences without a reason**", other.length],
  ];
  return [
    "# Objects that Skep wrote, loaded by cilium/ebpf",
    "",
    "Made by `npm run report -- cilium`: the kernel's selftest objects of the [other report](selftests.md), opened and loaded by cilium/ebpf",
    `(Debian's ${GO_PACKAGE} ${version}, which is older than much of what the objects use) as clang made them, and as Skep writes them.`,
    "",
    "| | count |",
    "|---|---|",
    ...rows.map(([what, count]) => `| ${what} | ${count} |`),
    "",
    ...other.map(({ name, differences: [first] }) => `- ${name}: ${JSON.stringify(first)}`),
    "",
  ].join("\n");
}

async function main(folder: string): Promise<boolean> {
  const loader = await buildLoader(folder);
  const built = await compile(folder, (await prepare(folder)).tests);
  const rewritten = join(folder, "rewritten");
  mkdirSync(rewritten, { recursive: true });
  const all = await inParallel(built, 2, async ({ name, file }) =>
    file === null ? null : compare(loader, file, { name, place: join(rewritten, `${name}.o`) }),
  );
  const compared = all.filter((each) => each !== null);
  const text = await format(markdown(loader.version, compared), { parser: "markdown", printWidth: 120 });
  writeFileSync(join(here, "cilium.md"), text);
  const left = compared.filter((each) => each.differences.length > 0);
  for (const each of left) console.log("unexplained", each.name, each.differences);
  return left.length === 0;
}

if (process.getuid?.() !== 0) {
  console.error('the report "cilium" needs root and BPF');
  process.exit(2);
}
const given = process.argv[2];
const folder = given === undefined ? mkdtempSync(join(tmpdir(), "skep-cilium-")) : resolve(given);
mkdirSync(folder, { recursive: true });
try {
  if (!(await main(folder))) process.exitCode = 1;
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
