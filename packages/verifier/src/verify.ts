/**
 * @module
 * Verification of a program of an object: everything that the kernel's verifier asks, with an answer that explains.
 */
import { CALL, programTypeNumber, pseudoCall } from "@skep/isa";
import type { Diagnostic } from "@skep/isa";
import { essentialName, linkProgram, relocate, resolveSymbol, viewOf } from "@skep/object";
import type { BtfTypes, BtfView, LinkedProgram, ObjectSpec, ProgramSpec, SymbolReference } from "@skep/object";
import { callsBack } from "./calls/callbacks.ts";
import { argumentRegister, globalArguments, returnsNumber } from "./calls/global.ts";
import type { GlobalArgument } from "./calls/global.ts";
import { functionCallsBack, isIteratorNext, kernelFunctionArguments } from "./calls/kfunc.ts";
import { Env } from "./env.ts";
import { explain } from "./explain/refusal.ts";
import type { Refusal } from "./explain/refusal.ts";
import { budgetOf } from "./explain/budget.ts";
import type { Budget } from "./explain/budget.ts";
import { checkPrivilege } from "./privilege/check.ts";
import type { Privilege } from "./privilege/privilege.ts";
import { mapWarnings } from "./privilege/maps.ts";
import { prototypeOf } from "./helpers/prototypes.ts";
import { KernelTypes } from "./kernel/types.ts";
import { stackPointer } from "./calls/callbacks.ts";
import { isLocalCall, layOut, lineOf } from "./program/code.ts";
import type { Code, FunctionPart, Target } from "./program/code.ts";
import { checkStackDepth } from "./program/depth.ts";
import { checkFlow, malformed, statePoints } from "./program/flow.ts";
import { liveRegisters } from "./program/liveness.ts";
import { checkVersions } from "./program/versions.ts";
import { programKind } from "./program/kinds.ts";
import { mapInfo } from "./program/maps.ts";
import type { MapInfo } from "./program/maps.ts";
import { Explored } from "./pruning/visit.ts";
import { UNKNOWN, kind, pointer } from "./register.ts";
import { Breach } from "./rules.ts";
import type { Rule } from "./rules.ts";
import { Frame, State } from "./state.ts";
import { BUDGET, walk } from "./walk.ts";

export interface VerifyOptions {
  /** Types of the kernel that the program is for: for CO-RE relocations, kernel functions and objects. */
  readonly kernelTypes?: BtfTypes | BtfView;
  /** Such as "5.10": what that kernel does not know is refused. Default: 6.18. */
  readonly kernel?: string;
  /** Bytes of data sections by map, instead of the object's. */
  readonly contents?: ReadonlyMap<string, Uint8Array>;
  /** CPUs of the machine that the program is for; default: as many as any may have, 8,192. */
  readonly cpus?: number;
  /** What the user may who loads the program; default "all". */
  readonly privilege?: Privilege;
  /** Instructions that may be walked; default 1,000,000, for kernels before 5.2 131,072. */
  readonly budget?: number;
}

export interface Verification {
  readonly program: string;
  /** Null: the program is accepted. */
  readonly refusal: Refusal | null;
  /** What is doubtful and no reason to refuse. */
  readonly diagnostics: readonly Diagnostic[];
  readonly budget: Budget;
}

/** A program as it is loaded: linked, its relocations resolved. */
export interface LoadedProgram {
  readonly program: ProgramSpec;
  readonly linked: Pick<LinkedProgram, "instructions" | "references" | "functions" | "lines" | "funcInfo">;
  /** The object: maps, types, licence. */
  readonly object: ObjectSpec;
}

/** Throws `ObjectError` for an object that does not hold together. */
export function verify(object: ObjectSpec, name: string, options: VerifyOptions = {}): Verification {
  const program = object.programs[name];
  if (program === undefined) throw new RangeError(`there is no program ${name}`);
  let linked = linkProgram(object, name);
  const { kernelTypes } = options;
  if (linked.coreRelocations.length > 0 && object.btf !== undefined && kernelTypes !== undefined) {
    linked = relocate(linked, { local: object.btf, target: kernelTypes });
  }
  return verifyLoaded({ program, linked, object }, options);
}

