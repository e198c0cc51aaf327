import { exit, mov64, r0 } from "@skep/isa";
import { codeOf, inNewNamespace, SyscallError } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { descriptorFrom, linkWith } from "./link-attributes.ts";
import { conclusive, InconclusiveError, tryProgram, type TinyProgram } from "./run.ts";
import { tinyProgram } from "./program-types.ts";

interface LinkProbe {
  readonly program: TinyProgram | null;
  /** Asks for a link that cannot be made, or of a kind that is undone at once. */
  readonly attempt: (program: number) => number;
  /** Errors of a kernel that has the link and dislikes this one. */
  readonly has: readonly string[];
}

const NOTHING = 0xffff_ffff;

function probeOf(type: string): LinkProbe {
  const wrongFd = (attachType: string) => (program: number) =>
    linkWith(program, NOTHING, attachType).try("link_create");
  switch (type) {
    case "cgroup":
      return {
        program: tinyProgram("cgroup_skb", "cgroup_inet_egress"),
        attempt: wrongFd("cgroup_inet_egress"),
        has: ["EBADF"],
      };
    case "netns":
      return { program: tinyProgram("sk_lookup"), attempt: wrongFd("sk_lookup"), has: ["EBADF"] };
    case "perf_event":
      return { program: tinyProgram("tracepoint"), attempt: wrongFd("perf_event"), has: ["EBADF"] };
    case "iter":
      return {
        program: tinyProgram("tracing", "trace_iter"),
        attempt: (fd) => linkWith(fd, 0, "trace_iter").try("link_create"),
        has: [],
      };
    case "raw_tracepoint":
      return {
        program: tinyProgram("raw_tracepoint"),
        attempt: (fd) => new Attributes().text(0, "no_such").u32(8, fd).try("raw_tracepoint_open"),
        has: ["ENOENT"],
      };
    case "tracing":
      return {
        program: tinyProgram("tracing"),
        attempt: (fd) => new Attributes().u32(8, fd).try("raw_tracepoint_open"),
        has: [],
      };
    case "tcx":
      return { program: tinyProgram("sched_cls"), attempt: wrongFd("tcx_ingress"), has: ["ENODEV"] };
    case "netkit":
      return { program: tinyProgram("sched_cls"), attempt: wrongFd("netkit_primary"), has: ["ENODEV"] };
    case "xdp":
      return { program: tinyProgram("xdp"), attempt: onLoopback, has: [] };
    case "netfilter":
      return {
        program: tinyProgram("netfilter"),
        attempt: (fd) => linkWith(fd, 0, "netfilter").u32(16, 1).try("link_create"),
        has: ["EAFNOSUPPORT"],
      };
    case "kprobe_multi":
      return {
        program: multiProgram("trace_kprobe_multi"),
        attempt: (fd) =>
          linkWith(fd, 0, "trace_kprobe_multi").u32(20, 1).texts(24, ["no such function"]).try("link_create"),
        has: ["ESRCH", "ENOENT"],
      };
    case "uprobe_multi":
      return {
        program: multiProgram("trace_uprobe_multi"),
        attempt: (fd) =>
          linkWith(fd, 0, "trace_uprobe_multi").text(16, "/").numbers(24, [0n]).u32(48, 1).try("link_create"),
        has: ["EBADF"],
      };
    case "sockmap":
      return {
        program: { type: "sk_msg", attachType: "sk_msg_verdict", code: [mov64(r0, 1), exit()] },
        attempt: wrongFd("sk_msg_verdict"),
        has: ["EBADF"],
      };
    case "struct_ops":
      return {
        program: tinyProgram("socket_filter"),
        attempt: () => linkWith(NOTHING, 0, "struct_ops").try("link_create"),
        has: ["EBADF"],
      };
    default:
      throw new RangeError(`no such link type: ${type}`);
  }
}

function multiProgram(attachType: string): TinyProgram {
  return { type: "kprobe", attachType, code: [mov64(r0, 0), exit()] };
}

/** The loopback interface of a namespace that is gone again: a kernel without XDP links gives the same error for any interface. */
function onLoopback(program: number): number {
  const LOOPBACK = 1;
  const GENERIC = 2;
  return inNewNamespace(() => descriptorFrom(linkWith(program, LOOPBACK, "xdp").u32(12, GENERIC).try("link_create")));
}

/** Whether the kernel makes links of the type. Throws `InconclusiveError`. */
export function probeLinkType(type: string): boolean {
  const { program, attempt, has } = probeOf(type);
  if (!program) return false;
  let result = 0;
  const { errno } = tryProgram(program, (fd) => {
    result = descriptorFrom(attempt(fd));
  });
  conclusive(`${type} links`, errno);
  // A kernel that does not take the program does not link it.
  if (errno !== 0) return false;
  if (result === 0) return true;
  conclusive(`${type} links`, -result);
  const code = codeOf(-result);
  if (has.includes(code)) return true;
  if (["EINVAL", "EOPNOTSUPP", "ENOTSUPP"].includes(code)) return false;
  throw new InconclusiveError(`${type} links`, new SyscallError("bpf(LINK_CREATE)", -result));
}
