/** What kind of thing is wrong with a file, or with a spec that cannot become one. */
export type ObjectErrorCode =
  /** The file ends before a structure that it announces. */
  | "truncated"
  /** Not the format: magic, class, machine, type. */
  | "format"
  /** A header, table or string that contradicts itself. */
  | "malformed"
  /** Type information that is wrong. */
  | "btf"
  /** A map definition that is wrong. */
  | "map"
  /** A program or function that is wrong. */
  | "program"
  /** A symbol that is missing, doubled or of the wrong kind. */
  | "symbol"
  /** A relocation that cannot be applied. */
  | "relocation"
  /** Correct, but nothing that Skep can do. */
  | "unsupported";

/** A damaged or unsuitable object. The first line of `message` is enough for a person. */
export class ObjectError extends Error {
  override readonly name = "ObjectError";
  readonly code: ObjectErrorCode;
  /** ELF section that it is about. */
  readonly section: string | undefined;
  /** Bytes from the start of that section, or of the file where there is no section. */
  readonly offset: number | undefined;

  constructor(code: ObjectErrorCode, message: string, where: { section?: string; offset?: number } = {}) {
    const place = where.section === undefined ? "" : ` (section ${where.section}${offsetText(where.offset)})`;
    super(message + place);
    this.code = code;
    this.section = where.section;
    this.offset = where.offset;
  }
}

function offsetText(offset: number | undefined): string {
  return offset === undefined ? "" : ` at offset ${offset}`;
}
