/**
 * @module
 * A source as its tokens: what of an edit the compiler cannot see. Comments, blank lines and indentation move tokens and change none.
 */
import ts from "typescript";

export interface Tokens {
  readonly text: string;
  /** Of each token: its kind, doubled, and one more where a line ends before it (a statement may end there). */
  readonly kinds: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Comments that TypeScript obeys, and line ends that editors count in different ways. */
const SPEAKING = /@ts-|\/\/\/|@jsx|\r(?!\n)|[\u2028\u2029]/;

/** null where the text holds comments that mean something, or is no sequence of tokens by itself. */
export function tokensOf(text: string): Tokens | null {
  if (SPEAKING.test(text)) return null;
  const kinds: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let isWhole = true;
  const scanner = ts.createScanner(ts.ScriptTarget.ES2023, true, ts.LanguageVariant.Standard, text, () => {
    isWhole = false;
  });
  // What each open brace will be closed by: a brace, or the rest of a template.
  const open: boolean[] = [];
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    if (kind === ts.SyntaxKind.OpenBraceToken) open.push(false);
    else if (kind === ts.SyntaxKind.TemplateHead) open.push(true);
    else if (kind === ts.SyntaxKind.CloseBraceToken && open.pop() === true) {
      kind = scanner.reScanTemplateToken(false);
      if (kind === ts.SyntaxKind.TemplateMiddle) open.push(true);
    }
    kinds.push(kind * 2 + (kinds.length > 0 && scanner.hasPrecedingLineBreak() ? 1 : 0));
    starts.push(scanner.getTokenStart());
    ends.push(scanner.getTokenEnd());
  }
  return isWhole ? { text, kinds, starts, ends } : null;
}

/** Whether the two are the same program. */
export function areSameTokens(a: Tokens, b: Tokens): boolean {
  if (a.kinds.length !== b.kinds.length) return false;
  return a.kinds.every((kind, i) => {
    if (kind !== b.kinds[i]) return false;
    return a.text.slice(a.starts[i], a.ends[i]) === b.text.slice(b.starts[i], b.ends[i]);
  });
}

/** Where the lines of a text start. */
export function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** The last of `sorted` that is not above `value`; the first is not. */
export function lastUpTo(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((sorted[middle] as number) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
