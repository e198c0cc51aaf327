/**
 * @module
 * Who holds what: the processes with a descriptor of an object (/proc/PID/fdinfo), and the paths it is pinned at.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { openLinux, PinKindError } from "@skep/linux";
import { systemCode } from "../errors.ts";
import { parseMounts } from "../mounts.ts";

export type ObjectKind = "program" | "map" | "link" | "btf";

export interface Holder {
  readonly pid: number;
  readonly comm: string;
}

const kinds: Readonly<Record<string, { readonly kind: ObjectKind; readonly field: RegExp }>> = {
  "anon_inode:bpf-prog": { kind: "program", field: /^prog_id:\s*(\d+)/m },
  "anon_inode:bpf-map": { kind: "map", field: /^map_id:\s*(\d+)/m },
  "anon_inode:bpf_link": { kind: "link", field: /^link_id:\s*(\d+)/m },
  "anon_inode:bpf-link": { kind: "link", field: /^link_id:\s*(\d+)/m },
  "anon_inode:btf": { kind: "btf", field: /^btf_id:\s*(\d+)/m },
};

/** Processes and descriptors come and go while they are looked at. */
function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(systemCode(error) ?? "")) return null;
    throw error;
  }
}

function* objectsOf(pid: number): Generator<{ readonly kind: ObjectKind; readonly id: number }> {
  const folder = `/proc/${pid}/fd`;
  for (const fd of unlessGone(() => readdirSync(folder)) ?? []) {
    const known = kinds[unlessGone(() => readlinkSync(`${folder}/${fd}`)) ?? ""];
    if (!known) continue;
    const info = unlessGone(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8")) ?? "";
    const id = known.field.exec(info)?.[1];
    if (id !== undefined) yield { kind: known.kind, id: Number(id) };
  }
}

/** Ids of processes, as they are now. */
export function processIds(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

export function commandOf(pid: number): string {
  return (unlessGone(() => readFileSync(`/proc/${pid}/comm`, "utf8")) ?? "").trimEnd();
}

/** The holders of each object of a kind, by its id. Asked before the caller opens objects itself. */
export function holdersOf(kind: ObjectKind): Map<number, Holder[]> {
  const found = new Map<number, Holder[]>();
  for (const pid of processIds()) {
    const ids = new Set([...objectsOf(pid)].filter((each) => each.kind === kind).map(({ id }) => id));
    for (const id of ids) found.set(id, [...(found.get(id) ?? []), { pid, comm: commandOf(pid) }]);
  }
  return found;
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    // Names with a dot are the kernel's own.
    else if (!entry.isSymbolicLink() && !entry.name.includes(".")) yield path;
  }
}

/** The id of what is pinned at a path, where it is of the kind. */
function pinnedId(kind: ObjectKind, path: string): number | null {
  const { bpf } = openLinux();
  try {
    const handle = kind === "program" ? bpf.openProgram(path) : kind === "map" ? bpf.openMap(path) : bpf.openLink(path);
    const id = handle?.info.id ?? null;
    handle?.close();
    return id;
  } catch (error) {
    if (error instanceof PinKindError) return null;
    throw error;
  }
}

/** Paths by id, on every BPF file system that is mounted. BTF is not pinned. */
export function pinsOf(kind: ObjectKind): Map<number, string[]> {
  const found = new Map<number, string[]>();
  if (kind === "btf") return found;
  const points = parseMounts(readFileSync("/proc/self/mountinfo", "utf8")).filter(({ type }) => type === "bpf");
  for (const path of new Set(points.flatMap(({ point }) => [...filesBelow(point)]))) {
    const id = pinnedId(kind, path);
    if (id !== null) found.set(id, [...(found.get(id) ?? []), path]);
  }
  return found;
}
