/**
 * @module
 * What the parameters of a function look like in JavaScript: integers as numbers and bigints, structs as objects, arrays as arrays.
 */

export interface IntShape {
  readonly kind: "int";
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
  /** Of the memory; a value is host order. */
  readonly bigEndian: boolean;
}

export interface FieldShape {
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
  /** Of a bit field: its place in the integer at `offset`. */
  readonly bits?: { readonly shift: number; readonly width: number };
}

export interface StructShape {
  readonly kind: "struct";
  readonly name: string;
  readonly size: number;
  readonly fields: readonly FieldShape[];
}

export type Shape =
  | IntShape
  | { readonly kind: "bool" }
  | StructShape
  | { readonly kind: "array"; readonly element: Shape; readonly length: number }
  /** Any number of elements: two parameters of the IR's function, pointer and count (i32). */
  | { readonly kind: "list"; readonly element: IntShape };

export function sizeOfShape(shape: Shape): number {
  switch (shape.kind) {
    case "int":
      return shape.bits / 8;
    case "bool":
      return 1;
    case "struct":
      return shape.size;
    case "array":
      return sizeOfShape(shape.element) * shape.length;
    case "list":
      return 0;
  }
}

/** The type as a `.d.ts` has it. */
export function declareShape(shape: Shape): string {
  switch (shape.kind) {
    case "int":
      return shape.bits === 64 ? "bigint" : "number";
    case "bool":
      return "boolean";
    case "struct":
      return `{ ${shape.fields.map((field) => `${field.name}: ${declareShape(field.shape)}`).join("; ")} }`;
    case "array":
      return `${declareShape(shape.element)}[]`;
    case "list":
      return `ArrayLike<${declareShape(shape.element)}>`;
  }
}
