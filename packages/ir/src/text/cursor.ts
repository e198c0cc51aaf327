/**
 * @module
 * A line of IR text, read from left to right.
 */
import type { Loc } from "../ir.ts";

/** The line is not IR; the parser makes a diagnostic of it. */
export class TextError extends Error {
  override readonly name = "TextError";
  readonly loc: Loc;

  constructor(message: string, loc: Loc) {
    super(message);
    this.loc = loc;
  }
}

export class Cursor {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  #at = 0;

  constructor(text: string, place: { file: string; line: number }) {
    this.text = text;
    this.file = place.file;
    this.line = place.line;
    this.#skip();
  }

  get loc(): Loc {
    return { file: this.file, line: this.line, column: this.#at + 1 };
  }

  get done(): boolean {
    return this.#at >= this.text.length;
  }

  fail(message: string): never {
    throw new TextError(message, this.loc);
  }

  #skip(): void {
    while (this.text[this.#at] === " ") this.#at++;
  }

  /** What matches here, or null; spaces behind it are skipped. */
  match(pattern: RegExp): RegExpExecArray | null {
    const sticky = new RegExp(pattern.source, "y");
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.text);
    if (found === null) return null;
    this.#at += found[0].length;
    this.#skip();
    return found;
  }

  /** Whether the text stands here; it is passed. */
  accept(text: string): boolean {
    if (!this.text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    this.#skip();
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`'${text}' is missing`);
  }

  take(pattern: RegExp, what: string): string {
    const found = this.match(pattern);
    return found === null ? this.fail(`${what} is missing`) : found[0];
  }

  /** Up to a space, comma, bracket or the end. */
  word(what: string): string {
    return this.take(/[^\s,()[\]{}]+/, what);
  }

  integer(what: string): number {
    const value = Number(this.take(/-?\d+/, what));
    return Number.isSafeInteger(value) ? value : this.fail(`${what} is too large`);
  }

  big(what: string): bigint {
    return BigInt(this.take(/-?\d+/, what));
  }

  end(): void {
    if (!this.done) this.fail(`'${this.text.slice(this.#at)}' is too much`);
  }
}
