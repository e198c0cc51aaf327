/**
 * @module
 * Texts that many tables have as their key.
 */
const names = Object.create(null) as Record<string, true>;

/** The same text of one piece, and the same one each time: of the names of properties an engine keeps one, of texts that are put together every part. */
export function sharedText(text: string): string {
  names[text] = true;
  const [shared = text] = Object.keys(names);
  delete names[text];
  return shared;
}
