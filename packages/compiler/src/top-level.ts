/**
 * @module
 * The statements of a file's top level, and where the names in them lead. Names are taken as they are written; one that means something else where it
 * stands adds what does not matter, and nothing is left out.
 */
import ts from "typescript";
import { digestOf } from "@skep/ir";

/** Text without its place, and the names that occur in it. */
export interface Part {
  readonly digest: string;
  readonly uses: readonly string[];
}

/** A statement of a file's top level. */
export interface Declaration {
  readonly node: ts.Statement;
  /** Of text and place. */
  readonly digest: string;
  readonly whole: Part;
  /** What decides how others are checked: without the bodies of functions that say what they return. */
  readonly face: Part;
}

export interface Import {
  readonly from: ts.Expression;
  /** null: the whole module. */
  readonly name: string | null;
}

export interface Outline {
  readonly file: ts.SourceFile;
  readonly declared: ReadonlyMap<string, readonly Declaration[]>;
  readonly byNode: ReadonlyMap<ts.Node, Declaration>;
  readonly imports: ReadonlyMap<string, Import>;
  /** `export { a as b }`, with `from` or without. */
  readonly exports: ReadonlyMap<string, { readonly name: string | null; readonly from: ts.Expression | null }>;
  /** `export * from`. */
  readonly stars: readonly ts.Expression[];
  /** What is declared, imported and exported, as text; null where other files are named elsewhere too, or comments tell TypeScript what to leave out. */
  readonly shape: string | null;
}

const outlines = new WeakMap<ts.SourceFile, Outline>();

export function outlineOf(file: ts.SourceFile): Outline {
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
      const declaration = declarationOf(file, node);
      byNode.set(node, declaration);
      for (const name of declaredNames(node)) declared.set(name, [...(declared.get(name) ?? []), declaration]);
    }
  }
  return { file, declared, byNode, imports, exports, stars, shape: shapeOf(file) };
}

function declarationOf(file: ts.SourceFile, node: ts.Statement): Declaration {
  const bodies = bodiesIn(node);
  const whole = { digest: digestOf(`${file.fileName}\n${node.getText(file)}`), uses: [...namesIn(node, NO_NODES)] };
  const face =
    bodies.size === 0
      ? whole
      : { digest: digestOf(`${file.fileName}\n${textWithout(file, node, bodies)}`), uses: [...namesIn(node, bodies)] };
  return { node, digest: digestOf(placed(file, node)), whole, face };
}

const NO_NODES: ReadonlySet<ts.Node> = new Set();

/** Bodies of the outermost functions that say what they return. */
function bodiesIn(statement: ts.Statement): ReadonlySet<ts.Node> {
  const found = new Set<ts.Node>();
  const visit = (node: ts.Node): void => {
    const body =
      ts.isFunctionLike(node) && node.type && "body" in node ? (node.body as ts.Node | undefined) : undefined;
    if (body) found.add(body);
    ts.forEachChild(node, (child) => (child === body ? undefined : visit(child)));
  };
  visit(statement);
  return found;
}

function textWithout(file: ts.SourceFile, node: ts.Node, left: ReadonlySet<ts.Node>): string {
  const parts: string[] = [];
  let at = node.getStart(file);
  for (const one of [...left].sort((a, b) => a.pos - b.pos)) {
    parts.push(file.text.slice(at, one.pos));
    at = one.end;
  }
  parts.push(file.text.slice(at, node.end));
  return parts.join("\n");
}

