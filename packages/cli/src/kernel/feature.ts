/**
 * @module
 * `skep feature`: what the running kernel can do, found out by trying, and what Skep knows by name.
 */
import { readFileSync } from "node:fs";
import { attachTypes, helpers, linkTypes, mapTypes, programTypes } from "@skep/isa";
import {
  features,
  InconclusiveError,
  type InstructionFeature,
  kernelConfig,
  mapTypesSince,
  programTypesSince,
} from "@skep/linux";
import { systemCode, usageError } from "../errors.ts";
import { note, write } from "../output/print.ts";
import type { Session } from "./session.ts";
import { membersOf, plainText, type Tree } from "./tree.ts";
import { Progress } from "./progress.ts";

/** Build options that BPF depends on, in the order of bpftool. */
const options =
  "BPF BPF_SYSCALL HAVE_EBPF_JIT BPF_JIT BPF_JIT_ALWAYS_ON DEBUG_INFO_BTF DEBUG_INFO_BTF_MODULES CGROUPS CGROUP_BPF CGROUP_NET_CLASSID SOCK_CGROUP_DATA BPF_EVENTS KPROBE_EVENTS UPROBE_EVENTS TRACING FTRACE_SYSCALLS FUNCTION_ERROR_INJECTION BPF_KPROBE_OVERRIDE NET XDP_SOCKETS LWTUNNEL_BPF NET_ACT_BPF NET_CLS_BPF NET_CLS_ACT NET_SCH_INGRESS XFRM IP_ROUTE_CLASSID IPV6_SEG6_BPF BPF_LIRC_MODE2 BPF_STREAM_PARSER NETFILTER_XT_MATCH_BPF BPFILTER BPFILTER_UMH TEST_BPF HZ BPF_LSM FPROBE NETKIT NET_SCH_BPF SCHED_CLASS_EXT".split(
    " ",
  );

const sysctls = {
  unprivileged_bpf_disabled: "/proc/sys/kernel/unprivileged_bpf_disabled",
  bpf_jit_enable: "/proc/sys/net/core/bpf_jit_enable",
  bpf_jit_harden: "/proc/sys/net/core/bpf_jit_harden",
  bpf_jit_kallsyms: "/proc/sys/net/core/bpf_jit_kallsyms",
  bpf_jit_limit: "/proc/sys/net/core/bpf_jit_limit",
} as const;

function sysctl(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch (error) {
    if (["ENOENT", "EACCES", "EPERM"].includes(systemCode(error) ?? "")) return null;
    throw error;
  }
}

type Section = { readonly [name: string]: Tree };

function systemConfig(): Section {
  const config = kernelConfig();
  return {
    ...Object.fromEntries(Object.entries(sysctls).map(([name, path]) => [name, sysctl(path)])),
    ...Object.fromEntries(options.map((name) => [`CONFIG_${name}`, config.get(`CONFIG_${name}`) ?? null])),
  };
}

/** Null where an attempt tells nothing. */
function asked(ask: () => boolean): boolean | null {
  try {
    return ask();
  } catch (error) {
    if (error instanceof InconclusiveError) return null;
    throw error;
  }
}

const namesOf = (table: object): string[] => Object.keys(table).filter((name) => name !== "unspec");

function types(names: readonly string[], suffix: string, ask: (name: string) => boolean): Section {
  return Object.fromEntries(names.map((name) => [`have_${name}_${suffix}`, asked(() => ask(name))]));
}

/** What a call of these would leave in the kernel's log (bpftool: probed with `full` only). */
const noisy = new Set(["trace_printk", "trace_vprintk", "probe_write_user"]);

function availableHelpers(full: boolean, progress: Progress): Section {
  const wanted = helpers.filter(({ name }) => full || !noisy.has(name));
  const all = namesOf(programTypes);
  const rows = all.map((type, index) => {
    progress.show(`helpers of ${type} (${index + 1} of ${all.length})`);
    const isThere = asked(() => features.programType(type)) === true;
    const found = isThere ? wanted.filter(({ name }) => asked(() => features.helper(type, name)) === true) : [];
    return [`${type}_available_helpers`, found.map(({ name }) => `bpf_${name}`)] as const;
  });
  return Object.fromEntries(rows);
}

const instructionFeatures: readonly (readonly [string, InstructionFeature])[] = [
  ["have_large_insn_limit", "manyInstructions"],
  ["have_bounded_loops", "boundedLoops"],
  ["have_v2_isa_extension", "v2"],
  ["have_v3_isa_extension", "v3"],
  ["have_v4_isa_extension", "v4"],
  ["have_may_goto", "mayGoto"],
  ["have_load_acquire", "loadAcquire"],
];

interface Probing {
  readonly full: boolean;
  readonly progress: Progress;
}

const sections = {
  system_config: systemConfig,
  syscall_config: () => ({ have_bpf_syscall: asked(() => features.mapType("array")) }),
  program_types: () => types(namesOf(programTypesSince), "prog_type", (name) => features.programType(name)),
  map_types: () => types(namesOf(mapTypesSince), "map_type", (name) => features.mapType(name)),
  link_types: () =>
    types(
      namesOf(linkTypes).filter((name) => name !== "tracing_multi"),
      "link_type",
      (name) => features.linkType(name),
    ),
  helpers: ({ full, progress }: Probing) => availableHelpers(full, progress),
  misc: () =>
    Object.fromEntries(
      instructionFeatures.map(([name, feature]) => [name, asked(() => features.instructions(feature))]),
    ),
} satisfies Record<string, (probing: Probing) => Section>;

