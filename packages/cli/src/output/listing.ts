/**
 * @module
 * An object as people read it: instructions under the source lines that they come from.
 */
import { relative } from "node:path";
import { type CodeReference, disassemble } from "@skep/isa";
import type { FunctionPlaces } from "@skep/compiler";
import type { FunctionSpec, MapSpec, ObjectSpec, Reference } from "@skep/object";

function codeReferences(references: readonly Reference[]): CodeReference[] {
  return references.flatMap((reference) => (reference.kind === "extern" ? [] : [reference]));
}

/** As seen from here, where it lies below. */
export function nearPath(file: string): string {
  const near = relative(process.cwd(), file);
  return near.startsWith("..") ? file : near;
}

function functionText(spec: FunctionSpec): string {
  const references = codeReferences(spec.references);
  const instructions = disassemble(spec.instructions, { style: "listing", references }).trimEnd().split("\n");
  const sources = new Map(spec.lines.map((line) => [line.at, line]));
  let shown = "";
  const lines = instructions.flatMap((text, at) => {
    const source = sources.get(at);
    const place = source ? `${nearPath(source.file)}:${source.line}` : shown;
    const isNew = source !== undefined && place !== shown;
    shown = place;
    return isNew ? [`; ${place}: ${source.text.trim()}`, text] : [text];
  });
  return `${spec.name}:${spec.section === undefined ? "" : ` ; section ${spec.section}`}\n${lines.join("\n")}\n`;
}

const WIDEST = 64;

interface Row {
  readonly file: string;
  readonly line: number;
  readonly source: string;
  readonly instruction: string;
  /** The first of its line. */
  readonly isNew: boolean;
}

/** Every instruction with the source line that it comes from. */
function rowsOf(spec: FunctionSpec): Row[] {
  const references = codeReferences(spec.references);
  const instructions = disassemble(spec.instructions, { style: "listing", references }).trimEnd().split("\n");
  const sources = new Map(spec.lines.map((line) => [line.at, line]));
  let known = spec.lines[0];
  let shown = "";
  return instructions.map((instruction, at) => {
    known = sources.get(at) ?? known;
    const place = `${known?.file}:${known?.line}`;
    const isNew = known !== undefined && place !== shown;
    shown = place;
    return { file: known?.file ?? "", line: known?.line ?? 0, source: known?.text.trim() ?? "", instruction, isNew };
  });
}

function besideText(rows: readonly Row[]): string {
  const left = rows.map(({ isNew, line, source }) => (isNew ? `${line}  ${source}` : ""));
  const width = Math.min(WIDEST, Math.max(...left.map((text) => text.length), 0));
  const cut = (text: string): string => (text.length > width ? `${text.slice(0, width - 3)}...` : text.padEnd(width));
  return `${rows.map(({ instruction }, at) => `${cut(left[at] ?? "")} | ${instruction}`).join("\n")}\n`;
}

/** One function with its source beside it; null where the object has none of that name. */
export function explainFunction(spec: ObjectSpec, name: string): string | null {
  const found = spec.programs[name] ?? spec.functions[name];
  if (!found) return null;
  const file = found.lines[0] ? ` ; ${nearPath(found.lines[0].file)}` : "";
  return `${found.name}:${file}\n${besideText(rowsOf(found))}`;
}

/**
 * A function of the source that is none in the object: where it stands, where it is called, and the instructions that came of its lines in
 * each function that took it in; null where the sources have none of that name.
 */
export function explainInlined(spec: ObjectSpec, name: string, { declared, called }: FunctionPlaces): string | null {
  if (declared.length === 0) return null;
  const isOf = ({ file, line }: Row): boolean =>
    declared.some((place) => place.file === file && place.line <= line && line <= place.lastLine);
  const parts = [...Object.values(spec.programs), ...Object.values(spec.functions)].flatMap((into) => {
    const rows = rowsOf(into).filter(isOf);
    if (rows.length === 0) return [];
    const count = rows.length === 1 ? "1 instruction" : `${rows.length} instructions`;
    return [`\nin ${into.name}: ${count} of ${into.instructions.length}\n${besideText(rows)}`];
  });
  const stands = declared.map(({ file, line }) => `${nearPath(file)}:${line}`).join(", ");
  const calls = called.map(
    ({ file, line, within }) => `  called at ${nearPath(file)}:${line}${within === null ? "" : ` in ${within}`}\n`,
  );
  const left = parts.length > 0 ? "" : "no instruction of it is left: nothing calls it, or it was folded\n";
  return `${name}: inlined ; ${stands}\n${calls.join("")}${left}${parts.join("")}`;
}

function mapText({ name, type, keySize, valueSize, maxEntries }: MapSpec): string {
  return `; map ${name}: ${type}, key ${keySize}, value ${valueSize}, ${maxEntries} entries\n`;
}

/** Maps, programs and subprograms. */
export function listObject(spec: ObjectSpec): string {
  const functions = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return `${Object.values(spec.maps).map(mapText).join("")}${functions.map((each) => `\n${functionText(each)}`).join("")}`;
}
