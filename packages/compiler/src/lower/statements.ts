/**
 * @module
 * Statements to blocks.
 */
import ts from "typescript";
import { Refused } from "../problems.ts";
import { INTS } from "../types.ts";
import { describe, UNDEFINED, type IntValue, type Value } from "../values.ts";
import { lowerCondition } from "./conditions.ts";
import { excerpt, jump, type Cx, type Finally, type Loop, type Target } from "./cx.ts";
import { declareTarget, declareVariable, fitDeclared, poisonNames } from "./declare.ts";
import { convert, defaultType, instOf, typed, unify } from "./ints.ts";
import { mergeEpochs } from "./join.ts";
import { boolInst, asInt, read } from "./memory.ts";
import { elementAt, elementInside, sliceElement } from "./elements.ts";
import { startIteration, type IteratorValue } from "./iterators.ts";
import { checkProgramReturn } from "./returns.ts";

/** One statement that is refused does not hide the next. */
export function lowerStatements(cx: Cx, nodes: readonly ts.Statement[]): void {
  hoist(cx, nodes);
  for (const node of nodes) {
    if (cx.dead) return;
    try {
      statement(cx, node);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      afterRefusal(cx, node);
    }
  }
}

/** Functions of a block are known from its start. */
function hoist(cx: Cx, nodes: readonly ts.Statement[]): void {
  for (const node of nodes) {
    if (!ts.isFunctionDeclaration(node) || !node.name) continue;
    cx.declare(node.name, { kind: "value", value: { kind: "function", node, env: cx.env, name: node.name.text } });
  }
}

/** Code generation goes on somewhere, for the sake of further diagnostics; nothing of it is kept. */
function afterRefusal(cx: Cx, node: ts.Statement): void {
  cx.refused = true;
  if (ts.isVariableStatement(node)) {
    for (const declaration of node.declarationList.declarations) {
      if (!isDeclared(cx, declaration.name)) poisonNames(cx, declaration.name);
    }
  }
  const b = cx.emit(node);
  if (b.terminated) b.at(b.block("refused"));
  cx.dead = false;
}

function isDeclared(cx: Cx, name: ts.BindingName): boolean {
  if (!ts.isIdentifier(name)) return false;
  const symbol = cx.unit.checker.getSymbolAtLocation(name);
  return symbol !== undefined && cx.env.lookup(symbol) !== undefined;
}

function statement(cx: Cx, node: ts.Statement, label: string | null = null): void {
  cx.at(node);
  switch (node.kind) {
    case ts.SyntaxKind.Block:
      cx.scope(() => lowerStatements(cx, (node as ts.Block).statements));
      return;
    case ts.SyntaxKind.VariableStatement:
      for (const declaration of (node as ts.VariableStatement).declarationList.declarations)
        declareVariable(cx, declaration);
      return;
    case ts.SyntaxKind.ExpressionStatement:
      cx.lower.value(cx, (node as ts.ExpressionStatement).expression);
      return;
    case ts.SyntaxKind.IfStatement:
      ifStatement(cx, node as ts.IfStatement);
      return;
    case ts.SyntaxKind.ReturnStatement:
      returnStatement(cx, node as ts.ReturnStatement);
      return;
    case ts.SyntaxKind.ForStatement:
      cx.scope(() => forStatement(cx, node as ts.ForStatement, label));
      return;
    case ts.SyntaxKind.WhileStatement:
      whileStatement(cx, node as ts.WhileStatement, label);
      return;
    case ts.SyntaxKind.DoStatement:
      doStatement(cx, node as ts.DoStatement, label);
      return;
    case ts.SyntaxKind.ForOfStatement:
      cx.scope(() => forOfStatement(cx, node as ts.ForOfStatement, label));
      return;
    case ts.SyntaxKind.SwitchStatement:
      cx.scope(() => switchStatement(cx, node as ts.SwitchStatement, label));
      return;
    case ts.SyntaxKind.BreakStatement:
    case ts.SyntaxKind.ContinueStatement:
      leave(cx, node as ts.BreakOrContinueStatement);
      return;
    case ts.SyntaxKind.TryStatement:
      tryStatement(cx, node as ts.TryStatement);
      return;
    case ts.SyntaxKind.LabeledStatement: {
      const labeled = node as ts.LabeledStatement;
      labeledStatement(cx, labeled);
      return;
    }
    case ts.SyntaxKind.EmptyStatement:
    case ts.SyntaxKind.FunctionDeclaration:
    case ts.SyntaxKind.InterfaceDeclaration:
    case ts.SyntaxKind.TypeAliasDeclaration:
      return;
    default:
      cx.refuse(node, "unsupported", [statementName(node)]);
  }
}

