/**
 * @module
 * `skep btf types`: kernel types as TypeScript declarations, for kernel programs that read them and editors that complete them.
 */
import { writeFileSync } from "node:fs";
import { kernelTypes, moduleNames, moduleTypes } from "@skep/linux";
import { type BtfTypes, type BtfView, printDts, viewOf } from "@skep/object";
import { CliError, systemCode, usageError } from "../errors.ts";
import { write } from "../output/print.ts";
import { typesOfFile } from "./btf.ts";
import type { Session } from "./session.ts";

const declared = new Set(["struct", "union", "enum", "enum64", "typedef", "func", "var"]);
const keywords = ["file", "depth", "from", "of"] as const;

/** Ids of what a name declares; `*` and `?` stand for any letters. */
function idsOf(view: BtfView, name: string): number[] {
  if (!/[*?]/.test(name)) return view.named(name).filter((id) => declared.has(view.get(id)?.kind ?? ""));
  const pattern = new RegExp(`^${name.replaceAll("*", ".*").replaceAll("?", ".")}$`);
  const found: number[] = [];
  for (let id = 1; id < view.end; id++) {
    const type = view.get(id);
    if (type && declared.has(type.kind) && "name" in type && pattern.test(type.name)) found.push(id);
  }
  return found;
}

/** Names that hold the one that was asked for, or else its beginning. */
function similar(view: BtfView, name: string): string[] {
  const holding = (part: string): string[] => {
    const found = new Set<string>();
    for (let id = 1; id < view.end && found.size < 5; id++) {
      const type = view.get(id);
      if (type && declared.has(type.kind) && "name" in type && type.name.includes(part)) found.add(type.name);
    }
    return [...found];
  };
  const found = holding(name);
  return found.length > 0 || name.length < 4 ? found : holding(name.slice(0, Math.ceil(name.length * 0.75)));
}

/** The kernel's types, or those of the first module that has every name. */
function viewFor(names: readonly string[]): BtfView {
  const kernel = kernelTypes();
  if (names.every((name) => idsOf(kernel, name).length > 0)) return kernel;
  const module = moduleNames().find((each) => names.every((name) => idsOf(moduleTypes(each), name).length > 0));
  return module === undefined ? kernel : moduleTypes(module);
}

interface TypesWords {
  readonly names: readonly string[];
  readonly file: string | null;
  readonly depth: number;
  readonly from: string | null;
  readonly of: string | null;
}

/** Structs that a declared one points to are declared, too; those that they point to are names only. */
const DEPTH = 1;

function readWords(session: Session): TypesWords {
  const { words } = session;
  const names = words.until(keywords);
  let file: string | null = null;
  let depth = DEPTH;
  let from: string | null = null;
  let of: string | null = null;
  while (!words.isEmpty) {
    if (words.take("file")) file = words.next("a file");
    else if (words.take("depth")) depth = words.number("how many pointers away");
    else if (words.take("from")) from = words.next("a module's name");
    else if (words.take("of")) of = words.next("a file with types");
    else words.end("file FILE", "depth N", "from MODULE", "of FILE");
  }
  if (names.length === 0) throw usageError("which types? such as task_struct");
  return { names, file, depth, from, of };
}

/** `btf types NAME... [file FILE] [depth N] [from MODULE] [of FILE]`. */
export async function btfTypes(session: Session): Promise<void> {
  if (session.isData) throw usageError("declarations are text: leave -o, -j and -p out");
  const { names, file, depth, from, of } = readWords(session);
  const given: BtfTypes | BtfView | null = of === null ? null : await typesOfFile(of);
  const view = given === null ? viewFor(names) : viewOf(given);
  const types = names.flatMap((name) => {
    const found = idsOf(view, name);
    if (found.length > 0) return found;
    const others = similar(view, name);
    throw new CliError(`there is no type ${name}${others.length === 0 ? "" : `; there is ${others.join(", ")}`}`);
  });
  const text = printDts(view, { types, depth, ...(from === null ? {} : { from }) });
  if (file === null) return write(text);
  try {
    writeFileSync(file, text);
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new CliError(`${file} cannot be written: ${code}`, 1, { cause: error });
  }
}
