/** Keys that lie one behind the other, each by itself. */
export function* splitRows(keys: Uint8Array, keySize: number): IterableIterator<Uint8Array> {
  for (let at = 0; at + keySize <= keys.length; at += keySize) yield keys.slice(at, at + keySize);
}
