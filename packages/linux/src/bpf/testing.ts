/**
 * @module
 * Small programs for the tests of this folder, written with the instruction builders, and what a test needs of the machine.
 */
import { currentPrivilege, missingCapabilities } from "./capabilities.ts";
import type { Instruction } from "@skep/isa";
import type { MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";

/** Whether this process may use BPF; says aloud what is missing. */
export function canUseBpf(): boolean {
  const missing = missingCapabilities(["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"], currentPrivilege());
  if (missing.length > 0) console.warn(`skipped: BPF tests need ${missing.join(", ")}`);
  return missing.length === 0;
}

export function mapSpec(name: string, type: string, rest: Partial<MapSpec> = {}): MapSpec {
  return { name, type, keySize: 4, valueSize: 8, maxEntries: 16, flags: 0, pinning: "none", ...rest };
}

export interface SmallProgram {
  readonly name?: string;
  readonly type: string;
  readonly attachType?: string;
  readonly attachTo?: string;
  readonly flags?: number;
  readonly code: readonly Instruction[];
  readonly references?: ProgramSpec["references"];
}

export function programSpec(program: SmallProgram): ProgramSpec {
  return {
    name: program.name ?? "small",
    section: program.type,
    type: program.type,
    ...(program.attachType === undefined ? {} : { attachType: program.attachType }),
    ...(program.attachTo === undefined ? {} : { attachTo: program.attachTo }),
    flags: program.flags ?? 0,
    linkage: "global",
    instructions: program.code,
    references: program.references ?? [],
    lines: [],
    coreRelocations: [],
  };
}

/** An object of the given programs and maps, without types. */
export function objectSpec(programs: readonly SmallProgram[], maps: readonly MapSpec[] = []): ObjectSpec {
  return {
    license: "GPL",
    byteOrder: "little",
    maps: Object.fromEntries(maps.map((map) => [map.name, map])),
    programs: Object.fromEntries(programs.map((program) => [program.name ?? "small", programSpec(program)])),
    functions: {},
  };
}

/** Little-endian bytes of a number. */
export function bytes(value: number | bigint, size: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  return new Uint8Array(out.buffer, 0, size);
}

export function number(value: Uint8Array | null, offset = 0): bigint {
  if (!value) throw new Error("there is no value");
  return new DataView(value.buffer, value.byteOffset).getBigUint64(offset, true);
}
