import { attachTypeNumber, encode, programTypeNumber, slotCount, type Instruction } from "@skep/isa";
import { codeOf, Descriptor, SyscallError } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { capabilitiesOfType, needCapabilities } from "../capabilities.ts";
import { kernelVersion } from "../kernel-version.ts";

/** A probe that could not tell: neither that the kernel has the thing nor that it has not. Not remembered. */
export class InconclusiveError extends Error {
  override readonly name = "InconclusiveError";

  constructor(feature: string, cause: unknown) {
    super(`cannot tell whether this kernel has ${feature}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

export interface TinyProgram {
  readonly type: string;
  readonly attachType?: string | number;
  readonly code: readonly Instruction[];
  readonly flags?: number;
  readonly btfId?: number;
  readonly targetFd?: number;
  /** Without the verifier's log, which a long program overflows. */
  readonly withoutLog?: boolean;
}

export interface TinyResult {
  /** 0 where the kernel took it, else the error's number. */
  readonly errno: number;
  readonly log: string;
}

function attributesOf(program: TinyProgram): Attributes {
  const type = programTypeNumber(program.type);
  const { attachType = 0 } = program;
  const attach = typeof attachType === "number" ? attachType : attachTypeNumber(attachType);
  if (type === null || attach === null) throw new RangeError(`no such program: ${program.type} ${attachType}`);
  return new Attributes()
    .u32(0, type)
    .u32(4, slotCount(program.code))
    .pointer(8, encode(program.code))
    .text(16, "GPL")
    .u32(40, program.type === "kprobe" ? kernelVersion() : 0)
    .u32(44, program.flags ?? 0)
    .u32(68, attach)
    .u32(108, program.btfId ?? 0)
    .u32(112, program.targetFd ?? 0);
}

/** Loads a program with the verifier's log, and lets `use` have it where the kernel takes it. */
export function tryProgram(program: TinyProgram, use: (fd: number) => void = () => {}): TinyResult {
  needCapabilities(`probing ${program.type} programs`, ...capabilitiesOfType(program.type));
  const log = new Uint8Array(64 * 1024);
  const attributes = attributesOf(program);
  if (!program.withoutLog) attributes.u32(24, 1).u32(28, log.byteLength).pointer(32, log);
  const result = attributes.try("prog_load");
  const end = log.indexOf(0);
  const text = new TextDecoder().decode(log.subarray(0, end < 0 ? log.byteLength : end));
  if (result < 0) return { errno: -result, log: text };
  const descriptor = new Descriptor(result, "probe");
  try {
    use(result);
  } finally {
    descriptor.close();
  }
  return { errno: 0, log: text };
}

/** Errors that say nothing about the feature. */
const passing = new Set(["EAGAIN", "EINTR", "EMFILE", "ENFILE", "ENOMEM"]);

/** Whether a call failed for want of something that may be there later: trying it in another form is no use. */
export function isPassing(result: number): boolean {
  return result < 0 && passing.has(codeOf(-result));
}

/** Throws `InconclusiveError` for an error that says nothing about the feature. */
export function conclusive(feature: string, errno: number): void {
  if (isPassing(-errno)) throw new InconclusiveError(feature, new SyscallError("probe", errno));
}
