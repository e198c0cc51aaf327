import { Bytes } from "./bytes.ts";
import { op, valueType } from "./opcodes.ts";
import type { ValueType } from "./opcodes.ts";

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** The body of a function: locals behind its parameters, then instructions. */
export class Body {
  readonly code = new Bytes();
  private readonly locals: ValueType[] = [];
  private readonly params: number;
  /** Open blocks, loops and ifs. */
  depth = 0;

  constructor(params: number) {
    this.params = params;
  }

  /** A new local, zero at first. */
  local(type: ValueType): number {
    this.locals.push(type);
    return this.params + this.locals.length - 1;
  }

  op(...bytes: readonly number[]): this {
    for (const byte of bytes) this.code.byte(byte);
    return this;
  }
  get(local: number): this {
    this.code.byte(op.localGet);
    this.code.u32(local);
    return this;
  }
  set(local: number): this {
    this.code.byte(op.localSet);
    this.code.u32(local);
    return this;
  }
  tee(local: number): this {
    this.code.byte(op.localTee);
    this.code.u32(local);
    return this;
  }
  i32(value: number): this {
    this.code.byte(op.i32Const);
    this.code.s32(value);
    return this;
  }
  i64(low: number, high: number = low >> 31): this {
    this.code.byte(op.i64Const);
    this.code.s64(low, high);
    return this;
  }
  /** A load or store; alignment is only a hint, and 1 says nothing. */
  memory(opcode: number, offset = 0): this {
    this.code.byte(opcode);
    this.code.byte(0);
    this.code.u32(offset);
    return this;
  }
  call(index: number): this {
    this.code.byte(op.call);
    this.code.u32(index);
    return this;
  }
  callIndirect(type: number): this {
    this.code.byte(op.callIndirect);
    this.code.u32(type);
    this.code.byte(0);
    return this;
  }
  /** memory.copy: destination, source, size. */
  copy(): this {
    return this.op(0xfc, 10, 0, 0);
  }
  block(): this {
    this.depth++;
    return this.op(op.block, valueType.empty);
  }
  loop(): this {
    this.depth++;
    return this.op(op.loop, valueType.empty);
  }
  if(result: number = valueType.empty): this {
    this.depth++;
    return this.op(op.if, result);
  }
  else(): this {
    return this.op(op.else);
  }
  end(): this {
    this.depth--;
    return this.op(op.end);
  }
  /** To the block that was opened when `depth` was `level` (and raised it to level + 1). */
  br(level: number): this {
    this.code.byte(op.br);
    this.code.u32(this.depth - 1 - level);
    return this;
  }
  brIf(level: number): this {
    this.code.byte(op.brIf);
    this.code.u32(this.depth - 1 - level);
    return this;
  }
  brTable(levels: readonly number[], otherwise: number): this {
    this.code.byte(op.brTable);
    this.code.u32(levels.length);
    for (const level of [...levels, otherwise]) this.code.u32(this.depth - 1 - level);
    return this;
  }

  /** With the size before it, as the code section has it. */
  encode(out: Bytes): void {
    const head = new Bytes();
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    head.u32(runs.length);
    for (const { type, count } of runs) {
      head.u32(count);
      head.byte(type);
    }
    out.u32(head.length + this.code.length + 1);
    out.bytes(head.view());
    out.bytes(this.code.view());
    out.byte(op.end);
  }
}

/** One module: imports first, then its own functions, in the order of their indexes. */
export class ModuleBuilder {
  private readonly types: FunctionType[] = [];
  private readonly typeIndexes = new Map<string, number>();
  private readonly imports: { readonly name: string; readonly type: number }[] = [];
  private readonly importIndexes = new Map<string, number>();
  private readonly functions: { readonly type: number; body: Body | null }[] = [];
  private readonly exports: { readonly name: string; readonly index: number }[] = [];
  private sealed = false;

  type(type: FunctionType): number {
    const text = `${type.params.join()}>${type.results.join()}`;
    const known = this.typeIndexes.get(text);
    if (known !== undefined) return known;
    this.types.push(type);
    this.typeIndexes.set(text, this.types.length - 1);
    return this.types.length - 1;
  }

  /** Every import is asked for before the first function is declared. */
  importFunction(name: string, type: FunctionType): number {
    const known = this.importIndexes.get(name);
    if (known !== undefined) return known;
    if (this.sealed) throw new Error(`import ${name} behind a function`);
    this.imports.push({ name, type: this.type(type) });
    this.importIndexes.set(name, this.imports.length - 1);
    return this.imports.length - 1;
  }

  get importNames(): readonly string[] {
    return this.imports.map(({ name }) => name);
  }

  declare(type: FunctionType): number {
    this.sealed = true;
    this.functions.push({ type: this.type(type), body: null });
    return this.imports.length + this.functions.length - 1;
  }

  define(index: number, body: Body): void {
    const declared = this.functions[index - this.imports.length];
    if (declared === undefined) throw new Error(`function ${index} was not declared`);
    declared.body = body;
  }

  export(name: string, index: number): void {
    this.exports.push({ name, index });
  }

  /** `pages`: the memory that is imported, minimum and maximum. */
  encode(pages: { readonly minimum: number; readonly maximum: number }): Uint8Array {
    const out = new Bytes();
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, this.types, (into, { params, results }) => {
      into.byte(0x60);
      into.u32(params.length);
      into.bytes(params);
      into.u32(results.length);
      into.bytes(results);
    });
    this.encodeImports(out, pages);
    section(out, 3, this.functions, (into, { type }) => into.u32(type));
    section(out, 7, this.exports, (into, { name, index }) => {
      into.text(name);
      into.byte(0);
      into.u32(index);
    });
    section(out, 10, this.functions, (into, { body }) => {
      if (body === null) throw new Error("a function without a body");
      body.encode(into);
    });
    return out.done();
  }

  private encodeImports(out: Bytes, pages: { readonly minimum: number; readonly maximum: number }): void {
    const rows = [null, undefined, ...this.imports];
    section(out, 2, rows, (into, row) => {
      into.text("e");
      if (row === null) {
        into.text("memory");
        into.bytes([2, 1]);
        into.u32(pages.minimum);
        into.u32(pages.maximum);
      } else if (row === undefined) {
        into.text("table");
        into.bytes([1, 0x70, 0, 1]);
      } else {
        into.text(row.name);
        into.byte(0);
        into.u32(row.type);
      }
    });
  }
}

function section<T>(out: Bytes, id: number, rows: readonly T[], write: (into: Bytes, row: T) => void): void {
  const content = new Bytes();
  content.u32(rows.length);
  for (const row of rows) write(content, row);
  out.byte(id);
  out.u32(content.length);
  out.bytes(content.view());
}
