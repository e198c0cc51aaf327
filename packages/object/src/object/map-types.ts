import { mapTypes } from "@skep/isa";
import { ObjectError } from "../errors.ts";
import { ownOf } from "../records.ts";

const NAMES = new Map<number, string>();
for (const [name, number] of Object.entries(mapTypes)) if (!NAMES.has(number)) NAMES.set(number, name);

/** The name of a map type's number. Throws `ObjectError` `unsupported`. */
export function mapTypeName(number: number, map: string): string {
  const name = NAMES.get(number);
  if (name === undefined) throw new ObjectError("unsupported", `map ${map} has the unknown type ${number}`);
  return name;
}

/** The number of a map type's name. Throws `ObjectError` `map`. */
export function mapTypeNumber(name: string, map: string): number {
  const number = ownOf<number>(mapTypes, name);
  if (number === undefined) throw new ObjectError("map", `map ${map} has the unknown type ${name}`);
  return number;
}

/** BPF_F_* of BPF_MAP_CREATE that objects imply. */
export const MAP_FLAGS = { readOnlyProgram: 1 << 7, mmapable: 1 << 10, link: 1 << 13 } as const;
