/**
 * @module
 * Documents as trees with positions, whatever they were read from.
 */
import type { Span } from "../diagnostic.ts";

export type SourceNode = MapNode | ListNode | ScalarNode;

export interface MapNode {
  readonly kind: "map";
  readonly span: Span;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export interface MapEntry {
  readonly keySpan: Span;
  readonly value: SourceNode;
}

export interface ListNode {
  readonly kind: "list";
  readonly span: Span;
  readonly items: readonly SourceNode[];
}

export interface ScalarNode {
  readonly kind: "scalar";
  readonly span: Span;
  readonly value: string | number | boolean | null;
}

export function isNull(node: SourceNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** What the node is, for messages: `a map`, `the number 80`. */
export function describeNode(node: SourceNode): string {
  if (node.kind === "map") return "a map";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "nothing";
  return `the ${typeof node.value} ${JSON.stringify(node.value)}`;
}

/** The tree as a plain value. */
export function toValue(node: SourceNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toValue);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toValue(entry.value)]));
}

/** A plain value (parsed JSON) as a tree; every position is the start of `file`. */
export function fromValue(file: string, value: unknown): SourceNode {
  const span: Span = { file, line: 1, column: 1, offset: 0, length: 0 };
  const convert = (part: unknown): SourceNode => {
    if (Array.isArray(part)) return { kind: "list", span, items: part.map(convert) };
    if (typeof part === "object" && part !== null) {
      const entries = new Map<string, MapEntry>();
      for (const [key, child] of Object.entries(part))
        if (child !== undefined) entries.set(key, { keySpan: span, value: convert(child) });
      return { kind: "map", span, entries };
    }
    if (typeof part === "string" || typeof part === "number" || typeof part === "boolean")
      return { kind: "scalar", span, value: part };
    return { kind: "scalar", span, value: null };
  };
  return convert(value);
}
