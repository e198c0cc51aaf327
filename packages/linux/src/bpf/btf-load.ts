import {
  kernelBtf,
  objectBtf,
  sanitizeBtf,
  type BtfFeatures,
  type LinkedProgram,
  type ObjectBtf,
  type ObjectSpec,
} from "@skep/object";
import { Descriptor } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";
import { btfFeatures } from "./probes/basic.ts";
import { isPassing } from "./probes/run.ts";

/** The kernel refused an object's types. */
export class BtfError extends Error {
  override readonly name = "BtfError";
  readonly log: string;

  constructor(log: string, cause: unknown) {
    const lines = log.split("\n").filter((line) => line.trim() !== "");
    super(`the kernel refuses the object's types: ${lines.at(-1) ?? "it gives no reason"}`, { cause });
    this.log = log;
  }
}

export interface BtfLoadOptions {
  /** Descriptor of a BPF token, 0 for none. */
  readonly token?: number;
}

const BPF_F_TOKEN_FD = 1 << 16;

/** BPF_BTF_LOAD. Throws `BtfError` with the kernel's log, or `SyscallError` where that is not what the kernel minds. */
export function loadBtf(bytes: Uint8Array, options: BtfLoadOptions = {}): Descriptor {
  const attributes = () => {
    const filled = new Attributes().pointer(0, bytes).u32(16, bytes.byteLength);
    return options.token ? filled.u32(32, BPF_F_TOKEN_FD).u32(36, options.token) : filled;
  };
  const result = attributes().try("btf_load");
  if (result >= 0) return new Descriptor(result, "btf");
  const cause = bpfError("btf_load", -result);
  if (cause.code === "EPERM" || isPassing(result)) throw cause;
  const log = new Uint8Array(64 * 1024);
  const again = attributes().pointer(8, log).u32(20, log.byteLength).u32(24, 1).try("btf_load");
  if (again >= 0) return new Descriptor(again, "btf");
  const text = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0))));
  throw text === "" ? cause : new BtfError(text, cause);
}

/** An object's types in the kernel, and what its programs' information refers to. */
export interface LoadedTypes {
  readonly descriptor: Descriptor;
  readonly programs: ObjectBtf["programs"];
}

/** Loads an object's types; on an old kernel without what that does not know. Null where the object has none. */
export function loadTypes(
  spec: ObjectSpec,
  linked: readonly LinkedProgram[],
  options: BtfLoadOptions = {},
): LoadedTypes | null {
  const whole = objectBtf(spec, linked);
  if (!whole) return null;
  try {
    return { descriptor: loadBtf(whole.btf, options), programs: whole.programs };
  } catch (error) {
    const features = error instanceof BtfError ? btfFeatures() : null;
    if (!features || Object.values(features).every(Boolean)) throw error;
    const reduced = reducedTypes(spec, linked, features);
    return { descriptor: loadBtf(reduced.btf, options), programs: features.func ? reduced.programs : {} };
  }
}

/** The object's types without what the kernel lacks. */
export function reducedTypes(spec: ObjectSpec, linked: readonly LinkedProgram[], features: BtfFeatures): ObjectBtf {
  const btf = sanitizeBtf(kernelBtf(spec, spec.btf ?? { types: [] }), features);
  const reduced = objectBtf({ ...spec, btf }, linked);
  if (!reduced) throw new TypeError("the object has no types");
  return reduced;
}
