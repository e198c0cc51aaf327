/** A position in a text: line and column count from 1, offset and length in UTF-16 units. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly length: number;
}

export type Severity = "error" | "warning" | "note";

/** What is wrong with a document, as a value. The first line of `message` is enough for a person. */
export interface Diagnostic {
  readonly code: PolicyCode;
  readonly severity: Severity;
  readonly message: string;
  readonly span?: Span;
  /** Path of the field, such as `spec.ingress[0].toPorts[1].ports[0].port`. */
  readonly path?: string;
  /** How to mend it. */
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly span?: Span }[];
}

/** Every code of the package, with what it stands for. */
export const policyCodes = {
  SKEP6001: "YAML syntax",
  SKEP6002: "not an object of Kubernetes",
  SKEP6003: "unknown field",
  SKEP6004: "missing field",
  SKEP6005: "wrong type",
  SKEP6006: "value not among those allowed",
  SKEP6007: "invalid label key",
  SKEP6008: "invalid label value",
  SKEP6009: "invalid selector expression",
  SKEP6010: "rule without a section",
  SKEP6011: "no subject, or two",
  SKEP6012: "kinds of peers combined",
  SKEP6013: "malformed CIDR",
  SKEP6014: "CIDR rule without exactly one source",
  SKEP6015: "exception outside its CIDR",
  SKEP6016: "unknown entity",
  SKEP6017: "malformed port",
  SKEP6018: "malformed port range",
  SKEP6019: "unknown protocol",
  SKEP6020: "too many elements",
  SKEP6021: "ICMP combined with ports",
  SKEP6022: "unknown ICMP type",
  SKEP6023: "several kinds of L7 rules",
  SKEP6024: "L7 rule without one port",
  SKEP6025: "L7 rule on the wrong protocol",
  SKEP6026: "L7 rule in the wrong direction",
  SKEP6027: "invalid regular expression",
  SKEP6028: "invalid DNS name or pattern",
  SKEP6029: "server names out of place",
  SKEP6030: "listener out of place",
  SKEP6031: "feature that is switched off",
  SKEP6032: "removed field",
  SKEP6033: "invalid name",
  SKEP6034: "object given twice",
  SKEP6035: "value out of range",
  SKEP6036: "malformed HTTP header match",
  SKEP6037: "field out of place",
  SKEP6040: "denied until a proxy serves it",
  SKEP6041: "selects nothing until names are resolved",
  SKEP6042: "selector that selects nothing",
  SKEP6043: "namespace of another policy",
  SKEP6044: "selects nothing on this machine",
  SKEP6045: "label that no workload has",
  SKEP6046: "unknown reference",
  SKEP6050: "policy map too small",
  SKEP6051: "L7 rules that do not merge",
  SKEP6052: "too many priorities",
} as const;
export type PolicyCode = keyof typeof policyCodes;

/** `file:line:column: severity SKEP6003: message` and, on lines of their own, hint and related places. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const place = diagnostic.span ? `${formatSpan(diagnostic.span)}: ` : "";
  const lines = [`${place}${diagnostic.severity} ${diagnostic.code}: ${diagnostic.message}`];
  if (diagnostic.hint !== undefined) lines.push(`  hint: ${diagnostic.hint}`);
  for (const { message, span } of diagnostic.related ?? [])
    lines.push(`  ${span ? `${formatSpan(span)}: ` : ""}${message}`);
  return lines.join("\n");
}

export function formatSpan(span: Span): string {
  return `${span.file}:${span.line}:${span.column}`;
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === "error");
}
