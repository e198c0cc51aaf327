/**
 * @module
 * The typed SSA IR: what a front end builds, the passes rewrite and the emitter turns into instructions.
 *
 * A front end emits `local.get`/`local.set` for its variables; the first pass makes SSA of them.
 * Operands are always in `args`, so that passes walk any instruction alike; the rest of an instruction is plain attributes.
 * Values are `i32`, `i64` or `ptr` (64 bits). Narrower integers are `i32`, kept normalised (zero- or sign-extended as their
 * declared sign says) by explicit `ext` that the front end emits after what can leave the range.
 */
import type { BtfTypes, MapSpec } from "@skep/object";
import type { EmitCache } from "./emit-cache.ts";

export type ValueType = "i32" | "i64" | "ptr";

/**
 * Where memory lies: what may alias, and which alignment the verifier asks for (`stack`: strict; `packet`, `map`: none on x86). Pointers into
 * an `arena` are its map moved by an address of user space; they are cast where they are read or written through.
 */
export type Space = "stack" | "packet" | "ctx" | "map" | "data" | "kernel" | "arena" | "unknown";

/** A place in the source; every instruction that comes from a statement has one. */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type BinaryOp =
  "add" | "sub" | "mul" | "udiv" | "sdiv" | "umod" | "smod" | "and" | "or" | "xor" | "shl" | "lshr" | "ashr";

export type Predicate = "eq" | "ne" | "ult" | "ule" | "ugt" | "uge" | "slt" | "sle" | "sgt" | "sge" | "set";

export type AtomicOp = "add" | "and" | "or" | "xor" | "xchg" | "cmpxchg";

interface Base {
  /** Unique in its function; printed as `%id`. */
  readonly id: number;
  /** `undefined`: no result. */
  type: ValueType | undefined;
  /** Operands. */
  args: Inst[];
  loc?: Loc | undefined;
  /** A variable's name, for people. */
  name?: string | undefined;
}

/** Instructions that are not terminators. The comment gives the operands in `args`. */
export type Inst = Base &
  (
    | { op: "const"; value: bigint } // []; wrapped to the type's width, as unsigned
    | { op: "param"; index: number } // []; entry block only
    | { op: "phi"; blocks: Block[] } // one operand per entry of `blocks`
    | { op: "local.get"; local: Local } // []
    | { op: "local.set"; local: Local } // [value]
    | { op: "binary"; binary: BinaryOp } // [a, b] of the result's type; shift counts too; x/0 = 0, x%0 = x
    | { op: "ptradd" } // [ptr, i64]: the variable part must not be negative (constants go into `offset` of the access)
    | { op: "ptrsub" } // [ptr, ptr] -> i64
    | { op: "neg" } // [a]
    | { op: "bswap"; bits: 16 | 32 | 64 } // [a]: reversed bytes of the low `bits`, upper bits 0
    | { op: "hton"; bits: 16 | 32 | 64 } // [a]: host to network order and back: bswap on a little-endian target, else truncation
    | { op: "ext"; from: 8 | 16 | 32; signed: boolean } // [a] -> i32 or i64 from its low `from` bits
    | { op: "trunc" } // [i64] -> i32
    | { op: "cmp"; predicate: Predicate } // [a, b] of one type -> i32, 0 or 1; `set`: (a & b) != 0
    | { op: "select" } // [i32 condition, a, b]
    | {
        op: "load";
        size: 1 | 2 | 4 | 8;
        signed: boolean;
        offset: number;
        space: Space;
        align: number;
        volatile?: boolean | undefined;
        core?: CoreAccess | undefined;
      } // [ptr]
    | { op: "store"; size: 1 | 2 | 4 | 8; offset: number; space: Space; align: number; core?: CoreAccess | undefined } // [ptr, value]
    | {
        op: "copy";
        bytes: number;
        toOffset: number;
        fromOffset: number;
        toSpace: Space;
        fromSpace: Space;
        align: number;
      } // [to, from]; no overlap
    | { op: "zero"; bytes: number; offset: number; space: Space; align: number } // [to]
    | { op: "atomic"; atomic: AtomicOp; fetch: boolean; size: 4 | 8; offset: number; space: Space } // [ptr, value] or cmpxchg [ptr, expected, value]
    | { op: "stack"; bytes: number; align: number } // [] -> ptr; one object for the whole function, uninitialised
    | { op: "map"; map: string } // [] -> ptr
    | { op: "data"; section: string; offset: number } // [] -> ptr into a data section
    | { op: "function"; function: string } // [] -> ptr, for callbacks
    | { op: "ksym"; symbol: string; weak: boolean; typeId?: number } // [] -> ptr
    | { op: "helper"; helper: number } // arguments
    | { op: "call"; function: string } // arguments
    | { op: "kfunc"; kfunc: string; typeId: number; weak: boolean } // arguments
    | { op: "core"; kind: number; core: CoreAccess } // [] -> a constant that a CO-RE relocation patches; `local` is its value here
  );

/** Of a load or store: `offset` stays the whole displacement, of which `local` is the part that the relocation patches. */
export interface CoreAccess {
  /** BTF id of the root type. */
  readonly typeId: number;
  /** Such as `0:1:2`. */
  readonly access: string;
  readonly local: bigint;
}

export type Terminator = { loc?: Loc | undefined } & (
  | { op: "jump"; to: Block }
  /** Compares as `cmp` does; `likely` tells the layout which way is usual. */
  | { op: "branch"; predicate: Predicate; args: [Inst, Inst]; then: Block; else: Block; likely?: boolean | undefined }
  | { op: "switch"; args: [Inst]; cases: { value: bigint; to: Block }[]; default: Block }
  | { op: "return"; args: [] | [Inst] }
  | { op: "unreachable" }
);

export interface Block {
  readonly id: number;
  name?: string | undefined;
  insts: Inst[];
  /** Undefined only while a front end fills the block. */
  terminator: Terminator | undefined;
}

export interface Local {
  readonly id: number;
  readonly name: string;
  readonly type: ValueType;
}

export interface IrFunction {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly type: ValueType }[];
  readonly returns: ValueType | undefined;
  /** BTF id of the FUNC; 0: none. */
  readonly typeId: number;
  readonly linkage: "static" | "global";
  /** Set on programs: what the section says. */
  readonly program?: {
    readonly section: string;
    readonly type: string;
    readonly attachType?: string;
    readonly attachTo?: string;
    readonly flags: number;
  };
  /** `always`: inlined wherever it is called; `never`: a subprogram. */
  inline: "always" | "never" | "auto";
  /** The entry is `blocks[0]`; it has no predecessors. */
  blocks: Block[];
  nextId: number;
  readonly loc: Loc;
}

export interface IrModule {
  readonly file: string;
  readonly license: string;
  readonly functions: IrFunction[];
  readonly maps: MapSpec[];
  /** Data sections by name; `.rodata` is what `config` and tables become. They become maps of the ObjectSpec. */
  readonly data: MapSpec[];
  readonly btf: BtfTypes;
  /** Source lines by file, for line info: `sources[file][line - 1]`. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
}

export interface EmitOptions {
  /** eBPF instruction set version (clang's -mcpu). Default 3. */
  readonly cpu?: 1 | 2 | 3 | 4;
  /** 0: SSA and allocation only; 2: all passes. Default 2. */
  readonly optimize?: 0 | 1 | 2;
  readonly byteOrder?: "little" | "big";
  /** Functions compiled before are taken from here. */
  readonly cache?: EmitCache;
}
