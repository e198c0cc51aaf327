/** @module The report as Markdown. */
import type { Execution } from "./execution.ts";
import type { Fuzzing, Tally } from "./fuzz.ts";
import type { MutantResult } from "./mutants.ts";
import type { ObjectComparison } from "./objects.ts";
import { explanations, notAsked, shadowed } from "./reasons.ts";

export interface Findings {
  readonly compared: readonly ObjectComparison[];
  readonly fuzzing: Fuzzing;
  readonly mutants: readonly MutantResult[];
  readonly execution: Execution;
  readonly seed: number;
  readonly programs: number;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const percent = (part: number, whole: number): string => (whole === 0 ? "-" : `${((100 * part) / whole).toFixed(2)} %`);

export function markdown(findings: Findings): string {
  const { compared, fuzzing, mutants, execution } = findings;
  return `# Skep's verifier and the kernel's

Made by \`npm run report -- verifier\`: the same programs through both. The kernel is the oracle (6.18, x86-64, privileged).

## Real objects

${objectTable(compared)}

${objectList(compared)}

## Fuzzed programs

${findings.programs} programs from seed ${findings.seed}: five of ten generated, three mutated from ${fuzzing.seedCount.plain} real programs without their types, two from
${fuzzing.seedCount.typed} programs with their types: kernel functions, iterators, locks, sections, arenas, global functions, objects of their own.

${fuzzTable(fuzzing)}

Where they do not agree, by what is said (numbers replaced by N):

${disagreements(fuzzing)}

## Rules

Every rule of the verifier: how often it was the one that refused in the run above; and, with the rule taken out of our verifier, how many of the
programs that broke it (at most 100 of the run, and those of the tests), all refused by the kernel, are then accepted: each of them fails the run.

${ruleTable(fuzzing, mutants)}

## Execution

What both accept, run with random packets in the kernel (\`BPF_PROG_TEST_RUN\`) and in the user-space machine.

${table(
  ["", "count"],
  [
    ["programs", execution.programs],
    ["runs", execution.runs],
    ["of these with the same result", execution.sameResult],
    ["maps compared", execution.mapsCompared],
    ["of these with the same contents", execution.sameMaps],
  ],
)}
${execution.differences.map((each) => `\n- ${each}`).join("")}
`;
}

function objectTable(compared: readonly ObjectComparison[]): string {
  const groups = [...new Set(compared.map((each) => each.group))];
  return table(
    [
      "objects of",
      "programs",
      "both accept",
      "both refuse",
      "only we accept",
      "only the kernel accepts",
      "not asked of the verifier",
      "accepted by the kernel and refused by us",
    ],
    groups.map((group) => {
      const rows = compared.filter((each) => each.group === group);
      const asked = rows.filter((each) => each.asked);
      const count = (kernel: boolean, ours: boolean) =>
        asked.filter((each) => (each.kernel === null) === kernel && (each.ours === null) === ours).length;
      return [
        group,
        rows.length,
        count(true, true),
        count(false, false),
        count(false, true),
        count(true, false),
        rows.length - asked.length,
        percent(count(true, false), count(true, true) + count(true, false)),
      ];
    }),
  );
}

/** Without the place in a source that is not the repository's. */
const pathless = (text: string): string => text.replace(/ \(\/.*/, "");

function because(text: string): string {
  const reason = explanations(text.replaceAll(/-?\d+/g, "N"));
  return reason === "" ? "" : ` (${reason})`;
}

function objectList(compared: readonly ObjectComparison[]): string {
  const different = compared.filter((each) => each.asked && (each.kernel === null) !== (each.ours === null));
  if (different.length === 0) return "No program on which they do not agree.";
  return different
    .map(
      (each) =>
        `- ${each.object}, ${each.program}: ${each.ours === null ? `kernel: ${pathless(each.kernel ?? "")}${because(each.kernel ?? "")}` : `ours: ${each.ours}`}`,
    )
    .join("\n");
}

function fuzzTable(fuzzing: Fuzzing): string {
  const row = (name: string, counts: Tally) => [
    name,
    counts.programs,
    counts.bothAccept,
    counts.bothRefuse,
    counts.onlyWeAccept,
    counts.onlyKernelAccepts,
    percent(counts.bothAccept + counts.onlyKernelAccepts, counts.programs),
    percent(counts.onlyKernelAccepts, counts.bothAccept + counts.onlyKernelAccepts),
  ];
  const { generated, mutated, typed } = fuzzing.tallies;
  const sum = (key: keyof Tally) => generated[key] + mutated[key] + typed[key];
  const all: Tally = {
    programs: sum("programs"),
    bothAccept: sum("bothAccept"),
    bothRefuse: sum("bothRefuse"),
    onlyWeAccept: sum("onlyWeAccept"),
    onlyKernelAccepts: sum("onlyKernelAccepts"),
  };
  return table(
    [
      "",
      "programs",
      "both accept",
      "both refuse",
      "only we accept",
      "only the kernel accepts",
      "accepted by the kernel",
      "of these refused by us",
    ],
    [row("generated", generated), row("mutated", mutated), row("mutated with types", typed), row("**all**", all)],
  );
}

function disagreements(fuzzing: Fuzzing): string {
  const rows = [...fuzzing.disagreements].sort((a, b) => b[1].count - a[1].count);
  if (rows.length === 0) return "None.";
  return table(
    ["who accepts", "count", "what the other says", "why"],
    rows.map(([key, { example, count }]) => [
      example.ours === null ? "we" : "the kernel",
      count,
      key,
      explanations(key),
    ]),
  );
}

function ruleTable(fuzzing: Fuzzing, mutants: readonly MutantResult[]): string {
  return table(
    ["code", "rule", "refused by it", "tried without it", "accepted: the run fails", "else refused by", "remark"],
    mutants.map((each) => [
      each.code,
      each.rule,
      fuzzing.rules.get(each.rule) ?? 0,
      each.programs,
      each.accepted,
      [...each.others]
        .sort((a, b) => b[1] - a[1])
        .slice(0, 3)
        .map(([rule, count]) => `${rule} ${count}`)
        .join(", "),
      notAsked[each.rule] ?? (each.accepted > 0 ? "" : (shadowed[each.rule] ?? "")),
    ]),
  );
}

/** What makes the run fail: acceptances without a reason, rules that were not reached or that nothing tells from none. */
export function failures({ compared, fuzzing, mutants }: Pick<Findings, "compared" | "fuzzing" | "mutants">): string[] {
  const found: string[] = [];
  for (const [key, { example, count }] of fuzzing.disagreements)
    if (example.ours === null && explanations(key) === "")
      found.push(`accepted ${count} times, without a reason: ${key}`);
  for (const each of compared) {
    const text = (each.kernel ?? "").replaceAll(/-?\d+/g, "N");
    if (each.asked && each.kernel !== null && each.ours === null && explanations(text) === "")
      found.push(`${each.object}, ${each.program} is accepted without a reason: ${each.kernel}`);
  }
  for (const { rule, accepted } of mutants) {
    if (notAsked[rule] !== undefined) continue;
    if ((fuzzing.rules.get(rule) ?? 0) === 0) found.push(`no program broke the rule ${rule}`);
    if (accepted === 0 && shadowed[rule] === undefined) found.push(`nothing tells a verifier without the rule ${rule}`);
  }
  return found;
}
