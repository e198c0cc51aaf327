/**
 * @module
 * BPF_PROG_LOAD: what references stand for is filled in, the verifier's log is asked for only when it refuses.
 */
import { attachTypeNumber, encode, programTypeNumber, slotCount, type Instruction } from "@skep/isa";
import {
  ObjectError,
  resolveSymbols,
  type BtfTypes,
  type CoreResult,
  type KernelSymbol,
  type LinkedProgram,
  type LoadReference,
  type ProgramSpec,
} from "@skep/object";
import { Descriptor, SyscallError } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";
import type { AttachPoint } from "./attach-point.ts";
import type { LoadedTypes } from "./btf-load.ts";
import { allModuleTypes, kernelTypes, openModuleBtf } from "./kernel-btf.ts";
import { kernelVersion } from "./kernel-version.ts";
import { kernelSymbolAddress } from "./kernel-symbols.ts";
import type { LinuxMap } from "./map.ts";
import { NotSupportedError } from "./not-supported.ts";
import {
  allFeatures,
  hasOptionalAttachType,
  missingFeatures,
  withOlderHelpers,
  type LoadFeatures,
} from "./old-kernels.ts";
import { LinuxProgram, type ProgramOrigin } from "./program.ts";
import { isPassing } from "./probes/run.ts";
import { probeProgramType } from "./probes/program-types.ts";
import { programTypesSince } from "./probes/since.ts";
import { VerifierError } from "./verifier-error.ts";
import { summarizeLog } from "./verifier-log.ts";

export interface ProgramParts {
  readonly spec: ProgramSpec;
  readonly linked: LinkedProgram;
  readonly relocations: readonly CoreResult[];
  readonly license: string;
  readonly localTypes: BtfTypes;
  readonly maps: Readonly<Record<string, LinuxMap>>;
  /** Maps that belong to the program also where it does not use them: read-only data, in which tools find what describes it. */
  readonly bound: readonly LinuxMap[];
  readonly types: LoadedTypes | null;
  /** Closed here. */
  readonly point: AttachPoint;
  readonly kernelVersion?: number;
  readonly logLevel?: number;
  readonly interface?: number;
  /** Descriptor of a BPF token, 0 for none. */
  readonly token: number;
}

/** BTF of modules whose functions a program calls: index 0 of the array is the kernel itself. */
class ModuleFds {
  readonly #open: { readonly module: string; readonly descriptor: Descriptor }[] = [];

  indexOf(module: string | null): number {
    if (module === null) return 0;
    let at = this.#open.findIndex((each) => each.module === module);
    if (at < 0) {
      const descriptor = openModuleBtf(module);
      if (!descriptor) throw new NotSupportedError(`functions of module ${module}`);
      at = this.#open.push({ module, descriptor }) - 1;
    }
    return at + 1;
  }

  fdOf(module: string | null): number {
    const index = this.indexOf(module);
    return this.#open[index - 1]?.descriptor.fd ?? 0;
  }

