import type { Program } from "@skep/machine";
import type { StaticProbe } from "../elf-file.ts";
import { mapOfProgram } from "../objects.ts";
import { AttachError } from "./common.ts";
import { parseUsdtArguments, type UsdtArgument } from "./usdt-arguments.ts";

// struct __bpf_usdt_spec of libbpf's usdt.bpf.h: twelve arguments of sixteen bytes, the cookie, the count.
const MAX_ARGUMENTS = 12;
const ARGUMENT_SIZE = 16;
const SPEC_SIZE = 208;
const kinds = { constant: 0, register: 1, memory: 2, indexed: 3 } as const;

function encodeArgument(view: DataView, at: number, argument: UsdtArgument): void {
  view.setBigInt64(at, argument.value, true);
  // arg_type has eight bits, then twelve of the index register's offset and four of its scale (libbpf 1.7); zero before.
  const index = (argument.index ?? 0) & 0xfff;
  view.setUint32(at + 8, kinds[argument.kind] | (index << 8) | ((argument.scale ?? 0) << 20), true);
  view.setInt16(at + 12, argument.register, true);
  view.setUint8(at + 14, argument.isSigned ? 1 : 0);
  view.setUint8(at + 15, 64 - argument.size * 8);
}

function encodeSpec(size: number, probe: StaticProbe, cookie: bigint): Uint8Array {
  const spec = new DataView(new ArrayBuffer(size));
  const found = parseUsdtArguments(probe.arguments);
  for (const [at, argument] of found.slice(0, MAX_ARGUMENTS).entries()) {
    encodeArgument(spec, at * ARGUMENT_SIZE, argument);
  }
  spec.setBigUint64(MAX_ARGUMENTS * ARGUMENT_SIZE, cookie, true);
  spec.setInt16(MAX_ARGUMENTS * ARGUMENT_SIZE + 8, Math.min(found.length, MAX_ARGUMENTS), true);
  return new Uint8Array(spec.buffer);
}

/**
 * Tells the program where the probes' arguments are, in the map that usdt.bpf.h declares, and gives the number of each site's entry: the
 * cookie of its probe. A program without the map gets `cookie` itself.
 */
export function prepareUsdt(program: Program, probes: readonly StaticProbe[], cookie: bigint): bigint[] {
  const map = mapOfProgram(program, "__bpf_usdt_specs");
  if (!map) return probes.map(() => cookie);
  try {
    if (map.info.valueSize < SPEC_SIZE)
      throw new AttachError("usdt", program.name, `its map of probes has values of ${map.info.valueSize} bytes`);
    if (probes.length > map.info.maxEntries)
      throw new AttachError("usdt", program.name, `${probes.length} sites, its map holds ${map.info.maxEntries}`);
    const first = freePlaces(map, probes.length);
    return probes.map((probe, at) => {
      const key = new Uint8Array(new Uint32Array([first + at]).buffer);
      map.set(key, encodeSpec(map.info.valueSize, probe, cookie));
      return BigInt(first + at);
    });
  } finally {
    map.close();
  }
}

/** The first of `count` entries in a row that nobody uses: another probe's are not overwritten. */
function freePlaces(map: NonNullable<ReturnType<typeof mapOfProgram>>, count: number): number {
  let last = -1;
  for (const [key, value] of map.entries()) {
    if (value.some((byte) => byte !== 0))
      last = Math.max(last, new DataView(key.buffer, key.byteOffset).getUint32(0, true));
  }
  return last + 1 + count <= map.info.maxEntries ? last + 1 : 0;
}
