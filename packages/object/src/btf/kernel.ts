import type { ObjectSpec } from "../spec.ts";
import type { BtfOf, BtfType, BtfTypes } from "./types.ts";

/**
 * The object's types as BPF_BTF_LOAD takes them, ids unchanged (libbpf: bpf_object__collect_externs and
 * bpf_object__sanitize_btf): what is extern becomes something that a kernel knows, what is hidden becomes static.
 */
export function kernelBtf(spec: ObjectSpec, btf: BtfTypes): BtfTypes {
  const hidden = new Set([...hiddenFunctions(spec), ...hiddenVariables(spec, btf)]);
  const kconfig = kconfigVariables(spec, btf);
  const declared = declaredProtos(spec, btf);
  const types = btf.types.map((type, index): BtfType => {
    const id = index + 1;
    switch (type.kind) {
      case "func":
        if (type.linkage === "extern") return { ...type, linkage: "global" };
        return hidden.has(id) ? { ...type, linkage: "static" } : type;
      case "func_proto":
        return declared.has(id) ? namedParams(type) : type;
      case "var":
        if (type.linkage === "extern") return externVariable(type, kconfig.variables.has(id));
        return hidden.has(id) ? { ...type, linkage: "static" } : type;
      case "datasec":
        if (type.name === ".ksyms") return { kind: "struct", name: "", size: 0, members: [], hasBitfields: false };
        return id === kconfig.sectionId ? (kconfig.section ?? type) : type;
      default:
        return type;
    }
  });
  return { ...btf, types };
}

function hiddenFunctions(spec: ObjectSpec): number[] {
  const all = [...Object.values(spec.functions), ...Object.values(spec.programs)];
  return all.flatMap((fn) => (fn.hidden === true && fn.typeId !== undefined ? [fn.typeId] : []));
}

/** The VARs of data sections. */
function hiddenVariables(spec: ObjectSpec, btf: BtfTypes): number[] {
  const names = new Set<string>();
  for (const { data } of Object.values(spec.maps))
    for (const each of data?.variables ?? []) if (each.hidden === true) names.add(each.name);
  if (names.size === 0) return [];
  return btf.types.flatMap((type, index) =>
    type.kind === "var" && type.linkage === "global" && names.has(type.name) ? [index + 1] : [],
  );
}

/** Prototypes of functions that the object does not define: clang says extern, GCC static, of helpers. */
function declaredProtos(spec: ObjectSpec, btf: BtfTypes): Set<number> {
  const all = [...Object.values(spec.functions), ...Object.values(spec.programs)];
  const defined = new Set(all.map(({ name }) => name));
  const isDeclared = (type: BtfOf<"func">) => type.linkage === "extern" || !defined.has(type.name);
  return new Set(btf.types.flatMap((type) => (type.kind === "func" && isDeclared(type) ? [type.typeId] : [])));
}

/** A kernel wants names for the parameters of a FUNC; declarations need not have any. */
function namedParams(proto: BtfOf<"func_proto">): BtfOf<"func_proto"> {
  const params = proto.params.map((param, index) =>
    param.name === "" && param.typeId !== 0 ? { ...param, name: `arg${index}` } : param,
  );
  return { ...proto, params };
}

/** `.kconfig` becomes a data section; a kernel symbol's variable may have no size, so that a plain int stands for it. */
function externVariable(variable: BtfOf<"var">, isKconfig: boolean): BtfType {
  if (isKconfig) return { ...variable, linkage: "global" };
  return { kind: "int", name: variable.name, size: 4, bits: 32, bitOffset: 0, encoding: "unsigned" };
}

interface Kconfig {
  readonly sectionId: number;
  readonly section: BtfOf<"datasec"> | undefined;
  readonly variables: ReadonlySet<number>;
}

/** The section as the map `.kconfig` lays it out. */
function kconfigVariables(spec: ObjectSpec, btf: BtfTypes): Kconfig {
  const index = btf.types.findIndex((type) => type.kind === "datasec" && type.name === ".kconfig");
  const section = btf.types[index];
  const data = spec.maps[".kconfig"]?.data;
  if (section?.kind !== "datasec" || data === undefined)
    return { sectionId: 0, section: undefined, variables: new Set() };
  const places = new Map(data.variables.map((variable) => [variable.name, variable]));
  const variables = section.variables.flatMap(({ typeId }) => {
    const type = btf.types[typeId - 1];
    const place = type?.kind === "var" ? places.get(type.name) : undefined;
    return place === undefined ? [] : [{ typeId, offset: place.offset, size: place.size }];
  });
  variables.sort((a, b) => a.offset - b.offset);
  return {
    sectionId: index + 1,
    section: { ...section, size: data.contents.length, variables },
    variables: new Set(section.variables.map(({ typeId }) => typeId)),
  };
}
