import type { Diagnostic, Span } from "@skep/isa";

export interface FormatOptions {
  readonly color?: boolean;
}

const RED = "31";
const YELLOW = "33";
const CYAN = "36";
const DIM = "2";

const COLORS = { error: RED, warning: YELLOW, note: CYAN } as const;

type Paint = (text: string, color: string) => string;

/** The line with a caret under the span; a span of several lines is marked to the end of its first. */
function excerpt(span: Span, source: string, paint: Paint): string {
  const line = source.split(/\r?\n/)[span.line - 1];
  if (line === undefined) return "";
  const number = String(span.line);
  const blank = " ".repeat(number.length);
  const before = line.slice(0, span.column - 1).replace(/[^\t]/g, " ");
  const width = Math.max(1, Math.min(span.length, line.length - span.column + 1));
  return `\n${paint(`${number} |`, DIM)} ${line}\n${paint(`${blank} |`, DIM)} ${before}${paint(`^${"~".repeat(width - 1)}`, RED)}`;
}

/**
 * A diagnostic for a terminal: `file:line:column: error CODE: message`, the source line with a caret, the hint. `source` is the text of
 * the span's file; without it there is no excerpt.
 */
export function formatDiagnostic(diagnostic: Diagnostic, source?: string, options: FormatOptions = {}): string {
  const paint: Paint = (text, color) => (options.color ? `\u001b[${color}m${text}\u001b[0m` : text);
  const { span } = diagnostic;
  const place = span ? `${span.file}:${span.line}:${span.column}: ` : "";
  let text = `${place}${paint(diagnostic.severity, COLORS[diagnostic.severity])} ${diagnostic.code}: ${diagnostic.message}`;
  if (span && source !== undefined) text += excerpt(span, source, paint);
  if (diagnostic.hint !== undefined) text += `\n  ${paint("hint:", CYAN)} ${diagnostic.hint}`;
  for (const related of diagnostic.related ?? []) {
    const at = related.span ? `${related.span.file}:${related.span.line}:${related.span.column}: ` : "";
    text += `\n  ${paint("note:", CYAN)} ${at}${related.message}`;
  }
  return text;
}
