// Time from source to object: the tutorial's program and the largest program that has one, beside clang on its twin in C; the corpus' slowest; and the
// largest module, the datapath, beside clang on all twins of bench/compiler (a process each: there is no datapath in C here). Warm is a further compilation in one process, by the compiler as
// it is shipped, after an edit: of a comment or of every line's number, for which the object that is known gets new line info, or of a constant,
// which changes the code of what it is inlined into. A whole process is the command, without a cache of what
// earlier processes have compiled, and with one that holds the module. Each case has two lines: the time that passes, and the processor's time of all threads, which another
// process beside does not lengthen as much.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type * as Compiler from "@skep/compiler";
import { writeObject } from "@skep/object";
import { loadFrom } from "../scripts/load-compiler.mjs";
import { median, print } from "./_lines.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const redirect = join(root, "examples/redirect-port-80/redirect.bpf.ts");
const redirectTwin = join(root, "bench/twins/redirect.bpf.c");
const datapath = join(root, "packages/datapath/src/bpf/skep.bpf.ts");
const twins = join(root, "bench/twins/code");
/** The most instructions of all twins. */
const largest = join(twins, "siphash64.bpf.ts");
const corpus = join(root, "examples/kernel");
const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
const output = join(folder, "output.o");

const disk = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
}

const FLAGS = ["-O2", "-g", "-mcpu=v3", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu"];
const clang = (source: string): void => run("clang-19", [...FLAGS, "-c", source, "-o", output]);

const hasClang = spawnSync("clang-19", ["--version"]).status === 0;
if (!hasClang) console.error("clang-19 is not installed: no peer in this run");

// ---- what is measured ----

/** Milliseconds of processor of this process and of those that it has waited for (proc(5): utime, stime, cutime, cstime in ticks of 10 ms). */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (user + system) / 1000 + (Number(fields[13]) + Number(fields[14])) * 10;
}

interface Times {
  readonly passed: number[];
  readonly processor: number[];
}

function time(work: () => void, into: Times): void {
  const [started, before] = [performance.now(), processorTime()];
  work();
  into.passed.push(performance.now() - started);
  into.processor.push(processorTime() - before);
}

function measure(name: string, runs: number, { ours, peer }: { ours: () => void; peer: (() => void) | null }): void {
  const times = { ours: { passed: [], processor: [] }, peer: { passed: [], processor: [] } } satisfies Record<
    string,
    Times
  >;
  for (let i = 0; i < runs; i++) {
    time(ours, times.ours);
    if (peer) time(peer, times.peer);
  }
  const of = (list: readonly number[]): number | null => (list.length > 0 ? median(list) : null);
  const common = { bench: "compile", peerName: peer ? "clang-19 -O2 -g" : null };
  const { passed, processor } = times.peer;
  print({ ...common, case: name, unit: "ms", skep: median(times.ours.passed), peer: of(passed) });
  print({ ...common, case: `${name}, processor`, unit: "ms", skep: median(times.ours.processor), peer: of(processor) });
}

// ---- edits ----

type Edit = (text: string, path: string, count: number) => string;

const comment: Edit = (text, _path, count) => `${text}\n// edit ${count}\n`;
/** No line ever stands where it stood before. */
const moved: Edit = (text, _path, count) => `// edit ${count}${"\n".repeat(count)}${text}`;

/** Constants: of the largest twin; of the programs at sockets; in the body of the largest program; and one that most programs inline. */
const CONSTANTS = {
  "a constant edited": ["siphash64.bpf.ts", /(v2 \^= )\d\w*(?=n;)/],
  "a constant of the socket's file": ["socket.bpf.ts", /(const EHOSTUNREACH = )\d+/],
  "a constant in the largest program": [
    "endpoint.bpf.ts",
    /(const wrong = restore\(ctx, packet, connection\);\n\s+return wrong === )\d+/,
  ],
  "a constant that most programs inline": ["connection.bpf.ts", /(connection\.packets \+= )\d+/],
} as const;

const constant =
  (name: keyof typeof CONSTANTS): Edit =>
  (text, path, count) => {
    const [file, pattern] = CONSTANTS[name];
    if (basename(path) !== file) return text;
    if (!pattern.test(text)) throw new Error(`${file} has no ${String(pattern)} to edit`);
    return text.replace(pattern, `$1${2 + count}`);
  };

