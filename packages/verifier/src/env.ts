/**
 * @module
 * One verification: the program, what is known of its kind, the state that is being walked, and how a breach is said.
 */
import type { BtfView } from "@skep/object";
import type { GlobalArgument } from "./calls/global.ts";
import type { ContextRules } from "./context/access.ts";
import type { KernelTypes } from "./kernel/types.ts";
import type { Code } from "./program/code.ts";
import type { Privilege } from "./privilege/privilege.ts";
import type { MapInfo } from "./program/maps.ts";
import { kind } from "./register.ts";
import type { Reg } from "./register.ts";
import { Breach } from "./rules.ts";
import type { Rule } from "./rules.ts";
import { State } from "./state.ts";
import type { Frame } from "./state.ts";

/** Largest offset or size that the verifier follows (BPF_MAX_VAR_OFF). */
export const MAX_OFFSET = 1 << 29;
export const STACK_SIZE = 512;
export const MAX_FRAMES = 8;

/** What a program is, as far as its rules depend on it. */
export interface ProgramKind {
  readonly type: string;
  readonly attachType: string | undefined;
  readonly attachTo: string | undefined;
  readonly sleepable: boolean;
  readonly deviceBound: boolean;
  readonly isGpl: boolean;
  /** What the user may who loads it. */
  readonly privilege: Privilege;
  /** Major times 1000 plus minor, such as 5010. */
  readonly kernel: number;
  readonly context: ContextRules | null;
  /** Null: unknown, every helper is allowed. */
  readonly helpers: ReadonlySet<number> | null;
  /** For programs that are called with the kernel's own values: their prototype. */
  readonly prototype: KernelPrototype | null;
  readonly returns: ReturnRange | null;
}

/** What r0 may be at the program's end. */
export interface ReturnRange {
  readonly min: number;
  readonly max: number;
}

/** A kernel function that a program stands for or is attached to. */
export interface KernelPrototype {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly typeId: number }[];
  readonly returnTypeId: number;
  /** Parameters that may be null although nothing says so in the types. */
  readonly nullable: boolean;
}

/** What is known of an instruction after every path: what a rewrite would rest on, and what two paths must agree in. */
export interface Knowledge {
  /** Kind of pointer that a load or store went through; all paths must agree. */
  readonly pointerKind: Uint8Array;
  /** How often an instruction was walked. */
  readonly visits: Uint32Array;
}

/** What a timer, a work queue or a task calls. */
export interface LaterCall {
  readonly name: string;
  readonly subprogram: number;
  readonly map: MapInfo | null;
  /** In a thread of the kernel or in the task's own, where one may sleep. */
  readonly sleepable: boolean;
  /** It may return any number, not 0 alone. */
  readonly anyResult?: boolean;
}

/** A pointer moved by a register: which way, and how far it may go. */
export interface Move {
  readonly way: number;
  readonly limit: number;
}

export class Env {
  readonly code: Code;
  readonly kind: ProgramKind;
  readonly types: BtfView | null;
  readonly kernel: KernelTypes | null;
  readonly disabled: ReadonlySet<Rule>;
  readonly knowledge: Knowledge;
  state: State;
  /** The instruction that is being walked. */
  at = 0;
  /** Numbers that a CPU may have are below. No machine has more than so many. */
  cpus = 8192;
  /** First instruction of the function that exceptions end in; -1: none. */
  exceptionCallback = -1;
  /** That function is being verified. */
  exceptionEntry = false;
  /** Global functions after whose call packet pointers are gone. */
  readonly changesPackets = new Set<number>();
  /** Prototypes of global functions, once read. */
  readonly prototypes = new Map<number, readonly GlobalArgument[] | null>();
  /** Callbacks that run later and were put to be walked. */
  readonly later: LaterCall[] = [];
  /** Paths that wait. */
  readonly waiting: State[] = [];
  /** Conditional jumps walked in all. */
  jumps = 0;
  /** Instructions walked in all. */
  processed = 0;
  /** How registers moved pointers, by instruction: all paths must agree (alu_state, alu_limit of bpf_insn_aux_data). */
  readonly moves = new Map<number, Move>();
  /** Numbers that move pointers are looked at one by one (explore_alu_limits). */
  exploresMoves = false;
  /** By tail call: the map that it takes. */
  readonly tailCallMaps = new Map<number, MapInfo>();
  private lastId = 0;
  /** Stack access of this instruction, for precision: frame << 8 | slot, -1 none; whether it was a fill or spill of a register. */
  stackAccess = -1;
  /** Registers that a comparison bound together, for precision: bits of registers, then slots. */
  linked: readonly number[] | null = null;
  /** Where a program reads stack that it never wrote: allowed, and seldom meant. */
  uninitialised = -1;
  /** Bytes of stack that a subprogram uses. */
  readonly stackUse: Int32Array;

  constructor(code: Code, parts: Pick<Env, "kind" | "types" | "kernel" | "disabled">) {
    this.code = code;
    this.kind = parts.kind;
    this.types = parts.types;
    this.kernel = parts.kernel;
    this.disabled = parts.disabled;
    this.knowledge = { pointerKind: new Uint8Array(code.count), visits: new Uint32Array(code.count) };
    this.stackUse = new Int32Array(code.subprograms.length);
    this.state = new State([], 0);
  }

  get exceptionSubprogram(): number {
    return this.exceptionCallback < 0 ? -1 : (this.code.subprogramOf[this.exceptionCallback] as number);
  }

  /** The program may sleep, or the callback that is walked. */
  get sleepable(): boolean {
    return this.kind.sleepable || this.state.sleepable;
  }

  get frame(): Frame {
    return this.state.frames[this.state.frames.length - 1] as Frame;
  }

  newId(): number {
    return ++this.lastId;
  }

  /** Says that a rule is broken. `example`: values that break it. Returns only where the rule is switched off. */
  refuse(rule: Rule, message: string, example: string | null = null): void {
    if (this.disabled.has(rule)) return;
    throw new Breach(rule, message, { at: this.at, example });
  }

  /** A register that the instruction reads. */
  read(index: number): Reg {
    const reg = this.frame.reg(index);
    if (reg.kind === kind.none) this.refuse("uninitialised", `r${index} is read before it has a value`);
    return reg;
  }

  write(index: number, reg: Reg): void {
    if (index === 10) this.refuse("frame-pointer", "r10 is the frame pointer and cannot be written");
    this.frame.regs[index] = reg;
  }
}
