/** A piece of a line. `column` counts from 0 in the line. */
export interface Token {
  readonly kind: "name" | "number" | "symbol" | "end";
  readonly text: string;
  readonly column: number;
  /** Only numbers: the value without sign. */
  readonly value: bigint;
  /** Only numbers: written with 0x. */
  readonly hex: boolean;
}

/** What stops the reading of a line. Thrown inside this folder only; `assemble` turns it into a Diagnostic. */
export class Fault extends Error {
  readonly code: string;
  readonly column: number;
  readonly length: number;
  readonly hint: string | undefined;

  constructor(code: string, message: string, where: { readonly column: number; readonly text: string }, hint?: string) {
    super(message);
    this.code = code;
    this.column = where.column;
    this.length = Math.max(1, where.text.length);
    this.hint = hint;
  }
}

const patterns = {
  number: /0[xX][0-9a-fA-F]+(?![\w.])|\d+(?![\w.])/y,
  // `s>>=` and its like begin with a letter; `kernel-function` has a hyphen.
  signedOperator: /s(?:>>=|\/=|%=|>=|<=|>|<)/y,
  name: /kernel-function|\.?[A-Za-z_$][\w.$]*/y,
  symbol: />>=|<<=|[+\-*/%|&^=!<>]=|[()[\]{},:#+\-*/%|&^=<>!@]/y,
  space: /[ \t\r]+/y,
} as const;

function match(pattern: RegExp, line: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(line)?.[0] ?? null;
}

function tokenAt(line: string, at: number): Token {
  const plain = { column: at, value: 0n, hex: false };
  const number = match(patterns.number, line, at);
  if (number !== null) {
    return { ...plain, kind: "number", text: number, value: BigInt(number), hex: /^0x/i.test(number) };
  }
  const symbol = match(patterns.signedOperator, line, at);
  if (symbol !== null) return { ...plain, kind: "symbol", text: symbol };
  const name = match(patterns.name, line, at);
  if (name !== null) return { ...plain, kind: "name", text: name };
  const other = match(patterns.symbol, line, at);
  if (other !== null) return { ...plain, kind: "symbol", text: other };
  const text = /^[^\s,()[\]]+/.exec(line.slice(at))?.[0] ?? line.charAt(at);
  throw new Fault("ISA2001", `${JSON.stringify(text)} has no meaning here`, { column: at, text });
}

/** The pieces of the line from `from` on, closed by one of kind `end`. Throws a Fault for a character of no token. */
export function tokenize(line: string, from = 0): Token[] {
  const tokens: Token[] = [];
  let at = from;
  for (;;) {
    at += match(patterns.space, line, at)?.length ?? 0;
    if (at >= line.length) break;
    const token = tokenAt(line, at);
    tokens.push(token);
    at += token.text.length;
  }
  tokens.push({ kind: "end", text: "", column: line.length, value: 0n, hex: false });
  return tokens;
}

/** Reads tokens one after the other, with the numbers and registers that both notations share. */
export class Cursor {
  private at = 0;
  private readonly tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)];
    if (token === undefined) throw new Error("a token list has an end");
    return token;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.at++;
    return token;
  }

  /** Whether the next token is this text; then it is taken. */
  take(text: string): boolean {
    if (this.peek().text !== text) return false;
    this.next();
    return true;
  }

  expect(text: string): Token {
    const token = this.next();
    if (token.text !== text) this.unexpected(token, JSON.stringify(text));
    return token;
  }

  name(what: string): Token {
    const token = this.next();
    if (token.kind !== "name") this.unexpected(token, what);
    return token;
  }

  end(): void {
    const token = this.peek();
    if (token.kind !== "end") this.unexpected(token, "the end of the line");
  }

  unexpected(token: Token, wanted: string): never {
    const found = token.kind === "end" ? "the line ends" : `there is ${JSON.stringify(token.text)}`;
    throw new Fault("ISA2002", `expected ${wanted}, but ${found}`, token);
  }

  /** An integer with an optional sign. */
  integer(what = "a number"): { readonly value: bigint; readonly hex: boolean; readonly token: Token } {
    const first = this.peek();
    const negative = first.text === "-";
    if (negative || first.text === "+") this.next();
    const token = this.next();
    if (token.kind !== "number") this.unexpected(token, what);
    const text = first === token ? token.text : `${first.text}${token.text}`;
    return {
      value: negative ? -token.value : token.value,
      hex: token.hex,
      token: { ...token, column: first.column, text },
    };
  }

  /** An immediate: decimal in signed 32 bits, hexadecimal also up to 0xffffffff. */
  imm32(): number {
    const { value, hex, token } = this.integer("an immediate");
    const max = hex ? 0xffff_ffffn : 0x7fff_ffffn;
    if (value < -0x8000_0000n || value > max) {
      throw new Fault("ISA2004", `${token.text} does not fit 32 bits`, token, "a 64-bit constant is loaded by lddw");
    }
    return Number(BigInt.asIntN(32, value));
  }

  /** An offset of signed 16 bits. */
  off16(): number {
    const { value, token } = this.integer("an offset");
    if (value < -0x8000n || value > 0x7fffn) {
      throw new Fault("ISA2004", `${token.text} does not fit the 16 bits of an offset`, token);
    }
    return Number(value);
  }
}