/** BPF_COMPLEXITY_LIMIT_INSNS: of kernels before 5.2 less. */
function budgetOfKernel(version: number): number {
  return version < 5002 ? 131_072 : BUDGET;
}

/** Verifies a program that is linked already. */
export function verifyLoaded(loaded: LoadedProgram, options: VerifyOptions = {}): Verification {
  return new Verifying(loaded, options, []).run();
}

/** With rules that are not enforced: for tests of the verifier itself, and not of the package's interface. */
export function verifyWithout(
  rules: readonly Rule[],
  loaded: LoadedProgram,
  options: VerifyOptions = {},
): Verification {
  return new Verifying(loaded, options, rules).run();
}

/** Major times 1000 plus minor. Throws `RangeError` for what is no version. */
export function kernelNumber(version: string): number {
  const match = /^(\d+)\.(\d+)/.exec(version);
  if (match === null) throw new RangeError(`${version} is no kernel version`);
  return Number(match[1]) * 1000 + Number(match[2]);
}

const kernels = new WeakMap<object, KernelTypes>();

function kernelTypesOf(types: BtfTypes | BtfView | undefined): KernelTypes | null {
  if (types === undefined) return null;
  let known = kernels.get(types);
  if (known === undefined) kernels.set(types, (known = new KernelTypes(types)));
  return known;
}

class Verifying {
  private readonly loaded: LoadedProgram;
  private readonly options: VerifyOptions;
  private readonly disabled: readonly Rule[];

  constructor(loaded: LoadedProgram, options: VerifyOptions, disabled: readonly Rule[]) {
    this.disabled = disabled;
    this.loaded = loaded;
    this.options = options;
  }

  run(): Verification {
    const { options } = this;
    const { object, program } = this.loaded;
    const kernel = kernelTypesOf(options.kernelTypes);
    const types = object.btf === undefined ? null : viewOf(object.btf);
    const env = new Env(this.layOut({ own: types, kernel }), {
      kind: programKind(object, program, {
        kernel,
        version: kernelNumber(options.kernel ?? "6.18"),
        privilege: options.privilege ?? "all",
      }),
      types,
      kernel,
      disabled: new Set(this.disabled),
    });
    env.cpus = options.cpus ?? env.cpus;
    const explored: Explored[] = [];
    let refusal: Refusal | null = null;
    try {
      this.check(env, explored);
    } catch (error) {
      if (!(error instanceof Breach)) throw error;
      refusal = explain(env, error);
    }
    return {
      program: program.name,
      refusal,
      diagnostics: [...warningsOf(env), ...mapWarnings(env)],
      budget: budgetOf(env, explored),
    };
  }

  private layOut(types: Types): Code {
    const { linked, object } = this.loaded;
    const maps = new Map<string, MapInfo>();
    for (const [name, map] of Object.entries(object.maps)) {
      maps.set(name, mapInfo(map, object.btf, this.options.contents?.get(name) ?? null));
    }
    const targets = new Map<number, Target>();
    for (const reference of linked.references) {
      const target = targetOf(reference, maps, types);
      if (target !== null) targets.set(reference.at, target);
    }
    const isTyped = linked.funcInfo.length > 0;
    const functions = linked.functions.map((fn, index): FunctionPart => {
      const own = object.functions[fn.name] ?? object.programs[fn.name];
      const isGlobal = index > 0 && isTyped && own?.linkage !== "static" && own?.hidden !== true;
      return { name: fn.name, start: fn.at, typeId: fn.typeId ?? 0, isGlobal };
    });
    return layOut(linked.instructions, { targets, functions, lines: linked.lines });
  }

