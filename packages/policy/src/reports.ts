/**
 * @module
 * Results of tests for people and for machines that collect them.
 */
import { formatSpan } from "./diagnostic.ts";
import type { PolicyTestResult } from "./suite.ts";

/** One line a test, with the trace of what failed. */
export function formatResults(results: readonly PolicyTestResult[]): string {
  const lines: string[] = [];
  let suite = "";
  for (const result of results) {
    if (result.suite !== suite) lines.push(...(lines.length > 0 ? [""] : []), (suite = result.suite));
    lines.push(`  ${result.ok ? "ok  " : "FAIL"} ${result.test.name}`);
    if (result.ok) continue;
    lines.push(`       ${formatSpan(result.test.span)}`);
    for (const problem of result.problems) lines.push(`       ${problem}`);
    for (const line of result.details.split("\n")) if (line !== "") lines.push(`       | ${line}`);
  }
  const failed = results.filter(({ ok }) => !ok).length;
  lines.push("", `${results.length} tests, ${failed} failed`);
  return lines.join("\n");
}

/** Test Anything Protocol, version 14. */
export function formatTap(results: readonly PolicyTestResult[]): string {
  const lines = ["TAP version 14", `1..${results.length}`];
  for (const [i, { ok, test, suite, problems }] of results.entries()) {
    lines.push(`${ok ? "ok" : "not ok"} ${i + 1} - ${tapText(`${suite}: ${test.name}`)}`);
    if (ok) continue;
    lines.push("  ---", `  at: ${JSON.stringify(formatSpan(test.span))}`, "  problems:");
    for (const problem of problems) lines.push(`    - ${JSON.stringify(problem)}`);
    lines.push("  ...");
  }
  return `${lines.join("\n")}\n`;
}

/** `#` starts a directive. */
function tapText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("#", "\\#").replaceAll("\n", " ");
}

/** The XML that JUnit writes and everybody reads. */
export function formatJunit(results: readonly PolicyTestResult[]): string {
  const suites = new Map<string, PolicyTestResult[]>();
  for (const result of results) suites.set(result.suite, [...(suites.get(result.suite) ?? []), result]);
  const failures = (part: readonly PolicyTestResult[]): number => part.filter(({ ok }) => !ok).length;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${results.length}" failures="${failures(results)}">`,
  ];
  for (const [name, part] of suites) {
    lines.push(`  <testsuite name="${xml(name)}" tests="${part.length}" failures="${failures(part)}">`);
    for (const { ok, test, problems, details } of part) {
      const head = `    <testcase classname="${xml(name)}" name="${xml(test.name)}" file="${xml(test.span.file)}" line="${test.span.line}"`;
      if (ok) lines.push(`${head}/>`);
      else
        lines.push(
          `${head}>`,
          `      <failure message="${xml(problems.join("; "))}">${xml(details)}</failure>`,
          "    </testcase>",
        );
    }
    lines.push("  </testsuite>");
  }
  return `${[...lines, "</testsuites>"].join("\n")}\n`;
}

function xml(text: string): string {
  const plain = text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, "\uFFFD");
  return plain.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
