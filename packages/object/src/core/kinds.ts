/** enum bpf_core_relo_kind (include/uapi/linux/bpf.h): the index is the number. */
export const CORE_KINDS = [
  "byte_offset",
  "byte_size",
  "field_exists",
  "signed",
  "lshift_u64",
  "rshift_u64",
  "type_id_local",
  "type_id_target",
  "type_exists",
  "type_size",
  "enumval_exists",
  "enumval_value",
  "type_matches",
] as const;

export type CoreKind = (typeof CORE_KINDS)[number];

/** What a relocation is about: a field of a struct, a whole type, or a value of an enum. */
export type CoreSubject = "field" | "type" | "enum";

export function coreSubject(kind: CoreKind): CoreSubject {
  switch (kind) {
    case "byte_offset":
    case "byte_size":
    case "field_exists":
    case "signed":
    case "lshift_u64":
    case "rshift_u64":
      return "field";
    case "enumval_exists":
    case "enumval_value":
      return "enum";
    default:
      return "type";
  }
}
