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

function mapText({ name, type, keySize, valueSize, maxEntries }: MapSpec): string {
  return `; map ${name}: ${type}, key ${keySize}, value ${valueSize}, ${maxEntries} entries\n`;
}

/** Maps, programs and subprograms. */
export function listObject(spec: ObjectSpec): string {
  const functions = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return `${Object.values(spec.maps).map(mapText).join("")}${functions.map((each) => `\n${functionText(each)}`).join("")}`;
}