const NAMES: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.ThrowStatement, "throw"],
  [ts.SyntaxKind.CatchClause, "catch"],
  [ts.SyntaxKind.ForInStatement, "for..in"],
  [ts.SyntaxKind.ClassDeclaration, "a class"],
  [ts.SyntaxKind.EnumDeclaration, "an enum"],
  [ts.SyntaxKind.ModuleDeclaration, "a namespace"],
  [ts.SyntaxKind.WithStatement, "with"],
  [ts.SyntaxKind.DebuggerStatement, "debugger"],
]);

export function statementName(node: ts.Node): string {
  return NAMES.get(node.kind) ?? excerpt(node);
}

// ---- branches ----

/** Lowers what stands at a target; gives the packet's epoch where it goes on, null where it does not. */
function lowerAt(cx: Cx, target: Target, from: { epoch: number; node: ts.Node }, run: () => void): number | null {
  const { epoch, node } = from;
  if (!target.reached) return null;
  cx.emit(node).at(target.block);
  cx.epoch = epoch;
  cx.dead = false;
  run();
  return cx.dead ? null : cx.epoch;
}

function ifStatement(cx: Cx, node: ts.IfStatement): void {
  const [whenTrue, whenFalse] = [cx.target("then", node), cx.target("else", node)];
  lowerCondition(cx, node.expression, whenTrue, whenFalse);
  const { epoch } = cx;
  const join = cx.target("endif", node);
  const epochs: number[] = [];
  const run = (target: Target, body: ts.Statement | undefined): void => {
    const after = lowerAt(cx, target, { epoch, node }, () => {
      if (body) cx.scope(() => lowerStatements(cx, [body]));
    });
    if (after === null) return;
    epochs.push(after);
    jump(cx, join, node);
  };
  run(whenTrue, node.thenStatement);
  run(whenFalse, node.elseStatement);
  goOn(cx, join, epochs, node);
}

/** Continues at `join`, or nowhere. */
function goOn(cx: Cx, join: Target, epochs: readonly number[], node: ts.Node): void {
  cx.dead = !join.reached;
  mergeEpochs(cx, epochs);
  if (join.reached) cx.emit(node).at(join.block);
}

// ---- returns ----

function returnStatement(cx: Cx, node: ts.ReturnStatement): void {
  const { frame } = cx;
  if (!frame) return cx.refuse(node, "unsupported", ["return at the top level"]);
  const expected = frame.returns?.type;
  let value: Value = node.expression ? cx.lower.value(cx, node.expression, expected) : UNDEFINED;
  if (cx.dead) return;
  if (node.expression) value = fitDeclared(cx, value, frame.returns, node.expression);
  returnValue(cx, value, node);
}

/** Ends the function with a value. */
export function returnValue(cx: Cx, value: Value, node: ts.Node): void {
  const { frame } = cx;
  runFinallies(cx, (one) => one.frame === frame);
  if (cx.dead) return;
  if (frame?.sites) {
    frame.sites.push({ block: cx.emit(node).current, value, node, epoch: cx.epoch });
  } else {
    realReturn(cx, value, node);
  }
  cx.dead = true;
}

/** Ends the whole program from within functions that are inlined; whatever `finally` guards on the way runs. */
export function leaveProgram(cx: Cx, value: Value, node: ts.Node): void {
  const { function: fn } = cx.emit(node);
  if (!fn.program) cx.refuse(node, "leavesFunction", [excerpt(node)]);
  const outer = { frame: cx.frame, finallies: cx.finallies };
  cx.finallies = [...cx.outerFinallies, ...cx.finallies];
  runFinallies(cx, () => true);
  cx.finallies = outer.finallies;
  if (!cx.dead) realReturn(cx, value, node);
  cx.dead = true;
}

/** The statements behind `finally`, innermost first, of the blocks that are left. */
function runFinallies(cx: Cx, isLeft: (one: Finally) => boolean): void {
  const outer = { finallies: cx.finallies, env: cx.env };
  for (let at = outer.finallies.length - 1; at >= 0 && !cx.dead; at--) {
    const one = outer.finallies[at];
    if (!one || !isLeft(one)) break;
    cx.finallies = outer.finallies.slice(0, at);
    cx.env = one.env;
    const { block } = one;
    if (typeof block === "function") block(cx);
    else cx.scope(() => lowerStatements(cx, block.statements));
  }
  cx.finallies = outer.finallies;
  cx.env = outer.env;
}

