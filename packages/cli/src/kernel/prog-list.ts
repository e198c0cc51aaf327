import { CLOCK, clockTime, fdInfo, type LinuxProgram, memoryOf } from "@skep/linux";
import { formatTable } from "../output/table.ts";
import { type Holder, holdersOf, pinsOf } from "./holders.ts";
import { fullName } from "./program-name.ts";
import { selectPrograms } from "./select.ts";
import type { Session } from "./session.ts";
import type { Tree } from "./tree.ts";

/** Who else knows of an object. */
export interface Around {
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
  readonly pins: ReadonlyMap<number, readonly string[]> | null;
}

/** Asked before the session opens anything itself. */
export function around(session: Session, kind: "program" | "map" | "link"): Around {
  return { holders: holdersOf(kind), pins: session.printing.bpffs === true ? pinsOf(kind) : null };
}

/** The last fields of every object, as bpftool has them. */
export function aroundFields(
  id: number,
  { holders, pins }: Around,
): { pinned?: readonly string[]; pids?: readonly Tree[] } {
  const held = holders.get(id)?.map(({ pid, comm }) => ({ pid, comm }));
  const pinned = pins?.get(id);
  return { ...(pinned && { pinned }), ...(held && { pids: held }) };
}

export function holdersText(id: number, { holders }: Around): string {
  return (holders.get(id) ?? []).map(({ pid, comm }) => `${comm}(${pid})`).join(" ");
}

export function bytesText(bytes: number): string {
  if (bytes < 10_240) return `${bytes} B`;
  return bytes < 10 * 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${Math.round(bytes / 1024 / 1024)} MiB`;
}

/** Seconds since 1970 of a time since boot in nanoseconds. */
function wallSeconds(sinceBoot: bigint): number {
  return Number((clockTime(CLOCK.REALTIME) - clockTime(CLOCK.BOOTTIME) + sinceBoot) / 1_000_000_000n);
}

/** As `bpftool -j prog show`. */
export function programFields(program: LinuxProgram, all: Around): { readonly [name: string]: Tree | undefined } {
  const info = program.refresh();
  const name = fullName(program);
  return {
    id: info.id,
    type: info.type,
    name: name === "" ? undefined : name,
    tag: info.tag,
    gpl_compatible: info.gplCompatible,
    run_time_ns: info.runTime === 0n ? undefined : info.runTime,
    run_cnt: info.runTime === 0n ? undefined : info.runCount,
    recursion_misses: info.recursionMisses === 0n ? undefined : info.recursionMisses,
    ifindex: info.interface === 0 ? undefined : info.interface,
    loaded_at: wallSeconds(info.loadTime),
    uid: info.uid,
    bytes_xlated: info.translatedSize,
    jited: info.jitedSize > 0,
    bytes_jited: info.jitedSize === 0 ? undefined : info.jitedSize,
    bytes_memlock: memoryOf(program.fd) ?? undefined,
    map_ids: info.mapIds.length === 0 ? undefined : info.mapIds,
    btf_id: info.btfId === 0 ? undefined : info.btfId,
    ...aroundFields(info.id, all),
  };
}

function listText(handles: readonly LinuxProgram[], all: Around): string {
  const withPins = all.pins !== null;
  const header = ["ID", "TYPE", "NAME", "TAG", "LOADED", "XLATED", "JITED", "MEMORY", "MAPS", "PROCESSES"];
  const rows = handles.map((program) => {
    const info = program.refresh();
    const loaded = new Date(wallSeconds(info.loadTime) * 1000).toISOString().slice(0, 19);
    return [
      `${info.id}`,
      info.type,
      fullName(program),
      info.tag,
      `${loaded}Z`,
      `${info.translatedSize}`,
      `${info.jitedSize}`,
      bytesText(fdInfo(program.fd)["memlock"] ?? 0),
      info.mapIds.join(","),
      holdersText(info.id, all),
      ...(withPins ? [(all.pins?.get(info.id) ?? []).join("\n")] : []),
    ];
  });
  return formatTable([...header, ...(withPins ? ["PINNED"] : [])], rows);
}

/** `prog list|show`. */
export async function progList(session: Session): Promise<void> {
  const all = around(session, "program");
  const { handles, isOne } = selectPrograms(session);
  const trees = handles.map((program) => programFields(program, all));
  await session.print(isOne ? (trees[0] ?? null) : trees, () => listText(handles, all));
}
