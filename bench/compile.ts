// Time from source to object: the tutorial's program, beside clang on its twin in C; and the largest program, the datapath, beside clang on
// all twins of bench/compiler (a process each: there is no datapath in C here). Warm is a further compilation in one process, after an edit of
// every file: of a comment, which leaves the code as it was, or of every line's number, after which all is emitted anew.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import type * as Compiler from "@skep/compiler";
import type * as Objects from "@skep/object";
import { median, print, timeInTurn } from "./_lines.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const redirect = join(root, "examples/redirect-port-80/redirect.bpf.ts");
const redirectTwin = join(root, "bench/twins/redirect.bpf.c");
const datapath = join(root, "packages/datapath/src/bpf/skep.bpf.ts");
const twins = join(root, "bench/twins/code");
const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
const output = join(folder, "output.o");

const disk = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
}

const FLAGS = ["-O2", "-g", "-mcpu=v3", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu"];
const clang = (source: string): void => run("clang-19", [...FLAGS, "-c", source, "-o", output]);

/** The compiler as it is shipped: one bundle, not transformed while it is loaded. */
async function shipped(): Promise<typeof Compiler & typeof Objects> {
  const entry = join(folder, "compiler.ts");
  writeFileSync(entry, 'export * from "@skep/compiler"; export { writeObject } from "@skep/object";');
  // Beside the sources, so that it finds what it imports.
  const outfile = join(root, ".cache", `bench-compiler-${process.pid}.mjs`);
  await build({
    ...{ entryPoints: [entry], outfile, absWorkingDir: root, nodePaths: [join(root, "node_modules")] },
    ...{ bundle: true, platform: "node", format: "esm", logLevel: "error" },
    ...{ conditions: ["skep-source"], external: ["typescript"] },
  });
  try {
    return (await import(pathToFileURL(outfile).href)) as typeof Compiler & typeof Objects;
  } finally {
    rmSync(outfile);
  }
}

const hasClang = spawnSync("clang-19", ["--version"]).status === 0;
if (!hasClang) console.error("clang-19 is not installed: no peer in this run");

function line(name: string, times: { ours: number[]; peer: number[] }): void {
  const peer = times.peer.length > 0 ? median(times.peer) : null;
  const peerName = peer === null ? null : "clang-19 -O2";
  print({ bench: "compile", case: name, unit: "ms", skep: median(times.ours), peer, peerName });
}

try {
  const { compile, writeObject } = await shipped();
  let edits = 0;
  /** Compiles the module as an edit of its entry leaves it: with a comment at its end, or with every line moved. */
  const edited = (entry: string, change: (text: string, edit: string) => string): void => {
    const edit = `// edit ${edits++}`;
    const folderOf = dirname(entry);
    const readFile = (path: string): string | undefined => {
      const text = disk(path);
      return text !== undefined && dirname(path) === folderOf ? change(text, edit) : text;
    };
    const { spec, diagnostics } = compile(entry, { readFile });
    if (!spec) throw new Error(`${entry} does not compile: ${diagnostics[0]?.message ?? ""}`);
    writeObject(spec);
  };
  const comment = (text: string, edit: string): string => `${text}\n${edit}\n`;
  const moved = (text: string, edit: string): string => `${edit}\n${"\n".repeat(edits % 7)}${text}`;

  const twin = hasClang ? (): void => clang(redirectTwin) : null;
  for (let i = 0; i < 10; i++) edited(redirect, moved);
  line(
    "redirect, warm, every line moved",
    timeInTurn(15, () => edited(redirect, moved), twin),
  );

  const sources = readdirSync(twins).filter((name) => name.endsWith(".bpf.c"));
  const all = hasClang ? (): void => sources.forEach((name) => clang(join(twins, name))) : null;
  for (let i = 0; i < 5; i++) edited(datapath, moved);
  line(
    "datapath, warm, comments edited",
    timeInTurn(15, () => edited(datapath, comment), null),
  );
  line(
    "datapath, warm, every line moved",
    timeInTurn(9, () => edited(datapath, moved), all),
  );

  const cold = (entry: string): void =>
    run(process.execPath, [join(root, "dist/skep.mjs"), "compile", entry, "-o", output]);
  line(
    "redirect, whole process",
    timeInTurn(7, () => cold(redirect), twin),
  );
  line(
    "datapath, whole process",
    timeInTurn(5, () => cold(datapath), all),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
