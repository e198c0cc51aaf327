/**
 * @module
 * `skep vm`: programs in the user-space machine, on captured packets or for a conformance runner.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { decode } from "@skep/isa";
import { compile, formatDiagnostic } from "@skep/compiler";
import { type CapturedPacket, linkTypes, readCapture, writePcap } from "@skep/net";
import { type ObjectSpec, readObject } from "@skep/object";
import {
  type EngineName,
  Interpreter,
  Jit,
  Memory,
  prepare,
  RingMap,
  type RunResult,
  ubpfHelpers,
  Vm,
  VmError,
  type VmMap,
  type VmObject,
  type VmProgram,
} from "@skep/vm";
import { CliError, EXIT_FAILED, systemCode, usageError } from "../errors.ts";
import { storeOptions } from "../compile-store.ts";
import { type ListFormat, printAs, write } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { contextOf, isPassing, verdictName } from "../packet-program.ts";

export interface VmRunOptions {
  readonly file: string;
  readonly pcap: string;
  readonly out?: string;
  readonly program?: string;
  readonly engine: EngineName;
  readonly output: ListFormat;
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw usageError(`${file} cannot be read: ${systemCode(error) ?? String(error)}`, { cause: error });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "EISDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

function specOf(file: string): ObjectSpec {
  if (!file.endsWith(".ts")) return readObject(readBytes(file));
  const { spec, diagnostics } = compile(file, { readFile: readText }, storeOptions());
  for (const each of diagnostics) {
    const source = each.span ? readText(each.span.file) : undefined;
    process.stderr.write(`${formatDiagnostic(each, source)}\n`);
  }
  if (!spec) throw new CliError(`${file} does not compile`, EXIT_FAILED);
  return spec;
}

function chosen(object: VmObject, name: string | undefined, file: string): VmProgram {
  const all = Object.values(object.programs);
  const found = name === undefined ? (all.length === 1 ? all[0] : undefined) : object.programs[name];
  if (found) return found;
  const names = all.map((each) => each.name).join(", ");
  const why = name === undefined ? "has several programs: choose with --program" : `has no program ${name}`;
  throw usageError(`${file} ${why}; there are: ${names}`);
}

interface PacketRow {
  readonly packet: number;
  readonly verdict: string;
  readonly length: number;
  readonly newLength: number;
  readonly redirect?: { readonly helper: string; readonly target: number };
  readonly prints: readonly string[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function rowOf(program: VmProgram, index: number, run: { packet: CapturedPacket; result: RunResult }): PacketRow {
  const { redirect, prints, packet, returned } = run.result;
  const verdict = verdictName(program.type, returned);
  return {
    packet: index + 1,
    verdict,
    ...{ length: run.packet.data.length, newLength: packet.length, prints },
    ...(redirect !== null && verdict === "REDIRECT"
      ? { redirect: { helper: redirect.helper, target: redirect.target } }
      : {}),
  };
}

interface MapContents {
  readonly name: string;
  readonly type: string;
  readonly entries: readonly { readonly key: string; readonly value: string }[];
}

/** What is in a map; of arrays only what is not zero. A ring shows its records. */
function contentsOf(name: string, map: VmMap): MapContents {
  const { type } = map.spec;
  if (map instanceof RingMap) {
    const entries: { key: string; value: string }[] = [];
    map.drain((record) => entries.push({ key: "", value: hex(record) }));
    return { name, type, entries };
  }
  const isArray = type.endsWith("array");
  const entries = Array.from(map.entries(), ([key, value]) => ({ key: hex(key), value: hex(value) }));
  return { name, type, entries: entries.filter(({ value }) => !isArray || /[^0]/.test(value)) };
}