type SectionName = keyof typeof sections;
const sectionNames = Object.keys(sections) as SectionName[];

interface ProbeWords {
  readonly wanted: readonly SectionName[];
  readonly full: boolean;
  /** Prefix of macros; null: no macros. */
  readonly prefix: string | null;
}

function readWords(session: Session): ProbeWords {
  const { words } = session;
  const wanted: SectionName[] = [];
  let full = false;
  let prefix: string | null = null;
  while (!words.isEmpty) {
    const section = sectionNames.find((name) => name === words.peek());
    if (section !== undefined) {
      words.next("a section");
      wanted.push(section);
    } else if (words.take("full")) full = true;
    else if (words.take("macros")) prefix = words.take("prefix") ? words.next("a prefix") : "";
    else if (!words.take("kernel")) words.end("kernel", "full", "macros [prefix P]", ...sectionNames);
  }
  return { wanted: wanted.length === 0 ? sectionNames : wanted, full, prefix };
}

/** `feature probe [kernel] [full] [macros [prefix P]] [SECTION...]`. */
export async function featureProbe(session: Session): Promise<void> {
  const { wanted, full, prefix } = readWords(session);
  if (prefix !== null && session.isData) throw usageError("macros are text: leave -o, -j and -p out");
  const progress = new Progress("probing");
  const found: Record<string, Section> = {};
  try {
    for (const name of wanted) {
      progress.show(name.replaceAll("_", " "));
      found[name] = sections[name]({ full, progress });
    }
  } finally {
    progress.end();
  }
  if (prefix !== null) return write(macros(found, prefix));
  await session.print(found, () => text(found));
  if (!full && wanted.includes("helpers") && !session.isData)
    note(`not probed, since a call would leave words in the kernel's log: ${[...noisy].join(", ")} (full)`);
}

const isText = (value: Tree): value is string => typeof value === "string";

function sectionText(name: string, section: Section): string {
  const members = membersOf(section) ?? [];
  if (name === "helpers")
    return members
      .map(([type, list]) => {
        const names = (list as readonly string[]).map((each) => each.replace(/^bpf_/, ""));
        return `  ${type.replace("_available_helpers", "")} (${names.length}): ${wrapped(names)}\n`;
      })
      .join("");
  const label = (each: string) => each.replace(/^have_/, "").replace(/_(prog_type|map_type|link_type)$/, "");
  const of = (wantedValue: Tree) => members.filter(([, value]) => value === wantedValue).map(([each]) => label(each));
  if (name === "system_config")
    return members.map(([each, value]) => `  ${each} ${value === null ? "not set" : plainText(value)}\n`).join("");
  const unknown = of(null);
  return [
    `  yes: ${wrapped(of(true))}\n`,
    ...(of(false).length > 0 ? [`  no:  ${wrapped(of(false))}\n`] : []),
    ...(unknown.length > 0 ? [`  not known: ${wrapped(unknown)}\n`] : []),
  ].join("");
}

const WIDTH = 110;

function wrapped(names: readonly string[]): string {
  const lines: string[] = [];
  let line = "";
  for (const name of names) {
    if (line !== "" && line.length + name.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line += `${line === "" ? "" : " "}${name}`;
  }
  return [...lines, line].join("\n       ");
}

function text(found: Readonly<Record<string, Section>>): string {
  return Object.entries(found)
    .map(([name, section]) => `${name.replaceAll("_", " ")}:\n${sectionText(name, section)}`)
    .join("\n");
}

/** As a C header. */
function macros(found: Readonly<Record<string, Section>>, prefix: string): string {
  const lines = Object.entries(found).flatMap(([name, section]) => {
    if (name === "helpers")
      return Object.entries(section).flatMap(([type, list]) =>
        (list as readonly string[]).map(
          (helper) =>
            `#define ${prefix}HAVE_${type.replace("_available_helpers", "").toUpperCase()}_HELPER_${helper.toUpperCase()} 1`,
        ),
      );
    return Object.entries(section).map(([each, value]) => {
      const macro = `${prefix}${each.toUpperCase()}`;
      if (value === true) return `#define ${macro} 1`;
      if (value === false || value === null) return `/* ${macro} is not set */`;
      return `#define ${macro} ${isText(value) ? (value === "y" ? "1" : value) : plainText(value)}`;
    });
  });
  return `${lines.join("\n")}\n`;
}

const groups = {
  prog_types: () => Object.keys(programTypes),
  map_types: () => Object.keys(mapTypes),
  attach_types: () => Object.keys(attachTypes),
  link_types: () => Object.keys(linkTypes),
  helpers: () => helpers.map(({ name }) => `bpf_${name}`),
} as const;

/** `feature list_builtins GROUP`. */
export async function featureList(session: Session): Promise<void> {
  const group = session.words.choice("group", Object.keys(groups) as (keyof typeof groups)[]);
  session.words.end();
  const names = groups[group]();
  await session.print(names, () => `${names.join("\n")}\n`);
}
