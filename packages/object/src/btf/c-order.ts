import { ObjectError } from "../errors.ts";
import type { CText } from "./c-text.ts";
import type { BtfOf, BtfType, BtfView } from "./types.ts";
import { forEachTypeId, typeName } from "./walk.ts";

type Composite = BtfOf<"struct" | "union">;

/** Integers that no compiler of the target knows by name (arm_neon.h of GCC). */
const MISSING_INTS: ReadonlyMap<string, string> = new Map([
  ["Poly8_t", "unsigned char"],
  ["Poly16_t", "unsigned short"],
  ["Poly64_t", "unsigned long long"],
  ["Poly128_t", "unsigned __int128"],
]);

/** Which definition comes when, and where forward declarations are needed. */
export class COrder {
  private readonly view: BtfView;
  private readonly print: CText;
  private readonly out: string[] = [];
  private readonly ordered = new Map<number, "ordering" | "ordered">();
  private readonly emitted = new Map<number, "emitting" | "emitted">();
  private readonly forwarded = new Set<number>();
  /** Types that another type holds: an anonymous enum that none holds is a definition of its own. */
  private readonly referenced = new Set<number>();
  private queue: number[] = [];

  constructor(view: BtfView, print: CText) {
    this.view = view;
    this.print = print;
    for (let id = 1; id < view.end; id++) {
      const type = view.get(id);
      if (type !== null) markReferences(type, this.referenced);
    }
  }

  /** Writes the definition of a type after those that it needs. */
  dump(id: number): void {
    this.queue = [];
    this.order(id, false);
    for (const each of this.queue) this.emit(each, 0);
  }

  text(): string {
    return this.out.join("");
  }

  /** Queues what must be defined, innermost first. True: whoever holds the type needs its definition, not only its name. */
  private order(id: number, throughPointer: boolean): boolean {
    if (id === 0 || this.ordered.get(id) === "ordered") return true;
    const type = this.view.get(id);
    if (type === null) return true;
    if (this.ordered.get(id) === "ordering") {
      if (isComposite(type) && throughPointer && type.name !== "") return false;
      throw new ObjectError("btf", `type ${id} (${typeName(type)}) holds itself`);
    }
    switch (type.kind) {
      case "ptr": {
        const strong = this.order(type.typeId, true);
        this.ordered.set(id, "ordered");
        return strong;
      }
      case "array":
        return this.order(type.typeId, false);
      case "struct":
      case "union":
        return this.orderComposite(id, type, throughPointer);
      case "enum":
      case "enum64":
      case "fwd":
        if (type.name !== "" || !this.referenced.has(id)) this.queue.push(id);
        this.ordered.set(id, "ordered");
        return true;
      case "typedef":
        if (!this.order(type.typeId, throughPointer) && throughPointer) return false;
        this.queue.push(id);
        this.ordered.set(id, "ordered");
        return true;
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
        return this.order(type.typeId, throughPointer);
      case "func_proto": {
        let strong = this.order(type.returnTypeId, throughPointer);
        for (const param of type.params) strong = this.order(param.typeId, throughPointer) || strong;
        return strong;
      }
      default:
        this.ordered.set(id, "ordered");
        return false;
    }
  }

  private orderComposite(id: number, type: Composite, throughPointer: boolean): boolean {
    // Behind a pointer the name is enough; without a name the definition stands there.
    if (throughPointer && type.name !== "") return false;
    this.ordered.set(id, "ordering");
    for (const member of type.members) this.order(member.typeId, false);
    if (type.name !== "") this.queue.push(id);
    this.ordered.set(id, "ordered");
    return true;
  }

  /** Writes a definition (`holder` 0), or what the definition of `holder` needs of this type before it. */
  private emit(id: number, holder: number): void {
    if (id === 0 || this.emitted.get(id) === "emitted") return;
    const type = this.view.get(id);
    if (type === null) return;
    if (this.emitted.get(id) === "emitting") {
      this.emitAgain(id, type, holder);
      return;
    }
    switch (type.kind) {
      case "int": {
        const alias = MISSING_INTS.get(type.name);
        if (alias !== undefined) this.statement(`typedef ${alias} ${type.name}`);
        this.emitted.set(id, "emitted");
        return;
      }
      case "enum":
      case "enum64":
        if (holder === 0) this.statement(this.print.enumDefinition(id, type, 0));
        this.emitted.set(id, "emitted");
        return;
      case "ptr":
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
      case "array":
        this.emit(type.typeId, holder);
        return;
      case "fwd":
        this.statement(this.print.forward(id, type));
        this.emitted.set(id, "emitted");
        return;
      case "typedef":
        this.emitted.set(id, "emitting");
        this.emit(type.typeId, id);
        this.emitTypedef(id, type);
        this.emitted.set(id, "emitted");
        return;
      case "struct":
      case "union":
        this.emitComposite(id, type, holder);
        return;
      case "func_proto":
        this.emit(type.returnTypeId, holder);
        for (const param of type.params) this.emit(param.typeId, holder);
        return;
      default:
    }
  }

  /** A type that is needed while what it needs is being written: a forward declaration does. */
  private emitAgain(id: number, type: BtfType, holder: number): void {
    if (this.forwarded.has(id)) return;
    if (type.kind === "typedef") this.emitTypedef(id, type);
    else if (isComposite(type) && id !== holder && type.name !== "") this.statement(this.print.tag(id, type));
    else return;
    this.forwarded.add(id);
  }

  private emitTypedef(id: number, type: BtfOf<"typedef">): void {
    // A builtin of the compiler.
    if (this.forwarded.has(id) || type.name === "__builtin_va_list") return;
    this.statement(this.print.typedefDefinition(id, type));
  }

  private emitComposite(id: number, type: Composite, holder: number): void {
    this.emitted.set(id, "emitting");
    if (holder === 0 || type.name === "") {
      for (const member of type.members) this.emit(member.typeId, type.name === "" ? holder : id);
    } else if (!this.forwarded.has(id) && id !== holder) {
      this.statement(this.print.tag(id, type));
      this.forwarded.add(id);
    }
    if (holder !== 0) {
      this.emitted.delete(id);
      return;
    }
    this.statement(this.print.compositeDefinition(id, type, 0));
    this.emitted.set(id, "emitted");
  }

  private statement(text: string): void {
    this.out.push(text, ";\n\n");
  }
}

function isComposite(type: BtfType): type is Composite {
  return type.kind === "struct" || type.kind === "union";
}

function markReferences(type: BtfType, referenced: Set<number>): void {
  if (type.kind === "func_proto") {
    for (const param of type.params) referenced.add(param.typeId);
    return;
  }
  forEachTypeId(type, (id) => referenced.add(id));
}
