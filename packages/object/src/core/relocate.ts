import { slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { essentialName } from "../btf/flavor.ts";
import type { BtfTypes, BtfView } from "../btf/types.ts";
import { typeName } from "../btf/walk.ts";
import { viewOf } from "../btf/view.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import type { LinkedProgram } from "../link/program.ts";
import type { CoreRelocation } from "../spec.ts";
import { accessText, parseAccess } from "./access.ts";
import type { Access } from "./access.ts";
import { sameKind } from "./compatible.ts";
import { CORE_KINDS } from "./kinds.ts";
import type { CoreKind } from "./kinds.ts";
import { matchAccess } from "./match.ts";
import { patchInstruction } from "./patch.ts";
import { sideValue } from "./value.ts";
import type { SideValue } from "./value.ts";

/** How one CO-RE relocation was resolved. */
export interface CoreResult {
  /** Slot of the instruction in the linked program. */
  readonly slot: number;
  readonly kind: CoreKind;
  /** What the program asks for, such as `struct task_struct.mm.start_code`. */
  readonly wanted: string;
  /** What it is in the target; null where the target has no such thing. */
  readonly found: string | null;
  /** What the instruction was given; null where it was poisoned: it must not be reached. */
  readonly value: bigint | null;
  /** Why it was poisoned, for people. */
  readonly problem?: string;
}

/** `coreRelocations` is empty: they are done. */
export interface RelocatedProgram extends LinkedProgram {
  readonly results: readonly CoreResult[];
}

export interface RelocateOptions {
  /** The object's types. */
  readonly local: BtfTypes | BtfView;
  /** The kernel's types. */
  readonly target: BtfTypes | BtfView;
  /** Types of the kernel's modules (split BTF); asked only where the kernel has no type of a name. */
  readonly modules?: () => readonly BtfView[];
  /** Of the program and the target. Default little. */
  readonly byteOrder?: ByteOrder;
}

interface Candidate {
  readonly btf: BtfView;
  readonly id: number;
}

/** Applies a program's CO-RE relocations. For several programs of an object make one `CoreRelocator`. */
export function relocate(linked: LinkedProgram, options: RelocateOptions): RelocatedProgram {
  return new CoreRelocator(options).relocate(linked);
}

/**
 * Applies CO-RE relocations as libbpf does (relo_core.c): candidates are types of the same kind and name without flavor; all that match must
 * agree; where none matches, existence is 0 and anything else poisons the instruction.
 */
export class CoreRelocator {
  private readonly local: BtfView;
  private readonly target: BtfView;
  private readonly modules: () => readonly BtfView[];
  private readonly byteOrder: ByteOrder;
  /** By root type. A relocation that some candidates match keeps only those for the next ones. */
  private readonly candidates = new Map<number, Candidate[]>();

  constructor(options: RelocateOptions) {
    this.local = viewOf(options.local);
    this.target = viewOf(options.target);
    this.modules = options.modules ?? (() => []);
    this.byteOrder = options.byteOrder ?? "little";
  }

  /** Throws `ObjectError` `relocation` for relocations that are malformed, ambiguous or do not fit their instruction. */
  relocate(linked: LinkedProgram): RelocatedProgram {
    const replaced = new Map<number, readonly Instruction[]>();
    const slotOf = instructionSlots(linked.instructions);
    const results = linked.coreRelocations.map((relocation) => {
      const insn = replaced.get(relocation.at)?.[0] ?? linked.instructions[relocation.at];
      const slot = slotOf[relocation.at];
      if (insn === undefined || slot === undefined)
        throw new ObjectError("relocation", `${linked.name}: no instruction ${relocation.at}`);
      const { instructions, result } = this.apply(relocation, insn, { program: linked.name, slot });
      replaced.set(relocation.at, instructions);
      return result;
    });
    return { ...replaceInstructions(linked, replaced), coreRelocations: [], results };
  }

  private apply(
    relocation: CoreRelocation,
    insn: Instruction,
    where: { program: string; slot: number },
  ): { instructions: readonly Instruction[]; result: CoreResult } {
    const kind = CORE_KINDS[relocation.kind];
    const place = `${where.program}: CO-RE relocation at instruction ${where.slot}`;
    if (kind === undefined) throw new ObjectError("relocation", `${place}: kind ${relocation.kind} is unknown`);
    const access = parseAccess(this.local, relocation.typeId, { kind, access: relocation.access });
    const local = sideValue(kind, access, this.byteOrder);
    if (local === null)
      throw new ObjectError("relocation", `${place}: ${accessText(access)} has no value in the object`);
    const { target, found } = kind === "type_id_local" ? { target: local, found: access } : this.resolve(access, place);
    const { instructions, problem } = patchInstruction(insn, { target, local, place });
    const wanted = accessText(access);
    const missing = target === null ? `the target has no ${wanted}` : problem;
    return {
      instructions,
      result: {
        slot: where.slot,
        kind,
        wanted,
        found: found === null ? null : accessText(found),
        value: missing === undefined && target !== null ? target.value : null,
        ...(missing === undefined ? {} : { problem: missing }),
      },
    };
  }

  /** The value that every candidate that matches agrees on. */
  private resolve(access: Access, place: string): { target: SideValue | null; found: Access | null } {
    let first: { target: SideValue | null; found: Access } | null = null;
    const matching: Candidate[] = [];
    for (const candidate of this.candidatesOf(access, place)) {
      const found = matchAccess(access, candidate.btf, candidate.id);
      if (found === null) continue;
      const target = sideValue(access.kind, found, this.byteOrder);
      matching.push(candidate);
      if (first === null) {
        first = { target, found };
      } else if (found.bitOffset !== first.found.bitOffset || target?.value !== first.target?.value) {
        throw new ObjectError(
          "relocation",
          `${place}: ${accessText(access)} is ambiguous: the target has several that differ`,
        );
      }
    }
    if (matching.length > 0) this.candidates.set(access.rootId, matching);
    return first ?? { target: sideValue(access.kind, null, this.byteOrder), found: null };
  }

  private candidatesOf(access: Access, place: string): readonly Candidate[] {
    const known = this.candidates.get(access.rootId);
    if (known !== undefined) return known;
    const root = this.local.get(access.rootId);
    const name = root === null ? "" : essentialName(typeName(root));
    if (name === "") throw new ObjectError("relocation", `${place}: types without a name cannot be relocated`);
    const within = (btf: BtfView): Candidate[] =>
      btf.flavors(name).flatMap((id) => (id >= btf.firstId && sameKind(root, btf.get(id)) ? [{ btf, id }] : []));
    const inKernel = within(this.target);
    const found = inKernel.length > 0 ? inKernel : this.modules().flatMap(within);
    this.candidates.set(access.rootId, found);
    return found;
  }
}

function instructionSlots(instructions: readonly Instruction[]): number[] {
  let slot = 0;
  return instructions.map((insn) => {
    const at = slot;
    slot += slots(insn);
    return at;
  });
}

/** A poisoned `lddw` becomes two instructions: what indexes instructions moves, slots stay. */
function replaceInstructions(
  linked: LinkedProgram,
  replaced: ReadonlyMap<number, readonly Instruction[]>,
): LinkedProgram {
  const instructions: Instruction[] = [];
  const moved: number[] = [];
  linked.instructions.forEach((insn, index) => {
    moved.push(instructions.length);
    instructions.push(...(replaced.get(index) ?? [insn]));
  });
  moved.push(instructions.length);
  const to = (at: number) => moved[at] ?? at;
  return {
    ...linked,
    instructions,
    references: linked.references.map((reference) => ({ ...reference, at: to(reference.at) })),
    functions: linked.functions.map((fn) => ({ ...fn, at: to(fn.at), count: to(fn.at + fn.count) - to(fn.at) })),
    coreRelocations: linked.coreRelocations.map((relocation) => ({ ...relocation, at: to(relocation.at) })),
  };
}
