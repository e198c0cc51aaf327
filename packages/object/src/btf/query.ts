import { ObjectError } from "../errors.ts";
import type { BtfKind, BtfOf, BtfType, BtfTypes, BtfView } from "./types.ts";
import { viewOf } from "./view.ts";

/** Longer chains of typedefs, modifiers and arrays are damage (the kernel's MAX_RESOLVE_DEPTH, btf.c). */
const MAX_DEPTH = 32;
/** Every target of BPF. */
const POINTER_SIZE = 8;

const MODIFIERS: ReadonlySet<BtfKind> = new Set(["volatile", "const", "restrict", "type_tag"]);

function chase(view: BtfView, id: number, skips: (type: BtfType) => boolean): number {
  let at = id;
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const type = view.get(at);
    if (type === null || !skips(type)) return at;
    at = (type as BtfOf<"typedef">).typeId;
  }
  throw new ObjectError("btf", `type ${id} is a chain of more than ${MAX_DEPTH} types`);
}

/** Through const, volatile, restrict and type tags, not through typedefs. */
export function skipModifiers(btf: BtfTypes | BtfView, id: number): number {
  return chase(viewOf(btf), id, (type) => MODIFIERS.has(type.kind));
}

/** Through const, volatile, restrict, type tags and typedefs: the id of what the type really is (0: void). */
export function resolveId(btf: BtfTypes | BtfView, id: number): number {
  return chase(viewOf(btf), id, (type) => type.kind === "typedef" || MODIFIERS.has(type.kind));
}

/** What the type really is, behind const, volatile, restrict, type tags and typedefs; null for void. */
export function resolveType(btf: BtfTypes | BtfView, id: number): BtfType | null {
  const view = viewOf(btf);
  return view.get(resolveId(view, id));
}

/** Bytes of a value of the type; null for what has no size (void, functions, forward declarations). */
export function sizeOf(btf: BtfTypes | BtfView, id: number): number | null {
  const view = viewOf(btf);
  let factor = 1;
  let at = id;
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const type = view.get(at);
    if (type === null) return null;
    switch (type.kind) {
      case "array":
        factor *= type.length;
        at = type.typeId;
        break;
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
      case "var":
        at = type.typeId;
        break;
      case "ptr":
        return checkSize(factor * POINTER_SIZE, id);
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "float":
      case "datasec":
        return checkSize(factor * type.size, id);
      default:
        return null;
    }
  }
  throw new ObjectError("btf", `type ${id} is a chain of more than ${MAX_DEPTH} types`);
}

function checkSize(size: number, id: number): number {
  if (size > 0xffff_ffff) throw new ObjectError("btf", `type ${id} has ${size} bytes`);
  return size;
}

/** Natural alignment in bytes, as C lays the type out; 1 for what has none, and for packed structs. */
export function alignOf(btf: BtfTypes | BtfView, id: number): number {
  return new Alignment(viewOf(btf)).of(id);
}

/** Every struct is looked at once, so that types which hold one another end. */
export class Alignment {
  private readonly view: BtfView;
  private readonly max: number;
  private readonly known = new Map<number, number>();

  /** `max`: no alignment is larger. */
  constructor(view: BtfView, max = 16) {
    this.view = view;
    this.max = max;
  }

  of(id: number): number {
    const at = resolveId(this.view, id);
    const type = this.view.get(at);
    switch (type?.kind) {
      case "int":
      case "enum":
      case "enum64":
      case "float":
        return Math.max(1, Math.min(this.max, type.size));
      case "ptr":
        return POINTER_SIZE;
      case "array":
      case "struct":
      case "union": {
        const known = this.known.get(at);
        if (known !== undefined) return known;
        this.known.set(at, 1);
        const align = type.kind === "array" ? this.of(type.typeId) : this.ofComposite(type);
        this.known.set(at, align);
        return align;
      }
      default:
        return 1;
    }
  }

  private ofComposite(type: BtfOf<"struct" | "union">): number {
    let max = 1;
    for (const member of type.members) {
      const align = this.of(member.typeId);
      if (member.bitSize === 0 && member.bitOffset % (8 * align) !== 0) return 1;
      max = Math.max(max, align);
    }
    return type.size % max === 0 ? max : 1;
  }
}

/** The first type with this name, of this kind where one is given; null where there is none. */
export function findByName<K extends BtfKind>(
  btf: BtfTypes | BtfView,
  name: string,
  kind?: K,
): { id: number; type: BtfOf<K> } | null {
  const view = viewOf(btf);
  for (const id of view.named(name)) {
    const type = view.get(id);
    if (type !== null && (kind === undefined || type.kind === kind)) return { id, type: type as BtfOf<K> };
  }
  return null;
}

/** Every type with its id, ascending; of a split view its own only. */
export function* eachType(btf: BtfTypes | BtfView): Generator<readonly [id: number, type: BtfType]> {
  const view = viewOf(btf);
  for (let id = view.firstId; id < view.end; id++) {
    const type = view.get(id);
    if (type !== null) yield [id, type];
  }
}
