/**
 * @module
 * One random module: compiled once, its programs run on the evaluator and elsewhere on the same packets, and what differs.
 */
import { formatDiagnostic, lowerModule, type LowerResult } from "@skep/compiler";
import { emitModule, type EmitOptions, type IrModule, type JavaScriptExport } from "@skep/ir";
import type { ObjectSpec } from "@skep/object";
import { Random } from "../../../ir/test/random.ts";
import type { FuzzModule } from "./generate.ts";
import { describeContents, describeOutcome, type Outcome } from "./outcome.ts";
import { EvaluatedModule } from "./evaluate.ts";
import { JavaScriptTwins } from "./javascript.ts";

export const PACKET_BYTES = 256;
const INPUTS = 3;

/** Where programs run that is held against the evaluator. */
export interface Runner {
  run(name: string, packet: Uint8Array): Outcome;
  contents(): Record<string, string>;
  close(): void;
}

export type FailureKind = "compile" | "refused" | "difference" | "evaluator" | "javascript";

export interface Failure {
  readonly kind: FailureKind;
  /** The program; "" where the whole module fails. */
  readonly program: string;
  readonly message: string;
}

export interface Compiled {
  readonly module: IrModule;
  readonly exports: readonly JavaScriptExport[];
  readonly spec: ObjectSpec;
}

const ENTRY = "/fuzz.bpf.ts";

export function lowerText(text: string): LowerResult {
  return lowerModule(ENTRY, { readFile: (path) => (path === ENTRY ? text : undefined) }, { functions: true });
}

/** The compiled module, or why there is none. */
export function compileText(text: string, options: EmitOptions = {}): Compiled | Failure {
  const { module, diagnostics, exports } = lowerText(text);
  const failed = (message: string): Failure => ({ kind: "compile", program: "", message });
  if (!module) return failed(diagnostics.map((one) => formatDiagnostic(one, text)).join("\n"));
  const emitted = emitModule(module, options);
  if (emitted.diagnostics.length > 0) return failed(emitted.diagnostics.map((one) => one.message).join("\n"));
  return { module, exports, spec: emitted.spec };
}

export function randomPacket(random: Random): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  const view = new DataView(packet.buffer);
  for (let at = 0; at < PACKET_BYTES; at += 8) view.setBigUint64(at, random.value(), true);
  return packet;
}

/** Differences of the programs of a compiled module, at most one for each. */
export function compare(fuzz: FuzzModule, compiled: Compiled, runner: Runner): Failure[] {
  const evaluator = new EvaluatedModule(compiled.module);
  const twins = new JavaScriptTwins(compiled.module, compiled.exports);
  const failures: Failure[] = [];
  for (const program of fuzz.programs) {
    // The same packets, whatever other programs there are.
    const random = new Random(fuzz.seed ^ hash(program.name));
    for (let input = 0; input < INPUTS; input++) {
      const packet = randomPacket(random);
      const { failure, outcome } = compareOnce({ name: program.name, packet, evaluator, runner });
      if (failure) failures.push(failure);
      const message = outcome ? twins.check(program, packet, outcome) : null;
      if (message !== null) failures.push({ kind: "javascript", program: program.name, message });
      if (failure || message !== null) break;
    }
    const [wanted, got] = [describeContents(evaluator.contents()), describeContents(runner.contents())];
    if (wanted === got) continue;
    failures.push({ kind: "difference", program: program.name, message: `maps\nwanted\n${wanted}\ngot\n${got}` });
    // What follows would differ for the same reason.
    break;
  }
  return failures;
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return value;
}

function compareOnce(parts: { name: string; packet: Uint8Array; evaluator: EvaluatedModule; runner: Runner }): {
  failure: Failure | null;
  outcome?: Outcome;
} {
  const { name, packet, evaluator, runner } = parts;
  let wanted: Outcome;
  try {
    wanted = evaluator.run(name, packet);
  } catch (error) {
    return { failure: { kind: "evaluator", program: name, message: String(error) } };
  }
  const got = runner.run(name, packet);
  const [left, right] = [describeOutcome(wanted), describeOutcome(got)];
  if (left === right) return { failure: null, outcome: got };
  return { failure: { kind: "difference", program: name, message: `wanted\n${left}\ngot\n${right}` } };
}
