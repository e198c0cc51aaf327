/**
 * @module
 * CEL over a flow, which is called `_flow`. Names, fields and types are checked when the filter is made; what fails for one flow then
 * (an index that is not there) makes that flow not match.
 */
import type { DescEnum, DescMessage, Message } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { functions, type Macro, macros, truth } from "./functions.ts";
import { celError } from "./lexer.ts";
import { calculate, compare, contains, equal, EvaluationError, indexOf } from "./operations.ts";
import { type Literal, type Node, parseCel } from "./parser.ts";
import { comparable, dyn, fieldType, isSet, readField, type Type, typeName, type Value } from "./values.ts";

/** Values of the names in scope; macros add theirs. */
type Scope = ReadonlyMap<string, Value>;
type Names = ReadonlyMap<string, Type>;

interface Compiled {
  readonly type: Type;
  run(scope: Scope): Value;
}

const bool: Type = { kind: "bool" };
const int: Type = { kind: "int" };

function literalType(value: Literal): Type {
  if (value === null) return { kind: "null" };
  if (value instanceof Uint8Array) return { kind: "bytes" };
  if (typeof value === "bigint") return int;
  if (typeof value === "boolean") return bool;
  return { kind: typeof value === "number" ? "double" : "string" };
}

const enums = new Map<string, DescEnum>(flow.file_flow_flow.enums.map((each) => [each.name, each]));

/** `Verdict.DROPPED`, `flow.Verdict.DROPPED`, or the bare name of a value that only one enum has. */
function enumConstant(path: readonly string[]): bigint | null {
  const bare = path[0] === "flow" ? path.slice(1) : path;
  const [name = "", value = ""] = bare;
  if (bare.length !== 2) return null;
  const found = enums.get(name)?.values.find((each) => each.name === value);
  return found ? BigInt(found.number) : null;
}

/** The names of `a.b.c`; null where something else is in it. */
function pathOf(node: Node): string[] | null {
  if (node.kind === "name") return [node.name];
  if (node.kind !== "field") return null;
  const target = pathOf(node.target);
  return target && [...target, node.name];
}

function wantType(node: Node, compiled: Compiled, kinds: readonly Type["kind"][]): void {
  const { kind } = compiled.type;
  if (kind === "dyn" || kinds.includes(kind)) return;
  throw celError(`${kinds.join(" or ")} is needed here, and this is ${typeName(compiled.type)}`, node.at);
}

function fieldOf(desc: DescMessage, name: string, at: number): DescMessage["fields"][number] {
  const field = desc.fields.find((each) => each.name === name);
  if (!field) throw celError(`${desc.typeName} has no field ${name}`, at);
  return field;
}

/** Either side may decide alone, whatever the other one's error is (cel-spec, logical operators). */
function logical(decides: boolean, left: Compiled, right: Compiled): Compiled {
  const side = (operand: Compiled, scope: Scope): boolean | EvaluationError => {
    try {
      return truth(operand.run(scope));
    } catch (error) {
      if (error instanceof EvaluationError) return error;
      throw error;
    }
  };
  return {
    type: bool,
    run(scope) {
      const first = side(left, scope);
      if (first === decides) return decides;
      const second = side(right, scope);
      if (second === decides) return decides;
      if (first instanceof EvaluationError) throw first;
      if (second instanceof EvaluationError) throw second;
      return !decides;
    },
  };
}

class Compiler {
  compile(node: Node, names: Names): Compiled {
    switch (node.kind) {
      case "value":
        return { type: literalType(node.value), run: () => node.value };
      case "name":
        return this.#name(node.name, names, node.at);
      case "field":
        return this.#field(node, names);
      case "index":
        return this.#index(node, names);
      case "call":
        return this.#call(node, names);
      case "unary":
        return this.#unary(node, names);
      case "binary":
        return this.#binary(node, names);
      case "choice":
        return this.#choice(node, names);
      case "list": {
        const items = node.items.map((item) => this.compile(item, names));
        return { type: { kind: "list", of: dyn }, run: (scope) => items.map((item) => item.run(scope)) };
      }
      case "map": {
        const entries = node.entries.map(
          ([key, value]) => [this.compile(key, names), this.compile(value, names)] as const,
        );
        const run = (scope: Scope): Value => new Map(entries.map(([key, value]) => [key.run(scope), value.run(scope)]));
        return { type: { kind: "map" }, run };
      }
    }
  }

