/**
 * @module
 * Which accesses of a checked program are held against their objects, and where. Accesses of one block through one value become a cluster,
 * checked once at its first; what is known to lie in the own frame, the context or a data section is not checked at all.
 */
import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits } from "@skep/isa";
import type { Code } from "../code.ts";
import { FRAME_BYTES } from "../layout.ts";
import { blocksInLoops } from "./cfg.ts";
import type { Block, Graph } from "./cfg.ts";
import { atomicResult, coversAccess, rangeOf, step } from "./provenance.ts";
import type { Known, ProvenanceOptions, State } from "./provenance.ts";

export interface Access {
  readonly pc: number;
  readonly register: number;
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
}

/** Accesses through one value. Offsets count from what `register` holds at the first of them. */
export interface Cluster {
  readonly register: number;
  /** What shares the bounds of the object that was seen last: pointers to the packet, to one map's values; else the register. */
  readonly place: string;
  readonly accesses: Access[];
  from: number;
  to: number;
  write: boolean;
  /** In a loop: one comparison with bounds of its own, instead of two with those that all accesses through the register share. */
  readonly inLoop: boolean;
}

export type Plan =
  /** In the own frame, so many bytes from its top. */
  | { readonly how: "frame"; readonly offset: number }
  /** No check, or covered by one before. */
  | { readonly how: "plain" }
  | { readonly how: "check"; readonly cluster: Cluster }
  /** In the own frame and outside of its bytes: always wrong. */
  | { readonly how: "wrong"; readonly access: Access };

export interface AccessOptions extends ProvenanceOptions {
  /** False: everything is plain but for the frame. */
  readonly checked: boolean;
  /** Bytes of the context that may be read, 0 where that is only known when the program runs. */
  readonly contextBytes: number;
  /** What a call that is compiled in line reads, null for other calls. */
  readonly inlined: (pc: number, state: State) => Access | null;
  /** Whether a call may change which objects there are. */
  readonly isQuiet: (pc: number, state: State) => boolean;
  /** Whether bytes at a fixed address may always be used so. */
  readonly isFixed: (address: number, size: number, write: boolean) => boolean;
}

export const sizes = [4, 2, 1, 8] as const;

/** The memory that an instruction other than a call accesses through a register. */
export function accessOf(code: Code, pc: number): Access | null {
  const opcode = code.opcode[pc] ?? 0;
  const kind = opcode & 7;
  const mode = opcode & 0xe0;
  const size = sizes[(opcode >> 3) & 3] ?? 4;
  const offset = code.offset[pc] ?? 0;
  const [dst, src] = [code.dst[pc] ?? 0, code.src[pc] ?? 0];
  if (kind === insnClass.ldx) {
    const isLoad = mode === modeBits.mem || (mode === modeBits.memsx && size !== 8);
    return isLoad ? { pc, register: src, offset, size, write: false } : null;
  }
  if (kind !== insnClass.st && kind !== insnClass.stx) return null;
  if (mode === modeBits.mem) return { pc, register: dst, offset, size, write: true };
  if (mode !== modeBits.atomic || kind !== insnClass.stx) return null;
  const isLoad = code.imm[pc] === atomicImm.loadAcquire;
  return { pc, register: isLoad ? src : dst, offset, size, write: !isLoad };
}

/** A register's value in a block: which one, and how far from it. */
interface Value {
  readonly id: number;
  readonly delta: number;
}

function placeOf(known: Known | null, register: number): string {
  if (known?.kind === "value") return `value ${known.map.id}`;
  return known?.kind === "packet" ? "packet" : `r${register}`;
}

class BlockPlanner {
  private readonly values: Value[];
  private nextId = 11;
  private readonly open = new Map<number, { readonly cluster: Cluster; readonly base: number }>();
  private readonly code: Code;
  private readonly state: State;
  private readonly options: AccessOptions;
  private readonly plans: Map<number, Plan>;
  private readonly inLoop: boolean;

  constructor(
    code: Code,
    state: State,
    context: { options: AccessOptions; plans: Map<number, Plan>; inLoop: boolean },
  ) {
    this.inLoop = context.inLoop;
    this.code = code;
    this.state = [...state];
    this.options = context.options;
    this.plans = context.plans;
    this.values = Array.from({ length: 11 }, (_, id) => ({ id, delta: 0 }));
  }

  run(block: Block): void {
    const { code, state, options } = this;
    for (let pc = block.start; pc < block.end; pc++) {
      const access = accessOf(code, pc) ?? options.inlined(pc, state);
      if (access !== null) this.plans.set(pc, this.plan(access));
      // Behind a call that may end the run, or change what there is, nothing is certain.
      if (endsClusters(code, pc) && !options.isQuiet(pc, state)) this.open.clear();
      this.track(pc);
      step(code, pc, state, options);
    }
  }

