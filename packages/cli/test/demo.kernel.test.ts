// The example as a user starts it: every check as expected, nothing left behind, also after a kill.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { builtCommand } from "./built.ts";
import { addedSince, residue, type Residue } from "./residue.ts";

let command = "";
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: playing the example needs root and BPF");

/** In the environment of all that is started here. */
const mark = ["SKEP_TEST_DEMO", `${process.pid}-${Date.now()}`] as const;
const marker = mark.join("=");

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function start(args: readonly string[]): { child: ChildProcess; ended: Promise<Ended>; output: () => string } {
  const child = spawn(process.execPath, [command, "demo", "--patience", "20", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", [mark[0]]: mark[1] },
  });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString("utf8")));
  child.stderr.on("data", (data: Buffer) => (output += data.toString("utf8")));
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, output })));
  return { child, ended, output: () => output };
}

async function waitFor(text: string, run: { output: () => string; ended: Promise<Ended> }): Promise<void> {
  let over = false;
  void run.ended.then(() => (over = true));
  while (!run.output().includes(text)) {
    if (over) throw new Error(`ended before ${JSON.stringify(text)}:\n${run.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The table's checks with what was expected of them and whether it came: without what differs from play to play. */
function verdicts(output: string): string[] {
  const table = output.slice(output.indexOf("CHECK"));
  return table.split("\n").flatMap((line) => {
    const cells = line.split(/ {2,}/);
    return cells.length === 4 ? [`${cells[0]} | ${cells[1]} | ${cells[3]}`] : [];
  });
}

describe.skipIf(!privileged)("the example", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-demo-"));
  const run = join(folder, "run");
  let before: Residue;

  beforeAll(() => {
    command = builtCommand();
    before = residue(marker);
    if (before.bpf === null) console.warn("bpftool is not installed: ids of programs, maps and links are not compared");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("plays every check as expected and leaves nothing", async () => {
    const { code, output } = await start(["--once", "--run", run]).ended;
    expect(output).not.toContain("DIFFERS");
    expect(code, output).toBe(0);
    expect(output).toMatch(/deathstar-1 \d+×, deathstar-2 \d+×/);
    expect(output).toContain("DROPPED, 133");
    // The kernel frees maps and programs a little after their last user.
    await expect.poll(() => addedSince(before, marker), { timeout: 120_000, interval: 200 }).toEqual([]);
    expect(existsSync(run)).toBe(false);
    const simulated = await start(["--once", "--sim"]).ended;
    expect(verdicts(output)).toHaveLength(14);
    expect(verdicts(simulated.output)).toEqual(verdicts(output));
  });

  it("stays up until it is interrupted, and leaves nothing then either", async () => {
    const played = start(["--run", run]);
    await waitFor("Ctrl-C ends it", played);
    // The command, and the workloads with their namespaces.
    const up = residue(marker);
    expect(up.processes.length).toBeGreaterThan(4);
    expect(up.namespaces.length).toBeGreaterThan(4);
    played.child.kill("SIGINT");
    const { output } = await played.ended;
    expect(output).not.toContain("✗");
    // The kernel frees maps and programs a little after their last user.
    await expect.poll(() => addedSince(before, marker), { timeout: 120_000, interval: 200 }).toEqual([]);
  });

  it("takes away what a killed one left when it is started again", async () => {
    const killed = start(["--run", run]);
    await waitFor("denied", killed);
    // Its children keep the pipes open: only its own end is waited for.
    const gone = new Promise((resolve) => killed.child.once("exit", resolve));
    killed.child.kill("SIGKILL");
    await gone;
    const { code, output } = await start(["--once", "--run", run]).ended;
    expect(code, output).toBe(0);
    // The kernel frees maps and programs a little after their last user.
    await expect.poll(() => addedSince(before, marker), { timeout: 120_000, interval: 200 }).toEqual([]);
  });
});
