/**
 * BTF as data (Documentation/bpf/btf.rst). Type ids count from 1; 0 is void. `types[id - 1]` is type `id`.
 * Split BTF: `base` holds the ids up to `base.types.length`.
 */
export interface BtfTypes {
  readonly types: readonly BtfType[];
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
  | { readonly kind: "decl_tag"; readonly name: string; readonly typeId: number; readonly componentIndex: number }
  | { readonly kind: "type_tag"; readonly name: string; readonly typeId: number };
