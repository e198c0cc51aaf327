/**
 * @module
 * BPF_LINK_CREATE for every hook (link_create, kernel/bpf/syscall.c).
 */
import { attachTypeNumber } from "@skep/isa";
import type { AttachTarget, Link, Program } from "@skep/machine";
import { Descriptor, O, openFile } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";
import { needCapabilities } from "./capabilities.ts";
import { LinuxLink } from "./link.ts";
import { descriptorOf } from "./map.ts";
import { LinuxProgram } from "./program.ts";

const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;

/** The program does not say where it belongs, or belongs elsewhere. */
export class AttachError extends Error {
  override readonly name = "AttachError";
  readonly hook: string;
  readonly program: string;

  constructor(hook: string, program: string, why: string) {
    super(`cannot attach ${program} to ${hook}: ${why}`);
    this.hook = hook;
    this.program = program;
  }
}

/** Fills what all links have. */
export function linkAttributes(program: Program, target: number, attachType: string): Attributes {
  const number = attachTypeNumber(attachType);
  if (number === null) throw new AttachError(attachType, program.name, "no such attach type");
  return new Attributes().u32(0, descriptorOf(program)).u32(4, target).u32(8, number);
}

export function createLink(attributes: Attributes, detail: string, kept: readonly Descriptor[] = []): LinuxLink {
  const descriptor = new Descriptor(attributes.run("link_create", detail), "link");
  try {
    return new LinuxLink(descriptor, kept);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

function orderFlags(order: "first" | "last" | undefined): number {
  return order === "first" ? BPF_F_BEFORE : order === "last" ? BPF_F_AFTER : 0;
}

/** The attach type that the program was loaded for. */
export function attachTypeOf(program: Program, hook: string): string {
  const type = program instanceof LinuxProgram ? program.origin?.attachType : undefined;
  if (type === undefined) throw new AttachError(hook, program.name, "its spec names no attach type");
  return type;
}

/** What attaching needs to know of the machine. */
export interface AttachContext {
  /** Runs in the network namespace that the machine was opened on. */
  readonly inHost: <T>(run: () => T) => T;
}

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

function attachTcx(program: Program, target: TargetOf<"tcx">, context: AttachContext): Link {
  needCapabilities("attaching to an interface", "CAP_NET_ADMIN");
  const attributes = linkAttributes(program, target.interface, `tcx_${target.direction}`);
  attributes.u32(12, orderFlags(target.order));
  return context.inHost(() =>
    createLink(attributes, `${program.name} to tcx ${target.direction} of interface ${target.interface}`),
  );
}

// XDP_FLAGS_*, include/uapi/linux/if_link.h.
const xdpModes = { native: 4, generic: 2 } as const;

function attachXdp(program: Program, target: TargetOf<"xdp">, context: AttachContext): Link {
  needCapabilities("attaching to an interface", "CAP_NET_ADMIN");
  const attributes = linkAttributes(program, target.interface, "xdp");
  attributes.u32(12, target.mode ? xdpModes[target.mode] : 0);
  const mode = target.mode ? ` (${target.mode})` : "";
  return context.inHost(() => createLink(attributes, `${program.name} to XDP of interface ${target.interface}${mode}`));
}

function attachCgroup(program: Program, target: TargetOf<"cgroup">): Link {
  needCapabilities("attaching to a cgroup", "CAP_NET_ADMIN");
  const folder = openFile(target.path, O.RDONLY | O.DIRECTORY, { kind: "cgroup" });
  try {
    const attachType = target.attachType ?? attachTypeOf(program, "cgroup");
    const attributes = linkAttributes(program, folder.fd, attachType).u32(12, orderFlags(target.order));
    return createLink(attributes, `${program.name} to ${attachType} of ${target.path}`);
  } finally {
    folder.close();
  }
}

function attachRawTracepoint(program: Program, target: TargetOf<"raw_tracepoint">): Link {
  needCapabilities("attaching to a tracepoint", "CAP_PERFMON");
  const attributes = new Attributes().text(0, target.name).u32(8, descriptorOf(program));
  const fd = attributes.run("raw_tracepoint_open", `${program.name} to ${target.name}`);
  return new LinuxLink(new Descriptor(fd, "link"));
}

/** Attaches a program. Throws `SyscallError`, `AttachError` or `MissingCapabilityError`. */
export function attachProgram(program: Program, target: AttachTarget, context: AttachContext): Link {
  switch (target.hook) {
    case "tcx":
      return attachTcx(program, target, context);
    case "xdp":
      return attachXdp(program, target, context);
    case "cgroup":
      return attachCgroup(program, target);
    case "raw_tracepoint":
      return attachRawTracepoint(program, target);
  }
}