/** `import("...")` as a type or an expression. */
const INNER_IMPORT = /\bimport\s*\(/;

const digests = new WeakMap<ts.SourceFile, string | null>();

/**
 * Stands for all of a file of declarations, of which there may be tens of thousands (the kernel's types); null for other files, and where it names files
 * beside it.
 */
export function digestOfDeclarations(file: ts.SourceFile): string | null {
  if (!file.isDeclarationFile) return null;
  const known = digests.get(file);
  if (known !== undefined) return known;
  const isAlone = !INNER_IMPORT.test(file.text) && !file.statements.some(namesFileBeside);
  const digest = isAlone ? digestOf(`${file.fileName}\n${file.text}`) : null;
  digests.set(file, digest);
  return digest;
}

function namesFileBeside(node: ts.Statement): boolean {
  if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return ts.isImportEqualsDeclaration(node);
  const { moduleSpecifier } = node;
  return (
    moduleSpecifier !== undefined &&
    !(ts.isStringLiteral(moduleSpecifier) && /^@skep\/bpf(\/|$)/.test(moduleSpecifier.text))
  );
}

function shapeOf(file: ts.SourceFile): string | null {
  const { commentDirectives } = file as { commentDirectives?: readonly unknown[] };
  if (commentDirectives?.length || INNER_IMPORT.test(file.text)) return null;
  return file.statements.map((node) => shapeOfStatement(file, node)).join("\n");
}

function shapeOfStatement(file: ts.SourceFile, node: ts.Statement): string {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.getText(file);
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  const names = ts.isExportAssignment(node) ? [node.getText(file)] : declaredNames(node);
  return [node.kind, ...modifiers.map(({ kind }) => kind), ...names].join(" ");
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

function namesIn(node: ts.Node, without: ReadonlySet<ts.Node>): Set<string> {
  const names = new Set<string>();
  const visit = (one: ts.Node): void => {
    if (without.has(one)) return;
    if (ts.isIdentifier(one)) names.add(one.text);
    else if (ts.isPropertyAccessExpression(one)) visit(one.expression);
    else if (ts.isQualifiedName(one)) visit(one.left);
    else ts.forEachChild(one, visit);
  };
  visit(node);
  return names;
}

/** What was found at the end of a name: declarations, or text that stands for what never changes. */
export type Found = readonly (Declaration | string)[];

/** Names of one program's files. */
export class Names {
  readonly #target: (from: ts.Expression) => ts.SourceFile | string | undefined;

  /** `target`: the file that a specifier leads to; the path alone of one that never changes. */
  constructor(target: (from: ts.Expression) => ts.SourceFile | string | undefined) {
    this.#target = target;
  }

  /** What a name of a file's top level means. null: nothing of the top level. */
  local(outline: Outline, name: string): Found | null {
    const own = outline.declared.get(name);
    if (own) return own;
    const imported = outline.imports.get(name);
    return imported ? this.#exported(imported.from, imported.name, new Set()) : null;
  }

  #exported(from: ts.Expression, name: string | null, seen: Set<ts.SourceFile>): Found {
    const file = this.#target(from);
    if (file === undefined) return [`${from.getText()} is not there`];
    if (typeof file === "string") return [`${file} ${name ?? "*"}`];
    const declarations = digestOfDeclarations(file);
    if (declarations !== null) return [`${declarations} ${name ?? "*"}`];
    const outline = outlineOf(file);
    if (name === null) return this.#everything(file, new Set());
    const own = outline.declared.get(name);
    if (own) return own;
    const exported = outline.exports.get(name);
    if (exported?.from) return this.#exported(exported.from, exported.name, seen);
    const local = exported?.name ? this.local(outline, exported.name) : null;
    // Which of several it is, is not worth finding out.
    return local ?? this.#everything(file, seen);
  }

  /** All of a file, and of what it imports. */
  #everything(file: ts.SourceFile, seen: Set<ts.SourceFile>): Found {
    if (seen.has(file)) return [];
    seen.add(file);
    const declarations = digestOfDeclarations(file);
    if (declarations !== null) return [declarations];
    const outline = outlineOf(file);
    const found: (Declaration | string)[] = [digestOf(`${file.fileName}\n${file.text}`), ...outline.byNode.values()];
    const others = [...outline.stars, ...[...outline.exports.values()].flatMap(({ from }) => from ?? [])];
    for (const from of others) {
      const target = this.#target(from);
      if (target !== undefined && typeof target !== "string") found.push(...this.#everything(target, seen));
    }
    return found;
  }
}

/** What the file declares, imports and exports, as text; null where that is not all that counts. */
export function shapeIn(file: ts.SourceFile): string | null {
  return digestOfDeclarations(file) ?? outlineOf(file).shape;
}

/** The statement of the top level around a node; null where it is none of those that have an outline. */
export function enclosing(node: ts.Node): Declaration | null {
  let at = node;
  while (at.parent && !ts.isSourceFile(at.parent)) at = at.parent;
  return outlineOf(at.getSourceFile()).byNode.get(at) ?? null;
}
