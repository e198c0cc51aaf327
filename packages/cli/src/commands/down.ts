/**
 * @module
 * `skep down`: takes away what an agent owns, also where the agent died or its state is damaged. Needs no program loaded and no
 * document read; workloads end first, so that nothing runs without its policy.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { answers, socketPath } from "@skep/agent";
import type { Namespace, NetMachine } from "@skep/machine";
import { withClient } from "../client.ts";
import { CliError, EXIT_USAGE, systemCode } from "../errors.ts";
import { doctorSummary } from "../doctor.ts";
import { note } from "../output/print.ts";
import { bpfMounts, notedPlace, type Place } from "../place.ts";

export interface DownOptions {
  readonly run: string;
  readonly state: string;
  readonly pins: string;
  readonly cgroup: string;
  readonly netns?: string;
}

/** Workloads' cgroups hang below this one where the agent balances the sockets of the root. */
const WORKLOADS = "skep";
const GATEWAY = "skep_host";
const AGENT_END_MS = 10_000;

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** What was given counts; the rest is as the agent noted it. */
function placeOf(
  options: DownOptions,
  given: (name: keyof DownOptions) => boolean,
): Place & { readonly noted: boolean } {
  const noted = notedPlace(options.run);
  const pick = <K extends "state" | "pins" | "cgroup">(name: K): string =>
    given(name) || !noted ? options[name] : noted[name];
  return {
    noted: noted !== null,
    state: resolve(pick("state")),
    pins: resolve(pick("pins")),
    cgroup: pick("cgroup"),
    mounts: noted?.mounts ?? [],
    netns: options.netns === undefined ? (noted?.netns ?? null) : resolve(options.netns),
  };
}

async function endAgent(run: string): Promise<void> {
  const socket = socketPath(run);
  if (!(await answers(socket))) return;
  const { pid } = await withClient(run, ({ agent }) => agent.getStatus({}));
  process.kill(pid, "SIGTERM");
  for (const end = Date.now() + AGENT_END_MS; Date.now() < end; await sleep(50)) if (!(await answers(socket))) return;
  throw new CliError(`the agent (pid ${pid}) does not end: kill it, then run skep down again`);
}

type Step = readonly [what: string, run: () => unknown];

/** Every step is tried; the first failure is told at the end, with those after it. */
async function tryAll(steps: readonly Step[]): Promise<void> {
  const failures: string[] = [];
  for (const [what, run] of steps) {
    try {
      await run();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failures.length > 0) throw new CliError(`not everything could be removed:\n  ${failures.join("\n  ")}`);
}

function removeEmpty(folder: string): void {
  if (!existsSync(folder) || readdirSync(folder).length > 0) return;
  try {
    rmdirSync(folder);
  } catch (error) {
    // A folder that somebody else has mounted or filled stays.
    if (!["EBUSY", "ENOTEMPTY"].includes(systemCode(error) ?? "")) throw error;
  }
}

export async function down(options: DownOptions, given: (name: keyof DownOptions) => boolean): Promise<number> {
  const missing = await doctorSummary();
  if (missing !== null) {
    process.stderr.write(`${missing}\n`);
    return EXIT_USAGE;
  }
  const run = resolve(options.run);
  const place = placeOf(options, given);
  await endAgent(run);
  const hostIsThere = place.netns === null || existsSync(place.netns);
  const { openLinux, unmountPins } = await import("@skep/linux");
  const machine = openLinux({ runFolder: run, ...(place.netns !== null && hostIsThere && { netns: place.netns }) });
  const { bpf, net, processes } = machine;
  const wires = wiresOf(place.state);
  await tryAll([
    ["workloads", () => processes.deleteCgroup(place.cgroup === "" ? WORKLOADS : place.cgroup)],
    ["interfaces", () => hostIsThere && deleteInterfaces(net.host, wires)],
    ["namespaces", () => deleteNamespaces(net, wires, place)],
    ["pins", () => bpf.removePins(place.pins)],
    ["mounts", () => emptyMounts(place).forEach(unmountPins)],
    ["state", () => rmSync(place.state, { recursive: true, force: true })],
    ["run folder", () => removeRun(run)],
  ]);
  note("the datapath is down");
  return 0;
}

interface Wire {
  readonly interfaceName: string;
  readonly netns: string;
}

/** The wires on record. A record that is damaged has its interface end with its namespace. */
function wiresOf(state: string): Wire[] {
  const folder = join(state, "endpoints");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const value = (key: string): string => new RegExp(`"${key}":"([^"]+)"`).exec(text)?.[1] ?? "";
      return { interfaceName: value("interfaceName"), netns: value("netns") };
    });
}

function deleteInterfaces(host: Namespace, wires: readonly Wire[]): void {
  for (const { interfaceName } of wires) if (interfaceName !== "") host.deleteInterface(interfaceName);
  host.deleteInterface(GATEWAY);
}

/**
 * Those on record; where the agent's place is noted all others of its run folder too, as it may have been killed before it wrote a
 * record. The one that is the agent's host stays.
 */
function deleteNamespaces(net: NetMachine, wires: readonly Wire[], place: Place & { readonly noted: boolean }): void {
  const recorded = new Set(wires.map((wire) => wire.netns));
  for (const name of net.namespaces()) {
    const ours = recorded.has(name) || place.noted;
    if (ours && net.openNamespace(name)?.path !== place.netns) net.deleteNamespace(name);
  }
}

/** BPF file systems that the agent has mounted, and nobody uses. Names with a dot are the kernel's own. */
function emptyMounts({ mounts }: Place): string[] {
  const present = new Set(bpfMounts());
  const isEmpty = (point: string): boolean => readdirSync(point).every((name) => name.includes("."));
  return mounts.filter((point) => present.has(point) && isEmpty(point));
}

function removeRun(run: string): void {
  for (const name of ["skep.sock", "place.json"]) rmSync(join(run, name), { force: true });
  removeEmpty(join(run, "netns"));
  removeEmpty(run);
}