function tryStatement(cx: Cx, node: ts.TryStatement): void {
  if (node.catchClause) cx.refuse(node.catchClause, "unsupported", ["catch"]);
  const { finallyBlock } = node;
  if (!finallyBlock) return cx.scope(() => lowerStatements(cx, node.tryBlock.statements));
  cx.finallies.push({ block: finallyBlock, env: cx.env, frame: cx.frame, loops: cx.loops.length });
  cx.scope(() => lowerStatements(cx, node.tryBlock.statements));
  cx.finallies.pop();
  if (!cx.dead) cx.scope(() => lowerStatements(cx, finallyBlock.statements));
}

/** What a helper's callback gives: 0 goes on, 1 stops. */
function callbackReturn(cx: Cx, value: Value, node: ts.Node): void {
  const b = cx.emit(node);
  if (value.kind === "undefined") b.return(b.i64(0));
  else if (value.kind === "bool") b.return(b.zext(boolInst(cx, value, node)));
  else cx.refuse(node, "wantsType", [describe(value), "bool"]);
}

function realReturn(cx: Cx, value: Value, node: ts.Node): void {
  const b = cx.emit(node);
  if (cx.frame?.callback) {
    callbackReturn(cx, value, node);
    return;
  }
  const { returns } = b.function;
  if (returns === undefined) {
    b.return();
    return;
  }
  if (value.kind === "undefined") {
    if (cx.refused) throw new Refused("noReturn");
    cx.refuse(node, "noReturn", [b.function.name]);
  }
  if (returns === "ptr") {
    if (value.kind !== "ref") cx.refuse(node, "wantsType", [describe(value), "a reference"]);
    b.return(value.offset === 0 ? value.ptr : b.ptradd(value.ptr, value.offset));
    return;
  }
  if (value.kind === "bool") {
    b.return(boolInst(cx, value, node));
    return;
  }
  const int = asInt(cx, value, node);
  if (b.function.program) checkProgramReturn(cx, int, node);
  const type = returns === "i64" ? INTS.i64 : defaultType(int).signed || int.min < 0n ? INTS.i32 : INTS.u32;
  b.return(instOf(cx, convert(cx, int, type, node), type, node));
}

// ---- loops ----

interface LoopShape {
  readonly node: ts.IterationStatement;
  readonly label: string | null;
  /** Branches to the body or the exit; absent: the body runs at once. */
  readonly test: ((body: Target, exit: Target) => void) | null;
  /** Names that the body sees. */
  readonly prepare?: () => void;
  readonly step?: () => void;
  /** The test stands behind the body. */
  readonly testLast?: boolean;
}

/** A while, for or do loop. Headers of the packet read before it are stale in it where its body moves the packet. */
function loop(cx: Cx, shape: LoopShape): void {
  const { node } = shape;
  const [head, body, next, exit] = [
    cx.target("head", node),
    cx.target("body", node),
    cx.target("next", node),
    cx.target("exit", node),
  ];
  const outside = cx.epoch;
  const uses = cx.packetUses.length;
  const entry = cx.newEpoch(outside);
  const frame: Loop = { label: shape.label, breakTo: exit, continueTo: next, breakEpochs: [], continueEpochs: [] };
  jump(cx, shape.testLast ? body : head, node);
  if (!shape.testLast) testAt(cx, shape, head, [body, exit], frame);
  cx.loops.push(frame);
  const after = lowerAt(cx, body, { epoch: cx.epoch, node }, () =>
    cx.scope(() => {
      shape.prepare?.();
      lowerStatements(cx, [node.statement]);
    }),
  );
  cx.loops.pop();
  if (after !== null) {
    frame.continueEpochs.push(after);
    jump(cx, next, node);
  }
  finishLoop(cx, shape, { head, body, next, exit }, frame);
  if (next.reached && !cx.isFresh(entry)) reportStaleUses(cx, uses, entry);
  goOn(cx, exit, frame.breakEpochs, node);
}

/** What was read before a loop is stale in its second round where its body moves the packet. */
function reportStaleUses(cx: Cx, first: number, entry: number): void {
  for (const use of cx.packetUses.slice(first)) {
    if (use.epoch < entry) cx.unit.problems.report(use.node, "stalePacket", [use.node.getText(), cx.movedBy]);
  }
}

