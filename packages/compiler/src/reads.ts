/**
 * @module
 * What lowering a declaration can read: it, and all that the names in it lead to, as text with its place. Names are taken as they are written; one that
 * means something else where it stands adds what does not matter, and nothing is left out.
 */
import ts from "typescript";
import { digestOf } from "@skep/ir";
import { isPrelude } from "./source.ts";

/** A statement of a file's top level. */
interface Declaration {
  readonly node: ts.Statement;
  /** Of text and place. */
  readonly digest: string;
  /** Names that occur in it. */
  readonly uses: readonly string[];
}

interface Import {
  readonly from: ts.Expression;
  /** null: the whole module. */
  readonly name: string | null;
}

interface Outline {
  readonly file: ts.SourceFile;
  readonly declared: ReadonlyMap<string, readonly Declaration[]>;
  readonly byNode: ReadonlyMap<ts.Node, Declaration>;
  readonly imports: ReadonlyMap<string, Import>;
  /** `export { a as b }`, with `from` or without. */
  readonly exports: ReadonlyMap<string, { readonly name: string | null; readonly from: ts.Expression | null }>;
  /** `export * from`. */
  readonly stars: readonly ts.Expression[];
}

const outlines = new WeakMap<ts.SourceFile, Outline>();

function outlineOf(file: ts.SourceFile): Outline {
  const found = outlines.get(file) ?? readOutline(file);
  outlines.set(file, found);
  return found;
}

function readOutline(file: ts.SourceFile): Outline {
  const declared = new Map<string, Declaration[]>();
  const byNode = new Map<ts.Node, Declaration>();
  const imports = new Map<string, Import>();
  const exports = new Map<string, { name: string | null; from: ts.Expression | null }>();
  const stars: ts.Expression[] = [];
  for (const node of file.statements) {
    if (ts.isImportDeclaration(node)) addImports(node, imports);
    else if (ts.isExportDeclaration(node)) addExports(node, exports, stars);
    else {
      const declaration = { node, digest: digestOf(placed(file, node)), uses: [...namesIn(node)] };
      byNode.set(node, declaration);
      for (const name of declaredNames(node)) declared.set(name, [...(declared.get(name) ?? []), declaration]);
    }
  }
  return { file, declared, byNode, imports, exports, stars };
}

function placed(file: ts.SourceFile, node: ts.Node): string {
  const start = node.getStart(file);
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  return `${file.fileName}:${line}:${character}\n${file.text.slice(start, node.end)}`;
}

function addImports(node: ts.ImportDeclaration, imports: Map<string, Import>): void {
  const from = node.moduleSpecifier;
  const { name, namedBindings } = node.importClause ?? {};
  if (name) imports.set(name.text, { from, name: "default" });
  if (!namedBindings) return;
  if (ts.isNamespaceImport(namedBindings)) imports.set(namedBindings.name.text, { from, name: null });
  else
    for (const one of namedBindings.elements)
      imports.set(one.name.text, { from, name: (one.propertyName ?? one.name).text });
}

function addExports(
  node: ts.ExportDeclaration,
  exports: Map<string, { name: string | null; from: ts.Expression | null }>,
  stars: ts.Expression[],
): void {
  const from = node.moduleSpecifier ?? null;
  if (!node.exportClause) {
    if (from) stars.push(from);
  } else if (ts.isNamedExports(node.exportClause)) {
    for (const one of node.exportClause.elements)
      exports.set(one.name.text, { name: (one.propertyName ?? one.name).text, from });
  } else exports.set(node.exportClause.name.text, { name: null, from });
}

function declaredNames(node: ts.Statement): string[] {
  const names: string[] = [];
  const add = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) names.push(name.text);
    else for (const one of name.elements) if (ts.isBindingElement(one)) add(one.name);
  };
  if (ts.isVariableStatement(node)) for (const one of node.declarationList.declarations) add(one.name);
  else {
    const { name } = node as { name?: ts.Node };
    if (name && ts.isIdentifier(name)) names.push(name.text);
  }
  return names;
}

