/**
 * @module
 * Codecs as generated JavaScript: one function per type, with every offset a constant and every object a literal, so that the engine
 * compiles reads to loads. Names come from BTF and are always quoted.
 */
import type { Member, Shape } from "./shape.ts";
import { bitsOf, membersOf, namesOf, type Read, type Write } from "./interpret.ts";
import * as p from "./primitives.ts";

/** Longer arrays are loops. */
const unrolled = 16;

const quote = (text: string): string => JSON.stringify(text);

/** Numbers the loop variables, so that nested loops do not share one. */
class Names {
  #next = 0;
  fresh(): string {
    return `i${this.#next++}`;
  }
}

const getters = {
  1: ["getUint8", "getInt8"],
  2: ["getUint16", "getInt16"],
  4: ["getUint32", "getInt32"],
  8: ["getBigUint64", "getBigInt64"],
} as const;

function readExpression(shape: Shape, at: string, names: Names): string {
  switch (shape.kind) {
    case "int": {
      const order = shape.size === 1 ? "" : `, ${!shape.bigEndian}`;
      return `v.${getters[shape.size][shape.signed ? 1 : 0]}(${at}${order})`;
    }
    case "bool":
      return `v.getUint8(${at}) !== 0`;
    case "float":
      return `v.getFloat${shape.size * 8}(${at}, true)`;
    case "text":
      return `p.readText(v, ${at}, ${shape.size})`;
    case "bytes":
      return `p.readBytes(v, ${at}, ${shape.size})`;
    case "owned":
      return "null";
    case "array": {
      const { element, length } = shape;
      if (length <= unrolled) {
        const each = Array.from({ length }, (_, index) =>
          readExpression(element, `${at} + ${index * element.size}`, names),
        );
        return `[${each.join(", ")}]`;
      }
      const i = names.fresh();
      const read = readExpression(element, `${at} + ${i} * ${element.size}`, names);
      return `(() => { const a = []; for (let ${i} = 0; ${i} < ${length}; ${i}++) a.push(${read}); return a; })()`;
    }
    case "struct":
    case "union":
      return `({ ${fields(shape, at, names).join(", ")} })`;
  }
}

function fields(shape: Shape, at: string, names: Names): string[] {
  return membersOf(shape).flatMap((member) => {
    const place = `${at} + ${member.offset}`;
    if (member.name === "") return fields(member.shape, place, names);
    const value = member.bits
      ? `p.readBits(v, ${place}, ${JSON.stringify(bitsOf(member.shape, member.bits))})`
      : readExpression(member.shape, place, names);
    // A computed name defines a property even when it is __proto__.
    return [`[${quote(member.name)}]: ${value}`];
  });
}

// ---- writing ----

/** Where a value is written from and to, as source text. */
interface Place {
  readonly value: string;
  readonly at: string;
  readonly path: string;
}

/** Paths are source text that only the failing branch evaluates. */
function writeStatement(shape: Shape, place: Place, names: Names): string {
  const { at, path } = place;
  const value = names.fresh();
  const body = writeBody(shape, { value, at, path }, names);
  return `{ const ${value} = ${place.value}; ${body} }`;
}

function writeBody(shape: Shape, place: Place, names: Names): string {
  const { value, at, path } = place;
  switch (shape.kind) {
    case "int":
      return intStatement(shape, place);
    case "bool":
      return `v.setUint8(${at}, ${value} === true ? 1 : ${value} === false ? 0 : p.boolean(${value}, ${path}));`;
    case "float":
      return `v.setFloat${shape.size * 8}(${at}, typeof ${value} === "number" ? ${value} : p.float(${value}, ${path}), true);`;
    case "text":
      return `p.writeText(v, ${at}, ${shape.size}, ${value}, ${path});`;
    case "bytes":
      return `p.writeBytes(v, ${at}, ${shape.size}, ${value}, ${path});`;
    case "owned":
      return `v.setBigInt64(${at}, 0n, true);`;
    case "array":
      return arrayStatement(shape, place, names);
    case "struct":
    case "union": {
      const check = `if (typeof ${value} !== "object" || ${value} === null) p.object(${value}, ${path});`;
      return `${check} ${membersStatement(shape, place, names)}`;
    }
  }
}

