/**
 * @module
 * Runs a program of a module on the evaluator and in the kernel, on the same packet and fresh maps, and says what differs.
 */
import { LinuxBpf, VerifierError } from "@skep/linux";
import type { ObjectSpec } from "@skep/object";
import { emitModule, Environment, evaluate, FunctionBuilder } from "../src/index.ts";
import type { EmitOptions, Inst, IrModule } from "../src/index.ts";
import { LOC } from "./module.ts";

export { arrayMap, dataMap, hashMap, LOC, moduleOf } from "./module.ts";

export interface PacketProgram {
  readonly builder: FunctionBuilder;
  readonly data: Inst;
  readonly end: Inst;
}

/** An XDP program that has checked `length` bytes of packet; it goes on in a new block. Short packets return 0. */
export function packetProgram(name: string, length: number): PacketProgram {
  const builder = new FunctionBuilder({
    name,
    params: [{ name: "ctx", type: "ptr" }],
    returns: "i32",
    typeId: 0,
    program: { section: "xdp", type: "xdp", flags: 0 },
    loc: LOC,
  });
  const ctx = builder.param(0);
  const data = builder.load(ctx, { size: 4, type: "ptr", space: "ctx" });
  const end = builder.load(ctx, { size: 4, type: "ptr", offset: 4, space: "ctx" });
  const [short, ok] = [builder.block("short"), builder.block("ok")];
  builder.branch("ugt", [builder.ptradd(data, length), end], [short, ok], false);
  builder.at(short).return(builder.i32(0));
  builder.at(ok);
  return { builder, data, end };
}

export interface Outcome {
  readonly returned: number;
  readonly packet: Uint8Array;
  /** Contents of array maps and data sections, by name. */
  readonly maps: Readonly<Record<string, Uint8Array>>;
}

export function runEvaluator(module: IrModule, name: string, packet: Uint8Array): Outcome {
  const bytes = packet.slice();
  const pointers: Record<number, bigint> = {};
  const environment = new Environment({ maps: module.maps, data: module.data, contextPointers: pointers });
  const address = environment.memory.allocate(bytes);
  pointers[0] = address;
  pointers[4] = address + BigInt(bytes.byteLength);
  const context = environment.memory.allocate(24);
  const returned = Number(evaluate(module, name, [context], { environment }));
  const maps: Record<string, Uint8Array> = {};
  for (const [mapName, map] of environment.maps) {
    if (map.spec.type !== "array") continue;
    const values = [...map.values.values()].map((value) => environment.memory.bytes(value, map.spec.valueSize));
    maps[mapName] = concat(values);
  }
  for (const section of module.data) {
    maps[section.name] = environment.memory.bytes(environment.dataAddress(section.name), section.valueSize).slice();
  }
  return { returned, packet: bytes, maps };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

export function compile(module: IrModule, options: EmitOptions = {}): ObjectSpec {
  const { spec, diagnostics } = emitModule(module, options);
  if (diagnostics.length > 0) throw new Error(diagnostics.map((found) => found.message).join("\n"));
  return spec;
}

const kernel = new LinuxBpf();

export function runKernel(spec: ObjectSpec, name: string, packet: Uint8Array): Outcome {
  const collection = kernel.load(spec, { programs: [name] });
  try {
    const program = collection.programs[name];
    if (program === undefined) throw new Error(`no program ${name}`);
    const result = program.test({ data: packet });
    const maps: Record<string, Uint8Array> = {};
    for (const map of Object.values(spec.maps)) {
      if (map.type !== "array") continue;
      const values = Array.from({ length: map.maxEntries }, (_, i) => {
        const value = collection.maps[map.name]?.get(new Uint8Array(new Uint32Array([i]).buffer));
        if (!value) throw new Error(`map ${map.name} has no entry ${i}`);
        return value.slice(0, map.valueSize);
      });
      maps[map.name] = concat(values);
    }
    return { returned: result.returned, packet: result.data, maps };
  } finally {
    for (const program of Object.values(collection.programs)) program.close();
    for (const map of Object.values(collection.maps)) map.close();
  }
}

/** The verifier's log where it refused, else null. */
export function refusal(spec: ObjectSpec, name: string): string | null {
  try {
    runKernel(spec, name, new Uint8Array(64));
    return null;
  } catch (error) {
    if (error instanceof VerifierError) return error.log;
    throw error;
  }
}

export function describeOutcome(outcome: Outcome): string {
  const hex = (bytes: Uint8Array): string =>
    Buffer.from(bytes)
      .toString("hex")
      .replace(/(.{16})/g, "$1 ")
      .replace(/( 0{16})+ ?$/, " ...");
  const maps = Object.entries(outcome.maps).map(([name, bytes]) => `${name}=${hex(bytes)}`);
  return [`returned ${outcome.returned}`, `packet ${hex(outcome.packet)}`, ...maps].join("\n");
}
