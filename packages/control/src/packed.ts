/**
 * @module
 * Lists that are kept: there are many of a few elements, and an engine leaves a list that it put together room for a dozen more.
 */
const NOTHING: readonly never[] = [];

/** The same list without the room that it grew by. */
export function packed<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list.slice();
}