  private check(env: Env, done: Explored[]): void {
    const { code } = env;
    env.exceptionCallback = this.exceptionCallback(env, code);
    if (programTypeNumber(env.kind.type) === null)
      env.refuse("program-type", `there is no program type ${env.kind.type}`);
    checkMember(env);
    checkFlow(env);
    checkPrivilege(env);
    checkVersions(env);
    const problems = new Map<number, string>();
    code.instructions.forEach((insn, at) => {
      const problem = malformed(insn);
      if (problem !== null) problems.set(at, problem);
    });
    notePacketChanges(env);
    const argumentsOf = (at: number) => callArguments(code, at);
    const live = liveRegisters(code, argumentsOf);
    const calls = (at: number) =>
      code.opcode[at] === CALL && (code.src[at] === 0 ? callsBack(helperName(code, at)) : functionCallsBack(code, at));
    const isNext = (at: number) => isIteratorNext(code, at);
    const points = statePoints(code, calls, isNext);
    for (const index of entries(env)) {
      const explored = new Explored({ points, live, callsBack: calls, isNext });
      done.push(explored);
      env.exceptionEntry = index > 0 && index === env.exceptionSubprogram;
      env.state = this.entry(env, index);
      walk(env, {
        explored,
        prune: points.prune,
        malformed: problems,
        budget: this.options.budget ?? budgetOfKernel(env.kind.kernel),
      });
    }
    checkStackDepth(env);
  }

  /** What a declaration tag `exception_callback:NAME` of the program names. */
  private exceptionCallback(env: Env, code: Code): number {
    const { object, program } = this.loaded;
    if (object.btf === undefined || program.typeId === undefined) return -1;
    let found = -1;
    for (const type of object.btf.types) {
      if (type.kind !== "decl_tag" || type.typeId !== program.typeId || !type.name.startsWith("exception_callback:"))
        continue;
      const name = type.name.slice("exception_callback:".length);
      const start = code.subprograms.find((each) => each.name === name)?.start ?? -1;
      if (found >= 0 && start !== found) env.refuse("callback", "more than one function takes exceptions");
      found = start;
    }
    return found;
  }

  /** It takes one number and gives one. */
  private exceptionArguments(env: Env, index: number): readonly GlobalArgument[] {
    const args = globalArguments(env, index);
    const name = env.code.subprograms[index]?.name ?? "the function";
    if (args?.length !== 1 || args[0]?.kind !== "number" || !returnsNumber(env, index))
      env.refuse("callback", `${name} takes exceptions: it must take one number and give one`);
    return [{ kind: "number" }];
  }

  /** The state in which a function is entered. */
  private entry(env: Env, index: number): State {
    const frame = new Frame(index, -1, null);
    const state = new State([frame], env.code.subprograms[index]?.start ?? 0);
    env.at = state.at;
    frame.regs[10] = stackPointer(0);
    if (index === 0) {
      frame.regs[1] = pointer(kind.context);
      return state;
    }
    const args = env.exceptionEntry ? this.exceptionArguments(env, index) : globalArguments(env, index);
    if (args === null)
      env.refuse(
        "unused-function",
        `the prototype of ${env.code.subprograms[index]?.name ?? ""} cannot be used for verification`,
      );
    // Without the rule nothing is known of them.
    if (args === null) frame.regs.fill(UNKNOWN, 1, 6);
    args?.forEach((arg, i) => (frame.regs[i + 1] = argumentRegister(env, arg)));
    return state;
  }
}

/** Programs of kernel structs: some members take none (bpf_tcp_ca_check_member, bpf_dummy_ops_check_member). */
function checkMember(env: Env): void {
  const { type, isGpl, prototype, sleepable } = env.kind;
  if (type !== "struct_ops") return;
  if (!isGpl) env.refuse("licence", "programs of kernel structs need a GPL-compatible licence");
  const name = prototype?.name ?? "";
  const isAsleep = sleepable && name.startsWith("bpf_dummy_ops.") && name !== "bpf_dummy_ops.test_sleepable";
  if (name === "tcp_congestion_ops.get_info" || isAsleep)
    env.refuse("program-type", `${name} cannot be such a program`);
}

