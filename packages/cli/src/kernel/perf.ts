/**
 * @module
 * `skep perf`: programs that processes have attached to tracepoints and probes by perf events, without links.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { queryTask, type TaskAttachment } from "@skep/linux";
import { systemCode } from "../errors.ts";
import { formatTable } from "../output/table.ts";
import { commandOf, processIds } from "./holders.ts";
import type { Session } from "./session.ts";
import type { Tree } from "./tree.ts";

interface Found extends TaskAttachment {
  readonly pid: number;
  readonly fd: number;
}

const interesting = /^anon_inode:(\[perf_event\]|bpf-raw-tracepoint|bpf_link)$/;

function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(systemCode(error) ?? "")) return null;
    throw error;
  }
}

function descriptorsOf(pid: number): number[] {
  const folder = `/proc/${pid}/fd`;
  const names = unlessGone(() => readdirSync(folder)) ?? [];
  return names
    .filter((name) => interesting.test(unlessGone(() => readlinkSync(`${folder}/${name}`)) ?? ""))
    .map(Number);
}

function attachments(): Found[] {
  return processIds().flatMap((pid) =>
    descriptorsOf(pid).flatMap((fd) => {
      const found = queryTask(pid, fd);
      return found === null ? [] : [{ ...found, pid, fd }];
    }),
  );
}

/** As `bpftool -j perf list`. */
function tree({ pid, fd, programId, kind, target, offset, address }: Found): Tree {
  const head = { pid, fd, prog_id: programId, fd_type: kind };
  if (kind === "raw_tracepoint" || kind === "tracepoint") return { ...head, tracepoint: target };
  if (kind === "uprobe" || kind === "uretprobe") return { ...head, filename: target, offset };
  return target === "" ? { ...head, addr: address } : { ...head, func: target, offset };
}

/** `perf list|show`. */
export async function perfList(session: Session): Promise<void> {
  session.words.end();
  const found = attachments();
  await session.print(found.map(tree), () =>
    formatTable(
      ["PROCESS", "FD", "PROGRAM", "KIND", "WHERE"],
      found.map(({ pid, fd, programId, kind, target, offset, address }) => [
        `${commandOf(pid)}(${pid})`,
        `${fd}`,
        `${programId}`,
        kind,
        target === "" ? `0x${address.toString(16)}` : `${target}${offset === 0n ? "" : `+0x${offset.toString(16)}`}`,
      ]),
    ),
  );
}
