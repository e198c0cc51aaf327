/**
 * @module
 * Where the fields of a struct lie, as C has them for a 64-bit target: the same rules for the codecs here and for the compiler.
 */

export interface FieldShape {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  /** Width of a bit field. */
  readonly bits?: number;
}

export interface FieldPlace {
  /** Byte offset of the field, or of the unit that holds the bit field. */
  readonly offset: number;
  /** First bit in the unit; 0 unless a bit field. */
  readonly shift: number;
}

export interface Layout {
  readonly size: number;
  readonly align: number;
  /** One per field, in order. */
  readonly places: readonly FieldPlace[];
}

export interface LayoutOptions {
  readonly packed?: boolean;
  readonly align?: number;
}

const roundUp = (value: number, align: number): number => Math.ceil(value / align) * align;

/** Bit fields fill units of their type from the low end and never cross one (the System V ABI for bit fields that are not packed). */
export function layoutStruct(fields: readonly FieldShape[], options: LayoutOptions = {}): Layout {
  let bit = 0;
  let align = 1;
  const places: FieldPlace[] = [];
  for (const field of fields) {
    const fieldAlign = options.packed ? 1 : field.align;
    align = Math.max(align, fieldAlign);
    if (field.bits === undefined) {
      const offset = roundUp(Math.ceil(bit / 8), fieldAlign);
      places.push({ offset, shift: 0 });
      bit = (offset + field.size) * 8;
      continue;
    }
    const unit = field.size * 8;
    if (Math.floor(bit / unit) !== Math.floor((bit + field.bits - 1) / unit)) bit = roundUp(bit, unit);
    const offset = Math.floor(bit / unit) * field.size;
    places.push({ offset, shift: bit - offset * 8 });
    bit += field.bits;
  }
  const wanted = Math.max(align, options.align ?? 1);
  return { size: roundUp(Math.ceil(bit / 8), wanted), align: wanted, places };
}

export function layoutUnion(fields: readonly FieldShape[]): Layout {
  const align = Math.max(1, ...fields.map((field) => field.align));
  const size = Math.max(0, ...fields.map((field) => field.size));
  return { size: roundUp(size, align), align, places: fields.map(() => ({ offset: 0, shift: 0 })) };
}
