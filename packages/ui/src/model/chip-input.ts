/**
 * @module
 * What may be meant by what stands in the filter's field so far.
 */
import { chipFields } from "./chip-fields.ts";

export interface Suggestion {
  /** Text of the field, or a whole chip. */
  readonly text: string;
  readonly help: string;
  readonly complete: boolean;
}

const MOST = 12;

/** `known`: values that were seen, by field; `pod` stands for `from-pod` and `to-pod` too. */
export function suggestChips(text: string, known: ReadonlyMap<string, readonly string[]>): Suggestion[] {
  const not = text.startsWith("!") ? "!" : "";
  const bare = text.slice(not.length).trimStart();
  const at = bare.search(/[=:]/);
  if (at < 0) return [...fields(bare, not), ...podsLike(bare, not, known)].slice(0, MOST);
  const name = bare.slice(0, at);
  const field = chipFields.find((each) => each.name === name);
  if (!field) return [];
  const begun = bare.slice(at + 1).toLowerCase();
  const values = [...new Set([...field.values, ...(known.get(name.replace(/^(from|to)-/, "")) ?? [])])];
  return values
    .filter((value) => value.toLowerCase().includes(begun))
    .slice(0, MOST)
    .map((value) => ({ text: `${not}${name}=${value}`, help: "", complete: true }));
}

function fields(begun: string, not: string): Suggestion[] {
  const fitting = chipFields.filter(({ name }) => name.includes(begun.toLowerCase()));
  const first = fitting.filter(({ name }) => name.startsWith(begun.toLowerCase()));
  return [...first, ...fitting.filter((field) => !first.includes(field))].map(({ name, help, example }) => ({
    text: `${not}${name}=`,
    help: example === "" ? help : `${help}, as ${example}`,
    complete: false,
  }));
}

function podsLike(begun: string, not: string, known: ReadonlyMap<string, readonly string[]>): Suggestion[] {
  if (begun === "") return [];
  return (known.get("pod") ?? [])
    .filter((name) => name.toLowerCase().includes(begun.toLowerCase()))
    .slice(0, 4)
    .map((name) => ({ text: `${not}pod=${name}`, help: "this pod", complete: true }));
}