  #name(name: string, names: Names, at: number): Compiled {
    const type = names.get(name);
    if (!type) throw celError(`there is no ${name} here: a flow is called _flow`, at);
    return { type, run: (scope) => scope.get(name) ?? null };
  }

  #field(node: Node & { readonly kind: "field" }, names: Names): Compiled {
    const path = pathOf(node);
    const constant = path && !names.has(path[0] ?? "") ? enumConstant(path) : null;
    if (constant !== null) return { type: int, run: () => constant };
    const target = this.compile(node.target, names);
    if (target.type.kind !== "message") {
      if (target.type.kind === "map" || target.type.kind === "dyn") {
        return { type: dyn, run: (scope) => dynamicField(target.run(scope), node.name) };
      }
      throw celError(`${typeName(target.type)} has no fields`, node.at);
    }
    const field = fieldOf(target.type.desc, node.name, node.at);
    const type = fieldType(field);
    return { type, run: (scope) => readField(target.run(scope) as Message, field, type) };
  }

  #index(node: Node & { readonly kind: "index" }, names: Names): Compiled {
    const target = this.compile(node.target, names);
    const index = this.compile(node.index, names);
    wantType(node, target, ["list", "map"]);
    const type = target.type.kind === "list" ? target.type.of : dyn;
    return { type, run: (scope) => indexOf(target.run(scope), index.run(scope)) };
  }

  #unary(node: Node & { readonly kind: "unary" }, names: Names): Compiled {
    const operand = this.compile(node.operand, names);
    if (node.operator === "!") {
      wantType(node, operand, ["bool"]);
      return { type: bool, run: (scope) => !truth(operand.run(scope)) };
    }
    wantType(node, operand, ["int", "double"]);
    const zero = operand.type.kind === "double" ? 0 : 0n;
    return { type: operand.type, run: (scope) => calculate("-", zero, operand.run(scope)) };
  }

  #choice(node: Node & { readonly kind: "choice" }, names: Names): Compiled {
    const [test, yes, no] = [node.test, node.yes, node.no].map((each) => this.compile(each, names));
    if (!test || !yes || !no) throw new Error("unreachable: three nodes are compiled");
    wantType(node.test, test, ["bool"]);
    return {
      type: yes.type.kind === no.type.kind ? yes.type : dyn,
      run: (scope) => (truth(test.run(scope)) ? yes : no).run(scope),
    };
  }

  #binary(node: Node & { readonly kind: "binary" }, names: Names): Compiled {
    const left = this.compile(node.left, names);
    const right = this.compile(node.right, names);
    const { operator } = node;
    switch (operator) {
      case "&&":
      case "||":
        wantType(node.left, left, ["bool"]);
        wantType(node.right, right, ["bool"]);
        return logical(operator === "||", left, right);
      case "in":
        wantType(node.right, right, ["list", "map"]);
        return { type: bool, run: (scope) => contains(right.run(scope), left.run(scope)) };
      case "==":
      case "!=":
        this.#wantComparable(node, left, right);
        return { type: bool, run: (scope) => equal(left.run(scope), right.run(scope)) === (operator === "==") };
      case "<":
      case "<=":
      case ">":
      case ">=":
        this.#wantComparable(node, left, right);
        return { type: bool, run: (scope) => ordered(operator, compare(left.run(scope), right.run(scope))) };
      default:
        return {
          // Times do not stay what they are: the difference of two timestamps is a duration.
          type: left.type.kind === right.type.kind && left.type.kind !== "timestamp" ? left.type : dyn,
          run: (scope) => calculate(operator, left.run(scope), right.run(scope)),
        };
    }
  }

  #wantComparable(node: Node, left: Compiled, right: Compiled): void {
    // Wrappers and messages may be null.
    if (left.type.kind === "null" || right.type.kind === "null") return;
    if (comparable(left.type, right.type)) return;
    throw celError(`${typeName(left.type)} and ${typeName(right.type)} cannot be compared`, node.at);
  }

  #call(node: Node & { readonly kind: "call" }, names: Names): Compiled {
    if (node.target === null && node.name === "has") return this.#has(node, names);
    const macro = node.target && macros[node.name];
    if (node.target && macro && node.args.length === 2)
      return this.#macro({ ...node, target: node.target }, macro, names);
    const operands = [...(node.target ? [node.target] : []), ...node.args].map((each) => this.compile(each, names));
    const known = functions[node.name];
    const right = known?.method === undefined || known.method === (node.target !== null);
    if (!known || !right || operands.length !== known.takes.length) {
      throw celError(
        `there is no function ${node.name} of ${operands.length} ${operands.length === 1 ? "value" : "values"}`,
        node.at,
      );
    }
    operands.forEach((operand, at) => {
      const kinds = known.takes[at];
      if (kinds) wantType(node.args[at - (node.target ? 1 : 0)] ?? node, operand, kinds);
    });
    const prepared = known.prepare?.(node);
    const run = prepared ?? known.run;
    return { type: known.gives, run: (scope) => run(operands.map((operand) => operand.run(scope))) };
  }

  #has(node: Node & { readonly kind: "call" }, names: Names): Compiled {
    const [asked] = node.args;
    if (node.args.length !== 1 || asked?.kind !== "field")
      throw celError("has() asks for a field: has(_flow.l4)", node.at);
    const target = this.compile(asked.target, names);
    if (target.type.kind !== "message") throw celError("has() asks for a field of a message", node.at);
    const field = fieldOf(target.type.desc, asked.name, asked.at);
    return { type: bool, run: (scope) => isSet(target.run(scope) as Message, field) };
  }

  #macro(node: Node & { readonly kind: "call"; readonly target: Node }, macro: Macro, names: Names): Compiled {
    const list = this.compile(node.target, names);
    wantType(node.target, list, ["list"]);
    const [variable, body] = node.args;
    if (variable?.kind !== "name" || !body) throw celError(`${node.name} takes a name and an expression`, node.at);
    const of = list.type.kind === "list" ? list.type.of : dyn;
    const inner = this.compile(body, new Map([...names, [variable.name, of]]));
    if (node.name !== "map") wantType(body, inner, ["bool"]);
    const type =
      node.name === "map" ? ({ kind: "list", of: inner.type } as const) : node.name === "filter" ? list.type : bool;
    return {
      type,
      run(scope) {
        const items = list.run(scope);
        if (!Array.isArray(items)) throw new EvaluationError(`${node.name} needs a list`);
        return macro(items as readonly Value[], (item) => inner.run(new Map([...scope, [variable.name, item]])));
      },
    };
  }
}

function dynamicField(value: Value, name: string): Value {
  if (value instanceof Map) return indexOf(value, name);
  throw new EvaluationError(`there is no field ${name}`);
}

function ordered(operator: string, order: number): boolean {
  switch (operator) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    default:
      return order >= 0;
  }
}

/** A filter from an expression that gives a bool. Throws FilterError. */
export function compileCel(expression: string): (message: flow.Flow) => boolean {
  const node = parseCel(expression);
  const compiled = new Compiler().compile(node, new Map([["_flow", { kind: "message", desc: flow.FlowSchema }]]));
  wantType(node, compiled, ["bool"]);
  return (message) => {
    try {
      return compiled.run(new Map([["_flow", message]])) === true;
    } catch (error) {
      if (error instanceof EvaluationError) return false;
      throw error;
    }
  };
}
