/**
 * @module
 * Modules of IR around functions, for tests.
 */
import type { BtfType, MapSpec } from "@skep/object";
import type { IrFunction, IrModule, Loc, ValueType } from "../src/index.ts";

export const LOC: Loc = { file: "test.ts", line: 1, column: 1 };

export function arrayMap(name: string, valueSize: number, maxEntries: number): MapSpec {
  return { name, type: "array", keySize: 4, valueSize, maxEntries, flags: 0, pinning: "none" };
}

export function hashMap(name: string, keySize: number, valueSize: number): MapSpec {
  return { name, type: "hash", keySize, valueSize, maxEntries: 64, flags: 0, pinning: "none" };
}

export function dataMap(name: string, contents: Uint8Array, readOnly = false): MapSpec {
  const data = { contents, readOnly, variables: [] };
  // BPF_F_RDONLY_PROG where the program may not write.
  const flags = readOnly ? 128 : 0;
  return { ...arrayMap(name, contents.byteLength, 1), flags, data };
}

const int = { kind: "int", bitOffset: 0 } as const;
/** 1: u32, 2: u64. */
const baseTypes: BtfType[] = [
  { ...int, name: "u32", size: 4, bits: 32, encoding: "unsigned" },
  { ...int, name: "u64", size: 8, bits: 64, encoding: "unsigned" },
];

function functionTypes(fn: IrFunction, index: number): BtfType[] {
  const idOf = (type: ValueType | undefined): number => (type === undefined ? 0 : type === "i32" ? 1 : 2);
  const params = fn.params.map((param) => ({ name: param.name, typeId: idOf(param.type) }));
  const linkage = fn.linkage;
  return [
    { kind: "func_proto", returnTypeId: idOf(fn.returns), params },
    { kind: "func", name: fn.name, typeId: 3 + index * 2, linkage },
  ];
}

export function moduleOf(functions: IrFunction[], rest: { maps?: MapSpec[]; data?: MapSpec[] } = {}): IrModule {
  return {
    file: LOC.file,
    license: "GPL",
    functions: functions.map((fn, i) => ({ ...fn, typeId: 4 + i * 2 })),
    maps: rest.maps ?? [],
    data: rest.data ?? [],
    btf: { types: [...baseTypes, ...functions.flatMap(functionTypes)] },
    sources: { [LOC.file]: ["source"] },
  };
}
