/**
 * @module
 * `skep batch`: a file of commands, one a line.
 */
import { CliError } from "../errors.ts";
import { readBytes } from "./object-file.ts";
import { runCommand } from "./runner.ts";
import type { Session } from "./session.ts";

/** Words of a line: blanks part them, quotes hold them together. `#` begins a comment. Throws where a quote is open. */
export function splitLine(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at] ?? "";
    if (quote !== null) {
      if (letter === quote) quote = null;
      else if (letter === "\\" && quote === '"') word = (word ?? "") + (line[++at] ?? "");
      else word = (word ?? "") + letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (letter === "#" && word === null) break;
    else word = (word ?? "") + letter;
  }
  if (quote !== null) throw new CliError(`a ${quote} is open`);
  if (word !== null) words.push(word);
  return words;
}

/** Lines with a backslash at the end go on in the next. */
function* commands(text: string): Generator<{ readonly line: number; readonly text: string }> {
  let start = 0;
  let whole = "";
  for (const [index, line] of text.split("\n").entries()) {
    if (whole === "") start = index + 1;
    whole += line.replace(/\\$/, "");
    if (line.endsWith("\\")) continue;
    yield { line: start, text: whole };
    whole = "";
  }
}

/** `batch file FILE`: ends with the first command that fails. */
export async function batchFile(session: Session): Promise<number> {
  session.words.take("file");
  const file = session.words.next("a file");
  session.words.end();
  const text = new TextDecoder().decode(readBytes(file));
  const { json, pretty, output } = session.printing;
  const flags = [...(json ? ["-j"] : []), ...(pretty ? ["-p"] : []), ...(output === "table" ? [] : ["-o", output])];
  for (const { line, text: command } of commands(text)) {
    const words = splitLine(command);
    if (words.length === 0) continue;
    const status = await runCommand([...words, ...flags]);
    if (status !== 0) throw new CliError(`${file}:${line}: the command failed: ${command.trim()}`, status);
  }
  return 0;
}
