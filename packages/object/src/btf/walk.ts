import type { BtfType } from "./types.ts";

/** Calls `visit` with every type id that a type holds. */
export function forEachTypeId(type: BtfType, visit: (id: number) => void): void {
  switch (type.kind) {
    case "int":
    case "float":
    case "fwd":
    case "enum":
    case "enum64":
      return;
    case "array":
      visit(type.typeId);
      visit(type.indexTypeId);
      return;
    case "struct":
    case "union":
      for (const member of type.members) visit(member.typeId);
      return;
    case "func_proto":
      visit(type.returnTypeId);
      for (const param of type.params) visit(param.typeId);
      return;
    case "datasec":
      for (const variable of type.variables) visit(variable.typeId);
      return;
    default:
      visit(type.typeId);
  }
}

/** The type with every type id in it replaced. */
export function mapTypeIds(type: BtfType, to: (id: number) => number): BtfType {
  switch (type.kind) {
    case "int":
    case "float":
    case "fwd":
    case "enum":
    case "enum64":
      return type;
    case "array":
      return { ...type, typeId: to(type.typeId), indexTypeId: to(type.indexTypeId) };
    case "struct":
    case "union":
      return { ...type, members: type.members.map((member) => ({ ...member, typeId: to(member.typeId) })) };
    case "func_proto": {
      const params = type.params.map((param) => ({ ...param, typeId: to(param.typeId) }));
      return { ...type, returnTypeId: to(type.returnTypeId), params };
    }
    case "datasec":
      return { ...type, variables: type.variables.map((variable) => ({ ...variable, typeId: to(variable.typeId) })) };
    default:
      return { ...type, typeId: to(type.typeId) };
  }
}

/** The type's name; "" for kinds without one. */
export function typeName(type: BtfType): string {
  return "name" in type ? type.name : "";
}
