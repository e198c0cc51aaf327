/**
 * @module
 * Documents of the watched folder into control. What does not parse is told, and what the file said before stays in force.
 */
import type { World } from "@skep/control";
import { type Diagnostic, formatDiagnostic } from "@skep/policy";
import { type FolderChange, WatchedFolder } from "./folder.ts";
import { errorText, type Logger } from "./log.ts";

export interface DocumentsOptions {
  readonly folder: string;
  /** False: the folder is read again only by `rescan`. Default true. */
  readonly watch?: boolean;
  readonly world: World;
  readonly log: Logger;
  /** What was read: policies that have changed, files that were refused, and when that began, of `performance.now()`. */
  readonly onRead?: (read: { readonly changed: number; readonly refused: number; readonly since: number }) => void;
  /** Control knows of the changes. Not called by `start`. */
  readonly onChange: () => void;
}

export class Documents {
  readonly #world: World;
  readonly #log: Logger;
  readonly #folder: WatchedFolder;
  readonly #onChange: () => void;
  readonly #onRead: NonNullable<DocumentsOptions["onRead"]>;
  /** While the first documents are read nothing is written: the maps go from what they held to what the folder says in one step. */
  #starting = false;
  /** Texts that were refused, by file: another file's change may be what they wait for, as where a document moves between files. */
  readonly #refused = new Map<string, string>();

  constructor(options: DocumentsOptions) {
    this.#world = options.world;
    this.#log = options.log;
    this.#onChange = options.onChange;
    this.#onRead = options.onRead ?? (() => undefined);
    this.#folder = new WatchedFolder({
      folder: options.folder,
      ...(options.watch === false ? { watch: false } : {}),
      onChange: (changes) => this.#take(changes),
      onError: (error) =>
        this.#log.error("the policy folder cannot be read: what is in force stays", {
          folder: options.folder,
          error: errorText(error),
        }),
    });
  }

  /** Reads everything once; throws where the folder cannot be read. */
  start(): void {
    this.#starting = true;
    this.#folder.start();
    this.#starting = false;
  }

  /** Reads the folder again, as a change of it does. */
  rescan(): void {
    this.#folder.look();
  }

  close(): void {
    this.#folder.close();
  }

  #take(changes: readonly FolderChange[]): void {
    const [since, before] = [performance.now(), this.#world.policyChanges];
    for (const { file, text } of changes) {
      if (text !== null) continue;
      this.#refused.delete(file);
      this.#world.removeFile(file);
      this.#log.info("file removed", { file });
    }
    const told = changes.flatMap(({ file, text }) => (text === null ? [] : [[file, text] as const]));
    for (const [file] of told) this.#refused.delete(file);
    const failed = this.#applyFiles([...told, ...this.#refused]);
    const refused = [...failed].filter(([file]) => told.some(([each]) => each === file));
    for (const [file, diagnostics] of refused) {
      this.#tell(diagnostics);
      this.#log.error("the file is not applied: what it said before stays in force", { file });
    }
    this.#onRead({ changed: this.#world.policyChanges - before, refused: refused.length, since });
    if (!this.#starting) this.#onChange();
  }

  /** Again and again while one of them succeeds: in which order they came does not matter. Those that wait for each other are taken over together. */
  #applyFiles(files: readonly (readonly [file: string, text: string])[]): Map<string, readonly Diagnostic[]> {
    const failed = new Map<string, readonly Diagnostic[]>();
    let waiting = files;
    for (let before = Infinity; waiting.length > 0 && waiting.length < before;) {
      before = waiting.length;
      waiting = waiting.filter(([file, text]) => {
        const { changed, diagnostics } = this.#world.applyFile(file, text);
        if (changed) {
          failed.delete(file);
          this.#applied(file, diagnostics);
        } else {
          failed.set(file, diagnostics);
          this.#refused.set(file, text);
        }
        return !changed;
      });
      if (waiting.length < before || waiting.length < 2) continue;
      const together = this.#world.applyTogether(waiting);
      waiting = waiting.filter(([file]) => !together.has(file));
      for (const [file, diagnostics] of together) {
        failed.delete(file);
        this.#applied(file, diagnostics);
      }
    }
    return failed;
  }

  #applied(file: string, diagnostics: readonly Diagnostic[]): void {
    this.#refused.delete(file);
    this.#tell(diagnostics);
    this.#log.info("file applied", { file, revision: this.#world.revision });
  }

  #tell(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) {
      const line = formatDiagnostic(diagnostic);
      if (diagnostic.severity === "error") this.#log.error(line);
      else this.#log.warn(line);
    }
  }
}