export async function vmRun(options: VmRunOptions): Promise<void> {
  const capture = readCapture(readBytes(options.pcap));
  if (capture.error) throw new CliError(`${options.pcap}: ${capture.error.message}`, EXIT_FAILED);
  if (capture.interfaces.some(({ linkType }) => linkType !== linkTypes.ethernet)) {
    throw new CliError(`${options.pcap} holds packets without Ethernet headers`, EXIT_FAILED);
  }
  let now = 0n;
  let chance = 1;
  const vm = new Vm({
    clock: () => now,
    random: () => (chance = (Math.imul(chance, 1_664_525) + 1_013_904_223) >>> 0),
    engine: options.engine,
  });
  const object = vm.load(specOf(options.file));
  const program = chosen(object, options.program, options.file);
  const left: CapturedPacket[] = [];
  const rows = capture.packets.map((packet, index): PacketRow => {
    now = packet.timestamp;
    const result = runOne(vm, program, { data: packet.data, index });
    const row = rowOf(program, index, { packet, result });
    if (isPassing(row.verdict)) left.push({ ...packet, data: result.packet, originalLength: result.packet.length });
    return row;
  });
  if (options.out !== undefined) writeFileSync(options.out, writePcap(left));
  const maps = Object.entries(object.maps)
    .filter(([, map]) => map.spec.data?.readOnly !== true)
    .map(([name, map]) => contentsOf(name, map));
  await printAs(options.output, { program: program.name, packets: rows, maps } as never, () => tableOf(rows, maps));
}

function runOne(vm: Vm, program: VmProgram, packet: { data: Uint8Array; index: number }): RunResult {
  try {
    return vm.run(program, { packet: packet.data, context: contextOf(program.type, packet.data) });
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const line = error.source === null ? "" : `\n  ${error.source.text.trim()}`;
    throw new CliError(`packet ${packet.index + 1}: ${error.message}${line}`, EXIT_FAILED, { cause: error });
  }
}

function tableOf(rows: readonly PacketRow[], maps: readonly MapContents[]): string {
  const counts = new Map<string, number>();
  for (const { verdict } of rows) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const packets = formatTable(
    ["PACKET", "VERDICT", "LENGTH", "LEFT AS", "NOTE"],
    rows.map(({ packet, verdict, length, newLength, redirect, prints }) => [
      ...[String(packet), verdict, String(length), length === newLength ? "" : String(newLength)],
      [...(redirect ? [`${redirect.helper} to ${redirect.target}`] : []), ...prints].join("; "),
    ]),
  );
  const sums = formatTable(
    ["VERDICT", "PACKETS"],
    Array.from(counts, ([verdict, count]) => [verdict, String(count)]),
  );
  const shown = maps.flatMap(({ name, type, entries }) =>
    entries.length === 0 ? [[name, type, "", ""]] : entries.map(({ key, value }) => [name, type, key, value]),
  );
  return `${packets}\n${sums}${shown.length === 0 ? "" : `\n${formatTable(["MAP", "TYPE", "KEY", "VALUE"], shown)}`}`;
}

// ---- bpf_conformance's plugin ----

export interface VmPluginOptions {
  readonly memory: string;
  readonly program?: string;
  readonly elf?: boolean;
  readonly debug?: boolean;
  readonly engine: EngineName;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/gi) ?? [], (pair) => Number.parseInt(pair, 16));
}

export async function vmPlugin(options: VmPluginOptions): Promise<number> {
  const bytes = fromHex(options.program ?? readFileSync(0, "utf8").split("\n")[0] ?? "");
  const memory = fromHex(options.memory);
  try {
    const r0 = options.elf === true ? runElf(bytes, memory, options.engine) : runRaw(bytes, memory, options.engine);
    await write(`${r0.toString(16)}\n`);
    return 0;
  } catch (error) {
    if (options.debug === true) {
      await write(`Failed to run the program: ${error instanceof Error ? error.message : String(error)}\n`);
    } else process.stderr.write(`skep: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILED;
  }
}

function runRaw(bytes: Uint8Array, data: Uint8Array, engine: EngineName): bigint {
  const memory = new Memory();
  const region = memory.allocate("memory", data.length);
  memory.bytes.set(data, region.base);
  const { instructions, diagnostics } = decode(bytes);
  if (diagnostics[0]) throw new Error(diagnostics[0].message);
  const code = prepare(instructions, { name: "program" });
  const options = { helpers: ubpfHelpers };
  const run =
    engine === "interpreter"
      ? new Interpreter(memory, options)
      : new Jit(memory, { ...options, checked: engine === "checked" });
  return run.run(code, data.length === 0 ? 0 : region.base, data.length);
}

function runElf(bytes: Uint8Array, packet: Uint8Array, engine: EngineName): bigint {
  const vm = new Vm({ clock: () => process.hrtime.bigint(), random: () => 4, engine });
  const object = vm.load(readObject(bytes));
  const program = Object.values(object.programs).find(({ type }) => type === "xdp");
  if (program === undefined) throw new Error("the object has no xdp program");
  return BigInt(vm.run(program, { packet }).returned);
}
