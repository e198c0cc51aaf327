import type { Instruction } from "@skep/isa";
import type { BtfTypes } from "./btf/types.ts";

/**
 * What a compiled object says, the same on every machine; only loading asks a kernel.
 * Names are the object's own; everything is plain data.
 */
export interface ObjectSpec {
  /** The text of section `license`, "" if there is none. */
  readonly license: string;
  readonly byteOrder: "little" | "big";
  /** Maps of `.maps`, and one per data section (`.rodata`, `.data`, `.bss`), by name. */
  readonly maps: Readonly<Record<string, MapSpec>>;
  /** Programs by name: functions with a section that the kernel can run. */
  readonly programs: Readonly<Record<string, ProgramSpec>>;
  /** Subprograms by name, called by programs and by one another. */
  readonly functions: Readonly<Record<string, FunctionSpec>>;
  /** Type information; type ids in the spec index it. Absent where the object has no BTF. */
  readonly btf?: BtfTypes;
  /** LINUX_VERSION_CODE of section `version`, which kprobes of kernels before 5.0 want. */
  readonly kernelVersion?: number;
}

/** Code with what it refers to. `references` and `lines` index `instructions` (not slots). */
export interface FunctionSpec {
  readonly name: string;
  /** BTF id of the FUNC. */
  readonly typeId?: number;
  readonly linkage: "static" | "global" | "weak";
  /** Global for other objects, static for the verifier (`__hidden`). */
  readonly hidden?: boolean;
  /** ELF section; absent on a subprogram: `.text`. */
  readonly section?: string;
  readonly instructions: readonly Instruction[];
  readonly references: readonly Reference[];
  readonly lines: readonly LineInfo[];
  readonly coreRelocations: readonly CoreRelocation[];
}

export interface ProgramSpec extends FunctionSpec {
  /** ELF section, such as `xdp`, `tc`, `cgroup/connect4`. */
  readonly section: string;
  /** Kernel's name without prefix, such as `sched_cls`, `xdp`, `cgroup_sock_addr`. */
  readonly type: string;
  /** Kernel's name without prefix, lower case, such as `tcx_ingress`, `cgroup_inet4_connect`. */
  readonly attachType?: string;
  /** What the section's name says after the slash where that is a target (function, tracepoint). */
  readonly attachTo?: string;
  /** BPF_F_* flags of BPF_PROG_LOAD (sleepable, xdp frags). */
  readonly flags: number;
  /** False: loaded only when asked for by name (the section's name begins with `?`). */
  readonly autoload?: boolean;
}

/**
 * What an instruction's immediate stands for until loading. What the instruction itself holds there does not matter; `readObject`
 * gives the pseudo source with immediates of 0.
 */
export type Reference =
  /** `lddw` of a map's address (pseudo source 1). */
  | { readonly at: number; readonly kind: "map"; readonly map: string }
  /** `lddw` of an address in a data section's map (pseudo source 2). */
  | { readonly at: number; readonly kind: "data"; readonly map: string; readonly offset: number }
  /** `call` of a subprogram (pseudo source 1). */
  | { readonly at: number; readonly kind: "call"; readonly function: string }
  /** `lddw` of a variable that another object defines; `linkObjects` makes `data` of it. */
  | { readonly at: number; readonly kind: "extern"; readonly name: string; readonly weak: boolean }
  /** `lddw` of a subprogram's address, for callbacks (pseudo source 4). */
  | { readonly at: number; readonly kind: "function"; readonly function: string }
  /** `call` of a kernel function (pseudo source 2). `typeId`: its FUNC (extern) in the object's BTF. */
  | {
      readonly at: number;
      readonly kind: "kfunc";
      readonly name: string;
      readonly weak: boolean;
      readonly typeId?: number;
    }
  /**
   * `lddw` of a kernel symbol: typed (pseudo source 3) when `typeId` is given, the id of its VAR or FUNC (extern) in the object's BTF;
   * else its address.
   */
  | {
      readonly at: number;
      readonly kind: "ksym";
      readonly name: string;
      readonly weak: boolean;
      readonly typeId?: number;
    };

export interface LineInfo {
  readonly at: number;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 where the compiler does not say. The format holds up to 1023. */
  readonly column: number;
  /** The source line's text. */
  readonly text: string;
}

export interface CoreRelocation {
  readonly at: number;
  /** BTF id of the root type in the object's BTF. */
  readonly typeId: number;
  /** Such as `0:1:2`. */
  readonly access: string;
  /** enum bpf_core_relo_kind. */
  readonly kind: number;
}

export interface MapSpec {
  readonly name: string;
  /** Kernel's name without prefix, lower case, such as `hash`, `lpm_trie`, `array_of_maps`. */
  readonly type: string;
  /** Bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  /** 0 where the loader chooses (ring sizes, one entry per CPU). */
  readonly maxEntries: number;
  /** BPF_F_* of BPF_MAP_CREATE. */
  readonly flags: number;
  readonly mapExtra?: bigint;
  readonly numaNode?: number;
  /** BTF ids in the object's BTF. */
  readonly keyTypeId?: number;
  readonly valueTypeId?: number;
  readonly pinning: "none" | "by-name";
  /** For maps of maps. */
  readonly inner?: MapSpec;
  /** For maps of maps and program arrays: index to the name of a map or program. */
  readonly values?: readonly { readonly index: number; readonly name: string }[];
  /** Data sections: the initial bytes, and the variables in them. `struct_ops`: the struct as the object has it. */
  readonly data?: DataSection;
  /** For `struct_ops`. */
  readonly structOps?: StructOpsSpec;
  /** True: another object defines it (`extern`); only `linkObjects` does something with it. */
  readonly extern?: true;
  /** True: gives way to a strong one, or to one that came before, when objects are linked. */
  readonly weak?: true;
}

/** A map of type `struct_ops`: a kernel struct whose function members are programs. */
export interface StructOpsSpec {
  /** ELF section, such as `.struct_ops.link`. */
  readonly section: string;
  /** The kernel's struct without flavor, such as `tcp_congestion_ops`. */
  readonly typeName: string;
  /** Members that are programs. `offset`: bytes from the start of the object's struct. */
  readonly programs: readonly { readonly member: string; readonly offset: number; readonly program: string }[];
}

/** Data of a section, as the object has it. For `.kconfig` the bytes are zero until `resolveKconfig` fills them. */
export interface DataSection {
  readonly contents: Uint8Array;
  /** Bytes, a power of two: where the section may begin when objects are linked. Default 8. */
  readonly align?: number;
  /** `.rodata`: frozen after it is filled. */
  readonly readOnly: boolean;
  readonly variables: readonly {
    readonly name: string;
    readonly offset: number;
    readonly size: number;
    /** BTF id of the variable's type (not of its VAR). */
    readonly typeId: number;
    /** Absent: global, seen from outside. */
    readonly linkage?: "static";
    /** Global for other objects, static for the kernel (`__hidden`). */
    readonly hidden?: true;
    /** Gives way to a strong one when objects are linked; in `.kconfig`: may be missing. */
    readonly weak?: true;
  }[];
}
