/**
 * @module
 * `npm run report -- conformance`: bpf_conformance and the tests of uBPF on every engine and in the kernel, by the groups of RFC 9669; writes
 * conformance.md. The kernel's column needs root and BPF.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assemble, decode, encode, type Instruction } from "@skep/isa";
import { openLinux } from "@skep/linux";
import { type Engine, Interpreter, Jit, Memory, prepare, ubpfHelpers } from "@skep/vm";
import { dataFiles, refusal } from "../packages/isa/test/conformance-files.ts";
import { blocks, hexBytes } from "../packages/vm/src/testing-conformance.ts";
import { runInKernel } from "../packages/vm/test/conformance-kernel.ts";

const data = join(import.meta.dirname, "../../shared/data");
const BUDGET = 10_000_000;
const engines: Readonly<Record<string, (memory: Memory) => Engine>> = {
  interpreter: (memory) => new Interpreter(memory, { helpers: ubpfHelpers, budget: BUDGET }),
  "JIT, checked": (memory) => new Jit(memory, { helpers: ubpfHelpers, budget: BUDGET, checked: true }),
  "JIT, fast": (memory) => new Jit(memory, { helpers: ubpfHelpers, checked: false }),
};

/** RFC 9669 section 2.4, the most demanding first; `callx` and `packet` are apart. */
const GROUPS = ["packet", "callx", "atomic64", "atomic32", "divmul64", "divmul32", "base64", "base32"] as const;
type Group = (typeof GROUPS)[number];

const [LD, ALU, ALU64, JMP, STX] = [0, 4, 7, 5, 3];
const MODE = { immediate: 0x00, absolute: 0x20, indirect: 0x40, atomic: 0xc0 } as const;
const WIDE = 0x18;

/** The group that an instruction needs. */
function groupOf({ opcode, src }: Instruction): Group {
  const kind = opcode & 7;
  const mode = opcode & 0xe0;
  const operation = opcode & 0xf0;
  if (kind === LD && (mode === MODE.absolute || mode === MODE.indirect)) return "packet";
  if (kind === JMP && operation === 0x80 && (opcode & 8) !== 0) return "callx";
  if (kind === STX && mode === MODE.atomic) return (opcode & 0x18) === WIDE ? "atomic64" : "atomic32";
  const multiplies = operation === 0x20 || operation === 0x30 || operation === 0x90;
  if ((kind === ALU || kind === ALU64) && multiplies) return kind === ALU ? "divmul32" : "divmul64";
  const isWide = kind === ALU64 || kind === JMP || (opcode & 0x18) === WIDE;
  // Calls and exit are of the least group though they are of the class of 64-bit jumps.
  const isCall = kind === JMP && (operation === 0x80 || operation === 0x90 || operation === 0x00) && src === 0;
  return isWide && !isCall ? "base64" : "base32";
}

interface Case {
  readonly file: string;
  readonly instructions: readonly Instruction[];
  readonly memory: Uint8Array;
  readonly wanted: bigint;
}

function files(folder: string, prefix = ""): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true })
    .flatMap((entry) => {
      const name = join(prefix, entry.name);
      return entry.isDirectory() ? files(folder, name) : entry.name.endsWith(".data") ? [name] : [];
    })
    .sort();
}

