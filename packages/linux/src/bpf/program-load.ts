/**
 * @module
 * BPF_PROG_LOAD: what references stand for is filled in, the verifier's log is asked for only when it refuses.
 */
import { release } from "node:os";
import { attachTypeNumber, encode, programTypeNumber, slotCount, type Instruction } from "@skep/isa";
import type { LinkedProgram, LoadReference, ProgramInfo, ProgramSpec } from "@skep/object";
import { Descriptor, type SyscallError } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";
import { attachPoint, type AttachPoint } from "./attach-point.ts";
import { findKernelType, openModuleBtf } from "./kernel-btf.ts";
import { kernelSymbolAddress } from "./kernel-symbols.ts";
import type { LinuxMap } from "./map.ts";
import { NotSupportedError } from "./not-supported.ts";
import { LinuxProgram, type ProgramOrigin } from "./program.ts";
import { VerifierError } from "./verifier-error.ts";

export interface ProgramParts {
  readonly spec: ProgramSpec;
  readonly linked: LinkedProgram;
  readonly license: string;
  readonly maps: Readonly<Record<string, LinuxMap>>;
  /** The object's BTF in the kernel. */
  readonly btf: Descriptor | null;
  readonly info: ProgramInfo | null;
  /** Asks for the verifier's log also where it accepts: 1 or 2, 4 for statistics alone. */
  readonly logLevel?: number;
}

/** Names that the program needs and the kernel has not. */
export class UnresolvedError extends Error {
  override readonly name = "UnresolvedError";
  readonly program: string;
  readonly symbol: string;

  constructor(program: string, kind: string, symbol: string) {
    super(`${program}: the kernel has no ${kind} ${symbol}`);
    this.program = program;
    this.symbol = symbol;
  }
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

