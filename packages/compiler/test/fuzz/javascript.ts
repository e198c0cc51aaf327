/**
 * @module
 * The emitted JavaScript of a module's pure functions, held against what a program that calls them left in the packet.
 */
import { runInThisContext } from "node:vm";
import { emitJavaScript, sizeOfShape, type IrModule, type JavaScriptExport, type Shape } from "@skep/ir";
import { LAYOUT, type FuzzProgram } from "./generate.ts";
import type { Outcome } from "./outcome.ts";

type Value = number | bigint | boolean | Value[] | { [name: string]: Value };
type Functions = Readonly<Record<string, (...args: Value[]) => Value | undefined>>;

/** The module's exports, without a file. */
export function instantiate(code: string): Functions {
  const names = [...code.matchAll(/^export function (\w+)/gm)].map((match) => match[1] as string);
  const body = `"use strict";\n${code.replace(/^export /gm, "")}\nreturn { ${names.join(", ")} };`;
  // A script, not an import: of thousands a minute none may stay in memory.
  return runInThisContext(`(() => {${body}})()`) as Functions;
}

/** The bytes as a value of the shape: written apart from the compiler's own. */
export function decode(bytes: Uint8Array, shape: Shape, bits?: { shift: number; width: number }): Value {
  switch (shape.kind) {
    case "int": {
      const size = shape.bits / 8;
      const list = [...bytes.subarray(0, size)];
      if (!shape.bigEndian) list.reverse();
      let value = list.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      if (bits) value = (value >> BigInt(bits.shift)) & ((1n << BigInt(bits.width)) - 1n);
      else if (shape.signed) value = BigInt.asIntN(shape.bits, value);
      return shape.bits === 64 ? value : Number(value);
    }
    case "bool":
      return bytes[0] !== 0;
    case "array": {
      const size = sizeOfShape(shape.element);
      return Array.from({ length: shape.length }, (_, at) => decode(bytes.subarray(at * size), shape.element));
    }
    case "struct":
      return Object.fromEntries(
        shape.fields.map((field) => [field.name, decode(bytes.subarray(field.offset), field.shape, field.bits)]),
      );
    case "list":
      throw new Error("a list in memory");
  }
}

export class JavaScriptTwins {
  readonly #functions: Functions;
  readonly #exports: ReadonlyMap<string, JavaScriptExport>;
  readonly #offsets: ReadonlyMap<string, number>;

  constructor(module: IrModule, exports: readonly JavaScriptExport[]) {
    this.#functions = instantiate(emitJavaScript(module, exports).code);
    this.#exports = new Map(exports.map((one) => [one.name, one]));
    const io = this.#exports.get(LAYOUT)?.params[0]?.shape;
    if (io?.kind !== "struct") throw new Error("the layout of Io is not known");
    this.#offsets = new Map(io.fields.map((field) => [field.name, field.offset]));
  }

  /** What differs from what the kernel left, or null. */
  check(program: FuzzProgram, before: Uint8Array, outcome: Outcome): string | null {
    if (!program.twin) return null;
    const one = this.#exports.get(program.twin.function);
    const fn = this.#functions[program.twin.function];
    if (!one || !fn) return `there is no JavaScript of ${program.twin.function}`;
    const args = program.twin.args.map((field, at) => {
      const shape = one.params[at]?.shape as Shape;
      if (field === "flag") return ((before[this.#offset("flag")] ?? 0) & 1) !== 0;
      return decode(before.subarray(this.#offset(field)), shape);
    });
    const shown = print(args);
    const result = fn(...args);
    const got = BigInt.asUintN(64, BigInt(result as bigint));
    const wanted = new DataView(outcome.packet.buffer, outcome.packet.byteOffset).getBigUint64(
      this.#offset("o0"),
      true,
    );
    if (got !== wanted) return `${one.name}(${shown}) is ${got} in JavaScript, ${wanted} in the kernel`;
    const changed = program.twin.args.indexOf("inner");
    if (changed < 0) return null;
    const after = decode(outcome.packet.subarray(this.#offset("inner")), one.params[changed]?.shape as Shape);
    const [left, right] = [print(args[changed] as Value), print(after)];
    return left === right ? null : `${one.name}(${shown}) leaves ${left} in JavaScript, ${right} in the kernel`;
  }

  #offset(field: string): number {
    const offset = this.#offsets.get(field);
    if (offset === undefined) throw new Error(`Io has no ${field}`);
    return offset;
  }
}

function print(value: Value): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `${one}n` : one));
}
