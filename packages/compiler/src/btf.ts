/**
 * @module
 * The compiler's types as BTF: integers by their names, `be` types as typedefs, so that user space can decode what it reads.
 */
import { BtfBuilder } from "@skep/object";
import type { FunctionShape } from "./lower/cx.ts";
import type { ArrayT, IntT, MemoryType, StructT } from "./types.ts";

const HOST_NAMES = { 8: "u8", 16: "u16", 32: "u32", 64: "u64" } as const;

export class ModuleTypes {
  readonly btf = new BtfBuilder();
  #known = new Map<MemoryType, number>();

  idOf(type: MemoryType): number {
    const known = this.#known.get(type);
    if (known !== undefined) return known;
    const id = this.#make(type);
    this.#known.set(type, id);
    return id;
  }

  #make(type: MemoryType): number {
    switch (type.kind) {
      case "int":
        return this.#int(type);
      case "bool":
        return this.btf.intType("bool", 1, "bool");
      case "bits":
        return this.#int(type.unit);
      case "array":
        return this.#array(type);
      default:
        return this.#struct(type);
    }
  }

  #int(type: IntT): number {
    const size = type.bits / 8;
    if (!type.bigEndian) return this.btf.intType(type.name, size, type.signed ? "signed" : "unsigned");
    const host = this.btf.intType(HOST_NAMES[type.bits], size, "unsigned");
    return this.btf.add({ kind: "typedef", name: type.name, typeId: host });
  }

  #array(type: ArrayT): number {
    return this.btf.array(this.idOf(type.element), type.length);
  }

  #struct(type: StructT): number {
    const members = type.fields.map((field) => {
      const typeId = this.idOf(field.type);
      const bits = field.type.kind === "bits" ? { bitSize: field.type.width } : {};
      return { name: field.name, typeId, bitOffset: field.offset * 8 + field.shift, ...bits };
    });
    const { name, size } = type;
    return type.kind === "struct" ? this.btf.struct(name, members, { size }) : this.btf.union(name, members, { size });
  }

  /** The FUNC of a function; the id is new each time. */
  functionId(shape: FunctionShape): number {
    const params = shape.params.map((param) => ({ name: param.name, typeId: this.#parameter(param.type) }));
    const returns = shape.returns ? this.idOf(shape.returns) : 0;
    return this.btf.func(shape.name, this.btf.funcProto(returns, params), shape.linkage);
  }

  #parameter(type: FunctionShape["params"][number]["type"]): number {
    if ("pointer" in type) return this.btf.pointer(type.pointer === "void" ? 0 : this.btf.forward(type.pointer));
    return "to" in type ? this.btf.pointer(this.idOf(type.to)) : this.idOf(type);
  }
}
