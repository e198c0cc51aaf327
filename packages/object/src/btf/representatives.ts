import { ObjectError } from "../errors.ts";
import type { BtfType } from "./types.ts";

/** Where each type leads: itself when it stays. Ids chain, as a forward declaration may lead to a struct that leads on. */
export class Representatives {
  readonly types: readonly (BtfType | null)[];
  private readonly next: Int32Array;
  private readonly shapes: Int32Array;
  private readonly shapeNumbers = new Map<string, number>();

  constructor(types: readonly BtfType[]) {
    this.types = [null, ...types];
    this.next = new Int32Array(types.length + 1).fill(-1);
    this.shapes = new Int32Array(types.length + 1).fill(-1);
    this.next[0] = 0;
  }

  /** Whether the type is settled: it stays, or is another one. */
  isSettled(id: number): boolean {
    return (this.next[id] ?? 0) >= 0;
  }

  set(id: number, to: number): void {
    this.next[id] = to;
  }

  /** The type at the end of the way. */
  resolve(id: number): number {
    let at = id;
    for (let steps = 0; steps <= this.types.length; steps++) {
      const to = this.next[at] ?? -1;
      if (to < 0 || to === at) return at;
      at = to;
    }
    throw new ObjectError("btf", `type ${id} is replaced by itself`);
  }

  get(id: number): BtfType | null {
    return this.types[id] ?? null;
  }

  /** A number for what a type says without the types that it refers to: equal where they say the same. */
  shape(id: number): number {
    const known = this.shapes[id] ?? -1;
    if (known >= 0) return known;
    const type = this.get(id);
    const text = type === null ? "" : shapeText(type);
    const number = this.shapeNumbers.get(text) ?? this.shapeNumbers.size;
    this.shapeNumbers.set(text, number);
    this.shapes[id] = number;
    return number;
  }
}

function shapeText(type: BtfType): string {
  switch (type.kind) {
    case "int":
      return `int ${type.name} ${type.size} ${type.bits} ${type.bitOffset} ${type.encoding}`;
    case "ptr":
      return "ptr";
    case "array":
      return `array ${type.length}`;
    case "struct":
    case "union": {
      const members = type.members.map(({ name, bitOffset, bitSize }) => `${name}@${bitOffset}:${bitSize}`);
      return `${type.kind} ${type.name} ${type.size} ${type.hasBitfields} ${members.join(" ")}`;
    }
    case "enum":
    case "enum64": {
      const values = type.values.map(({ name, value }) => `${name}=${value}`);
      return `${type.kind} ${type.name} ${type.size} ${type.signed} ${values.join(" ")}`;
    }
    case "fwd":
      return `fwd ${type.name} ${type.isUnion}`;
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
      return `${type.kind} ${type.name}`;
    case "type_tag":
      return `type_tag ${type.name} ${type.attribute === true}`;
    case "decl_tag":
      return `decl_tag ${type.name} ${type.componentIndex} ${type.attribute === true}`;
    case "func":
      return `func ${type.name} ${type.linkage}`;
    case "func_proto":
      return `func_proto ${type.params.map(({ name }) => name).join(" ")}/${type.params.length}`;
    case "var":
      return `var ${type.name} ${type.linkage}`;
    case "datasec":
      return `datasec ${type.name} ${type.size} ${type.variables.map(({ offset, size }) => `${offset}:${size}`).join(" ")}`;
    case "float":
      return `float ${type.name} ${type.size}`;
  }
}