/** What the kernel takes and nobody means. */
function warningsOf(env: Env): Diagnostic[] {
  if (env.uninitialised < 0) return [];
  const line = lineOf(env.code, env.uninitialised);
  const span =
    line === null
      ? {}
      : { span: { file: line.file, line: line.line, column: Math.max(1, line.column), offset: 0, length: 0 } };
  const message = `instruction ${env.uninitialised} reads stack that was never written: what it finds there differs from run to run`;
  return [{ code: "VER9001", severity: "warning", message, hint: "Write the bytes first.", ...span }];
}

interface Types {
  readonly own: BtfView | null;
  readonly kernel: KernelTypes | null;
}

/** The kernel's name of a function; null: it has none, or one of another type. */
function functionOf(reference: SymbolReference, { own, kernel }: Types): string | null {
  const name = essentialName(reference.name);
  if (kernel === null) return name;
  if (kernel.named(name, "func") === 0) return null;
  const isOther =
    reference.weak && own !== null && resolveSymbol(reference, own, { types: kernel.view }).kind === "missing";
  return isOther ? null : name;
}

function targetOf(
  reference: LinkedProgram["references"][number],
  maps: ReadonlyMap<string, MapInfo>,
  types: Types,
): Target | null {
  switch (reference.kind) {
    case "map":
    case "data": {
      const map = maps.get(reference.map);
      if (map === undefined) return null;
      return reference.kind === "map" ? { kind: "map", map } : { kind: "value", map, offset: reference.offset };
    }
    case "kfunc":
      return { kind: "kfunc", name: reference.name, weak: reference.weak, fn: functionOf(reference, types) };
    case "ksym": {
      const { name, weak, typeId } = reference;
      const isFunction = typeId !== undefined && types.own?.get(typeId)?.kind === "func";
      return {
        kind: "ksym",
        name,
        weak,
        typed: typeId !== undefined,
        fn: isFunction ? functionOf(reference, types) : null,
      };
    }
  }
}

function helperName(code: Code, at: number): string {
  return prototypeOf(code.imm[at] as number)?.helper.name ?? "";
}

function callArguments(code: Code, at: number): number {
  const src = code.src[at] as number;
  if (src === pseudoCall.kfunc) return kernelFunctionArguments(code, at);
  if (src === pseudoCall.local) return 5;
  return prototypeOf(code.imm[at] as number)?.args.length ?? 5;
}

/** The program, then every global function that is called. */
function* entries(env: Env): Generator<number> {
  const { code } = env;
  yield 0;
  const called = new Set<number>();
  if (env.exceptionCallback >= 0) called.add(env.exceptionSubprogram);
  for (let at = 0; at < code.count; at++) {
    if (!isLocalCall(code, at)) continue;
    const index = code.subprogramOf[code.target[at] as number] as number;
    if (code.subprograms[index]?.isGlobal === true) called.add(index);
  }
  yield* [...called].sort((a, b) => a - b);
}

/** Functions that, or whose callees, move or change the packet. */
function notePacketChanges(env: Env): void {
  const { code } = env;
  for (let changed = true; changed;) {
    changed = false;
    for (const each of code.subprograms) {
      if (env.changesPackets.has(each.index)) continue;
      for (let at = each.start; at < each.end; at++) {
        if (code.opcode[at] !== CALL) continue;
        const changes = isLocalCall(code, at)
          ? env.changesPackets.has(code.subprogramOf[code.target[at] as number] as number)
          : code.src[at] === 0 && prototypeOf(code.imm[at] as number)?.helper.changesPacketData === true;
        if (!changes) continue;
        env.changesPackets.add(each.index);
        changed = true;
        break;
      }
    }
  }
}
