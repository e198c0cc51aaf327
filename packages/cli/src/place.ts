/**
 * @module
 * Where an agent keeps what it owns. `skep up` notes it in its run folder, so that `skep down` finds all of it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseMounts } from "./mounts.ts";
import { CliError, systemCode } from "./errors.ts";

export interface Place {
  readonly state: string;
  readonly pins: string;
  /** Below the cgroup2 root; "" is the root itself. */
  readonly cgroup: string;
  /** File of the host's network namespace; null: that of the process. */
  readonly netns: string | null;
  /** BPF file systems that the agent has mounted. */
  readonly mounts: readonly string[];
}

/** Mount points of BPF file systems. */
export function bpfMounts(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string[] {
  return parseMounts(mountinfo)
    .filter(({ type }) => type === "bpf")
    .map(({ point }) => point);
}

const noteFile = (run: string): string => join(run, "place.json");

export function notePlace(run: string, place: Place): void {
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const fresh = `${noteFile(run)}.new`;
  writeFileSync(fresh, `${JSON.stringify(place)}\n`, { mode: 0o600 });
  renameSync(fresh, noteFile(run));
}

/** Null where no agent was started on this run folder. */
export function notedPlace(run: string): Place | null {
  const file = noteFile(run);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
  try {
    return JSON.parse(text) as Place;
  } catch (cause) {
    throw new CliError(`${file} is damaged: remove it and give its options (--state, --pins, --cgroup, --netns)`, 1, {
      cause,
    });
  }
}
