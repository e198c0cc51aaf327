import type { Difference } from "./outcome.ts";
import type { Built, Prepared } from "./prepare.ts";
import { reasonOf, reasons, type Compared, type Reason } from "./reasons.ts";

export interface Found {
  readonly versions: Prepared["versions"];
  readonly built: readonly Built[];
  readonly direct: readonly Compared[];
  /** libbpf on what Skep read and wrote, beside libbpf on the original. */
  readonly rewritten: readonly Compared[];
  readonly linked: readonly Compared[];
}

/** Differences that no reason explains. */
export function unexplained(compared: Compared): { readonly name: string; readonly difference: Difference }[] {
  return compared.differences
    .filter((difference) => reasonOf(difference, compared) === null)
    .map((difference) => ({ name: compared.name, difference }));
}

export function markdown(found: Found): string {
  const { versions, built } = found;
  const missing = built.filter(({ file }) => file === null);
  return [
    "# The kernel's selftest objects, loaded by libbpf and by Skep",
    "",
    "Made by `npm run report -- selftests`: `tools/testing/selftests/bpf/progs/*.c` of Debian's linux-source-6.12, compiled with the flags of their",
    "Makefile against this kernel's types (a `vmlinux.h` printed by Skep), opened and loaded by libbpf and by Skep as both do by default, and once more",
    "for every program alone. Compared are the outcome (the kernel's errno where the kernel refuses; that both refuse where it was not asked), and of",
    "what is then in the kernel: type, tag (a hash of the instructions), translated length, number of maps, functions and lines, attach point and",
    "licence of every program; type, sizes, flags, extra, types and contents of every map.",
    "",
    "| | |",
    "|---|---|",
    `| kernel | ${versions.kernel} |`,
    `| source | linux-source-6.12 ${versions.source} |`,
    `| libbpf | ${versions.libbpf} |`,
    `| compiler | ${versions.clang} |`,
    "",
    ...counts(found),
    "",
    "## Differences",
    "",
    ...differencesText(found),
    "## Objects that are not built",
    "",
    "The test is older than the kernel whose types it is compiled against.",
    "",
    "| object | the compiler says |",
    "|---|---|",
    ...missing.map(({ name, error }) => `| ${name} | ${cell(error)} |`),
    "",
  ].join("\n");
}

function counts({ built, direct, rewritten, linked }: Found): string[] {
  const all = direct.flatMap(({ libbpf }) => [...libbpf.facts]);
  const count = (test: (what: string, fact: string) => boolean) =>
    all.filter(([what, fact]) => test(what, fact)).length;
  const same = (compared: readonly Compared[]) => compared.filter((each) => each.differences.length === 0).length;
  const open = [...direct, ...rewritten, ...linked].flatMap((each) => unexplained(each)).length;
  const rows: [string, number][] = [
    ["objects of the selftests", built.length],
    ["built and compared", direct.length],
    ["of these loaded by libbpf", count((what, fact) => what === "load" && fact.startsWith("0"))],
    ["refused by the kernel", count((what, fact) => what === "load" && fact.endsWith(" kernel"))],
    ["refused by libbpf itself", direct.length - count((what, fact) => what === "load" && !isOwnRefusal(fact))],
    ["**objects without any difference**", same(direct)],
    ["programs loaded alone", count((what) => what.startsWith("single "))],
    ["of these loaded", count((what, fact) => what.startsWith("single ") && fact.startsWith("0"))],
    ["programs whose kernel information was compared", count((what) => what.startsWith("program "))],
    ["maps whose kernel information was compared", count((what) => what.startsWith("map "))],
    ["objects read and written by Skep, then loaded by libbpf", rewritten.length],
    ["**of these without any difference to the original**", same(rewritten)],
    ["pairs of linkers and loaders on linked objects", linked.length],
    ["**of these without any difference to libbpf's own**", same(linked)],
    ["**differences without a reason**", open],
  ];
  return ["| | count |", "|---|---|", ...rows.map(([what, number]) => `| ${what} | ${number} |`)];
}

function isOwnRefusal(fact: string): boolean {
  return fact.endsWith(" library") && !fact.startsWith("0");
}

function differencesText(found: Found): string[] {
  const all = [...found.direct, ...found.rewritten, ...found.linked];
  const out: string[] = [];
  for (const reason of reasons) {
    const rows = all.flatMap((compared) => rowOf(compared, reason));
    if (rows.length > 0) out.push(`### ${reason.title}`, "", reason.text, "", ...table(rows), "");
  }
  const rest = all.flatMap((compared) => rowOf(compared, null));
  return rest.length === 0 ? out : [...out, "### Without a reason", "", ...table(rest), ""];
}

function table(rows: readonly string[]): string[] {
  return ["| object | differences | first | libbpf | Skep |", "|---|---|---|---|---|", ...rows];
}

function rowOf(compared: Compared, reason: Reason | null): string[] {
  const own = compared.differences.filter((difference) => reasonOf(difference, compared) === reason);
  const first = own[0];
  if (first === undefined) return [];
  const { what, libbpf, skep } = first;
  return [
    `| ${[compared.name, own.length, what, factText(what, libbpf), factText(what, skep)].map(cell).join(" | ")} |`,
  ];
}

const ERRORS: Readonly<Record<string, string>> = {
  ...{ 1: "EPERM", 2: "ENOENT", 3: "ESRCH", 7: "E2BIG", 9: "EBADF", 13: "EACCES", 14: "EFAULT", 22: "EINVAL" },
  ...{ 95: "EOPNOTSUPP", 524: "ENOTSUPP" },
};

function factText(what: string, fact: string | null): string {
  if (fact === null) return "not reached";
  if (/^(program|map) /.test(what)) return fact;
  const [number = "", how = ""] = fact.split(" ");
  if (number === "0") return what === "open" ? "opened" : "loaded";
  const error = number === "-1" ? "typed error" : (ERRORS[number] ?? number);
  return how === "kernel" ? `${error} of the kernel` : error;
}

function cell(value: string | number): string {
  return `${value}`.replaceAll("|", "\\|");
}
