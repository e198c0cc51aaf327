import type { BtfKind } from "./types.ts";

/** enum BTF_KIND_* (include/uapi/linux/btf.h): the index is the number. */
export const BTF_KINDS = [
  null,
  "int",
  "ptr",
  "array",
  "struct",
  "union",
  "enum",
  "fwd",
  "typedef",
  "volatile",
  "const",
  "restrict",
  "func",
  "func_proto",
  "var",
  "datasec",
  "float",
  "decl_tag",
  "type_tag",
  "enum64",
] as const satisfies readonly (BtfKind | null)[];

const KIND_NUMBERS = new Map<BtfKind, number>(
  BTF_KINDS.flatMap((kind, number) => (kind === null ? [] : [[kind, number]])),
);

/** The number of a kind in the format. */
export function kindNumber(kind: BtfKind): number {
  const number = KIND_NUMBERS.get(kind);
  if (number === undefined) throw new Error(`no such kind: ${kind}`);
  return number;
}

export const BTF_MAGIC = 0xeb9f;
export const BTF_HEADER_SIZE = 24;

/** Bytes that follow a type's 12-byte head: `fixed` once, `each` for every one of its `vlen` entries; by kind number. */
export const BTF_TAILS: readonly { readonly fixed: number; readonly each: number }[] = [
  { fixed: 0, each: 0 },
  { fixed: 4, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 12, each: 0 },
  { fixed: 0, each: 12 },
  { fixed: 0, each: 12 },
  { fixed: 0, each: 8 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 8 },
  { fixed: 4, each: 0 },
  { fixed: 0, each: 12 },
  { fixed: 0, each: 0 },
  { fixed: 4, each: 0 },
  { fixed: 0, each: 0 },
  { fixed: 0, each: 12 },
];
