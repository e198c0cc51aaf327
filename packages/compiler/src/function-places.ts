/**
 * @module
 * Where functions stand and are called in sources: what tells which instructions came of a function that was inlined.
 */
import { wayTo } from "@skep/ir";
import ts from "typescript";
import { libraryTexts } from "./source.ts";

/** Lines count from 1. */
export interface FunctionPlace {
  readonly file: string;
  readonly line: number;
  readonly lastLine: number;
}

export interface FunctionCall {
  readonly file: string;
  readonly line: number;
  /** The function or program that it stands in; null at the top level. */
  readonly within: string | null;
}

export interface FunctionPlaces {
  /** Several where modules have functions of the same name. */
  readonly declared: readonly FunctionPlace[];
  readonly called: readonly FunctionCall[];
}

/** The name that a function is known by: its own, or its variable's. */
function nameOf(node: ts.Node): string | null {
  if (ts.isFunctionDeclaration(node)) return node.name?.text ?? null;
  if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return null;
  return node.initializer ? node.name.text : null;
}

function isFunction(node: ts.Node): boolean {
  if (ts.isFunctionDeclaration(node)) return node.body !== undefined;
  const value = ts.isVariableDeclaration(node) ? node.initializer : undefined;
  return value !== undefined && (ts.isArrowFunction(value) || ts.isFunctionExpression(value));
}

/**
 * Of the functions of that name in a module's `sources` (by path, as `compile` gives them), or else in the standard library. `file` is as line
 * information has it: as seen from `entry`. By the text alone: an import under another name is not followed.
 */
export function functionPlaces(sources: Readonly<Record<string, string>>, entry: string, name: string): FunctionPlaces {
  const own = placesIn(Object.entries(sources), entry, name);
  if (own.declared.length > 0) return own;
  const { declared, called } = placesIn(libraryTexts(), entry, name);
  return { declared, called: [...own.called, ...called] };
}

function placesIn(texts: Iterable<readonly [string, string]>, entry: string, name: string): FunctionPlaces {
  const declared: FunctionPlace[] = [];
  const called: FunctionCall[] = [];
  for (const [path, text] of texts) {
    // Most modules do not have the name, and need not be parsed.
    if (!text.includes(name)) continue;
    const file = wayTo(path, entry);
    const parsed = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
    const lineAt = (position: number): number => parsed.getLineAndCharacterOfPosition(position).line + 1;
    const visit = (node: ts.Node, within: string | null): void => {
      const own = nameOf(node);
      if (own === name && isFunction(node))
        declared.push({ file, line: lineAt(node.getStart(parsed)), lastLine: lineAt(node.end) });
      if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === name)
        called.push({ file, line: lineAt(node.getStart(parsed)), within });
      ts.forEachChild(node, (child) => visit(child, own !== null && hasBody(node) ? own : within));
    };
    visit(parsed, null);
  }
  return { declared, called };
}

/** A function, or what is made with one: a program. */
function hasBody(node: ts.Node): boolean {
  if (isFunction(node)) return true;
  const value = ts.isVariableDeclaration(node) ? node.initializer : undefined;
  return value !== undefined && ts.isCallExpression(value) && value.arguments.some((each) => ts.isArrowFunction(each));
}
