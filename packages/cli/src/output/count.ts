/** `1 file`, `2 files`, `0 policies`. `several` where it is not the word with an s. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
