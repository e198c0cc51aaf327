import type { AttachTarget } from "@skep/machine";
import type { LinuxProgram } from "../program.ts";

/** libbpf's names of a system call's function. */
const syscallPrefix = process.arch === "arm64" ? "__arm64_sys_" : "__x64_sys_";

/** `name+0x10` or `name`. */
function splitOffset(text: string): { function: string; offset: number } {
  const [name = "", offset] = text.split("+", 2);
  return { function: name, offset: offset === undefined ? 0 : Number(offset) };
}

/** The last colon parts the file from the function: paths may hold colons. */
function splitPath(text: string): { path: string; rest: string } {
  const colon = text.lastIndexOf(":");
  return { path: text.slice(0, colon), rest: text.slice(colon + 1) };
}

/**
 * Where the program's section says that it belongs, as libbpf attaches automatically; null where the section names no target
 * (interfaces, cgroups, sockets are chosen by whoever attaches).
 */
export function autoTarget(program: LinuxProgram): AttachTarget | null {
  const { section = "", attachTo } = program.origin ?? {};
  const kind = section.replace(/^\?/, "").split("/", 1)[0] ?? "";
  const bare = kind.replace(/\.s$/, "");
  const isReturn = bare.includes("ret");
  if (["tp_btf", "fentry", "fexit", "fmod_ret", "fsession", "lsm"].includes(bare)) return { hook: "tracing" };
  if (bare === "freplace") return { hook: "freplace" };
  if (bare === "iter") return { hook: "iterator" };
  if (attachTo === undefined || attachTo === "") return null;
  switch (bare) {
    case "tp":
    case "tracepoint": {
      const [category = "", name = ""] = attachTo.split("/", 2);
      return { hook: "tracepoint", category, name };
    }
    case "raw_tp":
    case "raw_tracepoint":
    case "raw_tp.w":
    case "raw_tracepoint.w":
      return { hook: "raw_tracepoint", name: attachTo };
    case "kprobe":
    case "kretprobe":
      return { hook: "kprobe", ...splitOffset(attachTo), return: isReturn };
    case "ksyscall":
    case "kretsyscall":
      return { hook: "kprobe", function: `${syscallPrefix}${attachTo}`, return: isReturn };
    case "kprobe.multi":
    case "kretprobe.multi":
    case "kprobe.session":
      return { hook: "kprobe_multi", functions: [attachTo], return: isReturn };
    case "uprobe":
    case "uretprobe": {
      const { path, rest } = splitPath(attachTo);
      return { hook: "uprobe", path, ...splitOffset(rest), return: isReturn };
    }
    case "uprobe.multi":
    case "uretprobe.multi":
    case "uprobe.session": {
      const { path, rest } = splitPath(attachTo);
      return { hook: "uprobe_multi", path, places: [rest], return: isReturn };
    }
    case "usdt": {
      const parts = attachTo.split(":");
      const name = parts.pop() ?? "";
      const provider = parts.pop() ?? "";
      return { hook: "usdt", path: parts.join(":"), provider, name };
    }
    default:
      return null;
  }
}
