/**
 * @module
 * Attaching without a link object (BPF_PROG_ATTACH): the program stays until somebody detaches it, also when the caller ends. What command
 * line tools do; programs of one's own are better held by links.
 */
import { attachTypeNumber } from "@skep/isa";
import type { Program, RawMap } from "@skep/machine";
import { type Descriptor, O, openFile } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { needCapabilities } from "../capabilities.ts";
import { descriptorOf } from "../map.ts";

/** What a program is attached to. `attachType` is the kernel's name without prefix, such as `cgroup_inet4_connect`, `tcx_ingress`. */
export type PersistentTarget =
  /** `mode`: `multi` shares the cgroup with other programs, `override` lets descendants replace it; default: neither. */
  | { readonly cgroup: string; readonly attachType: string; readonly mode?: "multi" | "override" }
  /** Order as the kernel has it: behind those that are there, or before them. */
  | { readonly interface: number; readonly attachType: string; readonly first?: boolean }
  | { readonly map: RawMap; readonly attachType: string }
  /** The network namespace that the caller is in. */
  | { readonly attachType: "flow_dissector" };

const ALLOW_OVERRIDE = 1;
const ALLOW_MULTI = 2;
const BEFORE = 8;

function withTarget<T>(target: PersistentTarget, use: (fd: number) => T): T {
  if ("interface" in target) return use(target.interface);
  if ("map" in target) return use(descriptorOf(target.map));
  if (!("cgroup" in target)) return use(0);
  const folder: Descriptor = openFile(target.cgroup, O.RDONLY | O.DIRECTORY, { kind: "cgroup" });
  try {
    return use(folder.fd);
  } finally {
    folder.close();
  }
}

function flagsOf(target: PersistentTarget): number {
  if ("cgroup" in target)
    return target.mode === "multi" ? ALLOW_MULTI : target.mode === "override" ? ALLOW_OVERRIDE : 0;
  return "interface" in target && target.first ? BEFORE : 0;
}

function numberOf(attachType: string): number {
  const number = attachTypeNumber(attachType);
  if (number === null) throw new RangeError(`no such attach type: ${attachType}`);
  return number;
}

function placeOf(target: PersistentTarget): string {
  if ("cgroup" in target) return ` of ${target.cgroup}`;
  return "interface" in target ? ` of interface ${target.interface}` : "";
}

/** Throws `SyscallError`, `MissingCapabilityError`, RangeError for an unknown attach type. */
export function attachPersistent(program: Program, target: PersistentTarget): void {
  needCapabilities(`attaching to ${target.attachType}`, "CAP_NET_ADMIN");
  const type = numberOf(target.attachType);
  withTarget(target, (fd) =>
    new Attributes()
      .u32(0, fd)
      .u32(4, descriptorOf(program))
      .u32(8, type)
      .u32(12, flagsOf(target))
      .run("prog_attach", `${program.name} to ${target.attachType}${placeOf(target)}`),
  );
}

/** Takes off what `attachPersistent` attached. Throws `SyscallError` ENOENT (EINVAL on some hooks) where the program is not there. */
export function detachPersistent(program: Program, target: PersistentTarget): void {
  needCapabilities(`detaching from ${target.attachType}`, "CAP_NET_ADMIN");
  const type = numberOf(target.attachType);
  withTarget(target, (fd) =>
    new Attributes()
      .u32(0, fd)
      .u32(4, descriptorOf(program))
      .u32(8, type)
      .run("prog_detach", `${program.name} from ${target.attachType}${placeOf(target)}`),
  );
}
