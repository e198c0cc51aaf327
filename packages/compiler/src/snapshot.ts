/**
 * @module
 * Two states of a program's files: which statements TypeScript must look at again. A statement's types and errors follow from its text and from what is
 * seen of the declarations that its names lead to, of theirs, and so on; of a function that says what it returns the body is not seen.
 */
import type ts from "typescript";
import { digestOfDeclarations, Names, outlineOf, shapeIn, type Declaration, type Part } from "./top-level.ts";

/** Where each file's imports lead: paths by specifier. */
export type Links = ReadonlyMap<string, ReadonlyMap<string, string | undefined>>;

interface Node {
  /** Text that is equal where the part is, and what its names lead to directly. */
  readonly text: string;
  readonly targets: readonly Declaration[];
}

interface Graph {
  readonly wholes: ReadonlyMap<Declaration, Node>;
  readonly faces: ReadonlyMap<Declaration, Node>;
  readonly wholeTexts: ReadonlySet<string>;
  readonly faceTexts: ReadonlySet<string>;
}

/** A program's files at one time, without what TypeScript knows of them. */
export class Snapshot {
  readonly files: ReadonlyMap<string, ts.SourceFile>;
  readonly links: Links;
  readonly names: Names;
  #graph: Graph | null = null;
  #changes: { readonly since: Snapshot; readonly found: ReadonlySet<ts.Statement> } | null = null;

  /** `files`: those of the user. */
  constructor(files: readonly ts.SourceFile[], links: Links) {
    this.files = new Map(files.map((file) => [file.fileName, file]));
    this.links = links;
    this.names = new Names((from) => {
      const specifier = "text" in from ? String(from.text) : "";
      const path = links.get(from.getSourceFile().fileName)?.get(specifier);
      return path === undefined ? undefined : (this.files.get(path) ?? path);
    });
  }

  /** Whether the file and those that it sees declare, import and export the same names. */
  hasShapeOf(before: Snapshot, seen: readonly ts.SourceFile[]): boolean {
    return seen.every((file) => {
      const known = before.files.get(file.fileName);
      const shape = known && shapeIn(known);
      return typeof shape === "string" && shape === shapeIn(file);
    });
  }

  /** Statements that may mean something else than they did. */
  changedSince(before: Snapshot): ReadonlySet<ts.Statement> {
    if (this.#changes?.since !== before) this.#changes = { since: before, found: this.#compare(before.#read()) };
    return this.#changes.found;
  }

  #compare(before: Graph): Set<ts.Statement> {
    const { wholes, faces } = this.#read();
    const users = new Map<Declaration, Declaration[]>();
    const changed = new Set<Declaration>();
    for (const [from, { text, targets }] of faces) {
      if (!before.faceTexts.has(text)) changed.add(from);
      for (const target of targets) users.set(target, [...(users.get(target) ?? []), from]);
    }
    for (const one of changed) for (const user of users.get(one) ?? []) changed.add(user);
    const found = new Set<ts.Statement>();
    for (const [from, { text, targets }] of wholes) {
      if (!before.wholeTexts.has(text) || targets.some((target) => changed.has(target))) found.add(from.node);
    }
    return found;
  }

  #read(): Graph {
    if (this.#graph) return this.#graph;
    const wholes = new Map<Declaration, Node>();
    const faces = new Map<Declaration, Node>();
    for (const file of this.files.values()) {
      if (digestOfDeclarations(file) !== null) continue;
      for (const declaration of outlineOf(file).byNode.values()) {
        const { whole, face } = declaration;
        const node = this.#follow(file, whole);
        wholes.set(declaration, node);
        faces.set(declaration, face === whole ? node : this.#follow(file, face));
      }
    }
    const texts = (nodes: ReadonlyMap<Declaration, Node>): Set<string> =>
      new Set([...nodes.values()].map(({ text }) => text));
    this.#graph = { wholes, faces, wholeTexts: texts(wholes), faceTexts: texts(faces) };
    return this.#graph;
  }

  #follow(file: ts.SourceFile, { digest, uses }: Part): Node {
    const outline = outlineOf(file);
    const parts = [digest];
    const targets: Declaration[] = [];
    for (const name of uses) {
      const found = this.names.local(outline, name);
      if (!found) continue;
      parts.push(name);
      for (const one of found) {
        if (typeof one === "string") parts.push(one);
        else {
          parts.push(one.face.digest);
          targets.push(one);
        }
      }
    }
    return { text: parts.join(" "), targets };
  }
}
