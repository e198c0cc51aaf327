/**
 * @module
 * The compilation: values of top-level declarations, evaluated once and without running anything.
 */
import ts from "typescript";
import { FLOW_DISSECTOR, MAP, NF, RINGBUF, SK, TC, XDP } from "@skep/bpf";
import type { IrFunction } from "@skep/ir";
import { ModuleTypes } from "./btf.ts";
import { declareBuiltin } from "./declarations.ts";
import { OBJECT_TYPES, TYPE_NAMES } from "./type-names.ts";
import { DeclaredTypes } from "./declared-types.ts";
import { KernelTypes, type KernelStruct } from "./kernel-types.ts";
import type { DeclaredType, FunctionShape, KernelFunction, Lower, Subprogram, Unit } from "./lower/cx.ts";
import { Cx } from "./lower/cx.ts";
import { callbackType, type CFunction, type CType } from "./lower/kernel-functions.ts";
import { Refused, type Problems } from "./problems.ts";
import { SectionBuilder } from "./sections.ts";
import { isPrelude, type CheckedSource } from "./source.ts";
import { alignOf, type BoolT, type IntT, type MemoryType } from "./types.ts";
import {
  constInt,
  Env,
  POISON,
  type Binding,
  type MapDecl,
  type ProgramDecl,
  type StructOpsDecl,
  type Value,
  type VariableDecl,
} from "./values.ts";

type Numbers = Readonly<Record<string, number | bigint>>;
const TABLES: Readonly<Record<string, Numbers>> = { TC, XDP, MAP, SK, NF, FLOW_DISSECTOR, RINGBUF };

function table(numbers: Numbers, node: ts.Node): Value {
  const fields = Object.entries(numbers).map(([name, number]): [string, Binding] => [
    name,
    { kind: "value", value: constInt(BigInt(number), null, typeof number === "bigint") },
  ]);
  return { kind: "record", fields: new Map(fields), node };
}

/** What a file's text says of names, before anything is known of them. */
interface Mentions {
  readonly targets: readonly ts.Expression[];
  readonly calls: readonly ts.Identifier[];
  /** Arguments of `kfuncExists`. */
  readonly optional: readonly ts.Expression[];
}

const mentions = new WeakMap<ts.SourceFile, Mentions>();

function mentionsIn(file: ts.SourceFile): Mentions {
  const known = mentions.get(file);
  if (known) return known;
  const found = { targets: [] as ts.Expression[], calls: [] as ts.Identifier[], optional: [] as ts.Expression[] };
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node) && isAssignment(node.operatorToken.kind)) found.targets.push(node.left);
    else if ((ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) && isStep(node.operator)) {
      found.targets.push(node.operand);
    } else if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && !isPrelude(file)) {
      found.calls.push(node.expression);
      const [first] = node.arguments;
      if (node.expression.text === "kfuncExists" && first) found.optional.push(first);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  mentions.set(file, found);
  return found;
}

export class Module implements Unit {
  readonly checker: ts.TypeChecker;
  readonly problems: Problems;
  readonly lower: Lower;
  license = "Apache-2.0";
  readonly maps = new Map<string, MapDecl>();
  readonly variables = new Map<string, VariableDecl>();
  readonly programs = new Map<string, ProgramDecl>();
  readonly assigned = new Set<ts.Symbol>();
  readonly assignedProperties = new Set<string>();
  /** Lists of which an element is assigned. */
  readonly assignedElements = new Set<ts.Symbol>();
  readonly callSites = new Map<ts.Symbol, number>();
  readonly optional = new Set<ts.Symbol>();
  readonly structOps = new Map<string, StructOpsDecl>();
  readonly declared = new Map<ts.Node, Value>();
  readonly functions: IrFunction[] = [];
  readonly subprograms = new Map<string, Subprogram>();
  readonly types = new ModuleTypes();
  readonly sections = new Map<string, SectionBuilder>();
  readonly kernel: KernelTypes;
  #declaredTypes: DeclaredTypes;
  readonly prototypes = new Map<string, number>();
  readonly kernelFunctions = new Map<ts.Node, KernelFunction>();
  #values = new Map<ts.Symbol, Value>();
  #evaluating = new Set<ts.Symbol>();

