/**
 * @module
 * Tokens of the Common Expression Language (cel-spec, doc/langdef.md).
 */
import { FilterError } from "../error.ts";

export type Token =
  | { readonly kind: "name" | "operator"; readonly text: string; readonly at: number }
  | { readonly kind: "value"; readonly value: bigint | number | string | Uint8Array; readonly at: number }
  | { readonly kind: "end"; readonly at: number };

const operators = [
  ...["==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")"],
  ...["[", "]", "{", "}", ".", ","],
];

const spacePattern = /(?:\s|\/\/[^\n]*)+/y;
const namePattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const floatPattern = /\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?/y;
const integerPattern = /(0x[0-9a-fA-F]+|\d+)[uU]?/y;
const stringPattern = /([rR]?[bB]?|[bB][rR])("""[^]*?"""|'''[^]*?'''|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*')/y;

export function celError(message: string, at: number): FilterError {
  return new FilterError(`the CEL expression is wrong at ${at + 1}: ${message}`);
}

const escapes: Readonly<Record<string, string>> = {
  ...{ a: "\u0007", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
  ...{ "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?" },
};

function unescape(text: string, at: number): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([^]))/g,
    (whole, ...groups: (string | undefined)[]) => {
      const [hex, short, long, octal, plain] = groups;
      const code = hex ?? short ?? long;
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const known = escapes[plain ?? ""];
      if (known === undefined) throw celError(`${whole} is no escape`, at);
      return known;
    },
  );
}

function stringValue(prefix: string, quoted: string, at: number): string | Uint8Array {
  const long = quoted.startsWith('"""') || quoted.startsWith("'''");
  const inner = long ? quoted.slice(3, -3) : quoted.slice(1, -1);
  const text = /r/i.test(prefix) ? inner : unescape(inner, at);
  return /b/i.test(prefix) ? new TextEncoder().encode(text) : text;
}

class Lexer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }

  next(): Token {
    this.#match(spacePattern);
    const at = this.#at;
    if (at >= this.#text.length) return { kind: "end", at };
    const string = this.#match(stringPattern);
    if (string) return { kind: "value", value: stringValue(string[1] ?? "", string[2] ?? "", at), at };
    const name = this.#match(namePattern);
    if (name) return { kind: "name", text: name[0], at };
    const float = this.#match(floatPattern);
    if (float) return { kind: "value", value: Number(float[0]), at };
    const integer = this.#match(integerPattern);
    if (integer) return { kind: "value", value: BigInt(integer[1] ?? "0"), at };
    const operator = operators.find((each) => this.#text.startsWith(each, at));
    if (operator === undefined) throw celError(`${JSON.stringify(this.#text[at])} stands in no expression`, at);
    this.#at += operator.length;
    return { kind: "operator", text: operator, at };
  }
}

/** All tokens, the end included. Throws FilterError. */
export function tokenize(text: string): Token[] {
  const lexer = new Lexer(text);
  const tokens: Token[] = [];
  for (;;) {
    const token = lexer.next();
    tokens.push(token);
    if (token.kind === "end") return tokens;
  }
}
