/**
 * @module
 * What this machine offers to the datapath. Looks and tries; changes nothing that lasts.
 */
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { exit, type Instruction, mov64, r0 } from "@skep/isa";
import type { LinuxBpf } from "@skep/linux";
import type { MapSpec, ObjectSpec } from "@skep/object";
import { systemCode } from "./errors.ts";
import { parseMounts } from "./mounts.ts";

export interface Check {
  readonly name: string;
  /** `missing` keeps the datapath from running, `limited` costs something. */
  readonly state: "ok" | "limited" | "missing";
  readonly found: string;
  /** What the lack costs; "" where there is none. */
  readonly cost: string;
  readonly mend: string;
}

const ok = (name: string, found: string): Check => ({ name, state: "ok", found, cost: "", mend: "" });

function lacks(name: string, check: Omit<Check, "name" | "state">, state: "limited" | "missing" = "missing"): Check {
  return { name, state, ...check };
}

/** Text of a file; null where it cannot be read. */
function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}

function atLeast(version: string, wanted: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}

function nodeCheck(): Check {
  const { node } = process.versions;
  if (atLeast(node, [20, 19])) return ok("node", node);
  return lacks("node", { found: node, cost: "skep does not run", mend: "install Node 20.19 or later" });
}

/** tcx links came with Linux 6.6. */
const KERNEL: readonly [number, number] = [6, 6];

function kernelCheck(): Check {
  if (process.platform !== "linux") {
    return lacks("kernel", {
      found: process.platform,
      cost: "no workloads, no policy, no flows of this machine",
      mend: "run skep on Linux, or in a Linux virtual machine",
    });
  }
  const release = os.release();
  if (atLeast(release, KERNEL)) return ok("kernel", `Linux ${release}`);
  return lacks("kernel", {
    found: `Linux ${release}`,
    cost: "programs cannot be attached to interfaces (tcx)",
    mend: `run Linux ${KERNEL.join(".")} or later`,
  });
}

// Bits of include/uapi/linux/capability.h.
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_PERFMON: 38, CAP_BPF: 39 } as const;

/** Effective capabilities that the agent needs and this process lacks. */
export function missingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const has = (bit: number): boolean => ((effective >> BigInt(bit)) & 1n) === 1n;
  const admin = has(capabilities.CAP_SYS_ADMIN);
  // CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON (kernel/bpf/syscall.c, bpf_capable), not for CAP_NET_ADMIN.
  return Object.entries(capabilities)
    .filter(([name, bit]) => !has(bit) && !(admin && name !== "CAP_NET_ADMIN"))
    .map(([name]) => name);
}

function privilegeCheck(): Check {
  const missing = missingCapabilities(read("/proc/self/status") ?? "");
  const user = process.getuid?.() === 0 ? "root" : `user ${process.getuid?.() ?? "?"}`;
  if (missing.length > 0) {
    return lacks("privilege", {
      found: `${user} without ${missing.join(", ")}`,
      cost: "no program can be loaded, no interface made",
      mend:
        process.getuid?.() === 0
          ? "start the container with --privileged, or with these capabilities"
          : "run it as root (sudo), or in a container started with --privileged",
    });
  }
  const initial = /^\s*0\s+0\s+4294967295\s*$/m.test(read("/proc/self/uid_map") ?? "");
  if (initial) return ok("privilege", `${user}, CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN`);
  return lacks("privilege", {
    found: `${user} of a user namespace`,
    cost: "the kernel takes no programs from a user namespace",
    mend: "run it outside of the user namespace (rootful container)",
  });
}

function btfCheck(): Check {
  if (existsSync("/sys/kernel/btf/vmlinux")) return ok("kernel types (BTF)", "/sys/kernel/btf/vmlinux");
  return lacks(
    "kernel types (BTF)",
    {
      found: "none",
      cost: "programs that read kernel structures cannot be loaded",
      mend: "run a kernel built with CONFIG_DEBUG_INFO_BTF",
    },
    "limited",
  );
}

function mountChecks(): Check[] {
  const mounts = parseMounts(read("/proc/self/mountinfo") ?? "");
  const bpf = mounts.find(({ type }) => type === "bpf");
  const cgroup = mounts.find(({ type }) => type === "cgroup2");
  return [
    ok("pins (bpf file system)", bpf ? bpf.point : "not mounted: the agent mounts it"),
    cgroup
      ? ok("control groups (cgroup2)", cgroup.point)
      : lacks("control groups (cgroup2)", {
          found: "not mounted",
          cost: "no service addresses, no workloads",
          mend: "mount -t cgroup2 none /sys/fs/cgroup/unified",
        }),
  ];
}

