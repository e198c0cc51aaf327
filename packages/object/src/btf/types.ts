/**
 * BTF as data (Documentation/bpf/btf.rst). Type ids count from 1; 0 is void. `types[id - 1]` is type `id`.
 * Split BTF (a kernel module's): `types[0]` has id `firstId`, and smaller ids are those of its base.
 */
export interface BtfTypes {
  readonly types: readonly BtfType[];
  /** Absent: 1. */
  readonly firstId?: number;
}

/**
 * Types by id and by name, however they are kept (`viewOf` over data, `openBtf` over bytes that are decoded as they are asked for).
 * A view of split BTF answers for its base too.
 */
export interface BtfView {
  /** One more than the largest id. */
  readonly end: number;
  /** Smallest id that is this view's own: 1 unless it is split BTF. */
  readonly firstId: number;
  /** Null for void (id 0). Throws `ObjectError` `btf` for an id that does not exist. */
  get(id: number): BtfType | null;
  /** Ids of the types with this very name, ascending. */
  named(name: string): readonly number[];
  /** Ids of the types whose name without flavor is this: `task_struct` and `task_struct___old`, ascending. */
  flavors(name: string): readonly number[];
}

export interface BtfMember {
  readonly name: string;
  readonly typeId: number;
  /** From the start of the struct. */
  readonly bitOffset: number;
  /** 0 unless a bit field. */
  readonly bitSize: number;
}

export type BtfType =
  | {
      readonly kind: "int";
      readonly name: string;
      readonly size: number;
      readonly bits: number;
      readonly bitOffset: number;
      readonly encoding: "unsigned" | "signed" | "char" | "bool";
    }
  | { readonly kind: "ptr"; readonly typeId: number }
  | { readonly kind: "array"; readonly typeId: number; readonly indexTypeId: number; readonly length: number }
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
      readonly hasBitfields: boolean;
    }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: number }[];
    }
  | {
      readonly kind: "enum64";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: "fwd"; readonly name: string; readonly isUnion: boolean }
  | { readonly kind: "typedef" | "volatile" | "const" | "restrict"; readonly name: string; readonly typeId: number }
  | {
      readonly kind: "func";
      readonly name: string;
      readonly typeId: number;
      readonly linkage: "static" | "global" | "extern";
    }
  | {
      readonly kind: "func_proto";
      readonly returnTypeId: number;
      readonly params: readonly { readonly name: string; readonly typeId: number }[];
    }
  | {
      readonly kind: "var";
      readonly name: string;
      readonly typeId: number;
      readonly linkage: "static" | "global" | "extern";
    }
  | {
      readonly kind: "datasec";
      readonly name: string;
      readonly size: number;
      readonly variables: readonly { readonly typeId: number; readonly offset: number; readonly size: number }[];
    }
  | { readonly kind: "float"; readonly name: string; readonly size: number }
  /** `componentIndex` -1: the whole; else a member or parameter. `attribute`: a plain `__attribute__`, no btf_decl_tag. */
  | {
      readonly kind: "decl_tag";
      readonly name: string;
      readonly typeId: number;
      readonly componentIndex: number;
      readonly attribute?: true;
    }
  | { readonly kind: "type_tag"; readonly name: string; readonly typeId: number; readonly attribute?: true };

export type BtfKind = BtfType["kind"];
type OfKind<T, K> = T extends { readonly kind: infer Kinds } ? (Extract<K, Kinds> extends never ? never : T) : never;
/** The shape of the types of one kind, or of several. */
export type BtfOf<K extends BtfKind> = OfKind<BtfType, K>;
