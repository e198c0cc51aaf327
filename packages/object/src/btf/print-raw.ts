import type { BtfOf, BtfType, BtfTypes, BtfView } from "./types.ts";
import { viewOf } from "./view.ts";

/** One line a type, and one for each of its parts, in the wording of `bpftool btf dump`; of split BTF the own types only. */
export function printBtf(btf: BtfTypes | BtfView): string {
  const view = viewOf(btf);
  const out: string[] = [];
  for (let id = view.firstId; id < view.end; id++) {
    const type = view.get(id);
    if (type !== null) out.push(`[${id}] ${typeText(type, view)}`);
  }
  return out.length === 0 ? "" : `${out.join("\n")}\n`;
}

const ENCODINGS = { unsigned: "(none)", signed: "SIGNED", char: "CHAR", bool: "BOOL" } as const;

function quoted(name: string): string {
  return `'${name === "" ? "(anon)" : name}'`;
}

function list(head: string, lines: readonly string[]): string {
  return [head, ...lines.map((line) => `\t${line}`)].join("\n");
}

function typeText(type: BtfType, view: BtfView): string {
  const name = quoted("name" in type ? type.name : "");
  const head = `${type.kind.toUpperCase()} ${name}`;
  switch (type.kind) {
    case "int": {
      return `${head} size=${type.size} bits_offset=${type.bitOffset} nr_bits=${type.bits} encoding=${ENCODINGS[type.encoding]}`;
    }
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
      return `${head} type_id=${type.typeId}`;
    case "array":
      return `${head} type_id=${type.typeId} index_type_id=${type.indexTypeId} nr_elems=${type.length}`;
    case "struct":
    case "union":
      return list(
        `${head} size=${type.size} vlen=${type.members.length}`,
        type.members.map((member) => memberText(member)),
      );
    case "enum":
    case "enum64": {
      const suffix = type.kind === "enum" ? "" : type.signed ? "LL" : "ULL";
      const values = type.values.map((each) => `${quoted(each.name)} val=${each.value}${suffix}`);
      return list(
        `${head} encoding=${type.signed ? "SIGNED" : "UNSIGNED"} size=${type.size} vlen=${values.length}`,
        values,
      );
    }
    case "fwd":
      return `${head} fwd_kind=${type.isUnion ? "union" : "struct"}`;
    case "func":
      return `${head} type_id=${type.typeId} linkage=${type.linkage}`;
    case "func_proto": {
      const params = type.params.map((param) => `${quoted(param.name)} type_id=${param.typeId}`);
      return list(`${head} ret_type_id=${type.returnTypeId} vlen=${params.length}`, params);
    }
    case "var":
      return `${head} type_id=${type.typeId}, linkage=${type.linkage}`;
    case "datasec":
      return list(
        `${head} size=${type.size} vlen=${type.variables.length}`,
        type.variables.map((each) => variableText(each, view)),
      );
    case "float":
      return `${head} size=${type.size}`;
    case "decl_tag":
      return `${head} type_id=${type.typeId} component_idx=${type.componentIndex}`;
  }
}

function memberText(member: BtfOf<"struct">["members"][number]): string {
  const bits = member.bitSize === 0 ? "" : ` bitfield_size=${member.bitSize}`;
  return `${quoted(member.name)} type_id=${member.typeId} bits_offset=${member.bitOffset}${bits}`;
}

function variableText(entry: BtfOf<"datasec">["variables"][number], view: BtfView): string {
  const type = view.get(entry.typeId);
  const what = type?.kind === "var" || type?.kind === "func" ? ` (${type.kind.toUpperCase()} '${type.name}')` : "";
  return `type_id=${entry.typeId} offset=${entry.offset} size=${entry.size}${what}`;
}
