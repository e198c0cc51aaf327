// Time from source to object: the tutorial's program, beside clang on its twin in C.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import { writeObject } from "@skep/object";
import { median, print, timeInTurn } from "./_lines.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const entry = join(root, "examples/redirect-port-80/redirect.bpf.ts");
const twin = join(root, "bench/twins/redirect.bpf.c");
const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
const output = join(folder, "redirect.o");

const readFile = (path: string): string | undefined => {
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

const clang = (): void =>
  run("clang-19", [
    "-O2",
    "-g",
    "-mcpu=v3",
    "-target",
    "bpf",
    "-I/usr/include/x86_64-linux-gnu",
    "-c",
    twin,
    "-o",
    output,
  ]);

const warm = (): void => {
  const { spec } = compile(entry, { readFile });
  if (!spec) throw new Error("the program does not compile");
  writeObject(spec);
};

try {
  const hasClang = spawnSync("clang-19", ["--version"]).status === 0;
  const peerName = hasClang ? "clang-19 -O2" : null;
  if (!hasClang) console.error("clang-19 is not installed: no peer in this run");
  warm();
  const inProcess = timeInTurn(15, warm, hasClang ? clang : null);
  print({
    bench: "compile",
    case: "redirect, warm",
    unit: "ms",
    skep: median(inProcess.ours),
    peer: hasClang ? median(inProcess.peer) : null,
    peerName,
  });
  const cold = (): void => run(process.execPath, [join(root, "dist/skep.mjs"), "compile", entry, "-o", output]);
  const whole = timeInTurn(7, cold, hasClang ? clang : null);
  print({
    bench: "compile",
    case: "redirect, whole process",
    unit: "ms",
    skep: median(whole.ours),
    peer: hasClang ? median(whole.peer) : null,
    peerName,
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