function testAt(cx: Cx, shape: LoopShape, at: Target, ways: readonly [Target, Target], frame: Loop): void {
  cx.emit(shape.node).at(at.block);
  cx.dead = false;
  cx.at(shape.node);
  if (shape.test) shape.test(ways[0], ways[1]);
  else jump(cx, ways[0], shape.node);
  if (ways[1].reached) frame.breakEpochs.push(cx.epoch);
}

interface LoopTargets {
  readonly head: Target;
  readonly body: Target;
  readonly next: Target;
  readonly exit: Target;
}

function finishLoop(cx: Cx, shape: LoopShape, targets: LoopTargets, frame: Loop): void {
  if (!targets.next.reached) return;
  const b = cx.emit(shape.node);
  b.at(targets.next.block);
  cx.dead = false;
  mergeEpochs(cx, frame.continueEpochs);
  if (shape.testLast) {
    testAt(cx, shape, targets.next, [targets.body, targets.exit], frame);
    return;
  }
  cx.at(shape.node);
  shape.step?.();
  jump(cx, targets.head, shape.node);
}

function forStatement(cx: Cx, node: ts.ForStatement, label: string | null): void {
  if (node.initializer) {
    if (ts.isVariableDeclarationList(node.initializer)) {
      for (const declaration of node.initializer.declarations) declareVariable(cx, declaration);
    } else cx.lower.value(cx, node.initializer);
  }
  const { condition, incrementor } = node;
  loop(cx, {
    node,
    label,
    test: condition ? (body, exit): void => lowerCondition(cx, condition, body, exit) : null,
    ...(incrementor ? { step: (): void => void cx.lower.value(cx, incrementor) } : {}),
  });
}

function whileStatement(cx: Cx, node: ts.WhileStatement, label: string | null): void {
  loop(cx, { node, label, test: (body, exit) => lowerCondition(cx, node.expression, body, exit) });
}

function doStatement(cx: Cx, node: ts.DoStatement, label: string | null): void {
  loop(cx, { node, label, test: (body, exit) => lowerCondition(cx, node.expression, body, exit), testLast: true });
}

function forOfStatement(cx: Cx, node: ts.ForOfStatement, label: string | null): void {
  const list = node.initializer;
  const declaration = ts.isVariableDeclarationList(list) ? list.declarations[0] : undefined;
  if (!declaration) return cx.refuse(node.initializer, "unsupported", ["iterating into a variable that exists"]);
  const value = cx.lower.value(cx, node.expression);
  if (value.kind === "range") {
    count(cx, { node, label, from: value.from, to: value.to }, (index) =>
      declareTarget(cx, declaration.name, index, null),
    );
    return;
  }
  if (value.kind === "ref" && value.type.kind === "array") {
    overArray(cx, node, label, declaration);
    return;
  }
  if (value.kind === "iterator") {
    iterate(cx, value, { node, label, declaration });
    return;
  }
  if (value.kind === "slice") {
    const zero = { kind: "int", type: null, big: false, const: 0n, min: 0n, max: 0n } as const;
    count(cx, { node, label, from: zero, to: typed(value.length, INTS.u32) }, (index) =>
      declareTarget(cx, declaration.name, sliceElement(cx, value, index, node), null),
    );
    return;
  }
  if (value.kind === "ref" && value.type.kind === "struct" && value.type.fields.some((one) => one.name === "0")) {
    const parts = value.type.fields.map((field) =>
      read(cx, value, field.type, { offset: field.offset, shift: field.shift, node }),
    );
    unroll(cx, { node, label, declaration }, parts);
    return;
  }
  if (value.kind === "list") {
    unroll(cx, { node, label, declaration }, value.elements);
    return;
  }
  cx.refuse(node.expression, "notIterable", [describe(value)]);
}

/** An iterator of the kernel: asked until it gives null, and destroyed however the loop is left. */
function iterate(cx: Cx, iterator: IteratorValue, shape: Unrolled): void {
  const { node, label, declaration } = shape;
  const { next, destroy } = startIteration(cx, iterator, node);
  const b = cx.emit(node);
  let item: ReturnType<typeof next> | null = null;
  // Outside of the loop: `break` leaves to where it is destroyed anyway.
  cx.finallies.push({ block: destroy, env: cx.env, frame: cx.frame, loops: cx.loops.length });
  loop(cx, {
    node,
    label,
    test: (inside, exit) => {
      item = next();
      inside.reached = true;
      exit.reached = true;
      b.branch("ne", [item, b.null()], [inside.block, exit.block]);
    },
    prepare: () => {
      if (item) declareTarget(cx, declaration.name, iterator.item(cx, item, node), null);
    },
  });
  cx.finallies.pop();
  if (!cx.dead) destroy(cx);
}

