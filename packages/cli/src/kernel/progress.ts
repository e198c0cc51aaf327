/** One line on a terminal's standard error that says what is being done; nothing where no terminal reads it. */
export class Progress {
  readonly #what: string;
  readonly #stream: NodeJS.WriteStream;
  #isShown = false;

  constructor(what: string, stream: NodeJS.WriteStream = process.stderr) {
    this.#what = what;
    this.#stream = stream;
  }

  show(text: string): void {
    if (this.#stream.isTTY !== true) return;
    this.#isShown = true;
    this.#stream.write(`\r\u001b[K${this.#what} ${text}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.#stream.write("\r\u001b[K");
    this.#isShown = false;
  }
}
