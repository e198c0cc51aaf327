/**
 * @module
 * A program and where it shall run: one function for each kind of hook.
 */
import type { AttachTarget, Link, Program } from "@skep/machine";
import { isErrno } from "../../sys/index.ts";
import { features, notSupported } from "../probes/index.ts";
import { attachCgroup } from "./cgroup.ts";
import type { AttachContext } from "./common.ts";
import { attachNetkit, attachTcx, attachXdp } from "./interface.ts";
import { attachIterator } from "./iterator.ts";
import { attachNamespace, attachNetfilter, attachSocket, attachSockmap } from "./socket.ts";
import {
  attachKprobe,
  attachKprobeMulti,
  attachRawTracepoint,
  attachSampling,
  attachTracepoint,
  attachTracing,
} from "./tracing.ts";
import { attachCgroupByCommand, attachClsBpf, attachXdpByNetlink } from "./without-links.ts";
import { attachUprobe, attachUprobeMulti, attachUsdt } from "./user.ts";

/** The link that each hook is made of, where it is made of one. */
const linkOfHook: Readonly<Partial<Record<AttachTarget["hook"], string>>> = {
  tcx: "tcx",
  netkit: "netkit",
  xdp: "xdp",
  cgroup: "cgroup",
  kprobe_multi: "kprobe_multi",
  uprobe_multi: "uprobe_multi",
  iterator: "iter",
  netfilter: "netfilter",
  sk_lookup: "netns",
  flow_dissector: "netns",
};

/**
 * Attaches a program; on a kernel without links of the hook in the way that was there before. Throws `SyscallError`, `AttachError`,
 * `MissingCapabilityError`, or `NotSupportedError` where the kernel has no such hook.
 */
export function attachProgram(program: Program, target: AttachTarget, context: AttachContext): Link {
  try {
    return dispatch(program, target, context);
  } catch (error) {
    const link = linkOfHook[target.hook];
    const isRefused = isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOTSUPP");
    if (!isRefused || link === undefined || features.linkType(link)) throw error;
    return attachWithoutLink(program, target, context) ?? refuse(link, error);
  }
}

function refuse(link: string, cause: unknown): never {
  throw notSupported("link", link, cause);
}

/** Null for hooks that there are only links of. */
function attachWithoutLink(program: Program, target: AttachTarget, context: AttachContext): Link | null {
  switch (target.hook) {
    case "tcx":
      return attachClsBpf(program, target, context);
    case "xdp":
      return attachXdpByNetlink(program, target, context);
    case "cgroup":
      return attachCgroupByCommand(program, target);
    default:
      return null;
  }
}

function dispatch(program: Program, target: AttachTarget, context: AttachContext): Link {
  switch (target.hook) {
    case "tcx":
      return attachTcx(program, target, context);
    case "netkit":
      return attachNetkit(program, target, context);
    case "xdp":
      return attachXdp(program, target, context);
    case "cgroup":
      return attachCgroup(program, target);
    case "raw_tracepoint":
      return attachRawTracepoint(program, target);
    case "tracing":
    case "freplace":
      return attachTracing(program, target);
    case "tracepoint":
      return attachTracepoint(program, target);
    case "kprobe":
      return attachKprobe(program, target);
    case "kprobe_multi":
      return attachKprobeMulti(program, target);
    case "uprobe":
      return attachUprobe(program, target);
    case "uprobe_multi":
      return attachUprobeMulti(program, target);
    case "usdt":
      return attachUsdt(program, target);
    case "perf_event":
      return attachSampling(program, target);
    case "iterator":
      return attachIterator(program, target);
    case "netfilter":
      return attachNetfilter(program, target, context);
    case "sk_lookup":
    case "flow_dissector":
      return attachNamespace(program, target, context);
    case "sockmap":
      return attachSockmap(program, target);
    case "socket":
      return attachSocket(program, target);
  }
}
