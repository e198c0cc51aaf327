/**
 * @module
 * `skep token`: BPF file systems that delegate commands to a user namespace.
 */
import { readFileSync } from "node:fs";
import { formatTable } from "../output/table.ts";
import type { Session } from "./session.ts";

export interface Delegation {
  readonly path: string;
  /** Names or numbers of commands, map types, program types and attach types, as the mount's options have them. */
  readonly commands: readonly string[];
  readonly maps: readonly string[];
  readonly programs: readonly string[];
  readonly attaches: readonly string[];
}

/** BPF file systems with `delegate_*` options, of /proc/self/mountinfo. */
export function delegations(mountinfo: string): Delegation[] {
  return mountinfo.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const dash = fields.indexOf("-");
    const options = (fields[dash + 3] ?? "").split(",").map((each) => each.split("=", 2));
    const of = (name: string): string[] =>
      (options.find(([key]) => key === name)?.[1] ?? "").split(":").filter((each) => each !== "");
    if (fields[dash + 1] !== "bpf" || !options.some(([key]) => key?.startsWith("delegate_"))) return [];
    return [
      {
        path: fields[4] ?? "",
        commands: of("delegate_cmds"),
        maps: of("delegate_maps"),
        programs: of("delegate_progs"),
        attaches: of("delegate_attachs"),
      },
    ];
  });
}

/** `token list|show`. */
export async function tokenList(session: Session): Promise<void> {
  session.words.end();
  const found = delegations(readFileSync("/proc/self/mountinfo", "utf8"));
  await session.print(
    found.map(({ path, commands, maps, programs, attaches }) => ({
      token_info: path,
      allowed_cmds: commands,
      allowed_maps: maps,
      allowed_progs: programs,
      allowed_attachs: attaches,
    })),
    () =>
      formatTable(
        ["MOUNT", "COMMANDS", "MAPS", "PROGRAMS", "ATTACH TYPES"],
        found.map((each) => [
          each.path,
          each.commands.join(" "),
          each.maps.join(" "),
          each.programs.join(" "),
          each.attaches.join(" "),
        ]),
      ),
  );
}
