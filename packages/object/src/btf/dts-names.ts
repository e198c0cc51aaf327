import { resolveId } from "./query.ts";
import type { BtfView } from "./types.ts";
import { typeName } from "./walk.ts";

/** Names that a declaration or a parameter cannot have, or that the printed file uses itself. */
const TAKEN: ReadonlySet<string> = new Set(
  (
    "break case catch class const continue debugger default delete do else enum export extends false finally for function if import in " +
    "instanceof new null return super switch this throw true try typeof var void while with yield let static implements interface package " +
    "private protected public await any boolean never number object string symbol undefined unknown bigint arguments eval " +
    "FixedArray Pointer i8 i16 i32 i64 u8 u16 u32 u64"
  ).split(" "),
);

/** C has a name space for tags and one for the rest; TypeScript has one for types. */
export class DtsNames {
  private readonly view: BtfView;
  private readonly byId = new Map<number, string>();
  private readonly owners = new Map<string, number>();
  private readonly values = new Set<string>();

  constructor(view: BtfView) {
    this.view = view;
  }

  /** The type's name, with a number where another has it: always the same for a type. A typedef of a tag with its own name shares it. */
  of(id: number): string {
    const known = this.byId.get(id);
    if (known !== undefined) return known;
    const type = this.view.get(id);
    const plain = identifier(type === null ? "" : typeName(type));
    let name = plain;
    for (let number = 2; !this.isFree(name, id); number++) name = `${plain}___${number}`;
    this.byId.set(id, name);
    if (!this.owners.has(name)) this.owners.set(name, id);
    return name;
  }

  /** A name for a value of an enum without a name: always another one. */
  value(name: string): string {
    const plain = identifier(name);
    let unique = plain;
    for (let number = 2; this.values.has(unique) || this.owners.has(unique); number++) unique = `${plain}___${number}`;
    this.values.add(unique);
    return unique;
  }

  parameter(name: string, index: number): string {
    return name === "" ? `arg${index}` : identifier(name);
  }

  private isFree(name: string, id: number): boolean {
    const owner = this.owners.get(name);
    return owner === undefined ? !this.values.has(name) : this.sameThing(owner, id);
  }

  private sameThing(owner: number, id: number): boolean {
    const isTypedef = this.view.get(id)?.kind === "typedef" || this.view.get(owner)?.kind === "typedef";
    return isTypedef && resolveId(this.view, owner) === resolveId(this.view, id);
  }
}

function identifier(name: string): string {
  const plain = name.replaceAll(/[^\w$]/g, "_");
  return TAKEN.has(plain) || plain === "" || /^\d/.test(plain) ? `${plain}_` : plain;
}
