/**
 * @module
 * The types of objects that are in the kernel.
 */
import { btfById, ids, kernelTypes, type LinuxMap, type LinuxProgram } from "@skep/linux";
import { openBtf, type OpenBtf } from "@skep/object";
import { CliError } from "../errors.ts";

const opened = new Map<number, OpenBtf>();

/** BTF by its id. Types of modules come with those of the kernel below them. Null where the id is gone. */
export function typesById(id: number): OpenBtf | null {
  const known = opened.get(id);
  if (known) return known;
  const found = btfById(id);
  if (found === null) return null;
  const isModule = found.info.isKernel && found.info.name !== "vmlinux";
  const types = openBtf(found.bytes, isModule ? kernelTypes() : undefined);
  opened.set(id, types);
  return types;
}

export function typesOfProgram({ info }: LinuxProgram): OpenBtf | null {
  return info.btfId === 0 ? null : typesById(info.btfId);
}

/** Types of key and value; ids are 0 where the map has none. */
export interface MapTypes {
  readonly types: OpenBtf;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** Null where the map has no types. A struct_ops map's value is a type of the kernel or of a module. */
export function typesOfMap({ info }: LinuxMap): MapTypes | null {
  if (info.kernelValueTypeId !== 0) {
    const types = info.kernelBtfId === 0 ? kernelTypes() : (typesById(info.kernelBtfId) ?? kernelTypes());
    return { types, keyTypeId: 0, valueTypeId: info.kernelValueTypeId };
  }
  if (info.btfId === 0 || info.valueTypeId === 0) return null;
  const types = typesById(info.btfId);
  return types && { types, keyTypeId: info.keyTypeId, valueTypeId: info.valueTypeId };
}

/** Ids of all BTF in the kernel. */
export function btfIds(): number[] {
  return [...ids("btf")];
}

export function needTypes(types: OpenBtf | null, of: string): OpenBtf {
  if (types === null) throw new CliError(`${of} has no types (BTF)`);
  return types;
}
