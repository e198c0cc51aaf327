/**
 * @module
 * Go's txtar archives: a comment (here: a script), then files behind lines of `-- name --`.
 */
export interface Archive {
  readonly comment: string;
  readonly files: ReadonlyMap<string, string>;
}

export function parseTxtar(text: string): Archive {
  const [comment = "", ...parts] = text.split(/^-- (.+) --\n/m);
  const files = new Map<string, string>();
  for (let at = 0; at + 1 < parts.length; at += 2) files.set((parts[at] ?? "").trim(), parts[at + 1] ?? "");
  return { comment, files };
}
