/**
 * @module
 * Random kernel TypeScript, compiled by Skep: what the kernel computes against the evaluator of the unoptimised IR and against the emitted
 * JavaScript. `npm run report -- compiler-fuzz [--programs N] [--seed S] [--workers W] [--continue]` writes compiler-fuzz.md.
 */
import { spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import type { WorkerLine } from "../packages/compiler/test/fuzz/worker.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, ".cache/compiler-fuzz");
const WORKER = join(FOLDER, "worker.mjs");
const PER_MODULE = 30;

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
    /** Goes on where the last run stopped, with what that found. */
    continue: { type: "boolean", default: false },
  },
});

/** One file: it starts sooner, and runs without a loader. */
async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(ROOT, "packages/compiler/test/fuzz/worker.ts")],
    outfile: WORKER,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["skep-source"],
    external: ["koffi", "typescript"],
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
    absWorkingDir: ROOT,
  });
}

function known(): WorkerLine[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".jsonl"))
    .flatMap((file) => readFileSync(join(FOLDER, file), "utf8").trim().split("\n"))
    .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as WorkerLine]));
}

/** Runs the seeds from `first` in steps of `step`, until enough programs have run. */
async function work(
  seeds: { first: number; step: number },
  enough: () => boolean,
  add: (line: WorkerLine) => void,
): Promise<void> {
  const { first, step } = seeds;
  const args = ["--max-semi-space-size=64", WORKER, String(first), "1000000000", String(step), FOLDER];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const log = createWriteStream(join(FOLDER, `from-${first}.jsonl`), { flags: "a" });
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  for await (const text of createInterface({ input: child.stdout })) {
    log.write(`${text}\n`);
    add(JSON.parse(text) as WorkerLine);
    if (enough()) break;
  }
  child.kill();
  const code = await closed;
  log.end();
  if (!enough()) throw new Error(`a worker ended early: ${code}`);
}

function report(lines: readonly WorkerLine[]): string {
  const sum = (of: (line: WorkerLine) => number): number => lines.reduce((total, line) => total + of(line), 0);
  const agreed = sum((line) => line.agreed);
  const features = new Map<string, number>();
  for (const line of lines) {
    for (const [name, count] of Object.entries(line.features)) features.set(name, (features.get(name) ?? 0) + count);
  }
  const failures = lines.flatMap((line) => line.failures.map((failure) => ({ ...failure, seed: line.seed })));
  const leftOut = lines.flatMap((line) => line.leftOut);
  const seeds = lines.map((line) => line.seed);
  const share = (count: number): string => `${((100 * count) / agreed).toFixed(1)} %`;
  const kinds = ["difference", "javascript", "evaluator", "refused", "compile"] as const;
  const count = (kind: string): number => failures.filter((failure) => failure.kind === kind).length;
  const names: Record<(typeof kinds)[number], string> = {
    difference: "differences between kernel and evaluator (verdict, packet, maps, globals)",
    javascript: "differences between kernel and JavaScript",
    evaluator: "programs that the evaluator could not run",
    refused: "programs that the kernel refused",
    compile: "modules that did not compile",
  };
  return `# Random programs through the compiler

Random well-typed kernel TypeScript, ${PER_MODULE} programs and functions of all integer widths and signs to a module, compiled with every pass
(ISA v3) and loaded into the kernel. Each program runs there three times (BPF_PROG_TEST_RUN) on random packets. Its verdict, the packet
afterwards, the contents of its maps and its globals are compared with what the evaluator makes of the lowered, unoptimised IR; a program that
calls a pure function is compared with the emitted JavaScript of that function, too.

| what | count |
| --- | --- |
| programs that ran and agreed | ${agreed} |
| runs | ${agreed * 3} |
| of them with JavaScript | ${sum((line) => line.twins)} |
| with loops, map or packet access, and 64-bit division together | ${sum((line) => line.core)} (${share(sum((line) => line.core))}) |
${kinds.map((kind) => `| ${names[kind]} | ${count(kind)} |`).join("\n")}
| left out: more than the kernel's 512 bytes of stack, as the compiler said | ${leftOut.length} |

## Features

Programs in which each occurs.

| feature | programs | share |
| --- | --- | --- |
${[...features]
  .sort(([, a], [, b]) => b - a)
  .map(([name, programs]) => `| ${name} | ${programs} | ${share(programs)} |`)
  .join("\n")}

## Failures

${failures.length === 0 ? "None.\n" : failures.map((failure) => `- seed ${failure.seed}, ${failure.program}: ${failure.kind}: ${failure.message.split("\n")[0]}\n`).join("")}
## How to repeat

\`npm run report -- compiler-fuzz\` (as root; \`--programs N\`, \`--seed S\`, \`--workers W\`). This run: ${lines.length} modules, seeds ${Math.min(...seeds)} to
${Math.max(...seeds)}. A seed makes the same module and the same packets everywhere; a failing one is shrunk and left under
\`.cache/compiler-fuzz\`.
`;
}

if (!values.continue) rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
await bundle();
const lines = known();
const wanted = Number(values.programs);
const done = (): boolean => lines.reduce((sum, line) => sum + line.agreed, 0) >= wanted;
const write = (): void => writeFileSync(join(ROOT, "reports/compiler-fuzz.md"), report(lines));
const start = lines.reduce((most, line) => Math.max(most, line.seed + 1), Number(values.seed));
const workers = Number(values.workers);
if (!done()) {
  await Promise.all(
    Array.from({ length: workers }, (_, at) =>
      work({ first: start + at, step: workers }, done, (line) => {
        lines.push(line);
        if (lines.length % 50 === 0) write();
        for (const failure of line.failures)
          console.log(`seed ${line.seed} ${failure.program}: ${failure.kind}: ${failure.message}`);
      }),
    ),
  );
}
write();
console.log(`${lines.length} modules, ${lines.reduce((sum, line) => sum + line.agreed, 0)} programs`);
process.exit(lines.some((line) => line.failures.length > 0) ? 1 : 0);