/** The runnable programs of a folder. */
function casesOf(folder: string): Case[] {
  return files(folder).flatMap((file): Case[] => {
    const parts = blocks(readFileSync(join(folder, file), "utf8"));
    const [asm, result] = [parts.get("asm"), parts.get("result")];
    if (asm === undefined || result === undefined || parts.has("error") || parts.has("error pattern")) return [];
    const { instructions, diagnostics } = assemble(asm, { notation: "conformance" });
    if (diagnostics[0]) throw new Error(`${file}: ${diagnostics[0].message}`);
    // What the engines run is what the bytes say.
    const read = decode(encode(instructions)).instructions;
    const wanted = BigInt(result.replace(/#.*/g, "").trim());
    return [{ file, instructions: read, memory: hexBytes(parts.get("mem") ?? ""), wanted: BigInt.asUintN(64, wanted) }];
  });
}

function passes(one: Case, open: (memory: Memory) => Engine): boolean {
  const memory = new Memory();
  const region = memory.allocate("memory", one.memory.length);
  memory.bytes.set(one.memory, region.base);
  const code = prepare(one.instructions, { name: "test" });
  const size = one.memory.length;
  return open(memory).run(code, size === 0 ? 0 : region.base, size) === one.wanted;
}

interface Row {
  count: number;
  readonly passed: Record<string, number>;
  refused: number;
}

const wrong: string[] = [];
const linux = openLinux();

function table(title: string, cases: readonly Case[], inKernel: boolean): string {
  const rows = new Map<Group, Row>();
  for (const one of cases) {
    const needed = new Set(one.instructions.map(groupOf));
    const group = GROUPS.find((each) => needed.has(each)) ?? "base32";
    const row = rows.get(group) ?? { count: 0, passed: {}, refused: 0 };
    rows.set(group, row);
    row.count += 1;
    for (const [engine, open] of Object.entries(engines)) {
      if (passes(one, open)) row.passed[engine] = (row.passed[engine] ?? 0) + 1;
      else wrong.push(`${title}, ${one.file}, ${engine}`);
    }
    if (!inKernel) continue;
    const got = runInKernel(linux, one.instructions, one.memory);
    if (got === null) row.refused += 1;
    else if (got === one.wanted) row.passed["kernel"] = (row.passed["kernel"] ?? 0) + 1;
    else wrong.push(`${title}, ${one.file}, kernel`);
  }
  const names = [...Object.keys(engines), ...(inKernel ? ["kernel", "refused by its verifier"] : [])];
  const line = (group: string, row: Row): string =>
    `| ${[group, row.count, ...names.map((name) => (name.startsWith("refused") ? row.refused : (row.passed[name] ?? 0)))].join(" | ")} |`;
  const all = [...rows.values()];
  const sum = (pick: (row: Row) => number): number => all.reduce((total, row) => total + pick(row), 0);
  const whole: Row = {
    count: sum(({ count }) => count),
    passed: Object.fromEntries(names.map((name) => [name, sum(({ passed }) => passed[name] ?? 0)])),
    refused: sum(({ refused }) => refused),
  };
  return [
    `## ${title}`,
    "",
    `| group | tests | ${names.join(" | ")} |`,
    `| --- | ${["tests", ...names].map(() => "---:").join(" | ")} |`,
    ...[...GROUPS].reverse().flatMap((group) => (rows.has(group) ? [line(group, rows.get(group)!)] : [])),
    line("all", whole),
    "",
  ].join("\n");
}

/** Programs that are right in form: one fails when it runs, one gives another result than its file says. */
const WELL_FORMED: readonly string[] = ["error.data", "incorrect_return_value_high_bits.data"];

/** What an assembler, a decoder or a run must refuse. */
function negatives(): string {
  const folder = join(data, "bpf_conformance/negative");
  const all = dataFiles(folder);
  const taken = all.filter((file) => refusal(join(folder, file)) === null);
  for (const file of taken) if (!WELL_FORMED.includes(file)) wrong.push(`negative, ${file}: taken`);
  return (
    `Of the ${all.length} negative tests ${all.length - taken.length} are refused by the assembler or the decoder; ` +
    `${taken.join(" and ")} are right in form: one fails when it runs, the other gives another result than its file says.\n`
  );
}

const parts = [
  "# Conformance\n",
  "Each test is a program, its memory and what it returns. Its group is the most demanding that one of its instructions needs (RFC 9669, section 2.4).",
  "The kernel runs what its verifier takes: it refuses programs that read what nobody wrote, never end, or call through registers.\n",
  table("bpf_conformance", casesOf(join(data, "bpf_conformance/tests")), true),
  negatives(),
  "bpf_conformance's own runner (`bpf_conformance_runner --plugin_path`, cpu version v4, groups `callx` and `packet` included) over `skep vm plugin` gives the same: see the [page of the user-space machine](../docs/user-space-machine.md).\n",
  table("uBPF", casesOf(join(data, "ubpf/tests")), false),
  wrong.length === 0
    ? "No test gives another result.\n"
    : `Other results:\n\n${wrong.map((each) => `- ${each}`).join("\n")}\n`,
];
const file = join(import.meta.dirname, "conformance.md");
writeFileSync(file, parts.join("\n"));
console.log(readFileSync(file, "utf8"));
