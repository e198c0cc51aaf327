/**
 * @module
 * Folders of tests that make mounts and cgroups, and the removal of what killed tests left.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openProcesses } from "../processes/index.ts";
import { MNT_DETACH, unmount } from "../sys/index.ts";

/** `skep-test-PID-...`: the process says whether the test still runs. */
const pattern = /^skep-test-(\d+)-/;

const isAlive = (name: string): boolean => {
  const pid = pattern.exec(name)?.[1];
  return pid === undefined || existsSync(`/proc/${pid}`);
};

/** A name for what a test makes. */
export const testName = (purpose: string): string => `skep-test-${process.pid}-${purpose}`;

/** A folder of the test's own, below which it may mount. */
export function testFolder(purpose: string): string {
  return mkdtempSync(join(tmpdir(), `${testName(purpose)}-`));
}

/** Removes a test's folder and the mounts below it. */
export function removeTestFolder(folder: string): void {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${folder}/`));
  // The deepest first; several mounts on one place are several lines.
  for (const point of points.sort((left, right) => right.length - left.length)) unmount(point, MNT_DETACH);
  rmSync(folder, { recursive: true, force: true });
}

/** Removes folders of tests whose process is gone, with what is mounted there: namespaces with their interfaces, pins with their links. */
export function reapFolders(): void {
  for (const name of readdirSync(tmpdir())) if (!isAlive(name)) removeTestFolder(join(tmpdir(), name));
}

/** Removes what tests left whose process is gone: their folders, and cgroups with their processes and programs. */
export async function reapTests(): Promise<void> {
  reapFolders();
  const processes = openProcesses();
  for (const name of readdirSync(processes.cgroupRoot)) if (!isAlive(name)) await processes.deleteCgroup(name);
}
