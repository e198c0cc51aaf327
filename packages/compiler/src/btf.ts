/**
 * @module
 * The compiler's types as BTF: integers by their names, `be` types as typedefs, so that user space can decode what it reads.
 */
import { BtfBuilder, type MemberInput } from "@skep/object";
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
      case "kptr": {
        const target = type.kernel ? type.kernel.typeId : type.to ? this.idOf(type.to) : 0;
        return this.btf.pointer(this.btf.add({ kind: "type_tag", name: type.tag, typeId: target }));
      }
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
    const id = this.#composite(type, members);
    type.fields.forEach(({ type: inner }, componentIndex) => {
      if ((inner.kind !== "struct" && inner.kind !== "union") || !inner.graph) return;
      const { element, node } = inner.graph;
      this.idOf(element);
      this.btf.add({ kind: "decl_tag", name: `contains:${element.name}:${node.name}`, typeId: id, componentIndex });
    });
    return id;
  }

  #composite(type: StructT, members: readonly MemberInput[]): number {
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
    return "kind" in type ? this.idOf(type) : this.btf.pointer(this.idOf(type.to));
  }
}