function jitCheck(): Check {
  const jit = read("/proc/sys/net/core/bpf_jit_enable")?.trim();
  if (jit === undefined || jit !== "0") return ok("compiler in the kernel (JIT)", jit === undefined ? "unknown" : "on");
  return lacks(
    "compiler in the kernel (JIT)",
    { found: "off", cost: "programs run several times slower", mend: "sysctl net.core.bpf_jit_enable=1" },
    "limited",
  );
}

const pass: readonly Instruction[] = [mov64(r0, 1), exit()];

function programSpec(type: string, attachType?: string): ObjectSpec {
  const name = "skep_doctor";
  const program = {
    ...{ name, section: type, type, flags: 0, linkage: "global" as const },
    ...(attachType === undefined ? {} : { attachType }),
    ...{ instructions: pass, references: [], lines: [], coreRelocations: [] },
  };
  return { license: "GPL", byteOrder: "little", maps: {}, programs: { [name]: program }, functions: {} };
}

function mapSpec(type: string, rest: Partial<MapSpec> = {}): MapSpec {
  const sizes = { keySize: 8, valueSize: 8, maxEntries: 1, flags: 0, pinning: "none" as const };
  return { name: "skep_doctor", type, ...sizes, ...rest };
}

const NO_PREALLOC = 1;

const maps: readonly MapSpec[] = [
  mapSpec("hash"),
  mapSpec("lru_hash"),
  mapSpec("percpu_hash"),
  mapSpec("lpm_trie", { flags: NO_PREALLOC }),
  mapSpec("hash_of_maps", { keySize: 4, valueSize: 4, inner: mapSpec("lpm_trie", { flags: NO_PREALLOC }) }),
  mapSpec("ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 }),
];

const programs: readonly (readonly [type: string, attachType?: string])[] = [
  ["sched_cls"],
  ["cgroup_sock_addr", "cgroup_inet4_connect"],
  ["cgroup_sock_addr", "cgroup_inet4_getpeername"],
  ["xdp"],
];

function refusal(run: () => { close(): void }): string | null {
  try {
    run().close();
    return null;
  } catch (error) {
    return systemCode(error) ?? (error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
  }
}

/** Makes one of each kind that the datapath uses, and closes it again. */
function probes(name: string, tried: readonly (readonly [what: string, run: () => { close(): void }])[]): Check {
  const refused = tried.flatMap(([what, run]) => {
    const why = refusal(run);
    return why === null ? [] : [`${what} (${why})`];
  });
  if (refused.length === 0) return ok(name, tried.map(([what]) => what).join(", "));
  return lacks(name, {
    found: `the kernel refuses ${refused.join(", ")}`,
    cost: "the datapath cannot be loaded",
    mend: "run a kernel with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_NET_CLS_ACT",
  });
}

async function bpfChecks(): Promise<Check[]> {
  const bpf = await openBpf();
  if ("name" in bpf) return [bpf];
  return [
    probes(
      "maps",
      maps.map((spec) => [spec.type, () => bpf.createMap(spec)] as const),
    ),
    probes(
      "programs",
      programs.map(([type, attach]) => [attach ?? type, () => bpf.load(programSpec(type, attach))] as const),
    ),
  ];
}

async function openBpf(): Promise<LinuxBpf | Check> {
  try {
    const { openLinux } = await import("@skep/linux");
    return openLinux().bpf;
  } catch (error) {
    return lacks("system calls (koffi)", {
      found: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error),
      cost: "the kernel cannot be asked",
      mend: "install the dependencies for this platform: npm ci",
    });
  }
}

/** Everything that was looked at. The kernel is asked only where it may answer. */
export async function runDoctor(): Promise<Check[]> {
  const first = [nodeCheck(), kernelCheck()];
  if (process.platform !== "linux") return first;
  const privilege = privilegeCheck();
  const rest = [...mountChecks(), btfCheck(), jitCheck()];
  const asked = privilege.state === "ok" ? await bpfChecks() : [];
  return [...first, privilege, ...asked, ...rest];
}

/** Null where an agent can run; else three lines: what is missing, what that costs, what to do. */
export async function doctorSummary(): Promise<string | null> {
  const missing = (await runDoctor()).filter((check) => check.state === "missing");
  if (missing.length === 0) return null;
  const join = (pick: (check: Check) => string): string => [...new Set(missing.map(pick))].join("; ");
  return [
    `skep: the datapath cannot run here: ${join((check) => `${check.name}: ${check.found}`)}`,
    `that means: ${join((check) => check.cost)}`,
    `what to do: ${join((check) => check.mend)} (skep doctor shows all)`,
  ].join("\n");
}
