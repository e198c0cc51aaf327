/**
 * When types of two BTFs are the same for a relocation (libbpf, relo_core.c). Three relations: of the fields on the way to a field
 * (`fieldsCompatible`), of types whose existence or size is asked for (`typesCompatible`), and `typesMatch` for bpf_core_type_matches.
 */
import { essentialName } from "../btf/flavor.ts";
import { resolveId } from "../btf/query.ts";
import type { BtfOf, BtfType, BtfView } from "../btf/types.ts";
import { typeName } from "../btf/walk.ts";
import { ObjectError } from "../errors.ts";
import { isComposite, isEnum } from "./access.ts";

/** A type and where it is from. */
export interface TypeRef {
  readonly btf: BtfView;
  readonly id: number;
}

const MAX_DEPTH = 32;
/** Types that hold one another can be compared in more ways than there is time. */
const MAX_COMPARISONS = 100_000;

interface Budget {
  left: number;
}

function spend(budget: Budget): void {
  if (--budget.left < 0) throw tooDeep();
}

function tooDeep(): ObjectError {
  return new ObjectError("relocation", "types are nested too deeply to be compared");
}

function at(ref: TypeRef, id: number): TypeRef {
  return { btf: ref.btf, id };
}

function resolved(ref: TypeRef): BtfType | null {
  return ref.btf.get(resolveId(ref.btf, ref.id));
}

/** Same kind, where an enum is an enum whatever its width. */
export function sameKind(local: BtfType | null, target: BtfType | null): boolean {
  return local?.kind === target?.kind || (isEnum(local) && isEnum(target));
}

/** Whether a member of this type may stand for one of that type. Sizes, signs and names of structs do not matter. */
export function fieldsCompatible(local: TypeRef, target: TypeRef): boolean {
  let [a, b] = [local, target];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const [mine, other] = [resolved(a), resolved(b)];
    if (isComposite(mine) && isComposite(other)) return true;
    if (!sameKind(mine, other) || mine === null || other === null) return false;
    switch (mine.kind) {
      case "ptr":
      case "float":
        return true;
      case "fwd":
      case "enum":
      case "enum64": {
        const [name, otherName] = [essentialName(typeName(mine)), essentialName(typeName(other))];
        return name === "" || otherName === "" || name === otherName;
      }
      case "int":
        return mine.bitOffset === 0 && (other as BtfOf<"int">).bitOffset === 0;
      case "array":
        a = at(a, mine.typeId);
        b = at(b, (other as BtfOf<"array">).typeId);
        break;
      default:
        return false;
    }
  }
  throw tooDeep();
}

/** Whether a type of that name is the type that is meant: same kind; pointers, arrays and functions all the way down. */
export function typesCompatible(local: TypeRef, target: TypeRef): boolean {
  return compatibleTypes(local, target, { level: MAX_DEPTH, budget: { left: MAX_COMPARISONS } });
}

interface Nesting {
  readonly level: number;
  readonly budget: Budget;
}

