import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { FilterError } from "./error.ts";

/** Field to what is wanted below it; null: all of it. */
type Tree = Map<DescField, Tree | null>;

function addPath(tree: Tree, desc: DescMessage, path: readonly string[], whole: string): void {
  const [name, ...rest] = path;
  const field = desc.fields.find((each) => each.name === name);
  if (!field) throw new FilterError(`the field mask names ${whole}, but ${desc.typeName} has no field ${name ?? ""}`);
  if (rest.length === 0) {
    tree.set(field, null);
    return;
  }
  if (field.fieldKind !== "message")
    throw new FilterError(`the field mask names ${whole}, but ${field.name} has no fields`);
  const below = tree.get(field);
  if (below === null) return;
  const next: Tree = below ?? new Map();
  tree.set(field, next);
  addPath(next, field.message, rest, whole);
}

type Loose = Record<string, unknown>;

function copy(desc: DescMessage, tree: Tree, from: Message): Message {
  const to = create(desc);
  const source = from as unknown as Loose;
  const target = to as unknown as Loose;
  for (const [field, below] of tree) {
    const chosen = field.oneof ? (source[field.oneof.localName] as { case?: string; value?: unknown }) : null;
    if (chosen && chosen.case !== field.localName) continue;
    const value = chosen ? chosen.value : source[field.localName];
    if (value === undefined) continue;
    const kept = below === null || field.fieldKind !== "message" ? value : copy(field.message, below, value as Message);
    if (field.oneof) target[field.oneof.localName] = { case: field.localName, value: kept };
    else target[field.localName] = kept;
  }
  return to;
}

/** A function that keeps only what the paths name, as in `source.pod_name`. Throws FilterError. */
export function compileMask<T extends Message>(desc: DescMessage, paths: readonly string[]): (message: T) => T {
  if (paths.length === 0) return (message) => message;
  const tree: Tree = new Map();
  for (const path of paths) addPath(tree, desc, path.split("."), path);
  return (message) => copy(desc, tree, message) as T;
}
