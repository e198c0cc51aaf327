import { formatInstruction } from "@skep/isa";
import type { DataSection, FunctionSpec, MapSpec, ObjectSpec, ProgramSpec, Reference } from "@skep/object";

/** A spec as text for golden files: everything but types and source lines' text. */
export function describeSpec(spec: ObjectSpec): string {
  const out = [`license ${JSON.stringify(spec.license)}`, `byte order ${spec.byteOrder}`];
  if (spec.kernelVersion !== undefined) out.push(`version 0x${spec.kernelVersion.toString(16)}`);
  for (const map of Object.values(spec.maps)) out.push(...describeMap(map));
  for (const program of Object.values(spec.programs)) out.push(...describeProgram(program));
  for (const fn of Object.values(spec.functions)) out.push(...describeFunction(fn, `function ${fn.name}`));
  out.push(`types ${spec.btf?.types.length ?? "none"}`);
  return `${out.join("\n")}\n`;
}

function describeMap(map: MapSpec, indent = ""): string[] {
  const types = `${map.keyTypeId === undefined ? "" : ` key [${map.keyTypeId}]`}${map.valueTypeId === undefined ? "" : ` value [${map.valueTypeId}]`}`;
  const extras = [
    map.flags === 0 ? "" : ` flags 0x${map.flags.toString(16)}`,
    map.pinning === "none" ? "" : ` pinned ${map.pinning}`,
    map.mapExtra === undefined ? "" : ` extra ${map.mapExtra}`,
    map.numaNode === undefined ? "" : ` node ${map.numaNode}`,
    map.extern === true ? " extern" : "",
    map.weak === true ? " weak" : "",
  ].join("");
  const out = [
    `${indent}map ${map.name}: ${map.type} ${map.keySize}->${map.valueSize} x ${map.maxEntries}${types}${extras}`,
  ];
  if (map.inner !== undefined) out.push(...describeMap(map.inner, `${indent}  inner `));
  for (const { index, name } of map.values ?? []) out.push(`${indent}  [${index}] = ${name}`);
  if (map.structOps !== undefined) {
    out.push(`${indent}  ${map.structOps.typeName} in ${map.structOps.section}`);
    for (const { member, offset, program } of map.structOps.programs)
      out.push(`${indent}  .${member} @${offset} = ${program}`);
  }
  if (map.data !== undefined) out.push(...describeData(map.data, indent));
  return out;
}

function describeData(data: DataSection, indent: string): string[] {
  const bytes = data.contents;
  const text = bytes.every((byte) => byte === 0) ? `${bytes.length} zeros` : Buffer.from(bytes).toString("hex");
  return [
    `${indent}  ${data.readOnly ? "read-only " : ""}contents ${text}`,
    ...data.variables.map(({ name, offset, size, typeId, linkage, hidden, weak }) => {
      const words = [linkage, hidden === true && "hidden", weak === true && "weak"].filter(Boolean);
      return [`${indent}  +${offset} ${name}: ${size} bytes [${typeId}]`, ...words].join(" ");
    }),
  ];
}

function describeProgram(program: ProgramSpec): string[] {
  const attach = `${program.attachType === undefined ? "" : ` ${program.attachType}`}${program.attachTo === undefined ? "" : ` to ${program.attachTo}`}`;
  const flags = `${program.flags === 0 ? "" : ` flags 0x${program.flags.toString(16)}`}${program.autoload === false ? " not loaded" : ""}`;
  return describeFunction(program, `program ${program.name} in ${program.section}: ${program.type}${attach}${flags}`);
}

function describeFunction(fn: FunctionSpec, title: string): string[] {
  const head = `${title}, ${fn.linkage}${fn.hidden === true ? " hidden" : ""}${fn.section === undefined ? "" : ` in ${fn.section}`}${fn.typeId === undefined ? "" : ` [${fn.typeId}]`}`;
  const references = new Map(fn.references.map((reference) => [reference.at, referenceText(reference)]));
  const relocations = new Map(
    fn.coreRelocations.map(({ at, typeId, access, kind }) => [at, ` ; CO-RE ${kind} [${typeId}] ${access}`]),
  );
  const lines = new Map(fn.lines.map(({ at, file, line, column }) => [at, ` ; ${file}:${line}:${column}`]));
  return [
    head,
    ...fn.instructions.map((insn, at) => {
      return `  ${at}: ${formatInstruction(insn)}${references.get(at) ?? ""}${relocations.get(at) ?? ""}${lines.get(at) ?? ""}`;
    }),
  ];
}

function referenceText(reference: Reference): string {
  switch (reference.kind) {
    case "map":
      return ` ; map ${reference.map}`;
    case "data":
      return ` ; ${reference.map}+${reference.offset}`;
    case "call":
    case "function":
      return ` ; ${reference.kind} ${reference.function}`;
    default: {
      const typeId = "typeId" in reference && reference.typeId !== undefined ? ` [${reference.typeId}]` : "";
      return ` ; ${reference.kind} ${reference.name}${reference.weak ? " weak" : ""}${typeId}`;
    }
  }
}
