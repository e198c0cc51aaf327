import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from "yaml";
import type { Diagnostic, Span } from "../diagnostic.ts";
import type { MapEntry, SourceNode } from "./node.ts";

/** One document of a file. `text` is its source, without the separator. */
export interface YamlDocument {
  readonly root: SourceNode;
  readonly text: string;
}

/** Aliases may stand for large trees: what a file may expand to. */
const MAX_NODES = 200_000;

/** Where a text begins in its file: how many lines and UTF-16 units stand before it. It begins a line. */
export interface TextPlace {
  readonly line: number;
  readonly offset: number;
}

const START: TextPlace = { line: 0, offset: 0 };

/** Reads all documents of a file, or of the part at `place`; empty ones are left out. Those with a syntax error are reported and left out. */
export function parseYaml(
  file: string,
  text: string,
  place: TextPlace = START,
): { documents: YamlDocument[]; diagnostics: Diagnostic[] } {
  const lines = new LineCounter();
  const documents: YamlDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  const texts = new Texts();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  for (const document of "empty" in parsed ? [] : parsed) {
    const spanOf = (range: Range): Span => spanAt({ file, place, lines }, range);
    const reader = new TreeReader({ spanOf, document, texts });
    const root = document.errors.length === 0 && document.contents ? reader.convert(document.contents, []) : null;
    for (const error of document.errors)
      diagnostics.push({
        code: "SKEP6001",
        severity: "error",
        message: firstLine(error.message),
        span: spanOf(error.pos),
      });
    diagnostics.push(...reader.diagnostics);
    if (root === null || reader.diagnostics.length > 0) continue;
    if (root.kind === "scalar" && root.value === null) continue;
    const [start = 0, end = start] = document.range;
    documents.push({ root, text: withoutMarker(text.slice(start, end)) });
  }
  return { documents, diagnostics };
}

function withoutMarker(text: string): string {
  return text.replace(/^\s*---[ \t]*(?:\n|$)/, "").trim();
}

function firstLine(message: string): string {
  return message.split("\n")[0] ?? message;
}

type Range = readonly [start: number, end: number, ...rest: number[]];

function spanAt(
  { file, place, lines }: { readonly file: string; readonly place: TextPlace; readonly lines: LineCounter },
  [start, end]: Range,
): Span {
  const { line, col } = lines.linePos(start);
  // Each by name: there are very many, and what is spread into takes more room.
  return {
    file,
    line: place.line + Math.max(1, line),
    column: Math.max(1, col),
    offset: place.offset + start,
    length: Math.max(0, end - start),
  };
}

/** The texts of a file, each once and apart from the file: a part that V8 cuts out of a large text keeps the whole of it. */
class Texts {
  private readonly own = new Map<string, string>();

  of(text: string): string {
    const known = this.own.get(text);
    if (known !== undefined) return known;
    const copy = text.length < SHORT ? text : text.split("").join("");
    this.own.set(copy, copy);
    return copy;
  }
}

/** Shorter ones V8 copies itself. */
const SHORT = 13;

class TreeReader {
  readonly diagnostics: Diagnostic[] = [];
  private readonly spanOf: (range: Range) => Span;
  private readonly document: Document.Parsed;
  private readonly texts: Texts;
  private nodes = 0;

  constructor(of: { spanOf: (range: Range) => Span; document: Document.Parsed; texts: Texts }) {
    this.spanOf = of.spanOf;
    this.document = of.document;
    this.texts = of.texts;
  }

  /** `aliases`: those being expanded, so that one that holds itself is refused. */
  convert(node: Node | null, aliases: readonly Node[]): SourceNode {
    const span = this.span(node);
    this.nodes++;
    if (this.nodes > MAX_NODES) return this.refuse(span, "the document expands to too many nodes");
    if (node === null) return { kind: "scalar", span, value: null };
    if (isAlias(node)) {
      const target = node.resolve(this.document);
      if (target === undefined) return this.refuse(span, `there is no anchor named ${node.source}`);
      if (aliases.includes(target)) return this.refuse(span, `the anchor ${node.source} holds itself`);
      return this.convert(target, [...aliases, target]);
    }
    if (isSeq<Node | null>(node))
      return { kind: "list", span, items: node.items.map((item) => this.convert(item, aliases)) };
    if (isMap<Node, Node | null>(node)) return this.convertMap(span, node.items, aliases);
    if (isScalar(node)) return { kind: "scalar", span, value: this.scalar(node.value) };
    return this.refuse(span, "a value of an unknown kind");
  }

  private convertMap(
    span: Span,
    items: readonly { key: Node; value: Node | null }[],
    aliases: readonly Node[],
  ): SourceNode {
    const entries = new Map<string, MapEntry>();
    const merged = new Map<string, MapEntry>();
    for (const { key, value } of items) {
      const keySpan = this.span(key);
      const keyValue = this.convert(key, aliases);
      if (keyValue.kind !== "scalar") {
        this.refuse(keySpan, "a key of a map is a text");
        continue;
      }
      const child = this.convert(value, aliases);
      if (keyValue.value === "<<") this.merge(child, merged);
      else entries.set(String(keyValue.value), { keySpan, value: child });
    }
    for (const [key, entry] of merged) if (!entries.has(key)) entries.set(key, entry);
    return { kind: "map", span, entries };
  }

  /** YAML 1.1's merge key: a map, or a list of maps of which the earlier win. */
  private merge(value: SourceNode, into: Map<string, MapEntry>): void {
    const sources = value.kind === "list" ? value.items : [value];
    for (const source of sources) {
      if (source.kind !== "map") {
        this.refuse(source.span, "`<<` takes a map or a list of maps");
        continue;
      }
      for (const [key, entry] of source.entries) if (!into.has(key)) into.set(key, entry);
    }
  }

  private span(node: Node | null): Span {
    const range = node?.range;
    return this.spanOf(range ? [range[0], range[1]] : [0, 0]);
  }

  private scalar(value: unknown): string | number | boolean | null {
    if (typeof value === "string") return this.texts.of(value);
    if (typeof value === "number" || typeof value === "boolean") return value;
    return value === null || value === undefined ? null : `${value as bigint}`;
  }

  private refuse(span: Span, message: string): SourceNode {
    this.diagnostics.push({ code: "SKEP6001", severity: "error", message, span });
    return { kind: "scalar", span, value: null };
  }
}
