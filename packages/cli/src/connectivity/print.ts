/**
 * @module
 * Outcomes as people and CI systems read them.
 */
import type { Outcome } from "./run.ts";

const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`).replace(/[^\t\n\r\x20-\uffff]/g, "?");

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

/** The failed findings of an outcome, a line each. */
export function failureLines({ findings }: Outcome): string[] {
  return findings.flatMap(({ probe, expected, seen, ok }) =>
    ok ? [] : [`${probe}: expected ${expected}, saw ${seen}`],
  );
}

/** JUnit's XML, as CI systems read it: one case for each scenario. */
export function junit(outcomes: readonly Outcome[], machine: string): string {
  const cases = outcomes.map((outcome) => {
    const head = `    <testcase classname="connectivity.${machine}" name="${escape(outcome.name)}" time="${seconds(outcome.took)}"`;
    if (outcome.ok) return `${head}/>`;
    const lines = failureLines(outcome);
    return `${head}>\n      <failure message="${escape(lines[0] ?? "")}">${escape(lines.join("\n"))}</failure>\n    </testcase>`;
  });
  const failed = outcomes.filter(({ ok }) => !ok).length;
  const time = seconds(outcomes.reduce((sum, { took }) => sum + took, 0));
  const suite = `<testsuite name="connectivity on ${machine}" tests="${outcomes.length}" failures="${failed}" time="${time}">`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<testsuites>",
    `  ${suite}`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}
