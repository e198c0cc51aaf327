/**
 * @module
 * A program as a tree that is printed: what a generator makes and a shrinker cuts, without knowing more of the language than what is a
 * statement and what an expression.
 */

export interface Node {
  readonly role: "expression" | "statement" | "block";
  /** Of an expression: the name of its type. */
  readonly type?: string;
  readonly parts: readonly Part[];
}

export type Part = string | Node;

export function expression(type: string, ...parts: Part[]): Node {
  return { role: "expression", type, parts };
}

export function statement(...parts: Part[]): Node {
  return { role: "statement", parts };
}

export function block(statements: readonly Node[]): Node {
  return { role: "block", parts: statements };
}

export function print(node: Node, indent = ""): string {
  if (node.role !== "block") return node.parts.map((part) => printPart(part, indent)).join("");
  const inner = `${indent}  `;
  const lines = node.parts.map((part) => `${inner}${printPart(part, inner)}\n`);
  return `{\n${lines.join("")}${indent}}`;
}

function printPart(part: Part, indent: string): string {
  return typeof part === "string" ? part : print(part, indent);
}

/** A literal that is a value of the type. */
export function zeroOf(type: string): string {
  if (type === "bool") return "false";
  return type === "u64" || type === "i64" ? `${type}(0n)` : `${type}(0)`;
}

/** The tree with `old` replaced by `by`; null removes it from its block. */
export function replace(root: Node, old: Node, by: readonly Part[]): Node {
  if (root === old) return by.length === 1 && typeof by[0] === "object" ? by[0] : { ...root, parts: by };
  let changed = false;
  const parts = root.parts.flatMap((part): readonly Part[] => {
    if (part === old) {
      changed = true;
      return by;
    }
    if (typeof part === "string") return [part];
    const next = replace(part, old, by);
    if (next !== part) changed = true;
    return [next];
  });
  return changed ? { ...root, parts } : root;
}

/** All nodes, outer ones first. */
export function walk(root: Node): Node[] {
  return [root, ...root.parts.flatMap((part) => (typeof part === "string" ? [] : walk(part)))];
}
