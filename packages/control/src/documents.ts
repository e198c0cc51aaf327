/**
 * @module
 * The files of the watched folder as control has them: what each says, where each object stands, and what was wrong.
 */
import { type Diagnostic, hasErrors, type PolicyDocument, type Span } from "@skep/policy";
import type { EgressPolicySpec } from "./egress/parse.ts";
import {
  type FileContent,
  identified,
  joinContents,
  movedTogether,
  NO_CONTENT,
  placeKey,
  type ReadContent,
  readFile,
} from "./files.ts";
import { givenTwice } from "./folder-objects.ts";
import type { ClusterObjects } from "./nodes.ts";

/** Of one file, or of several in one step. */
export interface FileChange {
  readonly before: FileContent;
  readonly after: ReadContent;
}

export class Documents {
  readonly #options: { readonly localCluster?: string };
  readonly #files = new Map<string, FileContent>();
  /** Where each object stands, by kind and name: no two files have the same. */
  readonly #places = new Map<string, Span>();
  readonly #diagnostics = new Map<string, readonly Diagnostic[]>();

  constructor(options: { readonly localCluster?: string } = {}) {
    this.#options = options;
  }

  /** All or nothing: a file with an error leaves what it said before in force, and `change` is null. */
  read(
    file: string,
    text: string,
  ): { readonly change: FileChange | null; readonly diagnostics: readonly Diagnostic[] } {
    const { content, diagnostics } = readFile(file, text, this.#options);
    diagnostics.push(...this.#givenTwice(file, content));
    this.#note(file, diagnostics);
    return { change: hasErrors(diagnostics) ? null : this.#takeOver([{ file, content }]), diagnostics };
  }

  /** Of files that refuse each other one by one those that do not when all are taken over in one step, each with what it is told. */
  readTogether(files: readonly (readonly [file: string, text: string])[]): {
    readonly change: FileChange | null;
    readonly taken: Map<string, readonly Diagnostic[]>;
  } {
    const read = files.map(([file, text]) => ({ file, ...readFile(file, text, this.#options) }));
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
  #takeOver(files: readonly { readonly file: string; readonly content: ReadContent }[]): FileChange {
    const before = files.map(({ file }) => this.#files.get(file) ?? NO_CONTENT);
    for (const { file, content } of files) {
      const objects = content.objects.map(({ kind, key, span }) => ({ kind, key, span }));
      this.#files.set(file, { ...content, objects });
    }
    return this.#placed({ before: joinContents(before), after: joinContents(files.map(({ content }) => content)) });
  }

  /** Null where nothing was read of it. */
  remove(file: string): FileChange | null {
    this.#diagnostics.delete(file);
    const before = this.#files.get(file);
    if (!before) return null;
    this.#files.delete(file);
    return this.#placed({ before, after: NO_CONTENT });
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
