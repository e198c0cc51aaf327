/**
 * @module
 * Programs of a module in the kernel, by BPF_PROG_TEST_RUN.
 */
import { LinuxBpf, VerifierError, type LinuxCollection } from "@skep/linux";
import type { ObjectSpec } from "@skep/object";
import type { Runner } from "./check.ts";
import type { Outcome } from "./outcome.ts";

const kernel = new LinuxBpf();

export class KernelModule implements Runner {
  readonly #spec: ObjectSpec;
  readonly #collection: LinuxCollection;

  /** Throws what loading throws: `VerifierError` where a program is refused. */
  constructor(spec: ObjectSpec, programs?: readonly string[]) {
    this.#spec = spec;
    this.#collection = kernel.load(spec, programs ? { programs } : {});
  }

  run(name: string, packet: Uint8Array): Outcome {
    const program = this.#collection.programs[name];
    if (program === undefined) throw new Error(`no program ${name}`);
    const { returned, data } = program.test({ data: packet });
    return { returned, packet: data };
  }

  contents(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const spec of Object.values(this.#spec.maps)) {
      const map = this.#collection.maps[spec.name];
      if (!map || spec.data?.readOnly) continue;
      if (spec.data) {
        found[spec.name] = Buffer.from(map.get(new Uint8Array(4)) ?? []).toString("hex");
        continue;
      }
      const entries = [...map.entries()].map(
        ([key, value]) =>
          `${Buffer.from(key).toString("hex")}=${Buffer.from(value.slice(0, spec.valueSize)).toString("hex")}`,
      );
      found[spec.name] = entries.sort().join(" ");
    }
    return found;
  }

  close(): void {
    this.#collection.close();
  }
}

/** Why the kernel refused, without what differs from program to program; null where it is no refusal. */
export function refusalReason(error: unknown): string | null {
  if (!(error instanceof VerifierError)) return null;
  const lines = error.log.trimEnd().split("\n");
  const told = lines.filter(
    (line) => !/^(processed |verification time|stack depth|max_states|peak_states|total_states)/.test(line),
  );
  const last = told.at(-1) ?? error.message;
  return last
    .replace(/^\d+: \([0-9a-f]+\) .*/, "(instruction)")
    .replace(/\bR\d+\b/g, "R")
    .replace(/-?\b(0x)?[0-9a-f]*\d[0-9a-f]*\b/g, "N")
    .slice(0, 100);
}