  constructor(source: CheckedSource, problems: Problems, lower: Lower) {
    this.checker = source.checker;
    this.problems = problems;
    this.lower = lower;
    this.#declaredTypes = new DeclaredTypes(this.checker, (call) => this.structOf(call));
    this.kernel = new KernelTypes(this.checker, this.types.btf, (type) => this.#scalarOf(type));
    for (const file of source.program.getSourceFiles()) {
      if (!file.isDeclarationFile) this.#scan(file);
    }
  }

  // ---- what is assigned and called ----

  #scan(file: ts.SourceFile): void {
    const { targets, calls, optional } = mentionsIn(file);
    for (const target of targets) this.#noteTarget(target);
    for (const call of calls) this.#noteCall(call);
    for (const node of optional) this.#noteOptional(node);
  }

  #noteCall(name: ts.Identifier): void {
    const given = this.checker.getSymbolAtLocation(name);
    const symbol = given && given.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(given) : given;
    if (symbol) this.callSites.set(symbol, (this.callSites.get(symbol) ?? 0) + 1);
  }

  #noteOptional(node: ts.Expression): void {
    const given = this.checker.getSymbolAtLocation(node);
    if (given) this.optional.add(given.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(given) : given);
  }

  #noteTarget(target: ts.Expression): void {
    let node = target;
    while (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node)) node = node.expression;
    if (ts.isArrayLiteralExpression(node)) node.elements.forEach((one) => this.#noteTarget(one));
    else if (ts.isObjectLiteralExpression(node)) {
      for (const property of node.properties) {
        if (ts.isPropertyAssignment(property)) this.#noteTarget(property.initializer);
        const symbol = ts.isShorthandPropertyAssignment(property)
          ? this.checker.getShorthandAssignmentValueSymbol(property)
          : undefined;
        if (symbol) this.assigned.add(symbol);
      }
    } else if (ts.isIdentifier(node)) {
      const symbol = this.checker.getSymbolAtLocation(node);
      if (symbol) this.assigned.add(symbol);
    } else if (ts.isPropertyAccessExpression(node)) this.assignedProperties.add(node.name.text);
    else if (ts.isElementAccessExpression(node) && ts.isIdentifier(node.expression)) {
      const symbol = this.checker.getSymbolAtLocation(node.expression);
      if (symbol) this.assignedElements.add(symbol);
    }
  }

  // ---- values ----

  constantCx(): Cx {
    return new Cx(this, this.lower, null, new Env(null));
  }

  moduleValue(given: ts.Symbol, use: ts.Node): Value {
    const symbol = given.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(given) : given;
    const known = this.#values.get(symbol);
    if (known) return known;
    if (this.#evaluating.has(symbol)) return this.problems.refuse(use, "recursion", [symbol.name]);
    this.#evaluating.add(symbol);
    try {
      const value = this.#evaluate(symbol, use);
      this.#values.set(symbol, value);
      return value;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#values.set(symbol, POISON);
      return POISON;
    } finally {
      this.#evaluating.delete(symbol);
    }
  }

  #evaluate(symbol: ts.Symbol, use: ts.Node): Value {
    const declaration = symbol.valueDeclaration ?? symbol.declarations?.[0];
    // TypeScript has said that there is no such module or name.
    if (!declaration) throw new Refused(symbol.name);
    const file = declaration.getSourceFile();
    if (isPrelude(file) && file.fileName.endsWith("/kernel.ts")) return this.#builtin(symbol.name, declaration);
    if (ts.isFunctionDeclaration(declaration)) {
      const node = symbol.declarations?.filter(ts.isFunctionDeclaration).find((one) => one.body) ?? declaration;
      if (!node.body) return { kind: "kfunc", node, name: symbol.name };
      return { kind: "function", node, env: new Env(null), name: symbol.name };
    }
    if (ts.isVariableDeclaration(declaration)) return this.#variable(declaration, use);
    if (ts.isEnumDeclaration(declaration)) return this.#enumeration(symbol, declaration);
    return this.problems.refuse(use, "unknownName", [symbol.name]);
  }

  #builtin(name: string, node: ts.Node): Value {
    const type = TYPE_NAMES[name];
    if (type) return { kind: "type", type };
    const numbers = TABLES[name];
    return numbers ? table(numbers, node) : { kind: "builtin", name };
  }

  #variable(node: ts.VariableDeclaration, use: ts.Node): Value {
    const name = node.name.getText();
    if ((ts.getCombinedNodeFlags(node) & ts.NodeFlags.Const) === 0)
      return this.problems.refuse(use, "topLevelLet", [name]);
    if (!node.initializer && ts.isIdentifier(node.name)) return this.#declaredConstant(node, use);
    if (!node.initializer || !ts.isIdentifier(node.name)) return this.problems.refuse(use, "unknownName", [name]);
    const value = this.lower.value(this.constantCx(), node.initializer);
    const declared = node.type ? this.declaredType(this.checker.getTypeFromTypeNode(node.type)) : null;
    if (value.kind === "map") this.addMap(value.map);
    if (value.kind === "variable") this.addVariable(value.variable);
    if (value.kind === "structOps") this.structOps.set(value.decl.name, value.decl);
    if (value.kind === "int" && value.const !== undefined && declared?.type?.kind === "int") {
      return constInt(value.const, declared.type);
    }
    return value;
  }

  /** An enum: its members are constants. Their type is what the enum's is, see `DeclaredTypes`. */
  #enumeration(symbol: ts.Symbol, node: ts.EnumDeclaration): Value {
    const declared = this.declaredType(this.checker.getDeclaredTypeOfSymbol(symbol)).type;
    const type = declared?.kind === "int" ? declared : null;
    const fields = (symbol.declarations ?? []).filter(ts.isEnumDeclaration).flatMap((one) =>
      one.members.map((member): [string, Binding] => {
        const value = this.checker.getConstantValue(member);
        const name = ts.isComputedPropertyName(member.name) ? member.name.getText() : member.name.text;
        if (value === undefined || (typeof value === "number" && !Number.isSafeInteger(value)))
          return this.problems.refuse(member, "notConstant", [`${node.name.text}.${name}`]);
        if (typeof value === "string") return [name, { kind: "value", value: { kind: "string", text: value } }];
        return [name, { kind: "value", value: constInt(BigInt(value), type) }];
      }),
    );
    return { kind: "record", fields: new Map(fields), node };
  }

  /** `declare const A: 3`, or a table of such: the type is the value. */
  #declaredConstant(node: ts.VariableDeclaration, use: ts.Node): Value {
    const type = this.checker.getTypeAtLocation(node);
    const literal = literalOf(type) ?? this.#kernelVariable(node, type);
    if (literal) return literal;
    const fields = this.checker.getPropertiesOfType(type).map((property): [string, Binding] | null => {
      const value = literalOf(this.checker.getTypeOfSymbol(property));
      return value ? [property.name, { kind: "value", value }] : null;
    });
    const known = fields.filter((field) => field !== null);
    if (known.length === 0 || known.length < fields.length) {
      return this.problems.refuse(use, "unknownName", [node.name.getText()]);
    }
    return { kind: "record", fields: new Map(known), node };
  }

  /** `declare const runqueues: PerCpuObject<rq>`. */
  #kernelVariable(node: ts.VariableDeclaration, type: ts.Type): Value | null {
    const brand = this.checker.getPropertyOfType(type, "~percpuObject");
    if (!brand) return null;
    const held = this.checker.getNonNullableType(this.checker.getTypeOfSymbol(brand));
    const name = node.name.getText();
    const known = this.#scalarOf(held) ?? this.kernel.structOf(held);
    return known
      ? { kind: "kernelVariable", name, type: known, node }
      : this.problems.refuse(node.type ?? node, "needsKernelType", [name]);
  }

  addMap(map: MapDecl): void {
    const known = this.maps.get(map.name);
    if (known && known !== map) this.problems.report(map.node, "duplicateName", [map.name]);
    else this.maps.set(map.name, map);
  }

  addVariable(variable: VariableDecl): void {
    const known = this.variables.get(variable.name);
    if (known && known !== variable) this.problems.report(variable.node, "duplicateName", [variable.name]);
    else this.variables.set(variable.name, variable);
  }

  // ---- types ----

  /** The type that a call of `struct` or `union` declares; null where it declares none. */
  structOf(call: ts.CallExpression): MemoryType | null {
    const known = this.declared.get(call);
    const value = known ?? this.#evaluateStruct(call);
    return value?.kind === "type" ? value.type : null;
  }

  #evaluateStruct(call: ts.CallExpression): Value | null {
    if (!ts.isIdentifier(call.expression)) return null;
    const symbol = this.checker.getSymbolAtLocation(call.expression);
    const callee = symbol ? this.moduleValue(symbol, call.expression) : POISON;
    if (callee.kind !== "builtin" || (callee.name !== "struct" && callee.name !== "union")) return null;
    return declareBuiltin(this.constantCx(), callee.name, call);
  }

  declaredType(type: ts.Type): DeclaredType {
    return this.#declaredTypes.of(type);
  }

  #scalarOf(type: ts.Type): IntT | BoolT | null {
    const declared = this.declaredType(type);
    if (declared.nullable || !declared.type) return null;
    return declared.type.kind === "int" || declared.type.kind === "bool" ? declared.type : null;
  }

  kernelFunction(node: ts.FunctionDeclaration): KernelFunction {
    const known = this.kernelFunctions.get(node) ?? this.#describeKernelFunction(node);
    this.kernelFunctions.set(node, known);
    return known;
  }

  #describeKernelFunction(node: ts.FunctionDeclaration): KernelFunction {
    const { btf } = this.types;
    const params = node.parameters.map((parameter) => {
      const type = this.checker.getTypeAtLocation(parameter);
      const scalar = this.#scalarOf(type);
      const typeId = scalar ? this.types.idOf(scalar) : btf.pointer(this.#pointee(type)?.typeId ?? 0);
      return { name: parameter.name.getText(), typeId, scalar };
    });
    const result = node.type ? this.checker.getTypeFromTypeNode(node.type) : null;
    const scalar = result ? this.#scalarOf(result) : null;
    const struct = result ? this.#pointee(result) : null;
    const isVoid = !result || (result.flags & ts.TypeFlags.Void) !== 0;
    const returnId = scalar ? this.types.idOf(scalar) : isVoid ? 0 : btf.pointer(struct?.typeId ?? 0);
    const name = node.name?.text ?? "";
    return {
      typeId: btf.func(name, btf.funcProto(returnId, params), "extern"),
      parameters: params.map((param) => param.scalar ?? "pointer"),
      returns: scalar ?? (isVoid ? "void" : (struct ?? "pointer")),
      nullable: result?.isUnion() ?? false,
    };
  }

  #pointee(type: ts.Type): KernelStruct | null {
    const parts = type.isUnion() ? type.types : [type];
    for (const part of parts) {
      const struct = this.kernel.structOf(part);
      if (struct) return struct;
    }
    return null;
  }

  kernelPrototype(fn: CFunction): number {
    const known = this.prototypes.get(fn.name);
    if (known !== undefined) return known;
    const { btf } = this.types;
    const typeId = (type: CType): number => {
      const callback = callbackType(type.name);
      if (callback) {
        const [returns = 0, ...inner] = callback.map(typeId);
        return btf.pointer(
          btf.funcProto(
            returns,
            inner.map((id) => ({ name: "", typeId: id })),
          ),
        );
      }
      const known = type.isStruct ? OBJECT_TYPES.get(type.name) : undefined;
      if (known) return btf.pointer(this.types.idOf(known));
      const base = type.isStruct ? this.kernel.opaque(type.name) : this.#plainType(type.name);
      return type.pointer ? btf.pointer(base) : base;
    };
    const params = fn.parameters.map((one) => ({ name: one.parameter, typeId: typeId(one) }));
    const id = btf.func(fn.name, btf.funcProto(typeId(fn.returns), params), "extern");
    this.prototypes.set(fn.name, id);
    return id;
  }

  #plainType(name: string): number {
    const { btf } = this.types;
    if (name === "void") return 0;
    if (name === "bool") return btf.intType("bool", 1, "bool");
    if (name === "int") return btf.intType("int", 4, "signed");
    return btf.intType(name, name === "u64" ? 8 : 4, "unsigned");
  }

  typeId(type: MemoryType): number {
    return this.types.idOf(type);
  }

  functionType(shape: FunctionShape): number {
    return this.types.functionId(shape);
  }

  // ---- data ----

  section(name: string): SectionBuilder {
    const known = this.sections.get(name) ?? new SectionBuilder(name);
    this.sections.set(name, known);
    return known;
  }

  place(variable: VariableDecl): number {
    return this.section(variable.section).place(variable);
  }

  text(text: string): { section: string; offset: number; size: number } {
    const bytes = Uint8Array.of(...utf8(text), 0);
    return { section: ".rodata", offset: this.section(".rodata").constant(bytes, 1), size: bytes.length };
  }

  table(type: MemoryType, bytes: Uint8Array): { section: string; offset: number } {
    return { section: ".rodata", offset: this.section(".rodata").constant(bytes, alignOf(type)) };
  }
}

function literalOf(type: ts.Type): Value | null {
  if (type.isNumberLiteral()) return constInt(BigInt(type.value), null);
  if (type.flags & ts.TypeFlags.BigIntLiteral) {
    const { negative, base10Value } = (type as ts.BigIntLiteralType).value;
    return constInt(BigInt(base10Value) * (negative ? -1n : 1n), null, true);
  }
  return type.isStringLiteral() ? { kind: "string", text: type.value } : null;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function isAssignment(kind: ts.SyntaxKind): boolean {
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
}

function isStep(operator: ts.SyntaxKind): boolean {
  return operator === ts.SyntaxKind.PlusPlusToken || operator === ts.SyntaxKind.MinusMinusToken;
}