function compatibleTypes(local: TypeRef, target: TypeRef, nesting: Nesting): boolean {
  if (!sameKind(local.btf.get(local.id), target.btf.get(target.id))) return false;
  let [a, b] = [local, target];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const [mine, other] = [resolved(a), resolved(b)];
    if (!sameKind(mine, other)) return false;
    switch (mine?.kind) {
      case undefined:
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "fwd":
        return true;
      case "int":
        return mine.bitOffset === 0 && (other as BtfOf<"int">).bitOffset === 0;
      case "ptr":
      case "array":
        a = at(a, mine.typeId);
        b = at(b, (other as BtfOf<"ptr">).typeId);
        break;
      case "func_proto": {
        const proto = other as BtfOf<"func_proto">;
        if (!parametersAgree(a, b, { mine, proto, compare: (x, y) => paramsCompatible(x, y, nesting) })) return false;
        a = at(a, mine.returnTypeId);
        b = at(b, proto.returnTypeId);
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep();
}

function paramsCompatible(a: TypeRef, b: TypeRef, { level, budget }: Nesting): boolean {
  if (level <= 0) throw tooDeep();
  spend(budget);
  return compatibleTypes(at(a, resolveId(a.btf, a.id)), at(b, resolveId(b.btf, b.id)), { level: level - 1, budget });
}

function parametersAgree(
  a: TypeRef,
  b: TypeRef,
  input: { mine: BtfOf<"func_proto">; proto: BtfOf<"func_proto">; compare: (a: TypeRef, b: TypeRef) => boolean },
): boolean {
  const { mine, proto, compare } = input;
  if (mine.params.length !== proto.params.length) return false;
  return mine.params.every((param, index) => compare(at(a, param.typeId), at(b, proto.params[index]?.typeId ?? 0)));
}

/**
 * Whether the target has all that the local type says (bpf_core_type_matches): members and values by name, integers by size and sign,
 * arrays by length; behind a pointer only names and kinds of structs count.
 */
export function typesMatch(local: TypeRef, target: TypeRef): boolean {
  return matchTypes(local, target, { behindPointer: false, level: MAX_DEPTH, budget: { left: MAX_COMPARISONS } });
}

type MatchContext = Nesting & { readonly behindPointer: boolean };

function matchTypes(local: TypeRef, target: TypeRef, context: MatchContext): boolean {
  if (context.level <= 0) throw tooDeep();
  spend(context.budget);
  let [a, b, behindPointer] = [local, target, context.behindPointer];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const [mine, other] = [resolved(a), resolved(b)];
    if (!namesMatch(mine, other)) return false;
    if (mine === null || other === null) return mine === other;
    switch (mine.kind) {
      case "fwd":
        return forwardMatches(mine, other, behindPointer);
      case "enum":
      case "enum64":
        return isEnum(other) && enumsMatch(mine, other);
      case "struct":
      case "union": {
        if (!behindPointer) {
          return isComposite(other) && other.kind === mine.kind && membersMatch({ a, b, mine, other }, context);
        }
        return other.kind === mine.kind || (other.kind === "fwd" && other.isUnion === (mine.kind === "union"));
      }
      case "int":
        return (
          other.kind === "int" &&
          mine.size === other.size &&
          (mine.encoding === "signed") === (other.encoding === "signed")
        );
      case "ptr":
        if (other.kind !== "ptr") return false;
        behindPointer = true;
        a = at(a, mine.typeId);
        b = at(b, other.typeId);
        break;
      case "array":
        if (other.kind !== "array" || mine.length !== other.length) return false;
        a = at(a, mine.typeId);
        b = at(b, other.typeId);
        break;
      case "func_proto": {
        if (other.kind !== "func_proto") return false;
        const inner = { ...context, behindPointer, level: context.level - 1 };
        if (!parametersAgree(a, b, { mine, proto: other, compare: (x, y) => matchTypes(x, y, inner) })) return false;
        a = at(a, mine.returnTypeId);
        b = at(b, other.returnTypeId);
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep();
}

function namesMatch(mine: BtfType | null, other: BtfType | null): boolean {
  return sameName(mine === null ? "" : typeName(mine), other === null ? "" : typeName(other));
}

function sameName(mine: string, other: string): boolean {
  return other === "" ? mine === "" : essentialName(mine) === essentialName(other);
}

function forwardMatches(mine: BtfOf<"fwd">, other: BtfType, behindPointer: boolean): boolean {
  if (other.kind === "fwd") return mine.isUnion === other.isUnion;
  return behindPointer && other.kind === (mine.isUnion ? "union" : "struct");
}

type Enum = BtfOf<"enum"> | BtfOf<"enum64">;

function enumsMatch(mine: Enum, other: Enum): boolean {
  if (mine.size !== other.size || mine.values.length > other.values.length) return false;
  return mine.values.every((value) => other.values.some((theirs) => sameName(value.name, theirs.name)));
}

type Composite = BtfOf<"struct">;

function membersMatch(
  types: { a: TypeRef; b: TypeRef; mine: Composite; other: Composite },
  context: MatchContext,
): boolean {
  const { a, b, mine, other } = types;
  if (mine.members.length > other.members.length) return false;
  const inner = { ...context, behindPointer: false, level: context.level - 1 };
  return mine.members.every((member) =>
    other.members.some(
      (theirs) => sameName(member.name, theirs.name) && matchTypes(at(a, member.typeId), at(b, theirs.typeId), inner),
    ),
  );
}
