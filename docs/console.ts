/**
 * @module
 * Examples of a page: blocks of commands (`$ skep ...`) with what they print.
 */

export interface Example {
  readonly command: string;
  readonly output: string;
}

/** Commands of a page's `console` blocks with what they print, in their order. */
export function consoleExamples(page: string): Example[] {
  return [...page.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((each) => {
        const end = each.indexOf("\n");
        return { command: each.slice(0, end), output: each.slice(end + 1) };
      }),
  );
}

/** What the output must match: `…` stands for anything, also for lines; numbers and widths of columns vary. */
export function outputPattern(output: string): RegExp {
  const escaped = output
    .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/^…$\n/gm, String.raw`[\s\S]*`)
    .replaceAll("…", ".*")
    .replaceAll(/ {2,}/g, " +")
    .replaceAll(/\d+/g, String.raw`\d+`);
  return new RegExp(`^${escaped}$`);
}

/** Blocks of a language whose first line is a comment with a file's name: name and content. */
export function fileBlocks(page: string, language: string): (readonly [name: string, content: string])[] {
  const blocks = new RegExp(`^\`\`\`${language}\\n# (\\S+)\\n([\\s\\S]*?)^\`\`\`$`, "gm");
  return [...page.matchAll(blocks)].map(([, name = "", content = ""]) => [name, content] as const);
}
