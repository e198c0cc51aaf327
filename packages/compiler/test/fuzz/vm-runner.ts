/**
 * @module
 * Programs of a module on the interpreter of `@skep/vm`: what those compare with who have no kernel.
 */
import type { ObjectSpec } from "@skep/object";
import { Vm, type VmObject } from "@skep/vm";
import type { Runner } from "./check.ts";
import type { Outcome } from "./outcome.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class VmRunner implements Runner {
  readonly #spec: ObjectSpec;
  readonly #vm = new Vm({ clock: () => 0n, random: () => 0 });
  readonly #object: VmObject;

  constructor(spec: ObjectSpec) {
    this.#spec = spec;
    this.#object = this.#vm.load(spec);
  }

  run(name: string, packet: Uint8Array): Outcome {
    const program = this.#object.programs[name];
    if (program === undefined) throw new Error(`no program ${name}`);
    return this.#vm.run(program, { packet });
  }

  contents(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const spec of Object.values(this.#spec.maps)) {
      const map = this.#object.maps[spec.name];
      if (!map || spec.data?.readOnly) continue;
      if (spec.data) found[spec.name] = hex((map.get(new Uint8Array(4)) ?? new Uint8Array()).slice(0, spec.valueSize));
      else {
        const entries = [...map.entries()].map(([key, value]) => `${hex(key)}=${hex(value.slice(0, spec.valueSize))}`);
        found[spec.name] = entries.sort().join(" ");
      }
    }
    return found;
  }

  close(): void {}
}