  private plan(access: Access): Plan {
    const { register, offset, size, write } = access;
    const known = this.state[register] ?? null;
    if (known?.kind === "frame") {
      const at = known.offset + offset;
      return at >= -FRAME_BYTES && at + size <= 0 ? { how: "frame", offset: at } : { how: "wrong", access };
    }
    if (!this.options.checked) return { how: "plain" };
    if (known?.kind === "context" && !write && offset >= 0 && offset + size <= this.options.contextBytes) {
      return { how: "plain" };
    }
    if (this.isInside(known, access)) return { how: "plain" };
    return this.cluster(access, placeOf(known, register));
  }

  /** Wherever in its range the pointer is, the access is good. */
  private isInside(known: Known | null, { offset, size, write }: Access): boolean {
    if (known?.kind === "value") return (!write || known.writable) && coversAccess(known, offset, size);
    const range = rangeOf(known);
    return range !== null && this.options.isFixed(range.min + offset, range.max - range.min + size, write);
  }

  private cluster(access: Access, place: string): Plan {
    const { id, delta } = this.values[access.register] ?? { id: -1, delta: 0 };
    const open = this.open.get(id);
    // Far offsets would make one check fail for the sake of another.
    const at = access.offset + delta - (open?.base ?? delta);
    if (open === undefined || Math.abs(at) > 4096) {
      const { register, offset, size, write } = access;
      const cluster: Cluster = {
        ...{ register, place },
        accesses: [access],
        from: offset,
        to: offset + size,
        write,
        inLoop: this.inLoop,
      };
      this.open.set(id, { cluster, base: delta });
      return { how: "check", cluster };
    }
    const { cluster } = open;
    cluster.accesses.push({ ...access, offset: at });
    cluster.from = Math.min(cluster.from, at);
    cluster.to = Math.max(cluster.to, at + access.size);
    cluster.write ||= access.write;
    return { how: "plain" };
  }

  /** Which value each register holds behind the instruction. */
  private track(pc: number): void {
    const { code, values } = this;
    const opcode = code.opcode[pc] ?? 0;
    const d = code.dst[pc] ?? 0;
    const kind = opcode & 7;
    if (kind === insnClass.alu64 || kind === insnClass.alu) {
      values[d] = this.result(pc, opcode, values[d] ?? this.fresh());
    } else if (kind === insnClass.ldx) values[d] = this.fresh();
    else if (kind === insnClass.ld) values[opcode === LDDW ? d : 0] = this.fresh();
    else if (isCall(code, pc)) for (let i = 0; i < 6; i++) values[i] = this.fresh();
    else if (kind === insnClass.stx && (opcode & 0xe0) === modeBits.atomic) {
      const result = atomicResult(code, pc);
      if (result >= 0) values[result] = this.fresh();
    }
  }

  private result(pc: number, opcode: number, old: Value): Value {
    const { code, values } = this;
    if ((opcode & 7) !== insnClass.alu64) return this.fresh();
    const op = opcode & 0xf0;
    const fromRegister = (opcode & 8) !== 0;
    if (op === aluBits.mov && fromRegister && code.offset[pc] === 0) return values[code.src[pc] ?? 0] ?? this.fresh();
    if (fromRegister || (op !== aluBits.add && op !== aluBits.sub)) return this.fresh();
    const by = code.imm[pc] ?? 0;
    return { id: old.id, delta: old.delta + (op === aluBits.add ? by : -by) };
  }

  private fresh(): Value {
    return { id: this.nextId++, delta: 0 };
  }
}

function isCall(code: Code, pc: number): boolean {
  const opcode = code.opcode[pc] ?? 0;
  return (opcode & 7) === insnClass.jmp && (opcode & 0xf0) === jmpBits.call;
}

/** Calls, and packet loads: past the packet's end they end the function. */
function endsClusters(code: Code, pc: number): boolean {
  const opcode = code.opcode[pc] ?? 0;
  return isCall(code, pc) || ((opcode & 7) === insnClass.ld && opcode !== LDDW);
}

/** By instruction. `states`: what is known at the start of each block. */
export function planAccesses(
  code: Code,
  graph: Graph,
  how: { states: readonly State[]; options: AccessOptions },
): ReadonlyMap<number, Plan> {
  const plans = new Map<number, Plan>();
  const loops = blocksInLoops(graph);
  for (const block of graph.blocks) {
    const state = how.states[block.index];
    if (state === undefined) continue;
    new BlockPlanner(code, state, { options: how.options, plans, inLoop: loops[block.index] === 1 }).run(block);
  }
  return plans;
}