const UNROLLED = 16;

function overArray(cx: Cx, node: ts.ForOfStatement, label: string | null, declaration: ts.VariableDeclaration): void {
  const array = cx.lower.value(cx, node.expression);
  if (array.kind !== "ref" || array.type.kind !== "array") return;
  const { length } = array.type;
  if (length <= UNROLLED) {
    const elements = Array.from({ length }, (_, at) => (): Value => elementAt(cx, array, at, node));
    unrollLazily(cx, { node, label, declaration }, elements);
    return;
  }
  const to: IntValue = {
    kind: "int",
    type: INTS.u32,
    big: false,
    const: BigInt(length),
    min: BigInt(length),
    max: BigInt(length),
  };
  const from: IntValue = { ...to, const: 0n, min: 0n, max: 0n };
  count(cx, { node, label, from, to }, (index) => {
    declareTarget(cx, declaration.name, elementInside(cx, array, index, node), null);
  });
}

/** A counter from `from` up to `to`. */
function count(
  cx: Cx,
  shape: { node: ts.ForOfStatement; label: string | null; from: IntValue; to: IntValue },
  body: (index: IntValue) => void,
): void {
  const { node, label } = shape;
  const [from, to, type] = unify(cx, shape.from, shape.to, { node });
  const b = cx.emit(node);
  const kind = type.bits === 64 ? "i64" : "i32";
  const counter = b.local("index", kind);
  b.set(counter, instOf(cx, from, type, node));
  const limit = instOf(cx, to, type, node);
  const max = to.max > 0n ? to.max - 1n : 0n;
  loop(cx, {
    node,
    label,
    test: (inside, exit) => {
      inside.reached = true;
      exit.reached = true;
      b.branch(type.signed ? "slt" : "ult", [b.get(counter), limit], [inside.block, exit.block]);
    },
    prepare: () => body(typed(b.get(counter), type, { min: from.min, max: max > from.min ? max : from.min })),
    step: () => b.set(counter, b.add(b.get(counter), b.const(kind, 1))),
  });
}

interface Unrolled {
  readonly node: ts.ForOfStatement;
  readonly label: string | null;
  readonly declaration: ts.VariableDeclaration;
}

function unroll(cx: Cx, shape: Unrolled, elements: readonly Value[]): void {
  unrollLazily(
    cx,
    shape,
    elements.map((element) => (): Value => element),
  );
}

function unrollLazily(cx: Cx, shape: Unrolled, elements: readonly (() => Value)[]): void {
  const { node, label, declaration } = shape;
  const exit = cx.target("exit", node);
  const breakEpochs: number[] = [];
  for (const element of elements) {
    if (cx.dead) break;
    const next = cx.target("next", node);
    const frame: Loop = { label, breakTo: exit, continueTo: next, breakEpochs, continueEpochs: [] };
    cx.loops.push(frame);
    cx.scope(() => {
      declareTarget(cx, declaration.name, element(), null);
      lowerStatements(cx, [node.statement]);
    });
    cx.loops.pop();
    if (!cx.dead) {
      frame.continueEpochs.push(cx.epoch);
      jump(cx, next, node);
    }
    goOn(cx, next, frame.continueEpochs, node);
  }
  if (!cx.dead) {
    breakEpochs.push(cx.epoch);
    jump(cx, exit, node);
  }
  goOn(cx, exit, breakEpochs, node);
}

// ---- switch ----

/** The clauses as chains of bodies: constants become a switch of the IR. */
function switchStatement(cx: Cx, node: ts.SwitchStatement, label: string | null): void {
  const value = cx.lower.value(cx, node.expression);
  const exit = cx.target("exit", node);
  const { clauses } = node.caseBlock;
  const targets = clauses.map(() => cx.target("case", node));
  const fallback = clauses.findIndex((clause) => ts.isDefaultClause(clause));
  const otherwise = targets[fallback] ?? exit;
  if (value.kind === "bool" && value.const !== undefined) dispatchTests(cx, node, value.const, { targets, otherwise });
  else dispatch(cx, node, asInt(cx, value, node.expression), { targets, otherwise });
  const { epoch } = cx;
  const frame: Loop = { label, breakTo: exit, continueTo: null, breakEpochs: [], continueEpochs: [] };
  if (exit.reached) frame.breakEpochs.push(epoch);
  cx.loops.push(frame);
  cx.dead = true;
  clauses.forEach((clause, index) => {
    const target = targets[index];
    if (!target) return;
    if (!cx.dead) jump(cx, target, clause);
    lowerAt(cx, target, { epoch: cx.dead ? epoch : cx.epoch, node: clause }, () =>
      lowerStatements(cx, clause.statements),
    );
    if (!target.reached) cx.dead = true;
  });
  cx.loops.pop();
  if (!cx.dead) {
    frame.breakEpochs.push(cx.epoch);
    jump(cx, exit, node);
  }
  goOn(cx, exit, frame.breakEpochs, node);
}

