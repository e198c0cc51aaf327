/**
 * @module
 * An object as people read it: instructions under the source lines that they come from.
 */
import { relative } from "node:path";
import { type CodeReference, disassemble } from "@skep/isa";
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

/** Every instruction with the source line that it comes from beside it. */
function besideText(spec: FunctionSpec): string {
  const references = codeReferences(spec.references);
  const instructions = disassemble(spec.instructions, { style: "listing", references }).trimEnd().split("\n");
  const sources = new Map(spec.lines.map((line) => [line.at, line]));
  let shown = "";
  const rows = instructions.map((text, at): [string, string] => {
    const source = sources.get(at);
    const place = source ? `${nearPath(source.file)}:${source.line}` : shown;
    const isNew = source !== undefined && place !== shown;
    shown = place;
    return [isNew ? `${source.line}  ${source.text.trim()}` : "", text];
  });
  const width = Math.min(WIDEST, Math.max(...rows.map(([left]) => left.length), 0));
  const cut = (text: string): string => (text.length > width ? `${text.slice(0, width - 3)}...` : text.padEnd(width));
  const file = spec.lines[0] ? ` ; ${nearPath(spec.lines[0].file)}` : "";
  return `${spec.name}:${file}\n${rows.map(([left, right]) => `${cut(left)} | ${right}`).join("\n")}\n`;
}

/** One function with its source beside it; null where the object has none of that name. */
export function explainFunction(spec: ObjectSpec, name: string): string | null {
  const found = spec.programs[name] ?? spec.functions[name];
  return found ? besideText(found) : null;
}

function mapText({ name, type, keySize, valueSize, maxEntries }: MapSpec): string {
  return `; map ${name}: ${type}, key ${keySize}, value ${valueSize}, ${maxEntries} entries\n`;
}

/** Maps, programs and subprograms. */
export function listObject(spec: ObjectSpec): string {
  const functions = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return `${Object.values(spec.maps).map(mapText).join("")}${functions.map((each) => `\n${functionText(each)}`).join("")}`;
}
