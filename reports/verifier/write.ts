/** @module The report as Markdown. */
import type { Execution } from "./execution.ts";
import type { Fuzzing, Tally } from "./fuzz.ts";
import type { MutantResult } from "./mutants.ts";
import type { ObjectComparison } from "./objects.ts";
import { explanations } from "./reasons.ts";

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

${findings.programs} programs from seed ${findings.seed}: three of five generated, two of five mutated from ${fuzzing.seedCount} real programs.

${fuzzTable(fuzzing)}

Where they do not agree, by what is said (numbers replaced by N):

${disagreements(fuzzing)}

## Rules

Every rule of the verifier: how often it was the one that refused; and, with the rule taken out, how many of the kept programs (at most 25) are then
accepted: each of them fails the run.

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
      ];
    }),
  );
}

function objectList(compared: readonly ObjectComparison[]): string {
  const different = compared.filter((each) => each.asked && (each.kernel === null) !== (each.ours === null));
  if (different.length === 0) return "No program on which they do not agree.";
  return different
    .map(
      (each) =>
        `- ${each.object}, ${each.program}: ${each.ours === null ? `kernel: ${each.kernel ?? ""}` : `ours: ${each.ours}`}`,
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
  const { generated, mutated } = fuzzing.tallies;
  const sum = (key: keyof Tally) => generated[key] + mutated[key];
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
    [row("generated", generated), row("mutated", mutated), row("**all**", all)],
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
    ["code", "rule", "refused by it", "kept", "accepted without it", "refused by another"],
    mutants.map((each) => [
      each.code,
      each.rule,
      fuzzing.rules.get(each.rule) ?? 0,
      each.programs,
      each.accepted,
      each.otherRule,
    ]),
  );
}
