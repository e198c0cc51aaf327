import { BtfBuilder } from "../btf/builder.ts";
import { ObjectError } from "../errors.ts";
import { mapRecord } from "../records.ts";
import type { FunctionSpec, ObjectSpec, ProgramSpec, Reference } from "../spec.ts";
import { completeMaps, plainMap } from "./complete-maps.ts";
import { sectionMeaning } from "./read-code.ts";
import { placeholder } from "./read-references.ts";
import { Types, type SectionEntry } from "./type-completion.ts";

const MAX_COLUMN = 0x3ff;
const MAX_LINE = 0x3f_ffff;

/**
 * The spec as `readObject(writeObject(spec))` gives it: type information gets what the file format needs (a variable and a section for
 * every map, datum and kernel symbol; existing type ids stay), instructions hold the placeholders of their references. A spec that was
 * read is complete already. Throws `ObjectError` for what a file cannot say.
 */
export function completeSpec(spec: ObjectSpec): ObjectSpec {
  const programs = mapRecord(spec.programs, completeProgram);
  const functions = mapRecord(spec.functions, completeFunction);
  if (spec.btf === undefined && !needsTypes(spec))
    return { ...spec, programs, functions, maps: mapRecord(spec.maps, plainMap) };
  const types = new Types(new BtfBuilder(spec.btf));
  const maps = completeMaps(spec, types);
  const retype = completeSymbols([...Object.values(programs), ...Object.values(functions)], types);
  return {
    ...spec,
    maps,
    programs: mapRecord(programs, (fn) => ({ ...fn, references: fn.references.map(retype) })),
    functions: mapRecord(functions, (fn) => ({ ...fn, references: fn.references.map(retype) })),
    btf: types.btf.build(),
  };
}

function needsTypes(spec: ObjectSpec): boolean {
  const hasMaps = Object.values(spec.maps).some((map) => map.data === undefined || map.data.variables.length > 0);
  const all = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return (
    hasMaps ||
    all.some((fn) => fn.references.some(({ kind }) => kind === "kfunc" || kind === "ksym" || kind === "extern"))
  );
}

// ---- code ----

/** The section's name is all that a file says of a program's type. */
function completeProgram(program: ProgramSpec): ProgramSpec {
  const { autoload, section: named, ...rest } = completeFunction(program);
  const section = autoload === false && !named.startsWith("?") ? `?${named}` : named;
  const meaning = sectionMeaning(section);
  if (meaning.type !== program.type) {
    throw new ObjectError(
      "program",
      `program ${program.name} is a ${program.type}, but section ${section} holds ${meaning.type}`,
    );
  }
  return { ...rest, section, ...(section.startsWith("?") ? { autoload: false } : {}) };
}

function completeFunction<T extends FunctionSpec>(fn: T): T {
  const references = [...fn.references].sort((a, b) => a.at - b.at);
  const instructions = [...fn.instructions];
  for (const reference of references) {
    const insn = instructions[reference.at];
    if (insn === undefined)
      throw new ObjectError("program", `${fn.name}: a reference at instruction ${reference.at}, which is not there`);
    instructions[reference.at] = placeholder(insn, reference);
  }
  const lines = [...fn.lines]
    .sort((a, b) => a.at - b.at)
    .map((line) => ({
      ...line,
      line: Math.min(line.line, MAX_LINE),
      column: Math.min(line.column, MAX_COLUMN),
    }));
  return {
    ...fn,
    references,
    instructions,
    lines,
    coreRelocations: [...fn.coreRelocations].sort((a, b) => a.at - b.at),
  };
}

// ---- kernel symbols ----

/** Declares every kernel function and variable in `.ksyms`; gives what makes their references name the declarations. */
function completeSymbols(functions: readonly FunctionSpec[], types: Types): (reference: Reference) => Reference {
  const ids = new Map<string, number>();
  const added: SectionEntry[] = [];
  for (const reference of functions.flatMap((fn) => fn.references)) {
    if ((reference.kind !== "kfunc" && reference.kind !== "ksym") || ids.has(reference.name)) continue;
    const known = types.member(".ksyms", reference.name);
    if (known !== null) {
      ids.set(reference.name, known.entry.typeId);
      continue;
    }
    const id = declare(reference, types);
    ids.set(reference.name, id);
    added.push({ typeId: id, offset: 0, size: 0 });
  }
  if (added.length > 0) types.setSection(".ksyms", 0, [...(types.section(".ksyms")?.type.variables ?? []), ...added]);
  return (reference) => {
    if (reference.kind !== "kfunc" && reference.kind !== "ksym") return reference;
    const typeId = ids.get(reference.name);
    if (typeId === undefined || (reference.kind === "ksym" && reference.typeId === undefined)) return reference;
    return { ...reference, typeId };
  };
}

function declare(reference: Extract<Reference, { kind: "kfunc" | "ksym" }>, types: Types): number {
  const { name, typeId } = reference;
  const type = typeId === undefined ? null : types.btf.get(typeId);
  if (type?.kind === "func" || type?.kind === "var") {
    if (type.linkage !== "extern" || type.name !== name)
      throw new ObjectError("symbol", `type ${typeId} does not declare ${name}`);
    return typeId ?? 0;
  }
  if (reference.kind === "kfunc")
    throw new ObjectError("symbol", `kernel function ${name} is not declared in the types`);
  return types.btf.variable(name, typeId ?? types.btf.modifier("const", 0), "extern");
}
