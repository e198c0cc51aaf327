/** A filter that cannot be. The message says what would be right. */
export class FilterError extends Error {
  override readonly name = "FilterError";
}