function arrayStatement(shape: Extract<Shape, { kind: "array" }>, place: Place, names: Names): string {
  const { value, at, path } = place;
  const { element, length } = shape;
  const i = names.fresh();
  const check = `if (typeof ${value} !== "object" || ${value} === null || ${value}.length !== ${length}) p.items(${value}, ${path}, ${length});`;
  const inner = { value: `${value}[${i}]`, at: `${at} + ${i} * ${element.size}`, path: `${path} + "[" + ${i} + "]"` };
  return `${check} for (let ${i} = 0; ${i} < ${length}; ${i}++) ${writeStatement(element, inner, names)}`;
}

/** Expressions that are equal to the number where it is an integer that fits. */
const fits = {
  1: ["$ & 255", "$ << 24 >> 24"],
  2: ["$ & 65535", "$ << 16 >> 16"],
  4: ["$ >>> 0", "$ | 0"],
} as const;

function intStatement(shape: Extract<Shape, { kind: "int" }>, { value, at, path }: Place): string {
  const { size, signed, bigEndian } = shape;
  if (size === 8) {
    const wrapped = `BigInt.as${signed ? "Int" : "Uint"}N(64, ${value})`;
    const checked = `typeof ${value} === "bigint" && ${wrapped} === ${value} ? ${value} : p.wide(${value}, ${path}, ${signed})`;
    return `v.setBigInt64(${at}, ${checked}, ${!bigEndian});`;
  }
  const wrapped = fits[size][signed ? 1 : 0].replace("$", value);
  const slow = `p.narrow(${value}, ${path}, [${p.rangeOf(size, signed).join(", ")}])`;
  const order = size === 1 ? "" : `, ${!bigEndian}`;
  return `v.setUint${size * 8}(${at}, typeof ${value} === "number" && (${wrapped}) === ${value} ? ${value} : ${slow}${order});`;
}

function memberStatement(member: Member, place: Place, names: Names): string {
  const at = `${place.at} + ${member.offset}`;
  if (member.name === "") return membersStatement(member.shape, { ...place, at }, names);
  const path = `${place.path} + ${quote(`.${member.name}`)}`;
  const field = `${place.value}[${quote(member.name)}]`;
  const value = names.fresh();
  const body = member.bits
    ? `p.writeBits(v, ${at}, ${JSON.stringify(bitsOf(member.shape, member.bits))}, ${value}, ${path});`
    : writeBody(member.shape, { value, at, path }, names);
  return `{ const ${value} = ${field}; if (${value} === undefined) p.given(${value}, ${path}); ${body} }`;
}

function membersStatement(shape: Shape, place: Place, names: Names): string {
  const list = membersOf(shape);
  if (shape.kind !== "union") return list.map((member) => memberStatement(member, place, names)).join(" ");
  const cases = list.map((member) => {
    const isGiven = namesOf(member).map((name) => `${place.value}[${quote(name)}] !== undefined`);
    return `if (${isGiven.join(" || ") || "false"}) { ${memberStatement(member, place, names)} }`;
  });
  const wanted = quote(`: one of ${list.flatMap(namesOf).join(", ")} is wanted`);
  return [...cases, `{ throw new RangeError(${place.path} + ${wanted}); }`].join(" else ");
}

/** Reads what lies at a distance from where its struct begins; null where the environment forbids generated code. */
export function generateAt(shape: Shape, distance: number): Read | null {
  return compileSource(`return (v, o) => ${readExpression(shape, `o + ${distance}`, new Names())};`) as Read | null;
}

/** Null where the environment forbids generated code (a content security policy). */
export function generate(shape: Shape): { readonly read: Read; readonly write: Write } | null {
  const readSource = `return (v, o) => ${readExpression(shape, "o", new Names())};`;
  const writeSource = `return (v, o, x, path) => { ${writeStatement(shape, { value: "x", at: "o", path: "path" }, new Names())} };`;
  const read = compileSource(readSource);
  const write = compileSource(writeSource);
  return read && write ? { read: read as Read, write: write as Write } : null;
}

function compileSource(source: string): unknown {
  try {
    // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
    return new Function("p", `"use strict"; ${source}`)(p);
  } catch (error) {
    if (error instanceof EvalError) return null;
    throw error;
  }
}
