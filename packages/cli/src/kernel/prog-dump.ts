import { writeFileSync } from "node:fs";
import { disassemble, fromTranslated } from "@skep/isa";
import { type LinuxProgram, mapById } from "@skep/linux";
import { CliError, systemCode, usageError } from "../errors.ts";
import { note, write } from "../output/print.ts";
import { functionsGraph } from "./prog-graph.ts";
import { type CodeLine, type ReadCode, readCode } from "./prog-code.ts";
import { oneProgram } from "./select.ts";
import type { Session } from "./session.ts";
import { HexBytes, type Tree } from "./tree.ts";
import type { Words } from "./words.ts";

interface DumpOptions {
  readonly file: string | null;
  readonly opcodes: boolean;
  readonly linum: boolean;
  readonly labels: boolean;
  readonly visual: boolean;
}

function readOptions(words: Words): DumpOptions {
  const found = { file: null as string | null, opcodes: false, linum: false, labels: false, visual: false };
  while (!words.isEmpty) {
    if (words.take("file")) found.file = words.next("a file");
    else if (words.take("opcodes")) found.opcodes = true;
    else if (words.take("linum")) found.linum = true;
    else if (words.take("labels")) found.labels = true;
    else if (words.take("visual")) found.visual = true;
    else words.end("file FILE", "opcodes", "linum", "labels", "visual");
  }
  return found;
}

export const hexBytes = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
const hexList = (bytes: Uint8Array): HexBytes => new HexBytes(bytes);
const opcodeText = (opcode: number): string => `(${opcode.toString(16).padStart(2, "0")})`;

/** Writes bytes; `-` is the standard output. */
export function writeBytesTo(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes);
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new CliError(`${file} cannot be written: ${code}`, 1, { cause: error });
  }
}

function lineTree(line: CodeLine, options: DumpOptions): Tree {
  const { source, instruction: insn } = line;
  const withPlace = options.linum ? source : null;
  return {
    proto: line.prototype ?? undefined,
    src: source?.text,
    file: withPlace?.file,
    line_num: withPlace?.line,
    line_col: withPlace?.column === 0 ? undefined : withPlace?.column,
    disasm: `${opcodeText(insn.opcode)} ${line.text}`,
    opcodes: options.opcodes
      ? {
          code: `0x${insn.opcode.toString(16).padStart(2, "0")}`,
          src_reg: `0x${insn.src.toString(16)}`,
          dst_reg: `0x${insn.dst.toString(16)}`,
          off: hexList(line.bytes.subarray(2, 4)),
          imm: hexList(line.bytes.subarray(4)),
        }
      : undefined,
  };
}

function sourceText(line: CodeLine, options: DumpOptions): string[] {
  const { source } = line;
  if (source === null || source.text === "") return [];
  const place = options.linum ? ` [file:${source.file} line_num:${source.line} line_col:${source.column}]` : "";
  return [`; ${source.text}${place}`];
}

function lineText(line: CodeLine, options: DumpOptions): string[] {
  return [
    ...(line.prototype === null ? [] : [`${line.prototype}:`]),
    ...sourceText(line, options),
    `${String(line.slot).padStart(4)}: ${opcodeText(line.instruction.opcode)} ${line.text}`,
    ...(options.opcodes ? [`       ${hexBytes(line.bytes)}`] : []),
  ];
}

/** Names of the program's maps, so that a listing need not be read beside `map list`. */
function mapNames(program: LinuxProgram): Map<number, string> {
  const names = new Map<number, string>();
  for (const id of program.info.mapIds) {
    const map = mapById(id);
    if (map !== null && map.info.name !== "") names.set(id, map.info.name);
    map?.close();
  }
  return names;
}

function listing(program: LinuxProgram, { lines }: ReadCode, options: DumpOptions): string {
  const names = mapNames(program);
  const text = lines.flatMap((line) => lineText(line, options)).join("\n");
  return `${text.replaceAll(/map\[id:(\d+)\]/g, (whole, id: string) => {
    const name = names.get(Number(id));
    return name === undefined ? whole : `map[id:${id} ${name}]`;
  })}\n`;
}

/** Jump targets as labels, functions by their names: what `assemble` reads. */
function labelled({ code, lines }: ReadCode): string {
  const functions = new Map(
    lines.flatMap(({ slot, prototype }) => {
      const name = prototype === null ? undefined : /(\w+)\(/.exec(prototype)?.[1];
      return name === undefined ? [] : [[slot, name] as const];
    }),
  );
  return disassemble(fromTranslated(code.translated), { style: "labels", functions });
}

async function dumpTranslated(session: Session, program: LinuxProgram, options: DumpOptions): Promise<void> {
  const read = readCode(program);
  if (options.file !== null) {
    writeBytesTo(options.file, read.code.translatedBytes);
    return session.done();
  }
  if (options.visual) {
    if (session.isData) throw usageError("a graph is text for dot: leave -o, -j and -p out");
    return write(functionsGraph(read.lines));
  }
  if (options.labels && !session.isData) return write(labelled(read));
  await session.print(
    read.lines.map((line) => lineTree(line, options)),
    () => listing(program, read, options),
  );
}

const ROW = 16;

async function dumpJited(session: Session, program: LinuxProgram, options: DumpOptions): Promise<void> {
  const { code, lines } = readCode(program);
  if (code.jited.length === 0)
    throw new CliError("the kernel shows no machine code: it interprets, or hides addresses");
  if (options.file !== null) {
    writeBytesTo(options.file, code.jited);
    return session.done();
  }
  if (options.visual || options.labels || options.linum) throw usageError("jited code takes only file and opcodes");
  const prototypes = lines.flatMap(({ prototype }) => (prototype === null ? [] : [prototype]));
  let start = 0;
  const functions = code.jitedFunctions.map(({ address, length }, index) => {
    const bytes = code.jited.subarray(start, start + length);
    start += length;
    return { proto: prototypes[index], name: `0x${address.toString(16)}`, bytes };
  });
  if (!session.isData)
    note(
      `machine code is not disassembled here: \`file\` writes it for objdump -D -b binary -m i386:x86-64 (or aarch64)`,
    );
  await session.print(
    functions.map(({ proto, name, bytes }) => ({ proto, name, opcodes: hexList(bytes) })),
    () =>
      functions
        .map(({ proto, name, bytes }) => {
          const rows = Array.from({ length: Math.ceil(bytes.length / ROW) }, (_, row) => row * ROW);
          const text = rows.map((at) => `${at.toString(16).padStart(4)}:  ${hexBytes(bytes.subarray(at, at + ROW))}\n`);
          return `${proto ?? ""}${proto === undefined ? "" : ":\n"}${name}:\n${text.join("")}`;
        })
        .join("\n"),
  );
}

/** `prog dump xlated|jited PROG [...]`. */
export async function progDump(session: Session): Promise<void> {
  const what = session.words.choice("code", ["xlated", "jited"]);
  const program = oneProgram(session);
  const options = readOptions(session.words);
  await (what === "xlated" ? dumpTranslated : dumpJited)(session, program, options);
}
