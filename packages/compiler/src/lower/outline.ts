/**
 * @module
 * Which functions become functions of the program: a call costs some 7 ns, so it takes many call sites of much code.
 */
import ts from "typescript";
import type { FunctionValue, Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { declaredTypeOf } from "./declare.ts";

const MIN_SITES = 4;
/** What inlining would add: nodes of the syntax tree, callees included, at each site but one. */
const MIN_GROWTH = 2500;
const MAX_PARAMETERS = 5;

/** By checker: a body stays what it is while one that it calls changes. */
const weightsBy = new WeakMap<ts.TypeChecker, Map<ts.Node, number>>();

function weigh(cx: Cx, node: ts.Node): number {
  const weights = weightsBy.get(cx.unit.checker) ?? new Map<ts.Node, number>();
  weightsBy.set(cx.unit.checker, weights);
  const known = weights.get(node);
  if (known !== undefined) return known;
  // A cycle ends here; recursion is refused elsewhere.
  weights.set(node, 0);
  let weight = 0;
  const visit = (child: ts.Node): void => {
    weight += 1;
    if (ts.isCallExpression(child) && ts.isIdentifier(child.expression)) weight += weighCallee(cx, child.expression);
    ts.forEachChild(child, visit);
  };
  visit(node);
  weights.set(node, weight);
  return weight;
}

function weighCallee(cx: Cx, name: ts.Identifier): number {
  const given = cx.unit.checker.getSymbolAtLocation(name);
  const symbol = given && given.flags & ts.SymbolFlags.Alias ? cx.unit.checker.getAliasedSymbol(given) : given;
  const declaration = symbol?.valueDeclaration;
  return declaration && ts.isFunctionDeclaration(declaration) && declaration.body ? weigh(cx, declaration.body) : 0;
}

function isPassable(value: Value): boolean {
  switch (value.kind) {
    case "int":
    case "bool":
    case "context":
      return true;
    case "ref":
      return value.space !== "packet";
    default:
      return false;
  }
}

/** Whether the function is worth a call, and can be called with these values. */
export function isOutlined(cx: Cx, fn: FunctionValue, args: readonly Value[]): boolean {
  const { node } = fn;
  if (!ts.isFunctionDeclaration(node) || !node.name || !node.body || !node.type) return false;
  if (node.parameters.length > MAX_PARAMETERS || args.length !== node.parameters.length) return false;
  const symbol = cx.unit.checker.getSymbolAtLocation(node.name);
  const sites = symbol ? (cx.unit.callSites.get(symbol) ?? 0) : 0;
  if (sites < MIN_SITES) return false;
  const returns = declaredTypeOf(cx, node.type);
  const simple = returns?.kind === "void" || returns?.type?.kind === "int" || returns?.type?.kind === "bool";
  return simple && args.every(isPassable) && weigh(cx, node.body) * (sites - 1) >= MIN_GROWTH;
}
