// `npm run report -- selftests [FOLDER]`: builds the kernel's own BPF selftests of Debian's linux-source-6.12 and loads every object, and every
// program of it alone, with libbpf and with Skep; writes where they differ. FOLDER keeps the source and the objects for the next time.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { openLinux } from "@skep/linux";
import { inParallel, output } from "./selftests/command.ts";
import { differences, outcomeOf, specOf, wholeOnly, type Outcome } from "./selftests/outcome.ts";
import { compile, linkedGroups, prepare, type Prepared } from "./selftests/prepare.ts";
import type { Compared } from "./selftests/reasons.ts";
import { markdown, unexplained } from "./selftests/write.ts";

/** A child's time: the kernel takes a minute for some programs when the machine is busy. */
const SECONDS = 600;

/** Both loaders on the objects of a folder. */
class Bench {
  readonly #tools: Prepared;
  readonly #folder: string;

  constructor(tools: Prepared, folder: string) {
    this.#tools = tools;
    this.#folder = folder;
  }

  /** Pins of maps go to folders of their own, which are emptied. */
  async #load(
    library: "libbpf" | "skep",
    mode: "load" | "whole",
    { name, file, copy }: { readonly name: string; readonly file: string; readonly copy?: string },
  ): Promise<Outcome> {
    const pins = join(this.#folder, "pins", `${library}-${name}`);
    mkdirSync(pins);
    try {
      return await outcomeOf([...this.#command(library), mode, pins, file, ...(copy ? [copy] : [])], SECONDS);
    } finally {
      rmSync(pins, { recursive: true });
    }
  }

  #command(library: "libbpf" | "skep"): string[] {
    return library === "libbpf" ? [this.#tools.libbpf] : [process.execPath, this.#tools.skep];
  }

  #copyOf(name: string): string {
    return join(this.#folder, "rewritten", `${name}.o`);
  }

  async compare(name: string, file: string): Promise<Compared> {
    const libbpf = await this.#load("libbpf", "load", { name, file });
    const skep = await this.#load("skep", "load", { name, file, copy: this.#copyOf(name) });
    return { name, spec: specOf(file), libbpf, skep, differences: differences(libbpf, skep) };
  }

  /** What libbpf makes of the object when Skep has read and written it; null where Skep does not read it. */
  async compareRewritten({ name, libbpf, spec }: Compared): Promise<Compared | null> {
    if (spec === null) return null;
    const skep = await this.#load("libbpf", "whole", { name, file: this.#copyOf(name) });
    return { name, spec: null, libbpf: wholeOnly(libbpf), skep, differences: differences(wholeOnly(libbpf), skep) };
  }

  /** Objects linked by libbpf and loaded by it, beside those that Skep linked, loaded by either. */
  async compareLinked(name: string, files: readonly string[]): Promise<Compared[]> {
    const place = (suffix: string) => join(this.#folder, "linked", `${name}.${suffix}.o`);
    await output(this.#tools.libbpf, ["link", place("1"), ...files]);
    // As the selftests do: what is linked once may hold offsets that are not yet right.
    await output(this.#tools.libbpf, ["link", place("2"), place("1")]);
    await output(this.#tools.libbpf, ["link", place("3"), place("2")]);
    await output(process.execPath, [this.#tools.skep, "link", place("skep"), ...files]);
    const theirs = await this.#load("libbpf", "whole", { name, file: place("3") });
    const pairs = [
      ["linked by Skep, loaded by libbpf", "libbpf", "skep"],
      ["linked and loaded by Skep", "skep", "skep"],
      ["linked by libbpf, loaded by Skep", "skep", "3"],
    ] as const;
    const compared: Compared[] = [];
    for (const [how, library, suffix] of pairs) {
      const ours = await this.#load(library, "whole", { name, file: place(suffix) });
      const found = differences(theirs, ours);
      compared.push({ name: `${name}: ${how}`, spec: null, libbpf: theirs, skep: ours, differences: found });
    }
    return compared;
  }
}

async function main(folder: string): Promise<boolean> {
  const tools = await prepare(folder);
  const built = await compile(folder, tools.tests);
  const objects = built.flatMap(({ name, file }) => (file === null ? [] : [{ name, file }]));
  console.log(`${objects.length} of ${built.length} objects are built`);
  for (const each of ["rewritten", "linked"]) mkdirSync(join(folder, each), { recursive: true });
  const { bpf } = openLinux();
  const pins = join(folder, "pins");
  bpf.preparePins(pins);
  try {
    const bench = new Bench(tools, folder);
    let done = 0;
    const results = await inParallel(objects, 2, async ({ name, file }) => {
      const direct = await bench.compare(name, file);
      const rewritten = await bench.compareRewritten(direct);
      if (++done % 100 === 0) console.log(`${done} compared`);
      return { direct, rewritten };
    });
    const files = new Map(objects.map(({ name, file }) => [name, file]));
    const groups = linkedGroups(tools.tests).filter(({ parts }) => parts.every((part) => files.has(part)));
    const linked: Compared[] = [];
    for (const { name, parts } of groups)
      linked.push(
        ...(await bench.compareLinked(
          name,
          parts.map((part) => files.get(part) ?? ""),
        )),
      );
    const direct = results.map((each) => each.direct);
    const rewritten = results.flatMap((each) => each.rewritten ?? []);
    const found = { versions: tools.versions, built, direct, rewritten, linked };
    const text = await format(markdown(found), { parser: "markdown", printWidth: 120 });
    writeFileSync(join(dirname(fileURLToPath(import.meta.url)), "selftests.md"), text);
    const left = [...direct, ...rewritten, ...linked].flatMap((each) => unexplained(each));
    for (const { name, difference } of left) console.log("unexplained", name, difference);
    return left.length === 0;
  } finally {
    bpf.removePins(pins);
  }
}

if (process.getuid?.() !== 0) {
  console.error('the report "selftests" needs root and BPF');
  process.exit(2);
}
const given = process.argv[2];
const folder = given === undefined ? mkdtempSync(join(tmpdir(), "skep-selftests-")) : resolve(given);
mkdirSync(folder, { recursive: true });
try {
  if (!(await main(folder))) process.exitCode = 1;
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
