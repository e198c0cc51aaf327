/** A position in a text: line and column count from 1, offset and length in UTF-16 units. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly length: number;
}

/** What is wrong with an input, as a value. The first line of `message` is enough for a person. */
export interface Diagnostic {
  /** Stable, one table per package, such as `SKEP1004`. */
  readonly code: string;
  readonly severity: "error" | "warning" | "note";
  readonly message: string;
  readonly span?: Span;
  /** How to mend it. */
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly span?: Span }[];
}
