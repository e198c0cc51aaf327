import { celError, type Token, tokenize } from "./lexer.ts";

export type Node =
  | { readonly kind: "value"; readonly value: Literal; readonly at: number }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "field"; readonly target: Node; readonly name: string; readonly at: number }
  | { readonly kind: "index"; readonly target: Node; readonly index: Node; readonly at: number }
  | {
      readonly kind: "call";
      readonly target: Node | null;
      readonly name: string;
      readonly args: readonly Node[];
      readonly at: number;
    }
  | { readonly kind: "unary"; readonly operator: "!" | "-"; readonly operand: Node; readonly at: number }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Node;
      readonly right: Node;
      readonly at: number;
    }
  | { readonly kind: "choice"; readonly test: Node; readonly yes: Node; readonly no: Node; readonly at: number }
  | { readonly kind: "list"; readonly items: readonly Node[]; readonly at: number }
  | { readonly kind: "map"; readonly entries: readonly (readonly [key: Node, value: Node])[]; readonly at: number };

export type Literal = null | boolean | bigint | number | string | Uint8Array;

/** Binding powers, as the grammar nests them. */
const powers: Readonly<Record<string, number>> = {
  "||": 2,
  "&&": 3,
  ...{ "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, in: 4 },
  ...{ "+": 5, "-": 5 },
  ...{ "*": 6, "/": 6, "%": 6 },
};

const constants: Readonly<Record<string, Literal>> = { true: true, false: false, null: null };

/** Deeper than any expression that somebody writes; beyond it the parser's own stack would end. */
const MAX_DEPTH = 200;

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #token(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", at: 0 };
  }

  #is(text: string): boolean {
    const token = this.#token;
    return (token.kind === "operator" || token.kind === "name") && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw celError(`${JSON.stringify(text)} is missing`, this.#token.at);
  }

  #name(): string {
    const token = this.#token;
    if (token.kind !== "name") throw celError("a name is missing", token.at);
    this.#at += 1;
    return token.text;
  }

  whole(): Node {
    const node = this.#expression();
    if (this.#token.kind !== "end") throw celError("the expression has ended here", this.#token.at);
    return node;
  }

  #expression(): Node {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw celError("it is nested too deeply", this.#token.at);
    const test = this.#binary(2);
    const { at } = this.#token;
    let node = test;
    if (this.#take("?")) {
      const yes = this.#binary(2);
      this.#expect(":");
      node = { kind: "choice", test, yes, no: this.#expression(), at };
    }
    this.#depth -= 1;
    return node;
  }

  #binary(power: number): Node {
    let left = this.#unary();
    for (;;) {
      const token = this.#token;
      const operator = token.kind === "operator" || token.kind === "name" ? token.text : "";
      const own = powers[operator];
      if (own === undefined || own < power) return left;
      this.#at += 1;
      left = { kind: "binary", operator, left, right: this.#binary(own + 1), at: token.at };
    }
  }

  #unary(): Node {
    const { at } = this.#token;
    for (const operator of ["!", "-"] as const) {
      if (!this.#take(operator)) continue;
      this.#depth += 1;
      if (this.#depth > MAX_DEPTH) throw celError("it is nested too deeply", at);
      const node: Node = { kind: "unary", operator, operand: this.#unary(), at };
      this.#depth -= 1;
      return node;
    }
    return this.#member();
  }

  #member(): Node {
    let node = this.#primary();
    for (;;) {
      const { at } = this.#token;
      if (this.#take(".")) {
        const name = this.#name();
        node = this.#take("(")
          ? { kind: "call", target: node, name, args: this.#list(")"), at }
          : { kind: "field", target: node, name, at };
      } else if (this.#take("[")) {
        const index = this.#expression();
        this.#expect("]");
        node = { kind: "index", target: node, index, at };
      } else return node;
    }
  }

  #list(end: string): Node[] {
    const items: Node[] = [];
    while (!this.#take(end)) {
      items.push(this.#expression());
      if (this.#take(end)) break;
      this.#expect(",");
    }
    return items;
  }

  #primary(): Node {
    const token = this.#token;
    const { at } = token;
    if (token.kind === "value") {
      this.#at += 1;
      return { kind: "value", value: token.value, at };
    }
    if (this.#take("(")) {
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    if (this.#take("[")) return { kind: "list", items: this.#list("]"), at };
    if (this.#take("{")) return { kind: "map", entries: this.#entries(), at };
    if (token.kind === "end") throw celError("it ends too early", at);
    const name = this.#name();
    if (Object.hasOwn(constants, name)) return { kind: "value", value: constants[name] ?? null, at };
    if (name === "in") throw celError('"in" stands between two values', at);
    return this.#take("(")
      ? { kind: "call", target: null, name, args: this.#list(")"), at }
      : { kind: "name", name, at };
  }

  #entries(): [Node, Node][] {
    const entries: [Node, Node][] = [];
    while (!this.#take("}")) {
      const key = this.#expression();
      this.#expect(":");
      entries.push([key, this.#expression()]);
      if (this.#take("}")) break;
      this.#expect(",");
    }
    return entries;
  }
}

/** Throws FilterError with the column. */
export function parseCel(text: string): Node {
  return new Parser(tokenize(text)).whole();
}
