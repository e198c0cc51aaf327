/**
 * @module
 * What lowering a declaration can read: it, and all that the names in it lead to, as text with its place.
 */
import type ts from "typescript";
import { digestOf } from "@skep/ir";
import { enclosing, outlineOf, type Declaration, type Names } from "./top-level.ts";
import { isPrelude } from "./source.ts";

interface Node {
  /** null: not all that it reads can be found. */
  readonly part: string | null;
  readonly targets: readonly Declaration[];
}

/** Over one checked program. */
export class Reads {
  readonly #names: Names;
  readonly #extra: (node: ts.Statement) => string;
  readonly #nodes = new Map<Declaration, Node>();

  /** `extra`: what else of a statement counts. */
  constructor(names: Names, extra: (node: ts.Statement) => string) {
    this.#names = names;
    this.#extra = extra;
  }

  /** Equal where all that can be read from these nodes on is equal; null for what stands outside of the module's own statements. */
  key(roots: readonly ts.Node[]): string | null {
    const found = new Set<Declaration>();
    for (const root of roots) {
      const declaration = isPrelude(root.getSourceFile()) ? null : enclosing(root);
      if (!declaration) return null;
      found.add(declaration);
    }
    const parts: string[] = [];
    for (const one of found) {
      const { part, targets } = this.#follow(one);
      if (part === null) return null;
      parts.push(part);
      for (const target of targets) found.add(target);
    }
    return parts.join(" ");
  }

  #follow(from: Declaration): Node {
    const known = this.#nodes.get(from);
    if (known) return known;
    const outline = outlineOf(from.node.getSourceFile());
    const lines = [from.digest, this.#extra(from.node)];
    const targets: Declaration[] = [];
    for (const name of from.whole.uses) {
      const found = this.#names.local(outline, name);
      if (!found) continue;
      lines.push(`${name}: ${found.map((one) => (typeof one === "string" ? one : one.digest)).join(" ")}`);
      for (const one of found) if (typeof one !== "string") targets.push(one);
    }
    const node = { part: outline.shape === null ? null : digestOf(lines.join("\n")), targets };
    this.#nodes.set(from, node);
    return node;
  }
}
