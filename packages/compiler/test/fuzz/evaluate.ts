/**
 * @module
 * Programs of a module on the evaluator of the IR: maps live on between runs, as in the kernel.
 */
import { Environment, evaluate, type EvaluatedMap, type HelperFunction, type IrModule } from "@skep/ir";
import type { Outcome } from "./outcome.ts";

const BPF_LOOP = 181;
const MAX_LOOPS = 1n << 23n;
const E2BIG = 7n;

/** bpf_loop: calls back until it gives 1. */
const bpfLoop: HelperFunction = ([times = 0n, callback = 0n, context = 0n], environment) => {
  // The count is a u32.
  const rounds = BigInt.asUintN(32, times);
  if (rounds > MAX_LOOPS) return -E2BIG;
  for (let round = 0n; round < rounds; round++) {
    if (environment.callFunction?.(callback, [round, context]) !== 0n) return round + 1n;
  }
  return rounds;
};

export class EvaluatedModule {
  readonly #module: IrModule;
  readonly #environment: Environment;
  readonly #pointers: Record<number, bigint> = {};
  readonly #context: bigint;

  constructor(module: IrModule) {
    this.#module = module;
    this.#environment = new Environment({
      maps: module.maps,
      data: module.data,
      contextPointers: this.#pointers,
      helpers: { [BPF_LOOP]: bpfLoop },
    });
    this.#context = this.#environment.memory.allocate(24);
  }

  run(name: string, packet: Uint8Array): Outcome {
    const { memory } = this.#environment;
    const bytes = packet.slice();
    const address = memory.allocate(bytes);
    this.#pointers[0] = address;
    this.#pointers[4] = address + BigInt(bytes.byteLength);
    const returned = evaluate(this.#module, name, [this.#context], { environment: this.#environment });
    memory.release(address);
    return { returned: Number(returned), packet: bytes };
  }

  /** Keys and values of the maps and data sections, as text. */
  contents(): Record<string, string> {
    const { maps, memory } = this.#environment;
    const found: Record<string, string> = {};
    for (const [name, map] of maps) found[name] = printMap(map, (address, size) => memory.bytes(address, size));
    for (const section of this.#module.data) {
      if (section.data?.readOnly) continue;
      const address = this.#environment.dataAddress(section.name);
      found[section.name] = Buffer.from(memory.bytes(address, section.valueSize)).toString("hex");
    }
    return found;
  }
}

function printMap(map: EvaluatedMap, read: (address: bigint, size: number) => Uint8Array): string {
  return [...map.values]
    .map(([key, address]) => `${key}=${Buffer.from(read(address, map.spec.valueSize)).toString("hex")}`)
    .sort()
    .join(" ");
}
