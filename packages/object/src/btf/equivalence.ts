import { ObjectError } from "../errors.ts";
import type { Representatives } from "./representatives.ts";
import type { BtfOf, BtfType } from "./types.ts";

/** Type graphs of the kernel are some hundred deep. */
const MAX_DEPTH = 4096;
const MAX_TWIN_DEPTH = 32;
const MAX_TWINS = 10_000;

/**
 * Whether two types have the same graph behind them. While the graphs are walked, each type of the one is supposed to be a type of the other;
 * a loop that comes back must find the same supposition.
 */
export class EquivalenceCheck {
  private readonly map: Representatives;
  /** Type of the known graph to type of the graph that is compared. */
  private readonly supposed = new Map<number, number>();
  /** Comparisons of twins in one check: types that hold one another have no end of them. */
  private twins = 0;

  constructor(map: Representatives) {
    this.map = map;
  }

  areEquivalent(candidate: number, known: number): boolean {
    this.supposed.clear();
    this.twins = 0;
    return this.equal(candidate, known, 0);
  }

  /** Takes over what the last check supposed: forward declarations get their definitions, structs that are settled their twins. */
  adopt(): void {
    for (const [knownId, candidateId] of this.supposed) {
      const known = this.map.resolve(knownId);
      const candidate = this.map.resolve(candidateId);
      const knownIsForward = this.map.get(known)?.kind === "fwd";
      const candidateIsForward = this.map.get(candidate)?.kind === "fwd";
      if (!knownIsForward && candidateIsForward) this.map.set(candidate, known);
      else if (knownIsForward && !candidateIsForward) this.map.set(known, candidate);
      else if (this.isTwinToTake(known, candidate)) this.map.set(candidate, known);
    }
  }

  private isTwinToTake(known: number, candidate: number): boolean {
    const kind = this.map.get(known)?.kind;
    return (kind === "struct" || kind === "union") && this.map.isSettled(known) && !this.map.isSettled(candidate);
  }

  private equal(candidateId: number, given: number, depth: number): boolean {
    if (depth > MAX_DEPTH) throw new ObjectError("btf", "types are nested too deeply to be compared");
    const resolved = this.map.resolve(given);
    if (this.map.resolve(candidateId) === resolved) return true;
    // A forward declaration that was resolved stands for its definition.
    const knownId = this.map.get(given)?.kind === "fwd" ? resolved : given;
    const supposed = this.supposed.get(knownId);
    if (supposed !== undefined) return supposed === candidateId || this.areTwins(supposed, candidateId, 0);
    this.supposed.set(knownId, candidateId);
    const candidate = this.map.get(candidateId);
    const known = this.map.get(knownId);
    if (candidate === null || known === null) return candidate === known;
    if ((candidate.kind === "fwd") !== (known.kind === "fwd")) return isForwardOf(candidate, known);
    if (candidate.kind !== known.kind) return false;
    return this.sameShape(candidateId, knownId) && this.sameReferences(candidate, known, depth + 1);
  }

  private sameShape(a: number, b: number): boolean {
    if (this.map.shape(a) === this.map.shape(b)) return true;
    const [one, two] = [this.map.get(a), this.map.get(b)];
    if (!isEnum(one) || !isEnum(two)) return false;
    // An enum without values is a forward declaration.
    return one.name === two.name && one.size === two.size && (one.values.length === 0 || two.values.length === 0);
  }

  private sameReferences(candidate: BtfType, other: BtfType, depth: number): boolean {
    switch (candidate.kind) {
      case "int":
      case "float":
      case "fwd":
      case "enum":
      case "enum64":
        return true;
      case "array": {
        const known = other as BtfOf<"array">;
        return (
          this.equal(candidate.indexTypeId, known.indexTypeId, depth) &&
          this.equal(candidate.typeId, known.typeId, depth)
        );
      }
      case "struct":
      case "union": {
        const { members } = other as BtfOf<"struct">;
        return candidate.members.every(({ typeId }, index) => this.equal(typeId, members[index]?.typeId ?? 0, depth));
      }
      case "func_proto": {
        const known = other as BtfOf<"func_proto">;
        if (!this.equal(candidate.returnTypeId, known.returnTypeId, depth)) return false;
        return candidate.params.every(({ typeId }, index) =>
          this.equal(typeId, known.params[index]?.typeId ?? 0, depth),
        );
      }
      case "func":
      case "ptr":
      case "typedef":
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
        return this.equal(candidate.typeId, (other as BtfOf<"ptr">).typeId, depth);
      default:
        return false;
    }
  }

  /** Compilers write some types twice within one source: such as are identical all the way down do not contradict each other. */
  private areTwins(a: number, b: number, depth: number): boolean {
    if (a === b) return true;
    const [one, two] = [this.map.get(a), this.map.get(b)];
    if (one === null || two === null || this.map.shape(a) !== this.map.shape(b)) return false;
    if (depth > MAX_TWIN_DEPTH || ++this.twins > MAX_TWINS) return false;
    switch (one.kind) {
      case "array":
        return (
          one.indexTypeId === (two as BtfOf<"array">).indexTypeId &&
          this.areTwins(one.typeId, (two as BtfOf<"array">).typeId, depth + 1)
        );
      case "struct":
      case "union": {
        const { members } = two as BtfOf<"struct">;
        return one.members.every(({ typeId }, index) => this.areTwins(typeId, members[index]?.typeId ?? 0, depth + 1));
      }
      case "ptr":
      case "typedef":
      case "volatile":
      case "const":
      case "restrict":
        return this.areTwins(one.typeId, (two as BtfOf<"ptr">).typeId, depth + 1);
      case "int":
      case "float":
      case "fwd":
      case "enum":
      case "enum64":
        return true;
      default:
        return false;
    }
  }
}

function isEnum(type: BtfType | null): type is BtfOf<"enum"> | BtfOf<"enum64"> {
  return type?.kind === "enum" || type?.kind === "enum64";
}

/** Whether one is the forward declaration of the other. */
function isForwardOf(a: BtfType, b: BtfType): boolean {
  const [forward, real] = a.kind === "fwd" ? [a, b] : [b, a];
  if (forward.kind !== "fwd" || (real.kind !== "struct" && real.kind !== "union")) return false;
  return forward.name === real.name && real.kind === (forward.isUnion ? "union" : "struct");
}
