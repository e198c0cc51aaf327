/**
 * @module
 * What the JavaScript module exports: a function that takes and gives JavaScript's values, around one that takes the IR's.
 */
import type { JavaScriptExport } from "./emit-javascript.ts";
import type { FunctionContext } from "./function-writer.ts";
import { identifier, RESERVED } from "./function-writer.ts";
import { sizeOfShape, type FieldShape, type IntShape, type Shape } from "./shape.ts";

type Field = Pick<FieldShape, "offset" | "bits"> & { readonly shape: Shape };

export class WrapperWriter {
  readonly #export: JavaScriptExport;
  readonly #context: FunctionContext;
  readonly #before: string[] = [];
  readonly #after: string[] = [];

  constructor(one: JavaScriptExport, context: FunctionContext) {
    this.#export = one;
    this.#context = context;
  }

  write(): string {
    const { name, function: inner, params, returns } = this.#export;
    const names = params.map((param) => parameterName(param.name));
    const args = params.flatMap((param, at) => this.#argument(names[at] as string, param.shape));
    const call = `${this.#context.nameOf(inner)}(${args.join(", ")})`;
    const head = `export function ${name}(${names.join(", ")}) {\n`;
    if (this.#before.length === 0)
      return `${head}  ${returns === null ? call : `return ${fromIr(call, returns)}`};\n}\n`;
    const lines = [
      "const $start = top;",
      ...this.#before,
      returns === null ? `${call};` : `const $result = ${fromIr(call, returns)};`,
      ...this.#after,
      "top = $start;",
      ...(returns === null ? [] : ["return $result;"]),
    ];
    return `${head}${lines.map((line) => `  ${line}\n`).join("")}}\n`;
  }

  /** The IR's arguments for a value. */
  #argument(name: string, shape: Shape): string[] {
    switch (shape.kind) {
      case "int":
        return [toIr(name, shape)];
      case "bool":
        return [`${name} ? 1 : 0`];
      case "list":
        return this.#list(name, shape.element);
      default: {
        this.#context.usesMemory = true;
        const at = `${name}$`;
        this.#before.push(
          `const ${at} = enter(${(sizeOfShape(shape) + 7) & ~7});`,
          `zero(${at}, ${sizeOfShape(shape)});`,
        );
        this.#put(name, { offset: 0, shape }, at);
        this.#take(name, { offset: 0, shape }, at);
        return [at];
      }
    }
  }

  #list(name: string, element: IntShape): string[] {
    this.#context.usesMemory = true;
    const at = `${name}$`;
    const size = element.bits / 8;
    const place = `${at} + ${size} * $index`;
    this.#before.push(
      `const ${at} = enter((${size} * ${name}.length + 7) & ~7);`,
      `for (let $index = 0; $index < ${name}.length; $index++) ${store(place, `${name}[$index]`, element)};`,
    );
    return [at, `${name}.length`];
  }

  /** Lines that write a value into memory. */
  #put(value: string, field: Field, at: string): void {
    const { shape, offset } = field;
    const place = offset === 0 ? at : `${at} + ${offset}`;
    switch (shape.kind) {
      case "int":
        if (field.bits) this.#before.push(`${storeBits(place, value, shape, field.bits)};`);
        else this.#before.push(`${store(place, value, shape)};`);
        return;
      case "bool":
        this.#before.push(`bytes[${place}] = ${value} ? 1 : 0;`);
        return;
      case "struct":
        for (const inner of shape.fields)
          this.#put(`${value}.${inner.name}`, { ...inner, offset: offset + inner.offset }, at);
        return;
      case "array":
        for (let index = 0; index < shape.length; index++) {
          const inner = offset + index * sizeOfShape(shape.element);
          this.#put(`${value}[${index}]`, { offset: inner, shape: shape.element }, at);
        }
        return;
      case "list":
        throw new Error("a list in memory");
    }
  }

  /** Lines that bring back what the function has changed. */
  #take(value: string, field: Field, at: string): void {
    const { shape, offset } = field;
    const place = offset === 0 ? at : `${at} + ${offset}`;
    switch (shape.kind) {
      case "int":
        this.#after.push(`${value} = ${field.bits ? loadBits(place, shape, field.bits) : load(place, shape)};`);
        return;
      case "bool":
        this.#after.push(`${value} = bytes[${place}] !== 0;`);
        return;
      case "struct":
        for (const inner of shape.fields)
          this.#take(`${value}.${inner.name}`, { ...inner, offset: offset + inner.offset }, at);
        return;
      case "array":
        for (let index = 0; index < shape.length; index++) {
          const inner = offset + index * sizeOfShape(shape.element);
          this.#take(`${value}[${index}]`, { offset: inner, shape: shape.element }, at);
        }
        return;
      case "list":
        throw new Error("a list in memory");
    }
  }
}

/** Not the name of something that the module itself has. */
function parameterName(name: string): string {
  const clean = identifier(name);
  return RESERVED.has(clean) ? `${clean}_` : clean;
}

/** A JavaScript value as the IR has it, cut to its width. */
function toIr(value: string, shape: IntShape): string {
  if (shape.bits === 64) return `BigInt.asUintN(64, ${value})`;
  if (shape.bits === 32) return `${value} >>> 0`;
  const shift = 32 - shape.bits;
  return shape.signed
    ? `((${value} << ${shift}) >> ${shift}) >>> 0`
    : `${value} & ${shape.bits === 8 ? "0xff" : "0xffff"}`;
}

/** The IR's value as JavaScript has it. */
function fromIr(value: string, shape: Shape): string {
  if (shape.kind === "bool") return `${value} !== 0`;
  if (shape.kind !== "int" || !shape.signed) return value;
  return shape.bits === 64 ? `BigInt.asIntN(64, ${value})` : `${value} | 0`;
}

const accessor = ({ bits, signed }: IntShape): string => `${bits === 64 ? "Big" : ""}${signed ? "Int" : "Uint"}${bits}`;
const order = ({ bits, bigEndian }: IntShape): string => (bits > 8 && !bigEndian ? ", true" : "");

function store(place: string, value: string, shape: IntShape): string {
  return `memory.set${accessor(shape)}(${place}, ${value}${order(shape)})`;
}

function load(place: string, shape: IntShape): string {
  return `memory.get${accessor(shape)}(${place}${order(shape)})`;
}

function storeBits(
  place: string,
  value: string,
  shape: IntShape,
  { shift, width }: { shift: number; width: number },
): string {
  const mask = (1n << BigInt(width)) - 1n;
  if (shape.bits === 64) return store(place, `${load(place, shape)} | ((${value} & ${mask}n) << ${shift}n)`, shape);
  return store(place, `${load(place, shape)} | ((${value} & ${mask}) << ${shift})`, shape);
}

function loadBits(place: string, shape: IntShape, { shift, width }: { shift: number; width: number }): string {
  const mask = (1n << BigInt(width)) - 1n;
  if (shape.bits === 64) return `(${load(place, shape)} >> ${shift}n) & ${mask}n`;
  return `((${load(place, shape)} >>> ${shift}) & ${mask}) >>> 0`;
}
