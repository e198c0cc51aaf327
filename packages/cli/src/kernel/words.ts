import { type CliError, usageError } from "../errors.ts";

/** The words after a verb, read one after the other: bpftool's grammar is keywords and what follows them. */
export class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#words.length;
  }

  /** The next word, which stays; null at the end. */
  peek(): string | null {
    return this.#words[this.#at] ?? null;
  }

  /** The next word. `what` says what is missing where there is none. */
  next(what: string): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw usageError(`${what} is missing${this.#after()}`);
    this.#at++;
    return word;
  }

  /** True, and past it, where the next word is one of these. */
  take(...keywords: readonly string[]): boolean {
    const found = keywords.includes(this.peek() ?? "");
    if (found) this.#at++;
    return found;
  }

  /** One of a list. */
  choice<T extends string>(what: string, choices: readonly T[]): T {
    const word = this.next(what);
    const found = choices.find((each) => each === word);
    if (found === undefined) throw usageError(`"${word}" is no ${what}: one of ${choices.join(", ")}`);
    return found;
  }

  /** A whole number, also hexadecimal. */
  number(what: string): number {
    const word = this.next(what);
    const value = wholeNumber(word);
    if (value === null) throw usageError(`${what}: "${word}" is no whole number`);
    return value;
  }

  /** The words up to the next keyword or the end. */
  until(keywords: readonly string[]): string[] {
    const start = this.#at;
    while (!this.isEmpty && !keywords.includes(this.peek() ?? "")) this.#at++;
    return this.#words.slice(start, this.#at);
  }

  /** What is left. */
  rest(): string[] {
    const rest = this.#words.slice(this.#at);
    this.#at = this.#words.length;
    return rest;
  }

  /** Throws where words are left over; `expected` are those that could stand here. */
  end(...expected: readonly string[]): void {
    if (!this.isEmpty) throw this.unexpected(...expected);
  }

  unexpected(...expected: readonly string[]): CliError {
    const could = expected.length === 0 ? "nothing more is expected" : `expected ${expected.join(", ")}`;
    return usageError(`"${this.peek() ?? ""}" is not understood${this.#after()}: ${could}`);
  }

  #after(): string {
    const before = this.#words[this.#at - 1];
    return before === undefined ? "" : ` after "${before}"`;
  }
}

/** A whole number up to 2^53, decimal or `0x`; null where it is none. */
export function wholeNumber(text: string): number | null {
  if (!/^(\d+|0x[\da-f]+)$/i.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}
