/**
 * @module
 * `skep cgroup`: programs of control groups.
 */
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { attachTypes } from "@skep/isa";
import {
  attachPersistent,
  detachPersistent,
  findCgroupRoot,
  isErrno,
  kernelTypes,
  NoCgroupError,
  type PersistentTarget,
  programById,
} from "@skep/linux";
import { CliError, systemCode, usageError } from "../errors.ts";
import { formatTable } from "../output/table.ts";
import { oneProgram } from "./select.ts";
import type { Session } from "./session.ts";

/** Attach types of cgroups, by the kernel's names. */
export const cgroupAttachTypes = Object.keys(attachTypes).filter(
  (name) => name.startsWith("cgroup_") || name === "lsm_cgroup",
);

/** libbpf's names of sections and bpftool's older ones. */
const formerly: Readonly<Record<string, string>> = {
  ingress: "cgroup_inet_ingress",
  egress: "cgroup_inet_egress",
  sock_create: "cgroup_inet_sock_create",
  sock_release: "cgroup_inet_sock_release",
  sock_ops: "cgroup_sock_ops",
  device: "cgroup_device",
  bind4: "cgroup_inet4_bind",
  bind6: "cgroup_inet6_bind",
  connect4: "cgroup_inet4_connect",
  connect6: "cgroup_inet6_connect",
  post_bind4: "cgroup_inet4_post_bind",
  post_bind6: "cgroup_inet6_post_bind",
  getpeername4: "cgroup_inet4_getpeername",
  getpeername6: "cgroup_inet6_getpeername",
  getsockname4: "cgroup_inet4_getsockname",
  getsockname6: "cgroup_inet6_getsockname",
  sendmsg4: "cgroup_udp4_sendmsg",
  sendmsg6: "cgroup_udp6_sendmsg",
  recvmsg4: "cgroup_udp4_recvmsg",
  recvmsg6: "cgroup_udp6_recvmsg",
  sysctl: "cgroup_sysctl",
  getsockopt: "cgroup_getsockopt",
  setsockopt: "cgroup_setsockopt",
};

function attachTypeOf(word: string): string {
  const type = formerly[word] ?? word;
  if (!cgroupAttachTypes.includes(type))
    throw usageError(
      `"${word}" is no attach type of cgroups: ${Object.keys(formerly).join(", ")}, or the kernel's own names`,
    );
  return type;
}

interface Row {
  readonly id: number;
  readonly attachType: string;
  readonly flags: string;
  readonly name: string;
  /** Of programs that are bound to a kernel function (lsm_cgroup). */
  readonly btfObjectId: number;
  readonly btfId: number;
}

// BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI.
const flagNames: Readonly<Record<number, string>> = { 0: "", 1: "override", 2: "multi" };

/** What is attached to one cgroup; null where the kernel does not know the attach type. */
function programsAt(session: Session, path: string, attachType: string, effective: boolean): Row[] {
  try {
    const found = session.machine.bpf.query({ hook: "cgroup", path, attachType, effective });
    return found.programs.map(({ programId }) => {
      const program = programById(programId);
      program?.close();
      return {
        id: programId,
        attachType,
        flags: flagNames[found.flags & 3] ?? `0x${found.flags.toString(16)}`,
        name: program?.info.name ?? "",
        btfObjectId: program?.info.attachBtfObjectId ?? 0,
        btfId: program?.info.attachBtfId ?? 0,
      };
    });
  } catch (error) {
    // EINVAL: an attach type of another kernel, or none of a query.
    if (isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOTSUPP")) return [];
    throw error;
  }
}

function rowsOf(session: Session, path: string, effective: boolean): Row[] {
  return cgroupAttachTypes.flatMap((type) => programsAt(session, path, type, effective));
}

/** As `bpftool -j cgroup show`. */
const tree = ({ id, attachType, flags, name, btfObjectId, btfId }: Row, effective: boolean) => ({
  id,
  attach_type: attachType,
  attach_flags: effective ? undefined : flags,
  name,
  attach_btf_name: functionName(btfId),
  attach_btf_obj_id: btfObjectId,
  attach_btf_id: btfId,
});

function functionName(id: number): string {
  const type = id === 0 ? null : kernelTypes().get(id);
  return type?.kind === "func" ? type.name : "";
}

function folderOf(path: string): string {
  const folder = resolve(path);
  try {
    if (statSync(folder).isDirectory()) return folder;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  throw new CliError(`there is no cgroup ${path}`);
}

const header = ["ID", "ATTACH TYPE", "FLAGS", "NAME"];
const cells = ({ id, attachType, flags, name }: Row): string[] => [`${id}`, attachType, flags, name];

/** `cgroup show|list CGROUP [effective]`. */
export async function cgroupShow(session: Session): Promise<void> {
  const path = folderOf(session.words.next("a cgroup's folder"));
  const effective = session.words.take("effective");
  session.words.end("effective");
  const rows = rowsOf(session, path, effective);
  await session.print(
    rows.map((row) => tree(row, effective)),
    () => formatTable(header, rows.map(cells)),
  );
}

function* foldersBelow(path: string): Generator<string> {
  yield path;
  const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) yield* foldersBelow(join(path, entry.name));
}

function rootOf(given: string | null): string {
  if (given !== null) return folderOf(given);
  try {
    return findCgroupRoot();
  } catch (error) {
    if (error instanceof NoCgroupError) throw new CliError(error.message, 2, { cause: error });
    throw error;
  }
}

/** `cgroup tree [ROOT] [effective]`. */
export async function cgroupTree(session: Session): Promise<void> {
  const { words } = session;
  const given = words.isEmpty || words.peek() === "effective" ? null : words.next("a cgroup's folder");
  const effective = words.take("effective");
  words.end("effective");
  const found = [...foldersBelow(rootOf(given))]
    .map((path) => ({ path, rows: rowsOf(session, path, effective) }))
    .filter(({ rows }) => rows.length > 0);
  await session.print(
    found.map(({ path, rows }) => ({ cgroup: path, programs: rows.map((row) => tree(row, effective)) })),
    () =>
      formatTable(
        ["CGROUP", ...header],
        found.flatMap(({ path, rows }) => rows.map((row, index) => [index === 0 ? path : "", ...cells(row)])),
      ),
  );
}

/** `cgroup attach CGROUP TYPE PROG [multi|override]`. */
export async function cgroupAttach(session: Session): Promise<void> {
  const { words } = session;
  const cgroup = folderOf(words.next("a cgroup's folder"));
  const attachType = attachTypeOf(words.next("an attach type"));
  const program = oneProgram(session);
  const mode = words.isEmpty ? null : words.choice("attach flag", ["multi", "override"]);
  words.end();
  const target: PersistentTarget = { cgroup, attachType, ...(mode === null ? {} : { mode }) };
  attachPersistent(program, target);
  await session.done();
}

/** `cgroup detach CGROUP TYPE PROG`. */
export async function cgroupDetach(session: Session): Promise<void> {
  const { words } = session;
  const cgroup = folderOf(words.next("a cgroup's folder"));
  const attachType = attachTypeOf(words.next("an attach type"));
  const program = oneProgram(session);
  words.end();
  try {
    detachPersistent(program, { cgroup, attachType });
  } catch (error) {
    if (isErrno(error, "ENOENT"))
      throw new CliError(`program ${program.info.id} is not attached to ${attachType} of ${cgroup}`, 1, {
        cause: error,
      });
    throw error;
  }
  await session.done();
}