const [ofTwin, ...constants] = Object.keys(CONSTANTS) as [keyof typeof CONSTANTS, ...(keyof typeof CONSTANTS)[]];

try {
  const { compile } = loadFrom(join(root, "dist")).exports as typeof Compiler;
  let made = 0;
  const edited = (entry: string, edit: Edit) => (): void => {
    const count = ++made;
    const readFile = (path: string): string | undefined => {
      const text = disk(path);
      return text !== undefined && dirname(path) === dirname(entry) ? edit(text, path, count) : text;
    };
    const { spec, diagnostics } = compile(entry, { readFile });
    if (!spec) throw new Error(`${entry} does not compile: ${diagnostics[0]?.message ?? ""}`);
    writeObject(spec);
  };
  const cold = (entry: string, cache: string) => (): void =>
    run(process.execPath, [join(root, "dist/skep.mjs"), "compile", entry, "-o", output], { SKEP_CACHE: cache });

  /** Each program of the corpus in a process of its own, once; of the three that took longest, the slowest. */
  const slowest = (): void => {
    const timed = (names: readonly string[], runs: number): { name: string; taken: Times }[] =>
      names
        .map((name) => {
          const taken: Times = { passed: [], processor: [] };
          for (let i = 0; i < runs; i++) time(cold(join(corpus, name), ""), taken);
          return { name, taken };
        })
        .sort((a, b) => median(b.taken.processor) - median(a.taken.processor));
    const names = readdirSync(corpus).filter((name) => name.endsWith(".bpf.ts"));
    const late = timed(names, 1).slice(0, 3);
    const [first] = timed(
      late.map(({ name }) => name),
      5,
    );
    if (!first) throw new Error(`${corpus} has no programs`);
    const name = `slowest of the corpus' ${names.length} (${first.name}), whole process, no cache`;
    const common = { bench: "compile", peerName: null, unit: "ms", peer: null };
    print({ ...common, case: name, skep: median(first.taken.passed) });
    print({ ...common, case: `${name}, processor`, skep: median(first.taken.processor) });
  };

  const twin = hasClang ? (): void => clang(redirectTwin) : null;
  for (let i = 0; i < 10; i++) edited(redirect, moved)();
  measure("redirect, warm, every line moved", 15, { ours: edited(redirect, moved), peer: twin });

  const largestTwin = hasClang ? (): void => clang(largest.replace(/ts$/, "c")) : null;
  const other = edited(largest, constant(ofTwin));
  for (let i = 0; i < 10; i++) other();
  measure(`siphash64, warm, ${ofTwin}`, 15, { ours: other, peer: largestTwin });

  const sources = readdirSync(twins).filter((name) => name.endsWith(".bpf.c"));
  const all = hasClang ? (): void => sources.forEach((name) => clang(join(twins, name))) : null;
  const edits = [comment, moved, ...constants.map(constant)];
  for (let i = 0; i < 2; i++) for (const edit of edits) edited(datapath, edit)();
  measure("datapath, warm, comments edited", 9, { ours: edited(datapath, comment), peer: null });
  measure("datapath, warm, every line moved", 9, { ours: edited(datapath, moved), peer: null });
  for (const name of constants) {
    const [ours, first] = [edited(datapath, constant(name)), name === constants[0]];
    // What was compiled last had another constant edited: once more for this one alone.
    ours();
    measure(`datapath, warm, ${name}`, 7, { ours, peer: first ? all : null });
  }

  measure("redirect, whole process, no cache", 7, { ours: cold(redirect, ""), peer: twin });
  measure("siphash64, whole process, no cache", 7, { ours: cold(largest, ""), peer: largestTwin });
  slowest();
  measure("datapath, whole process, no cache", 5, { ours: cold(datapath, ""), peer: all });
  const filled = join(folder, "cache");
  for (const entry of [redirect, datapath]) cold(entry, filled)();
  measure("redirect, whole process, from the cache", 7, { ours: cold(redirect, filled), peer: twin });
  measure("datapath, whole process, from the cache", 5, { ours: cold(datapath, filled), peer: all });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
