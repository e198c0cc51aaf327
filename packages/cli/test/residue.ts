/**
 * @module
 * What a program may leave on a machine, by ids, to be compared before and after.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Residue {
  readonly namespaces: readonly string[];
  readonly interfaces: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly processes: readonly string[];
  /** The datapath's programs and maps, and the links of its programs. Null where bpftool is not installed. */
  readonly bpf: Readonly<Record<"prog" | "map" | "link", readonly number[]>> | null;
}

/** `marker`: what stands in the environment of the processes that are meant, and of theirs: others run their own meanwhile. */
export function residue(marker: string): Residue {
  const ids = processIds(marker);
  return {
    namespaces: namespaces(ids),
    interfaces: readdirSync("/sys/class/net").sort(),
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ").slice(3, 5).join(" "))
      .sort(),
    cgroups: cgroups("/sys/fs/cgroup/unified").sort(),
    processes: skepProcesses(ids),
    bpf: bpfIds(),
  };
}

/** What is there now and was not before. What has gone meanwhile is nobody's concern: others clean up, too. */
export function addedSince(before: Residue, marker: string): string[] {
  const now = residue(marker);
  const added = <T>(kind: string, list: readonly T[], known: readonly T[]): string[] =>
    list.filter((each) => !known.includes(each)).map((each) => `${kind} ${String(each)}`);
  const [here, there] = [now.bpf, before.bpf];
  return [
    ...(["namespaces", "interfaces", "mounts", "cgroups", "processes"] as const).flatMap((kind) =>
      added(kind, now[kind], before[kind]),
    ),
    ...(["prog", "map", "link"] as const).flatMap((kind) =>
      here && there ? added(kind, here[kind], there[kind]) : [],
    ),
  ];
}

function processIds(marker: string): string[] {
  return readdirSync("/proc").filter(
    (name) =>
      /^\d+$/.test(name) && attempt(() => readFileSync(`/proc/${name}/environ`, "utf8").includes(marker)) === true,
  );
}

/** Network namespaces that a process lives in, by inode. Those that only a mount keeps are among the mounts. */
function namespaces(ids: readonly string[]): string[] {
  const found = new Set<string>();
  for (const pid of ids) {
    const inode = attempt(() => readlinkSync(`/proc/${pid}/ns/net`));
    if (inode) found.add(inode);
  }
  return [...found].sort();
}

function skepProcesses(ids: readonly string[]): string[] {
  return ids.flatMap((pid) => {
    const line = attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
    return line && /skep\.mjs|demo-workload/.test(line) ? [`${pid} ${line}`] : [];
  });
}

function cgroups(folder: string): string[] {
  const children =
    attempt(() => readdirSync(folder).filter((name) => statSync(join(folder, name)).isDirectory())) ?? [];
  return children.flatMap((name) => [join(folder, name), ...cgroups(join(folder, name))]);
}

interface BpfObject {
  readonly id: number;
  readonly name?: string;
  readonly prog_id?: number;
}

/** Other programs of the machine come and go: only what has the datapath's names counts, and links by their program. */
function bpfIds(): Residue["bpf"] {
  const list = (kind: string): BpfObject[] | null => {
    const { status, stdout } = spawnSync("bpftool", ["-j", kind, "list"], { encoding: "utf8" });
    return status === 0 ? (JSON.parse(stdout) as BpfObject[]) : null;
  };
  const [progs, maps, links] = [list("prog"), list("map"), list("link")];
  if (!progs || !maps || !links) return null;
  const ours = ({ name }: BpfObject): boolean => name?.startsWith("skep_") ?? false;
  const prog = progs.filter(ours).map(({ id }) => id);
  return {
    prog,
    map: maps.filter(ours).map(({ id }) => id),
    link: links.filter(({ prog_id: program }) => program !== undefined && prog.includes(program)).map(({ id }) => id),
  };
}

/** A process may end while it is looked at. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
