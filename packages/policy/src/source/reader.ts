/**
 * @module
 * Reads fields out of a document, and reports what is wrong with position, path and a hint.
 */
import type { Diagnostic, PolicyCode, Severity, Span } from "../diagnostic.ts";
import { describeNode, isNull, type ListNode, type MapNode, type SourceNode } from "./node.ts";

/** A value and the path that leads to it. */
export interface Field<N extends SourceNode = SourceNode> {
  readonly node: N;
  readonly path: string;
}

/** What to say of fields that people put where they do not belong; `*` is every other. */
export type Misplaced = Readonly<
  Record<string, { readonly code: PolicyCode; readonly message: string; readonly hint?: string }>
>;

export class Reader {
  readonly diagnostics: Diagnostic[] = [];

  report(code: PolicyCode, at: Field | Span, message: string, hint?: string): void {
    this.add("error", code, at, message, hint);
  }

  warn(code: PolicyCode, at: Field | Span, message: string, hint?: string): void {
    this.add("warning", code, at, message, hint);
  }

  private add(severity: Severity, code: PolicyCode, at: Field | Span, message: string, hint?: string): void {
    const place = "node" in at ? { span: at.node.span, path: at.path } : { span: at };
    const text = "node" in at && at.path !== "" ? `${at.path}: ${message}` : message;
    this.diagnostics.push({ code, severity, message: text, ...place, ...(hint === undefined ? {} : { hint }) });
  }

  /** The fields of a map. Those that are not in `known` are reported with what `misplaced` says of them, or the nearest name. */
  fields(field: Field, known: readonly string[], misplaced: Misplaced = {}): Fields | null {
    const { node, path } = field;
    if (node.kind !== "map") {
      this.report("SKEP6005", field, `must be a map, not ${describeNode(node)}`);
      return null;
    }
    for (const [key, entry] of node.entries) {
      if (known.includes(key)) continue;
      const at = { node: { ...entry.value, span: entry.keySpan }, path: join(path, key) };
      const special = misplaced[key] ?? misplaced["*"];
      if (special) this.report(special.code, at, special.message, special.hint);
      else this.report("SKEP6003", at, "unknown field", hintFor(key, known));
    }
    return new Fields(this, { node, path });
  }

  /** Like `fields`, for a map whose keys are free. */
  map(field: Field): MapNode | null {
    if (field.node.kind === "map") return field.node;
    this.report("SKEP6005", field, `must be a map, not ${describeNode(field.node)}`);
    return null;
  }

  list(field: Field): Field[] | null {
    const { node, path } = field;
    if (node.kind === "list") return node.items.map((item, i) => ({ node: item, path: `${path}[${i}]` }));
    this.report("SKEP6005", field, `must be a list, not ${describeNode(node)}`, listHint(node));
    return null;
  }

  string(field: Field): string | null {
    const { node } = field;
    if (node.kind === "scalar" && typeof node.value === "string") return node.value;
    const hint = node.kind === "scalar" && node.value !== null ? `write it in quotes: "${node.value}"` : undefined;
    this.report("SKEP6005", field, `must be a text, not ${describeNode(node)}`, hint);
    return null;
  }

  integer(field: Field, min: number, max: number): number | null {
    const { node } = field;
    if (node.kind !== "scalar" || typeof node.value !== "number" || !Number.isInteger(node.value)) {
      this.report("SKEP6005", field, `must be a whole number, not ${describeNode(node)}`);
      return null;
    }
    if (node.value >= min && node.value <= max) return node.value;
    this.report("SKEP6035", field, `must be between ${min} and ${max}, not ${node.value}`);
    return null;
  }

  boolean(field: Field): boolean | null {
    const { node } = field;
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    this.report("SKEP6005", field, `must be true or false, not ${describeNode(node)}`);
    return null;
  }

  oneOf<T extends string>(field: Field, allowed: readonly T[], code: PolicyCode = "SKEP6006"): T | null {
    const text = this.string(field);
    if (text === null) return null;
    const found = allowed.find((value) => value === text);
    if (found !== undefined) return found;
    this.report(code, field, `${JSON.stringify(text)} is not one of ${allowed.join(", ")}`, hintFor(text, allowed));
    return null;
  }
}

/** The fields of one map. A field without a value (`ports:`) counts as absent. */
export class Fields {
  readonly at: Field<MapNode>;
  private readonly reader: Reader;

  constructor(reader: Reader, at: Field<MapNode>) {
    this.reader = reader;
    this.at = at;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  get(name: string): Field | null {
    const entry = this.at.node.entries.get(name);
    if (entry === undefined || isNull(entry.value)) return null;
    return { node: entry.value, path: join(this.at.path, name) };
  }

  require(name: string): Field | null {
    const field = this.get(name);
    if (field === null) this.reader.report("SKEP6004", this.at, `the field ${name} is missing`);
    return field;
  }

  list(name: string): Field[] | null {
    const field = this.get(name);
    return field && this.reader.list(field);
  }

  string(name: string): string | null {
    const field = this.get(name);
    return field && this.reader.string(field);
  }

  boolean(name: string): boolean | null {
    const field = this.get(name);
    return field && this.reader.boolean(field);
  }

  /** Texts of a list; elements of another type are reported and left out. */
  strings(name: string): string[] | null {
    const items = this.list(name);
    if (items === null) return null;
    return items.map((item) => this.reader.string(item)).filter((text) => text !== null);
  }
}

export function join(path: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function listHint(node: Exclude<SourceNode, ListNode>): string | undefined {
  return node.kind === "map" ? "put a `- ` before the first key" : undefined;
}

/** `did you mean X?`, where one of the known names is near. */
export function hintFor(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let distance = Math.max(2, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    const d = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (d < distance) [best, distance] = [candidate, d];
  }
  return best === undefined ? undefined : `did you mean ${best}?`;
}

/** Insertions, deletions, substitutions and swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? a.length;
}