  bytes(): Uint8Array {
    if (this.#open.length === 0) return new Uint8Array(0);
    return new Uint8Array(new Int32Array([0, ...this.#open.map((each) => each.descriptor.fd)]).buffer);
  }

  close(): void {
    for (const { descriptor } of this.#open) descriptor.close();
  }
}

/** An instruction that the verifier only accepts where it cannot be reached: a weak symbol that is missing. */
const POISON = 0xbad2310;

function resolveReference(
  insn: Instruction,
  reference: LoadReference,
  parts: ProgramParts,
  modules: ModuleFds,
): Instruction {
  switch (reference.kind) {
    case "map":
    case "data": {
      const map = parts.maps[reference.map];
      if (!map) throw new UnresolvedError(parts.linked.name, "map", reference.map);
      return { ...insn, imm: map.fd };
    }
    case "kfunc": {
      const type = findKernelType(reference.name, "func");
      if (type) return { ...insn, imm: type.id, offset: modules.indexOf(type.module) };
      if (reference.weak) return { ...insn, src: 0, offset: 0, imm: POISON };
      throw new UnresolvedError(parts.linked.name, "function", reference.name);
    }
    case "ksym":
      return resolveSymbol(insn, reference, parts, modules);
  }
}

function resolveSymbol(
  insn: Instruction,
  reference: Extract<LoadReference, { kind: "ksym" }>,
  parts: ProgramParts,
  modules: ModuleFds,
): Instruction {
  if (reference.typeId !== undefined) {
    const type = findKernelType(reference.name, "var") ?? findKernelType(reference.name, "func");
    if (type) {
      const index = modules.indexOf(type.module);
      return { ...insn, imm: type.id, immHigh: index === 0 ? 0 : moduleFd(modules, index) };
    }
    // A weak symbol that is missing is the null pointer.
    if (reference.weak) return { ...insn, src: 0, imm: 0, immHigh: 0 };
    throw new UnresolvedError(parts.linked.name, "symbol", reference.name);
  }
  const address = kernelSymbolAddress(reference.name);
  if (address === null && !reference.weak) throw new UnresolvedError(parts.linked.name, "symbol", reference.name);
  const value = address ?? 0n;
  return { ...insn, imm: Number(BigInt.asIntN(32, value)), immHigh: Number(BigInt.asIntN(32, value >> 32n)) };
}

/** A typed symbol of a module carries the BTF's descriptor itself, not its index. */
function moduleFd(modules: ModuleFds, index: number): number {
  return new Int32Array(modules.bytes().buffer)[index] ?? 0;
}

function resolved(parts: ProgramParts, modules: ModuleFds): Instruction[] {
  const instructions = [...parts.linked.instructions];
  for (const reference of parts.linked.references) {
    const insn = instructions[reference.at];
    if (insn) instructions[reference.at] = resolveReference(insn, reference, parts, modules);
  }
  return instructions;
}

/** LINUX_VERSION_CODE of the running kernel: kernels before 5.0 want it of kprobe programs. */
function kernelVersion(): number {
  const [major = 0, minor = 0, patch = 0] = release().split(/[.-]/).map(Number);
  return (major << 16) | (minor << 8) | Math.min(Number.isNaN(patch) ? 0 : patch, 255);
}

interface Filled {
  readonly attributes: () => Attributes;
  readonly point: AttachPoint;
}

function fill(parts: ProgramParts, modules: ModuleFds, point: AttachPoint): Filled {
  const { spec, info } = parts;
  const instructions = resolved(parts, modules);
  const code = encode(instructions);
  const type = programTypeNumber(spec.type);
  if (type === null) throw new TypeError(`${spec.name}: unknown program type ${spec.type}`);
  const attach = spec.attachType === undefined ? 0 : attachTypeNumber(spec.attachType);
  if (attach === null) throw new TypeError(`${spec.name}: unknown attach type ${spec.attachType}`);
  const attributes = () => {
    const filled = new Attributes()
      .u32(0, type)
      .u32(4, slotCount(instructions))
      .pointer(8, code)
      .text(16, parts.license)
      .u32(40, spec.type === "kprobe" ? kernelVersion() : 0)
      .u32(44, spec.flags)
      .name(48, spec.name)
      .u32(68, attach)
      .u32(108, point.btfId)
      .u32(112, point.fd)
      .pointer(120, modules.bytes());
    if (!parts.btf || !info || info.funcInfo.byteLength === 0) return filled;
    return filled
      .u32(72, parts.btf.fd)
      .u32(76, info.funcInfoRecordSize)
      .pointer(80, info.funcInfo)
      .u32(88, info.funcInfo.byteLength / info.funcInfoRecordSize)
      .u32(92, info.lineInfo.byteLength > 0 ? info.lineInfoRecordSize : 0)
      .pointer(96, info.lineInfo)
      .u32(104, info.lineInfo.byteLength / info.lineInfoRecordSize);
  };
  return { attributes, point };
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

/** What a failed load was refused for. */
function loadFailure(parts: ProgramParts, first: SyscallError, logged: Logged): Error {
  const { spec, linked } = parts;
  if (logged.log.trim() !== "") {
    return new VerifierError(spec.name, logged.log, { lines: linked.lines, cause: first, truncated: logged.truncated });
  }
  const kind = spec.attachType ? `${spec.type} programs of ${spec.attachType}` : `${spec.type} programs`;
  // The capabilities are there, or nothing would have been tried: the kernel's policy refuses the kind.
  if (first.code === "EPERM")
    return new NotSupportedError(kind, { detail: "refused by the kernel's policy", cause: first });
  return first;
}

/** Throws `VerifierError`, `NotSupportedError`, `UnresolvedError` or `SyscallError`. */
export function loadProgram(parts: ProgramParts): LinuxProgram {
  const modules = new ModuleFds();
  const point = attachPoint(parts.spec);
  try {
    const { attributes } = fill(parts, modules, point);
    const origin = originOf(parts.spec);
    if (parts.logLevel) {
      const logged = loadLogged(attributes, parts.logLevel);
      if (logged.result >= 0)
        return new LinuxProgram(new Descriptor(logged.result, "program"), { origin, log: logged.log });
      throw loadFailure(parts, bpfError("prog_load", -logged.result, parts.spec.name), logged);
    }
    const result = tryLoad(attributes);
    if (result >= 0) return new LinuxProgram(new Descriptor(result, "program"), { origin });
    const logged = loadLogged(attributes, 1);
    if (logged.result >= 0)
      return new LinuxProgram(new Descriptor(logged.result, "program"), { origin, log: logged.log });
    throw loadFailure(parts, bpfError("prog_load", -result, parts.spec.name), logged);
  } finally {
    modules.close();
    point.close();
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