  bytes(): Uint8Array {
    if (this.#open.length === 0) return new Uint8Array(0);
    return new Uint8Array(new Int32Array([0, ...this.#open.map((each) => each.descriptor.fd)]).buffer);
  }

  close(): void {
    for (const { descriptor } of this.#open) descriptor.close();
  }
}

/**
 * Numbers of helpers that there are not: the verifier only accepts the call of a missing function where it cannot be reached, and its
 * refusal names the number, which is the reference's (libbpf: POISON_CALL_KFUNC_BASE).
 */
const MISSING_FUNCTION = 2_002_000_000;

interface Resolution {
  readonly parts: ProgramParts;
  readonly symbols: ReadonlyMap<string, KernelSymbol>;
  readonly modules: ModuleFds;
}

function resolveReference(insn: Instruction, reference: LoadReference, resolution: Resolution): Instruction {
  const { parts, symbols, modules } = resolution;
  switch (reference.kind) {
    case "map":
    case "data": {
      const map = parts.maps[reference.map];
      if (!map) throw new RangeError(`${parts.spec.name}: the object has no map ${reference.map}`);
      return { ...insn, imm: map.fd };
    }
    case "kfunc": {
      const symbol = symbols.get(reference.name);
      if (symbol?.kind !== "btf") {
        const imm = MISSING_FUNCTION + parts.linked.references.indexOf(reference);
        return { ...insn, src: 0, offset: 0, imm };
      }
      return { ...insn, imm: symbol.id, offset: modules.indexOf(symbol.module) };
    }
    case "ksym": {
      const symbol = symbols.get(reference.name);
      if (symbol?.kind === "btf") return { ...insn, imm: symbol.id, immHigh: modules.fdOf(symbol.module) };
      // A weak symbol that is missing is the null pointer.
      const address = symbol?.kind === "address" ? symbol.address : 0n;
      const imm = Number(BigInt.asIntN(32, address));
      return { ...insn, src: 0, imm, immHigh: Number(BigInt.asIntN(32, address >> 32n)) };
    }
  }
}

function resolved(parts: ProgramParts, modules: ModuleFds): Instruction[] {
  const { linked } = parts;
  const needsSymbols = linked.references.some(({ kind }) => kind === "kfunc" || kind === "ksym");
  const symbols: ReadonlyMap<string, KernelSymbol> = needsSymbols
    ? resolveSymbols(linked, parts.localTypes, {
        types: kernelTypes(),
        modules: allModuleTypes,
        address: kernelSymbolAddress,
      })
    : new Map<string, KernelSymbol>();
  const instructions = [...linked.instructions];
  for (const reference of linked.references) {
    const insn = instructions[reference.at];
    if (insn) instructions[reference.at] = resolveReference(insn, reference, { parts, symbols, modules });
  }
  return instructions;
}

function numbersOf(parts: ProgramParts): { readonly type: number; readonly attachType: number } {
  const { spec, point } = parts;
  if (spec.type === "unspec")
    throw new ObjectError("program", `${spec.name}: the name of section ${spec.section} is of no type of program`);
  const type = programTypeNumber(spec.type);
  if (type === null) throw new TypeError(`${spec.name}: unknown program type ${spec.type}`);
  const attachType = spec.attachType === undefined ? 0 : attachTypeNumber(spec.attachType);
  if (attachType === null) throw new TypeError(`${spec.name}: unknown attach type ${spec.attachType}`);
  return { type, attachType: point.attachType ?? attachType };
}

const BPF_F_TOKEN_FD = 1 << 16;

/** Makes the command's argument, anew for each attempt. */
function argument(parts: ProgramParts, modules: ModuleFds, features: LoadFeatures): () => Attributes {
  const { spec, point, types, token } = parts;
  const all = resolved(parts, modules);
  const instructions = features.probeReadKernel ? all : withOlderHelpers(all);
  const code = encode(instructions);
  const { type, attachType } = numbersOf(parts);
  const isTyped = features.attachTypes || !hasOptionalAttachType(spec);
  const info = types?.programs[spec.name];
  return () => {
    const filled = new Attributes()
      .u32(0, type)
      .u32(4, slotCount(instructions))
      .pointer(8, code)
      .text(16, parts.license)
      .u32(40, spec.type === "kprobe" ? (parts.kernelVersion ?? kernelVersion()) : 0)
      .u32(44, spec.flags | (token ? BPF_F_TOKEN_FD : 0))
      .name(48, features.names ? spec.name : "")
      .u32(64, parts.interface ?? 0)
      .u32(68, isTyped ? attachType : 0)
      .u32(108, point.btfId)
      .u32(112, point.fd)
      .pointer(120, modules.bytes())
      .u32(144, token);
    if (!types) return filled;
    // Types also without function information: what the program's maps and kernel functions are checked against.
    filled.u32(72, types.descriptor.fd);
    if (!info || info.funcInfo.byteLength === 0) return filled;
    return filled
      .u32(76, info.funcInfoRecordSize)
      .pointer(80, info.funcInfo)
      .u32(88, info.funcInfo.byteLength / info.funcInfoRecordSize)
      .u32(92, info.lineInfo.byteLength > 0 ? info.lineInfoRecordSize : 0)
      .pointer(96, info.lineInfo)
      .u32(104, info.lineInfo.byteLength / info.lineInfoRecordSize);
  };
}

const EAGAIN = -11;
const ENOSPC = -28;
const FIRST_LOG = 256 * 1024;
// The kernel's own limit is UINT_MAX / 4.
const LAST_LOG = 64 * 1024 * 1024;

/** The verifier gives up with EAGAIN when a signal is pending (do_check): it is asked again. */
function tryLoad(attributes: () => Attributes): number {
  for (let attempt = 0; ; attempt++) {
    const result = attributes().try("prog_load");
    if (result !== EAGAIN || attempt >= 5) return result;
  }
}

interface Logged {
  readonly result: number;
  readonly log: string;
  readonly truncated: boolean;
}

/** Loads with a log, in a larger buffer as long as it does not fit. */
function loadLogged(attributes: () => Attributes, level: number): Logged {
  for (let size = FIRST_LOG; ; size *= 4) {
    const log = new Uint8Array(size);
    const result = tryLoad(() => attributes().u32(24, level).u32(28, size).pointer(32, log));
    const truncated = result === ENOSPC;
    if (truncated && size < LAST_LOG) continue;
    const end = log.indexOf(0);
    return { result, log: new TextDecoder().decode(log.subarray(0, end < 0 ? size : end)), truncated };
  }
}

/** What the verifier means by a helper that there is not; null where it means something else. */
function missingFunction(message: string, linked: LinkedProgram): string | null {
  const number = /invalid func unknown#(\d+)/.exec(message)?.[1];
  const reference = number === undefined ? undefined : linked.references[Number(number) - MISSING_FUNCTION];
  return reference?.kind === "kfunc" ? `the kernel has no function ${reference.name}` : null;
}

/** What a failed load was refused for. */
function loadFailure(parts: ProgramParts, first: SyscallError, logged: Logged): Error {
  const { spec, linked, relocations } = parts;
  const { message } = summarizeLog(logged.log);
  // Statistics alone are not a reason.
  if (message !== "") {
    const { truncated } = logged;
    const problem = missingFunction(message, linked);
    return new VerifierError(spec.name, logged.log, {
      ...{ lines: linked.lines, relocations, cause: first, truncated },
      ...(problem === null ? {} : { problem }),
    });
  }
  const kind = spec.attachType ? `${spec.type} programs of ${spec.attachType}` : `${spec.type} programs`;
  // The capabilities are there, or nothing would have been tried: the kernel's policy refuses the kind.
  if (first.code === "EPERM" && !parts.token)
    return new NotSupportedError(kind, { detail: "refused by the kernel's policy", cause: first });
  const isUnknown = first.code === "EINVAL" && spec.type !== "ext" && !probeProgramType(spec.type, spec.attachType);
  if (!isUnknown) return first;
  const minKernel = spec.attachType ? null : (programTypesSince[spec.type] ?? null);
  return new NotSupportedError(kind, { minKernel, cause: first });
}

/** As the kernel takes it: on an old one without what that does not know. */
function load(parts: ProgramParts, modules: ModuleFds): LinuxProgram {
  const result = attempt(parts, argument(parts, modules, allFeatures));
  if (!(result instanceof Error)) return result;
  if (result instanceof SyscallError && isPassing(-result.errno)) throw result;
  const features = missingFeatures();
  const reduced = features ? attempt(parts, argument(parts, modules, features)) : result;
  if (reduced instanceof Error) throw reduced;
  return reduced;
}

/** The program, or what it was refused for. */
function attempt(parts: ProgramParts, attributes: () => Attributes): LinuxProgram | Error {
  const origin = originOf(parts.spec);
  const made = (fd: number, log = "") => {
    const descriptor = new Descriptor(fd, "program");
    // A kernel before 5.10 cannot, and nothing that runs depends on it (libbpf: bpf_object_load_prog).
    for (const map of parts.bound) new Attributes().u32(0, fd).u32(4, map.fd).try("prog_bind_map");
    return new LinuxProgram(descriptor, { origin, log });
  };
  const failed = (result: number) => bpfError("prog_load", -result, parts.spec.name);
  const result = parts.logLevel ? 0 : tryLoad(attributes);
  if (!parts.logLevel && result >= 0) return made(result);
  // No log tells more of a lack of memory or descriptors.
  if (isPassing(result)) return failed(result);
  const logged = loadLogged(attributes, parts.logLevel ?? 1);
  if (logged.result >= 0) return made(logged.result, logged.log);
  return loadFailure(parts, failed(result < 0 ? result : logged.result), logged);
}

/** Throws `VerifierError`, `NotSupportedError`, `SyscallError`, or `ObjectError` for symbols that the kernel has not. */
export function loadProgram(parts: ProgramParts): LinuxProgram {
  const modules = new ModuleFds();
  try {
    return load(parts, modules);
  } finally {
    modules.close();
    parts.point.close();
  }
}

function originOf(spec: ProgramSpec): ProgramOrigin {
  return {
    name: spec.name,
    section: spec.section,
    ...(spec.attachType === undefined ? {} : { attachType: spec.attachType }),
    ...(spec.attachTo === undefined ? {} : { attachTo: spec.attachTo }),
  };
}