/** `switch (true)`: the first case that holds. */
function dispatchTests(
  cx: Cx,
  node: ts.SwitchStatement,
  wanted: boolean,
  ways: { targets: readonly Target[]; otherwise: Target },
): void {
  node.caseBlock.clauses.forEach((clause, index) => {
    const to = ways.targets[index];
    if (ts.isDefaultClause(clause) || !to || cx.dead) return;
    const next = cx.target("next", clause);
    if (wanted) lowerCondition(cx, clause.expression, to, next);
    else lowerCondition(cx, clause.expression, next, to);
    cx.dead = !next.reached;
    if (next.reached) cx.emit(clause).at(next.block);
  });
  if (!cx.dead) jump(cx, ways.otherwise, node);
}

function dispatch(
  cx: Cx,
  node: ts.SwitchStatement,
  subject: IntValue,
  ways: { targets: readonly Target[]; otherwise: Target },
): void {
  const type = defaultType(subject);
  const cases: { value: bigint; to: Target }[] = [];
  node.caseBlock.clauses.forEach((clause, index) => {
    if (ts.isDefaultClause(clause)) return;
    const value = asInt(cx, cx.lower.value(cx, clause.expression), clause.expression);
    const to = ways.targets[index];
    if (value.const === undefined) cx.refuse(clause.expression, "notConstant", ["a case"]);
    const [, same] = unify(cx, subject, value, { node: clause.expression });
    if (to) cases.push({ value: same.const ?? 0n, to });
  });
  if (subject.const !== undefined) {
    const hit = cases.find((one) => one.value === subject.const);
    jump(cx, hit?.to ?? ways.otherwise, node);
    return;
  }
  for (const one of cases) one.to.reached = true;
  ways.otherwise.reached = true;
  const b = cx.emit(node);
  b.switch(
    instOf(cx, convert(cx, subject, type, node), type, node),
    cases.map((one) => ({ value: one.value, to: one.to.block })),
    ways.otherwise.block,
  );
}

// ---- labels ----

function labeledStatement(cx: Cx, node: ts.LabeledStatement): void {
  const label = node.label.text;
  const inner = node.statement;
  if (ts.isIterationStatement(inner, false) || ts.isSwitchStatement(inner)) {
    statement(cx, inner, label);
    return;
  }
  const exit = cx.target("exit", node);
  const frame: Loop = { label, breakTo: exit, continueTo: null, breakEpochs: [], continueEpochs: [] };
  cx.loops.push(frame);
  statement(cx, inner);
  cx.loops.pop();
  if (!cx.dead) {
    frame.breakEpochs.push(cx.epoch);
    jump(cx, exit, node);
  }
  goOn(cx, exit, frame.breakEpochs, node);
}

function leave(cx: Cx, node: ts.BreakOrContinueStatement): void {
  const label = node.label?.text ?? null;
  const isBreak = ts.isBreakStatement(node);
  const frame = cx.loops.findLast((one) => {
    if (label !== null) return one.label === label;
    return isBreak ? isLoopOrSwitch(one) : one.continueTo !== null;
  });
  const to = isBreak ? frame?.breakTo : frame?.continueTo;
  if (!frame || !to) return cx.refuse(node, "unsupported", [excerpt(node)]);
  const level = cx.loops.indexOf(frame);
  runFinallies(cx, (one) => one.frame === cx.frame && one.loops > level);
  if (cx.dead) return;
  (isBreak ? frame.breakEpochs : frame.continueEpochs).push(cx.epoch);
  jump(cx, to, node);
  cx.dead = true;
}

/** A labelled block is left by its label alone. */
function isLoopOrSwitch(frame: Loop): boolean {
  return frame.continueTo !== null || frame.label === null;
}
