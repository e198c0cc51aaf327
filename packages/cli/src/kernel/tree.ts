/**
 * @module
 * What verbs print: plain values, and structs whose members may have the same name or none, as in C.
 */
import type { Plain } from "../output/plain.ts";

const hexOf = Array.from({ length: 256 }, (_, byte) => `0x${byte.toString(16).padStart(2, "0")}`);

/** Bytes as a list of texts such as `0x0a`. */
export class HexBytes {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get texts(): string[] {
    return Array.from(this.bytes, (byte) => hexOf[byte] ?? "");
  }
}

/** Undefined members are left out. */
export type Tree =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Tree[]
  | Fields
  | HexBytes
  | { readonly [name: string]: Tree | undefined };

/** Members in their order. The name of an anonymous struct or union is "". */
export class Fields {
  readonly entries: readonly (readonly [name: string, value: Tree])[];

  constructor(entries: readonly (readonly [name: string, value: Tree])[]) {
    this.entries = entries;
  }
}

const isList = (tree: Tree): tree is readonly Tree[] => Array.isArray(tree);

/** Name and value of each member; null for what is no struct. */
export function membersOf(tree: Tree): readonly (readonly [string, Tree])[] | null {
  if (tree instanceof Fields) return tree.entries;
  if (tree === null || typeof tree !== "object" || tree instanceof HexBytes || isList(tree)) return null;
  return Object.entries(tree).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

/** JSON, with integers of any size as numbers. `indent` 0: one line. */
export function toJson(tree: Tree, indent = 2, depth = 0): string {
  if (tree instanceof HexBytes) return indent === 0 ? hexJson(tree) : toJson(tree.texts, indent, depth);
  const isFlat = indent === 0;
  const margin = isFlat ? "" : `\n${" ".repeat(indent * (depth + 1))}`;
  const end = isFlat ? "" : `\n${" ".repeat(indent * depth)}`;
  const members = membersOf(tree);
  if (members !== null) {
    if (members.length === 0) return "{}";
    const colon = isFlat ? ":" : ": ";
    const lines = members.map(
      ([name, value]) => `${margin}${JSON.stringify(name)}${colon}${toJson(value, indent, depth + 1)}`,
    );
    return `{${lines.join(",")}${end}}`;
  }
  if (tree !== null && typeof tree === "object" && isList(tree)) {
    if (tree.length === 0) return "[]";
    return `[${tree.map((each) => `${margin}${toJson(each, indent, depth + 1)}`).join(",")}${end}]`;
  }
  if (typeof tree === "bigint") return tree.toString();
  if (typeof tree === "number" && !Number.isFinite(tree)) return "null";
  return JSON.stringify(tree);
}

function hexJson({ bytes }: HexBytes): string {
  let text = "";
  for (const byte of bytes) text += `${text === "" ? "" : ","}"${hexOf[byte] ?? ""}"`;
  return `[${text}]`;
}

/** Plain values; members of anonymous structs are members of the whole. Bigints that are too large for numbers are texts. */
export function toPlain(tree: Tree): Plain {
  if (tree instanceof HexBytes) return tree.texts;
  const members = membersOf(tree);
  if (members !== null) return Object.fromEntries(flat(members).map(([name, value]) => [name, toPlain(value)]));
  if (typeof tree === "bigint") return Number.isSafeInteger(Number(tree)) ? Number(tree) : tree.toString();
  if (tree !== null && typeof tree === "object" && isList(tree)) return tree.map(toPlain);
  return tree as Plain;
}

function flat(members: readonly (readonly [string, Tree])[]): readonly (readonly [string, Tree])[] {
  return members.flatMap((member) => {
    const inner = member[0] === "" ? membersOf(member[1]) : null;
    return inner === null ? [member] : flat(inner);
  });
}

const WIDTH = 100;

function isWord(text: string): boolean {
  return /^[\w.:/@+-]+$/.test(text);
}

/** For people: short values in one line, long ones indented. */
export function toText(tree: Tree, depth = 0): string {
  const members = membersOf(tree);
  const line = oneLine(tree);
  if (line.length + depth * 2 <= WIDTH) return line;
  const margin = `\n${"  ".repeat(depth + 1)}`;
  const end = `\n${"  ".repeat(depth)}`;
  if (members !== null) {
    const lines = flat(members).map(([name, value]) => `${margin}${name}: ${toText(value, depth + 1)}`);
    return `{${lines.join("")}${end}}`;
  }
  if (tree !== null && typeof tree === "object" && isList(tree))
    return `[${tree.map((each) => `${margin}${toText(each, depth + 1)}`).join("")}${end}]`;
  return line;
}

function oneLine(tree: Tree): string {
  if (tree instanceof HexBytes) return oneLine(tree.texts);
  const members = membersOf(tree);
  if (members !== null) {
    const parts = flat(members).map(([name, value]) => `${name}: ${oneLine(value)}`);
    return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
  }
  if (tree !== null && typeof tree === "object" && isList(tree)) return `[${tree.map(oneLine).join(", ")}]`;
  if (typeof tree === "string") return isWord(tree) ? tree : JSON.stringify(tree);
  return typeof tree === "bigint" ? tree.toString() : JSON.stringify(tree);
}

/** A value in one line: texts as they are. */
export function plainText(tree: Tree): string {
  return typeof tree === "string" ? tree : oneLine(tree);
}
