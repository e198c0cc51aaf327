/** What the conformance tests share: files of blocks (`-- asm`, `-- mem`, `-- result`). */

/** Blocks by name; comments stay. A block that stands in another file (`-- asm @ file`) has the name `asm@`. */
export function blocks(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let name = "";
  for (const line of text.split("\n")) {
    const head = /^-- (.*?)\s*(@.*)?$/.exec(line);
    if (head === null) {
      found.set(name, `${found.get(name) ?? ""}${line}\n`);
      continue;
    }
    name = `${head[1] ?? ""}${head[2] === undefined ? "" : "@"}`;
    found.set(name, "");
  }
  return found;
}

export function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/#.*/g, "").match(/[0-9a-f]{2}/gi) ?? [];
  return Uint8Array.from(digits, (pair) => Number.parseInt(pair, 16));
}
