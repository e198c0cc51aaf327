/**
 * @module
 * The files of the watched folder as control has them: what each says, where each object stands, and what was wrong.
 */
import { type Diagnostic, hasErrors, type PolicyDocument, type Span } from "@skep/policy";
import type { EgressPolicySpec } from "./egress/parse.ts";
import type { FileParts } from "./file-parts.ts";
import {
  type FileContent,
  identified,
  joinContents,
  movedTogether,
  NO_CONTENT,
  placeKey,
  readChanged,
  type ReadOptions,
  readWhole,
  type TakenFile,
} from "./files.ts";
import { type FolderKey, type FolderObject, givenTwice } from "./folder-objects.ts";
import type { ClusterObjects } from "./nodes.ts";

/** Of one file, or of several in one step. */
export interface FileChange {
  readonly before: FileContent;
  readonly after: FileContent;
  /** Objects of it that may be otherwise than they were. */
  readonly put: readonly FolderObject[];
}

export class Documents {
  readonly #options: Omit<ReadOptions, "place">;
  readonly #files = new Map<string, FileContent>();
  readonly #parts = new Map<string, FileParts>();
  /** Where each object stands, by kind and name: no two files have the same. */
  readonly #places = new Map<string, Span>();
  readonly #diagnostics = new Map<string, readonly Diagnostic[]>();

  constructor(options: Omit<ReadOptions, "place"> = {}) {
    this.#options = options;
  }

  /**
   * All or nothing: a file with an error leaves what it said before in force, and `change` is null. `mayKeep`: the object is as it was put last
   * while its text is the same.
   */
  read(
    file: string,
    text: string,
    mayKeep: (object: FolderKey) => boolean,
  ): { readonly change: FileChange | null; readonly diagnostics: readonly Diagnostic[] } {
    const [parts, objects] = [this.#parts.get(file), this.#files.get(file)?.objects];
    const changed =
      parts && objects ? readChanged({ file, text, options: this.#options }, { parts, objects }, mayKeep) : null;
    const { diagnostics, ...taken } = changed ? { ...changed, diagnostics: [] } : readWhole(file, text, this.#options);
    const told = [...diagnostics, ...this.#givenTwice(file, taken.content)];
    this.#note(file, told);
    return { change: hasErrors(told) ? null : this.#takeOver([taken]), diagnostics: told };
  }

  /** Of files that refuse each other one by one those that do not when all are taken over in one step, each with what it is told. */
  readTogether(files: readonly (readonly [file: string, text: string])[]): {
    readonly change: FileChange | null;
    readonly taken: Map<string, readonly Diagnostic[]>;
  } {
    const read = files.map(([file, text]) => readWhole(file, text, this.#options));
    const moved = movedTogether(
      read.filter(({ diagnostics }) => !hasErrors(diagnostics)),
      (key) => this.#places.get(key)?.file,
    );
    for (const { file, diagnostics } of moved) this.#note(file, diagnostics);
    const taken = new Map(moved.map(({ file, diagnostics }) => [file, diagnostics]));
    return { change: moved.length > 0 ? this.#takeOver(moved) : null, taken };
  }

  #note(file: string, diagnostics: readonly Diagnostic[]): void {
    if (diagnostics.length > 0) this.#diagnostics.set(file, diagnostics);
    else this.#diagnostics.delete(file);
  }

  /** In one step: what leaves one file and comes into another stays. */
  #takeOver(files: readonly TakenFile[]): FileChange {
    const before = files.map(({ file }) => this.#files.get(file) ?? NO_CONTENT);
    for (const { file, content, parts } of files) {
      this.#files.set(file, content);
      if (parts) this.#parts.set(file, parts);
      else this.#parts.delete(file);
    }
    const after = joinContents(files.map(({ content }) => content));
    return this.#placed({ before: joinContents(before), after, put: files.flatMap(({ put }) => put) });
  }

  /** Null where nothing was read of it. */
  remove(file: string): FileChange | null {
    this.#diagnostics.delete(file);
    const before = this.#files.get(file);
    if (!before) return null;
    this.#files.delete(file);
    this.#parts.delete(file);
    return this.#placed({ before, after: NO_CONTENT, put: [] });
  }

  #givenTwice(file: string, content: FileContent): Diagnostic[] {
    return identified(content).flatMap((object) => {
      const other = this.#places.get(placeKey(object));
      if (!other || other.file === file) return [];
      return [givenTwice(object, `stands in ${other.file} too`, other)];
    });
  }

  #placed(change: FileChange): FileChange {
    for (const object of identified(change.before)) this.#places.delete(placeKey(object));
    for (const object of identified(change.after)) this.#places.set(placeKey(object), object.span);
    return change;
  }

  /** Null where there is no such object. */
  placeOf(kind: string, key: string): Span | null {
    return this.#places.get(placeKey({ kind, key })) ?? null;
  }

  /** Errors and warnings of all files. */
  diagnostics(): Diagnostic[] {
    return [...this.#diagnostics.values()].flat();
  }

  policies(): PolicyDocument[] {
    return [...this.#files.values()].flatMap(({ policies }) => policies);
  }

  /** In the order of their files' names, which decides between equals. */
  policiesInOrder(): PolicyDocument[] {
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    return files.flatMap(([, { policies }]) => policies);
  }

  cluster(): ClusterObjects[] {
    return [...this.#files.values()].map(({ cluster }) => cluster);
  }

  egress(): EgressPolicySpec[] {
    return [...this.#files.values()].flatMap(({ egress }) => egress);
  }
}