function namesIn(node: ts.Node): Set<string> {
  const names = new Set<string>();
  const visit = (one: ts.Node): void => {
    if (ts.isIdentifier(one)) names.add(one.text);
    else if (ts.isPropertyAccessExpression(one)) visit(one.expression);
    else if (ts.isQualifiedName(one)) visit(one.left);
    else ts.forEachChild(one, visit);
  };
  visit(node);
  return names;
}

interface Node {
  readonly part: string;
  readonly targets: readonly Declaration[];
}

/** Over one checked program. */
export class Reads {
  readonly #checker: ts.TypeChecker;
  readonly #extra: (node: ts.Statement) => string;
  readonly #nodes = new Map<Declaration, Node>();

  /** `extra`: what else of a statement counts. */
  constructor(checker: ts.TypeChecker, extra: (node: ts.Statement) => string) {
    this.#checker = checker;
    this.#extra = extra;
  }

  /** Equal where all that can be read from these nodes on is equal; null for what stands outside of the module's own statements. */
  key(roots: readonly ts.Node[]): string | null {
    const found = new Set<Declaration>();
    for (const root of roots) {
      const declaration = enclosing(root);
      if (!declaration) return null;
      found.add(declaration);
    }
    const parts: string[] = [];
    for (const one of found) {
      const { part, targets } = this.#follow(one);
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
    for (const name of from.uses) {
      const found = this.#local(outline, name);
      if (!found) continue;
      lines.push(`${name}: ${found.map((one) => (typeof one === "string" ? one : one.digest)).join(" ")}`);
      for (const one of found) if (typeof one !== "string") targets.push(one);
    }
    const node = { part: digestOf(lines.join("\n")), targets };
    this.#nodes.set(from, node);
    return node;
  }

  /** What a name of a file's top level means: declarations, or text that stands for what never changes. null: nothing of the top level. */
  #local(outline: Outline, name: string): readonly (Declaration | string)[] | null {
    const own = outline.declared.get(name);
    if (own) return own;
    const imported = outline.imports.get(name);
    return imported ? this.#exported(imported.from, imported.name, new Set()) : null;
  }

  #exported(from: ts.Expression, name: string | null, seen: Set<ts.SourceFile>): readonly (Declaration | string)[] {
    const symbol = this.#checker.getSymbolAtLocation(from);
    const file = symbol?.valueDeclaration;
    if (!file || !ts.isSourceFile(file)) return [`${from.getText()} is not there`];
    if (isPrelude(file)) return [`${file.fileName} ${name ?? "*"}`];
    const outline = outlineOf(file);
    if (name === null) return this.#everything(file, new Set());
    const own = outline.declared.get(name);
    if (own) return own;
    const exported = outline.exports.get(name);
    if (exported?.from) return this.#exported(exported.from, exported.name, seen);
    const local = exported?.name ? this.#local(outline, exported.name) : null;
    // Which of several it is, is not worth finding out.
    return local ?? this.#everything(file, seen);
  }

  /** All of a file, and of what it imports. */
  #everything(file: ts.SourceFile, seen: Set<ts.SourceFile>): readonly (Declaration | string)[] {
    if (seen.has(file)) return [];
    seen.add(file);
    const outline = outlineOf(file);
    const found: (Declaration | string)[] = [digestOf(`${file.fileName}\n${file.text}`), ...outline.byNode.values()];
    const others = [...outline.stars, ...[...outline.exports.values()].flatMap(({ from }) => from ?? [])];
    for (const from of others) {
      const target = this.#checker.getSymbolAtLocation(from)?.valueDeclaration;
      if (target && ts.isSourceFile(target) && !isPrelude(target)) found.push(...this.#everything(target, seen));
    }
    return found;
  }
}

function enclosing(node: ts.Node): Declaration | null {
  let at = node;
  while (at.parent && !ts.isSourceFile(at.parent)) at = at.parent;
  const file = at.getSourceFile();
  return isPrelude(file) ? null : (outlineOf(file).byNode.get(at) ?? null);
}
