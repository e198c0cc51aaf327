import pc from "picocolors";
import type { Diagnostic } from "@skep/policy";

interface Text {
  readonly file: string;
  readonly text: string;
}

type Colors = ReturnType<typeof pc.createColors>;

function excerpt({ span }: Diagnostic, texts: ReadonlyMap<string, string>, colors: Colors): string {
  const line = span && texts.get(span.file)?.split(/\r?\n/)[span.line - 1];
  if (!span || line === undefined) return "";
  const margin = " ".repeat(`${span.line}`.length);
  const before = line.slice(0, span.column - 1).replace(/[^\t]/g, " ");
  const width = Math.max(1, Math.min(span.length, line.length - span.column + 1));
  const mark = colors.red(`^${"~".repeat(width - 1)}`);
  return `\n${colors.dim(`${span.line} |`)} ${line}\n${colors.dim(`${margin} |`)} ${before}${mark}`;
}

function formatProblem(problem: Diagnostic, texts: ReadonlyMap<string, string>, colors: Colors): string {
  const { span, severity, code, message, hint, related = [] } = problem;
  const paint = severity === "error" ? colors.red : severity === "warning" ? colors.yellow : colors.cyan;
  const place = span ? `${span.file}:${span.line}:${span.column}: ` : "";
  const notes = related.map((each) => `\n  ${each.span ? `${each.span.file}:${each.span.line}: ` : ""}${each.message}`);
  const mend = hint === undefined ? "" : `\n  ${colors.cyan("hint:")} ${hint}`;
  return `${place}${paint(severity)} ${code}: ${message}${excerpt(problem, texts, colors)}${mend}${notes.join("")}\n`;
}

/** Problems with the line that each is in, a caret under the place, and the hint. */
export function formatProblems(problems: readonly Diagnostic[], texts: readonly Text[], color: boolean): string {
  const colors = pc.createColors(color);
  const byFile = new Map(texts.map(({ file, text }) => [file, text]));
  return problems.map((problem) => formatProblem(problem, byFile, colors)).join("");
}
