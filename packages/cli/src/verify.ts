/**
 * @module
 * `skep verify`: the programs of an object or module through the verifier, and why one is refused.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { compile } from "@skep/compiler";
import { formatDiagnostic } from "@skep/compiler";
import { NotSupportedError, kconfigSource, kernelTypes } from "@skep/linux";
import { type BtfView, type ObjectSpec, readObject, resolveKconfig } from "@skep/object";
import { type PathStep, type Refusal, type Verification, kernelNumber, verify } from "@skep/verifier";
import { storeOptions } from "./compile-store.ts";
import { CliError, EXIT_FAILED, usageError } from "./errors.ts";
import { write } from "./output/print.ts";
import { describeInput, findInput } from "./verify-input/find.ts";

export interface VerifyFileOptions {
  readonly file: string;
  /** By name; default all. */
  readonly program?: string;
  /** Version of the kernel that the program is for. */
  readonly kernel?: string;
  /** For a user without capabilities. */
  readonly unprivileged?: boolean;
  readonly explain?: boolean;
  readonly budget?: boolean;
}

function readSpec(file: string): ObjectSpec {
  const path = resolve(file);
  if (!existsSync(path)) throw usageError(`there is no ${file}`);
  if (!path.endsWith(".ts")) return readObject(readFileSync(path));
  const readFile = (name: string): string | undefined => (existsSync(name) ? readFileSync(name, "utf8") : undefined);
  const { spec, diagnostics } = compile(path, { readFile }, storeOptions());
  for (const each of diagnostics) process.stderr.write(`${formatDiagnostic(each)}\n`);
  if (spec === null) throw new CliError(`${file} does not compile`, EXIT_FAILED);
  return spec;
}

/** The running kernel's types where it shows them: programs that need them are refused without. */
function typesHere(): BtfView | null {
  try {
    return kernelTypes();
  } catch (error) {
    if (error instanceof NotSupportedError) return null;
    throw error;
  }
}

export async function verifyFile(options: VerifyFileOptions): Promise<number> {
  const spec = readSpec(options.file);
  const names = options.program === undefined ? Object.keys(spec.programs) : [options.program];
  if (names.length === 0) throw new CliError(`${options.file} has no programs`, EXIT_FAILED);
  const unknown = names.find((name) => spec.programs[name] === undefined);
  if (unknown !== undefined)
    throw usageError(`${options.file} has no program ${unknown}: ${Object.keys(spec.programs).join(", ")}`);
  checkVersion(options.kernel);
  const types = typesHere();
  const contents = kernelValues(spec, options.kernel);
  let refused = 0;
  for (const name of names) {
    const result = verify(spec, name, {
      contents,
      ...(types === null ? {} : { kernelTypes: types }),
      ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
      ...(options.unprivileged === true ? { privilege: "none" as const } : {}),
    });
    if (result.refusal !== null) refused++;
    const program = spec.programs[name];
    const found = result.refusal === null || program === undefined ? null : findInput(spec, name, result.refusal);
    await write(shown(result, options, found === null ? [] : describeInput(found, program?.type ?? "")));
  }
  return refused === 0 ? 0 : EXIT_FAILED;
}

/** What the kernel's configuration puts into `.kconfig`: this one's, with the version that was asked for. */
function kernelValues(spec: ObjectSpec, version: string | undefined): ReadonlyMap<string, Uint8Array> {
  if (spec.maps[".kconfig"] === undefined) return new Map();
  const source = kconfigSource();
  const number = version === undefined ? null : kernelNumber(version);
  const code = number === null ? source.version : (Math.floor(number / 1000) << 16) | ((number % 1000) << 8);
  const bytes = resolveKconfig(spec, { ...source, version: code });
  return bytes === null ? new Map() : new Map([[".kconfig", bytes]]);
}

function checkVersion(version: string | undefined): void {
  if (version === undefined) return;
  try {
    kernelNumber(version);
  } catch (error) {
    if (error instanceof RangeError) throw usageError(error.message);
    throw error;
  }
}

/** `input`: one that breaks the program, confirmed. */
function shown(result: Verification, options: VerifyFileOptions, input: readonly string[]): string {
  const { refusal, budget, diagnostics } = result;
  const lines = [
    refusal === null
      ? `${result.program}: accepted (${budget.walked} instructions walked, ${budget.states} states)`
      : `${result.program}: refused: ${refusal.reason} [${refusal.code}]`,
  ];
  if (refusal !== null) lines.push(...refusalLines(refusal, options.explain === true, input));
  for (const each of diagnostics) lines.push(`  ${each.severity}: ${each.message} [${each.code}]`);
  if (options.budget === true) lines.push(...budgetLines(result));
  return `${lines.join("\n")}\n`;
}

function place(refusal: Pick<Refusal, "source" | "function">, slot: number): string {
  const { source } = refusal;
  const at = `instruction ${slot} of ${refusal.function}`;
  return source === null ? at : `${source.file}:${source.line}${source.column > 0 ? `:${source.column}` : ""} (${at})`;
}

function refusalLines(refusal: Refusal, explains: boolean, input: readonly string[]): string[] {
  const lines = [`  at ${place(refusal, refusal.slot)}`];
  const text = refusal.source?.text.trim() ?? "";
  if (text !== "") lines.push(`    ${text}`);
  if (input.length > 0) lines.push("  input that breaks it:", ...input.map((each) => `    ${each}`));
  else if (refusal.counterexample !== null) lines.push(`  the path allows: ${refusal.counterexample}`);
  lines.push(`  mend: ${refusal.mend}`);
  if (!explains) return lines;
  lines.push(`  rule: ${refusal.explanation}`, "  registers:");
  for (const { register, value } of refusal.registers) lines.push(`    r${register}: ${value}`);
  lines.push("  path:", ...refusal.path.map(stepLine));
  return lines;
}

const words = {
  start: "begins",
  taken: "branch taken",
  "not-taken": "branch not taken",
  call: "calls",
  return: "returns",
  end: "here",
};

function stepLine(step: PathStep): string {
  const text = step.source?.text.trim() ?? "";
  const where = step.source === null ? step.function : `${step.source.file}:${step.source.line}`;
  return `    ${words[step.what].padEnd(16)} ${where}${text === "" ? ` instruction ${step.instruction}` : `  ${text}`}`;
}

function budgetLines({ budget }: Verification): string[] {
  const lines = [`  budget: ${budget.walked} of 1000000 instructions, ${budget.states} states`];
  for (const fn of budget.functions) {
    lines.push(
      `    ${fn.name}: ${fn.instructions} instructions, ${fn.walked} walked, ${fn.states} states, ${fn.stack} bytes of stack`,
    );
    for (const each of fn.worst) {
      const where = each.line === 0 ? `instruction ${each.at}` : `${each.file}:${each.line}`;
      lines.push(
        `      ${String(each.walked).padStart(8)} walked ${String(each.states).padStart(6)} states  ${where}  ${each.text}`,
      );
    }
  }
  return lines;
}
