/**
 * @module
 * Layouts read back from their text (`describeLayout`): what another version wrote down about its maps.
 */
import type { Member, Shape } from "./codec/shape.ts";

/** Key or value; `shape` null where it is bytes without a type. Sizes in bytes. */
export interface LayoutSide {
  readonly size: number;
  readonly shape: Shape | null;
}

export interface Layout {
  readonly type: string;
  readonly flags: number;
  readonly key: LayoutSide;
  readonly value: LayoutSide;
  readonly inner: Layout | null;
}

/** A text that is not a layout's. */
export class LayoutTextError extends Error {
  override readonly name = "LayoutTextError";
}

/** As `describeLayout` wrote it. Throws LayoutTextError with the place. */
export function parseLayout(text: string): Layout {
  const reader = new Reader(text);
  const layout = reader.layout();
  reader.end();
  return layout;
}

const MAX_DEPTH = 32;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  layout(): Layout {
    const type = this.#match(/[a-z_]+/y);
    const flags = this.#numberAfter(" flags ");
    this.#expect(" key ");
    const key = this.#side();
    this.#expect(" value ");
    const value = this.#side();
    if (!this.#take(" inner(")) return { type, flags, key, value, inner: null };
    const inner = this.layout();
    this.#expect(")");
    return { type, flags, key, value, inner };
  }

  end(): void {
    if (this.#at !== this.#text.length) this.#fail("the end");
  }

  #side(): LayoutSide {
    if (this.#take("bytes")) return { size: this.#number(), shape: null };
    const size = this.#number();
    this.#expect(" ");
    return { size, shape: this.#shape(0) };
  }

  #shape(depth: number): Shape {
    if (depth > MAX_DEPTH) this.#fail("less nesting");
    if (this.#take("[")) {
      const length = this.#number();
      this.#expect("]");
      const element = this.#shape(depth + 1);
      return { kind: "array", size: element.size * length, element, length };
    }
    const kind = this.#match(/struct|union|bool|float|text|bytes|owned|[ui](?=\d)/y);
    if (kind === "struct" || kind === "union") return this.#composite(kind, depth);
    const size = this.#number();
    if (kind !== "u" && kind !== "i") return { kind, size } as Shape;
    const bytes = size / 8;
    if (bytes !== 1 && bytes !== 2 && bytes !== 4 && bytes !== 8) return this.#fail("8, 16, 32 or 64 bits");
    return { kind: "int", size: bytes, signed: kind === "i", bigEndian: this.#take("be") };
  }

  #composite(kind: "struct" | "union", depth: number): Shape {
    const size = this.#number();
    this.#expect("{");
    const members: Member[] = [];
    while (!this.#take("}")) {
      if (members.length > 0) this.#expect(",");
      const name = this.#match(/[^@,{}]*/y);
      const offset = this.#numberAfter("@");
      const bits = this.#take(".") ? { shift: this.#number(), width: this.#numberAfter(":") } : undefined;
      this.#expect(" ");
      members.push({ name, shape: this.#shape(depth + 1), offset, ...(bits ? { bits } : {}) });
    }
    return { kind, size, members };
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word)) this.#fail(`"${word}"`);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) return this.#fail("a name");
    this.#at += found[0].length;
    return found[0];
  }

  #number(): number {
    return Number(this.#match(/\d{1,10}/y));
  }

  #numberAfter(word: string): number {
    this.#expect(word);
    return this.#number();
  }

  #fail(wanted: string): never {
    throw new LayoutTextError(`not a layout: ${wanted} is missing at ${this.#at} of "${this.#text}"`);
  }
}
